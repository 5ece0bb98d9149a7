// SPDX-License-Identifier: GPL-2.0-or-later
/* Swap space; the contract is in swap_area.h. */
#include "swap_area.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "swap_room.h"
#include "sysfile.h"

enum {
	HEADER_AT = 1024, /* behind room for a boot block */
	UUID_AT = HEADER_AT + 12,
	SIGNATURE_LEN = 10,
	IDLE_TRIES = 10, /* of 100 ms, and what the kernel needs for each */
};

static int write_header(const char *device, u64 size_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const u32 version = 1;
	u64 last = size_bytes / page - 1;
	u32 last_page = last > UINT32_MAX ? UINT32_MAX : (u32)last;
	u8 *head = calloc(1, page);
	ssize_t n = -1;
	int fd;

	if (!head)
		return -ENOMEM;
	memcpy(head + HEADER_AT, &version, 4);
	memcpy(head + HEADER_AT + 4, &last_page, 4);
	if (getrandom(head + UUID_AT, 16, 0) != 16)
		memset(head + UUID_AT, 0, 16); /* then it has none */
	memcpy(head + page - SIGNATURE_LEN, "SWAPSPACE2", SIGNATURE_LEN);
	fd = open(device, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		n = pwrite(fd, head, page, 0);
	if (n == (ssize_t)page && fsync(fd))
		n = -1;
	n = n == (ssize_t)page ? 0 : -(errno ? errno : EIO);
	if (fd >= 0)
		close(fd);
	free(head);
	return (int)n;
}

int swap_area_on(const char *device, u64 size_bytes, int priority,
		 struct failure *f)
{
	int flags = SWAP_FLAG_DISCARD;
	int ret = write_header(device, size_bytes);

	if (ret)
		return failure_set(f, ret, device, NULL, "cannot be written: %s",
				   strerror(-ret));
	if (priority >= 0)
		flags |= SWAP_FLAG_PREFER | (priority & SWAP_FLAG_PRIO_MASK);
	if (swapon(device, flags))
		return failure_set(f, -errno, device, NULL,
				   "the kernel does not take it as swap: %s",
				   strerror(errno));
	return 0;
}

/* Size and used bytes of @device, as the kernel lists it; -ENOENT. */
static int listed(const char *device, s64 *size, s64 *used)
{
	char line[512], name[256], real[PATH_MAX];
	long long kib[2];
	FILE *f = fopen("/proc/swaps", "re");
	int ret = -ENOENT;

	if (!f)
		return -errno;
	if (!realpath(device, real))
		real[0] = '\0';
	while (ret && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%255s %*s %lld %lld", name, &kib[0],
			   &kib[1]) != 3 ||
		    (strcmp(name, device) && strcmp(name, real)))
			continue;
		*size = kib[0] * 1024;
		*used = kib[1] * 1024;
		ret = 0;
	}
	fclose(f);
	return ret;
}

s64 swap_area_used(const char *device)
{
	s64 size, used;
	int ret = listed(device, &size, &used);

	return ret ? ret : used;
}

static void moment(void)
{
	const struct timespec t = { .tv_nsec = 100 * 1000 * 1000 };

	nanosleep(&t, NULL);
}

/* swapoff(2) in a child: whoever calls it is the first that the kernel ends when
 * memory does not suffice.
 */
static int try_off(const char *device)
{
	pid_t self = getpid();
	pid_t child = fork();
	int status = 0;

	if (child < 0)
		return -errno;
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(ESRCH);
		_exit(swapoff(device) ? errno : 0);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOMEM;
}

/* Tries until it is off, or no more comes back by trying. */
static int try_on(const char *device)
{
	s64 least = INT64_MAX;
	int idle = 0;
	int ret;

	for (;;) {
		s64 used;

		ret = try_off(device);
		used = swap_area_used(device);
		if (!ret || used < 0)
			return 0;
		/* Someone else takes it out of use, as systemd does at a
		 * shutdown; the kernel lists it until that is over.
		 */
		if (ret == -EINVAL)
			idle = 0;
		else if (ret != -ENOMEM)
			return ret;
		/* Programs that the kernel ended at a cgroup's limit take a
		 * moment to go.
		 */
		else if (used < least)
			idle = 0;
		else if (++idle == IDLE_TRIES)
			return ret;
		least = used < least ? used : least;
		moment();
	}
}

int swap_area_off(const char *device, bool force,
		  void (*told)(const char *text), struct failure *f)
{
	s64 other = meminfo_bytes("SwapFree");
	s64 size, used;
	int ret;

	if (listed(device, &size, &used))
		return 0;
	other -= size - used; /* its own free part goes with it */
	ret = force ? 0 : swap_room_check(device, used, other < 0 ? 0 : other,
					  f);
	if (ret)
		return ret;
	ret = try_on(device);
	while (ret == -ENOMEM && force && !swap_room_make(told))
		ret = try_on(device);
	return ret ? failure_set(f, ret, device, NULL,
				 "cannot be taken out of use: %s",
				 strerror(-ret)) : 0;
}
