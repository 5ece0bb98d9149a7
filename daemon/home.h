/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The home node's work: it lets machines join, renews certificates, and is the
 * only one that changes the catalog. Every virgod has these services; on a node
 * that is not home a request of a local program is passed on to the home node
 * (forward.c), and one of another node is refused with the name of the home.
 */
#ifndef VIRGO_DAEMON_HOME_H
#define VIRGO_DAEMON_HOME_H

#include "catalog.h"
#include "node.h"

struct home;
struct request;

/* Registers the services. NULL when memory is out. */
struct home *home_new(struct node *n);
void home_free(struct home *h, struct node *n);
/* Once everything runs: goes on with what a crash interrupted. */
void home_start(struct node *n);

/* Adds the volume that a new node @name exports: its folder @path under the
 * node's own name. Nothing when a volume has that name.
 */
void home_add_default_volume(const struct catalog *c, struct catalog_edit *e,
			     const char *name, const char *path);
/* Life of the certificates this home node issues. */
s64 home_life_s(const struct node *n);
/* True when a request may change what concerns the whole cloud: root of this
 * home node, or of a node that policy names. Otherwise answers it.
 */
bool home_allows(struct request *r, const char *what);
/* Whether policy names node @name for that. */
bool home_is_administrator(const struct node *n, const char *name);
/* 0, or -EAGAIN and so on with @f when this home must not change anything now
 * (it is being handed over, or makes sure that it was not replaced).
 */
int home_ready(const struct node *n, struct failure *f);

/* Writes a change, or its refusal (@f; NULL when done), to the audit log. */
void home_audit(const struct request *r, const char *action,
		const char *object, const struct failure *f);

/* announce.c: tells the home node when [node] advertise of virgo_cloud.conf is
 * not what the catalog says of this node. NULL when memory is out.
 */
struct announce *announce_new(struct node *n);
void announce_free(struct announce *a);

/* volumes.c */
void volumes_serve(struct node *n);

/* forward.c: true when this node is home and the caller must answer @r itself;
 * otherwise @r is answered, now or later.
 */
bool home_or_forward(struct request *r);

#endif
