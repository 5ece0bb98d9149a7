/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls that touch no memory of the C library, for a child that shares its
 * parent's (CLONE_VM) while the parent runs on: errno would be the parent's, too.
 * Each gives what the kernel gives, a negative errno when it fails.
 *
 * Only with musl on x86_64, where virgo-spawn is static and nothing is bound while
 * it runs. Elsewhere share_clone() says ENOSYS, so that no child shares memory,
 * and the calls are those of the C library.
 */
#ifndef VIRGO_DAEMON_RAW_H
#define VIRGO_DAEMON_RAW_H

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "env.h"

/* clone3(2) up to the member for cgroups (Linux 5.7), and flags of it: musl has
 * neither them nor the kernel's headers.
 */
struct clone3 {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size,
		tls, set_tid, set_tid_size, cgroup;
};

#define CLONE3_VM 0x100ULL
#define CLONE3_INTO_CGROUP 0x200000000ULL

#if defined(__x86_64__) && !defined(__GLIBC__)

static inline long raw_call(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

#define RAW_ARGS(zero, a, b, c, d, e, ...)                                     \
	(long)(a), (long)(b), (long)(c), (long)(d), (long)(e)
/* By name, and by number for those that the C library has no function for. */
#define RAW_NR(nr, ...)                                                        \
	raw_call(nr, RAW_ARGS(0, ##__VA_ARGS__, 0, 0, 0, 0, 0))
#define RAW(name, ...) RAW_NR(SYS_##name, ##__VA_ARGS__)

static inline void raw_exit(int status) __attribute__((noreturn));
static inline void raw_exit(int status)
{
	for (;;)
		raw_call(SYS_exit_group, status, 0, 0, 0, 0);
}

/* As clone3(2) with @args, which names a stack; the child calls @run, which must
 * not return.
 */
static inline pid_t share_clone(struct clone3 *args, void (*run)(void *),
				void *arg)
{
	register void (*r12)(void *) __asm__("r12") = run;
	register void *r13 __asm__("r13") = arg;
	long ret;

	args->flags |= CLONE3_VM;
	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "movq %%r13, %%rdi\n\t"
			 "callq *%%r12\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)),
			   "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory");
	return (pid_t)ret;
}

#else

static inline long raw_result(long ret)
{
	return ret < 0 ? -errno : ret;
}

#define RAW_NR(nr, ...) raw_result(syscall(nr, ##__VA_ARGS__))
#define RAW(name, ...) raw_result(name(__VA_ARGS__))

static inline void raw_exit(int status) __attribute__((noreturn));
static inline void raw_exit(int status)
{
	_exit(status);
}

static inline pid_t share_clone(struct clone3 *args, void (*run)(void *),
				void *arg)
{
	return -ENOSYS;
}

#endif
#endif
