/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a leg when something happens to it, as a table. A leg has a
 * twin when another leg of its mirror is up and holds all data. With a twin a leg
 * that is in doubt is given up at once, since waiting for it would make everybody
 * wait; the last leg is never given up while it may come back.
 *
 *	DIALLING --> UP <--> HELD        (the last one: wait for its lender)
 *	             UP, HELD --> LOST
 */
#ifndef VIRGO_NBD_GUARD_RULES_H
#define VIRGO_NBD_GUARD_RULES_H

#include "env.h"

enum leg_state {
	LEG_DIALLING, /* no device yet */
	LEG_UP,
	LEG_HELD, /* its requests wait while connections are sought */
	LEG_LOST, /* disconnected, or the kernel has given up */
	LEG_STATES,
};

enum leg_event {
	LEG_CONNECTED, /* the kernel has taken all new connections */
	LEG_REFUSED, /* dialling failed; it may work later */
	LEG_GONE, /* the lender has no such export any more, or forbids it */
	LEG_LINK_DEAD, /* the kernel says that a connection died */
	LEG_SILENT, /* requests wait, and none was answered for long */
	LEG_OUT_OF_PATIENCE, /* HELD for as long as the kernel waits */
	LEG_EVENTS,
};

enum leg_action {
	ACT_NOTHING,
	ACT_DIAL, /* ask for new connections */
	ACT_DIAL_AGAIN, /* in a moment */
	ACT_DISCONNECT, /* its requests fail now, and the mirror goes on */
	ACT_FORGET, /* there is no device: answer who asked for it */
};

struct leg_rule {
	enum leg_state next;
	enum leg_action action;
};

struct leg_rule leg_rule(enum leg_state s, enum leg_event e, bool twin);
const char *leg_state_name(u32 s);

#endif
