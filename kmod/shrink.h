/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A shrinker, registered as 6.1 or as 6.7 and later want it. */
#ifndef VIRGO_KMOD_SHRINK_H
#define VIRGO_KMOD_SHRINK_H

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/shrinker.h>
#include <linux/types.h>

struct shrink {
	unsigned long (*count)(struct shrink *s); /* of PAGE_SIZE */
	unsigned long (*scan)(struct shrink *s, unsigned long pages);
#ifdef HAVE_SHRINKER_ALLOC
	struct shrinker *shrinker;
#else
	struct shrinker shrinker;
#endif
};

/* With count and scan set. 0 or -ENOMEM. */
int shrink_start(struct shrink *s);
/* Neither is called any more. */
void shrink_stop(struct shrink *s);

#endif
