// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The root of the mount: a directory of volumes that no server holds. Owned by
 * root, 0755, so the kernel lets only root make and remove volumes in it. On which
 * node a new one goes, and whether one may be removed, the home node decides.
 */
#include "ops.h"

#include <stdlib.h>

#include "log.h"
#include "volumes.h"

enum { AGAIN_US = 50000, AGAIN_MAX = 100 };

struct root_task { /* what waits for the list of volumes */
	struct waiter waiter;
	fuse_req_t req;
	bool plus;
	size_t size;
	off_t off;
	struct timer again; /* of what waits for a change to be listed */
	u32 tries;
	bool gone; /* it waits for the name to go */
	char name[64];
};

static void root_stat(struct stat *st)
{
	*st = (struct stat){ .st_ino = NODE_ROOT,
			     .st_mode = S_IFDIR | 0755,
			     .st_nlink = 2,
			     .st_blksize = 4096 };
}

void root_getattr(fuse_req_t req)
{
	struct stat st;

	root_stat(&st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT);
}

void root_statfs(fuse_req_t req)
{
	const struct statvfs s = { .f_bsize = 4096,
				   .f_frsize = 4096,
				   .f_namemax = 63 };

	fuse_reply_statfs(req, &s);
}

static struct root_task *task_new(fuse_req_t req, const char *name,
				  void (*ready)(struct waiter *w, int err))
{
	struct root_task *t = calloc(1, sizeof(*t));

	if (!t) {
		op_error(req, -ENOMEM);
		return NULL;
	}
	t->req = req;
	t->waiter.ready = ready;
	if (name)
		snprintf(t->name, sizeof(t->name), "%s", name);
	return t;
}

/* Looking up a volume: its root's attributes, from its server. */

static void reply_root_of(fuse_req_t req, struct volume *v)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param e;

	op_entry(m, v->root, &v->root_attr, &e);
	inode_looked_up(v->root);
	if (fuse_reply_entry(req, &e))
		inode_forget(m->servers.inodes, v->root, 1);
}

static void lookup_volume(fuse_req_t req, struct volume *v, bool again);

static void done_lookup(struct call *c, int err, const u8 *payload, u32 len)
{
	struct volume *v = c->volume;
	struct msg_file_attr r;

	/* A root is stale only when the server took the volume from this node;
	 * whether it still does, attaching will tell.
	 */
	if (err == -ESTALE && v->listed && !c->number) {
		server_reattach(v);
		lookup_volume(c->request, v, true);
		return;
	}
	if (!err && (msg_file_attr_decode(&r, payload, len) || !v->root ||
		     rec_attr_decode(&v->root_attr, r.attr.data, r.attr.len)))
		err = -EPROTO;
	if (err)
		op_error(c->request, err);
	else
		reply_root_of(c->request, v);
}

/* The root's handle is known only once the volume is attached. */
static void prepare_lookup(struct call *c)
{
	const struct msg_file_getattr m = {
		.handle = inode_handle(c->volume->root)
	};
	size_t size = msg_file_getattr_size(&m);
	struct wcursor w = wcursor_of(c->head, size);

	msg_file_getattr_encode(&w, &m);
	c->head_len = (u32)size;
}

static void lookup_volume(fuse_req_t req, struct volume *v, bool again)
{
	struct call *c;

	if (v->root && server_is_down(v->server)) {
		server_want(v);
		reply_root_of(req, v);
		return;
	}
	c = call_new(v, MSG_FILE_GETATTR, MSG_FILE_ATTR,
		     FILE_HANDLE_MAX + 16);
	if (c) {
		c->named = true;
		c->prepare = prepare_lookup;
		c->number = again;
		c->done = done_lookup;
	}
	op_start(req, c);
}

static void lookup_ready(struct waiter *w, int err)
{
	struct root_task *t = (struct root_task *)w;
	struct volume *v = volumes_find(mount_of(t->req), t->name);

	/* Not knowing is not the same as knowing that there is none. */
	if (v)
		lookup_volume(t->req, v, false);
	else
		op_error(t->req, err ? -EHOSTDOWN : -ENOENT);
	free(t);
}

void root_lookup(fuse_req_t req, const char *name)
{
	struct mount *m = mount_of(req);
	struct volume *v;
	struct root_task *t;

	if (strlen(name) > 63) {
		op_error(req, -ENOENT);
		return;
	}
	v = volumes_find(m, name);
	if (v) {
		lookup_volume(req, v, false);
		return;
	}
	t = task_new(req, name, lookup_ready);
	if (t)
		volumes_refresh(m, VOLUMES_SURE_US, &t->waiter);
}

bool root_stands_in(fuse_req_t req, struct inode *i)
{
	struct volume *v = i->volume;
	struct stat st;

	if (i != v->root || !server_is_down(v->server))
		return false;
	server_want(v);
	op_stat(mount_of(req), v, &v->root_attr, &st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT);
	return true;
}

/* Making and removing volumes */

/* This node's list of volumes follows the home node's by a moment; what was made
 * or removed shall be there, or gone, when the program goes on.
 */
static void on_again(struct timer *timer)
{
	struct root_task *t = (struct root_task *)((char *)timer -
						   offsetof(struct root_task,
							    again));

	volumes_refresh(mount_of(t->req), 0, &t->waiter);
}

static void relisted(struct waiter *w, int err)
{
	struct root_task *t = (struct root_task *)w;
	struct mount *m = mount_of(t->req);
	struct volume *v = volumes_find(m, t->name);

	if (!err && !v != t->gone && ++t->tries < AGAIN_MAX) {
		t->again.fire = on_again;
		loop_arm(m->loop, &t->again, AGAIN_US);
		return;
	}
	if (!t->gone) {
		if (v)
			log_notice("volume %s was made on %s", t->name,
				   server_node(v->server));
		lookup_ready(w, err);
		return;
	}
	op_error(t->req, 0);
	free(t);
}

static void changed(void *arg, int err)
{
	struct root_task *t = arg;

	if (!err) {
		volumes_refresh(mount_of(t->req), 0, &t->waiter);
		return;
	}
	op_error(t->req, err);
	free(t);
}

void root_mkdir(fuse_req_t req, const char *name)
{
	struct mount *m = mount_of(req);
	struct root_task *t;

	if (volumes_find(m, name) || strlen(name) > 63) {
		op_error(req, strlen(name) > 63 ? -ENAMETOOLONG : -EEXIST);
		return;
	}
	t = task_new(req, name, relisted);
	if (t)
		volumes_change(m, "create", name, changed, t);
}

/* Goes on only with a listing of nothing but dots. */
static void done_emptiness(struct call *c, int err, const u8 *payload, u32 len)
{
	struct root_task *t = c->memory;
	struct msg_file_listing m;
	struct rec_dir_entry e;
	struct rcursor list;

	c->memory = NULL;
	if (!err && msg_file_listing_decode(&m, payload, len))
		err = -EPROTO;
	if (!err) {
		list = rcursor_of(m.entries.data, m.entries.len);
		while (!err && rec_dir_entry_next(&list, &e) > 0)
			if (!span_equal(e.name, span_of(".")) &&
			    !span_equal(e.name, span_of("..")))
				err = -ENOTEMPTY;
	}
	if (err) {
		op_error(t->req, err);
		free(t);
		return;
	}
	fuse_req_interrupt_func(t->req, NULL, NULL);
	volumes_change(mount_of(t->req), "rmdir", t->name, changed, t);
}

void root_rmdir(fuse_req_t req, const char *name)
{
	struct volume *v = volumes_find(mount_of(req), name);
	struct msg_file_readdir m = { .bytes_max = 4096 };
	struct root_task *t;
	struct call *c;

	if (!v || !v->root) {
		op_error(req, v ? -EBUSY : -ENOENT);
		return;
	}
	t = task_new(req, name, relisted);
	if (!t)
		return;
	t->gone = true;
	m.handle = inode_handle(v->root);
	c = call_make(v, FILE_READDIR, file_readdir, MSG_FILE_LISTING, &m);
	if (c) {
		c->memory = t;
		c->named = true;
		c->done = done_emptiness;
	} else {
		free(t);
	}
	op_start(req, c);
}

/* Listing. The place in a listing is the slot of a volume, plus two for the
 * dots; slots do not change, so a volume that comes or goes meanwhile moves no
 * other.
 */
static struct volume *next_volume(struct mount *m, u64 after)
{
	struct volume *best = NULL;
	struct volume *v;

	for (v = m->servers.volumes; v; v = v->next)
		if (v->listed && v->slot + 2ull > after &&
		    (!best || v->slot < best->slot))
			best = v;
	return best;
}

static size_t add(fuse_req_t req, char *buf, size_t room, const char *name,
		  ino_t ino, off_t next, bool plus)
{
	struct fuse_entry_param e = { .attr = { .st_ino = ino,
						.st_mode = S_IFDIR } };

	return plus ? fuse_add_direntry_plus(req, buf, room, name, &e, next) :
		      fuse_add_direntry(req, buf, room, name, &e.attr, next);
}

static void list_ready(struct waiter *w, int err)
{
	struct root_task *t = (struct root_task *)w;
	struct mount *m = mount_of(t->req);
	char *buf = malloc(t->size);
	size_t used = 0;
	off_t at = t->off;

	while (buf) {
		struct volume *v = at < 2 ? NULL : next_volume(m, (u64)at);
		off_t next = v ? (off_t)v->slot + 2 : at + 1;
		size_t one;

		if (at >= 2 && !v)
			break;
		one = add(t->req, buf + used, t->size - used,
			  at == 0 ? "." : at == 1 ? ".." : v->name,
			  v ? inumbers_show(m->numbers, v->slot,
					    v->root ? v->root_attr.ino : 1) :
			      NODE_ROOT,
			  next, t->plus);
		if (one > t->size - used)
			break;
		used += one;
		at = next;
	}
	if (buf)
		fuse_reply_buf(t->req, buf, used);
	else
		op_error(t->req, -ENOMEM);
	free(buf);
	free(t);
}

void root_readdir(fuse_req_t req, size_t size, off_t off, bool plus)
{
	struct root_task *t = task_new(req, NULL, list_ready);

	if (!t)
		return;
	t->size = size;
	t->off = off;
	t->plus = plus;
	volumes_refresh(mount_of(req), VOLUMES_FRESH_US, &t->waiter);
}
