/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgo-guard keeps the links of borrowed memory: it makes network block devices
 * out of connections, hears when one dies, and decides at once what to do. It is
 * one process that never allocates, forks, or writes a file once it runs, and
 * whose memory is locked: it has to work while memory is what is missing. What
 * may block or allocate (a TLS handshake) is done by its dialler, a process that
 * it forked at its start (dialler.h).
 *
 * A leg is one device, lent by one node. Legs of a mirror know each other by
 * their number of md array. State and rules of a leg are in guard_rules.h.
 *
 * Who talks to it does so over the seqpacket socket STATE/run/guard.sock, mode
 * 0600: a struct guard_message each way. A client that has asked for nothing yet gets
 * a message GUARD_CHANGED whenever a leg's state changed.
 */
#ifndef VIRGO_NBD_GUARD_H
#define VIRGO_NBD_GUARD_H

#include "failure.h"
#include "guard_rules.h"

enum {
	GUARD_LEGS_MAX = 32,
	GUARD_SOCKETS_MAX = 4, /* of one leg */
	GUARD_CLIENTS_MAX = 8,
};

struct guard_leg {
	char borrowing[64]; /* "swap", or a disk's name */
	u32 number; /* never used twice within a borrowing */
	s32 index; /* of the nbd device; -1: none yet */
	s32 md; /* number of the array it is part of; -1: none */
	u64 size_bytes;
	char lender[64];
	char addresses[512]; /* numeric "host:port", with commas */
	char name[160]; /* of the export, with its generation */
	char plaintext_on[16]; /* "": TLS */
	u32 sockets;
	u32 patience_s; /* how long it may be without any connection */
	u32 state; /* enum leg_state */
	u32 reconnects;
	char why[256]; /* what ended it, or its last connection */
};

enum guard_op {
	GUARD_ATTACH, /* answered when the device is there, or cannot be */
	GUARD_ADOPT, /* the device is there already: only watch it */
	GUARD_MIRROR, /* leg.borrowing's legs are now of array leg.md */
	GUARD_DROP, /* disconnect and forget */
	GUARD_LIST, /* one answer a leg, then one with an empty name */
	GUARD_CHANGED,
	GUARD_END, /* if it has no leg; its end closes the socket */
};

struct guard_message {
	u32 op;
	s32 error; /* of an answer: 0 or a negative errno; why is in leg.why */
	struct guard_leg leg;
};

/* Path of the socket; -ENAMETOOLONG. */
int guard_path(const char *state, char *out, size_t size);
/* A connected socket, starting a guard when there is none. */
int guard_reach(const char *state, struct failure *f);
/* The next answer: 0 or a negative errno. */
int guard_receive(int fd, struct guard_message *m);
/* Sends @m and waits for the answer, which replaces it: 0, or what failed. */
int guard_call(int fd, struct guard_message *m, struct failure *f);
/* The identifier under which the kernel knows a leg's device. */
void guard_identifier(const struct guard_leg *l, char out[static 128]);

/* Legs and clients, and their loop; does not return before GUARD_END. @listener
 * and @dialler are sockets.
 */
struct genl;
int guard_run(struct genl *g, int listener, int dialler);

#endif
