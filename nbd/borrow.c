// SPDX-License-Identifier: GPL-2.0-or-later
/* Forming and undoing; the contract is in borrow.h. */
#include "borrow.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "borrow_impl.h"
#include "client.h"
#include "cloud.h"
#include "seal.h"

void borrow_say(struct borrower *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->told(text);
}

int borrower_open(struct borrower *b, const char *state, bool cloud_needed,
		  struct failure *f)
{
	int ret;

	b->state = state;
	b->guard = -1;
	b->cloud = NULL;
	ret = client_open(&b->cloud, state, f);
	if (ret) {
		b->cloud = NULL;
		if (cloud_needed)
			return ret;
	}
	b->guard = guard_reach(state, f);
	if (b->guard >= 0)
		return 0;
	ret = b->guard;
	borrower_close(b);
	return ret;
}

void borrower_close(struct borrower *b)
{
	if (b->cloud)
		client_close(b->cloud);
	if (b->guard >= 0)
		close(b->guard);
	b->cloud = NULL;
	b->guard = -1;
}

u32 borrow_guard_legs(int guard, const char *name, struct guard_leg *out)
{
	struct guard_message m = { .op = GUARD_LIST };
	u32 count = 0;

	if (send(guard, &m, sizeof(m), MSG_NOSIGNAL) != (ssize_t)sizeof(m))
		return 0;
	while (!guard_receive(guard, &m) && m.leg.borrowing[0])
		if (!strcmp(m.leg.borrowing, name) && count < MIRROR_LEGS_MAX)
			out[count++] = m.leg;
	return count;
}

static int guard_ask(struct borrower *b, const struct record *r,
		     const struct record_leg *l, u32 op,
		     struct guard_message *m, struct failure *f)
{
	*m = (struct guard_message){ .op = op };
	record_guard_leg(r, l, &m->leg);
	return guard_call(b->guard, m, f);
}

int borrow_attach(struct borrower *b, struct record *r, struct record_leg *l,
		  struct failure *f)
{
	struct guard_message m;
	int ret = guard_ask(b, r, l, GUARD_ATTACH, &m, f);

	if (ret)
		return ret;
	l->index = m.leg.index;
	borrow_say(b, "%s: attached as nbd%d%s", l->lender, l->index,
		   r->plaintext_on[0] ? ", in the clear" :
		   ", encrypted by the kernel");
	return record_save(r, b->state, f);
}

int borrow_adopt(struct borrower *b, struct record *r, struct record_leg *l)
{
	struct guard_message m;
	struct failure f;

	return guard_ask(b, r, l, GUARD_ADOPT, &m, &f);
}

int borrow_tell_mirror(struct borrower *b, struct record *r, struct failure *f)
{
	const struct record_leg none = { 0 };
	struct guard_message m;

	return guard_ask(b, r, &none, GUARD_MIRROR, &m, f);
}

static void forget_leg(struct record *r, struct record_leg *l)
{
	struct record_leg *end = r->leg + --r->legs;

	memmove(l, l + 1, (size_t)(end - l) * sizeof(*l));
}

struct record_leg *borrow_new_leg(struct record *r, const char *lender)
{
	struct record_leg *l;
	u32 i;

	/* A lease that nobody could be told of gives way to one of use. */
	for (i = 0; i < r->legs && r->legs == MIRROR_LEGS_MAX; i++)
		if (!r->leg[i].part && r->leg[i].index < 0)
			forget_leg(r, &r->leg[i]);
	if (r->legs == MIRROR_LEGS_MAX)
		return NULL;
	l = &r->leg[r->legs++];
	*l = (struct record_leg){ .number = r->next++, .index = -1 };
	snprintf(l->lender, sizeof(l->lender), "%s", lender);
	return l;
}

/* Leases @l and makes its device. After a failure it is out of the record. */
int borrow_take(struct borrower *b, struct record *r, struct record_leg *l,
		struct failure *f)
{
	struct failure second;
	int ret = record_save(r, b->state, f);

	if (!ret)
		ret = cloud_lease(b->cloud, r, l, f);
	if (!ret) {
		borrow_say(b, "%s: %llu MiB leased", l->lender,
			   (unsigned long long)(r->bytes >> 20));
		ret = record_save(r, b->state, f);
	}
	if (!ret)
		ret = borrow_attach(b, r, l, f);
	if (ret && !borrow_drop(b, r, l, &second))
		record_save(r, b->state, &second);
	return ret;
}

void borrow_detach(struct borrower *b, struct record *r, struct record_leg *l)
{
	struct guard_message m;
	struct failure f;

	guard_ask(b, r, l, GUARD_DROP, &m, &f);
	l->index = -1;
}

int borrow_retire(struct borrower *b, struct record *r, struct record_leg *l,
		  struct failure *f)
{
	struct guard_message m;
	int ret = guard_ask(b, r, l, GUARD_DROP, &m, f);

	if (ret)
		return ret;
	l->part = false;
	l->index = -1;
	ret = b->cloud ? cloud_release(b->cloud, r, l, f) : -ENOTCONN;
	if (!ret) {
		borrow_say(b, "%s: released", l->lender);
		forget_leg(r, l);
	}
	return record_save(r, b->state, f) ? f->code : ret;
}

int borrow_drop(struct borrower *b, struct record *r, struct record_leg *l,
		struct failure *f)
{
	u32 legs = r->legs;

	borrow_retire(b, r, l, f);
	if (r->legs < legs)
		return 0;
	if (l->index >= 0)
		return f->code; /* the guard has it still */
	borrow_say(b, "%s: cannot be told that its memory is free: %s",
		   l->lender, b->cloud ? f->what : "virgod does not answer");
	forget_leg(r, l);
	return record_save(r, b->state, f);
}

/* Says why each node that cannot lend cannot. */
static int too_few(struct record *r, const struct lender *l, int count,
		   u32 found, struct failure *f)
{
	char why[300] = "";
	size_t at = 0;
	int i;

	for (i = 0; i < count && at + 1 < sizeof(why); i++)
		if (l[i].why[0]) {
			int n = snprintf(why + at, sizeof(why) - at, "; %s: %s",
					 l[i].node, l[i].why);

			at += n > 0 ? (size_t)n : 0;
		}
	return failure_set(f, -ENOSPC, "lenders", found ?
			   "virgo memory lend on another node, a smaller size, "
			   "or --mirror 1" :
			   "virgo memory lend on another node, or a smaller "
			   "size",
			   "%u wanted, %u found%s", r->mirror, found, why);
}

/* Whether @node holds a leg of @r already. */
static bool is_used(const struct record *r, const char *node)
{
	u32 i;

	for (i = 0; i < r->legs; i++)
		if (!strcmp(r->leg[i].lender, node))
			return true;
	return false;
}

/* One more leg, from the best lender that takes it; no lender twice. */
int borrow_add_leg(struct borrower *b, struct record *r, struct failure *f)
{
	struct lender l[LENDERS_MAX];
	int count = cloud_lenders(b->cloud, r->swap, r->bytes, l, f);
	int ret = -ENOSPC;
	int i;

	if (count < 0)
		return count;
	for (i = 0; i < count; i++) {
		struct record_leg *leg;

		if (l[i].why[0] || is_used(r, l[i].node) ||
		    record_avoids(r, l[i].node, record_clock_s()))
			continue;
		leg = borrow_new_leg(r, l[i].node);
		if (!leg)
			return failure_set(f, -ENOSPC, r->name, NULL,
					   "too many legs");
		ret = borrow_take(b, r, leg, f);
		if (!ret)
			return 0;
		snprintf(l[i].why, sizeof(l[i].why), "%.127s", f->what);
		borrow_say(b, "%s: %s", l[i].node, f->what);
	}
	return too_few(r, l, count, r->legs, f);
}

/* The device above the mirror. */
static int finish_device(struct borrower *b, struct record *r,
			 struct failure *f)
{
	char device[64];
	int ret = r->seal ? seal_on(r->name, r->md, r->bytes, f) : 0;

	if (ret)
		return ret;
	if (r->seal)
		borrow_say(b, "sealed with a key that only this kernel has");
	record_device(r, device, sizeof(device));
	return 0;
}

/* The array of the first @clean legs, the others being filled from them. */
int borrow_assemble(struct borrower *b, struct record *r, u32 clean,
		    struct failure *f)
{
	int index[MIRROR_LEGS_MAX];
	int ret;
	u32 i;

	for (i = 0; i < r->legs; i++)
		index[i] = r->leg[i].index;
	ret = mirror_create(index, r->legs, clean, r->mirror, r->bytes, f);
	if (ret < 0)
		return ret;
	r->md = ret;
	for (i = 0; i < r->legs; i++)
		r->leg[i].part = true;
	ret = record_save(r, b->state, f);
	if (!ret)
		ret = borrow_tell_mirror(b, r, f);
	if (ret)
		return ret;
	borrow_say(b, "md%d: %u leg%s", r->md, r->legs,
		   r->legs == 1 ? "" : "s, each page on every one");
	return finish_device(b, r, f);
}

int borrow_form(struct borrower *b, struct record *r, struct failure *f)
{
	struct failure second;
	int ret = 0;

	boot_id(r->boot);
	r->md = -1;
	r->next = 1;
	while (!ret && r->legs < r->mirror)
		ret = borrow_add_leg(b, r, f);
	if (!ret)
		ret = borrow_assemble(b, r, r->legs, f);
	if (ret)
		borrow_undo(b, r, &second);
	return ret;
}

int borrow_undo(struct borrower *b, struct record *r, struct failure *f)
{
	int ret = r->seal ? seal_off(r->name, f) : 0;

	if (!ret && r->md >= 0)
		ret = mirror_stop(r->md, f);
	if (ret)
		return ret;
	r->md = -1;
	while (r->legs) {
		ret = borrow_drop(b, r, &r->leg[r->legs - 1], f);
		if (ret)
			return ret;
	}
	record_remove(b->state, r->name);
	return 0;
}

void borrow_link(const struct record *r)
{
	char link[80], device[64];

	record_device(r, device, sizeof(device));
	snprintf(link, sizeof(link), "/dev/virgo/%s", r->name);
	mkdir("/dev/virgo", 0755);
	unlink(link);
	if (symlink(device, link))
		errno = 0; /* the device itself is there */
}

void borrow_unlink(const struct record *r)
{
	char link[80];

	snprintf(link, sizeof(link), "/dev/virgo/%s", r->name);
	unlink(link);
	rmdir("/dev/virgo"); /* the last one's */
}
