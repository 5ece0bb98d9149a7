/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One mount of the cloud's files: what the parts of mount.virgo share. */
#ifndef VIRGO_FS_MOUNT_H
#define VIRGO_FS_MOUNT_H

#define FUSE_USE_VERSION 314

#include <fuse3/fuse_lowlevel.h>

#include "inumber.h"
#include "server.h"

enum {
	NODE_ROOT = FUSE_ROOT_ID,
	REQUEST_BYTES = FILE_IO_MAX + 4096, /* largest request of the kernel */
	LISTING_BYTES = 64 << 10, /* of one FILE_READDIR */
	PREFETCH_BYTES = 16 << 10, /* files up to this come with their open */
};

#define ATTR_TIMEOUT 1.0 /* seconds; names too */
#define ATTR_TIMEOUT_US 1000000

struct waiter { /* for the list of volumes */
	struct waiter *next;
	void (*ready)(struct waiter *w, int err);
};

struct mount {
	struct servers servers;
	struct loop *loop;
	const char *state;
	const char *point; /* the folder it is mounted on */
	struct inumbers *numbers;

	struct fuse_session *session;
	struct watch device; /* /dev/fuse */
	u8 *request; /* buffer for the next request; an operation may take it */
	u64 attrs_since_us; /* directories' attributes from before are not used */
	bool write_kills_priv; /* of the FUSE_WRITE being handled */
	u64 init_unique; /* of FUSE_INIT, whose answer is completed */
	u32 init_flags; /* what the kernel offers */
	bool mounted;
	bool greeted; /* FUSE_INIT was answered */

	struct conn *virgod; /* of this machine; NULL while not connected */
	u64 virgod_tag;
	u64 listed_us; /* when the list of volumes was last good */
	bool listing; /* a request for it is under way */
	struct waiter *waiters; /* for the list */
	struct waiter tending; /* the mount itself, from time to time */
	struct timer tend;
	struct ticket *tickets; /* requests for changes under way */
};

static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* NULL for the mount's own root. */
static inline struct inode *inode_of(fuse_ino_t ino)
{
	return ino == NODE_ROOT ? NULL : (struct inode *)(uintptr_t)ino;
}

#endif
