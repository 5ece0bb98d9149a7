/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of memory.h, shared by memory*.c only: memory.c (what is lent, from
 * virgo-nbd's table), memory_lease.c (what borrowers ask), memory_leave.c (taking
 * back), memory_pressure.c (when this machine needs it), memory_loans.c (the catalog), memory_status.c (what root and the CLI
 * ask).
 */
#ifndef VIRGO_DAEMON_MEMORY_IMPL_H
#define VIRGO_DAEMON_MEMORY_IMPL_H

#include "authority.h"
#include "boot.h"
#include "memory.h"
#include "memory_nbd.h"
#include "service.h"

enum {
	LEASES_MAX = 1024,
	EXPORT_TEXT_MAX = 127, /* PURPOSE/BORROWER/NAME */
	MEMORY_PAGE = 4096,
};

struct lease {
	struct lease *next;
	char export[EXPORT_TEXT_MAX + 1];
	char purpose[8];
	char borrower[NODE_NAME_MAX + 1];
	char name[MEMORY_NAME_MAX + 1];
	char stem[STEM_DIGITS + 1];
	u64 generation;
	u64 bytes;
	u64 since_s;
	u64 held_bytes;
	u64 compressed_bytes;
	u32 connections;
	bool pending; /* virgo-nbd was asked to make it */
	bool seen; /* in the list that is being read */
	bool cut; /* being taken from a removed node */
	bool recalled; /* memory_pressure.c: its borrower is to move it */
};

struct told; /* memory_leave.c: a borrower that was asked to move */
struct waiter; /* memory_leave.c: who waits for the end of LEAVING */

struct memory {
	struct node *node;
	struct memory_nbd *nbd;
	struct lease *leases; /* in no order */
	u32 count;
	char boot[BOOT_ID_SIZE]; /* of this machine's kernel */
	bool known; /* virgo-nbd's table was read since it came up */

	/* What root asked for. */
	u64 bytes; /* 0: none is lent */
	u64 reserve_bytes;
	bool off; /* LEAVING until none is left, then OFF */
	bool once; /* that is for this run of virgod: STATE/lend stays */
	bool stored; /* in STATE/lend, so virgo_cloud.conf does not count */

	/* As virgo-nbd said last. */
	u64 held_bytes;
	u64 memory_bytes;
	u64 compressed_bytes;
	u64 others_bytes; /* exports that are no leases */
	u32 connections;
	bool locked;
	bool memory_short;

	struct timer pressure;
	u64 short_since_us; /* 0: not short */

	struct timer tick; /* while LEAVING */
	struct told *told;
	struct waiter *waiters;
	bool ending; /* virgo-nbd was asked to end */

	struct timer loans; /* the catalog is to be told */
	u64 loans_call;

	void (*fill)(struct node *n, memory_add_fn *add, void *arg);
};

/* memory.c */
bool memory_leaving(const struct memory *m);
bool memory_draining(const struct memory *m);
struct lease *memory_find(const struct memory *m, const char *borrower,
			  const char *stem, const char *name);
struct lease *memory_find_export(const struct memory *m, const char *export);
/* A lease in the table, pending; NULL when memory is out. */
struct lease *memory_lease_new(struct memory *m, const char *purpose,
			       const char *borrower, const char *stem,
			       const char *name, u64 bytes);
void memory_lease_drop(struct memory *m, struct lease *l);
/* Reads virgo-nbd's table anew; @then runs in every case, also when it cannot be
 * read.
 */
void memory_refresh(struct memory *m, void (*then)(struct memory *m, void *arg),
		    void *arg);
/* Ends @l at virgo-nbd, cutting whoever uses it. @then gets 0 or why not. */
int memory_remove(struct memory *m, const struct lease *l,
		  void (*then)(struct memory *m, int ret, void *arg), void *arg);
/* Acts on what root asked for, or on a change of virgo_cloud.conf. */
void memory_settle(struct memory *m);
/* Writes STATE/lend. */
int memory_store(struct memory *m, struct failure *f);
/* This node's addresses with the port of NBD. */
void memory_addresses(const struct memory *m, char *out, size_t size);
void memory_record(const struct memory *m, const struct lease *l,
		   struct rec_lease *out);

/* memory_lease.c */
void memory_lease_serve(struct node *n);

/* memory_leave.c */
void memory_leave_begin(struct memory *m);
/* The table has changed, or the reason to leave has gone. */
void memory_leave_look(struct memory *m);
/* Asks @borrower to move what is recalled of its leases, unless it was asked just
 * now.
 */
void memory_leave_ask(struct memory *m, const char *borrower);
/* Whoever sent @r waits for OFF, @wait_s at most. -ENOMEM. */
int memory_leave_wait(struct memory *m, struct request *r, u32 wait_s);
void memory_leave_free(struct memory *m);

/* memory_pressure.c */
void memory_pressure_watch(struct memory *m);
void memory_pressure_end(struct memory *m);

/* memory_loans.c */
void memory_loans_serve(struct node *n);
/* Tells the home node soon, unless the catalog says the same already. */
void memory_loans_changed(struct memory *m);
void memory_loans_tell(struct timer *t);
void memory_loans_end(struct memory *m);

/* memory_status.c */
void memory_status_serve(struct node *n);

#endif
