/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How busy this node is: sampled once a second, passed on to the others by
 * membership, and told to whoever asks (MSG_LOAD). Where STATE/load exists its
 * lines "name = number" replace what was measured, with the names of struct
 * load: so nodes that share one machine can be given loads of their own.
 * Used in the loop's thread only.
 */
#ifndef VIRGO_DAEMON_LOADS_H
#define VIRGO_DAEMON_LOADS_H

#include "membership.h"

struct loads;

/* Takes a first sample, registers MSG_LOAD. Needs n->loop and services, and
 * tells n->membership when there is one. NULL when memory is out.
 */
struct loads *loads_new(struct node *n);
void loads_free(struct loads *l);

/* The last sample, its jobs (of n->jobs) as of now. */
struct load loads_now(const struct loads *l);

/* Times of all processors together since boot, from the text of /proc/stat;
 * false when it is not as expected.
 */
bool loads_parse_stat(const char *text, u64 *busy, u64 *idle);
/* Replaces in @l what lines of @text name; false when a line is not as above.
 */
bool loads_parse_source(const char *text, struct load *l);

#endif
