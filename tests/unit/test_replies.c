// SPDX-License-Identifier: GPL-2.0-or-later
/* What a file server had done and begun, as it is found after a kill. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "filejob.h"

enum { BOOT = 7, DONE = 10, BEGUN = 11, WHAT = 77, MARK = 5 };

static const u8 id[16] = { 1, 2, 3 }, other[16] = { 4 };
static char state[32];
static struct replies *r;

static struct {
	u8 data[REPLIES_BYTES];
	u32 len;
	u16 type;
	struct replies_begun begun;
} told;

static enum replies_fate fate(u64 operation)
{
	return replies_fate_of(r, operation, &told.type, told.data, &told.len,
			       &told.begun);
}

/* Ends without a word, like a kill, and looks at what is there. */
static void reopen(const char *node, u64 boot)
{
	replies_close(r, false);
	r = replies_open(state, id, node, boot);
}

/* One operation is done and another begun when it is killed. */
static void begin_and_die(void)
{
	int a, b;

	replies_make(r);
	a = replies_begin(r, DONE, 1);
	b = replies_begin(r, BEGUN, WHAT);
	replies_mark(r, b, MARK);
	cr_assert_neq(a, b);
	replies_end(r, a, MSG_OK, "answer", 6);
	reopen("alpha", BOOT);
}

static void setup(void)
{
	strcpy(state, "/tmp/virgo-replies.XXXXXX");
	cr_assert(mkdtemp(state));
	r = replies_open(state, id, "alpha", BOOT);
	cr_assert(!replies_found(r));
}

static void teardown(void)
{
	char path[64];

	replies_close(r, true);
	snprintf(path, sizeof(path), "%s/replies", state);
	cr_assert(rmdir(path) == 0 || errno == ENOENT);
	cr_assert_eq(rmdir(state), 0);
}

TestSuite(replies, .init = setup, .fini = teardown);

Test(replies, what_was_done_is_known_after_a_kill)
{
	begin_and_die();
	cr_assert(replies_found(r));
	cr_assert_eq(fate(DONE), REPLIES_DONE);
	cr_assert(told.type == MSG_OK && told.len == 6 &&
		  !memcmp(told.data, "answer", 6));
	cr_assert_eq(fate(BEGUN), REPLIES_BEGUN);
	cr_assert(told.begun.what == WHAT && told.begun.mark == MARK &&
		  told.begun.since_ns > 0);
	cr_assert_eq(fate(9), REPLIES_NEVER);
}

Test(replies, what_others_had_begun)
{
	struct replies_past *past;

	begin_and_die();
	past = replies_past_read(state, BOOT);
	cr_assert(!replies_past_other(past, id, WHAT), "its own");
	cr_assert(replies_past_other(past, other, WHAT));
	cr_assert(!replies_past_other(past, other, 1), "done");
	replies_past_free(past);
	cr_assert_null(replies_past_read(state, BOOT + 1), "another boot");
}

Test(replies, killed_again_what_was_found_at_first_counts)
{
	begin_and_die();
	replies_begin(r, BEGUN, WHAT + 1);
	reopen("alpha", BOOT);
	cr_assert_eq(fate(BEGUN), REPLIES_BEGUN);
	cr_assert(told.begun.what == WHAT && told.begun.mark == MARK);
}

Test(replies, the_oldest_are_forgotten_and_known_as_that)
{
	int i;

	begin_and_die();
	for (i = 0; i < REPLIES_SLOTS + 20; i++) {
		int at = replies_begin(r, 100 + (u64)i, 0);

		cr_assert_geq(at, 0);
		replies_end(r, at, MSG_OK, NULL, 0);
	}
	cr_assert_eq(fate(DONE), REPLIES_DONE,
		     "what was found is not written over");
	reopen("alpha", BOOT);
	cr_assert_eq(fate(100 + REPLIES_SLOTS + 19), REPLIES_DONE);
	cr_assert_eq(fate(119), REPLIES_FORGOTTEN);
	cr_assert_eq(fate(1000), REPLIES_NEVER);
}

Test(replies, of_another_boot_or_node_there_are_none)
{
	begin_and_die();
	reopen("alpha", BOOT + 1);
	cr_assert(!replies_found(r));
	reopen("alpha", BOOT);
	begin_and_die();
	reopen("beta", BOOT);
	cr_assert(!replies_found(r), "a session is one node's");
}

static bool nobody(void *arg, const u8 session[16])
{
	return false;
}

Test(replies, those_of_ended_sessions_are_swept_away)
{
	begin_and_die();
	replies_sweep(state, nobody, NULL);
	reopen("alpha", BOOT);
	cr_assert(!replies_found(r));
}

Test(replies, without_a_place_nothing_is_noted_and_nothing_breaks)
{
	struct replies *none = replies_open("/proc/no/such", id, "alpha", BOOT);

	replies_make(none);
	cr_assert_eq(replies_begin(none, 1, 0), -1);
	replies_end(none, -1, MSG_OK, NULL, 0);
	replies_close(none, true);
}
