// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Membership on the loop; the contract is in membership.h.
 *
 * Datagrams come from udp.c, are opened by seal.c and go into core/swim.h,
 * whose own go the other way. What the state machine reports is noted while it
 * runs and told to watchers afterwards (settle), so that a watcher may add and
 * remove nodes. The order of entry[] is that of numbers, as in the state
 * machine.
 */
#include "membership.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "log.h"
#include "membership_impl.h"
#include "state.h"

enum {
	SUSPICIONS = 1024,
	UPDATES = 1024,
	EPOCH_2020_S = 1577836800,
};

static struct membership *of_timer(struct timer *t)
{
	return (struct membership *)((char *)t -
				     offsetof(struct membership, timer));
}

/* FNV-1a with a final mix, so that names that differ little spread out. */
u64 membership_number(const char *name)
{
	u64 h = 0xcbf29ce484222325;

	for (; *name; name++)
		h = (h ^ (u8)*name) * 0x100000001b3;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
	h ^= h >> 33;
	return h ? h : 1;
}

const char *member_state_name(const struct member *m)
{
	static const char *const names[] = { "unknown", "up", "suspect",
					     "down" };

	if (m->state == SWIM_UP && m->draining)
		return "draining";
	return names[m->state];
}

void membership_pack_load(const struct load *l, u8 out[SWIM_DIGEST_MAX])
{
	u32 centi = l->load1_milli / 10;

	put_u16(out, (u16)(l->cpus < 0xffff ? l->cpus : 0xffff));
	put_u16(out + 2, (u16)(l->idle_ppm / 1000));
	put_u16(out + 4, (u16)(centi < 0xffff ? centi : 0xffff));
	put_u16(out + 6, (u16)(l->jobs < 0xffff ? l->jobs : 0xffff));
	put_u32(out + 8, (u32)(l->memory_bytes >> 20));
	put_u32(out + 12, (u32)(l->memory_free_bytes >> 20));
	put_u32(out + 16, (u32)time(NULL));
}

void membership_unpack_load(struct load *l, const u8 in[SWIM_DIGEST_MAX])
{
	l->cpus = get_u16(in);
	l->idle_ppm = get_u16(in + 2) * 1000u;
	if (l->idle_ppm > 1000000)
		l->idle_ppm = 1000000;
	l->load1_milli = get_u16(in + 4) * 10u;
	l->jobs = get_u16(in + 6);
	l->memory_bytes = (u64)get_u32(in + 8) << 20;
	l->memory_free_bytes = (u64)get_u32(in + 12) << 20;
}

/* ---- nodes ---- */

static u32 place_of(const struct membership *m, u64 id)
{
	u32 low = 0, high = m->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (m->entry[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct entry *entry_numbered(const struct membership *m, u64 id)
{
	u32 at = place_of(m, id);

	return at < m->count && m->entry[at]->id == id ? m->entry[at] : NULL;
}

static struct entry *entry_named(const struct membership *m, const char *name)
{
	struct entry *e = entry_numbered(m, membership_number(name));

	return e && !strcmp(e->name, name) ? e : NULL;
}

static void entry_free(struct entry *e)
{
	seal_sender_end(&e->sender);
	free(e->listed);
	free(e);
}

/* ---- what the state machine asks for ---- */

static u32 op_random(void *arg)
{
	u32 r = 0;

	/* Cannot fail for so few bytes once the kernel has its entropy. */
	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r = (u32)loop_clock_us();
	return r;
}

static void op_send(void *arg, u64 to, bool reply, const u8 *data, size_t len)
{
	struct membership *m = arg;
	struct entry *e = entry_numbered(m, to);
	u8 out[SWIM_PACKET_MAX + SEAL_BYTES];
	ssize_t n = seal_close(m->seal, loop_clock_us(), to,
			       e ? &e->sender : NULL, data, len, out);

	if (n < 0)
		return;
	if (reply)
		udp_reply(m->udp, out, (size_t)n);
	else if (e)
		entry_send(m, e, out, (size_t)n);
}

static void note(struct membership *m, u64 id)
{
	if (m->pending_count == m->pending_room) {
		u32 room = m->pending_room ? m->pending_room * 2 : 64;
		u64 *more = realloc(m->pending, room * sizeof(*more));

		if (!more) {
			log_error(
				"membership: out of memory, a change of state "
				"is not passed on");
			return;
		}
		m->pending = more;
		m->pending_room = room;
	}
	m->pending[m->pending_count++] = id;
}

static void op_changed(void *arg, u64 id, enum swim_state old,
		       enum swim_state now)
{
	struct membership *m = arg;
	struct entry *e = entry_numbered(m, id);

	e->shown.state = now;
	if (now == SWIM_DOWN)
		e->lookup_wanted = e->named; /* it may have moved */
	note(m, id);
}

static void op_heard_change(void *arg, u64 change)
{
	struct membership *m = arg;

	m->change_heard = change;
}

static void op_digest(void *arg, u64 id, const u8 *data, size_t len)
{
	struct membership *m = arg;
	struct entry *e = entry_numbered(m, id);
	s64 now_s;

	if (len != SWIM_DIGEST_MAX)
		return; /* of a later version */
	membership_unpack_load(&e->shown.load, data);
	/* Against the clock that nobody sets, and modulo 2^32 s, so that it
	 * outlives 2106.
	 */
	now_s = (s64)time(NULL);
	e->shown.ahead_s = (s32)(get_u32(data + 16) - (u32)now_s) + now_s -
			   (s64)(loop_clock_us() / 1000000);
	e->shown.time_known = true;
	e->shown.heard_us = loop_clock_us();
}

static void op_round_trip(void *arg, u64 id, u32 us)
{
	struct membership *m = arg;
	struct entry *e = entry_numbered(m, id);
	u32 *mean = &e->shown.round_trip_us;

	us = us ? us : 1;
	*mean = *mean ? *mean - *mean / 8 + us / 8 : us;
	*mean = *mean ? *mean : 1;
}

static const struct swim_ops ops = {
	.random = op_random,
	.send = op_send,
	.changed = op_changed,
	.heard_change = op_heard_change,
	.digest = op_digest,
	.round_trip = op_round_trip,
};

/* ---- telling others, and time ---- */

static void tell_one(struct membership *m, u64 id)
{
	struct entry *e = entry_numbered(m, id);
	enum swim_state old;
	u32 i;

	if (!e || e->told == e->shown.state)
		return;
	old = e->told;
	e->told = e->shown.state;
	if (e->told == SWIM_DOWN || old == SWIM_DOWN)
		log_notice("node %s is %s", e->name,
			   e->told == SWIM_DOWN ? "down" : "back");
	else if (e->told == SWIM_SUSPECT || old == SWIM_SUSPECT)
		log_info("node %s is %s", e->name,
			 e->told == SWIM_SUSPECT ? "suspect" : "up after all");
	for (i = 0; i < m->watchers; i++) {
		m->watcher[i].fn(m->watcher[i].arg, &e->shown, old);
		e = entry_numbered(m, id); /* a watcher may have removed it */
		if (!e)
			return;
	}
}

static void tell_news(struct membership *m)
{
	u64 change = m->change_heard;
	u64 now = loop_clock_us();

	if (change) {
		m->change_heard = 0;
		if (m->news)
			m->news(m->news_arg, change);
	}
	if (m->key_unknown && now >= m->key_told_us + NEWS_EVERY_US) {
		m->key_told_us = now;
		if (m->news)
			m->news(m->news_arg, 0);
	}
	m->key_unknown = false;
}

/* After every call into the state machine, from outside of it. */
static void settle(struct membership *m)
{
	u64 now = loop_clock_us(), next;
	u32 i;

	if (m->telling || !seal_key_number(m->seal))
		return;
	m->telling = true;
	/* Watchers may cause more changes, which are appended. */
	for (i = 0; i < m->pending_count; i++)
		tell_one(m, m->pending[i]);
	m->pending_count = 0;
	tell_news(m);
	m->telling = false;
	entry_lookup_next(m);
	next = swim_next_us(m->swim);
	if (next != ~(u64)0)
		loop_arm(m->node->loop, &m->timer, next > now ? next - now : 0);
}

static void on_timer(struct timer *t)
{
	struct membership *m = of_timer(t);

	swim_run(m->swim, loop_clock_us());
	settle(m);
}

static void take(struct membership *m, struct entry *e, u64 from,
		 const u8 *data, size_t len)
{
	if (e) {
		e->heard = *udp_source(m->udp);
		e->was_heard = true;
	}
	/* The sender is who the seal says; the content must agree. */
	if (len > 10 && get_u64(data + 2) == from)
		swim_receive(m->swim, loop_clock_us(), data, len);
}

static void on_datagram(void *arg, const u8 *data, size_t len)
{
	struct membership *m = arg;
	struct entry *e = entry_numbered(m, seal_claimed(data, len));
	u8 plain[UDP_PACKET_MAX];
	ssize_t n = seal_open(m->seal, loop_clock_us(), e ? &e->sender : NULL,
			      data, len, plain);

	if (n == -ENOKEY && seal_key_number(m->seal) &&
	    seal_claimed_key(data) > seal_key_number(m->seal))
		m->key_unknown = true;
	/* A stranger has just joined, and has the newest key, or it was just
	 * removed, and gets no answer.
	 */
	if (n >= 0 && (e || seal_claimed_key(data) == seal_key_number(m->seal)))
		take(m, e, seal_claimed(data, len), plain, (size_t)n);
	if (n >= 0 || m->key_unknown)
		settle(m);
}

/* ---- set-up ---- */

/* A number above that of any earlier life of this node, also when the clock was
 * set back: the last one is kept in STATE/membership.
 */
static int next_life(const char *state, u64 *life, struct failure *f)
{
	struct blob last = { 0 };
	struct timespec t;
	char text[32];
	int n;

	clock_gettime(CLOCK_REALTIME, &t);
	*life = (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
	if (state_read(state, "membership", &last, NULL) == 0) {
		u64 before = strtoull(last.data, NULL, 10);

		if (*life <= before)
			*life = before + 1;
		blob_free(&last);
	}
	n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)*life);
	return state_write(state, "membership",
			   (struct span){ (u8 *)text, (u32)n }, 0600, f);
}

/* Seconds since 2020, which leave as many numbers again for refutations. One
 * that is lower than an earlier life's costs a refutation, no more.
 */
static u32 incarnation_of(u64 life)
{
	u64 s = life / 1000000;

	return (s > EPOCH_2020_S ? s - EPOCH_2020_S : s) & 0x7fffffff;
}

static int build(struct membership *m, const char *listen, struct failure *f)
{
	static const struct swim_limits limits = { .members = MEMBERSHIP_MAX,
						   .suspicions = SUSPICIONS,
						   .updates = UPDATES };
	struct node *n = m->node;
	u64 life;
	int ret = next_life(n->state, &life, f);

	if (ret)
		return ret;
	m->self = membership_number(n->local.node);
	m->memory = malloc(swim_bytes(&limits));
	m->seal = seal_new(m->self, life);
	if (!m->memory || !m->seal)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	m->swim = swim_init(m->memory, &limits, m->self, incarnation_of(life),
			    &ops, m, loop_clock_us());
	return udp_open(&m->udp, n->loop, listen, n->port, on_datagram, m, f);
}

int membership_new(struct membership **out, struct node *n, const char *listen,
		   struct failure *f)
{
	struct membership *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	m->node = n;
	m->timer.fire = on_timer;
	m->shown_self = (struct member){ .name = n->local.node,
					 .addresses = "",
					 .state = SWIM_UP,
					 .self = true };
	ret = build(m, listen, f);
	if (ret) {
		membership_free(m);
		return ret;
	}
	*out = m;
	return 0;
}

void membership_free(struct membership *m)
{
	u32 i;

	if (!m)
		return;
	if (m->udp && seal_key_number(m->seal))
		swim_leave(m->swim, loop_clock_us());
	loop_disarm(m->node->loop, &m->timer);
	while (m->looking)
		loop_step(m->node->loop, 100);
	udp_close(m->udp);
	for (i = 0; i < m->count; i++)
		entry_free(m->entry[i]);
	free(m->entry);
	free(m->pending);
	seal_free(m->seal);
	free(m->memory);
	free(m);
}

void membership_set_key(struct membership *m, u32 number, const u8 key[32])
{
	bool first = !seal_key_number(m->seal);

	if (seal_set_key(m->seal, loop_clock_us(), number, key))
		log_error("membership: out of memory, group key %u not taken",
			  number);
	else if (first)
		settle(m);
}

static int entry_add(struct membership *m, const char *name)
{
	u64 id = membership_number(name);
	u32 at = place_of(m, id);
	struct entry *e;
	int ret;

	if (m->count == m->room) {
		u32 room = m->room ? m->room * 2 : 16;
		struct entry **more = realloc(m->entry, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->entry = more;
		m->room = room;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	ret = swim_add(m->swim, id, SWIM_UNKNOWN, 0);
	if (ret) {
		free(e);
		return ret == -EINVAL ? -EEXIST : ret;
	}
	e->id = id;
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->shown =
		(struct member){ .name = e->name, .addresses = e->addresses };
	memmove(m->entry + at + 1, m->entry + at,
		(m->count - at) * sizeof(*m->entry));
	m->entry[at] = e;
	m->count++;
	return 0;
}

int membership_set_node(struct membership *m, const char *name,
			const char *addresses, bool draining, bool home)
{
	struct entry *e = entry_named(m, name);
	int ret = 0;

	if (!strcmp(name, m->shown_self.name)) {
		m->shown_self.draining = draining;
		m->shown_self.home = home;
		return 0;
	}
	if (!e) {
		ret = entry_add(m, name);
		e = entry_named(m, name);
		if (ret || !e)
			return ret ? ret : -EEXIST;
	}
	e->shown.draining = draining;
	e->shown.home = home;
	e->pass = m->pass;
	if (strcmp(e->addresses, addresses)) {
		snprintf(e->addresses, sizeof(e->addresses), "%s", addresses);
		e->lookup_again_us = 0;
		entry_resolve(m, e);
	}
	return 0;
}

static void remove_at(struct membership *m, u32 at)
{
	struct entry *e = m->entry[at];

	swim_remove(m->swim, e->id);
	m->count--;
	memmove(m->entry + at, m->entry + at + 1,
		(m->count - at) * sizeof(*m->entry));
	entry_free(e);
}

void membership_remove_node(struct membership *m, const char *name)
{
	struct entry *e = entry_named(m, name);

	if (e)
		remove_at(m, place_of(m, e->id));
}

void membership_begin_pass(struct membership *m)
{
	m->pass++;
}

void membership_end_pass(struct membership *m)
{
	u32 at = 0;

	while (at < m->count)
		if (m->entry[at]->pass != m->pass)
			remove_at(m, at);
		else
			at++;
}

void membership_set_change(struct membership *m, u64 change)
{
	swim_set_change(m->swim, loop_clock_us(), change);
	settle(m);
}

void membership_on_news(struct membership *m, void (*fn)(void *arg, u64 change),
			void *arg)
{
	m->news = fn;
	m->news_arg = arg;
}

const struct member *membership_find(struct membership *m, const char *name)
{
	struct entry *e;

	if (!strcmp(name, m->shown_self.name))
		return &m->shown_self;
	e = entry_named(m, name);
	return e ? &e->shown : NULL;
}

const struct member *membership_next(struct membership *m, size_t *at)
{
	size_t i = (*at)++;

	if (i == 0)
		return &m->shown_self;
	return i - 1 < m->count ? &m->entry[i - 1]->shown : NULL;
}

void membership_on_change(struct membership *m,
			  void (*fn)(void *arg, const struct member *now,
				     enum swim_state old),
			  void *arg)
{
	if (m->watchers == WATCHERS_MAX) {
		log_error("membership: no room for another watcher");
		return;
	}
	m->watcher[m->watchers].fn = fn;
	m->watcher[m->watchers++].arg = arg;
}

void membership_set_load(struct membership *m, const struct load *l)
{
	u8 packed[SWIM_DIGEST_MAX];

	m->shown_self.load = *l;
	m->shown_self.heard_us = loop_clock_us();
	membership_pack_load(l, packed);
	swim_set_digest(m->swim, packed, sizeof(packed));
}
