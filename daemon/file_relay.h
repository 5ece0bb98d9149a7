/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of other nodes for local programs that use no mount (libvirgo): their
 * requests go to the volume's node over this virgod's connection, under the
 * program's own user, and the answers come back.
 */
#ifndef VIRGO_DAEMON_FILE_RELAY_H
#define VIRGO_DAEMON_FILE_RELAY_H

#include "service.h"

struct file_relay;

/* NULL when memory is out. Needs n->loop, services and peers. */
struct file_relay *file_relay_new(struct node *n);
/* After the peers have ended. */
void file_relay_free(struct file_relay *fr);

/* Handles a file request of a local program. */
void file_relay_request(struct request *r);

#endif
