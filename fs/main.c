// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mount.virgo: shows the cloud's volumes as a folder. Called by mount(8), by
 * `virgo mount`, or by systemd. It returns once the file system is mounted and
 * goes on in the background; what keeps it from mounting is said first.
 *
 * One process, one thread, one loop: requests of the kernel come in from
 * /dev/fuse (device.c), become calls to the nodes that hold the volumes
 * (server.c) and are answered in the order in which the answers come (ops.h).
 * Other threads only ask name services (names.c), which may hang.
 */
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "address.h"
#include "conf_client.h"
#include "device.h"
#include "log.h"
#include "mounted.h"
#include "names.h"
#include "options.h"
#include "stdfds.h"
#include "volumes.h"
#include "where.h"

enum {
	EXIT_MOUNT = 32, /* what mount(8) expects of a failed mount */
	KEPT_BYTES = 16 << 20,
};

struct process {
	struct mount mount;
	struct watch signals;
	char point[PATH_MAX];
	char state[PATH_MAX];
	char identity[PATH_MAX];
	char numbers[PATH_MAX];
};

/* What virgo_client.conf says, unless the command line did. */
static int read_conf(struct options *o, struct failure *f)
{
	struct conf_client conf;
	int ret = conf_load(&conf_client_schema, o->state, o->conf_dir, &conf,
			    f);

	if (ret)
		return ret;
	if (o->wait_given) {
		conf_free(&conf);
		return 0;
	}
	o->timeout_ms = (u32)conf.mount_timeout_ms;
	o->patience = conf.mount_wait == CONF_WAIT_HARD ? PATIENCE_HARD :
		      conf.mount_wait == CONF_WAIT_SOFT ? PATIENCE_SOFT :
							  PATIENCE_TIMEOUT;
	conf_free(&conf);
	return 0;
}

/* Takes away mounts of ours at @point whose mount.virgo was killed. What programs
 * have open there ends with ENOTCONN as before.
 */
static void clear_dead(const char *point)
{
	struct stat st;

	while (mounted_by_us(point) && stat(point, &st) && errno == ENOTCONN) {
		if (umount2(point, UMOUNT_NOFOLLOW | MNT_DETACH))
			return;
		log_notice("%s: a mount whose program was killed is replaced",
			   point);
	}
}

static int full_path(const char *path, char *out, struct failure *f)
{
	if (realpath(path, out))
		return 0;
	return failure_set(f, -errno, path,
			   errno == ENOENT ? "make the folder first" : NULL,
			   "%s", strerror(errno));
}

/* "virgo" of this machine: who it is, and a session of its own. */
static int prepare(struct process *p, struct options *o, struct failure *f)
{
	struct mount *m = &p->mount;
	int ret;

	ret = full_path(o->point, p->point, f);
	if (!ret)
		ret = full_path(o->state, p->state, f);
	if (!ret)
		ret = read_conf(o, f);
	if (ret)
		return ret;
	if (snprintf(p->identity, sizeof(p->identity), "%s/identity",
		     p->state) >= (int)sizeof(p->identity) ||
	    snprintf(p->numbers, sizeof(p->numbers), "%s/inodes", p->state) >=
		    (int)sizeof(p->numbers))
		return failure_set(f, -ENAMETOOLONG, p->state, NULL,
				   "the path is too long");
	m->state = p->state;
	m->point = p->point;
	m->servers.identity_dir = p->identity;
	m->servers.port = VIRGO_PORT;
	m->servers.patience = o->patience;
	m->servers.timeout_ms = o->timeout_ms;
	if (getrandom(m->servers.local.session, 16, 0) != 16 ||
	    getrandom(&m->servers.local.boot, 8, 0) != 8)
		return failure_set(f, -EIO, p->point, NULL,
				   "the kernel gives no random numbers");
	clear_dead(p->point);
	ret = servers_load_identity(&m->servers, f);
	return ret ? ret : inumbers_new(&m->numbers, p->numbers, f);
}

static void on_signal(struct watch *w, u32 events)
{
	struct process *p = (struct process *)((char *)w -
					       offsetof(struct process, signals));
	struct signalfd_siginfo info;

	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		loop_stop(p->mount.loop);
}

static void callers_known(void *servers)
{
	servers_send_queues(servers);
}

static int start(struct process *p, const struct options *o, struct failure *f)
{
	struct mount *m = &p->mount;
	struct rlimit r;
	sigset_t set;

	/* Every volume's server takes a descriptor, every user's file none. */
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	/* Requests of a MiB come and go; given back to the kernel in between,
	 * their buffers would cost 256 page faults every time.
	 */
	mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m->loop = m->servers.loop = loop_new();
	m->servers.inodes = inodes_new();
	m->servers.names = m->loop ? names_new(m->loop, callers_known,
					       &m->servers) :
				     NULL;
	p->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	p->signals.ready = on_signal;
	if (!m->servers.names || !m->servers.inodes || p->signals.fd < 0 ||
	    loop_watch(m->loop, &p->signals, EPOLLIN))
		return failure_set(f, -ENOMEM, m->point, NULL, "out of memory");
	volumes_load(m);
	return device_open(m, o->flags, f);
}

static void finish(struct process *p)
{
	struct mount *m = &p->mount;

	device_detach(m);
	m->servers.ending = true;
	names_free(m->servers.names);
	servers_free(&m->servers);
	volumes_free(m);
	device_close(m);
	inodes_free(m->servers.inodes);
	inumbers_free(m->numbers);
	if (m->loop)
		loop_unwatch(m->loop, &p->signals);
	loop_free(m->loop);
}

static int foreground(struct process *p, const struct options *o)
{
	struct failure f = { 0 };
	int ret = start(p, o, &f);

	if (ret) {
		failure_print(&f, stderr);
	} else {
		log_notice("mounted on %s", p->mount.point);
		sd_notify(0, "READY=1");
		ret = loop_run(p->mount.loop);
		sd_notify(0, "STOPPING=1");
	}
	finish(p);
	return ret ? EXIT_MOUNT : 0;
}

/* The background process: its own session, nothing of the caller's kept open,
 * messages into a file beside the state.
 */
static void leave_caller(const struct process *p)
{
	char path[PATH_MAX + 16];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log;

	snprintf(path, sizeof(path), "%s/mount.log", p->state);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (log >= 0 || null >= 0)
		dup2(log >= 0 ? log : null, STDERR_FILENO);
	if (chdir("/"))
		log_warning("/: %s", strerror(errno));
}

/* Forks; the caller goes when the child has mounted or said why not. */
static int background(struct process *p, const struct options *o)
{
	struct failure f = { 0 };
	int status, fds[2];
	char ok;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0) {
		perror("virgo: mount");
		return EXIT_MOUNT;
	}
	if (pid == 0) {
		close(fds[0]);
		status = start(p, o, &f);
		if (status) {
			failure_print(&f, stderr);
			finish(p);
			return EXIT_MOUNT;
		}
		/* Not before: autofs lets only the group of processes that
		 * mounts for it pass, others wait for the mount to be there.
		 */
		setsid();
		leave_caller(p);
		log_notice("mounted on %s", p->mount.point);
		ok = 0;
		if (write(fds[1], &ok, 1) != 1)
			log_warning("the caller has gone");
		close(fds[1]);
		status = loop_run(p->mount.loop);
		finish(p);
		return status ? EXIT_MOUNT : 0;
	}
	close(fds[1]);
	if (read(fds[0], &ok, 1) == 1)
		return 0;
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status))
		return WEXITSTATUS(status);
	fputs("virgo: mount: it ended before the mount was ready\n", stderr);
	return EXIT_MOUNT;
}

int main(int argc, char **argv)
{
	static struct process p = { .signals.fd = -1 };
	struct failure f = { 0 };
	struct options o;
	int ret;

	stdfds_ensure();
	ret = options_parse(&o, argc, argv);
	if (ret >= 0)
		return ret;
	log_open("mount.virgo", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE);
	if (prepare(&p, &o, &f)) {
		failure_print(&f, stderr);
		ret = EXIT_MOUNT;
	} else if (o.fake) {
		ret = 0;
	} else {
		ret = o.foreground ? foreground(&p, &o) : background(&p, &o);
	}
	options_free(&o);
	return ret;
}
