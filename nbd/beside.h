/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small programs that stand beside virgo-nbd and virgo-borrow and outlive them:
 * virgo-nbd-holder and virgo-guard. Each listens on a SOCK_SEQPACKET socket of its
 * own under STATE/run, and forks once it listens.
 */
#ifndef VIRGO_NBD_BESIDE_H
#define VIRGO_NBD_BESIDE_H

#include "failure.h"

/* STATE/run/@socket into @out; -ENAMETOOLONG when no socket can be there. */
int beside_path(const char *state, const char *socket, char *out, size_t size);
/* A connected socket, or a negative errno. Receiving waits at most @answer_s
 * seconds, for ever if 0.
 */
int beside_connect(const char *path, unsigned int answer_s);
/* The same for the socket of @program, which is started when nobody listens. Fills
 * in @f on failure.
 */
int beside_reach(const char *program, const char *state, const char *socket,
		 unsigned int answer_s, struct failure *f);

#endif
