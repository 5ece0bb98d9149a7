// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Open files and their bytes.
 *
 * Close-to-open: an open asks the server, which also checks that the name still
 * means this file; the kernel's pages are kept only if the file is of the very
 * version they were read from. Writes are with the server before write() returns,
 * so closing has nothing to push; it reports what a restart of the server's
 * machine may have lost.
 */
#include "ops.h"

#include <fcntl.h>
#include <stdlib.h>

enum { COPY_LIMIT = 64 << 10 }; /* writes up to this are copied, not kept */

static struct call *for_file(struct call *c, struct file *f, u32 at)
{
	if (c) {
		c->file = f;
		c->file_at = at;
		c->done = op_done;
	}
	return c;
}

static void done_open(struct call *c, int err, const u8 *payload, u32 len)
{
	fuse_req_t req = c->request;
	struct mount *m = mount_of(req);
	struct inode *i = c->inode;
	struct fuse_file_info fi = { .flags = (int)c->number };
	struct msg_file_opened r;
	struct rec_attr a;
	struct file *f;

	if (!err && (msg_file_opened_decode(&r, payload, len) ||
		     rec_attr_decode(&a, r.attr.data, r.attr.len)))
		err = -EPROTO;
	if (err) {
		/* The kernel looks the name up again and comes back. If it does
		 * not (a link of /proc), the handle must do.
		 */
		if (err == -ESTALE)
			inode_named(i, NULL, NULL);
		op_error(req, err);
		return;
	}
	f = file_new(i, r.file, op_open_flags(fi.flags), c->uid, c->gid);
	if (!f) {
		op_error(req, -ENOMEM);
		return;
	}
	if (r.data.len && r.data.len == a.size) {
		f->data = malloc(r.data.len);
		if (f->data) {
			memcpy(f->data, r.data.data, r.data.len);
			f->data_len = r.data.len;
		}
	}
	fi.fh = (uintptr_t)f;
	fi.keep_cache = inode_still(i, &a);
	if (fuse_reply_open(req, &fi))
		server_release(&m->servers, f);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode *i = inode_of(ino);
	struct msg_file_open m = { .flags = op_open_flags(fi->flags),
				   .prefetch = PREFETCH_BYTES };
	struct call *c;

	if (!i) {
		op_error(req, -EISDIR);
		return;
	}
	m.handle = inode_handle(i);
	if (i->last) {
		m.dir = (struct span){ i->last->bytes, i->last->dir_len };
		m.name = (struct span){ i->last->bytes + i->last->dir_len,
					i->last->name_len };
	}
	if (m.flags & FILE_OPEN_TRUNCATE)
		inode_changed(i);
	c = call_make(i->volume, FILE_OPEN, file_open, MSG_FILE_OPENED, &m);
	if (c) {
		c->named = true;
		c->inode = i;
		inode_hold(i);
		c->number = (u64)(unsigned int)fi->flags;
		c->done = done_open;
	}
	op_start(req, c);
}

static void done_create(struct call *c, int err, const u8 *payload, u32 len)
{
	fuse_req_t req = c->request;
	struct mount *m = mount_of(req);
	struct fuse_file_info fi = { .flags = (int)c->number };
	struct fuse_entry_param e;
	struct msg_file_created r;
	struct rec_attr a;
	struct inode *i = NULL;
	struct file *f = NULL;

	if (!err && msg_file_created_decode(&r, payload, len))
		err = -EPROTO;
	if (!err)
		i = op_take(m, c->volume, r.handle, r.attr, &a, &err);
	if (i) {
		err = -ENOMEM;
		f = file_new(i, r.file, op_open_flags(fi.flags), c->uid, c->gid);
	}
	if (!f) {
		inode_put(m->servers.inodes, i);
		op_error(req, err);
		return;
	}
	if (c->memory)
		inode_named(i, c->dir, c->memory);
	op_entry(m, i, &a, &e);
	fi.fh = (uintptr_t)f;
	fi.keep_cache = inode_still(i, &a);
	i->no_caps_us = r.no_caps ? loop_now_us(m->loop) : 0;
	inode_looked_up(i);
	if (fuse_reply_create(req, &e, &fi)) {
		inode_forget(m->servers.inodes, i, 1);
		server_release(&m->servers, f);
	}
	inode_put(m->servers.inodes, i);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct inode *dir = inode_of(parent);
	struct msg_file_create m = { .name = span_of(name),
				     .flags = op_open_flags(fi->flags),
				     .mode = mode,
				     .umask = fuse_req_ctx(req)->umask };
	struct call *c;

	if (!dir) {
		op_error(req, -EPERM);
		return;
	}
	m.dir = inode_handle(dir);
	c = call_make(dir->volume, FILE_CREATE, file_create, MSG_FILE_CREATED,
		      &m);
	if (c) {
		c->named = true;
		c->once = m.flags & FILE_OPEN_EXCLUSIVE;
		c->dir = dir;
		inode_hold(dir);
		c->memory = strdup(name);
		c->number = (u64)(unsigned int)fi->flags;
		c->done = done_create;
	}
	op_start(req, c);
}

static void done_read(struct call *c, int err, const u8 *payload, u32 len)
{
	struct msg_file_data m;

	if (!err && (msg_file_data_decode(&m, payload, len) ||
		     m.data.len > c->number))
		err = -EPROTO;
	if (err)
		op_error(c->request, err);
	else
		fuse_reply_buf(c->request, (const char *)m.data.data,
			       m.data.len);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi)
{
	struct file *f = op_file(fi);
	const struct msg_file_read m = { .offset = (u64)off,
					 .count = (u32)size };
	struct call *c;

	if (f->data) { /* the file as it was at its open */
		size_t at = (u64)off < f->data_len ? (size_t)off : f->data_len;
		size_t len = f->data_len - at < size ? f->data_len - at : size;

		fuse_reply_buf(req, (const char *)f->data + at, len);
		/* A second look shall see what others wrote meanwhile. */
		if (at + len == f->data_len) {
			free(f->data);
			f->data = NULL;
		}
		return;
	}
	c = for_file(call_make(inode_of(ino)->volume, FILE_READ, file_read,
			       MSG_FILE_DATA, &m), f, 0);
	if (c) {
		c->number = size;
		c->done = done_read;
	}
	op_start(req, c);
}

/* Notes under which boot of the server's machine data was last written. */
static void note_written(struct file *f, u64 verifier)
{
	if (f->dirty && f->verifier != verifier)
		f->lost = true;
	f->dirty = true;
	f->verifier = verifier;
}

static void done_write(struct call *c, int err, const u8 *payload, u32 len)
{
	struct msg_file_written m;

	if (!err && (msg_file_written_decode(&m, payload, len) ||
		     m.count > c->number))
		err = -EPROTO;
	if (err) {
		op_error(c->request, err);
		return;
	}
	note_written(c->file, m.verifier);
	fuse_reply_write(c->request, m.count);
}

/* Other opens of the same file here must not answer from what they read ahead. */
static void drop_prefetched(struct inode *i)
{
	struct file *f;

	for (f = i->files; f; f = f->next) {
		free(f->data);
		f->data = NULL;
	}
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct inode *i = inode_of(ino);
	struct file *f = op_file(fi);
	const struct msg_file_write w = { .offset = (u64)off,
					  .flags = m->write_kills_priv ?
						   FILE_WRITE_KILL_PRIV : 0,
					  .data.len = (u32)size };
	const size_t head = 8 + 8 + 4 + 4;
	struct call *c = for_file(call_new(i->volume, MSG_FILE_WRITE,
					   MSG_FILE_WRITTEN, head), f, 0);
	struct wcursor at;

	if (!c || size > FILE_IO_MAX) {
		if (c)
			call_drop(c);
		op_error(req, c ? -EINVAL : -ENOMEM);
		return;
	}
	at = wcursor_of(c->head, head);
	wcursor_u64(&at, 0);
	wcursor_u64(&at, w.offset);
	wcursor_u32(&at, w.flags);
	wcursor_u32(&at, w.data.len);
	if (size <= COPY_LIMIT) {
		c->memory = malloc(size + 1);
		if (!c->memory) {
			call_drop(c);
			op_error(req, -ENOMEM);
			return;
		}
		memcpy(c->memory, buf, size);
		c->body = c->memory;
	} else { /* the whole request's buffer goes with the call */
		c->memory = m->request;
		m->request = NULL;
		c->body = (const u8 *)buf;
	}
	c->body_len = (u32)size;
	c->once = f->flags & FILE_OPEN_APPEND;
	c->number = size;
	c->done = done_write;
	inode_changed(i);
	drop_prefetched(i);
	op_start(req, c);
}

/* What an fsync or a close has to say about writes that may be gone; once. */
static int lost_writes(struct file *f, u64 verifier)
{
	bool lost = f->lost || (f->dirty && f->verifier != verifier);

	f->lost = false;
	if (lost)
		f->dirty = false;
	return lost ? -EIO : 0;
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode *i = inode_of(ino);
	struct file *f = op_file(fi);
	const struct msg_file_unlock_owner m = { .owner = fi->lock_owner };
	int err = lost_writes(f, i->volume->verifier);

	if (err || !inode_unlock_owner(i, NULL, fi->lock_owner)) {
		op_error(req, err);
		return;
	}
	op_start(req, for_file(call_make(i->volume, FILE_UNLOCK_OWNER,
					 file_unlock_owner, MSG_OK, &m), f, 0));
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);

	server_release(&m->servers, op_file(fi));
	op_error(req, 0);
}

static void done_fsync(struct call *c, int err, const u8 *payload, u32 len)
{
	struct file *f = c->file;
	struct msg_file_synced m;

	if (!err && msg_file_synced_decode(&m, payload, len))
		err = -EPROTO;
	if (!err)
		err = lost_writes(f, m.verifier);
	if (!err)
		f->dirty = false;
	op_error(c->request, err);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only,
	      struct fuse_file_info *fi)
{
	struct file *f = op_file(fi);
	const struct msg_file_fsync m = { .data_only = data_only != 0 };
	struct call *c = for_file(call_make(f->inode->volume, FILE_FSYNC,
					    file_fsync, MSG_FILE_SYNCED, &m),
				  f, 0);

	if (c)
		c->done = done_fsync;
	op_start(req, c);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
		  off_t length, struct fuse_file_info *fi)
{
	struct inode *i = inode_of(ino);
	const struct msg_file_fallocate m = { .mode = (u32)mode,
					      .offset = (u64)offset,
					      .length = (u64)length };

	inode_changed(i);
	drop_prefetched(i);
	op_start(req, for_file(call_make(i->volume, FILE_FALLOCATE,
					 file_fallocate, MSG_OK, &m),
			       op_file(fi), 0));
}

static void done_lseek(struct call *c, int err, const u8 *payload, u32 len)
{
	struct msg_file_offset m;

	if (!err && msg_file_offset_decode(&m, payload, len))
		err = -EPROTO;
	if (err)
		op_error(c->request, err);
	else
		fuse_reply_lseek(c->request, (off_t)m.offset);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi)
{
	const struct msg_file_lseek m = { .offset = (u64)off,
					  .whence = (u32)whence };
	struct call *c = for_file(call_make(inode_of(ino)->volume, FILE_LSEEK,
					    file_lseek, MSG_FILE_OFFSET, &m),
				  op_file(fi), 0);

	if (c)
		c->done = done_lseek;
	op_start(req, c);
}

static void done_copy(struct call *c, int err, const u8 *payload, u32 len)
{
	struct msg_file_written m;

	if (!err && msg_file_written_decode(&m, payload, len))
		err = -EPROTO;
	if (err) {
		op_error(c->request, err);
		return;
	}
	note_written(c->file2, m.verifier);
	fuse_reply_write(c->request, m.count);
}

void op_copy(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	     struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	     struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct inode *in = inode_of(ino_in);
	struct inode *out = inode_of(ino_out);
	const struct msg_file_copy m = { .offset = (u64)off_in,
					 .to_offset = (u64)off_out,
					 .count = len };
	struct call *c;

	if (in->volume != out->volume) {
		op_error(req, -EXDEV);
		return;
	}
	c = for_file(call_make(in->volume, FILE_COPY, file_copy,
			       MSG_FILE_WRITTEN, &m), op_file(fi_in), 0);
	if (c) {
		c->file2 = op_file(fi_out);
		c->file2_at = 16;
		c->done = done_copy;
	}
	inode_changed(out);
	drop_prefetched(out);
	op_start(req, c);
}
