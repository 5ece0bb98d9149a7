/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files of the kernel's, read and written whole. */
#ifndef VIRGO_NBD_SYSFILE_H
#define VIRGO_NBD_SYSFILE_H

#include "env.h"

/* Each takes the path as printf does. Reading ends @out without its newline. 0
 * or a negative errno.
 */
int sysfile_read(char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int sysfile_write(const char *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A number in a file, or a negative errno. */
s64 sysfile_number(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The number behind "NAME:" in /proc/meminfo, in bytes; -1. */
s64 meminfo_bytes(const char *name);

#endif
