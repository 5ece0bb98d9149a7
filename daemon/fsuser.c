// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Users and credentials of the file service; the contract is in fsuser.h. A
 * thread remembers what it is, so that only a change costs system calls. These
 * are raw: the C library's would change all threads.
 */
#include "fsuser.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"

/* 32-bit machines have these a second time, for ids beyond 16 bits. */
#ifdef SYS_setfsuid32
#define RAW_SETFSUID SYS_setfsuid32
#define RAW_SETFSGID SYS_setfsgid32
#define RAW_SETGROUPS SYS_setgroups32
#else
#define RAW_SETFSUID SYS_setfsuid
#define RAW_SETFSGID SYS_setfsgid
#define RAW_SETGROUPS SYS_setgroups
#endif

enum { NOBODY = 65534 };

#define VALID_US (60 * 1000000ull)
#define STALE_US (600 * 1000000ull)

struct fscred {
	atomic_int refs;
	u64 serial; /* never used twice, so it tells two apart for ever */
	uid_t uid;
	gid_t gid;
	int group_count;
	gid_t groups[];
};

struct fsuser {
	atomic_int refs;
	atomic_bool refused; /* by policy */
	char user[IDNAME_MAX];
	char group[IDNAME_MAX];
	u32 uid;
	u32 gid;
	u32 group_count;
	u32 *groups; /* the client's, for idmap numeric */

	pthread_mutex_t lock; /* guards below */
	char account[IDNAME_MAX]; /* the name of @user here */
	u64 accounts; /* counts changes of it */
	struct {
		struct fscred *cred;
		u64 since_us;
	} known[3][2]; /* by squash and numeric */
};

static atomic_ullong serials = 1;
static _Thread_local u64 thread_serial;
static _Thread_local mode_t thread_umask = (mode_t)-1;

struct fsuser *fsuser_new(const struct msg_file_cred *m)
{
	struct fsuser *u = calloc(1, sizeof(*u));
	u32 i;

	if (!u)
		return NULL;
	u->refs = 1;
	u->uid = m->uid;
	u->gid = m->gid;
	u->group_count = m->groups.len / 4;
	pthread_mutex_init(&u->lock, NULL);
	if (!span_to_cstr(m->user, u->user, sizeof(u->user)) ||
	    (m->group.len &&
	     !span_to_cstr(m->group, u->group, sizeof(u->group))) ||
	    u->group_count > FILE_GROUPS_MAX || m->groups.len % 4)
		goto fail;
	memcpy(u->account, u->user, sizeof(u->account));
	u->groups = calloc(u->group_count + 1, sizeof(*u->groups));
	if (!u->groups)
		goto fail;
	for (i = 0; i < u->group_count; i++)
		u->groups[i] = get_u32(m->groups.data + 4 * i);
	return u;
fail:
	fsuser_put(u);
	return NULL;
}

struct fsuser *fsuser_get(struct fsuser *u)
{
	atomic_fetch_add(&u->refs, 1);
	return u;
}

const char *fsuser_name(const struct fsuser *u)
{
	return u->user;
}

void fsuser_set_account(struct fsuser *u, const char *account)
{
	int i;

	pthread_mutex_lock(&u->lock);
	if (strcmp(u->account, account)) {
		snprintf(u->account, sizeof(u->account), "%s", account);
		u->accounts++;
		for (i = 0; i < 6; i++) {
			fscred_put(u->known[i / 2][i % 2].cred);
			u->known[i / 2][i % 2].cred = NULL;
		}
	}
	pthread_mutex_unlock(&u->lock);
}

void fsuser_set_refused(struct fsuser *u, bool refused)
{
	atomic_store(&u->refused, refused);
}

bool fsuser_refused(const struct fsuser *u)
{
	return atomic_load(&u->refused);
}

void fsuser_put(struct fsuser *u)
{
	int i;

	if (!u || atomic_fetch_sub(&u->refs, 1) > 1)
		return;
	for (i = 0; i < 6; i++)
		fscred_put(u->known[i / 2][i % 2].cred);
	pthread_mutex_destroy(&u->lock);
	free(u->groups);
	free(u);
}

struct fscred *fscred_get(struct fscred *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void fscred_put(struct fscred *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		free(c);
}

bool fscred_is_root(const struct fscred *c)
{
	return c->uid == 0;
}

uid_t fscred_uid(const struct fscred *c)
{
	return c->uid;
}

static struct fscred *cred_new(uid_t uid, gid_t gid, const gid_t *groups,
			       int count)
{
	struct fscred *c = malloc(sizeof(*c) + (size_t)count * sizeof(gid_t));

	if (!c)
		return NULL;
	c->refs = 1;
	c->serial = atomic_fetch_add(&serials, 1);
	c->uid = uid;
	c->gid = gid;
	c->group_count = count;
	if (count)
		memcpy(c->groups, groups, (size_t)count * sizeof(gid_t));
	return c;
}

static struct fscred *nobody(void)
{
	u32 uid = NOBODY;
	u32 gid = NOBODY;

	idnames_id(FILE_ID_USER, "nobody", &uid);
	if (idnames_id(FILE_ID_GROUP, "nogroup", &gid))
		idnames_id(FILE_ID_GROUP, "nobody", &gid);
	return cred_new(uid, gid, NULL, 0);
}

/* The client's numbers, root's group squashed along with root. */
static struct fscred *by_number(const struct fsuser *u, const struct fsrules *r)
{
	bool squash = r->squash == SQUASH_ROOT;
	struct fscred *c = cred_new(u->uid, u->gid, u->groups,
				    (int)u->group_count);
	int i;

	if (!c || !squash)
		return c;
	if (c->gid == 0)
		c->gid = NOBODY;
	for (i = 0; i < c->group_count; i++)
		if (c->groups[i] == 0)
			c->groups[i] = NOBODY;
	return c;
}

/* The account's own groups here; the group the client asks for becomes the
 * primary one if the account is in it.
 */
static int by_account(const struct fsuser *u,
		      const struct nameservice_answer *a, struct fscred **out)
{
	gid_t gid = a->gid;
	u32 want;
	int ret = u->group[0] ? idnames_id(FILE_ID_GROUP, u->group, &want) :
				-ENOENT;
	int i;

	if (ret == -ETIMEDOUT)
		return ret;
	for (i = 0; ret == 0 && i < a->group_count; i++)
		if (a->groups[i] == want)
			gid = want;
	*out = cred_new(a->id, gid, a->groups, a->group_count);
	return 0;
}

static int by_name(const struct fsuser *u, const char *account,
		   const struct fsrules *r, struct fscred **out)
{
	struct nameservice_answer a;
	u32 uid;
	int ret;

	if (u->user[0] == '#') {
		/* Without a name on either side the number is all there is. */
		ret = idnames_id(FILE_ID_USER, u->user, &uid);
		if (ret == -ETIMEDOUT)
			return ret;
		*out = ret || uid == 0 ? nobody() :
					 cred_new(uid, NOBODY, NULL, 0);
		return 0;
	}
	ret = nameservice_ask(NAMESERVICE_ACCOUNT, FILE_ID_USER, account, 0,
			      &a);
	if (ret)
		return ret;
	if (a.found && (a.id != 0 || r->squash == SQUASH_NONE))
		return by_account(u, &a, out);
	*out = nobody();
	return 0;
}

static int resolve(const struct fsuser *u, const char *account,
		   const struct fsrules *r, struct fscred **out)
{
	bool is_nobody = r->squash == SQUASH_ALL ||
			 (r->numeric && u->uid == 0 && r->squash == SQUASH_ROOT);

	if (!is_nobody && !r->numeric)
		return by_name(u, account, r, out);
	*out = is_nobody ? nobody() : by_number(u, r);
	return 0;
}

int fsuser_cred(struct fsuser *u, const struct fsrules *r, struct fscred **out)
{
	u64 now = loop_clock_us();
	struct fscred **at = &u->known[r->squash][r->numeric].cred;
	u64 *since = &u->known[r->squash][r->numeric].since_us;
	char account[IDNAME_MAX];
	struct fscred *c = NULL, *old = NULL;
	u64 accounts;
	int ret;

	pthread_mutex_lock(&u->lock);
	memcpy(account, u->account, sizeof(account));
	accounts = u->accounts;
	if (*at && now - *since < STALE_US)
		old = fscred_get(*at);
	if (old && now - *since < VALID_US) {
		pthread_mutex_unlock(&u->lock);
		*out = old;
		return 0;
	}
	pthread_mutex_unlock(&u->lock);
	fscred_become(NULL);
	ret = resolve(u, account, r, &c);
	if (!ret && !c)
		ret = -ENOMEM;
	if (ret) {
		*out = old;
		return old ? 0 : ret;
	}
	fscred_put(old);
	pthread_mutex_lock(&u->lock);
	if (accounts == u->accounts) {
		fscred_put(*at);
		*at = fscred_get(c);
		*since = now;
	}
	pthread_mutex_unlock(&u->lock);
	*out = c;
	return 0;
}

void fscred_start(void)
{
	if (unshare(CLONE_FS))
		log_error("virgod: a thread gets no umask of its own: %s",
			  strerror(errno));
}

static void become(u64 serial, uid_t uid, gid_t gid, int count,
		   const gid_t *groups)
{
	if (thread_serial == serial)
		return;
	/* Nothing of this can fail for a process with the capabilities that
	 * virgod checks at its start; acting as someone else would be worse
	 * than ending.
	 */
	if (syscall(RAW_SETFSUID, 0) < 0 ||
	    syscall(RAW_SETGROUPS, count, groups) ||
	    syscall(RAW_SETFSGID, gid) < 0 ||
	    syscall(RAW_SETFSGID, gid) != (long)gid ||
	    syscall(RAW_SETFSUID, uid) < 0 ||
	    syscall(RAW_SETFSUID, -1) != (long)uid) {
		log_error("virgod: cannot become user %u", uid);
		abort();
	}
	thread_serial = serial;
}

void fscred_become(const struct fscred *c)
{
	if (c)
		become(c->serial, c->uid, c->gid, c->group_count, c->groups);
	else
		become(0, 0, 0, 0, NULL);
}

void fscred_become_nobody(void)
{
	become((u64)-1, NOBODY, NOBODY, 0, NULL);
}

void fscred_umask(mode_t mask)
{
	if (thread_umask == mask)
		return;
	umask(mask);
	thread_umask = mask;
}
