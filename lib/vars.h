/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Variables (core/var.h) as programs reach them. A program reads one table and
 * stays with it: STATE/vars if there is one of this boot, else the one that
 * virgo.ko shows. Who sets a variable sets it in the file, and tells the module if
 * it is loaded; writers take turns by a lock on the file, which a dead one gives
 * back. After each change the file's time is set, since a store through a mapping
 * is seen by no one who waits.
 */
#ifndef VIRGO_LIB_VARS_H
#define VIRGO_LIB_VARS_H

#include "failure.h"
#include "var.h"

struct vars;

/* @state NULL: as client_open(). @kernel: the module's table, whatever else there
 * is. -ENOENT when there is none, and what else open(2) gives.
 */
int vars_open(struct vars **out, const char *state, bool kernel,
	      struct failure *f);
void vars_close(struct vars *v);
const void *vars_table(const struct vars *v);
/* "/var/lib/virgo/vars" or "/dev/virgo". */
const char *vars_source(const struct vars *v);

/* A descriptor that poll(2) says is readable after a change; vars_drain() makes it
 * wait for the next. To be closed by the caller. Or a negative errno.
 */
int vars_watch(const struct vars *v);
void vars_drain(int fd);

/* Sets @v, with its time. In the file and the module, or the latter alone. As
 * var_write(), and what open(2) and the module give.
 */
int vars_set(const char *state, bool kernel, struct var *v, struct failure *f);

/* The clock of variables. */
u64 vars_now_ns(void);

#endif
