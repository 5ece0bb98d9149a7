// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lending as virgod decides it: leases, their limits, taking back, what happens
 * when virgo-nbd is lost on the way. Time, virgo-nbd and other nodes are the kit's.
 */
#include <criterion/criterion.h>

#include "memory_kit.h"

#define MIB (1ull << 20)

static struct node node = { .state = "/nowhere", .local.node = "alpha" };
static struct conn beta, other, local;

static void setup(void)
{
	static const char *anybody[] = { "*" };

	kit_peer(&beta, "beta", 'b');
	kit_peer(&other, "gamma", 'c');
	kit_conf.memory_allow = (struct conf_list){ .count = 1,
						    .items = anybody };
	kit_conf.memory_port = 10809;
	kit_load = (struct load){ .memory_bytes = 1024 * MIB,
				  .memory_free_bytes = 1024 * MIB };
	cr_assert_not_null(memory_new(&node));
}

static void teardown(void)
{
	memory_free(node.memory);
	cr_assert_eq(beta.references, 0);
	cr_assert_eq(other.references, 0);
	cr_assert_eq(local.references, 0);
	for (u32 i = 0; i < ARRAY_SIZE(kit_timers); i++)
		cr_assert_null(kit_timers[i], "a timer outlives its owner");
}

TestSuite(memory, .init = setup, .fini = teardown);

#define ASK(c, NAME, name, ...)                                                \
	({                                                                     \
		const struct msg_##name m_ = { __VA_ARGS__ };                  \
		u8 buf_[512];                                                  \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
									       \
		msg_##name##_encode(&w_, &m_);                                 \
		kit_ask(&node, c, MSG_##NAME, buf_, wcursor_len(&w_));         \
	})

/* Asks for a lease, and lets virgo-nbd answer; 0 or the refusal's code. */
static int lease(struct conn *c, const char *name, u64 bytes,
		 const char *purpose)
{
	ASK(c, MEMORY_LEASE, memory_lease, .name = span_of(name),
	    .bytes = bytes, .purpose = span_of(purpose));
	nbd_answers();
	cr_assert_neq(got.type, 0, "no answer");
	return got.type == MSG_MEMORY_LEASED ? 0 : got.failure.code;
}

static int release(struct conn *c, const char *name, u64 generation)
{
	ASK(c, MEMORY_RELEASE, memory_release, .name = span_of(name),
	    .generation = generation);
	nbd_answers();
	return got.type == MSG_OK ? 0 : got.failure.code;
}

static u64 offered(struct conn *c)
{
	struct msg_memory_offer o;

	ASK(c, MEMORY_QUERY, memory_query, .purpose = span_of("swap"));
	cr_assert_eq(got.type, MSG_MEMORY_OFFER);
	cr_assert_eq(msg_memory_offer_decode(&o, got.payload, got.len), 0);
	cr_assert_eq(!o.free_bytes, o.why.len > 0, "nothing, without a reason");
	return o.free_bytes;
}

static int lend(u64 bytes, u64 reserve, u32 wait_s)
{
	ASK(&local, MEMORY_LEND, memory_lend, .bytes = bytes,
	    .reserve_bytes = reserve, .wait_s = wait_s);
	nbd_answers();
	return got.type == MSG_OK ? 0 : got.failure.code;
}

static void lending(u64 bytes)
{
	cr_assert_eq(lend(bytes, 0, 0), 0);
	cr_assert(nbd.kept);
	nbd_comes();
}

static void write_to(const char *export, u64 held, u64 compressed)
{
	struct kit_export *e = kit_export(export);

	cr_assert_not_null(e, "%s", export);
	e->held = held;
	e->compressed = compressed;
	e->users = 1;
}

/* virgo-nbd has an export of beta's that virgod did not hear of. */
static void made_unheard(const char *name, u64 bytes)
{
	struct kit_export *e = &nbd.exports[nbd.count++];

	*e = (struct kit_export){ .bytes = bytes, .generation = 1, .since = 1 };
	snprintf(e->name, sizeof(e->name), "%s", name);
	snprintf(e->owner, sizeof(e->owner), "beta:%.*s", STEM_DIGITS,
		 beta.peer.serial);
}

Test(memory, none_unless_asked)
{
	cr_assert_not(nbd.kept);
	cr_assert_eq(offered(&beta), 0);
	cr_assert_eq(lease(&beta, "a", MIB, "swap"), -EOPNOTSUPP);
	cr_assert_eq(lend(MIB + 1, 0, 0), -EINVAL);
	cr_assert_eq(lend(1000 * MIB, 100 * MIB, 0), -EINVAL, "more than there is");
	cr_assert_eq(lend(64 * MIB, 0, 0), 0);
	cr_assert_eq(lease(&beta, "a", MIB, "swap"), -EAGAIN, "not up yet");
	nbd_comes();
	cr_assert_eq(lease(&beta, "a", MIB, "swap"), 0);
}

Test(memory, leases)
{
	struct msg_memory_leased l, again;
	static char copy[sizeof(got.payload)];

	lending(64 * MIB);
	cr_assert_eq(offered(&beta), 64 * MIB);
	cr_assert_eq(lease(&beta, "a", 16 * MIB, "swap"), 0);
	memcpy(copy, got.payload, got.len);
	cr_assert_eq(msg_memory_leased_decode(&l, (u8 *)copy, got.len), 0);
	cr_assert(span_equal(l.export, span_of("swap/beta/a@1")));
	cr_assert_str_eq(nbd.exports[0].name, "swap/beta/a");
	cr_assert_str_eq(strchr(nbd.exports[0].owner, ':') + 1,
			 node.memory->leases->stem);
	cr_assert_eq(lease(&beta, "a", 16 * MIB, "swap"), 0, "the same again");
	cr_assert_eq(msg_memory_leased_decode(&again, got.payload, got.len), 0);
	cr_assert_eq(again.generation, l.generation);
	cr_assert_eq(nbd.count, 1);
	cr_assert_eq(lease(&beta, "a", 8 * MIB, "swap"), -EEXIST);
	cr_assert_eq(lease(&beta, "a", 16 * MIB, "disk"), -EEXIST);
	cr_assert_eq(lease(&other, "a", 16 * MIB, "disk"), 0, "another's a");
	cr_assert_eq(offered(&other), 32 * MIB);
	cr_assert_eq(memory_lent_bytes(node.memory), 32 * MIB);
	cr_assert_gt(kit_audited, 0);
}

Test(memory, what_is_no_lease)
{
	char longest[MEMORY_NAME_MAX + 2];
	struct conn self = { 0 };

	lending(64 * MIB);
	memset(longest, 'n', sizeof(longest));
	longest[MEMORY_NAME_MAX + 1] = '\0';
	cr_assert_eq(lease(&beta, longest, MIB, "swap"), -EINVAL);
	longest[MEMORY_NAME_MAX] = '\0';
	cr_assert_eq(lease(&beta, longest, MIB, "swap"), 0);
	cr_assert_eq(lease(&beta, "", MIB, "swap"), -EINVAL);
	cr_assert_eq(lease(&beta, "../a", MIB, "swap"), -EINVAL);
	cr_assert_eq(lease(&beta, "a b", MIB, "swap"), -EINVAL);
	cr_assert_eq(lease(&beta, "a", MIB, "toy"), -EINVAL);
	cr_assert_eq(lease(&beta, "a", 0, "swap"), -EINVAL);
	cr_assert_eq(lease(&beta, "a", 4095, "swap"), -EINVAL);
	kit_peer(&self, "alpha", 'a');
	cr_assert_eq(lease(&self, "a", MIB, "swap"), -EINVAL, "from itself");
	kit_ask(&node, &beta, MSG_MEMORY_LEASE, (const u8 *)"\xff\xff", 2);
	cr_assert_eq(got.failure.code, -EBADMSG);
	cr_assert_eq(nbd.count, 1);
}

Test(memory, not_on_the_same_machine)
{
	struct span here = span_of(node.memory->boot);

	lending(64 * MIB);
	cr_assert_gt(here.len, 30);
	ASK(&beta, MEMORY_LEASE, memory_lease, .name = span_of("a"),
	    .bytes = MIB, .purpose = span_of("swap"), .boot = here);
	cr_assert_eq(got.failure.code, -EINVAL);
	cr_assert_not_null(strstr(got.failure.remedy, "same_machine"));
	ASK(&beta, MEMORY_LEASE, memory_lease, .name = span_of("a"),
	    .bytes = MIB, .purpose = span_of("swap"), .boot = span_of("other"));
	nbd_answers();
	cr_assert_eq(got.type, MSG_MEMORY_LEASED);
	kit_conf.memory_same_machine = true;
	ASK(&beta, MEMORY_LEASE, memory_lease, .name = span_of("b"),
	    .bytes = MIB, .purpose = span_of("swap"), .boot = here);
	nbd_answers();
	cr_assert_eq(got.type, MSG_MEMORY_LEASED);
}

Test(memory, limits)
{
	char name[16];

	lending(64 * MIB);
	cr_assert_eq(lease(&beta, "a", 65 * MIB, "swap"), -ENOSPC);
	kit_conf.memory_quota_bytes = 24 * MIB;
	cr_assert_eq(lease(&beta, "a", 16 * MIB, "swap"), 0);
	cr_assert_eq(offered(&beta), 8 * MIB);
	cr_assert_eq(offered(&other), 24 * MIB);
	cr_assert_eq(lease(&beta, "b", 9 * MIB, "swap"), -EDQUOT);
	kit_conf.memory_quota_bytes = 8 * MIB; /* less than it has */
	cr_assert_eq(offered(&beta), 0);
	kit_conf.memory_quota_bytes = 0;
	/* 16 MiB are promised and not used yet; 20 more must stay free. */
	cr_assert_eq(lend(64 * MIB, 20 * MIB, 0), 0);
	kit_load.memory_free_bytes = 46 * MIB + 100;
	cr_assert_eq(offered(&beta), 10 * MIB);
	cr_assert_eq(lease(&beta, "b", 11 * MIB, "swap"), -ENOSPC);
	kit_load.memory_free_bytes = 30 * MIB;
	cr_assert_eq(offered(&beta), 0);
	kit_load.memory_free_bytes = 1024 * MIB;
	kit_conf.memory_allow.items = (const char *[]){ "beta" };
	cr_assert_eq(lease(&other, "a", MIB, "swap"), -EACCES);
	cr_assert_eq(lend(15 * MIB, 0, 0), -EBUSY, "16 are lent");
	for (u32 i = node.memory->count; i < LEASES_MAX; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		cr_assert_eq(lease(&beta, name, 4096, "swap"), 0, "%u", i);
	}
	cr_assert_eq(lease(&beta, "more", 4096, "swap"), -ENOSPC);
}

Test(memory, virgo_nbd_is_lost_on_the_way)
{
	lending(64 * MIB);
	ASK(&beta, MEMORY_LEASE, memory_lease, .name = span_of("a"),
	    .bytes = MIB, .purpose = span_of("swap"));
	cr_assert_eq(got.type, 0);
	cr_assert_eq(memory_lent_bytes(node.memory), MIB, "counts already");
	cr_assert_eq(beta.references, 1);
	ASK(&beta, MEMORY_LEASE, memory_lease, .name = span_of("a"),
	    .bytes = MIB, .purpose = span_of("swap"));
	cr_assert_eq(got.failure.code, -EAGAIN, "is being made");
	nbd_dies();
	cr_assert_eq(got.failure.code, -EAGAIN);
	cr_assert_eq(beta.references, 0);
	cr_assert_eq(memory_lent_bytes(node.memory), 0);
	cr_assert_eq(release(&beta, "a", 0), -EAGAIN, "who knows");
	/* It was made all the same, and the answer was lost. */
	made_unheard("swap/beta/a", MIB);
	nbd_comes();
	cr_assert_eq(lease(&beta, "a", MIB, "swap"), 0);
	cr_assert_eq(nbd.count, 1, "adopted, not made again");
}

Test(memory, release)
{
	lending(64 * MIB);
	lease(&beta, "a", MIB, "swap");
	write_to("swap/beta/a", MIB, 0);
	cr_assert_eq(release(&beta, "a", 99), 0, "another generation");
	cr_assert_eq(release(&other, "a", 0), 0, "not gamma's");
	cr_assert_eq(release(&beta, "b", 0), 0, "none");
	cr_assert_eq(nbd.count, 1);
	cr_assert_eq(release(&beta, "a", 1), 0);
	cr_assert_eq(nbd.count, 0);
	lease(&beta, "a", MIB, "swap");
	cr_assert_eq(node.memory->leases->generation, 2);
}

/* Exports of somebody else's, and lines that are none, are no leases. */
Test(memory, the_table_of_virgo_nbd)
{
	static const char *const odd[] = {
		"toy/beta/a", "swap/beta", "swap/beta/", "plain",
	};

	for (u32 i = 0; i < ARRAY_SIZE(odd); i++)
		made_unheard(odd[i], MIB);
	made_unheard("swap/beta/x", MIB);
	strcpy(nbd.exports[4].owner, "beta:short");
	lending(64 * MIB);
	cr_assert_eq(node.memory->count, 0);
	cr_assert_eq(node.memory->others_bytes, 5 * MIB);
	cr_assert_eq(offered(&beta), 59 * MIB);
}

Test(memory, leave)
{
	lending(64 * MIB);
	lease(&beta, "a", MIB, "swap");
	lease(&beta, "b", MIB, "swap");
	lease(&other, "c", MIB, "disk");
	write_to("swap/beta/a", MIB, 0);
	lend(0, 0, 3);
	cr_assert_eq(got.type, 0, "it waits");
	cr_assert_eq(lease(&other, "d", MIB, "swap"), -ESHUTDOWN);
	advance(0);
	cr_assert_eq(call_count, 2, "each borrower once");
	call_ends(false);
	advance(1500000);
	cr_assert_gt(got.progress, 0);
	cr_assert_eq(call_count, 2);
	got.type = 0;
	advance(2000000);
	cr_assert_eq(got.failure.code, -ETIMEDOUT);
	cr_assert_not_null(strstr(got.failure.what, "beta"));
	cr_assert_eq(nbd.count, 1, "what nobody uses goes, data stays");
	cr_assert_not_null(kit_export("swap/beta/a"));
	advance(60000000);
	cr_assert_eq(nbd.count, 1, "however long it takes");
	cr_assert_eq(nbd.ended, 0);
	cr_assert_eq(release(&beta, "a", 0), 0);
	cr_assert_eq(nbd.ended, 1);
	cr_assert_not(nbd.kept);
	cr_assert_eq(lease(&beta, "a", MIB, "swap"), -EOPNOTSUPP);
	advance(60000000);
	cr_assert_eq(nbd.ended, 1);
}

/* Who heard is asked again after half a minute, who did not after 5 s. */
Test(memory, asked_again)
{
	lending(64 * MIB);
	lease(&beta, "a", MIB, "swap");
	write_to("swap/beta/a", MIB, 0);
	lend(0, 0, 600);
	advance(0);
	cr_assert_eq(call_count, 1);
	cr_assert_eq(calls[0].type, MSG_MEMORY_LEAVING);
	cr_assert_str_eq(calls[0].node, "beta");
	call_ends(false);
	advance(4000000);
	cr_assert_eq(call_count, 1);
	advance(2000000);
	cr_assert_eq(call_count, 2);
	call_ends(true);
	advance(28000000);
	cr_assert_eq(call_count, 2);
	advance(4000000);
	cr_assert_eq(call_count, 3);
	lend(64 * MIB, 0, 0);
	cr_assert_eq(got.failure.code, -ECANCELED, "who waited for the end");
	cr_assert_eq(lease(&beta, "b", MIB, "swap"), 0);
	advance(60000000);
	cr_assert_eq(call_count, 3, "asked no more");
}

Test(memory, drained)
{
	lending(64 * MIB);
	lease(&beta, "a", MIB, "swap");
	kit_row.draining = true;
	kit_catalog_changed(kit_catalog_arg);
	advance(1000000);
	cr_assert_eq(call_count, 1);
	cr_assert_eq(lease(&other, "b", MIB, "swap"), -ESHUTDOWN);
	cr_assert_eq(release(&beta, "a", 0), 0);
	advance(5000000);
	cr_assert_eq(nbd.ended, 0, "it lends again when it is undrained");
	kit_row.draining = false;
	kit_catalog_changed(kit_catalog_arg);
	cr_assert_eq(lease(&other, "b", MIB, "swap"), 0);
}

Test(memory, short_of_memory)
{
	lending(64 * MIB);
	lease(&beta, "hot", MIB, "swap");
	lease(&other, "cold", MIB, "swap");
	lease(&beta, "empty", MIB, "swap");
	write_to("swap/beta/hot", MIB, MIB / 4);
	write_to("swap/gamma/cold", MIB / 2, MIB / 4);
	nbd.is_short = true;
	advance(19000000);
	cr_assert_eq(call_count, 0, "a peak may pass");
	advance(11000000);
	cr_assert_eq(call_count, 1);
	cr_assert_str_eq(calls[0].node, "gamma", "what is used least");
	call_ends(true);
	advance(25000000);
	cr_assert_eq(call_count, 1, "one at a time");
	advance(10000000);
	cr_assert_eq(call_count, 2, "and again");
	cr_assert_str_eq(calls[1].node, "gamma");
	call_ends(true);
	cr_assert_eq(release(&other, "cold", 0), 0);
	advance(10000000);
	cr_assert_eq(call_count, 3, "the next");
	cr_assert_str_eq(calls[2].node, "beta");
	call_ends(true);
	nbd.is_short = false;
	advance(5000000);
	for (const struct lease *l = node.memory->leases; l; l = l->next)
		cr_assert_not(l->recalled);
	advance(60000000);
	cr_assert_eq(call_count, 3);
	cr_assert_eq(nbd.count, 2, "nothing is taken");
}

Test(memory, a_removed_node_is_cut)
{
	lending(64 * MIB);
	lease(&beta, "a", MIB, "swap");
	lease(&other, "a", MIB, "swap");
	write_to("swap/beta/a", MIB, 0);
	kit_removed = node.memory->leases->next->stem;
	kit_catalog_changed(kit_catalog_arg);
	kit_catalog_changed(kit_catalog_arg); /* not twice */
	kit_removed = NULL;
	nbd_answers();
	cr_assert_eq(nbd.removed, 1);
	cr_assert_null(kit_export("swap/beta/a"));
	cr_assert_not_null(kit_export("swap/gamma/a"));
	cr_assert_eq(node.memory->count, 1);
}

/* A virgod that starts beside a virgo-nbd which lends what nobody asked for. */
Test(memory, found_lending)
{
	made_unheard("swap/beta/a", MIB);
	nbd.exports[0].held = 4096;
	nbd_comes();
	cr_assert(memory_leaving(node.memory));
	advance(1000000);
	cr_assert_eq(call_count, 1, "asked back");
	cr_assert_eq(nbd.count, 1, "not dropped");
	cr_assert_eq(release(&beta, "a", 0), 0);
	cr_assert_eq(nbd.ended, 1);
}

/* What root has asked for is still asked for after a restart. */
Test(memory, remembered)
{
	lending(64 * MIB);
	cr_assert_str_eq(kit_stored, "67108864 0 lending\n");
	lease(&beta, "a", MIB, "swap");
	lend(0, 0, 0);
	cr_assert_str_eq(kit_stored, "67108864 0 leaving\n");
	memory_free(node.memory);
	kit_tables = 0;
	cr_assert_not_null(memory_new(&node));
	cr_assert(memory_leaving(node.memory));
	cr_assert_eq(lease(&other, "b", MIB, "swap"), -ESHUTDOWN);
}
