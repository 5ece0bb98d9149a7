// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Session-lived handles; the contract is in fleeting.h. The body is a slot and
 * a random serial, so a slot used again never answers for its former file.
 */
#include "fleeting.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 4096 };

struct slot {
	int fd; /* -1: free */
	dev_t dev;
	ino_t ino;
	u64 serial;
	u64 used;
	u32 chain; /* next slot + 1 of the same hash */
};

struct fleeting {
	pthread_mutex_t lock; /* guards all below */
	u64 clock; /* counts uses */
	struct slot slots[SLOTS];
	u32 heads[SLOTS]; /* slot + 1 */
};

static u32 *head_of(struct fleeting *t, dev_t dev, ino_t ino)
{
	return &t->heads[(ino * 0x9e3779b97f4a7c15ull + dev) >> 40 & (SLOTS - 1)];
}

struct fleeting *fleeting_new(void)
{
	struct fleeting *t = calloc(1, sizeof(*t));
	u32 i;

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	for (i = 0; i < SLOTS; i++)
		t->slots[i].fd = -1;
	return t;
}

void fleeting_free(struct fleeting *t)
{
	u32 i;

	if (!t)
		return;
	for (i = 0; i < SLOTS; i++)
		if (t->slots[i].fd >= 0)
			close(t->slots[i].fd);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static struct slot *find(struct fleeting *t, const struct stat *st)
{
	u32 at = *head_of(t, st->st_dev, st->st_ino);

	while (at && (t->slots[at - 1].ino != st->st_ino ||
		      t->slots[at - 1].dev != st->st_dev))
		at = t->slots[at - 1].chain;
	return at ? &t->slots[at - 1] : NULL;
}

/* The least recently used slot, emptied. */
static struct slot *reuse(struct fleeting *t)
{
	struct slot *s = &t->slots[0];
	u32 *at;
	u32 i;

	for (i = 1; i < SLOTS && s->fd >= 0; i++)
		if (t->slots[i].fd < 0 || t->slots[i].used < s->used)
			s = &t->slots[i];
	if (s->fd < 0)
		return s;
	at = head_of(t, s->dev, s->ino);
	while (&t->slots[*at - 1] != s)
		at = &t->slots[*at - 1].chain;
	*at = s->chain;
	close(s->fd);
	s->fd = -1;
	return s;
}

static int fill(struct fleeting *t, struct slot *s, int fd, const struct stat *st)
{
	u32 *head = head_of(t, st->st_dev, st->st_ino);

	if (getrandom(&s->serial, sizeof(s->serial), 0) != sizeof(s->serial))
		return -EIO;
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	s->chain = *head;
	*head = (u32)(s - t->slots) + 1;
	return 0;
}

int fleeting_name(struct fleeting *t, int fd, u8 body[FLEETING_BODY])
{
	struct stat st;
	struct slot *s;
	int ret = 0;

	if (fstat(fd, &st))
		return -errno;
	pthread_mutex_lock(&t->lock);
	s = find(t, &st);
	if (!s) {
		s = reuse(t);
		ret = fill(t, s, fd, &st);
	}
	if (!ret) {
		s->used = ++t->clock;
		put_u64(body, (u64)(s - t->slots));
		put_u64(body + 8, s->serial);
	}
	pthread_mutex_unlock(&t->lock);
	return ret;
}

int fleeting_open(struct fleeting *t, const u8 body[FLEETING_BODY])
{
	u64 at = get_u64(body);
	int fd = -ESTALE;
	struct slot *s;

	if (at >= SLOTS)
		return -ESTALE;
	pthread_mutex_lock(&t->lock);
	s = &t->slots[at];
	if (s->fd >= 0 && s->serial == get_u64(body + 8)) {
		s->used = ++t->clock;
		fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = -errno;
	}
	pthread_mutex_unlock(&t->lock);
	return fd;
}
