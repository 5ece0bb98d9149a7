/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory objects by ioctl, described in uapi/linux/virgo.h: what virgo_malloc(3)
 * does, said to virgod for the caller.
 */
#ifndef VIRGO_KMOD_MEMORY_H
#define VIRGO_KMOD_MEMORY_H

struct local;

long memory_malloc(struct local *l, void __user *arg);
long memory_set(struct local *l, const void __user *arg);
long memory_get(struct local *l, const void __user *arg);
long memory_free(struct local *l, const void __user *arg);

#endif
