// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared variables: what readers act on, and that they never see half a value. */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "var.h"

enum { SECOND = 1000000000 };

static const u8 boot[VAR_BOOT_BYTES] = "this boot here";

static void *table_new(void)
{
	void *table = mmap(NULL, VAR_TABLE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(table, MAP_FAILED);
	var_format(table, boot);
	return table;
}

static struct var sample(const char *name, s64 value)
{
	struct var v = {
		.value = (u64)value,
		.min = (u64)-100,
		.max = 100,
		.def = 7,
		.updated_ns = 10ull * SECOND,
		.ttl_ms = 5000,
		.confidence_ppm = 900000,
		.type = VAR_S64,
		.mode = VAR_ON,
		.unit = "ms",
		.producer = "test",
	};

	snprintf(v.name, sizeof(v.name), "%s", name);
	return v;
}

static const struct var_want want = {
	.type = VAR_S64,
	.min = (u64)-50,
	.max = 50,
	.fallback = 42,
};

static int get(void *table, const char *name, u64 now_ns, s64 *value)
{
	u32 slot = 0;
	u64 got = 0;
	int ret = var_get(table, &slot, name, &want, now_ns, &got);

	*value = (s64)got;
	return ret;
}

Test(var, what_is_written_is_read)
{
	void *table = table_new();
	struct var v = sample("node.beta.service_us", -3);
	struct var out;
	int slot = var_write(table, &v);

	cr_assert_gt(slot, 0);
	cr_assert_eq(var_find(table, v.name), slot);
	cr_assert_eq(var_read(table, (u32)slot, &out), 0);
	cr_assert_eq(out.value, v.value);
	cr_assert_eq(out.min, v.min);
	cr_assert_eq(out.max, v.max);
	cr_assert_eq(out.def, v.def);
	cr_assert_eq(out.updated_ns, v.updated_ns);
	cr_assert_eq(out.ttl_ms, v.ttl_ms);
	cr_assert_eq(out.confidence_ppm, v.confidence_ppm);
	cr_assert_eq(out.type, v.type);
	cr_assert_eq(out.mode, v.mode);
	cr_assert_str_eq(out.name, v.name);
	cr_assert_str_eq(out.unit, v.unit);
	cr_assert_str_eq(out.producer, v.producer);
	cr_assert_eq(var_check(table, boot), 0);
	cr_assert_eq(var_find(table, "node.beta"), -ENOENT);
}

Test(var, another_boot_or_layout_is_refused)
{
	void *table = table_new();
	u8 other[VAR_BOOT_BYTES] = "another one";

	cr_assert_eq(var_check(table, other), -ESTALE);
	*(u32 *)table ^= 1;
	cr_assert_eq(var_check(table, boot), -EPROTO);
}

Test(var, a_reader_acts_on_a_good_value)
{
	void *table = table_new();
	struct var v = sample("a", -3);
	s64 value;

	var_write(table, &v);
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), 0);
	cr_assert_eq(value, -3);
}

Test(var, a_reader_falls_back_and_says_why)
{
	void *table = table_new();
	struct var v = sample("a", 3);
	u32 slot = 0;
	u64 got;
	s64 value;

	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), -ENOENT);
	cr_assert_eq(value, 42);
	var_write(table, &v);
	cr_assert_eq(get(table, "a", 15ull * SECOND + 1, &value), -ESTALE);
	cr_assert_eq(value, 42);
	cr_assert_eq(get(table, "a", 10ull * SECOND - 1, &value), -ESTALE);
	v.value = 51; /* inside of its limits, outside of the reader's */
	var_write(table, &v);
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), -ERANGE);
	cr_assert_eq(value, 42);
	v = sample("a", 3);
	v.mode = VAR_SHADOW;
	var_write(table, &v);
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), -ECANCELED);
	cr_assert_eq(value, 42);
	v.mode = VAR_ON;
	v.type = VAR_U64;
	v.min = 0;
	var_write(table, &v);
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), -EPROTOTYPE);
	cr_assert_eq(value, 42);

	struct var_want young = want;

	young.max_age_ms = 1000;
	v = sample("a", 3);
	var_write(table, &v);
	cr_assert_eq(var_get(table, &slot, "a", &young, 11ull * SECOND, &got), 0);
	cr_assert_eq(var_get(table, &slot, "a", &young, 11ull * SECOND + 1, &got),
		     -ESTALE);
	cr_assert_eq(got, 42);
}

Test(var, a_value_without_ttl_does_not_age)
{
	void *table = table_new();
	struct var v = sample("a", 3);
	s64 value;

	v.ttl_ms = 0;
	var_write(table, &v);
	cr_assert_eq(get(table, "a", ~0ull, &value), 0);
	cr_assert_eq(value, 3);
}

Test(var, bad_variables_are_not_written)
{
	void *table = table_new();
	struct var v;

#define refused(change, code)                                                  \
	do {                                                                   \
		v = sample("a", 3);                                            \
		change;                                                        \
		cr_assert_eq(var_write(table, &v), code, #change);             \
	} while (0)
	refused(v.type = VAR_NONE, -EINVAL);
	refused(v.type = 5, -EINVAL);
	refused(v.mode = 3, -EINVAL);
	refused(v.name[0] = 0, -EINVAL);
	refused(memset(v.name, 'x', sizeof(v.name)), -EINVAL);
	refused(v.name[0] = ' ', -EINVAL);
	refused(v.unit[0] = '\n', -EINVAL);
	refused(memset(v.producer, 'x', sizeof(v.producer)), -EINVAL);
	refused(v.def = 101, -EINVAL);
	refused(v.min = 101, -EINVAL);
	refused(v.value = 101, -ERANGE);
	refused(v.value = (u64)-101, -ERANGE);
	refused(v.confidence_ppm = 1000001, -EINVAL);
	refused(v.type = VAR_U64, -EINVAL); /* min is then very large */
	refused((v.type = VAR_BOOL, v.min = 0), -EINVAL);
	cr_assert_eq(var_find(table, "a"), -ENOENT);
}

Test(var, a_crowded_neighbourhood_overflows_with_an_error)
{
	void *table = table_new();
	u32 written = 0;
	int ret = 1;

	for (u32 i = 0; i < 4 * VAR_SLOTS && ret > 0; i++) {
		char name[VAR_NAME_BYTES];
		struct var v;

		snprintf(name, sizeof(name), "n.%u", i);
		v = sample(name, (s64)(i % 100));
		ret = var_write(table, &v);
		written += ret > 0;
	}
	cr_assert_eq(ret, -ENOSPC);
	cr_assert_gt(written, VAR_SLOTS / 2);
	for (u32 i = 0; i < written; i++) {
		char name[VAR_NAME_BYTES];
		struct var v;
		int slot;

		snprintf(name, sizeof(name), "n.%u", i);
		slot = var_find(table, name);
		cr_assert_gt(slot, 0, "%s", name);
		cr_assert_eq(var_read(table, (u32)slot, &v), 0);
		cr_assert_eq(v.value, i % 100);
	}
}

Test(var, a_slot_out_of_the_table_is_refused)
{
	void *table = table_new();
	struct var v;

	cr_assert_eq(var_read(table, 0, &v), -EINVAL);
	cr_assert_eq(var_read(table, VAR_SLOTS, &v), -EINVAL);
	cr_assert_eq(var_read(table, 1, &v), -ENOENT);
}

/* Every field says the same number, in the way it can. */
static struct var consistent(u32 n)
{
	struct var v = {
		.value = n,
		.max = ~0ull,
		.def = n,
		.updated_ns = n,
		.ttl_ms = n,
		.type = VAR_U64,
		.mode = VAR_ON,
		.name = "torn",
	};

	snprintf(v.unit, sizeof(v.unit), "%07u", n % 10000000);
	snprintf(v.producer, sizeof(v.producer), "%015u", n);
	return v;
}

static bool is_whole(const struct var *v)
{
	struct var same = consistent((u32)v->value);

	return v->max == same.max && v->def == same.def &&
	       v->updated_ns == same.updated_ns && v->ttl_ms == same.ttl_ms &&
	       v->type == same.type && v->mode == same.mode &&
	       !strcmp(v->name, same.name) && !strcmp(v->unit, same.unit) &&
	       !strcmp(v->producer, same.producer);
}

/* Kills a writer that never stops, at whatever it is doing. */
Test(var, no_torn_read_beside_a_writer_that_is_killed, .timeout = 100)
{
	enum { ROUNDS = 100 };
	void *table = table_new();
	struct var v = consistent(1);
	int slot = var_write(table, &v);

	for (u32 round = 0; round < ROUNDS; round++) {
		u32 first = 2 + round * 1000000;
		u32 seen = 0;
		pid_t pid = fork();

		cr_assert_geq(pid, 0);
		for (u32 n = first; !pid; n++) {
			v = consistent(n);
			var_write(table, &v);
		}
		while (seen < 1 + round) {
			if (var_read(table, (u32)slot, &v))
				continue;
			cr_assert(is_whole(&v));
			seen += v.value >= first;
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (!var_read(table, (u32)slot, &v))
			cr_assert(is_whole(&v));
		else
			cr_assert_eq(var_repair(table), 1);
		v = consistent(1);
		cr_assert_eq(var_write(table, &v), slot);
	}
}

/* A process that writes number 2 over number 1, stopped before it begins. */
static pid_t stopped_writer(void *table)
{
	struct var v = consistent(2);
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
			_exit(1);
		var_write(table, &v);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSTOPPED(status));
	return pid;
}

/* One instruction; false when the process has ended. */
static bool step(pid_t pid)
{
	int status;

	cr_assert_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		cr_assert_eq(WEXITSTATUS(status), 0);
	return WIFSTOPPED(status);
}

/* The writer halts at every one of its instructions in turn: a reader gets the
 * old, the new, or nothing.
 */
Test(var, no_torn_read_at_any_instruction_of_the_writer, .timeout = 100)
{
	void *table = table_new();
	struct var v = consistent(1);
	int slot = var_write(table, &v);
	pid_t pid = stopped_writer(table);
	u32 states = 0; /* bit 1 and 2: those numbers; bit 0: open */

	while (step(pid)) {
		if (var_read(table, (u32)slot, &v)) {
			states |= 1;
			continue;
		}
		cr_assert(is_whole(&v));
		states |= 1 << v.value;
	}
	cr_assert_eq(states, 7);
}

Test(var, a_new_writer_repairs_what_a_killed_one_left, .timeout = 100)
{
	void *table = table_new();
	struct var v = consistent(1);
	int slot = var_write(table, &v);
	pid_t pid = stopped_writer(table);

	while (var_read(table, (u32)slot, &v) == 0)
		cr_assert(step(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert_eq(var_read(table, (u32)slot, &v), -EAGAIN);
	cr_assert_eq(var_repair(table), 1);
	cr_assert_eq(var_read(table, (u32)slot, &v), -ENOENT);
	v = consistent(3);
	cr_assert_eq(var_write(table, &v), slot);
	cr_assert_eq(var_read(table, (u32)slot, &v), 0);
	cr_assert(is_whole(&v));
}

/* What a reader gets from a record that stays open. */
Test(var, an_open_record_gives_the_default_until_it_is_repaired)
{
	void *table = table_new();
	struct var v = sample("a", 3);
	int slot = var_write(table, &v);
	u32 *sequence = (u32 *)((u8 *)table + slot * VAR_RECORD_BYTES);
	u32 cached = (u32)slot;
	u64 got;
	s64 value;

	*sequence |= 1;
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), -EAGAIN);
	cr_assert_eq(value, 42);
	cr_assert_eq(var_get(table, &cached, "a", &want, 12ull * SECOND, &got),
		     -EAGAIN);
	cr_assert_eq(got, 42);
	cr_assert_eq(var_repair(table), 1);
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), -ENOENT);
	cr_assert_eq(var_repair(table), 0);
	cr_assert_eq(var_write(table, &v), slot);
	cr_assert_eq(get(table, "a", 12ull * SECOND, &value), 0);
	cr_assert_eq(value, 3);
}

/* A slot that was found once and now holds another variable is not believed. */
Test(var, a_cached_slot_is_checked)
{
	void *table = table_new();
	struct var a = sample("a", 3);
	struct var b = sample("b", 4);
	u32 slot;
	u64 got;

	var_write(table, &a);
	slot = (u32)var_write(table, &b);
	cr_assert_eq(var_get(table, &slot, "a", &want, 12ull * SECOND, &got), 0);
	cr_assert_eq(got, 3);
	cr_assert_eq(slot, var_find(table, "a"));
}

Test(var, names_of_types_and_modes_go_both_ways)
{
	for (u8 type = VAR_S64; type <= VAR_BOOL; type++)
		cr_assert_eq(var_type_of(var_type_name(type)), type);
	for (u8 mode = VAR_OFF; mode <= VAR_ON; mode++)
		cr_assert_eq(var_mode_of(var_mode_name(mode)), mode);
	cr_assert_null(var_type_name(VAR_NONE));
	cr_assert_eq(var_type_of("float"), VAR_NONE);
	cr_assert_eq(var_mode_of("perhaps"), -EINVAL);
}
