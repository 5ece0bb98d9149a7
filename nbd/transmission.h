/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD's transmission phase as a machine without I/O. Received bytes go in; every
 * request in them is done on the export at once, and the replies come out as one
 * batch of vectors for one send. Data that is read is not copied: its vectors
 * point into the export. Data of a long write need not be copied either: the
 * machine tells where in the export the caller shall receive it.
 *
 * Nothing is allocated here. Replies come in the order of the requests.
 */
#ifndef VIRGO_NBD_TRANSMISSION_H
#define VIRGO_NBD_TRANSMISSION_H

#include <sys/uio.h>

#include "export.h"
#include "protocol.h"

enum {
	BATCH_VECTORS = 1024, /* the kernel's limit for one send */
	BATCH_ROOM = 32768, /* bytes of headers */
	BATCH_BYTES = 1 << 20, /* of data, then it is time to send */
};

struct batch {
	u32 vectors;
	u32 used; /* bytes of @room */
	u64 bytes;
	struct iovec vector[BATCH_VECTORS];
	u8 room[BATCH_ROOM];
};

struct request {
	u16 flags;
	u16 command;
	u64 cookie;
	u64 offset;
	u32 length;
};

enum transmission_state {
	TRANSMISSION_IDLE, /* a request is due */
	TRANSMISSION_STORE, /* data of a write is due */
	TRANSMISSION_DRAIN, /* data of a refused write is due */
	TRANSMISSION_READ, /* the answer of a read did not fit the batch */
	TRANSMISSION_WORK, /* a long trim or zeroing goes on */
};

struct transmission {
	enum transmission_state state;
	struct export *export;
	bool structured;
	bool allocation;
	struct request now;
	u32 done; /* bytes of it */
	u32 error; /* enum nbd_error, of a write being drained */
	bool damaged; /* data cannot be read; its answer has begun */
	u64 requests; /* since the beginning */
};

enum transmission_verdict {
	TRANSMISSION_MORE, /* needs more input */
	TRANSMISSION_FULL, /* send the batch, then go on with what is left */
	TRANSMISSION_BODY, /* as MORE, but transmission_body() may be used */
	TRANSMISSION_AGAIN, /* has more to do: send the batch, let others live */
	TRANSMISSION_END, /* send the batch, then close: the client asked */
	TRANSMISSION_BROKEN, /* close: this is not the protocol */
};

void transmission_init(struct transmission *t, struct export *e,
		       bool structured, bool allocation);

/* Goes as far as it can. @used gets the bytes of @in that are done with. */
enum transmission_verdict transmission_run(struct transmission *t,
					   const u8 *in, size_t len,
					   size_t *used, struct batch *b);

/*
 * After TRANSMISSION_BODY: where the caller may receive up to @left bytes that
 * come next. transmission_filled() says how many came; then transmission_run().
 */
u8 *transmission_body(struct transmission *t, size_t *left);
void transmission_filled(struct transmission *t, size_t len);

/*
 * How much to receive when nothing of the next request has come: after a long
 * write only a head, as its data shall be received where it belongs, too.
 */
size_t transmission_wants(const struct transmission *t, size_t room);

/* The client is gone: pages taken for data that never came are given back. */
void transmission_end(struct transmission *t);

#endif
