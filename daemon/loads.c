// SPDX-License-Identifier: GPL-2.0-or-later
/* Sampling of this node's load; the contract is in loads.h. */
#include "loads.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs.h"
#include "log.h"
#include "service.h"

enum { SAMPLE_US = 1000000, TEXT_MAX = 8192 };

struct loads {
	struct node *node;
	struct timer timer;
	struct load now;
	u64 busy, idle;	 /* processor time up to the last sample */
	bool source_bad; /* has been said */
};

/* The beginning of a file as a string; false when it cannot be read. */
static bool slurp(const char *path, char text[TEXT_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

bool loads_parse_stat(const char *text, u64 *busy, u64 *idle)
{
	unsigned long long user, nice, system, idling, waiting, rest[3] = { 0 };

	/* The kernel counts guests in user time already. */
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user,
		   &nice, &system, &idling, &waiting, &rest[0], &rest[1],
		   &rest[2]) < 5)
		return false;
	*busy = user + nice + system + rest[0] + rest[1] + rest[2];
	*idle = idling + waiting;
	return true;
}

static void sample_processors(struct loads *l)
{
	char text[TEXT_MAX];
	u64 busy, idle, spent;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	l->now.cpus = cpus > 0 ? (u32)cpus : 1;
	if (!slurp("/proc/stat", text) || !loads_parse_stat(text, &busy, &idle))
		return;
	/* The idle count may step back a little on some kernels. */
	spent = busy + idle - l->busy - l->idle;
	if (spent && busy >= l->busy && idle >= l->idle)
		l->now.idle_ppm = (u32)((idle - l->idle) * 1000000 / spent);
	l->busy = busy;
	l->idle = idle;
}

static void sample_memory(struct loads *l)
{
	char text[TEXT_MAX];
	unsigned long long all, free;
	const char *at;

	if (!slurp("/proc/meminfo", text) ||
	    sscanf(text, "MemTotal: %llu kB", &all) != 1)
		return;
	l->now.memory_bytes = all << 10;
	at = strstr(text, "MemAvailable:");
	if (at && sscanf(at, "MemAvailable: %llu kB", &free) == 1)
		l->now.memory_free_bytes = free << 10;
}

static void sample_load(struct loads *l)
{
	char text[TEXT_MAX];
	unsigned int whole, hundredths;

	if (slurp("/proc/loadavg", text) &&
	    sscanf(text, "%u.%2u", &whole, &hundredths) == 2)
		l->now.load1_milli = whole * 1000 + hundredths * 10;
}

static bool take_value(struct load *l, const char *name, u64 value)
{
	if (!strcmp(name, "cpus"))
		l->cpus = (u32)value;
	else if (!strcmp(name, "idle_ppm") && value <= 1000000)
		l->idle_ppm = (u32)value;
	else if (!strcmp(name, "load1_milli"))
		l->load1_milli = (u32)value;
	else if (!strcmp(name, "memory_bytes"))
		l->memory_bytes = value;
	else if (!strcmp(name, "memory_free_bytes"))
		l->memory_free_bytes = value;
	else
		return false;
	return true;
}

bool loads_parse_source(const char *text, struct load *l)
{
	unsigned long long value;
	char name[32];
	int used;

	while (*(text += strspn(text, " \t\r\n"))) {
		used = 0;
		if (*text == '#') {
			text += strcspn(text, "\n");
			continue;
		}
		if (sscanf(text, "%31[a-z0-9_] = %llu%n", name, &value,
			   &used) != 2 ||
		    !used || !take_value(l, name, value))
			return false;
		text += used;
	}
	return true;
}

static void sample_source(struct loads *l)
{
	char text[TEXT_MAX], path[4096];
	struct load told = l->now;

	snprintf(path, sizeof(path), "%s/load", l->node->state);
	if (!slurp(path, text))
		return;
	if (loads_parse_source(text, &told)) {
		l->now = told;
		l->source_bad = false;
	} else if (!l->source_bad) {
		log_warning("%s: not lines of \"name = number\"; measured load "
			    "is used",
			    path);
		l->source_bad = true;
	}
}

struct load loads_now(const struct loads *l)
{
	struct load now = l->now;

	now.jobs = l->node->jobs ? jobs_running(l->node->jobs) : 0;
	return now;
}

static void sample(struct timer *t)
{
	struct loads *l =
		(struct loads *)((char *)t - offsetof(struct loads, timer));
	struct load now;

	sample_processors(l);
	sample_memory(l);
	sample_load(l);
	sample_source(l);
	if (l->node->membership) {
		now = loads_now(l);
		membership_set_load(l->node->membership, &now);
	}
	loop_arm(l->node->loop, &l->timer, SAMPLE_US);
}

static void serve_load(struct request *r)
{
	struct load now = loads_now(r->node->loads);
	struct msg_load_reply m = { .cpus = now.cpus,
				    .idle_ppm = now.idle_ppm,
				    .load1_milli = now.load1_milli,
				    .memory_bytes = now.memory_bytes,
				    .memory_free_bytes = now.memory_free_bytes,
				    .jobs = now.jobs,
				    .version = span_of(VIRGO_VERSION) };

	request_reply(r, LOAD_REPLY, load_reply, &m);
}

static const struct service services[] = {
	{ MSG_LOAD, FROM_LOCAL | FROM_PEER, serve_load },
};

struct loads *loads_new(struct node *n)
{
	struct loads *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->node = n;
	l->timer.fire = sample;
	l->now.idle_ppm = 1000000;
	sample(&l->timer); /* the mean since boot, until there is a second one
			    */
	service_add(n, services, ARRAY_SIZE(services));
	return l;
}

void loads_free(struct loads *l)
{
	if (!l)
		return;
	loop_disarm(l->node->loop, &l->timer);
	free(l);
}
