// SPDX-License-Identifier: GPL-2.0-or-later
/* dm-crypt by ioctl; the contract is in seal.h. */
#include "seal.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "sysfile.h"

enum {
	KEY_BYTES = 64, /* XTS: two of AES-256 */
	ROOM = 4096,
	BUSY_TRIES = 50, /* of 100 ms */
};

/* A request, with room for a target and its parameters behind it. */
union call {
	struct dm_ioctl head;
	u8 room[ROOM];
};

static int open_control(void)
{
	unsigned int minor_ = 0;
	char line[64];
	FILE *f;
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	f = fopen("/proc/misc", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "device-mapper"))
			minor_ = (unsigned int)strtoul(line, NULL, 10);
	if (f)
		fclose(f);
	mkdir("/dev/mapper", 0755);
	if (!minor_ || mknod("/dev/mapper/control", S_IFCHR | 0600,
			     makedev(10, minor_)))
		return -ENODEV;
	fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void prepare(union call *c, const char *name)
{
	memset(c, 0, sizeof(*c));
	c->head.version[0] = DM_VERSION_MAJOR;
	c->head.data_size = sizeof(*c);
	c->head.data_start = sizeof(c->head);
	snprintf(c->head.name, sizeof(c->head.name), "virgo-%s", name);
}

static int ask(int fd, unsigned long what, union call *c)
{
	return ioctl(fd, what, c) ? -errno : 0;
}

static int load_table(int fd, union call *c, const char *name, int md,
		      u64 size_bytes)
{
	struct dm_target_spec *t = (void *)(c->room + sizeof(c->head));
	char *parameters = (char *)(t + 1);
	u8 key[KEY_BYTES];
	size_t at;
	int ret;
	int i;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EIO;
	prepare(c, name);
	c->head.target_count = 1;
	t->length = size_bytes / 512;
	strcpy(t->target_type, "crypt");
	at = (size_t)sprintf(parameters, "aes-xts-plain64 ");
	for (i = 0; i < KEY_BYTES; i++)
		at += (size_t)sprintf(parameters + at, "%02x", key[i]);
	/* In the caller's place instead of a queue: swap must not wait for
	 * memory. Which pages are in use is not hidden from the lender, so that
	 * it has them back.
	 */
	sprintf(parameters + at, " 0 /dev/md%d 0 3 allow_discards "
		"no_read_workqueue no_write_workqueue", md);
	ret = ask(fd, DM_TABLE_LOAD, c);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(c, sizeof(*c));
	return ret;
}

static int make_node(const char *name, dev_t dev)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/mapper/virgo-%s", name);
	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev)
		return 0;
	unlink(path);
	return mknod(path, S_IFBLK | 0600, dev) && errno != EEXIST ? -errno :
								     0;
}

int seal_on(const char *name, int md, u64 size_bytes, struct failure *f)
{
	union call c;
	dev_t dev = 0;
	int fd = open_control();
	int ret = fd < 0 ? fd : 0;

	if (!ret) {
		prepare(&c, name);
		ret = ask(fd, DM_DEV_CREATE, &c);
		dev = (dev_t)c.head.dev;
	}
	if (!ret) {
		ret = load_table(fd, &c, name, md, size_bytes);
		if (!ret) {
			prepare(&c, name);
			ret = ask(fd, DM_DEV_SUSPEND, &c); /* resumes */
		}
		if (!ret)
			ret = make_node(name, dev);
		if (ret) {
			prepare(&c, name);
			ask(fd, DM_DEV_REMOVE, &c);
		}
	}
	if (fd >= 0)
		close(fd);
	return ret ? failure_set(f, ret, "dm-crypt", "modprobe dm-crypt xts, or "
				 "without --seal", "cannot seal: %s",
				 strerror(-ret)) : 0;
}

int seal_off(const char *name, struct failure *f)
{
	const struct timespec moment = { .tv_nsec = 100 * 1000 * 1000 };
	char path[128];
	union call c;
	int fd = open_control();
	int ret = 0;
	int i;

	if (fd < 0)
		return 0; /* then nothing is sealed */
	for (i = 0; i < BUSY_TRIES; i++) {
		prepare(&c, name);
		ret = ask(fd, DM_DEV_REMOVE, &c);
		if (ret != -EBUSY)
			break;
		nanosleep(&moment, NULL);
	}
	close(fd);
	if (ret && ret != -ENXIO)
		return failure_set(f, ret, "dm-crypt", NULL,
				   "virgo-%s cannot be removed: %s", name,
				   strerror(-ret));
	snprintf(path, sizeof(path), "/dev/mapper/virgo-%s", name);
	unlink(path);
	return 0;
}
