/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One VIRGO a network namespace. A namespace owned by another than the initial
 * user namespace has none, so that an unprivileged user with namespaces of his
 * own reaches nothing of the module.
 *
 * An instance outlives its namespace while descriptors, mappings or handles of
 * modules refer to it; from then on it is dead and does nothing any more.
 */
#ifndef VIRGO_KMOD_INSTANCE_H
#define VIRGO_KMOD_INSTANCE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "conn.h"
#include "core/var.h"
#include "fn.h"
#include "kcache.h"
#include "local.h"
#include "want.h"

enum { CONNECTIONS_MAX = 65536 };

enum limit {
	LIMIT_CONNECTIONS,
	LIMIT_HANDLES,
	LIMIT_RULES,
	LIMIT_CALLS, /* waiting for one node's answers */
	LIMIT_JOBS, /* of one node, under way here */
	LIMIT_CACHES,
	LIMIT_COUNT,
};

struct vars {
	/* Made by the first who needs it, then there for good; readers use
	 * vars_peek().
	 */
	void *table;
	struct mutex write; /* the one writer */
	struct work_struct tell; /* on virgo_ctl: tells of what changed */
	unsigned long changed[BITS_TO_LONGS(VAR_SLOTS)]; /* atomic bits */
	struct mutex handles_lock;
	struct list_head handles; /* under handles_lock */
	u32 handle_count; /* under handles_lock */
};

struct instance {
	struct kref ref;
	struct net *net; /* there until the instance is dead */
	spinlock_t net_lock; /* of whoever is not kept from its end: instance_net() */
	bool dead; /* only ever set */
	u32 limits[LIMIT_COUNT]; /* READ_ONCE, WRITE_ONCE */
	struct vars vars;
	struct fn_rules rules;
	struct conns conns;
	struct wants wants;
	struct locals locals;
	struct caches caches;
};

/* What may sleep; the io of connections; functions called by other nodes. */
extern struct workqueue_struct *virgo_ctl, *virgo_io, *virgo_fn_queue;

/* The instance of @net, which the caller keeps alive, with a reference; else
 * ERR_PTR(-ENODEV).
 */
struct instance *instance_of(struct net *net);
struct instance *instance_get(struct instance *in);
void instance_put(struct instance *in);
/* Its namespace, for put_net(), or NULL once that ends. Any context. */
struct net *instance_net(struct instance *in);

u32 instance_limit(const struct instance *in, enum limit which);
/* Sets the nearest value that is allowed. */
void instance_set_limit(struct instance *in, enum limit which, u32 value);

int instances_init(void);
/* Ends those of all namespaces. Work that is still queued may refer to them. */
void instances_exit(void);
/* How many there still are in memory. */
int instances_living(void);

#endif
