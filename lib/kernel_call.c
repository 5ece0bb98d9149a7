// SPDX-License-Identifier: LGPL-2.1-or-later
/* Kernel functions as programs call them; the contract is in kernel_call.h. */
#include "kernel_call.h"

#include <linux/virgo.h>
#include <unistd.h>

#include "kernel.h"

static_assert(KERNEL_CALL_BYTES == VIRGO_CALL_BYTES_MAX, "as the module has it");

enum { CALL_MS_MAX = 3600000 };

/* What an errno of a call means, and what mends it. */
static const struct {
	int code;
	const char *what, *remedy;
} reasons[] = {
	{ -EPERM, "this user may not call kernel functions",
	  "as root; virgo(4) tells how a user gets a name" },
	{ -EACCES, "not allowed to call it",
	  "name this node there in [functions] of virgo_cloud.conf" },
	{ -ENOENT, "no such function there", "load the module that has it" },
	{ -EHOSTDOWN, "the kernel has no connection to that node",
	  "virgo status; both nodes need the module and the kernel's TLS" },
	{ -ECONNRESET, "the connection broke; the function may have run",
	  NULL },
	{ -ETIMEDOUT, "no result in time; the function may have run",
	  "a longer timeout" },
	{ -EBUSY, "too many calls are under way", "it again" },
	{ -ENOBUFS, "too much is queued for that node", "it again" },
	{ -E2BIG, "the argument is longer than the function takes", NULL },
	{ -EMSGSIZE, "the result is longer than there is room for", NULL },
};

static ssize_t call_failed(ssize_t code, const char *object, struct failure *f)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return failure_set(f, (int)code, object,
					   reasons[i].remedy, "%s",
					   reasons[i].what);
	return failure_set(f, (int)code, object, NULL, "the function failed: %s",
			   strerror((int)-code));
}

static int open_module(struct failure *f)
{
	int fd = kernel_open();

	if (fd < 0)
		failure_set(f, fd, "kernel module", fd == -ENOENT ?
			    "modprobe virgo" : NULL, "%s", kernel_why(fd));
	return fd;
}

static bool put_text(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size)
		return false;
	memcpy(out, text, len + 1);
	return true;
}

ssize_t kernel_call(const char *node, const char *name, const void *argument,
		    size_t argument_len, void *result, size_t result_size,
		    u32 timeout_ms, struct failure *f)
{
	struct virgo_call call = {
		.argument = (uintptr_t)argument,
		.result = (uintptr_t)result,
		.argument_len = (u32)argument_len,
		.result_size = (u32)result_size,
		.deadline_ms = timeout_ms,
	};
	char object[128];
	ssize_t ret;
	int fd;

	snprintf(object, sizeof(object), "%s%s%s", name,
		 node && *node ? " on " : "", node ? node : "");
	if (!*name || !put_text(call.name, sizeof(call.name), name) ||
	    !put_text(call.node, sizeof(call.node), node ? node : ""))
		return failure_set(f, -EINVAL, object, NULL,
				   "not a function's and a node's name");
	if (!timeout_ms || timeout_ms > CALL_MS_MAX)
		return failure_set(f, -EINVAL, object, NULL,
				   "the timeout is 1 ms to 1 hour");
	if (argument_len > KERNEL_CALL_BYTES)
		return failure_set(f, -E2BIG, object, NULL,
				   "an argument has at most 64 KiB");
	if (result_size > KERNEL_CALL_BYTES)
		call.result_size = KERNEL_CALL_BYTES;
	fd = open_module(f);
	if (fd < 0)
		return fd;
	ret = kernel_ioctl(fd, VIRGO_IOC_CALL, &call);
	close(fd);
	return ret < 0 ? call_failed(ret, object, f) : ret;
}
