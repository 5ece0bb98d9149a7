/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file service: the volumes this node serves, the sessions of its clients,
 * and the way of a request from a connection to a worker and back.
 *
 *	connection -> exports_request.c -> worker (fileops.h) -> exports_job.c
 *		   -> connection
 *
 * Everything here runs in the loop's thread. Requests of one session run at the
 * same time and are answered in any order; a client that needs an order waits
 * for an answer first.
 */
#ifndef VIRGO_DAEMON_EXPORTS_H
#define VIRGO_DAEMON_EXPORTS_H

#include "failure.h"
#include "node.h"

struct rec_volume_row;

/* Reads or makes STATE/exports.key, registers the file messages with the node.
 * Nothing is served yet.
 */
int exports_new(struct exports **out, struct node *n, struct failure *f);
void exports_free(struct exports *e);

/*
 * From now on exactly the volumes in @rows are served. One that stayed the same
 * is not touched; one that changed or went is taken from the clients that may
 * not use it any more. A volume whose folder cannot be opened is logged and left
 * out.
 */
void exports_set(struct exports *e, const struct rec_volume_row *rows,
		 size_t count);

/* Serves what the catalog of the node says it should, now and after each change
 * (exports_catalog.c). The folder STATE/export is made when a volume is there.
 */
void exports_follow_catalog(struct exports *e);
struct node *exports_node(struct exports *e);

#endif
