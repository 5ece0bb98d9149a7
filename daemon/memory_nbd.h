/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgod's hold on virgo-nbd, over its control socket (STATE/run/nbd.sock). The
 * two are not parent and child in any way that matters: each may end, be killed
 * or be replaced alone, and a virgod that starts finds the virgo-nbd of the one
 * before. While it is to be kept and does not answer it is started: by systemd's
 * virgo-nbd.service where virgod is itself a unit of systemd and that unit is
 * installed, else as a process of virgod's. Used in the loop's thread only.
 */
#ifndef VIRGO_DAEMON_MEMORY_NBD_H
#define VIRGO_DAEMON_MEMORY_NBD_H

#include "node.h"

struct memory_nbd;

/* @ret is 0 or the negative errno of the answer, -EPIPE when virgo-nbd was lost
 * before it came; @rest is what follows "ok", @lines the lines before that.
 */
typedef void memory_nbd_fn(void *arg, int ret, const char *rest, char *lines);

/* @changed runs when it has begun or ceased to answer, never from inside a call.
 * Looks for a running one at once. NULL when memory is out.
 */
struct memory_nbd *memory_nbd_new(struct node *n, void (*changed)(void *arg),
				  void *arg);
/* Leaves virgo-nbd running; what was asked is answered with -EPIPE. */
void memory_nbd_free(struct memory_nbd *m);

/* Starts it when it does not run, with these options, and again whenever it has
 * ended. @listen is for --listen. Harmless to call again.
 */
void memory_nbd_keep(struct memory_nbd *m, const char *listen);
/* No more: it may end. */
void memory_nbd_unkeep(struct memory_nbd *m);
bool memory_nbd_up(const struct memory_nbd *m);
/* Why it is not up, "" when it is or is not wanted. */
const char *memory_nbd_why(const struct memory_nbd *m);

/* Asks, in order. @fn always runs, never from inside this call, unless -ENOMEM or
 * -ENOTCONN is given.
 */
int memory_nbd_ask(struct memory_nbd *m, memory_nbd_fn *fn, void *arg,
		   const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
