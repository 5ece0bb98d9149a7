// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A cache grows to ten million items, and a request costs there what it costs with
 * a thousand. Instructions are counted, by going through a child's requests step by
 * step: they are the same on a busy machine. What waiting for memory costs is not
 * in them.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memcached_kit.h"

enum {
	FEW = 1000,
	MANY = 10000000,
	REQUESTS = 200,
	REQUEST_MAX = 64, /* bytes of one */
	KEY_LEN = 9,
};

struct cost { /* instructions a request */
	u64 get, set;
};

static void name(char *out, u32 item)
{
	sprintf(out, "k%08u", item);
}

/* Stores items @from to @to - 1, each with its number as value. */
static void grow(struct talk *t, u32 from, u32 to)
{
	u32 refused = 0;
	char key[16];

	for (u32 i = from; i < to; i++) {
		name(key, i);
		refused += memcached_set(&t->m, key, KEY_LEN, key + 1,
					 KEY_LEN - 1, 0, 0) != 0;
	}
	cr_assert_eq(refused, 0);
	cr_assert_eq(t->shard.cache.count, to);
	cr_assert_eq(t->shard.cache.stats.evictions, 0);
}

/* Every tenth of @items is there; how many looks in the index 1000 lookups take. */
static u64 find(struct talk *t, u32 items)
{
	u32 missed = 0, flags;
	char key[16], out[16];

	t->shard.cache.stats.probes = 0;
	for (u32 i = 0; i < items; i += 10) {
		name(key, i);
		missed += memcached_get(&t->m, key, KEY_LEN, out, sizeof(out),
					&flags) != KEY_LEN - 1 ||
			  memcmp(out, key + 1, KEY_LEN - 1);
	}
	cr_assert_eq(missed, 0);
	return t->shard.cache.stats.probes * 1000 / (items / 10);
}

static void say(struct talk *t, const char *in, size_t len)
{
	struct memcached_conn conn = { 0 };
	size_t used = 0;

	while (used < len) {
		used += memcached_run(&t->m, &conn, (const u8 *)in + used,
				      len - used, &t->reply);
		memcached_sent(&t->m, &t->reply);
	}
}

static void child(struct talk *t, const char *in, size_t len)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(77);
	raise(SIGSTOP);
	say(t, in, len);
	raise(SIGSTOP);
	_exit(0);
}

/* How many instructions saying @in takes. What it changes is lost. */
static u64 count(struct talk *t, const char *in, size_t len)
{
	pid_t pid = fork();
	u64 steps = 0;
	int status;

	cr_assert_geq(pid, 0);
	if (!pid)
		child(t, in, len);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		cr_skip_test("processes may not be traced here");
	cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	while (!ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) &&
	       waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) &&
	       WSTOPSIG(status) == SIGTRAP)
		steps++;
	cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP,
		  "status %x after %llu steps", (unsigned int)status,
		  (unsigned long long)steps);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return steps;
}

/* Of requests for items from all over the first @items. */
static struct cost cost(struct talk *t, u32 items)
{
	static char get[REQUESTS * REQUEST_MAX], set[REQUESTS * REQUEST_MAX];
	size_t get_len = 0, set_len = 0;

	for (u32 i = 0; i < REQUESTS; i++) {
		u32 item = i * (items / REQUESTS);

		get_len += (size_t)sprintf(get + get_len, "get k%08u\r\n",
					   item);
		set_len += (size_t)sprintf(set + set_len,
					   "set k%08u 0 0 8\r\n%08u\r\n",
					   item, item);
	}
	return (struct cost){ .get = count(t, get, get_len) / REQUESTS,
			      .set = count(t, set, set_len) / REQUESTS };
}

Test(cache_grow, a_request_costs_with_ten_million_items_what_it_does_with_a_thousand)
{
	struct cost few, many;
	struct talk t;

	talk_open(&t, 1 << 30);
	grow(&t, 0, FEW);
	few = cost(&t, FEW);
	grow(&t, FEW, MANY);
	many = cost(&t, MANY);
	cr_assert_gt(few.get, 100);
	cr_assert_leq(many.get * 100, few.get * 120, "get: %llu, %llu",
		      (unsigned long long)few.get, (unsigned long long)many.get);
	cr_assert_leq(many.set * 100, few.set * 120, "set: %llu, %llu",
		      (unsigned long long)few.set, (unsigned long long)many.set);
	/* One and a half is what linear hashing takes with a bucket an item. */
	cr_assert_leq(find(&t, MANY), 1700);
	talk_close(&t);
}
