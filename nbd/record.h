/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this node borrows, as files STATE/borrow/NAME. A file is written before
 * each step that makes something and after each that undoes one, so whoever reads
 * it after a crash finds everything that may exist.
 */
#ifndef VIRGO_NBD_RECORD_H
#define VIRGO_NBD_RECORD_H

#include "boot.h"
#include "guard.h"
#include "mirror.h"
#include "msg_memory.h"

struct record_leg {
	u32 number; /* its lease is NAME-NUMBER */
	int index; /* of the nbd device; -1: not attached */
	char lender[64];
	u64 generation; /* of the lease; 0: asked for, not known to be given */
	char export_[160];
	char addresses[512]; /* numeric */
	bool part; /* of the mirror */
	bool leaving; /* its data is to move to another */
};

struct record {
	char name[MEMORY_NAME_MAX - 8]; /* room for a leg's number */
	bool swap; /* else a disk */
	u64 bytes;
	u32 mirror; /* legs that there should be */
	int priority; /* of swap; -1: the kernel's choice */
	bool seal;
	bool ready; /* was put into use */
	int md; /* -1: none yet */
	char plaintext_on[16];
	char boot[BOOT_ID_SIZE]; /* of the kernel that has the devices */
	u32 next; /* number of the next leg */
	u32 patience_s;
	u32 lost; /* legs so far, and what is known of the last one */
	char lost_lender[64];
	char lost_why[128];
	u64 refused_s; /* CLOCK_BOOTTIME, when that one answered with an error */
	u32 legs;
	struct record_leg leg[MIRROR_LEGS_MAX];
};

/* "a-z", digits and ".-_", not too long, and no dot in front. */
bool record_name_valid(const char *name);
/* The text of a record, and back; -EBADMSG. */
size_t record_print(const struct record *r, char *out, size_t size);
int record_parse(struct record *r, const char *name, const char *text);

/* STATE/borrow, locked against others; its descriptor, or -EAGAIN when someone
 * has it and @wait is false.
 */
int records_lock(const char *state, bool wait, struct failure *f);
int record_load(struct record *r, const char *state, const char *name);
int record_save(const struct record *r, const char *state, struct failure *f);
void record_remove(const char *state, const char *name);
/* Calls @each for every record; the first that gives not 0 ends it. */
int records_each(const char *state,
		 int (*each)(struct record *r, void *arg), void *arg);

/* One more leg was lost, that of @lender. @why is one line; what is no part of
 * plain text in it is left out.
 */
void record_lost(struct record *r, const char *lender, const char *why);
/* Seconds of CLOCK_BOOTTIME. */
u64 record_clock_s(void);
/* Whether @lender answered with an error so lately that it is not asked again. */
bool record_avoids(const struct record *r, const char *lender, u64 now_s);
/* What is used: /dev/mdN, or the sealed device above it. */
void record_device(const struct record *r, char *out, size_t size);
/* A leg as virgo-guard knows it. */
void record_guard_leg(const struct record *r, const struct record_leg *l,
		      struct guard_leg *out);

#endif
