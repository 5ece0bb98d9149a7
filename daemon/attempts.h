/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts failed attempts by where they come from (an IPv4 address, an IPv6 /64)
 * and says when a source has to wait: after ATTEMPTS_FREE failures within
 * ATTEMPTS_WINDOW_S it is refused until the window has passed. Remembers
 * ATTEMPTS_SOURCES sources, the least recent one giving way. Time is passed in.
 */
#ifndef VIRGO_DAEMON_ATTEMPTS_H
#define VIRGO_DAEMON_ATTEMPTS_H

#include <sys/socket.h>

#include "env.h"

enum {
	ATTEMPTS_FREE = 5,
	ATTEMPTS_WINDOW_S = 60,
	ATTEMPTS_SOURCES = 256,
};

struct attempts {
	struct {
		u8 source[8];
		u64 since_us; /* of the first failure */
		u32 failures;
	} slot[ATTEMPTS_SOURCES];
};

/* Seconds that @from has to wait; 0 when it may try. */
u32 attempts_wait_s(const struct attempts *a, const struct sockaddr *from,
		    u64 now_us);
void attempts_failed(struct attempts *a, const struct sockaddr *from,
		     u64 now_us);

#endif
