// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions of the file service; the contract is in filesession.h. */
#include "filesession.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOLD_FIRST = 64, TOLD_MAX = 1 << 16, FILES_FIRST = 64 };

static atomic_size_t open_count;

size_t filesession_open_count(void)
{
	return atomic_load(&open_count);
}

struct filesession *filesession_new(const char *node, const u8 id[16])
{
	struct filesession *s = calloc(1, sizeof(*s));
	int i;

	if (!s)
		return NULL;
	snprintf(s->node, sizeof(s->node), "%s", node);
	memcpy(s->id, id, sizeof(s->id));
	pthread_mutex_init(&s->lock, NULL);
	s->generation = 1;
	for (i = 0; i < FILESESSION_STREAMS; i++)
		s->streams[i].fd = -1;
	return s;
}

static void file_destroy(struct openfile *f)
{
	close(f->fd);
	volume_put(f->volume);
	fscred_put(f->cred);
	free(f);
	atomic_fetch_sub(&open_count, 1);
}

static void lock_destroy(struct lockfile *l)
{
	close(l->fd);
	free(l);
}

void filesession_free(struct filesession *s, bool forget)
{
	u32 i;

	if (!s)
		return;
	conn_put(s->conn);
	while (s->locks) {
		struct lockfile *l = s->locks;

		s->locks = l->next;
		lock_destroy(l);
	}
	for (i = 0; i < s->file_size; i++)
		if (s->files[i])
			file_destroy(s->files[i]);
	for (i = 0; i < FILE_WHO_MAX; i++)
		fsuser_put(s->users[i]);
	for (i = 0; i < FILESESSION_VOLUMES; i++)
		volume_put(s->volumes[i].volume);
	for (i = 0; i < FILESESSION_STREAMS; i++)
		if (s->streams[i].fd >= 0)
			close(s->streams[i].fd);
	for (i = 0; i < FILESESSION_REPLIES; i++)
		free(s->replies[i].data);
	policy_put(s->policy);
	replies_close(s->notes, forget);
	pthread_mutex_destroy(&s->lock);
	free(s->files);
	free(s->told);
	free(s);
}

int filesession_set_user(struct filesession *s, u32 who, struct fsuser *u)
{
	struct fsuser *old = u;
	int ret = -EINVAL;

	if (who < FILE_WHO_MAX) {
		pthread_mutex_lock(&s->lock);
		old = s->users[who];
		s->users[who] = u;
		pthread_mutex_unlock(&s->lock);
		ret = 0;
	}
	fsuser_put(old);
	return ret;
}

struct fsuser *filesession_user(struct filesession *s, u32 who)
{
	struct fsuser *u;

	if (who >= FILE_WHO_MAX)
		return NULL;
	pthread_mutex_lock(&s->lock);
	u = s->users[who];
	if (u)
		fsuser_get(u);
	pthread_mutex_unlock(&s->lock);
	return u;
}

/* The attachment of volume @number, or a free one when @number is 0. */
static struct attachment *attachment_of(struct filesession *s, u64 number)
{
	int i;

	for (i = 0; i < FILESESSION_VOLUMES; i++) {
		struct volume *v = s->volumes[i].volume;

		if ((v ? v->number : 0) == number)
			return &s->volumes[i];
	}
	return NULL;
}

/* Whether volume @number was attached before; it is from now on. */
static bool attached_before(struct filesession *s, u64 number)
{
	u32 i;

	for (i = 0; i < s->attached_count; i++)
		if (s->attached[i] == number)
			return true;
	if (i < FILESESSION_VOLUMES)
		s->attached[s->attached_count++] = number;
	return false;
}

int filesession_attach(struct filesession *s, struct volume *v, bool read_only)
{
	struct volume *old = NULL;
	struct attachment *a;
	bool before = false;

	pthread_mutex_lock(&s->lock);
	a = attachment_of(s, v->number);
	if (!a)
		a = attachment_of(s, 0);
	if (a) {
		before = attached_before(s, v->number);
		old = a->volume;
		a->volume = volume_get(v);
		a->read_only = read_only;
	}
	pthread_mutex_unlock(&s->lock);
	volume_put(old);
	return a ? before : -EMFILE;
}

void filesession_detach(struct filesession *s, u64 number)
{
	struct volume *old = NULL;
	struct attachment *a;

	pthread_mutex_lock(&s->lock);
	a = attachment_of(s, number);
	if (a && number) {
		old = a->volume;
		a->volume = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	volume_put(old);
}

struct volume *filesession_volume(struct filesession *s, u64 number,
				  bool *read_only)
{
	struct volume *v = NULL;
	struct attachment *a;

	if (!number)
		return NULL;
	pthread_mutex_lock(&s->lock);
	a = attachment_of(s, number);
	if (a) {
		v = volume_get(a->volume);
		*read_only = a->read_only;
	}
	pthread_mutex_unlock(&s->lock);
	return v;
}

/* A free place in the table, which grows when there is none; -1 without memory. */
static int free_place(struct filesession *s)
{
	u32 size = s->file_size ? s->file_size * 2 : FILES_FIRST;
	struct openfile **p;
	u32 i;

	for (i = s->file_free; i < s->file_size; i++)
		if (!s->files[i])
			return (int)i;
	p = realloc(s->files, size * sizeof(*p));
	if (!p)
		return -1;
	memset(p + s->file_size, 0, (size - s->file_size) * sizeof(*p));
	s->files = p;
	s->file_size = size;
	return (int)i;
}

u64 filesession_add_file(struct filesession *s, struct openfile *f)
{
	u64 id = 0;
	int at;

	atomic_fetch_add(&open_count, 1);
	pthread_mutex_lock(&s->lock);
	at = free_place(s);
	if (at >= 0) {
		s->files[at] = f;
		s->file_free = (u32)at + 1;
		f->refs = 1;
		f->generation = s->generation++;
		id = (u64)f->generation << 32 | (u32)(at + 1);
	}
	pthread_mutex_unlock(&s->lock);
	if (!id)
		file_destroy(f);
	return id;
}

/* The place of open file @id, or NULL. */
static struct openfile **place_of(struct filesession *s, u64 id)
{
	u32 at = (u32)id - 1;

	if (at >= s->file_size || !s->files[at] ||
	    s->files[at]->generation != (u32)(id >> 32))
		return NULL;
	return &s->files[at];
}

struct openfile *filesession_file(struct filesession *s, u64 id)
{
	struct openfile **at;
	struct openfile *f = NULL;

	pthread_mutex_lock(&s->lock);
	at = place_of(s, id);
	if (at) {
		f = *at;
		f->refs++;
	}
	pthread_mutex_unlock(&s->lock);
	return f;
}

void filesession_put_file(struct filesession *s, struct openfile *f)
{
	bool last;

	if (!f)
		return;
	pthread_mutex_lock(&s->lock);
	last = --f->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		file_destroy(f);
}

/* Takes @l's links out of the list at @at; true when it must be destroyed. */
static bool lock_remove(struct lockfile **at)
{
	struct lockfile *l = *at;

	*at = l->next;
	l->next = NULL;
	return --l->refs == 0;
}

int filesession_release(struct filesession *s, u64 id)
{
	struct lockfile *gone = NULL;
	struct lockfile **at;
	struct openfile **place;
	struct openfile *f = NULL;

	pthread_mutex_lock(&s->lock);
	place = place_of(s, id);
	if (place) {
		f = *place;
		*place = NULL;
		if ((u32)(place - s->files) < s->file_free)
			s->file_free = (u32)(place - s->files);
	}
	for (at = &s->locks; *at;) {
		struct lockfile *l = *at;

		if (l->file != id) {
			at = &l->next;
		} else if (lock_remove(at)) {
			l->next = gone;
			gone = l;
		}
	}
	pthread_mutex_unlock(&s->lock);
	while (gone) {
		struct lockfile *l = gone;

		gone = l->next;
		lock_destroy(l);
	}
	filesession_put_file(s, f);
	return f ? 0 : -EBADF;
}

static struct lockfile **find_lock(struct filesession *s,
				   const struct openfile *f, u64 owner)
{
	struct lockfile **at = &s->locks;

	while (*at && ((*at)->owner != owner || (*at)->ino != f->ino ||
		       (*at)->dev != f->dev))
		at = &(*at)->next;
	return at;
}

/* Opens @f's file once more, as widely as it goes: its locks must not merge with
 * another owner's, and one owner may lock for reading and for writing.
 */
static struct lockfile *lock_new(struct openfile *f, u64 id, u64 owner)
{
	struct lockfile *l = calloc(1, sizeof(*l));
	char path[64];

	if (!l)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	fscred_become(NULL);
	l->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0)
		l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0) {
		free(l);
		return NULL;
	}
	l->refs = 1;
	l->file = id;
	l->owner = owner;
	l->dev = f->dev;
	l->ino = f->ino;
	return l;
}

struct lockfile *filesession_lock(struct filesession *s, struct openfile *f,
				  u64 id, u64 owner, bool make)
{
	struct lockfile *l, *new = NULL;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		l = *find_lock(s, f, owner);
		if (!l && new && place_of(s, id)) {
			l = new;
			new = NULL;
			l->next = s->locks;
			s->locks = l;
		}
		if (l)
			l->refs++;
		pthread_mutex_unlock(&s->lock);
		if (l || !make || new)
			break;
		new = lock_new(f, id, owner);
		if (!new)
			break;
	}
	if (new)
		lock_destroy(new);
	return l;
}

void filesession_put_lock(struct filesession *s, struct lockfile *l)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --l->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		lock_destroy(l);
}

void filesession_unlock_owner(struct filesession *s, struct openfile *f,
			      u64 owner)
{
	struct lockfile **at;
	struct lockfile *l;
	bool last = false;

	pthread_mutex_lock(&s->lock);
	at = find_lock(s, f, owner);
	l = *at;
	if (l)
		last = lock_remove(at);
	pthread_mutex_unlock(&s->lock);
	if (last)
		lock_destroy(l);
}

u32 filesession_lock_pid(struct filesession *s, const struct openfile *f,
			 u64 not_owner)
{
	struct lockfile *l;
	u32 pid = 0;
	int others = 0;

	pthread_mutex_lock(&s->lock);
	for (l = s->locks; l; l = l->next)
		if (l->ino == f->ino && l->dev == f->dev &&
		    l->owner != not_owner) {
			pid = l->pid;
			others++;
		}
	pthread_mutex_unlock(&s->lock);
	return others == 1 ? pid : 0;
}

int filesession_take_stream(struct filesession *s, struct span handle,
			    u64 cookie)
{
	int fd = -1;
	int i;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < FILESESSION_STREAMS && fd < 0; i++) {
		struct dirstream *d = &s->streams[i];
		struct span h = { .data = d->handle, .len = d->handle_len };

		if (d->fd >= 0 && d->cookie == cookie && span_equal(h, handle)) {
			fd = d->fd;
			d->fd = -1;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return fd;
}

void filesession_keep_stream(struct filesession *s, struct span handle,
			     u64 cookie, int fd)
{
	struct dirstream *d = &s->streams[0];
	int old;
	int i;

	pthread_mutex_lock(&s->lock);
	for (i = 1; i < FILESESSION_STREAMS && d->fd >= 0; i++)
		if (s->streams[i].fd < 0 || s->streams[i].used < d->used)
			d = &s->streams[i];
	old = d->fd;
	d->fd = fd;
	d->cookie = cookie;
	d->used = ++s->stream_clock;
	d->handle_len = (u16)handle.len;
	memcpy(d->handle, handle.data, handle.len);
	pthread_mutex_unlock(&s->lock);
	if (old >= 0)
		close(old);
}

static void reply_drop(struct filesession *s, struct kept_reply *r)
{
	s->reply_bytes -= r->len;
	free(r->data);
	*r = (struct kept_reply){ 0 };
}

void filesession_keep_reply(struct filesession *s, u64 tag, u16 type,
			    const void *data, size_t len)
{
	struct kept_reply *r = &s->replies[s->reply_next];
	u32 oldest = s->reply_next;
	u8 *copy;

	if (r->data)
		reply_drop(s, r);
	while (s->reply_bytes + len > FILESESSION_REPLY_BYTES) {
		oldest = (oldest + 1) % FILESESSION_REPLIES;
		if (oldest == s->reply_next)
			break;
		if (s->replies[oldest].data)
			reply_drop(s, &s->replies[oldest]);
	}
	copy = malloc(len + 1);
	if (!copy)
		return;
	if (len)
		memcpy(copy, data, len);
	*r = (struct kept_reply){ .tag = tag,
				  .type = type,
				  .len = (u32)len,
				  .data = copy };
	s->reply_bytes += len;
	s->reply_next = (s->reply_next + 1) % FILESESSION_REPLIES;
}

const struct kept_reply *filesession_reply(struct filesession *s, u64 tag)
{
	u32 i;

	for (i = 0; i < FILESESSION_REPLIES; i++)
		if (s->replies[i].data && s->replies[i].tag == tag)
			return &s->replies[i];
	return NULL;
}

static bool told_add(u64 *table, u32 size, u64 what)
{
	u32 at = (u32)(what * 0x9e3779b97f4a7c15ull >> 33) & (size - 1);

	while (table[at] && table[at] != what)
		at = (at + 1) & (size - 1);
	if (table[at])
		return false;
	table[at] = what;
	return true;
}

bool filesession_tell(struct filesession *s, u8 kind, u32 id)
{
	u64 what = (u64)id << 2 | (u64)(kind & 1) << 1 | 1;

	if (s->told_count * 2 >= s->told_size) {
		u32 size = s->told_size ? s->told_size * 2 : TOLD_FIRST;
		u64 *p = size > TOLD_MAX ? NULL : calloc(size, sizeof(*p));
		u32 i;

		if (!p)
			return true;
		for (i = 0; i < s->told_size; i++)
			if (s->told[i])
				told_add(p, size, s->told[i]);
		free(s->told);
		s->told = p;
		s->told_size = size;
	}
	if (!told_add(s->told, s->told_size, what))
		return false;
	s->told_count++;
	return true;
}

void filesession_tell_again(struct filesession *s)
{
	if (s->told_size)
		memset(s->told, 0, s->told_size * sizeof(*s->told));
	s->told_count = 0;
}

void filesession_set_policy(struct filesession *s, struct policy *p)
{
	struct policy *old;

	pthread_mutex_lock(&s->lock);
	old = s->policy;
	s->policy = p;
	pthread_mutex_unlock(&s->lock);
	policy_put(old);
}

void filesession_account(struct filesession *s, const char *name, char *out)
{
	pthread_mutex_lock(&s->lock);
	snprintf(out, IDNAME_MAX, "%s",
		 s->policy ? policy_account(s->policy, name) : name);
	pthread_mutex_unlock(&s->lock);
}

void filesession_cloud_name(struct filesession *s, const char *account,
			    char *out)
{
	const char *name;

	pthread_mutex_lock(&s->lock);
	name = s->policy ? policy_cloud_name(s->policy, account) : account;
	/* No account anywhere has this name: it is shown as nobody. */
	snprintf(out, IDNAME_MAX, "%s", name ? name : "#?");
	pthread_mutex_unlock(&s->lock);
}
