/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgod's listening sockets: STATE/run/virgod.sock for programs of this
 * machine, TCP for nodes and joiners. Every accepted connection's frames go to
 * service_dispatch().
 */
#ifndef VIRGO_DAEMON_LISTEN_H
#define VIRGO_DAEMON_LISTEN_H

#include "address.h"
#include "node.h"

struct listeners;

/* Listens for local programs. */
int listeners_new(struct listeners **out, struct node *n, struct failure *f);
/* Listens for nodes at @list ("" for every address of the machine), once there
 * is an identity.
 */
int listeners_open_net(struct listeners *l, const char *list,
		       struct failure *f);
void listeners_free(struct listeners *l);

/* Takes over socket @fd of a local program, as if it had just been accepted. */
void listeners_take(struct listeners *l, int fd);

/* Closes accepted connections of nodes about whose certificate @cut gives true,
 * for instance because they were removed.
 */
void listeners_cut_if(struct listeners *l,
		      bool (*cut)(const struct tls_peer *peer, void *arg),
		      void *arg, const struct failure *why);

/* service.c */
struct services *services_new(void);
void services_free(struct services *s);
void service_dispatch(struct node *n, struct conn *c, const struct frame *f,
		      const u8 *payload);
void service_closed(struct node *n, struct conn *c);
void service_drained(struct node *n, struct conn *c);

#endif
