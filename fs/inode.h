/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files the kernel knows of this mount. An inode lives as long as the kernel
 * counts lookups of it (or something here holds it); its address is its node
 * number towards the kernel. Found again by volume and wire handle.
 */
#ifndef VIRGO_FS_INODE_H
#define VIRGO_FS_INODE_H

#include <sys/stat.h>

#include "wire.h"

struct volume;
struct file;

struct lockrange {
	struct lockrange *next;
	struct file *file; /* through which it was taken */
	u64 owner;
	u64 start;
	u64 end;
	u32 pid;
	u8 type; /* enum file_lock_type */
};

/* By which name the kernel last came to an inode. */
struct lastname {
	u16 dir_len;
	u8 name_len;
	u8 bytes[]; /* handle of the directory, then the name */
};

struct inode {
	struct inode *chain;
	struct volume *volume;
	u64 lookups; /* of the kernel */
	u32 holds; /* of ours */
	u32 type; /* S_IFMT bits */
	bool cached; /* the kernel's page cache holds data of `version` */
	struct {
		s64 mtime_s;
		s64 ctime_s;
		u32 mtime_ns;
		u32 ctime_ns;
		u64 size;
	} version;
	u32 dirs_open; /* descriptors of it as a directory */
	/* Of a directory: as last seen; with @attr_us, after what we last changed
	 * in it.
	 */
	struct rec_attr attr;
	u64 attr_us; /* when it was so; 0: not since a change */
	u64 no_caps_us; /* when it had no security.capability; 0: not known */
	struct lastname *last;
	struct file *files; /* open ones */
	struct lockrange *locks;
	u16 handle_len;
	u8 handle[];
};

struct inodes;

struct inodes *inodes_new(void);
/* Frees all inodes, whatever the kernel thinks. */
void inodes_free(struct inodes *t);
/* The inode of @handle, new or known, held once more; NULL without memory. */
struct inode *inodes_get(struct inodes *t, struct volume *v,
			 struct span handle);
void inode_hold(struct inode *i);
void inode_put(struct inodes *t, struct inode *i);
/* The kernel got it in a reply / forgot @n of those. */
void inode_looked_up(struct inode *i);
void inode_forget(struct inodes *t, struct inode *i, u64 n);

static inline struct span inode_handle(const struct inode *i)
{
	return (struct span){ .data = i->handle, .len = i->handle_len };
}

/* The inode of @handle if the kernel knows it; not held. */
struct inode *inodes_find(struct inodes *t, const struct volume *v,
			  struct span handle);

/* The server told these attributes of it. */
void inode_seen(struct inode *i, const struct rec_attr *a);
/* Remembers that @name in @dir led here; NULL @dir forgets. */
void inode_named(struct inode *i, const struct inode *dir, const char *name);
bool inode_is_named(const struct inode *i, const struct inode *dir,
		    const char *name);

/* True when the kernel's pages are still those of @a; notes @a as the version
 * they are of from now on.
 */
bool inode_still(struct inode *i, const struct rec_attr *a);
/* Its content changed through us: the pages are of no known version. */
void inode_changed(struct inode *i);

/* Sets @owner's range to @type (FILE_LOCK_NONE removes). 0 or -ENOMEM. */
int inode_lock(struct inode *i, struct file *f, u64 owner, u32 pid, u8 type,
	       u64 start, u64 end);
/* Forgets locks of @owner (@f NULL), or all taken through @f. True if any. */
bool inode_unlock_owner(struct inode *i, const struct file *f, u64 owner);

#endif
