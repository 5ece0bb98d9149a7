// SPDX-License-Identifier: GPL-2.0-or-later
/* md arrays; the contract is in mirror.h. */
#include "mirror.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "sysfile.h"

enum {
	FIRST_NUMBER = 100, /* below are those that people give */
	LAST_NUMBER = 250,
	BUSY_TRIES = 50, /* of 100 ms: someone has just let go of it */
};

static void moment(void)
{
	const struct timespec t = { .tv_nsec = 100 * 1000 * 1000 };

	nanosleep(&t, NULL);
}

static int say(struct failure *f, int code, int md, const char *what)
{
	char object[16];

	snprintf(object, sizeof(object), "md%d", md);
	return failure_set(f, code, object, NULL, "%s: %s", what,
			   strerror(-code));
}

static bool exists(int md)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/block/md%d/md", md);
	return stat(path, &st) == 0;
}

/* /dev/mdN, made if no devtmpfs did. */
static int open_array(int md)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/md%d", md);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT &&
	    mknod(path, S_IFBLK | 0600, makedev(MD_MAJOR, (u32)md)) == 0)
		fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int device_of(int index, dev_t *out)
{
	char text[32];
	unsigned int major_, minor_;
	int ret = sysfile_read(text, sizeof(text), "/sys/block/nbd%d/dev",
			       index);

	if (ret)
		return ret;
	if (sscanf(text, "%u:%u", &major_, &minor_) != 2)
		return -EPROTO;
	*out = makedev(major_, minor_);
	return 0;
}

static int add_first(int fd, int place, int index)
{
	mdu_disk_info_t d = { .number = place,
			      .raid_disk = place,
			      .state = 1 << MD_DISK_ACTIVE |
				       1 << MD_DISK_SYNC };
	dev_t dev;
	int ret = device_of(index, &dev);

	if (ret)
		return ret;
	d.major = (int)major(dev);
	d.minor = (int)minor(dev);
	return ioctl(fd, ADD_NEW_DISK, &d) ? -errno : 0;
}

static int assemble(int fd, const int *index, u32 count, u32 clean, u32 slots,
		    u64 size_bytes)
{
	mdu_array_info_t a = { .major_version = 0,
			       .minor_version = 90,
			       .level = 1,
			       .size = (int)(size_bytes >> 10),
			       .nr_disks = (int)clean,
			       .raid_disks = (int)slots,
			       .not_persistent = 1,
			       .state = 1 << MD_SB_CLEAN,
			       .active_disks = (int)clean,
			       .working_disks = (int)clean };
	dev_t dev;
	int ret = 0;
	u32 i;

	if (ioctl(fd, SET_ARRAY_INFO, &a))
		return -errno;
	for (i = 0; i < clean && !ret; i++)
		ret = add_first(fd, (int)i, index[i]);
	if (!ret && ioctl(fd, RUN_ARRAY, NULL))
		ret = -errno;
	for (; i < count && !ret; i++) {
		ret = device_of(index[i], &dev);
		if (!ret && ioctl(fd, HOT_ADD_DISK, (unsigned long)dev))
			ret = -errno;
	}
	if (ret)
		ioctl(fd, STOP_ARRAY, NULL);
	return ret;
}

int mirror_create(const int *index, u32 count, u32 clean, u32 slots,
		  u64 size_bytes, struct failure *f)
{
	char name[16];
	int md = FIRST_NUMBER;
	int fd;
	int ret;

	while (md <= LAST_NUMBER && exists(md))
		md++;
	if (md > LAST_NUMBER)
		return failure_set(f, -ENOSPC, "md", NULL,
				   "no number for an array is free");
	snprintf(name, sizeof(name), "md%d", md);
	/* Without this parameter opening the node makes the array. */
	sysfile_write(name, "/sys/module/md_mod/parameters/new_array");
	fd = open_array(md);
	if (fd < 0)
		return say(f, fd, md, "cannot be made");
	ret = assemble(fd, index, count, clean, slots, size_bytes);
	close(fd);
	return ret ? say(f, ret, md, "cannot be put together") : md;
}

int mirror_add(int md, int index, struct failure *f)
{
	dev_t dev;
	int fd = open_array(md);
	int ret = fd < 0 ? fd : device_of(index, &dev);

	if (!ret && ioctl(fd, HOT_ADD_DISK, (unsigned long)dev))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret < 0 ? say(f, ret, md, "cannot take another leg") : 0;
}

static int set_state(int md, int index, const char *what)
{
	return sysfile_write(what, "/sys/block/md%d/md/dev-nbd%d/state", md,
			     index);
}

int mirror_replace(int md, int index, struct failure *f)
{
	int ret = set_state(md, index, "want_replacement");

	return ret ? say(f, ret, md, "its leg cannot be replaced") : 0;
}

int mirror_remove(int md, int index, struct failure *f)
{
	char state[64];
	int ret = 0;
	int i;

	for (i = 0; i < BUSY_TRIES; i++) {
		if (sysfile_read(state, sizeof(state),
				 "/sys/block/md%d/md/dev-nbd%d/state", md,
				 index))
			return 0;
		if (!strstr(state, "faulty"))
			set_state(md, index, "faulty");
		ret = set_state(md, index, "remove");
		if (!ret)
			return 0;
		moment();
	}
	return say(f, ret, md, "its leg cannot be removed");
}

int mirror_stop(int md, struct failure *f)
{
	int ret = 0;
	int i;

	if (!exists(md))
		return 0;
	for (i = 0; i < BUSY_TRIES; i++) {
		int fd = open_array(md);

		if (fd < 0)
			return fd == -ENXIO || fd == -ENOENT ? 0 :
				       say(f, fd, md, "cannot be stopped");
		ret = ioctl(fd, STOP_ARRAY, NULL) ? -errno : 0;
		close(fd);
		if (!ret || ret == -ENODEV)
			return 0;
		moment();
	}
	return say(f, ret, md, "cannot be stopped");
}

static void look_at_leg(int md, int index, struct mirror_leg *l)
{
	char state[128];

	*l = (struct mirror_leg){ .index = index };
	if (sysfile_read(state, sizeof(state),
			 "/sys/block/md%d/md/dev-nbd%d/state", md, index))
		return;
	l->in_sync = strstr(state, "in_sync") != NULL;
	l->faulty = strstr(state, "faulty") != NULL;
	l->replaced = strstr(state, "want_replacement") != NULL;
}

int mirror_look(int md, struct mirror *m)
{
	unsigned long long done, all;
	char path[64], text[64];
	struct dirent *e;
	DIR *d;

	*m = (struct mirror){ 0 };
	snprintf(path, sizeof(path), "/sys/block/md%d/md", md);
	d = opendir(path);
	if (!d)
		return -ENODEV;
	while ((e = readdir(d)) && m->legs < MIRROR_LEGS_MAX)
		if (!strncmp(e->d_name, "dev-nbd", 7))
			look_at_leg(md, atoi(e->d_name + 7),
				    &m->leg[m->legs++]);
	closedir(d);
	m->degraded = (u32)sysfile_number("/sys/block/md%d/md/degraded", md);
	sysfile_read(text, sizeof(text), "/sys/block/md%d/md/sync_action", md);
	m->busy = strcmp(text, "idle") && strcmp(text, "frozen");
	sysfile_read(text, sizeof(text), "/sys/block/md%d/md/sync_completed",
		     md);
	if (m->busy && sscanf(text, "%llu / %llu", &done, &all) == 2 && all)
		m->done_ppm = (u32)(done * 1000000 / all);
	return 0;
}
