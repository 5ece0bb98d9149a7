// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgod: one a node. Parses the command line, takes the state folder for
 * itself, builds the parts of struct node in the order in which they depend on
 * each other, and runs the loop until a signal ends it.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "audit.h"
#include "borrow.h"
#include "cached.h"
#include "catalog.h"
#include "choosing.h"
#include "client.h"
#include "doctor.h"
#include "exports.h"
#include "extents.h"
#include "file_relay.h"
#include "handover.h"
#include "home.h"
#include "identity.h"
#include "jobs.h"
#include "listen.h"
#include "loads.h"
#include "log.h"
#include "membership.h"
#include "memory.h"
#include "peers.h"
#include "policy.h"
#include "replica.h"
#include "service.h"
#include "setup.h"
#include "spare.h"
#include "state.h"
#include "status.h"
#include "stdfds.h"
#include "volume_list.h"
#include "wallclock.h"
#include "where.h"

enum { HEAP_KEPT_BYTES = 8 << 20 };

struct options {
	const char *state;
	const char *conf_dir;
	const char *listen; /* NULL, and port 0: as virgo_cloud.conf says */
	u16 port;
	bool verbose;
};

struct daemon {
	struct node node;
	struct watch signals;
	char conf_dir[4096];
	char listen[ADDRESS_MAX * 300];
};

static const char help[] =
	"Usage: virgod [OPTION]...\n"
	"Serves this node of a VIRGO cloud: files, jobs, membership.\n"
	"\n"
	"  --state DIR     folder of this node's state (" VIRGO_DEFAULT_STATE ")\n"
	"  --conf DIR      folder of virgo_cloud.conf (/etc/virgo, or DIR/etc\n"
	"                  below another state folder)\n"
	"  --listen LIST   addresses to listen on (as virgo_cloud.conf says, else\n"
	"                  all of this machine's)\n"
	"  --port N        TCP and UDP port (as virgo_cloud.conf says, else 8747)\n"
	"  --verbose       log also what goes well\n"
	"  --help, --version\n";

static int take_port(const char *text, u16 *out)
{
	char *end;
	long port = strtol(text, &end, 10);

	if (*end || port < 1 || port > 65535) {
		fprintf(stderr, "virgod: --port %s: not a port number (1 to "
				"65535)\n", text);
		return -EINVAL;
	}
	*out = (u16)port;
	return 0;
}

/* Gives the exit status, or -1 to go on. */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "state", required_argument, NULL, 's' },
		{ "conf", required_argument, NULL, 'c' },
		{ "listen", required_argument, NULL, 'l' },
		{ "port", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .state = getenv("VIRGO_STATE") };
	if (!o->state)
		o->state = VIRGO_DEFAULT_STATE;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->state = optarg;
			break;
		case 'c':
			o->conf_dir = optarg;
			break;
		case 'l':
			o->listen = optarg;
			break;
		case 'p':
			if (take_port(optarg, &o->port))
				return 2;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("virgod " VIRGO_VERSION);
			return 0;
		default:
			fputs("Try: virgod --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "virgod: %s: unexpected argument\n"
				"Try: virgod --help\n", argv[optind]);
		return 2;
	}
	return -1;
}

static int make_folder(const char *state, const char *name, mode_t mode,
		       struct failure *f)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s%s", state, name ? "/" : "",
		 name ? name : "");
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	return failure_set(f, -errno, path,
			   errno == EACCES ? "run it as root, or name another "
					     "folder with --state" :
			   errno == ENOENT ? "create the folder above it" :
					     NULL,
			   "cannot make the folder: %s", strerror(errno));
}

/* The lock is kept until exit. A machine that is no node gets no folders. */
static int take_state(const char *state, struct failure *f)
{
	struct stat st;
	int ret;

	if (stat(state, &st) && errno == ENOENT)
		return 0;
	ret = state_lock(state, f);
	if (ret < 0)
		return ret;
	state_tidy(state);
	return make_folder(state, "run", 0755, f);
}

/*
 * Queues of a busy connection are allocated and freed all the time; by default
 * the C library gives their pages back to the kernel each time and faults them in
 * again, which was measured to be 40 % of what passing a stream on costs.
 */
static void keep_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
	mallopt(M_MMAP_THRESHOLD, HEAP_KEPT_BYTES);
}

static void raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* Errors of the file are logged; the old values stay in force then. */
static void reload(struct node *n)
{
	struct failure f;

	sd_notify(0, "RELOADING=1");
	policy_reload(n, &f);
	sd_notify(0, "READY=1");
}

static void on_signal(struct watch *w, u32 events)
{
	struct daemon *d = (struct daemon *)((char *)w - offsetof(struct daemon,
								  signals));
	struct signalfd_siginfo info;

	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			reload(&d->node);
			continue;
		}
		log_notice("%s received, ending",
			   strsignal((int)info.ssi_signo));
		loop_stop(d->node.loop);
	}
}

static int watch_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	d->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	d->signals.ready = on_signal;
	if (d->signals.fd < 0)
		return -errno;
	return loop_watch(d->node.loop, &d->signals, EPOLLIN);
}

static void on_reload(struct node *n)
{
	const struct conf_cloud *conf = policy_conf(n->policy);

	audit_set_bound(n->audit, conf->audit_size_bytes, conf->audit_keep);
}

/* Policy and audit come first: nothing may happen without them. */
static int open_policy(struct daemon *d, const struct options *o,
		       struct failure *f)
{
	struct node *n = &d->node;
	const struct conf_cloud *conf;
	size_t at = 0;
	int ret = policy_reload(n, f);

	if (!ret)
		ret = audit_log_open(&n->audit, n->state, f);
	if (ret)
		return ret;
	policy_on_reload(n, on_reload);
	on_reload(n);
	conf = policy_conf(n->policy);
	n->port = o->port ? o->port : (u16)conf->node_port;
	for (u32 i = 0; i < conf->node_listen.count; i++)
		at += (size_t)snprintf(d->listen + at, sizeof(d->listen) - at,
				       "%s%s", i ? "," : "",
				       conf->node_listen.items[i]);
	if (o->listen)
		snprintf(d->listen, sizeof(d->listen), "%s", o->listen);
	return 0;
}

/* Where node @name may be: as the catalog says, then at the seeds, where a node
 * of another name answers with another certificate and is not taken for it.
 */
static bool addresses_of(void *arg, const char *name, char *out, size_t size)
{
	struct node *n = arg;
	const struct conf_list *seeds = &policy_conf(n->policy)->node_seeds;

	if (!catalog_addresses(n->catalog, name, out, size))
		return false;
	for (u32 i = 0; i < seeds->count; i++) {
		size_t at = strlen(out);

		if (at + strlen(seeds->items[i]) + 2 > size)
			break;
		sprintf(out + at, ",%s", seeds->items[i]);
	}
	return true;
}

static void on_news(void *arg, u64 change)
{
	struct node *n = arg;

	if (change)
		replica_heard(n->replica, change, NULL);
	else
		replica_poke(n->replica);
}

/* What depends on how busy the nodes are. */
static int know_load(struct node *n, struct failure *f)
{
	n->wallclock = wallclock_new(n);
	n->loads = loads_new(n);
	n->choosing = choosing_new(n);
	if (!n->loads || !n->choosing || !n->wallclock)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	status_serve(n);
	return 0;
}

/* What tells this run from all others. */
static int draw_numbers(struct conn_local *l, struct failure *f)
{
	if (getrandom(l->session, sizeof(l->session), 0) ==
		    sizeof(l->session) &&
	    getrandom(&l->boot, sizeof(l->boot), 0) == sizeof(l->boot))
		return 0;
	return failure_set(f, -EIO, "virgod", NULL,
			   "the kernel gives no random numbers");
}

static int build(struct daemon *d, const struct options *o, struct failure *f)
{
	struct node *n = &d->node;
	int ret;

	n->state = o->state;
	where_conf_dir(o->conf_dir, o->state, d->conf_dir, sizeof(d->conf_dir));
	n->conf_dir = d->conf_dir;
	if ((ret = draw_numbers(&n->local, f)) ||
	    (ret = take_state(o->state, f)) || (ret = identity_open(n, f)) ||
	    (ret = open_policy(d, o, f)))
		return ret;
	n->loop = loop_new();
	n->services = services_new();
	n->peers = peers_new(n, addresses_of, n);
	if (!n->loop || !n->services || !n->peers || watch_signals(d))
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	n->home = home_new(n);
	n->replica = replica_new(n);
	n->renewal = renewal_new(n);
	n->announce = announce_new(n);
	if (!n->home || !n->replica || !n->renewal || !n->announce)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	policy_serve(n);
	audit_serve(n);
	n->doctor = doctor_new(n);
	n->handover = handover_new(n);
	n->file_relay = file_relay_new(n);
	n->volume_list = volume_list_new(n);
	if (!n->file_relay || !n->volume_list || !n->handover)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	ret = exports_new(&n->exports, n, f);
	if (ret)
		return ret;
	exports_follow_catalog(n->exports);
	ret = listeners_new(&n->listeners, n, f);
	if (!ret)
		ret = listeners_open_net(n->listeners, d->listen, f);
	if (!ret)
		ret = membership_new(&n->membership, n, d->listen, f);
	if (!ret)
		ret = jobs_new(&n->jobs, n, f);
	if (!ret) {
		membership_follow_catalog(n);
		membership_on_news(n->membership, on_news, n);
		home_start(n);
		ret = know_load(n, f);
	}
	if (!ret && (!memory_new(n) || !cached_new(n) || !extents_new(n) ||
		     !(n->borrow = borrow_new(n)))) {
		ret = failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	}
	return ret;
}

static void dismantle(struct daemon *d)
{
	struct node *n = &d->node;

	handover_end(n->handover);
	jobs_free(n->jobs);
	status_end(n);
	borrow_free(n->borrow);
	listeners_free(n->listeners); /* no request comes after this */
	n->listeners = NULL;
	handover_free(n->handover);
	n->handover = NULL;
	memory_free(n->memory);
	cached_free(n->cached);
	extents_stop(n->extents);
	doctor_end(n->doctor);
	choosing_free(n->choosing);
	loads_free(n->loads);
	wallclock_free(n->wallclock);
	n->wallclock = NULL;
	membership_free(n->membership);
	n->membership = NULL; /* connections end after it */
	exports_free(n->exports);
	announce_free(n->announce);
	renewal_free(n->renewal);
	replica_free(n->replica);
	home_free(n->home, n);
	peers_free(n->peers);
	extents_free(n->extents);
	file_relay_free(n->file_relay);
	volume_list_free(n->volume_list);
	audit_serve_end(n);
	services_free(n->services);
	if (n->loop)
		loop_unwatch(n->loop, &d->signals);
	loop_free(n->loop);
	audit_log_close(n->audit);
	policy_put(n->policy);
	identity_close(n);
}

/* What virgod does once, without serving; `virgo` runs these. */
static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} once[] = {
	{ "init", init_main },
	{ "join", join_main },
	{ "backup", backup_main },
	{ "promote", promote_main },
};

int main(int argc, char **argv)
{
	struct daemon d = { .signals.fd = -1 };
	struct failure f = { 0 };
	struct options o;
	int ret;

	stdfds_ensure();
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(once); i++)
		if (!strcmp(argv[1], once[i].name))
			return once[i].main(argc - 1, argv + 1);
	ret = parse(&o, argc, argv);
	if (ret >= 0)
		return ret;
	log_open("virgod", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE);
	raise_descriptor_limit();
	keep_memory();
	spare_self(SPARE_NODE);
	ret = build(&d, &o, &f);
	if (ret) {
		failure_print(&f, stderr);
	} else {
		log_notice("%s serves from %s, port %u",
			   d.node.local.node, o.state, d.node.port);
		sd_notify(0, "READY=1");
		ret = loop_run(d.node.loop);
		sd_notify(0, "STOPPING=1");
	}
	dismantle(&d);
	return ret ? 1 : 0;
}
