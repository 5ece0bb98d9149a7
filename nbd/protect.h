/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must not be out there when lenders are gone: cgroups (version 2) of the
 * programs without which a machine cannot be mended get memory.swap.max 0.
 */
#ifndef VIRGO_NBD_PROTECT_H
#define VIRGO_NBD_PROTECT_H

#include "failure.h"

/*
 * Protects init, virgod, sshd, journald, and whoever else is named so; who sits
 * in the root cgroup, which has no limits, is moved to "virgo-essential". Tells
 * each by @told. -EOPNOTSUPP without cgroup v2's memory controller.
 */
int protect_essential(void (*told)(const char *name), struct failure *f);
/* Whether process @pid, whose comm is @name, is one of them. */
bool protect_is_essential(int pid, const char *name);
/* Puts this process into a protected cgroup of its own, with some memory that
 * is never taken from it, as far as that is possible.
 */
void protect_self(const char *cgroup);

/* Of the text of /proc/PID/cgroup the v2 path, "" for none, into @out. */
void protect_path(const char *text, char *out, size_t size);

#endif
