/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Putting borrowed memory together, taking it apart, and mending it:
 *
 *	lease of a lender --> network block device (virgo-guard) --.
 *	lease of another  --> network block device ---------------- md raid1
 *	                                  [dm-crypt] --> swap, or a disk
 *
 * Everything here blocks and is done under the lock of record.h, by one process
 * at a time. Each step is told; the record says at any moment what may exist.
 */
#ifndef VIRGO_NBD_BORROW_H
#define VIRGO_NBD_BORROW_H

#include "record.h"

struct client;

struct borrower {
	const char *state;
	struct client *cloud; /* NULL while virgod does not answer */
	int guard;
	void (*told)(const char *text); /* a step */
};

/* Reaches virgod (@cloud_needed or not) and virgo-guard. */
int borrower_open(struct borrower *b, const char *state, bool cloud_needed,
		  struct failure *f);
void borrower_close(struct borrower *b);

/* Leases, attaches and assembles what @r asks for; after a failure nothing of it
 * is left. Then its device is there, not in use.
 */
int borrow_form(struct borrower *b, struct record *r, struct failure *f);
/* Undoes all of it. What a lender that does not answer still holds is told, and
 * left to it. Its device must not be in use.
 */
int borrow_undo(struct borrower *b, struct record *r, struct failure *f);

enum tended {
	TENDED_WELL,
	TENDED_BUSY, /* something is under way, or has to be tried again */
};
/*
 * Makes @r what it should be: legs that a new guard does not know are given to
 * it, lost ones are removed and replaced, those whose lender leaves are moved.
 */
enum tended borrow_tend(struct borrower *b, struct record *r);

/* /dev/virgo/NAME, by which a disk is known to people. */
void borrow_link(const struct record *r);
void borrow_unlink(const struct record *r);

/* State of the guard's legs of @r: fills in up to MIRROR_LEGS_MAX. */
u32 borrow_guard_legs(int guard, const char *name, struct guard_leg *out);

#endif
