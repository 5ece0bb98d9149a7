/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two files of virgod's doctor share; doctor.h is for the rest. */
#ifndef VIRGO_DAEMON_DOCTOR_IMPL_H
#define VIRGO_DAEMON_DOCTOR_IMPL_H

#include "doctor.h"
#include "examine.h"
#include "service.h"

enum { RUNNING_MAX = 8 }; /* examinations, and visits, at a time */

struct doctor {
	struct node *node;
	struct offload *thread;
	struct examination *all; /* that this node's users asked for */
	u32 running;
	struct visit *visits; /* that other nodes pay us */
};

u64 doctor_wall_us(void);
/* What membership makes of node @name. */
const char *doctor_state_of(struct node *n, const char *name);

/* doctor_visit.c: answer DOCTOR of another node, and DOCTOR_PEER. */
void doctor_examine_machine(struct request *r);
void doctor_visited(struct request *r);
void doctor_visits_end(struct doctor *d);

#endif
