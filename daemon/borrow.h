/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgod's part in borrowing memory. Devices, mirrors and swap are made and
 * mended by virgo-borrow, a program that may block and ends when its task is
 * done; virgod tells it which nodes could lend (lenders.h), passes its requests
 * on to them, and starts it to mend when there is news: virgo-guard saw a
 * connection die or has ended itself, a lender wants its memory back, or virgod
 * has just started. What is borrowed is in files, STATE/borrow/NAME; virgod
 * itself remembers nothing. Loop's thread only.
 */
#ifndef VIRGO_DAEMON_BORROW_H
#define VIRGO_DAEMON_BORROW_H

#include "node.h"

struct borrow;

/* Registers the services and looks after what is borrowed already. Needs
 * memory; catalog, membership and peers when it answers. NULL when memory is out.
 */
struct borrow *borrow_new(struct node *n);
/* What is borrowed stays, and virgo-guard with it. */
void borrow_free(struct borrow *b);

#endif
