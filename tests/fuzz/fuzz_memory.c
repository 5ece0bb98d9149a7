// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lender's virgod under whatever borrowers send, with virgo-nbd lost and back,
 * borrowers that hear or do not, and time passing in between. The input is a row
 * of steps; see step(). However it goes: no more is lent than root said, every
 * request is answered once, no connection is held on to, and what virgo-nbd has
 * is what virgod thinks it has.
 */
#include <stdint.h>

#include "../unit/memory_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POOL_BYTES (64ull << 20)

static struct node node = { .state = "/nowhere", .local.node = "alpha" };
static struct conn peers[2], root;
static u32 asked;

struct input {
	const u8 *at;
	const u8 *end;
};

static u8 next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* A payload as it comes: its length, then its bytes, in memory of their own. */
static void raw(struct input *in, struct conn *c, u16 type)
{
	size_t len = next(in);
	u8 *copy;

	if (len > (size_t)(in->end - in->at))
		len = (size_t)(in->end - in->at);
	copy = malloc(len ? len : 1);
	kit_check(copy);
	memcpy(copy, in->at, len);
	in->at += len;
	asked++;
	kit_ask(&node, c, type, copy, len);
	free(copy);
}

static void lease(struct input *in, struct conn *c)
{
	const char name[] = { (char)('a' + next(in) % 4), '\0' };
	const struct msg_memory_lease m = {
		.name = span_of(name),
		.bytes = (u64)next(in) << 20,
		.purpose = span_of(next(in) & 1 ? "swap" : "disk"),
	};
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_memory_lease_encode(&w, &m);
	asked++;
	kit_ask(&node, c, MSG_MEMORY_LEASE, buf, wcursor_len(&w));
}

static void lend(struct input *in)
{
	const struct msg_memory_lend m = {
		.bytes = next(in) & 1 ? POOL_BYTES : 0,
		.wait_s = next(in),
	};
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_memory_lend_encode(&w, &m);
	asked++;
	kit_ask(&node, &root, MSG_MEMORY_LEND, buf, wcursor_len(&w));
}

static void come_or_go(void)
{
	if (!nbd.up)
		nbd_comes();
	else
		nbd_dies();
}

static void step(struct input *in)
{
	u8 what = next(in);
	struct conn *c = &peers[what >> 7];

	switch (what % 12) {
	case 0:
		raw(in, c, MSG_MEMORY_QUERY);
		break;
	case 1:
		raw(in, c, MSG_MEMORY_LEASE);
		break;
	case 2:
		raw(in, c, MSG_MEMORY_RELEASE);
		break;
	case 3:
		raw(in, c, MSG_MEMORY_LEASES);
		break;
	case 4:
		raw(in, &root, MSG_MEMORY_STATUS);
		break;
	case 5:
	case 6:
		lease(in, c);
		break;
	case 7:
		nbd_answers();
		break;
	case 8:
		come_or_go();
		break;
	case 9:
		advance(next(in) * 500000ull);
		break;
	case 10:
		if (call_count)
			call_ends(what & 64);
		break;
	default:
		lend(in);
		nbd.is_short = what & 64;
		if (nbd.count)
			nbd.exports[what % nbd.count].held = MEMORY_PAGE;
	}
}

/* When nothing is under way both sides have the same leases. */
static void compare(void)
{
	const struct memory *m = node.memory;
	const struct lease *l;

	kit_check(memory_lent_bytes(m) <= POOL_BYTES);
	if (!nbd.up || nbd.asked || !m->known)
		return;
	kit_check(m->count == nbd.count);
	for (l = m->leases; l; l = l->next) {
		kit_check(!l->pending && kit_export(l->export));
		kit_check(kit_export(l->export)->generation == l->generation);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *anybody[] = { "*" };
	struct input in = { data, data + size };

	memset(&nbd, 0, sizeof(nbd));
	memset(&got, 0, sizeof(got));
	memset(&kit_row, 0, sizeof(kit_row));
	memset(calls, 0, sizeof(calls));
	call_count = asked = kit_tables = 0;
	kit_stored[0] = '\0';
	kit_peer(&peers[0], "beta", 'b');
	kit_peer(&peers[1], "gamma", 'c');
	kit_conf.memory_allow = (struct conf_list){ 1, anybody };
	kit_load = (struct load){ .memory_bytes = 1ull << 30,
				  .memory_free_bytes = 1ull << 30 };
	log_open("fuzz", LOG_LEVEL_ERROR);
	kit_check(memory_new(&node));
	while (in.at < in.end && asked < 500) {
		step(&in);
		compare();
	}
	memory_free(node.memory);
	kit_check(got.replies == asked);
	kit_check(!peers[0].references && !peers[1].references &&
		  !root.references);
	return 0;
}
