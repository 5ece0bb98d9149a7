// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on attributes. */
#include "ops.h"

#include <stdlib.h>

#include "owner.h"

static void done_attr(struct call *c, int err, const u8 *payload, u32 len)
{
	fuse_req_t req = c->request;
	struct inode *i = c->inode;
	struct msg_file_attr r;
	struct rec_attr a;
	struct stat st;

	if (!err && (msg_file_attr_decode(&r, payload, len) ||
		     rec_attr_decode(&a, r.attr.data, r.attr.len)))
		err = -EPROTO;
	if (!err && i)
		inode_seen(i, &a);
	/* Open and removed: as a local file system says it of a directory. */
	if (err == -ESTALE && i && i->dirs_open && S_ISDIR(i->attr.mode)) {
		a = i->attr;
		a.nlink = 0;
		err = 0;
	}
	if (err) {
		op_error(req, err);
		return;
	}
	op_stat(mount_of(req), c->volume, &a, &st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT);
}

/* An open file reaches the inode also when it has no name any more. */
static void use_file(struct call *c, struct inode *i)
{
	c->file = op_any_file(i);
	c->file_at = 4 + 4 + i->handle_len;
}

/* After each change in a directory the kernel asks for its attributes, to check
 * the permission of the next; the server told them with the change.
 */
static bool reply_known(fuse_req_t req, struct inode *i)
{
	struct mount *m = mount_of(req);
	u64 age = loop_now_us(m->loop) - i->attr_us;
	struct stat st;

	if (!i->attr_us || i->attr_us < m->attrs_since_us ||
	    age >= ATTR_TIMEOUT_US)
		return false;
	op_stat(m, i->volume, &i->attr, &st);
	fuse_reply_attr(req, &st, (double)(ATTR_TIMEOUT_US - age) / 1e6);
	return true;
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode *i = inode_of(ino);
	struct msg_file_getattr m = { 0 };
	struct call *c;

	if (!i) {
		root_getattr(req);
		return;
	}
	if (root_stands_in(req, i) || reply_known(req, i))
		return;
	m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_GETATTR, file_getattr, MSG_FILE_ATTR, &m);
	if (c) {
		c->named = true;
		c->done = done_attr;
		use_file(c, i);
		inode_hold(i);
		c->inode = i;
	}
	op_start(req, c);
}

struct change { /* a setattr that may have to ask for numbers first */
	fuse_req_t req;
	struct inode *inode;
	bool ask_uid;
	bool ask_gid;
	struct msg_file_setattr m;
};

static void change_go(struct change *ch);

static void found(struct change *ch, int err, u32 *at, u32 number)
{
	if (err) {
		struct inodes *t = mount_of(ch->req)->servers.inodes;

		op_error(ch->req, err);
		inode_put(t, ch->inode);
		free(ch);
		return;
	}
	*at = number;
	change_go(ch);
}

static void found_uid(void *arg, int err, u32 number)
{
	struct change *ch = arg;

	found(ch, err, &ch->m.uid, number);
}

static void found_gid(void *arg, int err, u32 number)
{
	struct change *ch = arg;

	found(ch, err, &ch->m.gid, number);
}

static void change_go(struct change *ch)
{
	struct inodes *t = mount_of(ch->req)->servers.inodes;
	struct inode *i = ch->inode;
	struct call *c;

	if (ch->ask_uid) {
		ch->ask_uid = false;
		owner_find(i->volume, FILE_ID_USER, ch->m.uid, found_uid, ch);
		return;
	}
	if (ch->ask_gid) {
		ch->ask_gid = false;
		owner_find(i->volume, FILE_ID_GROUP, ch->m.gid, found_gid, ch);
		return;
	}
	i->attr_us = 0;
	if (ch->m.valid & FILE_SET_SIZE)
		inode_changed(i);
	ch->m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_SETATTR, file_setattr, MSG_FILE_ATTR,
		      &ch->m);
	if (c) {
		c->named = true;
		c->done = done_attr;
		use_file(c, i);
	}
	op_start(ch->req, c);
	inode_put(t, i);
	free(ch);
}

static u32 valid_of(int valid)
{
	static const struct {
		int fuse;
		u32 ours;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, FILE_SET_MODE },
		{ FUSE_SET_ATTR_UID, FILE_SET_UID },
		{ FUSE_SET_ATTR_GID, FILE_SET_GID },
		{ FUSE_SET_ATTR_SIZE, FILE_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, FILE_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, FILE_SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, FILE_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, FILE_SET_MTIME_NOW },
	};
	u32 out = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(map); i++)
		if (valid & map[i].fuse)
			out |= map[i].ours;
	return out;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int valid,
		struct fuse_file_info *fi)
{
	struct inode *i = inode_of(ino);
	struct change *ch;

	if (!i) {
		op_error(req, -EPERM);
		return;
	}
	ch = calloc(1, sizeof(*ch));
	if (!ch) {
		op_error(req, -ENOMEM);
		return;
	}
	ch->req = req;
	ch->inode = i;
	inode_hold(i);
	ch->ask_uid = valid & FUSE_SET_ATTR_UID;
	ch->ask_gid = valid & FUSE_SET_ATTR_GID;
	ch->m.valid = valid_of(valid);
	ch->m.mode = st->st_mode;
	ch->m.uid = st->st_uid;
	ch->m.gid = st->st_gid;
	ch->m.size = (u64)st->st_size;
	ch->m.atime_s = st->st_atim.tv_sec;
	ch->m.atime_ns = (u32)st->st_atim.tv_nsec;
	ch->m.mtime_s = st->st_mtim.tv_sec;
	ch->m.mtime_ns = (u32)st->st_mtim.tv_nsec;
	change_go(ch);
}

static void ask_space(fuse_req_t req, struct inode *i);

static void done_statfs(struct call *c, int err, const u8 *payload, u32 len)
{
	struct inode *root = c->volume->root;
	struct msg_file_space m;
	struct statvfs s;

	/* What was open and removed lies where the volume lies. */
	if (err == -ESTALE && root && c->inode != root) {
		ask_space(c->request, root);
		return;
	}

	if (!err && msg_file_space_decode(&m, payload, len))
		err = -EPROTO;
	if (err) {
		op_error(c->request, err);
		return;
	}
	s = (struct statvfs){ .f_bsize = m.block_bytes,
			      .f_frsize = m.fragment_bytes,
			      .f_blocks = m.blocks,
			      .f_bfree = m.blocks_free,
			      .f_bavail = m.blocks_available,
			      .f_files = m.files,
			      .f_ffree = m.files_free,
			      .f_favail = m.files_free,
			      .f_namemax = m.name_max };
	fuse_reply_statfs(c->request, &s);
}

static void ask_space(fuse_req_t req, struct inode *i)
{
	const struct msg_file_statfs m = { .handle = inode_handle(i) };
	struct call *c = call_make(i->volume, FILE_STATFS, file_statfs,
				   MSG_FILE_SPACE, &m);

	if (c) {
		c->named = true;
		c->done = done_statfs;
		inode_hold(i);
		c->inode = i;
	}
	op_start(req, c);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct inode *i = inode_of(ino);

	if (i)
		ask_space(req, i);
	else
		root_statfs(req);
}
