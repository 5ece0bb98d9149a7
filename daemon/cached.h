/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memcached-compatible cache of this node, and ports to those of others.
 *
 *	local client ==127.0.0.1:port==> session ----.
 *	virgo cache get ==unix==> CACHE_ASK ---------+--> core/memcached, one shard
 *	other node ==TLS==> CACHE_OPEN: session -----'
 *
 *	local client ==127.0.0.1:port==> tunnel ==TLS, CACHE_OPEN==> other node
 *
 * A session costs a few hundred bytes while it is idle: received bytes are in one
 * buffer of all, and only what is left of a command, or an answer that its client
 * does not read, is kept. Loop's thread only; so one shard, without locks.
 */
#ifndef VIRGO_DAEMON_CACHED_H
#define VIRGO_DAEMON_CACHED_H

#include "node.h"

struct cached;

/* Registers the services, and starts the cache if [cache] size says so; when that
 * fails it is logged. NULL when memory is out.
 */
struct cached *cached_new(struct node *n);
void cached_free(struct cached *c);

#endif
