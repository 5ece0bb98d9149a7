// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listing directories. The server gives many entries at once, with attributes;
 * the kernel takes a page of them at a time out of what is kept here, so a
 * listing costs one round trip in some hundred names.
 */
#include "ops.h"

#include <stdlib.h>

struct dir {
	u8 *listing; /* a FILE_LISTING's entries, or NULL */
	u32 len;
	u32 at; /* the next entry not yet given */
	u64 next; /* cookie that leads to it */
	bool plus;
	bool end; /* nothing comes after this listing */
};

struct listing_request {
	struct dir *dir;
	size_t size;
	bool plus;
};

static struct dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir *)(uintptr_t)fi->fh;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dir *d = calloc(1, sizeof(*d));
	struct inode *i = inode_of(ino);

	if (!d) {
		op_error(req, -ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)d;
	if (fuse_reply_open(req, fi))
		free(d);
	else if (i)
		i->dirs_open++;
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct dir *d = dir_of(fi);
	struct inode *i = inode_of(ino);

	if (i)
		i->dirs_open--;
	free(d->listing);
	free(d);
	op_error(req, 0);
}

/* One entry into the kernel's buffer; its size, or more than @room. */
static size_t add(fuse_req_t req, struct volume *v, const struct rec_dir_entry *r,
		  bool plus, char *buf, size_t room)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param e = { .attr = {
		.st_ino = inumbers_show(m->numbers, v->slot, r->ino),
		.st_mode = (mode_t)r->type << 12, /* DT_* to S_IF* */
	} };
	struct inode *i = NULL;
	char name[FILE_NAME_BYTES_MAX + 1];
	struct rec_attr a;
	size_t size;
	int err;

	/* A name with a slash would lead elsewhere; the kernel would refuse the
	 * whole listing for it.
	 */
	if (!span_to_cstr(r->name, name, sizeof(name)) || strchr(name, '/'))
		return 0;
	if (!plus)
		return fuse_add_direntry(req, buf, room, name, &e.attr,
					 (off_t)r->cookie);
	if (r->handle.len)
		i = op_take(m, v, r->handle, r->attr, &a, &err);
	if (i)
		op_entry(m, i, &a, &e);
	size = fuse_add_direntry_plus(req, buf, room, name, &e,
				      (off_t)r->cookie);
	if (i && size <= room)
		inode_looked_up(i);
	if (i)
		inode_put(m->servers.inodes, i);
	return size;
}

/* Gives the kernel what fits of the entries at hand; false when there are none
 * left and more must be fetched.
 */
static bool give(fuse_req_t req, struct volume *v, struct dir *d, size_t size,
		 bool plus)
{
	char *buf;
	size_t used = 0;

	if (d->at == d->len && !d->end)
		return false;
	buf = malloc(size);
	if (!buf) {
		op_error(req, -ENOMEM);
		return true;
	}
	while (d->at < d->len) {
		struct rcursor c = rcursor_of(d->listing + d->at, d->len - d->at);
		struct rec_dir_entry r;
		size_t one;

		if (rec_dir_entry_next(&c, &r) < 0) {
			d->at = d->len;
			d->end = true;
			break;
		}
		one = add(req, v, &r, plus, buf + used, size - used);
		if (one > size - used)
			break;
		used += one;
		d->at = (u32)(c.pos - d->listing);
		d->next = r.cookie;
	}
	/* Nothing but bad names in this listing is not the end. */
	if (!used && d->at == d->len && !d->end) {
		free(buf);
		return false;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
	return true;
}

static void fetch(fuse_req_t req, struct inode *i, struct dir *d, size_t size,
		  bool plus);

static void done_listing(struct call *c, int err, const u8 *payload, u32 len)
{
	struct listing_request *r = c->memory;
	struct dir *d = r->dir;
	struct msg_file_listing m;
	u8 *copy = NULL;

	if (!err && (msg_file_listing_decode(&m, payload, len) ||
		     (!m.entries.len && !m.end)))
		err = -EPROTO;
	if (!err) {
		copy = malloc(m.entries.len + 1);
		err = copy ? 0 : -ENOMEM;
	}
	if (err) {
		op_error(c->request, err);
		return;
	}
	memcpy(copy, m.entries.data, m.entries.len);
	free(d->listing);
	d->listing = copy;
	d->len = m.entries.len;
	d->at = 0;
	d->end = m.end;
	d->plus = r->plus;
	if (!give(c->request, c->volume, d, r->size, r->plus))
		fetch(c->request, c->inode, d, r->size, r->plus);
}

static void fetch(fuse_req_t req, struct inode *i, struct dir *d, size_t size,
		  bool plus)
{
	const struct msg_file_readdir m = { .handle = inode_handle(i),
					    .cookie = d->next,
					    .bytes_max = LISTING_BYTES,
					    .plus = plus };
	struct listing_request *r = malloc(sizeof(*r));
	struct call *c = r ? call_make(i->volume, FILE_READDIR, file_readdir,
				       MSG_FILE_LISTING, &m) :
			     NULL;

	if (c) {
		*r = (struct listing_request){ d, size, plus };
		c->memory = r;
		c->named = true;
		c->inode = i;
		inode_hold(i);
		c->done = done_listing;
	} else {
		free(r);
	}
	op_start(req, c);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi, bool plus)
{
	struct inode *i = inode_of(ino);
	struct dir *d = dir_of(fi);

	if (!i) {
		root_readdir(req, size, off, plus);
		return;
	}
	/* From the start, from elsewhere, or with attributes that were not
	 * fetched: anew.
	 */
	if (!off || (u64)off != d->next || (plus && !d->plus)) {
		d->next = (u64)off;
		d->at = d->len = 0;
		d->end = false;
	}
	if (!give(req, i->volume, d, size, plus))
		fetch(req, i, d, size, plus);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, true);
}


void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only,
		 struct fuse_file_info *fi)
{
	struct inode *i = inode_of(ino);
	struct msg_file_fsyncdir m = { .data_only = data_only != 0 };
	struct call *c;

	if (!i) {
		op_error(req, 0);
		return;
	}
	m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_FSYNCDIR, file_fsyncdir, MSG_FILE_SYNCED,
		      &m);
	if (c) {
		c->named = true;
		c->done = op_done;
	}
	op_start(req, c);
}
