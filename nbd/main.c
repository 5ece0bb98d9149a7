// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-nbd: lends memory of this node as network block devices. One process,
 * one thread, one loop (server.h); with --state the memory itself lies with a
 * holder (holder.h), so that the death of this process loses nothing.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "control.h"
#include "holder.h"
#include "listen.h"
#include "log.h"
#include "options.h"
#include "reclaim.h"
#include "spare.h"
#include "stdfds.h"

struct process {
	struct server server;
	struct listeners listeners;
	struct control *control;
	struct watch signals;
	int pool_fd;
};

static u64 half_of_memory(void)
{
	struct sysinfo i;

	if (sysinfo(&i))
		return 0;
	return (u64)i.totalram * i.mem_unit / 2;
}

static int open_pool(struct process *p, const struct options *o,
		     struct failure *f)
{
	int ret;

	if (o->state) {
		p->pool_fd = holder_get(o->state, &p->server.holder, f);
		if (p->pool_fd < 0)
			return p->pool_fd;
		/* The holder would still have the memory, which is others'. */
		spare_self(SPARE_LENDER);
	} else {
		p->pool_fd = memfd_create("virgo-pool", MFD_CLOEXEC);
		if (p->pool_fd < 0)
			return failure_set(f, -errno, "pool", NULL, "%s",
					   strerror(errno));
	}
	ret = pool_open(&p->server.pool, p->pool_fd,
			o->quota ? o->quota : half_of_memory(), true, f);
	return ret;
}

/* The export of the command line; there already after a restart. */
static int first_export(struct process *p, const struct options *o,
			struct failure *f)
{
	struct export *e;
	int ret;

	if (!o->size)
		return 0;
	e = pool_find(p->server.pool, o->name, strlen(o->name));
	if (e && e->size == o->size)
		return 0;
	if (e)
		return failure_set(f, -EEXIST, o->name,
				   "another --name, or that size",
				   "there is one of %llu bytes already",
				   (unsigned long long)e->size);
	ret = pool_add(p->server.pool, o->name, "", o->size, &e);
	if (!ret)
		return 0;
	return failure_set(f, ret, o->name, NULL, "%s", ret == -EINVAL ?
			   "a name is at most 127 letters, digits and signs "
			   "without '@'" : strerror(-ret));
}

static int open_places(struct process *p, const struct options *o,
		       struct failure *f)
{
	struct listeners *l = &p->listeners;
	int ret;
	u32 i;

	l->plain_on = o->plain_on;
	ret = listen_passed(l, &p->server, f);
	for (i = 0; ret >= 0 && i < o->listens; i++)
		ret = listen_address(l, &p->server, o->listen[i], f);
	for (i = 0; ret >= 0 && i < o->unix_paths; i++)
		ret = listen_unix(l, &p->server, o->unix_path[i], f);
	if (ret >= 0 && !l->count)
		ret = listen_address(l, &p->server, "127.0.0.1", f);
	return ret < 0 ? ret : 0;
}

static int open_control(struct process *p, const struct options *o,
			struct failure *f)
{
	char path[PATH_MAX];

	if (o->control)
		return control_open(&p->control, &p->server, o->control, f);
	if (!o->state)
		return 0;
	snprintf(path, sizeof(path), "%s/run/nbd.sock", o->state);
	return control_open(&p->control, &p->server, path, f);
}

static void signalled(struct watch *w, u32 events)
{
	struct process *p = (struct process *)((char *)w -
					       offsetof(struct process, signals));

	loop_stop(p->server.loop);
}

static int watch_signals(struct process *p, struct failure *f)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->server.loop = loop_new();
	p->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->signals.ready = signalled;
	if (!p->server.loop || p->signals.fd < 0 ||
	    loop_watch(p->server.loop, &p->signals, EPOLLIN))
		return failure_set(f, -ENOMEM, "virgo-nbd", NULL, "%s",
				   strerror(errno));
	return 0;
}

static int prepare(struct process *p, const struct options *o,
		   struct failure *f)
{
	int ret = watch_signals(p, f);

	if (!ret && (o->tls || o->psk))
		ret = secure_keys_load(&p->server.keys, o->tls, o->psk, f);
	if (!ret)
		ret = open_pool(p, o, f);
	if (!ret)
		ret = first_export(p, o, f);
	if (!ret) {
		p->server.reclaim = reclaim_new(&p->server, o->cold_ms,
						o->headroom);
		if (!p->server.reclaim)
			ret = failure_set(f, -ENOMEM, "virgo-nbd", NULL,
					  "out of memory");
	}
	if (!ret)
		ret = open_control(p, o, f);
	if (!ret)
		ret = open_places(p, o, f);
	return ret;
}

static void clean_up(struct process *p)
{
	listen_end(&p->listeners);
	control_close(p->control);
	server_cut(&p->server, NULL);
	reclaim_free(p->server.reclaim);
	pool_close(p->server.pool);
	if (p->pool_fd >= 0)
		close(p->pool_fd);
	if (p->server.holder >= 0)
		close(p->server.holder);
	secure_keys_put(p->server.keys);
	if (p->server.loop)
		loop_unwatch(p->server.loop, &p->signals);
	if (p->signals.fd >= 0)
		close(p->signals.fd);
	loop_free(p->server.loop);
}

static int serve(struct process *p, const struct options *o, struct failure *f)
{
	int ret = prepare(p, o, f);

	if (ret)
		return ret;
	if (!pool_locked(p->server.pool))
		log_warning("pool: not locked in memory, may be swapped: no "
			    "right to lock (CAP_IPC_LOCK, or ulimit -l)");
	sd_notify(0, "READY=1");
	log_info("%u exports ready", pool_count(p->server.pool));
	ret = loop_run(p->server.loop);
	if (ret)
		failure_set(f, ret, "virgo-nbd", NULL, "%s", strerror(-ret));
	sd_notify(0, "STOPPING=1");
	return ret;
}

int main(int argc, char **argv)
{
	static struct process p = { .pool_fd = -1,
				    .server.holder = -1,
				    .signals.fd = -1 };
	struct failure f = { 0 };
	struct options o;
	int ret;

	stdfds_ensure();
	ret = options_parse(&o, argc, argv);
	if (ret >= 0)
		return ret;
	log_open("virgo-nbd", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE);
	p.server.max = o.connections;
	p.server.tls = o.tls;
	p.server.psk = o.psk;
	ret = o.forget ? holder_forget(o.state, &f) : serve(&p, &o, &f);
	clean_up(&p);
	if (ret)
		failure_print(&f, stderr);
	return ret ? 1 : 0;
}
