/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What virgod does for `virgo doctor`: it examines its own machine for another
 * node (lib/examine.h), and the way between itself and others for its users:
 *
 *	virgo --DOCTOR beta--> virgod alpha --DOCTOR-------> virgod beta
 *	                                    --DOCTOR_PEER--> virgod beta
 *	                       virgod alpha <--DOCTOR_PEER-- virgod beta
 *
 * DOCTOR with an empty node examines the way to every other node. Nothing is
 * changed anywhere.
 */
#ifndef VIRGO_DAEMON_DOCTOR_H
#define VIRGO_DAEMON_DOCTOR_H

#include "cursor.h"

struct node;
struct doctor;
struct doctor_finding;

/* Registers the services. NULL when memory is out. */
struct doctor *doctor_new(struct node *n);
void doctor_end(struct doctor *d);

/* A growing list of findings, encoded as DOCTOR_REPORT has it. */
struct findings {
	u8 *data;
	u32 len;
	u32 room;
};

/* Drops @f when memory is out. Has the type of doctor_fn. */
void findings_add(void *list, const struct doctor_finding *f);
void findings_append(struct findings *to, struct span list);
void findings_free(struct findings *l);

#endif
