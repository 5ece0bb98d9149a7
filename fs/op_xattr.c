// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Extended attributes. ACLs travel with the server's numbers in them, and are
 * turned on both ways; a number whose name the server never told counts as one
 * of nobody's, which grants nothing.
 */
#include "ops.h"

#include <linux/xattr.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "acl.h"
#include "owner.h"

enum { VALUE_MAX = 65536 }; /* the kernel's XATTR_SIZE_MAX */

struct setting { /* a setxattr that may have to ask for numbers first */
	fuse_req_t req;
	struct inode *inode;
	char name[256];
	int flags;
	size_t at; /* the ACL entry asked about */
	size_t len;
	u8 value[];
};

static void setting_go(struct setting *s);

static void setting_free(struct mount *m, struct setting *s)
{
	inode_put(m->servers.inodes, s->inode);
	free(s);
}

static void found(void *arg, int err, u32 number)
{
	struct setting *s = arg;

	if (err) {
		struct mount *m = mount_of(s->req);

		op_error(s->req, err);
		setting_free(m, s);
		return;
	}
	acl_put(s->value, s->at, number);
	s->at += ACL_ENTRY;
	setting_go(s);
}

static void setting_go(struct setting *s)
{
	struct volume *v = s->inode->volume;
	struct mount *m = mount_of(s->req);
	struct msg_file_setxattr msg;
	enum file_id_kind kind;
	struct call *c;
	u32 id;

	if (acl_is_name(s->name) &&
	    acl_next(s->value, s->len, &s->at, &kind, &id)) {
		owner_find(v, kind, id, found, s);
		return;
	}
	msg = (struct msg_file_setxattr){
		.handle = inode_handle(s->inode),
		.name = span_of(s->name),
		.flags = (u32)s->flags,
		.value = { s->value, (u32)s->len },
	};
	c = call_make(v, FILE_SETXATTR, file_setxattr, MSG_OK, &msg);
	if (c) {
		c->named = true;
		/* Repeated, "create" would fail and "replace" is harmless. */
		c->once = s->flags & XATTR_CREATE;
		c->done = op_done;
	}
	op_start(s->req, c);
	setting_free(m, s);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags)
{
	struct inode *i = inode_of(ino);
	struct setting *s;

	if (!i) {
		op_error(req, -EPERM);
		return;
	}
	if (size > VALUE_MAX || strlen(name) >= sizeof(s->name)) {
		op_error(req, size > VALUE_MAX ? -E2BIG : -ERANGE);
		return;
	}
	s = calloc(1, sizeof(*s) + size);
	if (!s) {
		op_error(req, -ENOMEM);
		return;
	}
	i->attr_us = 0; /* an ACL changes the mode */
	i->no_caps_us = 0;
	s->req = req;
	s->inode = i;
	inode_hold(i);
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->flags = flags;
	s->len = size;
	if (size)
		memcpy(s->value, value, size);
	setting_go(s);
}

static void localise(struct volume *v, u8 *value, size_t len)
{
	struct idmap *ids = server_ids(v->server);
	enum file_id_kind kind;
	size_t at = 0;
	u32 id;

	for (; acl_next(value, len, &at, &kind, &id); at += ACL_ENTRY)
		acl_put(value, at, idmap_local(ids, kind, id));
}

static void reply_value(fuse_req_t req, size_t size, const u8 *value, size_t len)
{
	if (!size)
		fuse_reply_xattr(req, len);
	else if (len > size)
		op_error(req, -ERANGE);
	else
		fuse_reply_buf(req, (const char *)value, len);
}

static void done_value(struct call *c, int err, const u8 *payload, u32 len)
{
	struct msg_file_data m;
	u8 *copy = NULL;

	if (!err && msg_file_data_decode(&m, payload, len))
		err = -EPROTO;
	if (err == -ENODATA && c->inode)
		c->inode->no_caps_us = loop_now_us(mount_of(c->request)->loop);
	if (!err && c->number >> 32 &&
	    !(c->volume->flags & FILE_VOLUME_NUMERIC)) {
		copy = malloc(m.data.len + 1);
		if (copy) {
			memcpy(copy, m.data.data, m.data.len);
			localise(c->volume, copy, m.data.len);
			m.data.data = copy;
		} else {
			err = -ENOMEM;
		}
	}
	if (err)
		op_error(c->request, err);
	else
		reply_value(c->request, (u32)c->number, m.data.data, m.data.len);
	free(copy);
}

/* Before each write the kernel asks whether the file has capabilities to lose;
 * that there are none holds as long as other attributes do.
 */
static bool has_no_caps(const struct mount *m, const struct inode *i)
{
	return i->no_caps_us &&
	       loop_now_us(m->loop) - i->no_caps_us < ATTR_TIMEOUT_US;
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct inode *i = inode_of(ino);
	struct msg_file_getxattr m = { .name = span_of(name),
				       .count = (u32)size };
	bool asks_caps = !strcmp(name, XATTR_NAME_CAPS);
	struct call *c;

	if (!i) {
		op_error(req, -ENODATA);
		return;
	}
	if (asks_caps && has_no_caps(mount_of(req), i)) {
		op_error(req, -ENODATA);
		return;
	}
	m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_GETXATTR, file_getxattr, MSG_FILE_DATA, &m);
	if (c && asks_caps) {
		c->inode = i;
		inode_hold(i);
	}
	if (c) {
		c->named = true;
		/* Above the size: whether ids in it must be turned. */
		c->number = (u64)acl_is_name(name) << 32 | (u32)size;
		c->done = done_value;
	}
	op_start(req, c);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct inode *i = inode_of(ino);
	struct msg_file_listxattr m = { .count = (u32)size };
	struct call *c;

	if (!i) {
		reply_value(req, size, (const u8 *)"", 0);
		return;
	}
	m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_LISTXATTR, file_listxattr, MSG_FILE_DATA,
		      &m);
	if (c) {
		c->named = true;
		c->number = (u32)size;
		c->done = done_value;
	}
	op_start(req, c);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct inode *i = inode_of(ino);
	struct msg_file_removexattr m = { .name = span_of(name) };
	struct call *c;

	if (!i) {
		op_error(req, -EPERM);
		return;
	}
	m.handle = inode_handle(i);
	c = call_make(i->volume, FILE_REMOVEXATTR, file_removexattr, MSG_OK, &m);
	if (c) {
		c->named = true;
		c->once = true;
		c->done = op_done;
	}
	op_start(req, c);
}
