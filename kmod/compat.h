/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the kernels that virgo.ko is built for, 6.1 and 6.12.
 * Distributions carry features back, so Kbuild asks the headers (a define
 * HAVE_X each) where that is possible; a version decides only what no header
 * shows.
 */
#ifndef VIRGO_KMOD_COMPAT_H
#define VIRGO_KMOD_COMPAT_H

#include <linux/mm.h>

#ifndef HAVE_VM_FLAGS_CLEAR
static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* What family-wide hooks of generic netlink are told of the operation. */
#ifndef HAVE_GENL_SPLIT_OPS
#define genl_split_ops genl_ops
#endif

#endif
