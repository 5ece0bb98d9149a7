// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of virgo.h for memory objects.
 *
 * Each call takes a connection to virgod from a pool, or makes one, so that
 * threads do not wait for each other; it goes back afterwards. virgod counts the
 * program that made an object by its connection, so none is closed before the
 * program ends. A range is asked for in parts of one extent each, WINDOW of them
 * under way at once.
 *
 * Where the module is, such a connection is an open device of it instead, which does
 * all that for a range; what it does not do (virgo_malloc_info()) goes to virgod.
 */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extent.h"
#include "kernel_memory.h"
#include "object.h"
#include "virgo.h"

static_assert(sizeof(struct virgo_handle) == sizeof(struct handle),
	      "handles are what they say");
static_assert((int)VIRGO_HANDLE_TEXT == (int)HANDLE_TEXT, "and so is their text");

enum {
	WINDOW = 4, /* virgod takes 8 */
	BY_VIRGOD = 1,
};

/* Whom a connection is of. */
struct owner {
	unsigned int state; /* api_state() when it was made */
	pid_t pid;
	uid_t uid;
};

struct pooled {
	struct pooled *next;
	struct client *client; /* NULL: it is the module's */
	int device;
	struct owner owner;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pooled *idle; /* guarded by lock */

/* Whether virgod has closed it since. */
static bool hung_up(const struct pooled *p)
{
	char c;

	if (!p->client)
		return false; /* the module sees to that */
	return recv(client_fd(p->client), &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       (errno != EAGAIN && errno != EINTR);
}

static void pooled_free(struct pooled *p)
{
	client_close(p->client);
	if (!p->client)
		close(p->device);
	free(p);
}

static struct owner owner_now(void)
{
	return (struct owner){ .state = api_state(),
			       .pid = getpid(),
			       .uid = geteuid() };
}

/* One that can be used; those that cannot any more are taken out. */
static struct pooled *take_idle(const struct owner *o, bool module)
{
	struct pooled **at = &idle;
	struct pooled *p = NULL;

	pthread_mutex_lock(&lock);
	while (!p && *at) {
		if ((*at)->owner.pid != o->pid || hung_up(*at)) {
			struct pooled *dead = *at;

			*at = dead->next;
			pooled_free(dead);
		} else if ((*at)->owner.state == o->state &&
			   (*at)->owner.uid == o->uid &&
			   !(*at)->client == module) {
			p = *at;
			*at = p->next;
		} else {
			at = &(*at)->next;
		}
	}
	pthread_mutex_unlock(&lock);
	return p;
}

static int take(struct pooled **out, struct failure *f)
{
	struct owner o = owner_now();
	struct pooled *p = take_idle(&o, false);
	int ret = 0;

	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return failure_set(f, -ENOMEM, "memory object", NULL,
					   "out of memory");
		p->owner = o;
		ret = api_connect(&p->client, f);
		if (ret) {
			free(p);
			p = NULL;
		}
	}
	*out = p;
	return ret;
}

/* NULL: there is no module that does it, or it is not to be used. */
static struct pooled *take_device(void)
{
	struct owner o = owner_now();
	struct pooled *p;
	int device;

	if (!api_module_allowed())
		return NULL;
	p = take_idle(&o, true);
	if (p)
		return p;
	device = kernel_memory_open();
	if (device < 0)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p) {
		close(device);
		return NULL;
	}
	p->device = device;
	p->owner = o;
	return p;
}

/* @sound: every answer on it has come. */
static void give_back(struct pooled *p, bool sound)
{
	if (!sound) {
		pooled_free(p);
		return;
	}
	pthread_mutex_lock(&lock);
	p->next = idle;
	idle = p;
	pthread_mutex_unlock(&lock);
}

/* What device @p gave; BY_VIRGOD when virgod is to be asked after all, for it does
 * not listen to the module.
 */
static int device_gave(struct pooled *p, int ret, struct failure *f)
{
	give_back(p, ret != -ENOTCONN);
	if (ret != -ENOTCONN)
		return ret;
	f->code = 0;
	return BY_VIRGOD;
}

/* --- one request, one answer --- */

/* Sends @len bytes as a request of @type; @take reads the answer of type @want.
 * 0 or a negative errno and @f.
 */
static int ask(u16 type, const void *payload, size_t len, u16 want,
	       int (*read)(struct span reply, void *arg), void *arg,
	       struct failure *f)
{
	struct pooled *p;
	struct span reply;
	int ret = take(&p, f);

	if (ret)
		return ret;
	ret = client_call(p->client, type, payload, len, want, &reply, f);
	if (ret == -EPIPE)
		ret = f->code = -ECONNRESET;
	if (!ret && read && read(reply, arg))
		ret = failure_set(f, -EPROTO, "virgod", NULL,
				  "a malformed answer");
	give_back(p, !ret || (ret != -ECONNRESET && ret != -EPROTO));
	return ret;
}

static int read_handle(struct span reply, void *arg)
{
	struct msg_malloced m;

	if (msg_malloced_decode(&m, reply.data, reply.len) ||
	    m.handle.len != HANDLE_BYTES)
		return -EPROTO;
	memcpy(arg, m.handle.data, HANDLE_BYTES);
	return 0;
}

int virgo_malloc(uint64_t size, uint32_t lease_ms, struct virgo_handle *handle)
{
	const struct msg_malloc m = { .bytes = size, .lease_ms = lease_ms };
	struct pooled *p = take_device();
	struct failure f = { 0 };
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int ret = BY_VIRGOD;

	if (p)
		ret = device_gave(p, kernel_memory_malloc(p->device, size,
							  lease_ms,
							  handle->bytes, &f),
				  &f);
	msg_malloc_encode(&w, &m);
	if (ret == BY_VIRGOD)
		ret = ask(MSG_MALLOC, buf, wcursor_len(&w), MSG_MALLOCED,
			  read_handle, handle, &f);
	return ret ? api_fail(&f) : 0;
}

/* MALLOC_FREE and MALLOC_MAP have the same fields. */
static int ask_about(const struct virgo_handle *handle, u16 type, u16 want,
		     int (*read)(struct span reply, void *arg), void *arg)
{
	const struct msg_malloc_map m = {
		.handle = { handle->bytes, HANDLE_BYTES },
	};
	struct failure f = { 0 };
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_malloc_map_encode(&w, &m);
	return ask(type, buf, wcursor_len(&w), want, read, arg, &f) ?
		       api_fail(&f) : 0;
}

int virgo_free(const struct virgo_handle *handle)
{
	struct pooled *p = take_device();
	struct failure f = { 0 };
	int ret = BY_VIRGOD;

	if (p)
		ret = device_gave(p, kernel_memory_free(p->device,
							handle->bytes, &f),
				  &f);
	if (ret == BY_VIRGOD)
		return ask_about(handle, MSG_MALLOC_FREE, MSG_OK, NULL, NULL);
	return ret ? api_fail(&f) : 0;
}

static int read_info(struct span reply, void *arg)
{
	struct virgo_malloc_info *info = arg;
	struct msg_malloc_table m;
	struct rec_malloc_run run;
	struct rcursor c;
	int ret;

	if (msg_malloc_table_decode(&m, reply.data, reply.len) ||
	    !span_to_cstr(m.maker, info->maker, sizeof(info->maker)))
		return -EPROTO;
	info->size = m.bytes;
	info->lease_ms = m.lease_ms;
	info->flags = m.held ? VIRGO_MALLOC_HELD : 0;
	c = rcursor_of(m.runs.data, m.runs.len);
	while ((ret = rec_malloc_run_next(&c, &run)) > 0) {
		info->nodes++;
		info->extents += run.count;
		if (run.lost)
			info->flags |= VIRGO_MALLOC_LOST;
	}
	return ret;
}

int virgo_malloc_info(const struct virgo_handle *handle,
		      struct virgo_malloc_info *info, size_t size)
{
	struct virgo_malloc_info now = { 0 };
	size_t have = size < sizeof(now) ? size : sizeof(now);

	if (ask_about(handle, MSG_MALLOC_MAP, MSG_MALLOC_TABLE, read_info, &now))
		return -1;
	memcpy(info, &now, have);
	memset((char *)info + have, 0, size - have);
	return 0;
}

/* --- ranges --- */

struct transfer {
	struct client *client;
	const struct virgo_handle *handle;
	u8 *out; /* of a get; else NULL */
	const u8 *in;
	u64 offset;
	u64 len;
	u64 asked; /* bytes of it */
	u64 tags[WINDOW]; /* of what is under way, from byte starts[] on */
	u64 starts[WINDOW];
	u32 lens[WINDOW];
	u32 under_way;
	struct failure *f;
};

static int ask_next(struct transfer *t)
{
	u64 offset = t->offset + t->asked;
	u32 part = extent_first_part(offset, t->len - t->asked);
	struct frame frame = { .tag = client_tag(t->client) };
	u8 head[128];
	struct wcursor w = wcursor_of(head, sizeof(head));
	u32 slot = t->under_way++;

	if (t->out) {
		const struct msg_malloc_get m = {
			.handle = { t->handle->bytes, HANDLE_BYTES },
			.offset = offset,
			.all_end = t->offset + t->len,
			.len = part,
		};

		frame.type = MSG_MALLOC_GET;
		msg_malloc_get_encode(&w, &m);
	} else {
		/* The data, which comes last, is sent from where it is. */
		const struct msg_malloc_set m = {
			.handle = { t->handle->bytes, HANDLE_BYTES },
			.offset = offset,
			.all_end = t->offset + t->len,
		};

		frame.type = MSG_MALLOC_SET;
		msg_malloc_set_encode(&w, &m);
		put_u32(w.pos - 4, part);
	}
	t->tags[slot] = frame.tag;
	t->starts[slot] = t->asked;
	t->lens[slot] = part;
	t->asked += part;
	return client_send(t->client, &frame, head, wcursor_len(&w),
			   t->out ? NULL : t->in + t->starts[slot],
			   t->out ? 0 : part);
}

static int take_bytes(struct transfer *t, u32 slot, const u8 *payload, u32 len)
{
	struct msg_malloc_data m;

	if (msg_malloc_data_decode(&m, payload, len) ||
	    m.data.len != t->lens[slot])
		return -EPROTO;
	memcpy(t->out + t->starts[slot], m.data.data, m.data.len);
	return 0;
}

/* The first failure of several is told; the others follow from it. */
static int take_failure(struct transfer *t, const u8 *payload, u32 len)
{
	struct msg_error e;

	if (msg_error_decode(&e, payload, len))
		return -EPROTO;
	if (!t->f->code)
		failure_from_message(t->f, &e);
	return 0;
}

/* Takes one answer; 0, or a negative errno when the connection is of no use. */
static int take_answer(struct transfer *t)
{
	struct frame frame;
	const u8 *payload;
	u32 slot = 0;
	int ret = client_recv(t->client, &frame, &payload);

	if (ret <= 0)
		return ret ? ret : -ECONNRESET;
	while (slot < t->under_way && t->tags[slot] != frame.tag)
		slot++;
	if (slot == t->under_way)
		return 0; /* of nothing we asked */
	if (frame.type == MSG_ERROR)
		ret = take_failure(t, payload, frame.length);
	else if (frame.type == (t->out ? MSG_MALLOC_DATA : MSG_OK))
		ret = t->out ? take_bytes(t, slot, payload, frame.length) : 0;
	else
		ret = -EPROTO;
	t->under_way--;
	t->tags[slot] = t->tags[t->under_way];
	t->starts[slot] = t->starts[t->under_way];
	t->lens[slot] = t->lens[t->under_way];
	return ret;
}

static int by_module(const struct transfer *t, struct failure *f)
{
	struct pooled *p = take_device();
	const u8 *handle = t->handle->bytes;
	int ret;

	if (!p)
		return BY_VIRGOD;
	if (t->out)
		ret = kernel_memory_get(p->device, handle, t->out, t->len,
					t->offset, f);
	else
		ret = kernel_memory_set(p->device, handle, t->in, t->len,
					t->offset, f);
	return device_gave(p, ret, f);
}

static ssize_t transfer(struct transfer *t)
{
	struct failure f = { 0 };
	struct pooled *p;
	int ret;

	if (!t->len)
		return 0;
	if (t->len > SSIZE_MAX || t->offset + t->len < t->offset)
		return api_fail_with(-ERANGE, "memory object", NULL,
				     "no object is so large");
	ret = by_module(t, &f);
	if (ret != BY_VIRGOD)
		return ret ? api_fail(&f) : (ssize_t)t->len;
	if (take(&p, &f))
		return api_fail(&f);
	t->client = p->client;
	t->f = &f;
	do {
		ret = 0;
		while (!ret && !f.code && t->asked < t->len &&
		       t->under_way < WINDOW)
			ret = ask_next(t);
		if (!ret && t->under_way)
			ret = take_answer(t);
	} while (!ret && (t->under_way || (t->asked < t->len && !f.code)));
	give_back(p, !ret);
	if (ret)
		failure_set(&f, ret == -EPIPE ? -ECONNRESET : ret, "virgod",
			    "look at its log", "it hung up before answering");
	return f.code ? api_fail(&f) : (ssize_t)t->len;
}

ssize_t virgo_get(const struct virgo_handle *handle, void *buf, size_t len,
		  uint64_t offset)
{
	struct transfer t = { .handle = handle,
			      .out = buf,
			      .offset = offset,
			      .len = len };

	return transfer(&t);
}

ssize_t virgo_set(const struct virgo_handle *handle, const void *buf,
		  size_t len, uint64_t offset)
{
	struct transfer t = { .handle = handle,
			      .in = buf,
			      .offset = offset,
			      .len = len };

	return transfer(&t);
}

/* --- handles as text --- */

void virgo_handle_print(const struct virgo_handle *handle,
			char text[VIRGO_HANDLE_TEXT])
{
	struct handle h;

	memcpy(h.bytes, handle->bytes, HANDLE_BYTES);
	handle_print(&h, text);
}

int virgo_handle_parse(const char *text, struct virgo_handle *handle)
{
	struct handle h;

	if (!text || !handle_parse(text, &h))
		return api_fail_with(-EINVAL, "memory object",
				     "32 hexadecimal digits", "not a handle");
	memcpy(handle->bytes, h.bytes, HANDLE_BYTES);
	return 0;
}
