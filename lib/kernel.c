// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel module, as seen from programs; the contract is in kernel.h. A
 * device of the wrong ABI counts as none, so that a program newer or older than
 * the module that happens to be loaded does the work itself.
 */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virgo.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ABI = 1 };

static const char *const features[] = { "variables", "calls", "caches", "jobs",
					"memory objects" };

static_assert(VIRGO_FEATURE_VARS == 1 << 0 && VIRGO_FEATURE_CALLS == 1 << 1 &&
	      VIRGO_FEATURE_CACHE == 1 << 2 && VIRGO_FEATURE_JOBS == 1 << 3 &&
	      VIRGO_FEATURE_MEMORY == 1 << 4,
	      "the order of features[]");

int kernel_ioctl(int fd, u32 request, void *arg)
{
	/* C libraries differ in whether the number is signed. */
	int ret = ioctl(fd, (int)request, arg);

	return ret < 0 ? -errno : ret;
}

static int open_device(struct virgo_info *info)
{
	int fd = open(KERNEL_DEVICE, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return errno == ENXIO ? -ENOENT : -errno;
	ret = kernel_ioctl(fd, VIRGO_IOC_INFO, info);
	if (!ret && info->abi != ABI)
		ret = -EPROTO;
	if (!ret)
		return fd;
	close(fd);
	/* A file of that name which is not the module's. */
	return ret == -ENOTTY ? -ENOENT : ret;
}

int kernel_open(void)
{
	struct virgo_info info;

	return open_device(&info);
}

static void read_version(char *out, size_t size)
{
	FILE *f = fopen("/sys/module/virgo/version", "re");

	out[0] = '\0';
	if (f && fgets(out, (int)size, f))
		out[strcspn(out, "\n")] = '\0';
	if (f)
		fclose(f);
	if (!out[0])
		snprintf(out, size, "of unknown version");
}

int kernel_info(struct kernel_info *k)
{
	struct virgo_info info;
	int fd = open_device(&info);

	if (fd < 0)
		return fd;
	close(fd);
	*k = (struct kernel_info){ .abi = info.abi,
				   .features = info.features };
	k->tls = access("/proc/net/tls_stat", F_OK) == 0;
	read_version(k->version, sizeof(k->version));
	return 0;
}

const char *kernel_why(int error)
{
	switch (error) {
	case -ENOENT:
		return "it is not loaded";
	case -ENODEV:
		return "it does not serve this network namespace";
	case -EPROTO:
		return "it has another version of its interface";
	default:
		return strerror(-error);
	}
}

const char *kernel_feature(unsigned int n)
{
	return n < ARRAY_SIZE(features) ? features[n] : NULL;
}

void kernel_text(const struct kernel_info *k, char out[KERNEL_TEXT])
{
	const char *between = "; serves ";
	unsigned int n;
	size_t at;

	snprintf(out, KERNEL_TEXT, "%s, ABI %u, %s", k->version, k->abi,
		 k->tls ? "with the kernel's TLS" : "kernel's TLS not loaded");
	for (n = 0; kernel_feature(n); n++) {
		if (!(k->features & 1ull << n))
			continue;
		at = strlen(out);
		snprintf(out + at, KERNEL_TEXT - at, "%s%s", between,
			 kernel_feature(n));
		between = ", ";
	}
}
