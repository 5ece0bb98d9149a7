/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where VIRGO's own programs and folders are. */
#ifndef VIRGO_LIB_WHERE_H
#define VIRGO_LIB_WHERE_H

#include <stddef.h>

/*
 * Path of one of our programs ("virgod", "mount.virgo", "virgo-spawn") into
 * @out: in the folder $VIRGO_LIBEXEC, else next to the running program, else
 * where it stands in the build tree the running program is from, else where it
 * is installed. 0 or -ENOENT.
 */
int where_program(const char *name, char *out, size_t size);

/*
 * The configuration folder: @conf_dir if not NULL, else /etc/virgo when @state
 * is the default state folder, else @state/etc.
 */
void where_conf_dir(const char *conf_dir, const char *state, char *out,
		    size_t size);

#endif
