// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shown inode numbers; the contract is in inumber.h. A volume's file is an array
 * of 64-bit little-endian server numbers; the place in it is the small number.
 * A torn last entry is written over.
 */
#include "inumber.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

enum { SLOT_SHIFT = 48, TABLE_FIRST = 256 };

#define DIRECT_BITS 47
#define WIDE (1ull << DIRECT_BITS) /* marks a number from the table */

struct wide { /* of one volume */
	struct wide *next;
	u32 slot;
	int fd; /* -1: not kept */
	u64 count;
	u64 *numbers; /* by place */
	u64 room;
	u32 *hash; /* place + 1, open addressing; twice `room` long */
};

struct inumbers {
	char *dir;
	struct wide *volumes;
};

int inumbers_new(struct inumbers **out, const char *dir, struct failure *f)
{
	struct inumbers *t = calloc(1, sizeof(*t));

	if (t && dir)
		t->dir = strdup(dir);
	if (!t || (dir && !t->dir)) {
		free(t);
		return failure_set(f, -ENOMEM, "mount", NULL, "out of memory");
	}
	if (dir && mkdir(dir, 0700) && errno != EEXIST) {
		failure_set(f, -errno, dir, NULL, "cannot make the folder: %s",
			    strerror(errno));
		inumbers_free(t);
		return f->code;
	}
	*out = t;
	return 0;
}

void inumbers_free(struct inumbers *t)
{
	if (!t)
		return;
	while (t->volumes) {
		struct wide *w = t->volumes;

		t->volumes = w->next;
		if (w->fd >= 0)
			close(w->fd);
		free(w->numbers);
		free(w->hash);
		free(w);
	}
	free(t->dir);
	free(t);
}

static u64 start_of(const struct wide *w, u64 ino)
{
	return (ino * 0x9e3779b97f4a7c15ull >> 20) & (w->room * 2 - 1);
}

static void hash_add(struct wide *w, u64 place)
{
	u64 at = start_of(w, w->numbers[place]);

	while (w->hash[at])
		at = (at + 1) & (w->room * 2 - 1);
	w->hash[at] = (u32)place + 1;
}

/* Room for one more; 0 or -ENOMEM. */
static int grow(struct wide *w)
{
	u64 room = w->room ? w->room * 2 : TABLE_FIRST;
	u64 *numbers;
	u32 *hash;
	u64 i;

	if (w->count < w->room)
		return 0;
	hash = calloc(room * 2, sizeof(*hash));
	numbers = hash ? realloc(w->numbers, room * sizeof(*numbers)) : NULL;
	if (!numbers) {
		free(hash);
		return -ENOMEM;
	}
	free(w->hash);
	w->hash = hash;
	w->numbers = numbers;
	w->room = room;
	for (i = 0; i < w->count; i++)
		hash_add(w, i);
	return 0;
}

static int add(struct wide *w, u64 ino)
{
	int ret = grow(w);

	if (ret)
		return ret;
	w->numbers[w->count] = ino;
	hash_add(w, w->count++);
	return 0;
}

static void load(struct inumbers *t, struct wide *w)
{
	char path[4096];
	u8 one[8];

	snprintf(path, sizeof(path), "%s/%u", t->dir, w->slot);
	w->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (w->fd < 0) {
		log_warning("%s: %s; long inode numbers change with each mount",
			    path, strerror(errno));
		return;
	}
	while (pread(w->fd, one, 8, (off_t)(w->count * 8)) == 8)
		if (add(w, get_u64(one)))
			return;
}

static struct wide *wide_of(struct inumbers *t, u32 slot)
{
	struct wide *w = t->volumes;

	while (w && w->slot != slot)
		w = w->next;
	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->slot = slot;
	w->fd = -1;
	if (t->dir)
		load(t, w);
	w->next = t->volumes;
	t->volumes = w;
	return w;
}

static u64 place_of(struct wide *w, u64 ino)
{
	u8 one[8];
	u64 at;

	for (at = w->room ? start_of(w, ino) : 0; w->room && w->hash[at];
	     at = (at + 1) & (w->room * 2 - 1))
		if (w->numbers[w->hash[at] - 1] == ino)
			return w->hash[at] - 1;
	if (add(w, ino))
		return ino & (WIDE - 1);
	put_u64(one, ino);
	if (w->fd >= 0 &&
	    pwrite(w->fd, one, 8, (off_t)((w->count - 1) * 8)) != 8) {
		log_warning("inode numbers: cannot write: %s", strerror(errno));
		close(w->fd);
		w->fd = -1;
	}
	return w->count - 1;
}

u64 inumbers_show(struct inumbers *t, u32 slot, u64 ino)
{
	struct wide *w;
	u64 low = ino;

	if (ino >> DIRECT_BITS) {
		w = wide_of(t, slot);
		low = WIDE | (w ? place_of(w, ino) : ino & (WIDE - 1));
	}
	return (u64)(slot & 0xffff) << SLOT_SHIFT | low;
}
