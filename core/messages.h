/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every message of the VIRGO protocol, once. From these tables wire.h and
 * wire.c make the structs, encoders, decoders and names, and the manual page
 * virgo-protocol(7) is printed from them.
 *
 * A table row is M(number, NAME, name, "meaning"); the fields of NAME are
 * FIELDS_NAME(R, O): R(kind, field) must be present, O(kind, field) was
 * appended later, reads as zero when a shorter payload ends before it, and must
 * follow all R. Bytes after the last known field are skipped, so that a newer
 * sender can append. Rows and fields are never renumbered, reordered or removed.
 *
 * Kinds: u8 u16 u32 u64 s32 s64, little-endian; str (UTF-8 or file-name bytes),
 * bytes (opaque) and list (encoded records one after another, each with its own
 * u32 length in front), all three with a u32 length in front.
 *
 * Numbers: 1-63 control and catalog, 64-127 jobs, 128-255 files, 256-319 kernel
 * functions, variables, cache and memory objects, 320-383 publish and subscribe
 * (reserved), 384-399 lent memory, 400-447 borrowed memory.
 */
#ifndef VIRGO_CORE_MESSAGES_H
#define VIRGO_CORE_MESSAGES_H

#include "msg_borrow.h"
#include "msg_cache.h"
#include "msg_control.h"
#include "msg_job.h"
#include "msg_file.h"
#include "msg_kernel.h"
#include "msg_malloc.h"
#include "msg_memory.h"

#define VIRGO_MESSAGES(M)                                                      \
	CONTROL_MESSAGES(M) JOB_MESSAGES(M) FILE_MESSAGES(M) KERNEL_MESSAGES(M)       \
	MEMORY_MESSAGES(M) BORROW_MESSAGES(M) CACHE_MESSAGES(M)                \
	MALLOC_MESSAGES(M)
#define VIRGO_RECORDS(M)                                                       \
	CONTROL_RECORDS(M) JOB_RECORDS(M) FILE_RECORDS(M) MEMORY_RECORDS(M) \
	BORROW_RECORDS(M) MALLOC_RECORDS(M) CACHE_RECORDS(M)

#endif
