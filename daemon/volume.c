// SPDX-License-Identifier: GPL-2.0-or-later
/* A served volume; the contract is in volume.h. */
#include "volume.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "catalog.h"
#include "fleeting.h"
#include "log.h"

struct volume *volume_get(struct volume *v)
{
	atomic_fetch_add(&v->refs, 1);
	return v;
}

static void store_put(struct store *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	if (s->root_fd >= 0)
		close(s->root_fd);
	fleeting_free(s->fleeting);
	free(s->path);
	free(s);
}

void volume_put(struct volume *v)
{
	if (!v || atomic_fetch_sub(&v->refs, 1) > 1)
		return;
	store_put(v->store);
	free(v->allow);
	free(v);
}

bool volume_allows(const char *allow, const char *node, bool *read_only)
{
	size_t len = strlen(node);
	bool found = !*allow;

	*read_only = false;
	while (*allow) {
		size_t item = strcspn(allow, ", ");
		bool ro = item > 3 && !memcmp(allow + item - 3, ":ro", 3);
		size_t name = ro ? item - 3 : item;
		bool exact = name == len && !memcmp(allow, node, len);

		if (exact || (name == 1 && *allow == '*' && !found)) {
			found = true;
			*read_only = ro;
		}
		if (exact)
			break;
		allow += item;
		allow += strspn(allow, ", ");
	}
	return found;
}

/*
 * A copy of the mount at @path that no name space shows: what is mounted below
 * it, now or later, is not part of it, and ".." ends at its root. Set-user-ID
 * and device files in it mean nothing to virgod.
 */
static int private_tree(const char *path)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};
	int tree, root;

	tree = (int)syscall(SYS_open_tree, AT_FDCWD, path,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -errno;
	root = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr,
		       sizeof(attr)) ?
		       -1 :
		       openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		root = -errno;
	close(tree);
	return root;
}

static void rules_of(struct fsrules *r, const struct rec_volume_row *row)
{
	r->squash = span_equal(row->squash, span_of("none")) ? SQUASH_NONE :
		    span_equal(row->squash, span_of("all"))  ? SQUASH_ALL :
							       SQUASH_ROOT;
	r->numeric = span_equal(row->idmap, span_of("numeric"));
}

bool volume_matches(const struct volume *v, const struct rec_volume_row *row)
{
	struct fsrules r;

	rules_of(&r, row);
	return span_equal(row->name, span_of(v->name)) &&
	       span_equal(row->path, span_of(v->store->path)) &&
	       span_equal(row->id, (struct span){ v->id, VOLUME_ID }) &&
	       span_equal(row->allow, span_of(v->allow)) &&
	       row->slot == v->slot && r.squash == v->rules.squash &&
	       r.numeric == v->rules.numeric;
}

static int take_row(struct volume *v, const struct rec_volume_row *row,
		    struct failure *f)
{
	if (!span_to_cstr(row->name, v->name, sizeof(v->name)) ||
	    !catalog_volume_name_valid(row->name) || row->id.len != VOLUME_ID)
		return failure_set(f, -EINVAL, "volume", NULL,
				   "its catalog row is malformed");
	memcpy(v->id, row->id.data, VOLUME_ID);
	v->number = get_u64(v->id) | 1;
	v->slot = row->slot;
	rules_of(&v->rules, row);
	v->allow = strndup(row->allow.len ? (const char *)row->allow.data : "",
			   row->allow.len);
	return v->allow ? 0 :
			  failure_set(f, -ENOMEM, v->name, NULL, "out of memory");
}

/* Finds out whether the store has handles that last. */
static int probe_handles(struct volume *v, struct failure *f)
{
	u8 wire[FILEHANDLE_MAX];
	int len = volume_handle(v, v->root_fd, "", wire);
	int fd = len < 0 ? len :
			   volume_open_handle(v, (struct span){ wire, (u32)len });

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	v->store->fleeting = fleeting_new();
	if (!v->store->fleeting)
		return failure_set(f, -ENOMEM, v->name, NULL, "out of memory");
	log_warning("volume %s: the file system at %s has no file handles, so "
		    "its clients must start anew when virgod restarts",
		    v->name, v->store->path);
	return 0;
}

static int open_store(struct volume *v, const char *path, struct failure *f)
{
	struct store *s = calloc(1, sizeof(*s));

	v->store = s;
	if (s)
		s->path = strdup(path);
	if (!s || !s->path) {
		free(s);
		v->store = NULL;
		return failure_set(f, -ENOMEM, v->name, NULL, "out of memory");
	}
	s->refs = 1;
	s->root_fd = private_tree(path);
	v->root_fd = s->root_fd;
	if (s->root_fd < 0)
		return failure_set(f, s->root_fd, v->name,
				   "make the folder, or remove the volume",
				   "cannot open %s: %s", path,
				   strerror(-s->root_fd));
	return probe_handles(v, f);
}

/* Takes @old's store when it is the same place, so that handles stay good. */
static int take_store(struct volume *v, const struct rec_volume_row *row,
		      const struct volume *old, struct failure *f)
{
	char path[4096];

	if (!span_to_cstr(row->path, path, sizeof(path)))
		return failure_set(f, -EINVAL, v->name, NULL,
				   "its folder's path is too long");
	if (!old || old->number != v->number || strcmp(old->store->path, path))
		return open_store(v, path, f);
	v->store = old->store;
	atomic_fetch_add(&v->store->refs, 1);
	return 0;
}

int volume_open(struct volume **out, const struct rec_volume_row *row,
		const u8 node_key[FILEHANDLE_KEY], const struct volume *old,
		struct failure *f)
{
	struct volume *v = calloc(1, sizeof(*v));
	struct stat st;
	int ret;

	if (!v)
		return failure_set(f, -ENOMEM, "volume", NULL, "out of memory");
	v->refs = 1;
	ret = take_row(v, row, f);
	if (!ret && filehandle_derive(node_key, row->id, v->key))
		ret = failure_set(f, -EIO, v->name, NULL, "no key for handles");
	if (!ret)
		ret = take_store(v, row, old, f);
	if (!ret && fstat(v->store->root_fd, &st))
		ret = failure_set(f, -errno, v->name, NULL, "%s",
				  strerror(errno));
	if (ret) {
		volume_put(v);
		return ret;
	}
	v->root_fd = v->store->root_fd;
	v->fleeting = v->store->fleeting;
	v->root_ino = st.st_ino;
	*out = v;
	return 0;
}

static int fleeting_handle(struct volume *v, int dir_fd, const char *name,
			   u8 *body)
{
	int fd = *name ? openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) :
			 dir_fd;
	int ret;

	if (fd < 0)
		return -errno;
	ret = fleeting_name(v->fleeting, fd, body);
	if (fd != dir_fd)
		close(fd);
	return ret;
}

int volume_handle(struct volume *v, int dir_fd, const char *name, u8 *out)
{
	union {
		struct file_handle fh;
		u8 room[sizeof(struct file_handle) + FILEHANDLE_BODY_MAX];
	} u;
	struct filehandle h = { .volume = v->number, .body = u.fh.f_handle };
	int mount_id;
	int ret;

	if (v->fleeting) {
		ret = fleeting_handle(v, dir_fd, name, u.fh.f_handle);
		if (ret)
			return ret;
		h.kind = FILEHANDLE_SESSION;
		h.len = FLEETING_BODY;
		return filehandle_seal(&h, v->key, out);
	}
	u.fh.handle_bytes = FILEHANDLE_BODY_MAX;
	if (name_to_handle_at(dir_fd, name, &u.fh, &mount_id,
			      *name ? 0 : AT_EMPTY_PATH))
		return -errno;
	h.kind = FILEHANDLE_STORE;
	h.len = (u8)u.fh.handle_bytes;
	h.type = u.fh.handle_type;
	return filehandle_seal(&h, v->key, out);
}

int volume_open_handle(struct volume *v, struct span wire)
{
	union {
		struct file_handle fh;
		u8 room[sizeof(struct file_handle) + FILEHANDLE_BODY_MAX];
	} u;
	struct filehandle h;
	int fd;

	if (filehandle_open(&h, v->key, wire) || h.volume != v->number)
		return -ESTALE;
	if (h.kind == FILEHANDLE_SESSION)
		return v->fleeting && h.len == FLEETING_BODY ?
			       fleeting_open(v->fleeting, h.body) :
			       -ESTALE;
	if (h.kind != FILEHANDLE_STORE || v->fleeting)
		return -ESTALE;
	u.fh.handle_bytes = h.len;
	u.fh.handle_type = h.type;
	memcpy(u.fh.f_handle, h.body, h.len);
	fd = open_by_handle_at(v->root_fd, &u.fh,
			       O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno :
								       -ESTALE;
}
