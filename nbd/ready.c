// SPDX-License-Identifier: GPL-2.0-or-later
/* What borrowing needs of the machine; see ready.h. */
#include "ready.h"

#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sysfile.h"

#define MIN_FREE "/proc/sys/vm/min_free_kbytes"

enum { MIN_FREE_MAX_KIB = 32 << 10, MIN_FREE_SHARE = 32 };

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static void modprobe(const char *name, const char *argument)
{
	extern char **environ;
	char *argv[] = { (char *)"modprobe", (char *)"-q", (char *)name,
			 (char *)argument, NULL };
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, "modprobe", NULL, NULL, argv, environ))
		return;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

static int need(const char *module, const char *argument, const char *sign,
		struct failure *f)
{
	char remedy[64];

	if (exists(sign))
		return 0;
	modprobe(module, argument);
	if (exists(sign))
		return 0;
	snprintf(remedy, sizeof(remedy), "modprobe %s; or a kernel that has it",
		 module);
	return failure_set(f, -ENODEV, module, remedy,
			   "the kernel does not have this driver");
}

static int need_ktls(struct failure *f)
{
	const char *path = "/proc/sys/net/ipv4/tcp_available_ulp";
	char text[256];

	if (!sysfile_read(text, sizeof(text), "%s", path) &&
	    strstr(text, "tls"))
		return 0;
	modprobe("tls", NULL);
	if (!sysfile_read(text, sizeof(text), "%s", path) &&
	    strstr(text, "tls"))
		return 0;
	return failure_set(f, -EOPNOTSUPP, "kTLS",
			   "modprobe tls, or a kernel with CONFIG_TLS",
			   "the kernel cannot do TLS, and a program in between "
			   "would wait for memory for ever");
}

u64 ready_min_free_kib(u64 memory_bytes)
{
	u64 share = memory_bytes / 1024 / MIN_FREE_SHARE;

	return share < MIN_FREE_MAX_KIB ? share : MIN_FREE_MAX_KIB;
}

/* Pages must be had to send pages away. */
static int check_reserve(bool raise, void (*told)(const char *text),
			 struct failure *f)
{
	s64 memory = meminfo_bytes("MemTotal");
	s64 is = sysfile_number(MIN_FREE);
	u64 wanted = ready_min_free_kib(memory < 0 ? 0 : (u64)memory);
	char text[128];

	if (is < 0 || (u64)is >= wanted)
		return 0;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)wanted);
	if (!raise)
		return failure_set(f, -ENOMEM, "vm.min_free_kbytes",
				   "--raise-min-free, or sysctl "
				   "vm.min_free_kbytes",
				   "%lld is too low to send pages away when "
				   "memory is short; it should be %s",
				   (long long)is, text);
	if (sysfile_write(text, MIN_FREE))
		return failure_set(f, -EPERM, "vm.min_free_kbytes", NULL,
				   "cannot be raised");
	snprintf(text, sizeof(text),
		 "vm.min_free_kbytes raised from %lld to %llu", (long long)is,
		 (unsigned long long)wanted);
	told(text);
	return 0;
}

int ready_check(const struct ready_wish *w, void (*told)(const char *text),
		struct failure *f)
{
	int ret;

	if (geteuid())
		return failure_set(f, -EPERM, "virgo", "sudo",
				   "only root can borrow memory");
	/* No devices ahead of time: they are made when they are needed. */
	ret = need("nbd", "nbds_max=0", "/sys/module/nbd", f);
	if (!ret)
		ret = need("raid1", NULL, "/sys/module/raid1", f);
	if (!ret && !w->plaintext)
		ret = need_ktls(f);
	if (!ret && w->seal)
		ret = need("dm-crypt", NULL, "/sys/module/dm_crypt", f);
	if (!ret && w->swap)
		ret = check_reserve(w->raise_min_free, told, f);
	return ret;
}
