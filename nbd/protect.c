// SPDX-License-Identifier: GPL-2.0-or-later
/* Protected cgroups; the contract is in protect.h. */
#include "protect.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sysfile.h"

#define ROOT "/sys/fs/cgroup"
#define ESSENTIAL "virgo-essential"
#define GUARD_MEMORY "16777216"

static const char *const essential[] = {
	"systemd", "init", "virgod", "virgo-guard", "sshd", "systemd-journal",
	"rsyslogd", "dropbear", "agetty", "systemd-logind", "dbus-daemon",
};

static bool have_memory_controller(void)
{
	char text[256];

	return !sysfile_read(text, sizeof(text), ROOT "/cgroup.controllers") &&
	       strstr(text, "memory");
}

/* 0 when children of the root have memory limits. */
static int enable_memory(void)
{
	char text[256];

	if (!sysfile_read(text, sizeof(text), ROOT "/cgroup.subtree_control") &&
	    strstr(text, "memory"))
		return 0;
	return sysfile_write("+memory", ROOT "/cgroup.subtree_control");
}

void protect_path(const char *text, char *out, size_t size)
{
	const char *at = text;

	*out = '\0';
	while (at) {
		if (!strncmp(at, "0::", 3)) {
			snprintf(out, size, "%.*s",
				 (int)strcspn(at + 3, "\n"), at + 3);
			return;
		}
		at = strchr(at, '\n');
		if (at)
			at++;
	}
}

static int make_cgroup(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), ROOT "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	return sysfile_write("0", ROOT "/%s/memory.swap.max", name);
}

static int protect_process(int pid)
{
	char text[PATH_MAX], path[PATH_MAX], number[16];

	if (sysfile_read(text, sizeof(text), "/proc/%d/cgroup", pid))
		return 0; /* it has ended */
	protect_path(text, path, sizeof(path));
	if (!path[0])
		return -EOPNOTSUPP;
	if (strcmp(path, "/"))
		return sysfile_write("0", ROOT "%s/memory.swap.max", path);
	snprintf(number, sizeof(number), "%d", pid);
	return sysfile_write(number, ROOT "/" ESSENTIAL "/cgroup.procs");
}

bool protect_is_essential(int pid, const char *name)
{
	size_t i;

	if (pid == 1)
		return true;
	for (i = 0; i < ARRAY_SIZE(essential); i++)
		if (!strcmp(name, essential[i]))
			return true;
	return false;
}

int protect_essential(void (*told)(const char *name), struct failure *f)
{
	const char *remedy = "mount cgroup2 at " ROOT " with the memory "
			     "controller, or --unprotected";
	struct dirent *e;
	char name[64];
	int ret = 0;
	DIR *d;

	if (!have_memory_controller())
		return failure_set(f, -EOPNOTSUPP, "cgroup v2", remedy,
				   "what is essential cannot be kept out of "
				   "swap");
	if (enable_memory() || make_cgroup(ESSENTIAL))
		return failure_set(f, -EOPNOTSUPP, "cgroup v2", remedy,
				   "the memory controller cannot be used here");
	d = opendir("/proc");
	while (d && !ret && (e = readdir(d))) {
		int pid = atoi(e->d_name);

		if (pid <= 0 ||
		    sysfile_read(name, sizeof(name), "/proc/%d/comm", pid) ||
		    !protect_is_essential(pid, name))
			continue;
		ret = protect_process(pid);
		if (ret == -ESRCH || ret == -ENOENT)
			ret = 0;
		if (!ret)
			told(name);
	}
	if (d)
		closedir(d);
	return ret ? failure_set(f, ret, name, remedy,
				 "its memory cannot be kept out of swap: %s",
				 strerror(-ret)) : 0;
}

void protect_self(const char *cgroup)
{
	char number[16];

	if (!have_memory_controller() || enable_memory() ||
	    make_cgroup(cgroup))
		return;
	sysfile_write(GUARD_MEMORY, ROOT "/%s/memory.min", cgroup);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	sysfile_write(number, ROOT "/%s/cgroup.procs", cgroup);
}
