/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that dials for virgo-guard (dial.h), forked before the guard locks
 * its memory, with memory of its own set aside and locked. Orders come over a
 * seqpacket socket and are carried out one after another; each is answered by one
 * result, with the connection as SCM_RIGHTS when it succeeded.
 */
#ifndef VIRGO_NBD_DIALLER_H
#define VIRGO_NBD_DIALLER_H

#include "env.h"

struct dial_order {
	u32 leg; /* place in the guard's table, and its turn, given back */
	u32 turn;
	u32 patience_ms;
	char lender[64];
	char addresses[512];
	char name[160];
	char plaintext_on[16]; /* "": TLS */
};

struct dial_result {
	u32 leg;
	u32 turn;
	s32 error;
	u16 flags;
	u64 size_bytes;
	char why[256];
};

/* The dialler's life: ends when the guard does. @identity is the folder. */
void dialler_run(int fd, const char *identity);

/* The guard's side; neither blocks. */
int dialler_order(int fd, const struct dial_order *o);
/* 0, with the connection in *@conn (-1: none), -EAGAIN, or -EPIPE at its end. */
int dialler_result(int fd, struct dial_result *r, int *conn);

/* Memory that is never swapped, and no wish for more, as far as this process is
 * allowed to; for guard and dialler.
 */
void settle_in_memory(void);

#endif
