/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of virgo-nbd. */
#ifndef VIRGO_NBD_OPTIONS_H
#define VIRGO_NBD_OPTIONS_H

#include "env.h"

enum { OPTION_PLACES_MAX = 16 };

struct options {
	u64 size; /* of the first export; 0: none is made */
	u64 quota; /* 0: half of the machine's memory */
	const char *name;
	const char *listen[OPTION_PLACES_MAX];
	u32 listens;
	const char *unix_path[OPTION_PLACES_MAX];
	u32 unix_paths;
	const char *state; /* NULL: the pool ends with the process */
	const char *control; /* NULL: in the state folder, if there is one */
	const char *tls;
	const char *psk;
	const char *plain_on;
	u64 cold_ms; /* 0: nothing is cold but when memory is short */
	u64 headroom; /* bytes; 0: memory is never short */
	u32 connections;
	bool forget;
	bool verbose;
};

/* -1 to go on, else the exit status: help and errors are printed here. What it
 * points to is @argv's.
 */
int options_parse(struct options *o, int argc, char **argv);

#endif
