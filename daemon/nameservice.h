/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This machine's name service, which may hang, asked in threads of its own: whoever
 * asks waits for a limited time. What is answered later is there for who asks
 * next. Any thread that acts as virgod itself (fscred_become(NULL)) may ask.
 */
#ifndef VIRGO_DAEMON_NAMESERVICE_H
#define VIRGO_DAEMON_NAMESERVICE_H

#include <sys/types.h>

#include "wire.h"

enum {
	IDNAME_MAX = 256,
	NAMESERVICE_THREADS = 64, /* questions that may hang before others wait */
	NAMESERVICE_WAIT_MS = 1000,
	NAMESERVICE_HURRY_MS = 50, /* while some other question hangs */
	NAMESERVICE_OPEN_MAX = 256, /* questions remembered */
};

enum nameservice_what {
	NAMESERVICE_NAME, /* of a number */
	NAMESERVICE_NUMBER, /* of a name */
	NAMESERVICE_ACCOUNT, /* of a user's name: with its groups */
};

struct nameservice_answer {
	bool found;
	u32 id;
	u32 gid; /* of an account */
	char name[IDNAME_MAX];
	int group_count; /* of an account */
	gid_t groups[FILE_GROUPS_MAX];
};

/* @name for NAMESERVICE_NUMBER and _ACCOUNT, @id for _NAME. 0 with @out;
 * -ETIMEDOUT when it takes too long, -ENOMEM.
 */
int nameservice_ask(enum nameservice_what what, enum file_id_kind kind,
		    const char *name, u32 id, struct nameservice_answer *out);

#endif
