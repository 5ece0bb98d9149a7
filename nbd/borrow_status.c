// SPDX-License-Identifier: GPL-2.0-or-later
/* What is borrowed, for people and for programs; see borrow_status.h. */
#include "borrow_status.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "borrow.h"
#include "swap_area.h"

struct printing {
	bool swap;
	bool json;
	int guard; /* -1: none answers */
	u32 count;
};

/* Without starting one, and without the right to ask it states are unknown. */
static int reach_guard(const char *state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[4096];
	int fd;

	if (guard_path(state, path, sizeof(path)))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	strcpy(sa.sun_path, path);
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	close(fd);
	return -1;
}

static const struct mirror_leg *part_of(const struct mirror *m, int index)
{
	u32 i;

	for (i = 0; i < m->legs; i++)
		if (m->leg[i].index == index)
			return &m->leg[i];
	return NULL;
}

static const char *data_of(const struct mirror_leg *l)
{
	return !l ? "none" : l->faulty ? "lost" : l->in_sync ? "whole" :
							       "copying";
}

static const char *health(const struct mirror *m, bool sound, char *out,
			  size_t size)
{
	if (!sound)
		snprintf(out, size, "lost: no lender has its data");
	else if (m->busy)
		snprintf(out, size, "copying, %u %%", m->done_ppm / 10000);
	else if (m->degraded)
		snprintf(out, size, "a lender is missing");
	else
		snprintf(out, size, "whole");
	return out;
}

static const struct guard_leg *of_guard(const struct guard_leg *g, u32 count,
					u32 number)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (g[i].number == number)
			return &g[i];
	return NULL;
}

/* Whether some leg holds all data and may still answer. */
static bool is_sound(const struct printing *p, const struct record *r,
		     const struct mirror *m, const struct guard_leg *g,
		     u32 count)
{
	u32 i;

	for (i = 0; i < r->legs; i++) {
		const struct mirror_leg *l = part_of(m, r->leg[i].index);
		const struct guard_leg *k = of_guard(g, count,
						     r->leg[i].number);

		if (l && l->in_sync && !l->faulty &&
		    (p->guard < 0 || !k || k->state != LEG_LOST))
			return true;
	}
	return false;
}

static void print_leg(const struct printing *p, const struct record_leg *l,
		      const struct guard_leg *g, const struct mirror_leg *m,
		      bool first)
{
	const char *link = g ? leg_state_name(g->state) : "unknown";

	if (p->json)
		printf("%s{\"lender\": \"%s\", \"device\": \"nbd%d\", "
		       "\"link\": \"%s\", \"data\": \"%s\", "
		       "\"leaving\": %s, \"reconnects\": %u}",
		       first ? "" : ", ", l->lender, l->index, link,
		       data_of(m), l->leaving ? "true" : "false",
		       g ? g->reconnects : 0);
	else
		printf("  %-16s nbd%-4d %-10s %s%s\n", l->lender, l->index,
		       link, data_of(m), l->leaving ? ", leaving" : "");
}

static int print_one(struct record *r, void *arg)
{
	struct guard_leg legs[MIRROR_LEGS_MAX];
	struct printing *p = arg;
	struct mirror m = { 0 };
	char device[64], text[64];
	bool there;
	u32 count;
	s64 used;
	u32 i;

	if (r->swap != p->swap)
		return 0;
	there = !mirror_look(r->md, &m);
	count = p->guard >= 0 ? borrow_guard_legs(p->guard, r->name, legs) : 0;
	record_device(r, device, sizeof(device));
	used = r->swap ? swap_area_used(device) : -1;
	if (p->json)
		printf("%s{\"name\": \"%s\", \"device\": \"%s\", "
		       "\"bytes\": %llu, \"used_bytes\": %lld, \"mirror\": %u, "
		       "\"sealed\": %s, \"degraded\": %u, "
		       "\"copying_ppm\": %lld, \"lost\": %u, "
		       "\"lost_lender\": \"%s\", \"lost_why\": \"%s\", "
		       "\"legs\": [",
		       p->count ? ", " : "", r->name, device,
		       (unsigned long long)r->bytes, (long long)used, r->mirror,
		       r->seal ? "true" : "false", m.degraded,
		       m.busy ? (long long)m.done_ppm : -1, r->lost,
		       r->lost_lender, r->lost_why);
	else if (!there)
		printf("%s: %llu MiB, not put together\n", r->name,
		       (unsigned long long)(r->bytes >> 20));
	else
		printf("%s: %s, %llu MiB, %s%s\n", r->name, device,
		       (unsigned long long)(r->bytes >> 20),
		       r->seal ? "sealed, " : "",
		       health(&m, is_sound(p, r, &m, legs, count), text,
			      sizeof(text)));
	if (!p->json && used >= 0)
		printf("  %lld MiB in use\n", (long long)(used >> 20));
	if (!p->json && r->lost)
		printf("  lost so far: %u, the last one of %s: %s\n", r->lost,
		       r->lost_lender, r->lost_why);
	for (i = 0; i < r->legs; i++)
		print_leg(p, &r->leg[i], of_guard(legs, count,
						  r->leg[i].number),
			  part_of(&m, r->leg[i].index), !i);
	if (p->json)
		printf("]}");
	p->count++;
	return 0;
}

int borrow_status(const char *state, bool swap, bool json)
{
	struct printing p = { .swap = swap, .json = json,
			      .guard = reach_guard(state) };

	if (json)
		printf("[");
	records_each(state, print_one, &p);
	if (json)
		printf("]\n");
	else if (!p.count)
		printf("nothing is borrowed\n");
	if (p.guard >= 0)
		close(p.guard);
	return fflush(stdout) ? 1 : 0;
}
