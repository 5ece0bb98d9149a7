/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a machine needs to be a good node, looked at without changing anything.
 * Every probe gives one finding: fine, fine with a word to add, or what fails;
 * and for the latter two the command that mends it. Probes read files below a
 * root that tests and containers may choose; nothing here needs virgod.
 */
#ifndef VIRGO_LIB_EXAMINE_H
#define VIRGO_LIB_EXAMINE_H

#include "failure.h"

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_NOTE, /* works, but something cannot be used */
	DOCTOR_FAIL,
};

struct doctor_finding {
	enum doctor_level level;
	char name[80]; /* "fuse", "port to beta" */
	char what[320]; /* what is so; for OK a detail, perhaps empty */
	char remedy[256]; /* the command, empty for OK */
};

typedef void doctor_fn(void *arg, const struct doctor_finding *f);

struct doctor_where {
	const char *root; /* "" for this machine, or a folder in its place */
	const char *state; /* where virgod keeps its state, not below root */
	const char *conf_dir; /* likewise */
};

/* Everything about the machine alone. May block as long as its disks do. */
void doctor_machine(const struct doctor_where *w, doctor_fn *fn, void *arg);

/* How two nodes see each other, as found by exchanging messages. */
struct doctor_pair {
	const char *here;
	const char *there;
	struct failure out; /* code 0: TCP from here to there works */
	bool asked_back; /* @back and @state_back are known */
	char back[200]; /* "" if TCP from there to here works, else why not */
	char state[16]; /* of there by membership's datagrams: "up" */
	char state_back[16]; /* of here, as seen from there */
	bool clock_known;
	s64 skew_us; /* the clock there minus the one here */
	u32 error_us; /* at most so much wrong */
	u16 port;
};

void doctor_pair(const struct doctor_pair *p, doctor_fn *fn, void *arg);

enum { DOCTOR_SKEW_MAX_US = 2000000 };

const char *doctor_level_name(enum doctor_level l); /* "ok" "note" "FAIL" */

#endif
