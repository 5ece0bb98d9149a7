// SPDX-License-Identifier: GPL-2.0-or-later
/* Room for what is in swap; the contract is in swap_room.h. */
#include "swap_room.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "protect.h"
#include "sysfile.h"

#define ROOT "/sys/fs/cgroup"

enum {
	DEPTH_MAX = 32, /* of cgroups; below that nobody looks */
	GONE_MS = 10000, /* for a killed program */
	LEAST_KIB = 4096, /* what ending a program has to bring */
};

s64 swap_cgroup_lacks(const struct swap_cgroup *c)
{
	s64 needs = c->current - c->pages + c->swapped - c->both;

	return c->max < 0 || !c->swapped || needs <= c->max ? 0 :
							    needs - c->max;
}

static s64 stat_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static s64 lacks(const char *path)
{
	struct swap_cgroup c = { .max = -1 };
	char text[8192];

	if (sysfile_read(text, sizeof(text), ROOT "%s/memory.max", path) ||
	    text[0] == 'm')
		return 0;
	c.max = strtoll(text, NULL, 10);
	c.current = sysfile_number(ROOT "%s/memory.current", path);
	c.swapped = sysfile_number(ROOT "%s/memory.swap.current", path);
	if (c.swapped <= 0 ||
	    sysfile_read(text, sizeof(text), ROOT "%s/memory.stat", path))
		return 0;
	c.pages = stat_of(text, "\ninactive_file ") +
		  stat_of(text, "\nactive_file ");
	c.both = stat_of(text, "\nswapcached ");
	return swap_cgroup_lacks(&c);
}

/* Looks at @path, PATH_MAX bytes, and below; true when @path is now one that lacks
 * @bytes.
 */
static bool find_crowded(char *path, int depth, s64 *bytes)
{
	size_t len = strlen(path);
	char folder[PATH_MAX];
	bool found = false;
	struct dirent *e;
	DIR *d;

	*bytes = lacks(path);
	if (*bytes)
		return true;
	if (depth == DEPTH_MAX || snprintf(folder, sizeof(folder), ROOT "%s",
					   path) >= (int)sizeof(folder))
		return false;
	d = opendir(folder);
	while (d && !found && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (snprintf(path + len, PATH_MAX - len, "/%s", e->d_name) <
		    (int)(PATH_MAX - len))
			found = find_crowded(path, depth + 1, bytes);
		if (!found)
			path[len] = '\0';
	}
	if (d)
		closedir(d);
	return found;
}

int swap_room_check(const char *device, s64 used, s64 other, struct failure *f)
{
	s64 room = meminfo_bytes("MemAvailable") + other;
	char path[PATH_MAX] = "";
	s64 bytes;

	if (used > room)
		return failure_set(f, -ENOMEM, device,
				   "end some programs, or --force: then those "
				   "that use most are ended",
				   "%lld MiB would have to come back, and there "
				   "is room for %lld",
				   (long long)(used >> 20),
				   (long long)(room >> 20));
	if (other < used && find_crowded(path, 0, &bytes))
		return failure_set(f, -ENOMEM, device,
				   "raise its memory.max, end some of its "
				   "programs, or --force: then the kernel does",
				   "what cgroup %s has in swap does not fit into "
				   "its limit by %lld MiB", path,
				   (long long)((bytes >> 20) + 1));
	return 0;
}

/* Memory and swap that process @pid alone has. A program that has next to none has
 * an oom_score too, two thirds of the scale.
 */
static s64 own_kib(int pid)
{
	char text[4096];

	if (sysfile_read(text, sizeof(text), "/proc/%d/status", pid))
		return 0;
	return stat_of(text, "\nRssAnon:") + stat_of(text, "\nVmSwap:");
}

/* The process with the highest oom_score that may be ended and has enough for it
 * to help, or 0.
 */
static int biggest(char *name, size_t size)
{
	char text[64];
	s64 most = 0;
	struct dirent *e;
	DIR *d = opendir("/proc");
	int found = 0;

	while (d && (e = readdir(d))) {
		int pid = atoi(e->d_name);
		s64 score = pid > 0 ? sysfile_number("/proc/%d/oom_score", pid) :
				      0;

		if (score <= most || pid == getpid() ||
		    sysfile_read(text, sizeof(text), "/proc/%d/comm", pid) ||
		    protect_is_essential(pid, text) || own_kib(pid) < LEAST_KIB)
			continue;
		most = score;
		found = pid;
		snprintf(name, size, "%s", text);
	}
	if (d)
		closedir(d);
	return found;
}

int swap_room_make(void (*told)(const char *text))
{
	char name[64], text[128];
	int pid = biggest(name, sizeof(name));
	struct pollfd p = { .fd = pid ? pidfd_open(pid, 0) : -1,
			    .events = POLLIN };
	int ret = 0;

	if (!pid)
		return -ESRCH;
	if (p.fd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (pidfd_send_signal(p.fd, SIGKILL, NULL, 0) && errno != ESRCH)
		ret = -errno;
	if (!ret) {
		poll(&p, 1, GONE_MS);
		snprintf(text, sizeof(text), "%s (%d): ended, for its memory",
			 name, pid);
		told(text);
	}
	close(p.fd);
	return ret;
}
