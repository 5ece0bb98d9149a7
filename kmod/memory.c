// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory objects by ioctl. A range is asked for in parts of one extent each,
 * WINDOW of them under way at once; their bytes go between the caller's memory and
 * the socket without a copy in between.
 */
#include "memory.h"

#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/virgo.h>

#include "core/extent.h"
#include "core/wire.h"
#include "local.h"

enum {
	WINDOW = 4, /* virgod takes 8 */
	HEAD_MAX = 128, /* fields of a request before its data */
	DATA_HEAD = 4, /* of MALLOC_DATA before its data */
	SHORT_ANSWER = 64,
	WORDS_MAX = 1024, /* a failure in virgod's words */
	MS_MAX = 3600000,
	ERRNO_LAST = 133, /* that programs know */
};

static_assert(sizeof_field(struct virgo_malloc, handle) == HANDLE_BYTES);

/* Where the caller wants to have virgod's words on a failure. */
struct words {
	void __user *to;
	u32 size;
	long code; /* the failure's; 0 while there is none */
};

/* Takes an ERROR of @len bytes. 0, or an errno after which the connection is of no
 * use. The first failure of several is told; the others follow from it.
 */
static int take_failure(struct local *l, u32 len, struct words *words)
{
	struct msg_error e;
	u8 *data;
	int ret;

	if (len > WORDS_MAX)
		return -EPROTO;
	data = kmalloc(len, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	ret = local_take(l, data, len);
	if (!ret && msg_error_decode(&e, data, len))
		ret = -EPROTO;
	if (!ret && !words->code) {
		words->code = e.code < 0 && e.code >= -ERRNO_LAST ? e.code :
								    -EIO;
		if (copy_to_user(words->to, data, min(len, words->size)))
			words->code = -EFAULT;
	}
	kfree(data);
	return ret;
}

/* One request whose answer of type @want has at most SHORT_ANSWER bytes: their
 * number, or a negative errno.
 */
static long ask(struct local *l, u32 ms, u16 type, const struct wcursor *request,
		u16 want, u8 *answer, struct words *words)
{
	struct frame f;
	int ret = local_enter(l, ms);

	if (ret)
		return ret;
	ret = local_send(l, type, request->start, wcursor_len(request), NULL);
	if (!ret)
		ret = local_answer(l, &f);
	if (!ret && f.tag != l->tag)
		ret = -EPROTO;
	if (!ret && f.type == MSG_ERROR)
		ret = take_failure(l, f.length, words);
	else if (!ret && (f.type != want || f.length > SHORT_ANSWER))
		ret = -EPROTO;
	else if (!ret)
		ret = local_take(l, answer, f.length);
	local_leave(l, ret);
	if (ret || words->code)
		return ret ? ret : words->code;
	return f.length;
}

long memory_malloc(struct local *l, void __user *arg)
{
	u8 request[HEAD_MAX], answer[SHORT_ANSWER];
	struct wcursor w = wcursor_of(request, sizeof(request));
	struct virgo_malloc a;
	struct msg_malloc m = { 0 };
	struct msg_malloced made;
	struct words words = { 0 };
	long ret;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags || a.deadline_ms > MS_MAX)
		return -EINVAL;
	words.to = u64_to_user_ptr(a.words);
	words.size = a.words_size;
	m.bytes = a.bytes;
	m.lease_ms = a.lease_ms;
	msg_malloc_encode(&w, &m);
	ret = ask(l, a.deadline_ms, MSG_MALLOC, &w, MSG_MALLOCED, answer, &words);
	if (ret < 0)
		return ret;
	if (msg_malloced_decode(&made, answer, ret) ||
	    made.handle.len != HANDLE_BYTES)
		return -EPROTO;
	return copy_to_user(arg, made.handle.data, HANDLE_BYTES) ? -EFAULT : 0;
}

static long read_range(struct virgo_memory *a, const void __user *arg)
{
	if (copy_from_user(a, arg, sizeof(*a)))
		return -EFAULT;
	if (a->flags || a->reserved || a->deadline_ms > MS_MAX)
		return -EINVAL;
	if (a->offset + a->length < a->offset)
		return -ERANGE;
	return 0;
}

long memory_free(struct local *l, const void __user *arg)
{
	u8 request[HEAD_MAX], answer[SHORT_ANSWER];
	struct wcursor w = wcursor_of(request, sizeof(request));
	struct msg_malloc_free m = { 0 };
	struct words words = { 0 };
	struct virgo_memory a;
	long ret = read_range(&a, arg);

	if (ret)
		return ret;
	if (a.offset || a.length || a.address)
		return -EINVAL;
	words.to = u64_to_user_ptr(a.words);
	words.size = a.words_size;
	m.handle = (struct span){ a.handle, HANDLE_BYTES };
	msg_malloc_free_encode(&w, &m);
	ret = ask(l, a.deadline_ms, MSG_MALLOC_FREE, &w, MSG_OK, answer, &words);
	return ret < 0 ? ret : 0;
}

/* --- ranges --- */

struct part {
	u64 tag;
	u64 start; /* in the range */
	u32 len;
};

struct transfer {
	struct local *l;
	const struct virgo_memory *a;
	bool get;
	u64 asked; /* bytes of the range */
	struct part parts[WINDOW]; /* under way */
	u32 under_way;
	struct words words;
};

static struct iov_iter memory_of(const struct transfer *t, const struct part *p)
{
	void __user *at = u64_to_user_ptr(t->a->address + p->start);
	struct iov_iter iter;

	iov_iter_ubuf(&iter, t->get ? READ : WRITE, at, p->len);
	return iter;
}

static int ask_set(struct transfer *t, const struct part *p)
{
	const struct virgo_memory *a = t->a;
	const struct msg_malloc_set m = {
		.handle = { a->handle, HANDLE_BYTES },
		.offset = a->offset + p->start,
		.all_end = a->offset + a->length,
	};
	struct iov_iter body = memory_of(t, p);
	u8 head[HEAD_MAX];
	struct wcursor w = wcursor_of(head, sizeof(head));

	/* The data comes last: its length is what the fields end with. */
	msg_malloc_set_encode(&w, &m);
	put_u32(w.pos - 4, p->len);
	return local_send(t->l, MSG_MALLOC_SET, head, wcursor_len(&w), &body);
}

static int ask_get(struct transfer *t, const struct part *p)
{
	const struct virgo_memory *a = t->a;
	const struct msg_malloc_get m = {
		.handle = { a->handle, HANDLE_BYTES },
		.offset = a->offset + p->start,
		.all_end = a->offset + a->length,
		.len = p->len,
	};
	u8 head[HEAD_MAX];
	struct wcursor w = wcursor_of(head, sizeof(head));

	msg_malloc_get_encode(&w, &m);
	return local_send(t->l, MSG_MALLOC_GET, head, wcursor_len(&w), NULL);
}

static int ask_next(struct transfer *t)
{
	struct part *p = &t->parts[t->under_way];
	int ret;

	p->start = t->asked;
	p->len = extent_first_part(t->a->offset + t->asked,
				   t->a->length - t->asked);
	ret = t->get ? ask_get(t, p) : ask_set(t, p);
	p->tag = t->l->tag;
	t->asked += p->len;
	t->under_way++;
	return ret;
}

/* The caller's memory takes what came for @p. */
static int take_data(struct transfer *t, const struct part *p, u32 len)
{
	u8 head[DATA_HEAD];
	struct iov_iter to = memory_of(t, p);
	int ret;

	if (len != DATA_HEAD + p->len)
		return -EPROTO;
	ret = local_take(t->l, head, sizeof(head));
	if (!ret && get_u32(head) != p->len)
		ret = -EPROTO;
	return ret ? ret : local_take_to(t->l, &to);
}

static int take_answer(struct transfer *t)
{
	struct frame f;
	u32 i = 0;
	int ret = local_answer(t->l, &f);

	if (ret)
		return ret;
	while (i < t->under_way && t->parts[i].tag != f.tag)
		i++;
	if (i == t->under_way)
		return -EPROTO;
	if (f.type == MSG_ERROR)
		ret = take_failure(t->l, f.length, &t->words);
	else if (t->get && f.type == MSG_MALLOC_DATA)
		ret = take_data(t, &t->parts[i], f.length);
	else if (t->get || f.type != MSG_OK || f.length)
		ret = -EPROTO;
	t->parts[i] = t->parts[--t->under_way];
	return ret;
}

static int transfer_all(struct transfer *t)
{
	int ret = 0;

	do {
		while (!ret && !t->words.code && t->asked < t->a->length &&
		       t->under_way < WINDOW)
			ret = ask_next(t);
		if (!ret && t->under_way)
			ret = take_answer(t);
	} while (!ret && (t->under_way ||
			  (t->asked < t->a->length && !t->words.code)));
	return ret;
}

static long transfer(struct local *l, const void __user *arg, bool get)
{
	struct virgo_memory a;
	struct transfer t = { .l = l, .a = &a, .get = get };
	long ret = read_range(&a, arg);

	if (ret || !a.length)
		return ret;
	if (a.length > LONG_MAX ||
	    !access_ok(u64_to_user_ptr(a.address), a.length))
		return -EFAULT;
	t.words.to = u64_to_user_ptr(a.words);
	t.words.size = a.words_size;
	ret = local_enter(l, a.deadline_ms);
	if (ret)
		return ret;
	ret = transfer_all(&t);
	local_leave(l, ret);
	return ret ? ret : t.words.code;
}

long memory_set(struct local *l, const void __user *arg)
{
	return transfer(l, arg, false);
}

long memory_get(struct local *l, const void __user *arg)
{
	return transfer(l, arg, true);
}
