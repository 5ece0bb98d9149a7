// SPDX-License-Identifier: GPL-2.0-or-later
/* Choice of a node for a job; the contract is in choosing.h. */
#include "choosing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "choose.h"
#include "jobs.h"
#include "loads.h"
#include "service.h"

enum {
	LEARNED_MAX = 1024,  /* nodes of which service times are kept */
	STALE_US = 30000000, /* a load older than this says nothing */
	WHY_MAX = 160,
};

struct learned {
	char node[NODE_NAME_MAX + 1];
	struct choose_learned time;
};

struct choosing {
	struct node *node;
	u32 turn;
	struct learned *learned;
	u32 learned_count;
};

struct candidate {
	const struct member *member; /* NULL: no such node */
	char name[NODE_NAME_MAX + 1];
	char why[WHY_MAX];
};

/* One decision in the making. */
struct choice {
	struct candidate *candidate;
	struct choose_node *node; /* beside it */
	u32 *order;
	u32 count, room;
};

static const char *const policy_names[CHOOSE_POLICIES] = { "service", "idle",
							   "round-robin",
							   "random" };

static u32 random32(void *arg)
{
	u32 r = 0;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r = (u32)loop_clock_us();
	return r;
}

static bool policy_named(const char *name, enum choose_policy *out)
{
	u32 i;

	*out = CHOOSE_SERVICE;
	for (i = 0; i < CHOOSE_POLICIES; i++)
		if (!strcmp(name, policy_names[i]))
			*out = i;
	return !name[0] || !strcmp(name, policy_names[*out]);
}

/* ---- what was learned ---- */

static struct learned *learned_of(struct choosing *c, const char *node)
{
	u32 i;

	for (i = 0; i < c->learned_count; i++)
		if (!strcmp(c->learned[i].node, node))
			return &c->learned[i];
	return NULL;
}

/* A place for @node: a new one, or that of the longest unused. */
static struct learned *learned_new(struct choosing *c, const char *node)
{
	struct learned *l = &c->learned[0];
	u32 i;

	if (c->learned_count < LEARNED_MAX)
		l = &c->learned[c->learned_count++];
	else
		for (i = 1; i < LEARNED_MAX; i++)
			if (c->learned[i].time.at_us < l->time.at_us)
				l = &c->learned[i];
	memset(l, 0, sizeof(*l));
	snprintf(l->node, sizeof(l->node), "%s", node);
	return l;
}

/* A job of a caller here has ended on @node. */
static void served(void *arg, const char *node, u64 took_us)
{
	struct choosing *c = arg;
	struct learned *l = learned_of(c, node);

	if (!l)
		l = learned_new(c, node);
	choose_learn(&l->time, loop_clock_us(), took_us);
}

static u64 mean_service(const struct choosing *c)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < c->learned_count; i++)
		sum += c->learned[i].time.service_us;
	return c->learned_count ? sum / c->learned_count : 1000;
}

/* ---- candidates ---- */

static void judge(struct choosing *c, struct candidate *k,
		  struct choose_node *n, u64 mean_us)
{
	const struct member *m = k->member;
	u64 now = loop_clock_us();
	struct learned *l = learned_of(c, k->name);
	struct load load;
	bool stale;

	memset(n, 0, sizeof(*n));
	if (!m || m->state != SWIM_UP || m->draining) {
		snprintf(k->why, sizeof(k->why), "%s",
			 m ? member_state_name(m) : "no such node");
		return;
	}
	load = m->self ? loads_now(c->node->loads) : m->load;
	stale = !m->self && (!m->heard_us || now - m->heard_us > STALE_US);
	n->fit = true;
	n->cpus = load.cpus;
	n->idle_ppm = stale ? CHOOSE_IDLE_UNKNOWN : load.idle_ppm;
	/* Only what callers here have asked for: the count that it tells itself
	 * is a second old and has our own jobs that have ended since. Other
	 * callers' jobs show in how idle it is.
	 */
	n->in_flight = c->node->jobs ? jobs_in_flight(c->node->jobs, k->name)
				     : 0;
	n->service_us = l ? choose_expect(&l->time, now, mean_us) : mean_us;
	snprintf(k->why, sizeof(k->why),
		 "%u in flight, %u CPU%s, %u.%u %% idle%s, service %llu.%03llu "
		 "ms%s",
		 n->in_flight, n->cpus, n->cpus == 1 ? "" : "s",
		 n->idle_ppm / 10000, n->idle_ppm / 1000 % 10,
		 stale ? " (assumed)" : "",
		 (unsigned long long)n->service_us / 1000,
		 (unsigned long long)n->service_us % 1000,
		 l ? "" : " (assumed)");
}

static bool add(struct choice *ch, const char *name, const struct member *m)
{
	struct candidate *k;
	u32 i;

	for (i = 0; i < ch->count; i++)
		if (!strcmp(ch->candidate[i].name, name))
			return true;
	if (ch->count == ch->room) {
		u32 room = ch->room ? ch->room * 2 : 16;
		struct candidate *more =
			realloc(ch->candidate, room * sizeof(*more));

		if (!more)
			return false;
		ch->candidate = more;
		ch->room = room;
	}
	k = &ch->candidate[ch->count++];
	k->member = m;
	snprintf(k->name, sizeof(k->name), "%s", name);
	return true;
}

/* True when one of the node's addresses is @text, or @text with some port. */
static bool has_address(const struct member *m, const char *text)
{
	size_t len = strlen(text);
	const char *at = m->addresses;

	while (len && (at = strstr(at, text))) {
		char before = at == m->addresses ? ',' : at[-1];
		char after = at[len];

		if (before == '[' && after == ']')
			return true;
		if (before == ',' && (!after || after == ',' || after == ':'))
			return true;
		at++;
	}
	return false;
}

static bool add_all(struct choosing *c, struct choice *ch)
{
	const struct member *m;
	size_t at = 0;

	while ((m = membership_next(c->node->membership, &at)))
		if (!add(ch, m->name, m))
			return false;
	return true;
}

static bool add_one(struct choosing *c, struct choice *ch, const char *text)
{
	const struct member *m = membership_find(c->node->membership, text);
	size_t at = 0;

	if (!strcmp(text, "*"))
		return add_all(c, ch);
	if (m)
		return add(ch, m->name, m);
	while ((m = membership_next(c->node->membership, &at)))
		if (has_address(m, text))
			return add(ch, m->name, m);
	return add(ch, text, NULL);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct candidate *)a)->name,
		      ((const struct candidate *)b)->name);
}

static bool collect(struct choosing *c, struct choice *ch, const char *list)
{
	char one[NODE_NAME_MAX + 256];
	bool good = list[0] ? true : add_all(c, ch);

	while (*list && good) {
		size_t len;

		list += strspn(list, ", ");
		len = strcspn(list, ", ");
		if (len && len < sizeof(one)) {
			memcpy(one, list, len);
			one[len] = '\0';
			good = add_one(c, ch, one);
		}
		list += len;
	}
	/* So that round robin does not depend on how the list was written. */
	if (ch->count)
		qsort(ch->candidate, ch->count, sizeof(*ch->candidate),
		      by_name);
	return good;
}

static void choice_end(struct choice *ch)
{
	free(ch->candidate);
	free(ch->node);
	free(ch->order);
}

static int none_fit(const struct choice *ch, struct failure *f)
{
	char list[200] = "";
	size_t at = 0;
	u32 i;

	for (i = 0; i < ch->count && at < sizeof(list); i++) {
		const struct candidate *k = &ch->candidate[ch->order[i]];

		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s: %s",
				       i ? ", " : "", k->name, k->why);
	}
	return failure_set(f, -EHOSTDOWN, "choice of a node", "virgo status",
			   "no node can take the job (%s)",
			   ch->count ? list : "none named");
}

/* Ranks the candidates; 0, or a negative errno and @f. */
static int decide(struct choosing *c, const char *policy, const char *list,
		  struct choice *ch, struct failure *f)
{
	u64 mean_us = mean_service(c);
	enum choose_policy p;
	u32 i, fit = 0, look;

	if (!policy_named(policy, &p))
		return failure_set(f, -EINVAL, "choice of a node",
				   "service, idle, round-robin or random",
				   "no policy '%s'", policy);
	if (!collect(c, ch, list))
		return failure_set(f, -ENOMEM, "choice of a node", NULL,
				   "out of memory");
	ch->node = calloc(ch->count + 1, sizeof(*ch->node));
	ch->order = calloc(ch->count + 1, sizeof(*ch->order));
	if (!ch->node || !ch->order)
		return failure_set(f, -ENOMEM, "choice of a node", NULL,
				   "out of memory");
	for (i = 0; i < ch->count; i++) {
		judge(c, &ch->candidate[i], &ch->node[i], mean_us);
		fit += ch->node[i].fit;
	}
	look = fit > CHOOSING_ALL_MAX &&
			       (p == CHOOSE_SERVICE || p == CHOOSE_IDLE)
		       ? 2
		       : 0;
	c->turn++;
	choose_score(p, ch->node, ch->count, c->turn, random32, NULL);
	choose_rank(ch->node, ch->count, c->turn, look, random32, NULL,
		    ch->order);
	return fit ? 0 : none_fit(ch, f);
}

int choosing_pick(struct choosing *c, const char *policy,
		  const char *candidates, char name[64], struct failure *f)
{
	struct choice ch = { 0 };
	int ret = decide(c, policy, candidates, &ch, f);

	if (!ret)
		snprintf(name, 64, "%s", ch.candidate[ch.order[0]].name);
	choice_end(&ch);
	return ret;
}

/* ---- the service ---- */

static struct rec_choice row_of(const struct choice *ch, u32 rank)
{
	u32 at = ch->order[rank];
	const struct choose_node *n = &ch->node[at];

	return (struct rec_choice){ .name = span_of(ch->candidate[at].name),
				    .score = n->score,
				    .in_flight = n->in_flight,
				    .service_us = n->service_us,
				    .idle_ppm = n->idle_ppm,
				    .why = span_of(ch->candidate[at].why) };
}

static void reply(struct request *r, const struct choice *ch)
{
	struct msg_chosen m = { 0 };
	struct wcursor c;
	size_t len = 0;
	u8 *list;
	u32 i;

	for (i = 0; i < ch->count; i++) {
		struct rec_choice row = row_of(ch, i);

		len += 4 + rec_choice_size(&row);
	}
	list = malloc(len + 1);
	if (!list) {
		request_fail(r, -ENOMEM, "choice of a node", NULL,
			     "out of memory");
		return;
	}
	c = wcursor_of(list, len);
	for (i = 0; i < ch->count; i++) {
		struct rec_choice row = row_of(ch, i);

		rec_choice_append(&c, &row);
	}
	m.nodes = (struct span){ list, (u32)len };
	request_reply(r, CHOSEN, chosen, &m);
	free(list);
}

static void serve_choose(struct request *r)
{
	struct choosing *c = r->node->choosing;
	struct choice ch = { 0 };
	char policy[32] = "", *list;
	struct msg_choose m;
	struct failure f;

	if (!request_decode(r, choose, &m))
		return;
	if (!r->node->membership) {
		request_fail(r, -ENOENT, "choice of a node",
			     "virgo init or virgo join",
			     "this machine belongs to no cloud");
		return;
	}
	list = strndup(m.candidates.len ? (const char *)m.candidates.data : "",
		       m.candidates.len);
	if (m.policy.len && !span_to_cstr(m.policy, policy, sizeof(policy)))
		snprintf(policy, sizeof(policy), "?");
	if (!list)
		request_fail(r, -ENOMEM, "choice of a node", NULL,
			     "out of memory");
	else if (decide(c, policy, list, &ch, &f))
		request_fail_with(r, &f);
	else
		reply(r, &ch);
	choice_end(&ch);
	free(list);
}

static const struct service services[] = {
	{ MSG_CHOOSE, FROM_LOCAL, serve_choose },
};

struct choosing *choosing_new(struct node *n)
{
	struct choosing *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->learned = calloc(LEARNED_MAX, sizeof(*c->learned));
	if (!c->learned) {
		free(c);
		return NULL;
	}
	c->node = n;
	if (n->jobs)
		jobs_on_served(n->jobs, served, c);
	service_add(n, services, ARRAY_SIZE(services));
	return c;
}

void choosing_free(struct choosing *c)
{
	if (!c)
		return;
	free(c->learned);
	free(c);
}
