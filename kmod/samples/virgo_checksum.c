// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sample of a kernel function: "checksum" gives the CRC-32C of its argument, four
 * bytes, little-endian.
 */
#include <linux/crc32.h>
#include <linux/module.h>

#include "virgo_module.h"

static ssize_t checksum(const struct virgo_fn_caller *caller, const void *arg,
			u32 arg_len, void *result, u32 result_size)
{
	if (result_size < 4)
		return -EMSGSIZE;
	put_u32(result, ~__crc32c_le(~0, arg, arg_len));
	return 4;
}

static struct virgo_fn function = {
	.name = "checksum",
	.owner = THIS_MODULE,
	.max_arg = VIRGO_FN_BYTES_MAX,
	.max_result = 4,
	.call = checksum,
};

static int __init sample_init(void)
{
	return virgo_register_fn(&function);
}

static void __exit sample_exit(void)
{
	virgo_unregister_fn(&function);
}

module_init(sample_init);
module_exit(sample_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VIRGO sample: a checksum as kernel function");
