/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgod's link to virgo.ko, which may come and go while virgod runs; everything
 * works without it. Heard over generic netlink: that the module is there, which
 * node one of its callers wants a connection to, and that one waits for virgod
 * itself, which then takes its connection. Told: what this node is
 * called, [functions] and [calls] of virgo_cloud.conf, when the module comes and
 * after each reload.
 *
 * The module is not held: it can be unloaded unless a connection was handed over.
 */
#ifndef VIRGO_DAEMON_MODULE_H
#define VIRGO_DAEMON_MODULE_H

#include "node.h"

struct module;

/* @wanted runs in the loop, with the name as the caller wrote it. NULL when
 * memory is out.
 */
struct module *module_new(struct node *n,
			  void (*wanted)(void *arg, const char *node),
			  void *arg);
void module_free(struct module *m);
bool module_is_there(const struct module *m);
/* Takes over the rules as they now are in n->policy. */
void module_reload(struct module *m);
/* There will be no connection to @node soon: its callers need not wait. */
void module_refuse(struct module *m, const char *node);
/* @gone runs in the loop when the module was unloaded; one may be told. */
void module_on_gone(struct module *m, void (*gone)(void *arg), void *arg);

/* A cache of the module's, on a port of 127.0.0.1. */
struct module_cache {
	u16 port;
	u64 bytes; /* its budget; 0 asks for the module's default */
	u32 value_max; /* the longest value; the same */
	u32 connections; /* told only */
	/* What module_cache_set() changes. */
	u32 idle_s; /* a connection may be quiet; 0: for ever */
	u32 stall_s; /* the same within a command, or while it does not read */
	u32 clients; /* connections at most; 0: no bound but the module's */
	u32 hot_percent, warm_percent; /* 80 together at most */
};

/* Starts @mc, in which @bytes and @value_max are then as the module has bounded
 * them. -ENODEV without the module, -EADDRINUSE, -EUSERS too many, -ENOMEM, -EINVAL
 * the percentages.
 */
int module_cache_start(struct module *m, struct module_cache *mc);
/* Changes the one on @mc's port. 0, -ENOENT, -EINVAL the percentages. */
int module_cache_set(struct module *m, const struct module_cache *mc);
/* 0 or -ENOENT; its connections end, and what is in it is lost. */
int module_cache_stop(struct module *m, u16 port);
/* The one on @port, for 0 the one that was started first: 0 or -ENOENT. */
int module_cache_find(struct module *m, u16 port, struct module_cache *out);

/*
 * Hands socket @fd, encrypted by the kernel, over as a connection to @node. A
 * descriptor that becomes readable when the connection ends and ends it when
 * closed, or a negative errno and @f. @fd remains the caller's, to be closed.
 */
int module_adopt(struct module *m, int fd, const char *node,
		 struct failure *f);

#endif
