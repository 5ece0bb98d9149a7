/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared analytics variables: learned values that programs and the kernel may
 * act on, each with a default for when it should not be trusted.
 *
 * A table is VAR_TABLE_BYTES of shared memory: a file of the state folder that
 * its one writer and all readers map, or pages of virgo.ko that /dev/virgo
 * shows. It is cut into 128-byte records in the machine's byte order; the first
 * is the table's head, each other is empty or one variable, found by a hash of
 * its name and a few steps from there.
 *
 *	offset size field
 *	0      4    sequence   odd while the record is being written
 *	4      1    type       enum var_type
 *	5      1    mode       enum var_mode
 *	6      2    zero
 *	8      8    value      all four of the variable's type
 *	16     8    min
 *	24     8    max
 *	32     8    default
 *	40     8    updated    ns since boot, suspension included
 *	48     4    ttl        ms after which the value is stale; 0 never
 *	52     4    confidence ppm
 *	56     48   name       these three padded with NULs, one at least
 *	104    8    unit
 *	112    16   producer
 *
 * Readers take no lock and never wait: a record that changes while it is copied
 * is copied again, VAR_RETRIES times at most. A writer that died in the middle
 * leaves an odd sequence, so nobody ever sees half a value; the next writer
 * finds such records with var_repair().
 *
 * One writer at a time, which its callers see to; any number of readers. A
 * record is never moved, so a slot once found stays right for its name, and is
 * checked against it at every read.
 */
#ifndef VIRGO_CORE_VAR_H
#define VIRGO_CORE_VAR_H

#include "env.h"

enum {
	VAR_TABLE_BYTES = 1 << 20,
	VAR_RECORD_BYTES = 128,
	VAR_SLOTS = VAR_TABLE_BYTES / VAR_RECORD_BYTES,
	VAR_NAME_BYTES = 48,
	VAR_UNIT_BYTES = 8,
	VAR_PRODUCER_BYTES = 16,
	VAR_BOOT_BYTES = 16,
	/* How far from its place by hash a variable may lie. */
	VAR_PROBES = 32,
	VAR_RETRIES = 64,
};

enum var_type {
	VAR_NONE,
	VAR_S64,
	VAR_U64,
	VAR_FIXED, /* signed, 32 bits after the point */
	VAR_BOOL, /* 0 or 1 */
};

enum var_mode {
	VAR_OFF, /* readers use their defaults */
	VAR_SHADOW, /* so they do; the value is there to be watched */
	VAR_ON,
};

struct var {
	u64 value, min, max, def; /* s64 as two's complement */
	u64 updated_ns;
	u32 ttl_ms;
	u32 confidence_ppm;
	u8 type;
	u8 mode;
	char name[VAR_NAME_BYTES];
	char unit[VAR_UNIT_BYTES];
	char producer[VAR_PRODUCER_BYTES];
};

/* What a reader would act on, whatever the writer says. */
struct var_want {
	u8 type;
	u32 max_age_ms; /* beside the variable's own ttl; 0: that alone */
	u64 min, max;
	u64 fallback;
};

/* Makes an empty table of VAR_TABLE_BYTES at @table, which is aligned to 8.
 * @boot (VAR_BOOT_BYTES) is the boot that its times belong to.
 */
void var_format(void *table, const u8 *boot);
/* 0 if @table is one of this layout and of this boot; -EPROTO another layout,
 * -ESTALE of another boot.
 */
int var_check(const void *table, const u8 *boot);
/* Writer: empties records that a dead writer left half written; how many. */
u32 var_repair(void *table);

/* 0 if @v may be written: -EINVAL type, mode, an empty or unprintable text, one
 * without its NUL, min above max, default outside; -ERANGE value outside.
 */
int var_valid(const struct var *v);
/* Writer: makes or replaces the variable of @v's name. Its slot, or as
 * var_valid() or -ENOSPC. Readers see the old or the new, whole.
 */
int var_write(void *table, const struct var *v);

/* The slot of @name, or -ENOENT, or -EAGAIN when a record that may be it is
 * being written.
 */
int var_find(const void *table, const char *name);
/* Copies slot 1 to VAR_SLOTS - 1. 0, -ENOENT empty, -EAGAIN being written,
 * -EINVAL no such slot.
 */
int var_read(const void *table, u32 slot, struct var *v);

/*
 * Gives @value what to act on: @v's value, or the fallback and why: -EAGAIN
 * and -ENOENT as var_read(), -EPROTOTYPE another type, -ECANCELED switched off
 * or shadow, -ESTALE too old, -ERANGE outside of the reader's or its own limits.
 * @now_ns as in updated.
 */
int var_judge(const struct var *v, const struct var_want *want, u64 now_ns,
	      u64 *value);
/*
 * The same by name. @slot, kept by the caller for this @name and 0 at first,
 * saves the search; it is read and written as a whole, so threads may share it.
 */
int var_get(const void *table, u32 *slot, const char *name,
	    const struct var_want *want, u64 now_ns, u64 *value);

/* Order of two values of @type: below 0, 0, above 0. */
int var_compare(u8 type, u64 a, u64 b);

/* "s64", "fixed"; NULL for none. And back: VAR_NONE when there is none. */
const char *var_type_name(u8 type);
u8 var_type_of(const char *name);
/* "off", "shadow", "on"; NULL for none. And back: -EINVAL. */
const char *var_mode_name(u8 mode);
int var_mode_of(const char *name);

#endif
