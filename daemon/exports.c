// SPDX-License-Identifier: GPL-2.0-or-later
/* The file service's life; the contract is in exports.h. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "exports_impl.h"
#include "log.h"

enum {
	WORKERS_MAX = 16,
	TICK_US = 50000, /* while something is parked or paused */
	SWEEP_US = 2000000,
	IDLE_US = 5000000, /* then a cached descriptor is closed */
	DESCRIPTORS_MAX = 8192,
	KEPT_BYTES = 16 << 20,
};

struct node *exports_node(struct exports *e)
{
	return e->node;
}

void exports_tick_later(struct exports *e)
{
	if (!timer_armed(&e->tick) && (e->parked || e->paused))
		loop_arm(e->node->loop, &e->tick, TICK_US);
}

static void on_tick(struct timer *t)
{
	struct exports *e = (struct exports *)((char *)t -
					       offsetof(struct exports, tick));
	struct filesession *s;

	exports_job_retry(e);
	for (s = e->sessions; s; s = s->next)
		exports_session_resume(s);
	exports_tick_later(e);
}

static void on_sweep(struct timer *t)
{
	struct exports *e = (struct exports *)((char *)t -
					       offsetof(struct exports, sweep));

	descriptors_sweep(e->descriptors, loop_now_us(e->node->loop) - IDLE_US);
	loop_arm(e->node->loop, &e->sweep, SWEEP_US);
}

/* The node's key for handles: without it all handles of before are stale. */
static int load_key(struct exports *e, struct failure *f)
{
	char path[4096];
	char fresh[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/exports.key", e->node->state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, e->key, sizeof(e->key));
		close(fd);
		if (n == sizeof(e->key))
			return 0;
		log_warning("%s is damaged; it is made anew, and clients must "
			    "mount again", path);
	}
	if (getrandom(e->key, sizeof(e->key), 0) != sizeof(e->key))
		return failure_set(f, -EIO, path, NULL,
				   "the kernel gives no random numbers");
	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return failure_set(f, -ENAMETOOLONG, path, NULL,
				   "the path is too long");
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, e->key, sizeof(e->key)) != sizeof(e->key) ||
	    fsync(fd) || rename(fresh, path)) {
		failure_set(f, -errno, path, NULL, "cannot write: %s",
			    strerror(errno));
		if (fd >= 0)
			close(fd);
		return f->code;
	}
	close(fd);
	return 0;
}

/*
 * What changes when written data may have been lost. That is the machine's boot,
 * not virgod's start: what virgod wrote stays with the kernel when it dies.
 */
static u64 boot_verifier(const struct node *n)
{
	char text[BOOT_ID_SIZE];
	u64 v = 0xcbf29ce484222325ull; /* FNV-1a */
	size_t i;

	boot_id(text);
	if (!text[0])
		return n->local.boot;
	for (i = 0; text[i]; i++)
		v = (v ^ (u8)text[i]) * 0x100000001b3ull;
	return v;
}

static bool session_lives(void *arg, const u8 id[16])
{
	const struct exports *e = arg;
	const struct filesession *s = e->sessions;

	while (s && memcmp(s->id, id, sizeof(s->id)))
		s = s->next;
	return s;
}

/* Who has not come back after the last virgod by now will not. */
static void on_grace(struct timer *t)
{
	struct exports *e = (struct exports *)((char *)t -
					       offsetof(struct exports, grace));

	replies_sweep(e->node->state, session_lives, e);
}

static size_t descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur / 4 > DESCRIPTORS_MAX)
		return DESCRIPTORS_MAX;
	return r.rlim_cur / 4;
}

int exports_new(struct exports **out, struct node *n, struct failure *f)
{
	struct exports *e = calloc(1, sizeof(*e));
	struct timespec now;
	int ret;

	if (!e)
		return failure_set(f, -ENOMEM, "files", NULL, "out of memory");
	/* Buffers of a MiB come and go with each read and write; given back to
	 * the kernel in between, they would cost 256 page faults every time.
	 */
	mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	e->node = n;
	e->verifier = boot_verifier(n);
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	e->started_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
	e->past = replies_past_read(n->state, e->verifier);
	e->tick.fire = on_tick;
	e->sweep.fire = on_sweep;
	e->grace.fire = on_grace;
	e->descriptors = descriptors_new(descriptor_limit());
	e->workers = workers_new(n->loop, WORKERS_MAX, fscred_start);
	ret = e->descriptors && e->workers ?
		      load_key(e, f) :
		      failure_set(f, -ENOMEM, "files", NULL, "out of memory");
	if (ret) {
		exports_free(e);
		return ret;
	}
	loop_arm(n->loop, &e->sweep, SWEEP_US);
	loop_arm(n->loop, &e->grace, FILESESSION_GRACE_MS * 1000ull);
	exports_take_requests(e);
	*out = e;
	return 0;
}

void exports_free(struct exports *e)
{
	size_t i;

	if (!e)
		return;
	workers_free(e->workers);
	while (e->sessions) {
		struct filesession *s = e->sessions;

		while (s->running) {
			struct job *j = s->running;

			exports_job_unlink(j);
			job_free(j);
		}
		loop_disarm(e->node->loop, &s->grace);
		e->sessions = s->next;
		/* Its client may ask the next virgod. */
		filesession_free(s, false);
	}
	for (i = 0; i < e->volume_count; i++)
		volume_put(e->volumes[i]);
	free(e->volumes);
	loop_disarm(e->node->loop, &e->tick);
	loop_disarm(e->node->loop, &e->sweep);
	loop_disarm(e->node->loop, &e->grace);
	descriptors_free(e->descriptors);
	replies_past_free(e->past);
	free(e);
}
