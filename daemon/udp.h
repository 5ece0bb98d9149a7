/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The UDP sockets of a node, one for each address it listens on. Used in the
 * loop's thread only.
 */
#ifndef VIRGO_DAEMON_UDP_H
#define VIRGO_DAEMON_UDP_H

#include "address.h"
#include "failure.h"
#include "loop.h"

struct udp;

enum { UDP_PACKET_MAX = 1500 };

typedef void udp_receive_fn(void *arg, const u8 *data, size_t len);

/* Binds every address of @listen ("" for all of the machine). Datagrams longer
 * than UDP_PACKET_MAX are dropped.
 */
int udp_open(struct udp **out, struct loop *l, const char *listen, u16 port,
	     udp_receive_fn *receive, void *arg, struct failure *f);
void udp_close(struct udp *u);

/* False when no socket of ours can reach that kind of address. What the network
 * refuses is lost, as datagrams are.
 */
bool udp_send(struct udp *u, const struct address *to, const void *data,
	      size_t len);
/* Inside @receive: answers from the socket that it came to, and where it came
 * from.
 */
void udp_reply(struct udp *u, const void *data, size_t len);
const struct address *udp_source(const struct udp *u);

#endif
