// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When to compress what; see reclaim.h. A sample each second says whether memory
 * is short and lets every chunk's idle count grow; then the exports are gone
 * through once, in steps of at most STEP_US, and what is cold is packed.
 */
#include "reclaim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "pack.h"

enum {
	SAMPLE_US = 1000000,
	STEP_US = 250, /* a request that comes meanwhile waits no longer */
	PAUSE_US = 5000, /* between steps: 5 % of a processor */
	PAUSE_SHORT_US = 500,
	VISIT_MAX = 32768, /* chunks looked at in a step */
	SHORT_S = 10, /* unused for so long is cold while memory is short */
	PSI_SHORT = 20, /* per cent of the last 10 s in which somebody waited */
	PSI_US = 10000000,
};

struct reclaim {
	struct server *server;
	struct timer timer;
	u64 cold_ms;
	u64 headroom_bytes;
	u64 sampled_us;
	u64 aged_us;
	bool memory_short;
	bool walking;
	u64 stalls; /* the kernel's count when last looked at */
	u64 stalled_us; /* when it last grew; 0: never */
	u32 at; /* place of the export in the pool's table */
	u64 chunk;
};

/* A unit of the idle counts: so long that a cold chunk's fits them. */
static u64 unit_us(const struct reclaim *r)
{
	u64 us = r->cold_ms * 1000 / 200;

	return us > SAMPLE_US ? us : SAMPLE_US;
}

/* Units after which a chunk is cold. */
static u32 cold_units(const struct reclaim *r)
{
	u64 us = r->cold_ms * 1000;

	if (r->memory_short && (!us || us > SHORT_S * 1000000ull))
		us = SHORT_S * 1000000ull;
	if (!us)
		return 255; /* no count is */
	return (u32)((us + unit_us(r) - 1) / unit_us(r));
}

/* The beginning of a file of the kernel's; false when there is none. */
static bool text_in(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

/* The number behind @key in such a file; false when there is none. */
static bool number_in(const char *path, const char *key, double *out)
{
	char text[4096];
	const char *at;

	if (!text_in(path, text, sizeof(text)))
		return false;
	at = strstr(text, key);
	if (!at)
		return false;
	*out = strtod(at + strlen(key), NULL);
	return true;
}

/* How often anybody had to wait until the machine, not a cgroup at its own limit,
 * had memory again: what the kernel counts as allocstall, a zone a line.
 */
static u64 machine_stalls(void)
{
	static const char key[] = "\nallocstall";
	char text[16384];
	const char *at = text;
	u64 sum = 0;

	if (!text_in("/proc/vmstat", text, sizeof(text)))
		return 0;
	while ((at = strstr(at, key))) {
		at += sizeof(key) - 1;
		sum += strtoull(at + strcspn(at, " \n"), NULL, 10);
	}
	return sum;
}

/* Pressure counts who waits at the limit of a cgroup as well, and giving memory
 * back does nothing for those.
 */
static bool machine_waits(struct reclaim *r, u64 now)
{
	u64 stalls = machine_stalls();
	double percent;

	if (stalls != r->stalls)
		r->stalled_us = now;
	r->stalls = stalls;
	return r->stalled_us && now - r->stalled_us < PSI_US &&
	       number_in("/proc/pressure/memory", "some avg10=", &percent) &&
	       percent >= PSI_SHORT;
}

static bool is_short(struct reclaim *r, u64 now)
{
	bool waits;
	double kib;

	if (!r->headroom_bytes)
		return false;
	waits = machine_waits(r, now);
	return waits ||
	       (number_in("/proc/meminfo", "MemAvailable:", &kib) &&
		(u64)kib << 10 < r->headroom_bytes);
}

static void age(struct reclaim *r)
{
	struct export *e;
	u32 at = 0;
	u64 i;

	while ((e = pool_next(r->server->pool, &at)))
		for (i = 0; i * CHUNK_BYTES < e->size; i++)
			e->idle[i] += e->idle[i] < IDLE_MAX;
}

static void sample(struct reclaim *r, u64 now)
{
	bool was = r->memory_short;

	r->sampled_us = now;
	r->memory_short = is_short(r, now);
	if (was != r->memory_short)
		log_notice(was ? "memory is not short any more" :
				 "memory is short: what is cold is compressed");
	if (now - r->aged_us >= unit_us(r)) {
		r->aged_us = now;
		age(r);
		r->walking = cold_units(r) <= IDLE_MAX;
		r->at = 0;
		r->chunk = 0;
	}
}

static bool is_cold(const struct export *e, u64 chunk, u32 units)
{
	return e->idle[chunk] >= units && e->idle[chunk] != IDLE_TRIED &&
	       !chunk_packed(e, chunk);
}

/* One step of the walk; false at its end. */
static bool walk(struct reclaim *r)
{
	u64 until = loop_clock_us() + STEP_US;
	u32 units = cold_units(r);
	u32 visits = 0;
	u32 next = r->at;
	struct export *e;

	while ((e = pool_next(r->server->pool, &next))) {
		/* Another export than before the pause: from its beginning. */
		if (next - 1 != r->at)
			r->chunk = 0;
		r->at = next - 1;
		for (; r->chunk * CHUNK_BYTES < e->size; r->chunk++) {
			u64 offset = r->chunk * CHUNK_BYTES;

			if (++visits > VISIT_MAX)
				return true;
			if (!is_cold(e, r->chunk, units) ||
			    server_uses(r->server, e, offset, CHUNK_BYTES) ||
			    !pack_chunk(e, r->chunk))
				continue;
			if (loop_clock_us() >= until)
				return true;
		}
		r->at = next;
		r->chunk = 0;
	}
	return false;
}

static void on_timer(struct timer *t)
{
	struct reclaim *r = (struct reclaim *)((char *)t -
					       offsetof(struct reclaim, timer));
	u64 now = loop_clock_us();

	if (now - r->sampled_us >= SAMPLE_US)
		sample(r, now);
	if (r->walking)
		r->walking = walk(r);
	loop_arm(r->server->loop, t, !r->walking ? SAMPLE_US :
		 r->memory_short ? PAUSE_SHORT_US : PAUSE_US);
}

struct reclaim *reclaim_new(struct server *s, u64 cold_ms, u64 headroom_bytes)
{
	struct reclaim *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->server = s;
	r->cold_ms = cold_ms;
	r->headroom_bytes = headroom_bytes;
	r->stalls = machine_stalls();
	r->timer.fire = on_timer;
	r->sampled_us = r->aged_us = loop_clock_us();
	loop_arm(s->loop, &r->timer, SAMPLE_US);
	return r;
}

void reclaim_free(struct reclaim *r)
{
	if (!r)
		return;
	loop_disarm(r->server->loop, &r->timer);
	free(r);
}

void reclaim_set_headroom(struct reclaim *r, u64 bytes)
{
	if (!r->headroom_bytes)
		r->stalls = machine_stalls(); /* what was before is no news */
	r->headroom_bytes = bytes;
}

bool reclaim_is_short(const struct reclaim *r)
{
	return r->memory_short;
}
