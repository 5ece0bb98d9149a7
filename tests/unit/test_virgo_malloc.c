// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory objects through the public library, against a stand-in for virgod: how a
 * range is cut and kept under way, and what virgod may do wrong. The ordinary course
 * is tested with real nodes by tests/net/malloc.sh.
 */
#include <criterion/criterion.h>

#include "extent.h"
#include "fake_virgod.h"

static void end(void);

TestSuite(virgo_malloc, .fini = end, .timeout = 110);

enum { SIZE = 3 * EXTENT_BYTES + 100 };

static u8 bytes[SIZE]; /* of the object */
static u8 buf[SIZE];
static int connections; /* atomic */
static int requests; /* atomic */
static int refuse_from; /* index of the extent from which on all is refused; -1 */
static bool shorten; /* answers to gets by a byte */
static int dies_after; /* requests of a connection; -1: never */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_conn *last; /* that has a script; guarded by lock */
static const struct virgo_handle handle = { { 1, 2, 3 } };

static void error(struct fake_conn *c, int code, const char *what)
{
	const struct msg_error m = { .code = code, .what = span_of(what) };

	fake_message(c, 0, 0, ERROR, error, &m);
}

/* The checks of extent_range() are the library's promise to virgod. */
static bool refused(struct fake_conn *c, u64 offset, u64 len, u64 all_end)
{
	struct extent_range r = { 0 };
	int ret = extent_range(SIZE, offset, len, all_end, &r);

	if (ret == -EINVAL) {
		fprintf(stderr, "not a range of one extent\n");
		abort();
	}
	if (!ret && refuse_from >= 0 && (int)r.index >= refuse_from)
		ret = -ESTALE;
	if (ret)
		error(c, ret, r.index == (u32)refuse_from ? "first" : "other");
	return ret;
}

static void get(struct fake_conn *c)
{
	struct msg_malloc_get m;
	u8 head[4];
	u8 *out;

	if (msg_malloc_get_decode(&m, c->payload, c->frame.length))
		abort();
	if (refused(c, m.offset, m.len, m.all_end))
		return;
	put_u32(head, m.len - shorten);
	out = malloc(sizeof(head) + m.len);
	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), bytes + m.offset, m.len);
	fake_frame(c, MSG_MALLOC_DATA, 0, 0, 0, out,
		   sizeof(head) + m.len - shorten);
	free(out);
}

static void set(struct fake_conn *c)
{
	const struct msg_ok ok = {};
	struct msg_malloc_set m;

	if (msg_malloc_set_decode(&m, c->payload, c->frame.length))
		abort();
	if (refused(c, m.offset, m.data.len, m.all_end))
		return;
	memcpy(bytes + m.offset, m.data.data, m.data.len);
	fake_message(c, 0, 0, OK, ok, &ok);
}

static void script(struct fake_conn *c)
{
	const struct msg_malloced made = { .handle = { handle.bytes,
						       HANDLE_BYTES } };
	const struct msg_malloced short_one = { .handle = { handle.bytes, 15 } };
	const struct msg_ok ok = {};
	int left = dies_after;

	__atomic_add_fetch(&connections, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&lock);
	last = c;
	pthread_mutex_unlock(&lock);
	while (left-- && fake_recv(c)) {
		__atomic_add_fetch(&requests, 1, __ATOMIC_SEQ_CST);
		c->tag = c->frame.tag;
		if (c->frame.type == MSG_MALLOC_GET)
			get(c);
		else if (c->frame.type == MSG_MALLOC_SET)
			set(c);
		else if (c->frame.type == MSG_MALLOC && shorten)
			fake_message(c, 0, 0, MALLOCED, malloced, &short_one);
		else if (c->frame.type == MSG_MALLOC)
			fake_message(c, 0, 0, MALLOCED, malloced, &made);
		else
			fake_message(c, 0, 0, OK, ok, &ok);
	}
	pthread_mutex_lock(&lock);
	if (last == c)
		last = NULL;
	pthread_mutex_unlock(&lock);
}

/* The library keeps its connection for the next call. */
static void end(void)
{
	pthread_mutex_lock(&lock);
	if (last)
		shutdown(last->fd, SHUT_RDWR);
	pthread_mutex_unlock(&lock);
	fake_virgod_end();
}

static void begin(void)
{
	connections = requests = 0;
	refuse_from = dies_after = -1;
	shorten = false;
	for (u32 i = 0; i < SIZE; i++)
		bytes[i] = (u8)(i * 2654435761u >> 24);
	fake_virgod(script);
}

Test(virgo_malloc, ranges_over_extents)
{
	static const struct {
		u32 offset, len, parts;
	} range[] = { { 0, SIZE, 4 }, { 0, 1, 1 }, { SIZE - 1, 1, 1 },
		      { EXTENT_BYTES - 1, 2, 2 },
		      { EXTENT_BYTES, EXTENT_BYTES, 1 },
		      { 5, 2 * EXTENT_BYTES, 3 } };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(range); i++) {
		u32 at = range[i].offset, len = range[i].len;

		requests = 0;
		cr_assert_eq(virgo_get(&handle, buf, len, at), (ssize_t)len);
		cr_assert_eq(requests, (int)range[i].parts);
		cr_assert_arr_eq(buf, bytes + at, len);
		for (u32 k = 0; k < len; k++)
			buf[k] ^= 0x5a;
		cr_assert_eq(virgo_set(&handle, buf, len, at), (ssize_t)len);
		cr_assert_arr_eq(buf, bytes + at, len);
	}
	cr_assert_eq(connections, 1, "one connection does for all");
}

Test(virgo_malloc, nothing_and_too_much)
{
	begin();
	cr_assert_eq(virgo_get(&handle, buf, 0, 7), 0);
	cr_assert_eq(requests, 0);
	cr_assert_eq(virgo_get(&handle, buf, 2, UINT64_MAX), -1);
	cr_assert_eq(errno, ERANGE);
	cr_assert_eq(virgo_set(&handle, buf, SIZE_MAX, 0), -1);
	cr_assert_eq(errno, ERANGE);
	cr_assert_eq(requests, 0);
	cr_assert_eq(virgo_set(&handle, buf, 101, SIZE - 100), -1);
	cr_assert_eq(errno, ERANGE);
}

Test(virgo_malloc, a_failure_among_several)
{
	begin();
	refuse_from = 2;
	cr_assert_eq(virgo_get(&handle, buf, SIZE, 0), -1);
	cr_assert_eq(errno, ESTALE);
	cr_assert_str_eq(virgo_last_failure()->what, "first");
	/* All answers were taken, so the connection is good for more. */
	refuse_from = -1;
	cr_assert_eq(virgo_get(&handle, buf, SIZE, 0), SIZE);
	cr_assert_eq(connections, 1);
}

Test(virgo_malloc, malformed_answers)
{
	struct virgo_handle made;

	begin();
	shorten = true;
	cr_assert_eq(virgo_get(&handle, buf, 100, 0), -1);
	cr_assert_eq(errno, EPROTO);
	cr_assert_eq(virgo_malloc(100, 0, &made), -1);
	cr_assert_eq(errno, EPROTO);
	shorten = false;
	cr_assert_eq(virgo_malloc(100, 0, &made), 0);
	cr_assert_eq(memcmp(&made, &handle, sizeof(made)), 0);
	cr_assert_eq(connections, 3, "none is used after that");
}

Test(virgo_malloc, virgod_hangs_up)
{
	begin();
	dies_after = 1;
	/* In the middle: an error. Between two calls: a new connection. */
	cr_assert_eq(virgo_get(&handle, buf, SIZE, 0), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(virgo_get(&handle, buf, 1, 0), 1);
	while (__atomic_load_n(&fake.open, __ATOMIC_SEQ_CST))
		usleep(1000);
	cr_assert_eq(virgo_get(&handle, buf, 1, 0), 1);
	cr_assert_eq(connections, 3);
}

Test(virgo_malloc, handles)
{
	struct virgo_handle back;
	char text[VIRGO_HANDLE_TEXT];

	virgo_handle_print(&handle, text);
	cr_assert_str_eq(text, "01020300000000000000000000000000");
	cr_assert_eq(virgo_handle_parse(text, &back), 0);
	cr_assert_eq(memcmp(&back, &handle, sizeof(back)), 0);
	cr_assert_eq(virgo_handle_parse("0102", &back), -1);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(virgo_handle_parse(NULL, &back), -1);
}
