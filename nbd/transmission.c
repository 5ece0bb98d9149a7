// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests on an export; the contract is in transmission.h. Errors are those of
 * the specification: EINVAL for what is malformed or reaches past the end,
 * ENOSPC for writes past the end or above the pool's quota.
 */
#include "transmission.h"

#include "pack.h"

enum {
	/* Writes this long are received in place, to their last byte: what comes
	 * into the input buffer is copied once more.
	 */
	BODY_MIN = 16384,
	/* Work is cut into steps of this many bytes, between which other
	 * connections are served.
	 */
	WORK_STEP = 32 << 20,
	/* What one request may add to a batch at once: a chunk of status. */
	EXTENTS_MAX = 512,
	STEP_ROOM = NBD_CHUNK_LEN + 4 + 8 * EXTENTS_MAX,
	STEP_VECTORS = 4,
	ZEROS_BYTES = 65536,
	/* Of what may have to be decompressed, at most this at once. */
	UNPACK_STEP = 512 << 10,
};

static_assert((int)STEP_ROOM < (int)BATCH_ROOM, "a batch holds at least one answer");

/* What the holes of every export are read from. */
static const u8 zeros[ZEROS_BYTES];

void transmission_init(struct transmission *t, struct export *e,
		       bool structured, bool allocation)
{
	*t = (struct transmission){ .export = e,
				    .structured = structured,
				    .allocation = allocation };
}

static bool batch_full(const struct batch *b)
{
	return b->vectors > BATCH_VECTORS - STEP_VECTORS ||
	       b->used > BATCH_ROOM - STEP_ROOM || b->bytes >= BATCH_BYTES;
}

/* Adds bytes that stay where they are until they are sent. */
static void batch_point(struct batch *b, const u8 *data, size_t len)
{
	struct iovec *last = b->vector + b->vectors;

	b->bytes += len;
	if (b->vectors && (u8 *)last[-1].iov_base + last[-1].iov_len == data) {
		last[-1].iov_len += len;
		return;
	}
	*last = (struct iovec){ .iov_base = (void *)data, .iov_len = len };
	b->vectors++;
}

static u8 *batch_head(struct batch *b, u32 len)
{
	u8 *at = b->room + b->used;

	b->used += len;
	batch_point(b, at, len);
	return at;
}

static void reply_simple(struct batch *b, const struct request *r, u32 error)
{
	u8 *at = batch_head(b, NBD_SIMPLE_LEN);

	put_be32(at, NBD_SIMPLE_MAGIC);
	put_be32(at + 4, error);
	put_be64(at + 8, r->cookie);
}

/* The head of a chunk of @len bytes, of which the first @own have room here. */
static u8 *reply_chunk(struct batch *b, const struct request *r, u16 flags,
		       u16 type, u32 len, u32 own)
{
	u8 *at = batch_head(b, NBD_CHUNK_LEN + own);

	put_be32(at, NBD_CHUNK_MAGIC);
	put_be16(at + 4, flags);
	put_be16(at + 6, type);
	put_be64(at + 8, r->cookie);
	put_be32(at + 16, len);
	return at + NBD_CHUNK_LEN;
}

static void reply_error(struct transmission *t, struct batch *b, u32 error)
{
	u8 *at;

	if (!t->structured || (t->now.command != NBD_CMD_READ &&
			       t->now.command != NBD_CMD_BLOCK_STATUS)) {
		reply_simple(b, &t->now, error);
		return;
	}
	at = reply_chunk(b, &t->now, NBD_CHUNK_DONE, NBD_CHUNK_ERROR, 6, 6);
	put_be32(at, error);
	put_be16(at + 4, 0);
}

static void point_run(struct transmission *t, struct batch *b, u64 offset,
		      u64 len, bool held)
{
	if (held)
		batch_point(b, t->export->data + offset, len);
	else
		batch_point(b, zeros, len);
}

/* One more piece of a read's answer, all of it held or all of it a hole. */
static void read_piece(struct transmission *t, struct batch *b, bool chunked)
{
	u64 offset = t->now.offset + t->done;
	bool held;
	u64 len = export_run(t->export, offset, t->now.offset + t->now.length,
			     &held);
	bool whole_hole = chunked && !held;
	u16 flags;
	u8 *at;

	if (!held && !whole_hole && len > ZEROS_BYTES)
		len = ZEROS_BYTES;
	if (held && t->export->packed_chunks && len > UNPACK_STEP)
		len = UNPACK_STEP;
	if (held && export_use(t->export, offset, len)) {
		t->damaged = true;
		return;
	}
	t->done += (u32)len;
	flags = t->done == t->now.length ? NBD_CHUNK_DONE : 0;
	if (whole_hole) {
		at = reply_chunk(b, &t->now, flags, NBD_CHUNK_HOLE, 12, 12);
		put_be64(at, offset);
		put_be32(at + 8, (u32)len);
		return;
	}
	if (chunked) {
		at = reply_chunk(b, &t->now, flags, NBD_CHUNK_DATA,
				 (u32)(8 + len), 8);
		put_be64(at, offset);
	}
	point_run(t, b, offset, len, held);
}

/* Goes on with a read; false when the batch is full before its end. */
static bool read_on(struct transmission *t, struct batch *b)
{
	bool chunked = t->structured && !(t->now.flags & NBD_CMD_DF);

	while (t->done < t->now.length) {
		if (batch_full(b)) {
			t->state = TRANSMISSION_READ;
			return false;
		}
		read_piece(t, b, chunked);
		if (t->damaged)
			return false;
	}
	t->state = TRANSMISSION_IDLE;
	return true;
}

static bool read_begin(struct transmission *t, struct batch *b)
{
	struct request *r = &t->now;
	u8 *at;

	if (!t->structured) {
		reply_simple(b, r, 0);
	} else if (!r->length) {
		reply_chunk(b, r, NBD_CHUNK_DONE, NBD_CHUNK_NONE, 0, 0);
	} else if (r->flags & NBD_CMD_DF) {
		at = reply_chunk(b, r, NBD_CHUNK_DONE, NBD_CHUNK_DATA,
				 8 + r->length, 8);
		put_be64(at, r->offset);
	}
	return read_on(t, b);
}

static void block_status(struct transmission *t, struct batch *b)
{
	const struct request *r = &t->now;
	u32 max = r->flags & NBD_CMD_REQ_ONE ? 1 : EXTENTS_MAX;
	u64 end = r->offset + r->length;
	u64 offset = r->offset;
	u8 extents[8 * EXTENTS_MAX];
	u8 *at;
	u32 n;

	for (n = 0; n < max && offset < end; n++) {
		bool held;
		u64 len = export_run(t->export, offset, end, &held);

		put_be32(extents + n * 8, (u32)len);
		put_be32(extents + n * 8 + 4,
			 held ? 0 : NBD_STATE_HOLE | NBD_STATE_ZERO);
		offset += len;
	}
	at = reply_chunk(b, r, NBD_CHUNK_DONE, NBD_CHUNK_STATUS, 4 + n * 8,
			 4 + n * 8);
	put_be32(at, 1); /* the only context there is */
	memcpy(at + 4, extents, n * 8);
}

/* The error of the protocol for what export.h gives. */
static u32 error_of(int ret)
{
	return !ret ? 0 : ret == -ENOSPC ? NBD_ENOSPC : NBD_EIO;
}

/* One step of a trim or zeroing; true when it is finished and answered. */
static bool work_on(struct transmission *t, struct batch *b)
{
	struct request *r = &t->now;
	u64 offset = r->offset + t->done;
	u32 len = r->length - t->done;
	u32 error = 0;

	if (len > WORK_STEP)
		len = (u32)(WORK_STEP - offset % PAGE_BYTES);
	if (r->command == NBD_CMD_TRIM)
		export_trim(t->export, offset, len);
	else if (!(r->flags & NBD_CMD_NO_HOLE))
		export_punch(t->export, offset, len);
	else
		error = error_of(export_zero(t->export, offset, len));
	t->done += len;
	if (t->done < r->length && !error) {
		t->state = TRANSMISSION_WORK;
		return false;
	}
	t->state = TRANSMISSION_IDLE;
	reply_simple(b, r, error);
	return true;
}

static void parse(struct request *r, const u8 *in)
{
	r->flags = get_be16(in + 4);
	r->command = get_be16(in + 6);
	r->cookie = get_be64(in + 8);
	r->offset = get_be64(in + 16);
	r->length = get_be32(in + 24);
}

/* Flags that each command may carry. */
static const u16 flags_of[] = {
	[NBD_CMD_READ] = NBD_CMD_FUA | NBD_CMD_DF,
	[NBD_CMD_WRITE] = NBD_CMD_FUA,
	[NBD_CMD_FLUSH] = NBD_CMD_FUA,
	[NBD_CMD_TRIM] = NBD_CMD_FUA,
	[NBD_CMD_CACHE] = NBD_CMD_FUA,
	[NBD_CMD_WRITE_ZEROES] = NBD_CMD_FUA | NBD_CMD_NO_HOLE |
				 NBD_CMD_FAST_ZERO,
	[NBD_CMD_BLOCK_STATUS] = NBD_CMD_FUA | NBD_CMD_REQ_ONE,
};

/* The error of a request as such, 0 when it may be done. */
static u32 check(const struct transmission *t)
{
	const struct request *r = &t->now;
	u64 size = t->export->size;
	bool outside = r->offset > size || r->length > size - r->offset;

	if (r->command >= ARRAY_SIZE(flags_of) || r->flags & ~flags_of[r->command])
		return NBD_EINVAL;
	switch (r->command) {
	case NBD_CMD_READ:
		if (r->flags & NBD_CMD_DF && !t->structured)
			return NBD_EINVAL;
		return outside || r->length > NBD_PAYLOAD_MAX ? NBD_EINVAL : 0;
	case NBD_CMD_WRITE:
		if (r->length > NBD_PAYLOAD_MAX)
			return NBD_EINVAL;
		return outside ? NBD_ENOSPC : 0;
	case NBD_CMD_WRITE_ZEROES:
		return outside ? NBD_ENOSPC : 0;
	case NBD_CMD_FLUSH:
		return 0; /* offset and length mean nothing */
	case NBD_CMD_BLOCK_STATUS:
		return outside || !r->length || !t->allocation ? NBD_EINVAL : 0;
	default:
		return outside ? NBD_EINVAL : 0;
	}
}

/* A write: its data is in @in, or partly, or follows. */
static void write_begin(struct transmission *t, const u8 *in, size_t len,
			size_t *used, struct batch *b, u32 error)
{
	struct request *r = &t->now;

	if (!error && len >= r->length) {
		error = error_of(export_store(t->export, r->offset, in,
					      r->length));
		*used += r->length;
		reply_simple(b, r, error);
		return;
	}
	if (!error)
		error = error_of(export_prepare(t->export, r->offset,
						r->length));
	t->error = error;
	t->state = error ? TRANSMISSION_DRAIN : TRANSMISSION_STORE;
}

/* Goes on with a write; false when its data is not all there yet. */
static bool write_on(struct transmission *t, const u8 *in, size_t len,
		     size_t *used, struct batch *b)
{
	struct request *r = &t->now;
	size_t part = r->length - t->done < len ? r->length - t->done : len;

	if (t->state == TRANSMISSION_STORE)
		memcpy(t->export->data + r->offset + t->done, in, part);
	t->done += (u32)part;
	*used += part;
	if (t->done < r->length)
		return false;
	if (t->state == TRANSMISSION_STORE)
		export_settle(t->export, r->offset, r->length);
	t->state = TRANSMISSION_IDLE;
	reply_simple(b, r, t->error);
	return true;
}

u8 *transmission_body(struct transmission *t, size_t *left)
{
	*left = t->now.length - t->done;
	return t->export->data + t->now.offset + t->done;
}

void transmission_filled(struct transmission *t, size_t len)
{
	t->done += (u32)len;
}

size_t transmission_wants(const struct transmission *t, size_t room)
{
	return t->state == TRANSMISSION_IDLE && t->requests &&
	       t->now.command == NBD_CMD_WRITE && t->now.length >= BODY_MIN ?
		       NBD_REQUEST_LEN : room;
}

void transmission_end(struct transmission *t)
{
	if (t->state == TRANSMISSION_STORE)
		export_settle(t->export, t->now.offset, t->now.length);
	t->state = TRANSMISSION_IDLE;
}

/* What is damaged is never answered: the client loses this connection, as it
 * would a disk.
 */
static enum transmission_verdict read_verdict(const struct transmission *t,
					      bool finished)
{
	if (t->damaged)
		return TRANSMISSION_BROKEN;
	return finished ? TRANSMISSION_MORE : TRANSMISSION_FULL;
}

/* Does the request in @now, as far as it goes. */
static enum transmission_verdict begin(struct transmission *t, const u8 *in,
				       size_t len, size_t *used,
				       struct batch *b)
{
	u32 error = check(t);

	t->done = 0;
	t->requests++;
	if (t->now.command == NBD_CMD_DISC)
		return TRANSMISSION_END;
	if (t->now.command == NBD_CMD_WRITE) {
		write_begin(t, in, len, used, b, error);
		return TRANSMISSION_MORE;
	}
	if (error) {
		reply_error(t, b, error);
		return TRANSMISSION_MORE;
	}
	switch (t->now.command) {
	case NBD_CMD_READ:
		return read_verdict(t, read_begin(t, b));
	case NBD_CMD_TRIM:
	case NBD_CMD_WRITE_ZEROES:
		return work_on(t, b) ? TRANSMISSION_MORE : TRANSMISSION_AGAIN;
	case NBD_CMD_BLOCK_STATUS:
		block_status(t, b);
		return TRANSMISSION_MORE;
	default: /* FLUSH and CACHE: it is memory */
		reply_simple(b, &t->now, 0);
		return TRANSMISSION_MORE;
	}
}

/* One request, or one step of one. MORE: there may be another. */
static enum transmission_verdict step(struct transmission *t, const u8 *in,
				      size_t len, size_t *used,
				      struct batch *b)
{
	switch (t->state) {
	case TRANSMISSION_READ:
		return read_verdict(t, read_on(t, b));
	case TRANSMISSION_WORK:
		return work_on(t, b) ? TRANSMISSION_MORE : TRANSMISSION_AGAIN;
	case TRANSMISSION_STORE:
	case TRANSMISSION_DRAIN:
		if (write_on(t, in, len, used, b))
			return TRANSMISSION_MORE;
		return t->state == TRANSMISSION_STORE &&
		       t->now.length >= BODY_MIN ?
			       TRANSMISSION_BODY : TRANSMISSION_MORE;
	default:
		break;
	}
	if (get_be32(in) != NBD_REQUEST_MAGIC)
		return TRANSMISSION_BROKEN;
	parse(&t->now, in);
	*used += NBD_REQUEST_LEN;
	return begin(t, in + NBD_REQUEST_LEN, len - NBD_REQUEST_LEN, used, b);
}

/* Whether step() can do anything with @len bytes of input. */
static bool ready(const struct transmission *t, size_t len)
{
	switch (t->state) {
	case TRANSMISSION_IDLE:
		return len >= NBD_REQUEST_LEN;
	case TRANSMISSION_STORE:
	case TRANSMISSION_DRAIN:
		return len || t->done == t->now.length;
	default:
		return true;
	}
}

enum transmission_verdict transmission_run(struct transmission *t,
					   const u8 *in, size_t len,
					   size_t *used, struct batch *b)
{
	enum transmission_verdict v = TRANSMISSION_MORE;

	*used = 0;
	while (v == TRANSMISSION_MORE && ready(t, len - *used)) {
		if (batch_full(b))
			return TRANSMISSION_FULL;
		v = step(t, in + *used, len - *used, used, b);
	}
	if (v == TRANSMISSION_MORE && t->state == TRANSMISSION_STORE &&
	    t->now.length >= BODY_MIN)
		return TRANSMISSION_BODY;
	return v;
}
