/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel module as a program finds it: virgo.ko serves /dev/virgo of the
 * network namespace one is in, and everything works without it. What is said
 * over the device is in linux/virgo.h, explained in virgo(4).
 */
#ifndef VIRGO_LIB_KERNEL_H
#define VIRGO_LIB_KERNEL_H

#include "env.h"

#define KERNEL_DEVICE "/dev/virgo"

struct kernel_info {
	u32 abi;
	u64 features; /* VIRGO_FEATURE_* */
	bool tls; /* the kernel's TLS is loaded */
	char version[32]; /* "0.1.0" */
};

/*
 * A descriptor of /dev/virgo, close-on-exec, or a negative errno:
 *	-ENOENT		the module is not loaded
 *	-ENODEV		it is, but serves no such namespace
 *	-EPROTO		it speaks another ABI than this program
 */
int kernel_open(void);

/* What the module says of itself: 0, or as kernel_open(). */
int kernel_info(struct kernel_info *k);

/* ioctl(2) whose request may have its highest bit set: what it gives, or a
 * negative errno.
 */
int kernel_ioctl(int fd, u32 request, void *arg);

/* Why it could not be opened: "it is not loaded", "it speaks another ABI". */
const char *kernel_why(int error);

enum { KERNEL_TEXT = 160 };

/* "0.1.0, ABI 1, with the kernel's TLS; serves variables, calls, caches, jobs, memory objects" */
void kernel_text(const struct kernel_info *k, char out[KERNEL_TEXT]);

/* "variables", or NULL for a feature number that this program does not know.
 * Feature @n is bit n of features.
 */
const char *kernel_feature(unsigned int n);

#endif
