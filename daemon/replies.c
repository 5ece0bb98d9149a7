// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers in a mapped file; the contract is in replies.h. Whoever is killed
 * leaves the stores done so far, in order: an answer is complete before its slot
 * says so. The disk has the space before the file is mapped, or a store could
 * end the process. What an earlier virgod left is copied when it is opened, for
 * its slots are used again.
 */
#include "replies.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

enum state { FREE, BEGUN, DONE };

#define MAGIC 0x32796c7065724756ull /* "VGreply2" */

struct slot {
	_Atomic u32 state;
	u16 type;
	u16 len;
	u64 tag;
	s64 since_ns;
	u64 what;
	_Atomic u64 mark;
	u8 data[REPLIES_BYTES];
};

struct file {
	u64 magic;
	u64 boot;
	_Atomic u64 forgotten; /* answers up to this tag may be gone */
	u8 id[16];
	char node[64];
	u8 rest[4096 - 8 * 3 - 16 - 64];
	struct slot slots[REPLIES_SLOTS];
};

static_assert(sizeof(struct slot) == 512, "slots lie one after another");
static_assert(sizeof(struct file) == 4096 + 512 * REPLIES_SLOTS, "no holes");

struct replies {
	char *path;
	u8 id[16];
	char node[64];
	u64 boot;
	struct file *before; /* a copy; NULL when there was none */

	pthread_mutex_t lock; /* guards all below */
	struct file *file; /* mapped; NULL until it is made */
	bool failed; /* it cannot be */
	bool busy[REPLIES_SLOTS];
	u32 next;
};

static bool is_ours(const struct replies *r, const struct file *f)
{
	return f->magic == MAGIC && f->boot == r->boot &&
	       !memcmp(f->id, r->id, sizeof(f->id)) &&
	       !strncmp(f->node, r->node, sizeof(f->node));
}

/* Maps the file, made if need be; NULL when that is not possible. */
static struct file *map(const struct replies *r, bool make)
{
	int fd = open(r->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
				       (make ? O_CREAT | O_TRUNC : 0), 0600);
	struct file *f = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (make ? posix_fallocate(fd, 0, sizeof(*f)) == 0 :
		   fstat(fd, &st) == 0 && st.st_size == sizeof(*f))
		f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	close(fd);
	if (f == MAP_FAILED) {
		unlink(r->path);
		return NULL;
	}
	return f;
}

/* Takes over what an earlier virgod left. */
static void look_back(struct replies *r)
{
	struct file *f = map(r, false);

	if (!f)
		return;
	if (is_ours(r, f))
		r->before = malloc(sizeof(*f));
	if (!r->before) {
		munmap(f, sizeof(*f));
		unlink(r->path);
		return;
	}
	memcpy(r->before, f, sizeof(*f));
	r->file = f;
}

struct replies *replies_open(const char *state, const u8 id[16],
			     const char *node, u64 boot)
{
	struct replies *r = calloc(1, sizeof(*r));
	char hex[33];
	int i;

	if (!r)
		return NULL;
	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	if (asprintf(&r->path, "%s/replies/%s", state, hex) < 0) {
		free(r);
		return NULL;
	}
	memcpy(r->id, id, sizeof(r->id));
	snprintf(r->node, sizeof(r->node), "%s", node);
	r->boot = boot;
	pthread_mutex_init(&r->lock, NULL);
	look_back(r);
	return r;
}

void replies_close(struct replies *r, bool forget)
{
	if (!r)
		return;
	if (r->file)
		munmap(r->file, sizeof(*r->file));
	if (r->file && forget)
		unlink(r->path);
	pthread_mutex_destroy(&r->lock);
	free(r->before);
	free(r->path);
	free(r);
}

bool replies_found(const struct replies *r)
{
	return r && r->before;
}

static bool ready(struct replies *r)
{
	char *slash = strrchr(r->path, '/');

	if (r->file || r->failed)
		return r->file;
	*slash = '\0';
	if (mkdir(r->path, 0700) && errno != EEXIST)
		log_warning("%s: %s", r->path, strerror(errno));
	*slash = '/';
	r->file = map(r, true);
	if (!r->file) {
		r->failed = true;
		log_warning("%s: cannot be made: %s; what is under way when "
			    "virgod is killed will be in doubt", r->path,
			    strerror(errno));
		return false;
	}
	r->file->boot = r->boot;
	memcpy(r->file->id, r->id, sizeof(r->id));
	memcpy(r->file->node, r->node, sizeof(r->node));
	r->file->magic = MAGIC;
	return true;
}

void replies_make(struct replies *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	ready(r);
	pthread_mutex_unlock(&r->lock);
}

/* The time as files are given it. */
static s64 coarse_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Where an earlier virgod noted that @tag was begun, or -1. */
static int find_begun(const struct replies *r, u64 tag)
{
	int i;

	for (i = 0; r->before && i < REPLIES_SLOTS; i++)
		if (!r->busy[i] && r->file->slots[i].tag == tag &&
		    r->file->slots[i].state == BEGUN)
			return i;
	return -1;
}

int replies_begin(struct replies *r, u64 tag, u64 what)
{
	struct slot *s;
	int place = -1;
	u32 i;

	if (!r)
		return -1;
	pthread_mutex_lock(&r->lock);
	if (r->file && (place = find_begun(r, tag)) >= 0) {
		r->busy[place] = true;
		pthread_mutex_unlock(&r->lock);
		return place;
	}
	for (i = 0; i < REPLIES_SLOTS && place < 0 && r->file; i++) {
		u32 at = (r->next + i) % REPLIES_SLOTS;

		if (!r->busy[at])
			place = (int)at;
	}
	if (place >= 0) {
		s = &r->file->slots[place];
		r->next = (u32)place + 1;
		r->busy[place] = true;
		if (s->state != FREE && s->tag > r->file->forgotten)
			r->file->forgotten = s->tag;
		s->state = FREE;
		s->tag = tag;
		s->since_ns = coarse_ns();
		s->what = what;
		s->mark = 0;
		s->state = BEGUN;
	}
	pthread_mutex_unlock(&r->lock);
	return place;
}

void replies_mark(struct replies *r, int place, u64 mark)
{
	if (place >= 0)
		r->file->slots[place].mark = mark;
}

void replies_end(struct replies *r, int place, u16 type, const void *data,
		 size_t len)
{
	struct slot *s;

	if (place < 0)
		return;
	s = &r->file->slots[place];
	if (len <= REPLIES_BYTES) {
		s->type = type;
		s->len = (u16)len;
		if (len)
			memcpy(s->data, data, len);
		s->state = DONE;
	}
	pthread_mutex_lock(&r->lock);
	r->busy[place] = false;
	pthread_mutex_unlock(&r->lock);
}

enum replies_fate replies_fate_of(const struct replies *r, u64 tag, u16 *type,
				  u8 *data, u32 *len,
				  struct replies_begun *begun)
{
	const struct slot *s;
	u32 i;

	if (!replies_found(r))
		return REPLIES_FORGOTTEN;
	for (i = 0; i < REPLIES_SLOTS; i++) {
		s = &r->before->slots[i];
		if (s->state == FREE || s->tag != tag)
			continue;
		*begun = (struct replies_begun){ s->since_ns, s->what, s->mark };
		if (s->state != DONE || s->len > REPLIES_BYTES)
			return REPLIES_BEGUN;
		*type = s->type;
		*len = s->len;
		memcpy(data, s->data, s->len);
		return REPLIES_DONE;
	}
	return tag <= r->before->forgotten ? REPLIES_FORGOTTEN : REPLIES_NEVER;
}

static bool parse_id(const char *name, u8 id[16])
{
	unsigned int byte;
	int i;

	if (strlen(name) != 32 || strspn(name, "0123456789abcdef") != 32)
		return false;
	for (i = 0; i < 16; i++) {
		if (sscanf(name + 2 * i, "%2x", &byte) != 1)
			return false;
		id[i] = (u8)byte;
	}
	return true;
}

void replies_sweep(const char *state, bool (*lives)(void *arg, const u8 id[16]),
		   void *arg)
{
	char path[4096];
	struct dirent *e;
	u8 id[16];
	DIR *d;

	if (snprintf(path, sizeof(path), "%s/replies", state) >=
	    (int)sizeof(path))
		return;
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (parse_id(e->d_name, id) && !lives(arg, id))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

struct past {
	u8 id[16];
	u64 what;
};

struct replies_past {
	size_t count;
	struct past list[];
};

/* Adds what @f says; takes over @p and gives what there is then. */
static struct replies_past *add_begun(struct replies_past *p,
				      const struct file *f)
{
	u32 i;

	for (i = 0; i < REPLIES_SLOTS; i++) {
		const struct slot *s = &f->slots[i];
		size_t n = p ? p->count : 0;
		struct replies_past *q;

		if (s->state != BEGUN || !s->what)
			continue;
		q = realloc(p, sizeof(*p) + (n + 1) * sizeof(p->list[0]));
		if (!q)
			return p;
		p = q;
		memcpy(p->list[n].id, f->id, sizeof(f->id));
		p->list[n].what = s->what;
		p->count = n + 1;
	}
	return p;
}

struct replies_past *replies_past_read(const char *state, u64 boot)
{
	struct file *f = malloc(sizeof(*f));
	struct replies_past *p = NULL;
	char path[4096];
	struct dirent *e;
	u8 id[16];
	DIR *d = NULL;
	int fd;

	if (f && snprintf(path, sizeof(path), "%s/replies", state) <
			 (int)sizeof(path))
		d = opendir(path);
	while (d && (e = readdir(d))) {
		if (!parse_id(e->d_name, id))
			continue;
		fd = openat(dirfd(d), e->d_name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		if (read(fd, f, sizeof(*f)) == sizeof(*f) &&
		    f->magic == MAGIC && f->boot == boot)
			p = add_begun(p, f);
		close(fd);
	}
	if (d)
		closedir(d);
	free(f);
	return p;
}

bool replies_past_other(const struct replies_past *p, const u8 id[16], u64 what)
{
	size_t i;

	for (i = 0; what && p && i < p->count; i++)
		if (p->list[i].what == what &&
		    memcmp(p->list[i].id, id, sizeof(p->list[i].id)))
			return true;
	return false;
}

void replies_past_free(struct replies_past *p)
{
	free(p);
}
