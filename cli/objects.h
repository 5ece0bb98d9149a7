/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of virgo memory that is about memory objects (virgo_malloc). */
#ifndef VIRGO_CLI_OBJECTS_H
#define VIRGO_CLI_OBJECTS_H

#include "env.h"
#include "verbs.h"

/* @argv begins with the word behind memory: true, and *@status what to exit with,
 * when it is map, objects or free.
 */
bool objects_verb(const struct globals *g, int argc, char **argv, int *status);

#endif
