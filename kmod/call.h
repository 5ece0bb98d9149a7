/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calling a function, wherever it is. */
#ifndef VIRGO_KMOD_CALL_H
#define VIRGO_KMOD_CALL_H

#include <linux/types.h>

struct instance;

enum { CALL_MS_MAX = 3600000 };

struct call_request {
	const char *node; /* "": this one */
	const char *user; /* who asks; "": the machine itself */
	const char *name;
	const void *arg;
	void *result;
	u32 arg_len; /* at most VIRGO_FN_BYTES_MAX, as result_size */
	u32 result_size;
	u32 deadline_ms; /* at most CALL_MS_MAX */
};

/* As virgo_fn_call(), and -EACCES also for a user who may not call it here. */
ssize_t call_fn(struct instance *in, const struct call_request *r);

#endif
