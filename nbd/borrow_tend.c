// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mending: compares what a record wants with what there is, and takes the next
 * steps towards it. It may be stopped anywhere and run again.
 */
#include <stdio.h>

#include "borrow_impl.h"
#include "cloud.h"
#include "swap_area.h"

/* What a leg is, of all who know. */
struct seen {
	const struct guard_leg *guard; /* NULL: the guard does not know it */
	const struct mirror_leg *mirror; /* NULL: no part of the array */
	bool lost;
	bool sound; /* holds all data and is connected */
};

struct view {
	struct guard_leg guard[MIRROR_LEGS_MAX];
	u32 guards;
	struct mirror mirror;
	struct seen leg[MIRROR_LEGS_MAX]; /* as in the record */
	u32 sound;
};

static void look_at(struct view *v, const struct record_leg *l,
		    struct seen *s)
{
	u32 i;

	*s = (struct seen){ 0 };
	for (i = 0; i < v->guards; i++)
		if (v->guard[i].number == l->number)
			s->guard = &v->guard[i];
	for (i = 0; i < v->mirror.legs && l->index >= 0; i++)
		if (v->mirror.leg[i].index == l->index)
			s->mirror = &v->mirror.leg[i];
	s->lost = !s->guard || s->guard->state == LEG_LOST ||
		  (s->mirror && s->mirror->faulty);
	s->sound = !s->lost && s->mirror && s->mirror->in_sync;
}

static int look(struct borrower *b, const struct record *r, struct view *v)
{
	u32 i;
	int ret = mirror_look(r->md, &v->mirror);

	v->guards = borrow_guard_legs(b->guard, r->name, v->guard);
	v->sound = 0;
	for (i = 0; i < r->legs; i++) {
		look_at(v, &r->leg[i], &v->leg[i]);
		v->sound += v->leg[i].sound;
	}
	return ret;
}

/* A guard that was started anew is told what there is. */
static void acquaint(struct borrower *b, struct record *r)
{
	struct guard_leg known[MIRROR_LEGS_MAX];
	u32 count = borrow_guard_legs(b->guard, r->name, known);
	struct failure f;
	bool told = false;
	u32 i, j;

	for (i = 0; i < r->legs; i++) {
		struct record_leg *l = &r->leg[i];

		for (j = 0; j < count && known[j].number != l->number; j++)
			;
		if (j < count && l->index < 0)
			l->index = known[j].index;
		if (j < count || l->index < 0)
			continue;
		told = true;
		if (!borrow_adopt(b, r, l))
			borrow_say(b, "%s: nbd%d is watched again", l->lender,
				   l->index);
	}
	if (told)
		borrow_tell_mirror(b, r, &f);
}

/* md takes a leg for faulty whose connections are well: the lender answered with an
 * error. The kernel does not say with which.
 */
static bool refused(const struct seen *s)
{
	return s->guard && s->guard->state != LEG_LOST;
}

static const char *ended_by(const struct seen *s)
{
	if (!s->guard)
		return "its device is gone";
	if (refused(s))
		return "it answered a request with an error, as one without "
		       "room does";
	return s->guard->why[0] ? s->guard->why : "it was disconnected";
}

/* Takes a leg that is lost or no part of anything away; false when it must stay.
 */
static bool take_away(struct borrower *b, struct record *r, u32 i,
		      const struct view *v)
{
	struct record_leg *l = &r->leg[i];
	const struct seen *s = &v->leg[i];
	struct failure f;

	if (l->part && s->mirror) {
		if (!v->sound)
			return false; /* it was the last: nothing to go on with */
		/* md lets no leg go while it copies to another: told when it
		 * has, for until then every visit tries again.
		 */
		if (mirror_remove(r->md, l->index, &f))
			return false;
		borrow_say(b, "%s: its leg nbd%d %s%s", l->lender, l->index,
			   l->leaving ? "has moved" : "is lost: ",
			   l->leaving ? "" : ended_by(s));
		if (!l->leaving) {
			record_lost(r, l->lender, ended_by(s));
			r->refused_s = refused(s) ? record_clock_s() : 0;
		}
	}
	return !borrow_retire(b, r, l, &f);
}

static void clear_away(struct borrower *b, struct record *r)
{
	struct view v;
	u32 i = 0;

	while (i < r->legs) {
		if (look(b, r, &v))
			return;
		if ((v.leg[i].lost || !r->leg[i].part) &&
		    take_away(b, r, i, &v))
			i = 0;
		else
			i++;
	}
}

static void ask_who_leaves(struct borrower *b, struct record *r)
{
	struct failure f;
	u32 i;

	for (i = 0; i < r->legs; i++) {
		struct record_leg *l = &r->leg[i];

		if (l->leaving || cloud_is_leaving(b->cloud, r, l) != 1)
			continue;
		l->leaving = true;
		borrow_say(b, "%s: wants its memory back", l->lender);
		record_save(r, b->state, &f);
	}
}

/* Legs that are there to stay, filled or being filled. */
static u32 staying(const struct record *r, const struct view *v)
{
	u32 count = 0;
	u32 i;

	for (i = 0; i < r->legs; i++)
		count += r->leg[i].part && !r->leg[i].leaving &&
			 !v->leg[i].lost;
	return count;
}

static struct record_leg *one_leaving(struct record *r)
{
	u32 i;

	for (i = 0; i < r->legs; i++)
		if (r->leg[i].leaving && r->leg[i].part)
			return &r->leg[i];
	return NULL;
}

/* No other lender: who leaves goes, if everything is elsewhere too. */
static void let_go(struct borrower *b, struct record *r, const struct view *v)
{
	struct record_leg *l = one_leaving(r);
	struct failure f;

	if (!l || v->mirror.busy ||
	    v->sound - v->leg[l - r->leg].sound == 0)
		return;
	borrow_say(b, "%s: let go without another in its place; every page is "
		   "on the other leg", l->lender);
	if (!mirror_remove(r->md, l->index, &f))
		borrow_retire(b, r, l, &f);
}

static void add_leg(struct borrower *b, struct record *r, const struct view *v)
{
	struct record_leg *old = v->mirror.degraded ? NULL : one_leaving(r);
	struct record_leg *l;
	struct failure f;
	int ret = borrow_add_leg(b, r, &f);

	if (ret) {
		let_go(b, r, v);
		return;
	}
	l = &r->leg[r->legs - 1];
	ret = old ? mirror_replace(r->md, old->index, &f) : 0;
	if (!ret)
		ret = mirror_add(r->md, l->index, &f);
	if (ret) {
		borrow_say(b, "%s: %s", f.object, f.what);
		borrow_drop(b, r, l, &f);
		return;
	}
	l->part = true;
	borrow_say(b, "%s: takes %s place", l->lender,
		   old ? old->lender : "the lost leg's");
	if (!record_save(r, b->state, &f))
		borrow_tell_mirror(b, r, &f);
}

/* The kernel that had the devices is gone. A disk's data is still out there;
 * which leg was written last nobody knows, so one of them becomes the truth.
 */
static enum tended after_boot(struct borrower *b, struct record *r)
{
	struct failure f;
	u32 i;

	for (i = 0; i < r->legs; i++) {
		r->leg[i].index = -1;
		r->leg[i].part = false;
	}
	r->md = -1;
	if (r->swap) {
		if (b->cloud)
			borrow_undo(b, r, &f);
		return b->cloud ? TENDED_WELL : TENDED_BUSY;
	}
	for (i = 0; i < r->legs; i++)
		if (borrow_attach(b, r, &r->leg[i], &f))
			break;
	if (i == r->legs && r->legs) {
		boot_id(r->boot);
		if (!borrow_assemble(b, r, 1, &f)) {
			borrow_link(r);
			return TENDED_BUSY;
		}
	}
	borrow_say(b, "%s: not all of its lenders are there", r->name);
	while (i--)
		borrow_detach(b, r, &r->leg[i]);
	return TENDED_BUSY;
}

/* Whoever was putting it together has died in the middle. */
static enum tended half_made(struct borrower *b, struct record *r)
{
	struct failure f;
	char device[64];

	record_device(r, device, sizeof(device));
	if (r->swap && swap_area_used(device) >= 0) {
		r->ready = true;
		record_save(r, b->state, &f);
		return TENDED_BUSY;
	}
	borrow_say(b, "%s: was left half made, taken apart", r->name);
	return borrow_undo(b, r, &f) ? TENDED_BUSY : TENDED_WELL;
}

enum tended borrow_tend(struct borrower *b, struct record *r)
{
	char boot[BOOT_ID_SIZE];
	struct view v;

	boot_id(boot);
	if (strcmp(boot, r->boot))
		return after_boot(b, r);
	if (!r->ready)
		return half_made(b, r);
	acquaint(b, r);
	clear_away(b, r);
	if (b->cloud)
		ask_who_leaves(b, r);
	if (look(b, r, &v))
		return TENDED_WELL; /* it is being ended */
	if (b->cloud && v.sound && staying(r, &v) < r->mirror)
		add_leg(b, r, &v);
	if (look(b, r, &v))
		return TENDED_WELL;
	return v.mirror.busy || v.mirror.degraded || one_leaving(r) ||
			       staying(r, &v) < r->mirror ?
		       TENDED_BUSY :
		       TENDED_WELL;
}
