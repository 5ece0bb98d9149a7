// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Membership datagrams from a member gone mad: the input is a sequence of
 * (length, bytes), each received by one node after a little time. Invariants
 * must hold after each, and what was decoded must encode to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "swim_packet.h"
#include "swim_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u32 op_random(void *arg)
{
	u32 *x = arg;

	return *x = *x * 1664525 + 1013904223;
}

static void op_send(void *arg, u64 to, bool reply, const u8 *data, size_t len)
{
	struct swim_packet p;

	if (swim_packet_decode(&p, data, len))
		abort(); /* we send what we would take */
}

static void op_changed(void *arg, u64 id, enum swim_state old,
		       enum swim_state now)
{
}

static void op_heard(void *arg, u64 change)
{
}

static void op_digest(void *arg, u64 id, const u8 *data, size_t len)
{
	if (!len || len > SWIM_DIGEST_MAX)
		abort();
}

static void op_round_trip(void *arg, u64 id, u32 us)
{
}

static const struct swim_ops ops = { op_random, op_send,   op_changed,
				     op_heard,	op_digest, op_round_trip };

static void there_and_back(const u8 *data, size_t len)
{
	u8 out[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(out, sizeof(out));
	struct swim_packet p;
	struct swim_item it;

	if (swim_packet_decode(&p, data, len))
		return;
	swim_packet_begin(&c, &p);
	while (swim_item_next(&p.items, &it))
		if (!swim_packet_add(&c, &it))
			abort();
	if (wcursor_len(&c) != len || memcmp(out, data, len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u64 memory[4096];
	static const struct swim_limits limits = { 8, 3, 8 };
	struct rcursor c = rcursor_of(data, size);
	u64 now = 1000000, id;
	u32 random = 1;
	struct swim *s;

	if (swim_bytes(&limits) > sizeof(memory))
		abort();
	s = swim_init(memory, &limits, 1, 100, &ops, &random, now);
	for (id = 2; id <= 9; id++)
		swim_add(s, id, id & 1 ? SWIM_UP : SWIM_UNKNOWN, id & 1);
	while (rcursor_left(&c) > 2) {
		u16 len = rcursor_u16(&c);
		const u8 *one;

		len = len % (rcursor_left(&c) + 1);
		one = rcursor_take(&c, len);
		there_and_back(one, len);
		swim_receive(s, now, one, len);
		if (swim_wrong(s))
			abort();
		now += 100000;
		swim_run(s, now);
		if (swim_wrong(s))
			abort();
	}
	return 0;
}
