// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory objects by the module; the contract is in kernel_memory.h. */
#include "kernel_memory.h"

#include <linux/virgo.h>
#include <unistd.h>

#include "kernel.h"

enum { WORDS = 1024 }; /* as much as virgod says of a failure */

int kernel_memory_open(void)
{
	struct kernel_info info;
	int ret = kernel_info(&info);

	if (ret)
		return ret;
	return info.features & VIRGO_FEATURE_MEMORY ? kernel_open() :
						      -EOPNOTSUPP;
}

/* What an errno of the module itself means; virgod's come with words. */
static int failed(int code, const u8 *words, struct failure *f)
{
	struct msg_error e;

	if (!msg_error_decode(&e, words, WORDS) && e.code == code) {
		failure_from_message(f, &e);
		return code;
	}
	switch (code) {
	case -ENOTCONN:
		return failure_set(f, code, "virgod", "systemctl start virgod",
				   "it does not run here");
	case -ECONNRESET:
		return failure_set(f, code, "virgod", "look at its log",
				   "it hung up before answering");
	case -EPROTO:
		return failure_set(f, code, "virgod", NULL,
				   "a malformed answer");
	case -EBUSY:
		return failure_set(f, code, "virgod", "it again",
				   "too many programs wait for it");
	default:
		return failure_set(f, code, "memory object", NULL, "%s",
				   strerror(-code));
	}
}

int kernel_memory_malloc(int device, u64 bytes, u32 lease_ms, u8 *handle,
			 struct failure *f)
{
	u8 words[WORDS] = { 0 };
	struct virgo_malloc m = {
		.bytes = bytes,
		.lease_ms = lease_ms,
		.words = (uintptr_t)words,
		.words_size = sizeof(words),
	};
	int ret = kernel_ioctl(device, VIRGO_IOC_MALLOC, &m);

	if (ret < 0)
		return failed(ret, words, f);
	memcpy(handle, m.handle, HANDLE_BYTES);
	return 0;
}

static int range(int device, u32 request, const u8 *handle, const void *buf,
		 u64 len, u64 offset, struct failure *f)
{
	u8 words[WORDS] = { 0 };
	struct virgo_memory m = {
		.offset = offset,
		.length = len,
		.address = (uintptr_t)buf,
		.words = (uintptr_t)words,
		.words_size = sizeof(words),
	};
	int ret;

	memcpy(m.handle, handle, HANDLE_BYTES);
	ret = kernel_ioctl(device, request, &m);
	return ret < 0 ? failed(ret, words, f) : 0;
}

int kernel_memory_get(int device, const u8 *handle, void *buf, u64 len,
		      u64 offset, struct failure *f)
{
	return range(device, VIRGO_IOC_GET, handle, buf, len, offset, f);
}

int kernel_memory_set(int device, const u8 *handle, const void *buf, u64 len,
		      u64 offset, struct failure *f)
{
	return range(device, VIRGO_IOC_SET, handle, buf, len, offset, f);
}

int kernel_memory_free(int device, const u8 *handle, struct failure *f)
{
	return range(device, VIRGO_IOC_FREE, handle, NULL, 0, 0, f);
}
