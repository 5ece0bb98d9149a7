/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps that forming (borrow.c) and mending (borrow_tend.c) share. */
#ifndef VIRGO_NBD_BORROW_IMPL_H
#define VIRGO_NBD_BORROW_IMPL_H

#include "borrow.h"

void borrow_say(struct borrower *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* One more leg of @r: chosen, leased, attached, in the record; not in the
 * mirror yet.
 */
int borrow_add_leg(struct borrower *b, struct record *r, struct failure *f);
struct record_leg *borrow_new_leg(struct record *r, const char *lender);
int borrow_take(struct borrower *b, struct record *r, struct record_leg *l,
		struct failure *f);
/* Device, lease and entry of @l go; it must not be part of the mirror any more.
 * A lender that cannot be told is told about, and keeps its lease.
 */
int borrow_drop(struct borrower *b, struct record *r, struct record_leg *l,
		struct failure *f);
/* The same, but what a lender could not be told stays in the record, to be told
 * later.
 */
int borrow_retire(struct borrower *b, struct record *r, struct record_leg *l,
		  struct failure *f);
int borrow_attach(struct borrower *b, struct record *r, struct record_leg *l,
		  struct failure *f);
/* Its device goes; lease and entry stay. */
void borrow_detach(struct borrower *b, struct record *r, struct record_leg *l);
/* 0 when the guard watches it, -ENODEV when there is no such device. */
int borrow_adopt(struct borrower *b, struct record *r, struct record_leg *l);
int borrow_tell_mirror(struct borrower *b, struct record *r,
		       struct failure *f);
int borrow_assemble(struct borrower *b, struct record *r, u32 clean,
		    struct failure *f);

#endif
