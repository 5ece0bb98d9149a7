/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A byte queue made of chunks: appended at the end, sent from the front with one
 * vectored system call. Memory is given back as it drains; an empty queue holds
 * none. Used by one thread.
 */
#ifndef VIRGO_LIB_CHUNKS_H
#define VIRGO_LIB_CHUNKS_H

#include <sys/uio.h>

#include "env.h"

struct chunk {
	struct chunk *next;
	size_t len;
	size_t pos; /* bytes before this are gone */
	size_t size;
	u8 data[];
};

struct chunks {
	struct chunk *first;
	struct chunk *last;
	size_t bytes;
};

/* 0 or -ENOMEM, and then nothing was added. */
int chunks_add(struct chunks *q, const void *data, size_t len);
/* Drops @len bytes from the front; at most q->bytes. */
void chunks_drop(struct chunks *q, size_t len);
/* Fills up to @max vectors with the front of the queue; gives their number. */
int chunks_vector(const struct chunks *q, struct iovec *iov, int max);
void chunks_clear(struct chunks *q);

#endif
