/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What daemon/memory*.c stand on, made of glass: a clock that only advance()
 * moves, one connection whose answers are kept, other nodes that hear what they
 * are asked, and a virgo-nbd that is a table here. Defined in the test itself, so
 * the linker takes none of the real ones.
 */
#ifndef VIRGO_TESTS_MEMORY_KIT_H
#define VIRGO_TESTS_MEMORY_KIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "catalog.h"
#include "home.h"
#include "loads.h"
#include "log.h"
#include "memory_impl.h"
#include "peers.h"
#include "policy.h"
#include "state.h"

/* For unit tests and for a fuzzer alike. */
static void kit_check(bool good)
{
	if (!good)
		abort();
}

/* Time */

static u64 kit_us = 1000000;
static struct timer *kit_timers[16];

u64 loop_clock_us(void)
{
	return kit_us;
}

void loop_disarm(struct loop *l, struct timer *t)
{
	if (t->place)
		kit_timers[t->place - 1] = NULL;
	t->place = 0;
}

void loop_arm(struct loop *l, struct timer *t, u64 delay_us)
{
	u32 i = 0;

	loop_disarm(l, t);
	while (kit_timers[i])
		kit_check(++i < ARRAY_SIZE(kit_timers));
	kit_timers[i] = t;
	t->place = i + 1;
	t->due_us = kit_us + delay_us;
}

static struct timer *kit_next(u64 until)
{
	struct timer *first = NULL;

	for (u32 i = 0; i < ARRAY_SIZE(kit_timers); i++) {
		struct timer *t = kit_timers[i];

		if (t && t->due_us <= until &&
		    (!first || t->due_us < first->due_us))
			first = t;
	}
	return first;
}

/* virgo-nbd */

struct kit_export {
	char name[128];
	char owner[96];
	unsigned long long bytes, generation, held, since, compressed;
	unsigned int users;
};

struct kit_ask {
	memory_nbd_fn *fn;
	void *arg;
	char line[256];
};

static struct {
	void (*changed)(void *arg);
	void *arg;
	bool up;
	bool kept;
	bool is_short;
	struct kit_export exports[LEASES_MAX + 1];
	u32 count;
	u64 generation;
	struct kit_ask asks[LEASES_MAX + 64];
	u32 asked;
	u32 ended;
	u32 removed;
} nbd;

struct memory_nbd *memory_nbd_new(struct node *n, void (*changed)(void *arg),
				  void *arg)
{
	nbd.changed = changed;
	nbd.arg = arg;
	return (struct memory_nbd *)&nbd;
}

void memory_nbd_free(struct memory_nbd *m)
{
	char none[1] = "";

	nbd.up = false;
	for (u32 i = 0; i < nbd.asked; i++)
		nbd.asks[i].fn(nbd.asks[i].arg, -EPIPE, "", none);
	nbd.asked = 0;
}

void memory_nbd_keep(struct memory_nbd *m, const char *listen)
{
	nbd.kept = true;
}

void memory_nbd_unkeep(struct memory_nbd *m)
{
	nbd.kept = false;
}

bool memory_nbd_up(const struct memory_nbd *m)
{
	return nbd.up;
}

const char *memory_nbd_why(const struct memory_nbd *m)
{
	return "";
}

int memory_nbd_ask(struct memory_nbd *m, memory_nbd_fn *fn, void *arg,
		   const char *format, ...)
{
	struct kit_ask *a = &nbd.asks[nbd.asked];
	va_list ap;

	if (!nbd.up)
		return -ENOTCONN;
	kit_check(nbd.asked < ARRAY_SIZE(nbd.asks));
	nbd.asked++;
	a->fn = fn;
	a->arg = arg;
	va_start(ap, format);
	vsnprintf(a->line, sizeof(a->line), format, ap);
	va_end(ap);
	return 0;
}

static struct kit_export *kit_export(const char *name)
{
	for (u32 i = 0; i < nbd.count; i++)
		if (!strcmp(nbd.exports[i].name, name))
			return &nbd.exports[i];
	return NULL;
}

static int kit_add(const char *line, char *rest, size_t size)
{
	struct kit_export *e = &nbd.exports[nbd.count++];

	*e = (struct kit_export){ .generation = ++nbd.generation, .since = 1 };
	kit_check(sscanf(line, "add %127s %llu %95s", e->name, &e->bytes,
			 e->owner) == 3);
	snprintf(rest, size, "%llu", e->generation);
	return 0;
}

static int kit_remove(const char *line)
{
	struct kit_export *e;
	char name[128];
	char *at;

	kit_check(sscanf(line, "remove %127s", name) == 1);
	at = strchr(name, '@');
	kit_check(at);
	*at = '\0';
	e = kit_export(name);
	if (!e || e->generation != strtoull(at + 1, NULL, 10))
		return -ENOENT;
	*e = nbd.exports[--nbd.count];
	nbd.removed++;
	return 0;
}

static char *kit_list(void)
{
	size_t room = 1 + nbd.count * 400;
	char *text = calloc(room, 1);
	size_t len = 0;

	for (u32 i = 0; i < nbd.count; i++) {
		const struct kit_export *e = &nbd.exports[i];

		len += (size_t)snprintf(text + len, room - len,
					"%s %llu %llu %s %llu %u %llu %llu\n",
					e->name, e->bytes, e->generation,
					e->owner, e->held, e->users, e->since,
					e->compressed);
	}
	return text;
}

static void kit_answer(const struct kit_ask *a)
{
	char rest[160] = "";
	char *lines = kit_list();
	u64 held = 0;
	int ret = 0;

	for (u32 i = 0; i < nbd.count; i++)
		held += nbd.exports[i].held;
	if (!strncmp(a->line, "add ", 4))
		ret = kit_add(a->line, rest, sizeof(rest));
	else if (!strncmp(a->line, "remove ", 7))
		ret = kit_remove(a->line);
	else if (!strcmp(a->line, "status"))
		snprintf(rest, sizeof(rest), "held=%llu stored=%llu short=%s",
			 (unsigned long long)held, (unsigned long long)held,
			 nbd.is_short ? "yes" : "no");
	else if (!strcmp(a->line, "end"))
		nbd.ended++;
	a->fn(a->arg, ret, rest, lines);
	free(lines);
}

/* virgo-nbd answers all that it was asked, also what follows from an answer. */
static void nbd_answers(void)
{
	while (nbd.asked) {
		struct kit_ask first = nbd.asks[0];

		memmove(nbd.asks, nbd.asks + 1, --nbd.asked * sizeof(first));
		kit_answer(&first);
	}
}

/* It is lost, with what it was asked. */
static void nbd_dies(void)
{
	memory_nbd_free(NULL);
	nbd.changed(nbd.arg);
}

static void nbd_comes(void)
{
	nbd.up = true;
	nbd.changed(nbd.arg);
	nbd_answers();
}

static void advance(u64 us)
{
	u64 until = kit_us + us;
	struct timer *t;

	while ((t = kit_next(until))) {
		kit_us = t->due_us;
		loop_disarm(NULL, t);
		t->fire(t);
		nbd_answers();
	}
	kit_us = until;
}

/* Who asks, and what came back */

struct conn {
	struct tls_peer peer;
	int references;
};

static struct {
	u16 type; /* 0: nothing; MSG_ERROR with failure */
	u32 replies;
	u32 progress;
	u8 payload[8192];
	u32 len;
	struct failure failure;
} got;

int conn_send(struct conn *c, const struct frame *f, const void *head,
	      size_t head_len, const void *body, size_t body_len)
{
	kit_check(head_len <= sizeof(got.payload));
	if (f->flags & FRAME_MORE) {
		got.progress++;
		return 0;
	}
	got.type = f->type;
	got.len = (u32)head_len;
	memcpy(got.payload, head, head_len);
	got.replies++;
	return 0;
}

int conn_reply_failure(struct conn *c, u64 tag, const struct failure *f)
{
	got.type = MSG_ERROR;
	got.failure = *f;
	got.replies++;
	return 0;
}

struct conn *conn_get(struct conn *c)
{
	c->references++;
	return c;
}

void conn_put(struct conn *c)
{
	c->references--;
}

const struct tls_peer *conn_peer(const struct conn *c)
{
	return &c->peer;
}

void request_ok(struct request *r)
{
	got.type = MSG_OK;
	got.replies++;
}

void request_fail_with(struct request *r, const struct failure *f)
{
	conn_reply_failure(r->conn, 0, f);
}

void request_fail(struct request *r, int code, const char *object,
		  const char *remedy, const char *what_fmt, ...)
{
	struct failure f;

	failure_set(&f, code, object, remedy, "%s", what_fmt);
	request_fail_with(r, &f);
}

static const struct service *kit_services[8];
static size_t kit_service_counts[8];
static u32 kit_tables;

void service_add(struct node *n, const struct service *table, size_t count)
{
	kit_services[kit_tables] = table;
	kit_service_counts[kit_tables++] = count;
}

static void kit_ask(struct node *n, struct conn *c, u16 type, const u8 *payload,
		    size_t len)
{
	struct frame f = { .type = type, .tag = 5, .length = (u32)len };
	struct request r = { .node = n,
			     .conn = c,
			     .frame = &f,
			     .payload = payload,
			     .peer = c->peer.node[0] ? c->peer.node : NULL };

	got.type = 0;
	got.failure.code = 0;
	for (u32 i = 0; i < kit_tables; i++)
		for (size_t j = 0; j < kit_service_counts[i]; j++)
			if (kit_services[i][j].type == type)
				kit_services[i][j].handle(&r);
}

static void kit_peer(struct conn *c, const char *name, char digit)
{
	strcpy(c->peer.node, name);
	memset(c->peer.serial, digit, STEM_DIGITS);
}

/* Other nodes */

struct kit_call {
	char node[NODE_NAME_MAX + 1];
	u16 type;
	peer_reply_fn *reply;
	void *arg;
};

static struct kit_call calls[16];
static u32 call_count; /* since the beginning, which are the tags */

u64 peers_call(struct peers *p, const char *name, enum tls_class class,
	       u16 type, const void *payload, size_t len, peer_reply_fn *reply,
	       void *arg)
{
	struct kit_call *c = &calls[call_count++ % ARRAY_SIZE(calls)];

	*c = (struct kit_call){ .type = type, .reply = reply, .arg = arg };
	snprintf(c->node, sizeof(c->node), "%s", name);
	return call_count;
}

void peers_forget(struct peers *p, u64 tag)
{
	calls[(tag - 1) % ARRAY_SIZE(calls)].reply = NULL;
}

/* The last call is answered: with OK, or lost. */
static void call_ends(bool heard)
{
	struct kit_call *c = &calls[(call_count - 1) % ARRAY_SIZE(calls)];
	peer_reply_fn *reply = c->reply;
	const struct frame ok = { .type = MSG_OK, .flags = FRAME_REPLY };
	struct failure lost;

	failure_set(&lost, -EHOSTUNREACH, c->node, NULL, "cannot be reached");
	c->reply = NULL;
	if (reply)
		reply(c->arg, heard ? &ok : NULL, NULL, heard ? NULL : &lost);
}

/* The rest of the node */

static struct conf_cloud kit_conf;
static struct load kit_load;
static struct rec_node_row kit_row;
static const struct rec_removal_row kit_removal;
static const char *kit_removed; /* stem of a node that was removed */
static void (*kit_catalog_changed)(void *arg);
static void *kit_catalog_arg;
static char kit_stored[96];
static u32 kit_audited;

const struct conf_cloud *policy_conf(const struct policy *p)
{
	return &kit_conf;
}

void policy_on_reload(struct node *n, void (*fn)(struct node *n))
{
}

struct load loads_now(const struct loads *l)
{
	return kit_load;
}

const struct rec_node_row *catalog_node(const struct catalog *c,
					const char *name)
{
	return &kit_row;
}

const struct rec_removal_row *catalog_removal(const struct catalog *c,
					      const char *stem)
{
	return kit_removed && !strcmp(stem, kit_removed) ? &kit_removal : NULL;
}

void catalog_watch(struct catalog *c, void (*fn)(void *arg), void *arg)
{
	kit_catalog_changed = fn;
	kit_catalog_arg = arg;
}

int audit_write(struct audit *a, const char *node, const char *user,
		const char *action, const char *object, const char *result)
{
	kit_audited++;
	return 0;
}

int audit_write_failure(struct audit *a, const char *node, const char *user,
			const char *action, const char *object,
			const struct failure *f)
{
	return audit_write(a, node, user, action, object, "");
}

int state_read(const char *dir, const char *name, struct blob *out,
	       struct failure *f)
{
	size_t len = strlen(kit_stored);

	if (!len)
		return -ENOENT;
	out->data = malloc(len);
	out->len = len;
	memcpy(out->data, kit_stored, len);
	return 0;
}

int state_write(const char *dir, const char *name, struct span bytes,
		mode_t mode, struct failure *f)
{
	kit_check(span_to_cstr(bytes, kit_stored, sizeof(kit_stored)));
	return 0;
}

/* What the catalog is told of loans is tested with nodes: here nothing is. */
void memory_loans_serve(struct node *n)
{
}

void memory_loans_changed(struct memory *m)
{
}

void memory_loans_tell(struct timer *t)
{
}

void memory_loans_end(struct memory *m)
{
}

#endif
