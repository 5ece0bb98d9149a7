// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Legs of virgo-guard: what is done when the table of guard_rules.h says so.
 * Nothing here allocates; descriptors are opened and closed, which the kernel
 * does from its own reserve.
 *
 * A leg's connections are kept open here as well, for shutdown() on them ends a
 * connection of the kernel's at once, whatever state the network is in.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard_impl.h"
#include "protocol.h"
#include "sysfile.h"

/* Requests that may be under way on a connection, of 128 KiB at most: on a slow
 * network, too, what waits behind them all is to be answered in time.
 */
#define QUEUE_DEPTH "32"

static void close_all(int *fds, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static void forget_fresh(struct leg *l)
{
	close_all(l->fresh, GUARD_SOCKETS_MAX);
	l->fresh_count = 0;
	l->asked = 0;
	l->turn++;
}

static void forget(struct leg *l)
{
	close_all(l->conns, GUARD_SOCKETS_MAX);
	forget_fresh(l);
	if (l->stat >= 0)
		close(l->stat);
	l->stat = -1;
	l->used = false;
}

static struct leg *find(struct guard *g, const struct guard_leg *what)
{
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++) {
		struct leg *l = &g->legs[i];

		if (l->used && l->told.number == what->number &&
		    !strcmp(l->told.borrowing, what->borrowing))
			return l;
	}
	return NULL;
}

/* A place for @what, whose descriptors are all unset. */
static struct leg *take(struct guard *g, const struct guard_leg *what)
{
	struct leg *l = NULL;
	u32 turn;
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX && !l; i++)
		if (!g->legs[i].used)
			l = &g->legs[i];
	if (!l)
		return NULL;
	turn = l->turn + 1;
	*l = (struct leg){ .told = *what, .used = true, .client = -1,
			   .stat = -1, .turn = turn, .since_ms = g->now_ms };
	for (i = 0; i < GUARD_SOCKETS_MAX; i++)
		l->conns[i] = l->fresh[i] = -1;
	if (!l->told.sockets || l->told.sockets > GUARD_SOCKETS_MAX)
		l->told.sockets = 1;
	return l;
}

/* Whether the mirror has all data on this leg; the kernel answers from memory. */
static bool in_sync(const struct leg *l)
{
	char state[96];

	return !sysfile_read(state, sizeof(state),
			     "/sys/block/md%d/md/dev-nbd%d/state",
			     l->told.md, l->told.index) &&
	       strstr(state, "in_sync") && !strstr(state, "faulty");
}

static bool connected(const struct leg *l)
{
	struct tcp_info info;
	socklen_t len;
	u32 i;

	for (i = 0; i < GUARD_SOCKETS_MAX; i++) {
		len = sizeof(info);
		if (l->conns[i] >= 0 &&
		    getsockopt(l->conns[i], IPPROTO_TCP, TCP_INFO, &info,
			       &len) == 0 &&
		    info.tcpi_state != TCP_ESTABLISHED)
			return false;
	}
	return true;
}

static bool has_twin(struct guard *g, const struct leg *l)
{
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++) {
		const struct leg *o = &g->legs[i];

		if (o->used && o != l && l->told.md >= 0 &&
		    o->told.md == l->told.md &&
		    o->told.state == LEG_UP &&
		    o->silent_ms < SILENT_MS / 2 && connected(o) && in_sync(o))
			return true;
	}
	return false;
}

static void order_dials(struct guard *g, struct leg *l)
{
	struct dial_order o = { .leg = (u32)(l - g->legs),
				.patience_ms = DIAL_MS };
	u32 i;

	forget_fresh(l);
	l->dial_at_ms = 0;
	o.turn = l->turn;
	memcpy(o.lender, l->told.lender, sizeof(o.lender));
	memcpy(o.addresses, l->told.addresses, sizeof(o.addresses));
	memcpy(o.name, l->told.name, sizeof(o.name));
	memcpy(o.plaintext_on, l->told.plaintext_on, sizeof(o.plaintext_on));
	for (i = 0; i < l->told.sockets; i++) {
		if (dialler_order(g->dialler, &o))
			break;
		l->asked++;
	}
	if (l->asked < l->told.sockets) { /* its queue is full, or it is gone */
		forget_fresh(l);
		l->dial_at_ms = g->now_ms + DIAL_AGAIN_MS;
	}
}

static void shut_down(struct leg *l)
{
	u32 i;

	for (i = 0; i < GUARD_SOCKETS_MAX; i++)
		if (l->conns[i] >= 0)
			shutdown(l->conns[i], SHUT_RDWR);
}

static void answer_attach(struct guard *g, struct leg *l, int error)
{
	struct guard_message m = { .op = GUARD_ATTACH, .error = error,
				   .leg = l->told };

	guard_answer(g, l->client, &m);
	l->client = -1;
}

static void happen(struct guard *g, struct leg *l, enum leg_event e,
		   const char *why)
{
	bool twin = has_twin(g, l);
	struct leg_rule r = leg_rule((enum leg_state)l->told.state, e, twin);

	if (why && why[0] && r.next != l->told.state)
		snprintf(l->told.why, sizeof(l->told.why), "%s", why);
	if (r.next != l->told.state) {
		l->told.state = r.next;
		l->since_ms = g->now_ms;
		l->silent_ms = 0;
		g->changed = true;
	}
	switch (r.action) {
	case ACT_NOTHING:
		break;
	case ACT_DIAL:
		shut_down(l); /* all or none: they are replaced */
		order_dials(g, l);
		break;
	case ACT_DIAL_AGAIN:
		forget_fresh(l);
		l->dial_at_ms = g->now_ms + DIAL_AGAIN_MS;
		break;
	case ACT_DISCONNECT:
		/* First, so that the kernel does not wait for a send that a
		 * silent peer holds up.
		 */
		shut_down(l);
		genl_disconnect(g->genl, l->told.index);
		close_all(l->conns, GUARD_SOCKETS_MAX);
		forget_fresh(l);
		break;
	case ACT_FORGET:
		break; /* by who knows what to answer */
	}
}

/* The first @count numbers of @text. */
static u32 numbers(const char *text, u64 *out, u32 count)
{
	u32 n = 0;

	while (n < count) {
		while (*text == ' ')
			text++;
		if (*text < '0' || *text > '9')
			break;
		for (out[n] = 0; *text >= '0' && *text <= '9'; text++)
			out[n] = out[n] * 10 + (u64)(*text - '0');
		n++;
	}
	return n;
}

/* Documentation/block/stat.rst: requests, merges, sectors, time; of reads, then
 * of writes; then what is under way.
 */
static void look(struct leg *l, u32 elapsed_ms)
{
	char text[320];
	ssize_t n = l->stat < 0 ? -1 : pread(l->stat, text, sizeof(text) - 1, 0);
	u64 v[16] = { 0 };
	u32 count;
	u64 done;

	if (n <= 0)
		return;
	text[n] = '\0';
	count = numbers(text, v, 16);
	if (count < 11)
		return;
	done = v[0] + v[4] + v[11] + v[15];
	l->inflight = (u32)v[8];
	l->silent_ms = !l->inflight || done != l->done ? 0 :
			       l->silent_ms + elapsed_ms;
	l->done = done;
}

/* Opens what the kernel tells of the device. */
static void watch_device(struct leg *l)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/nbd%d/stat", l->told.index);
	l->stat = open(path, O_RDONLY | O_CLOEXEC);
	look(l, 0); /* the kernel's counts go on from an earlier device's */
}

static int make_device(struct guard *g, struct leg *l)
{
	char identifier[128];
	struct genl_device d = { .index = -1,
				 .size_bytes = l->told.size_bytes,
				 .block_bytes = 4096,
				 .timeout_s = TIMEOUT_MS / 1000,
				 .patience_s = l->told.patience_s,
				 .server_flags = l->flags,
				 .identifier = identifier,
				 .sockets = l->fresh,
				 .count = l->fresh_count };
	int ret;

	guard_identifier(&l->told, identifier);
	ret = genl_connect(g->genl, &d);
	if (ret < 0) {
		snprintf(l->told.why, sizeof(l->told.why),
			 "the kernel's nbd driver: %s", strerror(-ret));
		return ret;
	}
	l->told.index = ret;
	memcpy(l->conns, l->fresh, sizeof(l->conns));
	memset(l->fresh, 0xff, sizeof(l->fresh));
	l->fresh_count = 0;
	sysfile_write(QUEUE_DEPTH, "/sys/block/nbd%d/queue/nr_requests",
		      l->told.index);
	watch_device(l);
	return 0;
}

/* Gives the kernel connection @i of the fresh ones for a dead one. */
static int replace(struct guard *g, struct leg *l, u32 i)
{
	char identifier[128];
	int ret;

	guard_identifier(&l->told, identifier);
	ret = genl_reconfigure(g->genl, l->told.index, identifier,
			       &l->fresh[i], 1);
	if (ret)
		return ret;
	if (l->conns[i] >= 0)
		close(l->conns[i]);
	l->conns[i] = l->fresh[i];
	l->fresh[i] = -1;
	return 0;
}

static void replace_all(struct guard *g, struct leg *l)
{
	u32 i;
	int ret = 0;

	for (i = 0; i < l->fresh_count && !ret; i++)
		ret = replace(g, l, i);
	if (ret) {
		happen(g, l, LEG_OUT_OF_PATIENCE, strerror(-ret));
		return;
	}
	l->fresh_count = 0;
	l->told.reconnects++;
	happen(g, l, LEG_CONNECTED, NULL);
}

/* All connections that were ordered are there. */
static void all_dialled(struct guard *g, struct leg *l)
{
	int ret;

	switch (l->told.state) {
	case LEG_DIALLING:
		ret = make_device(g, l);
		happen(g, l, ret ? LEG_REFUSED : LEG_CONNECTED, NULL);
		answer_attach(g, l, ret);
		if (ret)
			forget(l);
		break;
	case LEG_HELD:
		replace_all(g, l);
		break;
	default:
		forget_fresh(l);
	}
}

static void dial_failed(struct guard *g, struct leg *l, int error,
			const char *why)
{
	bool gone = error == -ENOENT || error == -EACCES || error == -ENXIO;
	bool attaching = l->told.state == LEG_DIALLING;

	forget_fresh(l);
	happen(g, l, gone ? LEG_GONE : LEG_REFUSED, why);
	if (attaching) {
		answer_attach(g, l, error);
		forget(l);
	}
}

void legs_dialled(struct guard *g, const struct dial_result *r, int conn)
{
	struct leg *l = r->leg < GUARD_LEGS_MAX ? &g->legs[r->leg] : NULL;

	if (!l || !l->used || r->turn != l->turn || !l->asked ||
	    (r->error == 0) != (conn >= 0)) {
		if (conn >= 0)
			close(conn);
		return;
	}
	l->asked--;
	if (r->error) {
		dial_failed(g, l, r->error, r->why);
		return;
	}
	l->fresh[l->fresh_count++] = conn;
	l->flags = r->flags;
	if (r->size_bytes != l->told.size_bytes) {
		dial_failed(g, l, -ENOENT, "the export has another size");
		return;
	}
	if (!(r->flags & NBD_FLAG_CAN_MULTI_CONN) && l->told.sockets > 1) {
		l->told.sockets = 1;
		l->asked = 0;
		l->turn++;
	}
	if (!l->asked)
		all_dialled(g, l);
}

void legs_link_dead(struct guard *g, int index)
{
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++) {
		struct leg *l = &g->legs[i];

		if (l->used && l->told.index == index)
			happen(g, l, LEG_LINK_DEAD, "a connection was lost");
	}
}

int legs_attach(struct guard *g, const struct guard_leg *what, int client)
{
	struct leg *l;

	if (find(g, what))
		return -EEXIST;
	l = take(g, what);
	if (!l)
		return -ENOSPC;
	l->told.index = -1;
	l->told.state = LEG_DIALLING;
	l->client = client;
	order_dials(g, l);
	return 0;
}

int legs_adopt(struct guard *g, const struct guard_leg *what)
{
	char identifier[128], is[160];
	struct leg *l = find(g, what);

	if (l)
		return 0;
	guard_identifier(what, identifier);
	if (sysfile_read(is, sizeof(is), "/sys/block/nbd%d/backend",
			 what->index) ||
	    strcmp(is, identifier) ||
	    genl_status(g->genl, what->index) != 1)
		return -ENODEV;
	l = take(g, what);
	if (!l)
		return -ENOSPC;
	l->told.state = LEG_UP;
	watch_device(l);
	g->changed = true;
	return 0;
}

int legs_drop(struct guard *g, const struct guard_leg *what)
{
	struct leg *l = find(g, what);

	if (!l)
		return 0;
	if (l->client >= 0)
		answer_attach(g, l, -ECANCELED);
	if (l->told.index >= 0 && l->told.state != LEG_LOST)
		genl_disconnect(g->genl, l->told.index);
	forget(l);
	return 0;
}

void legs_mirror(struct guard *g, const struct guard_leg *what)
{
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++)
		if (g->legs[i].used &&
		    !strcmp(g->legs[i].told.borrowing, what->borrowing))
			g->legs[i].told.md = what->md;
}

bool legs_any(const struct guard *g)
{
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++)
		if (g->legs[i].used)
			return true;
	return false;
}

int legs_sleep_ms(const struct guard *g)
{
	return legs_any(g) ? TICK_MS : -1;
}

static void set_timeout(struct leg *l, u32 ms)
{
	char text[16];

	if (l->told.index < 0 || l->timeout_ms == ms)
		return;
	snprintf(text, sizeof(text), "%u", ms);
	sysfile_write(text, "/sys/block/nbd%d/queue/io_timeout",
		      l->told.index);
	l->timeout_ms = ms;
}

static void tick(struct guard *g, struct leg *l, u32 elapsed_ms)
{
	if (l->told.state == LEG_UP)
		set_timeout(l, has_twin(g, l) ? TIMEOUT_MS : TIMEOUT_ALONE_MS);
	look(l, elapsed_ms);
	if (l->dial_at_ms && g->now_ms >= l->dial_at_ms)
		order_dials(g, l);
	if (l->silent_ms >= SILENT_MS)
		happen(g, l, LEG_SILENT, "it did not answer");
	if (l->told.state == LEG_HELD &&
	    g->now_ms - l->since_ms > (u64)l->told.patience_s * 1000)
		happen(g, l, LEG_OUT_OF_PATIENCE, "it did not come back");
}

void legs_tick(struct guard *g, u32 elapsed_ms)
{
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++)
		if (g->legs[i].used)
			tick(g, &g->legs[i], elapsed_ms);
}
