/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place that knows whether core/ is being compiled into the kernel or
 * into a program. It gives core/ its integer types, errno values, string
 * functions, assertions and unaligned little-endian access; nothing else in
 * core/ may ask which side it is on.
 */
#ifndef VIRGO_CORE_ENV_H
#define VIRGO_CORE_ENV_H

#ifdef __KERNEL__

#include <asm/barrier.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

#define load_acquire(p) smp_load_acquire(p)
#define store_release(p, v) smp_store_release(p, v)

#else

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

/* Between processes and processors that share memory; up to a long's width. */
#define load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

/* As the kernel's: 32-bit machines have no 64-bit division there. */
static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

#endif /* __KERNEL__ */

/* Before the name of a large variable that is written before it is read: kernels
 * that clear all of their stack (INIT_STACK_ALL_ZERO) do so at each call.
 */
#if __has_attribute(__uninitialized__)
#define NOT_CLEARED __attribute__((__uninitialized__))
#else
#define NOT_CLEARED
#endif

/* Little-endian access to unaligned bytes, written out so that both sides and
 * every architecture give the same layout; compilers turn each into one move.
 */
static inline u16 get_u16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static inline u32 get_u32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static inline u64 get_u64(const u8 *p)
{
	return (u64)get_u32(p) | (u64)get_u32(p + 4) << 32;
}

static inline void put_u16(u8 *p, u16 v)
{
	p[0] = (u8)(v & 0xff);
	p[1] = (u8)(v >> 8 & 0xff);
}

static inline void put_u32(u8 *p, u32 v)
{
	p[0] = (u8)(v & 0xff);
	p[1] = (u8)(v >> 8 & 0xff);
	p[2] = (u8)(v >> 16 & 0xff);
	p[3] = (u8)(v >> 24);
}

static inline void put_u64(u8 *p, u64 v)
{
	put_u32(p, (u32)v);
	put_u32(p + 4, (u32)(v >> 32));
}

#endif
