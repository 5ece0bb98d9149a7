/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handles for a store whose file system has none: a table of O_PATH descriptors
 * by number. A handle is good while virgod runs and its file is among the most
 * recently named ones. Any thread.
 */
#ifndef VIRGO_DAEMON_FLEETING_H
#define VIRGO_DAEMON_FLEETING_H

#include "env.h"

enum { FLEETING_BODY = 16 };

struct fleeting;

struct fleeting *fleeting_new(void);
void fleeting_free(struct fleeting *t);
/* The handle's body for the file open at @fd (not kept); 0 or -errno. */
int fleeting_name(struct fleeting *t, int fd, u8 body[FLEETING_BODY]);
/* A new O_PATH descriptor, or -ESTALE. */
int fleeting_open(struct fleeting *t, const u8 body[FLEETING_BODY]);

#endif
