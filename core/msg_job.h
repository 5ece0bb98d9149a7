/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Job messages; how to read the tables is in messages.h.
 *
 * JOB_START travels from a caller over its virgod to the node named in it; all
 * later frames of the job carry its tag. Frames towards the caller carry
 * FRAME_REPLY, and FRAME_MORE until the last, which is JOB_EXIT or ERROR.
 *
 * In JOB_DATA the header's stream is 0, 1 or 2 (stdin, stdout, stderr), the
 * payload is the bytes themselves, without fields, and FRAME_EOF half-closes
 * the stream. FRAME_EOF sent against a stream's direction says that its reader
 * is gone: the program gets SIGPIPE, or the caller need not send more.
 *
 * A side may send at most as many bytes on a stream as the other has allowed:
 * JOB_START allows window_bytes on stdout and as many on stderr, the header's
 * credit of JOB_STARTED opens stdin, that of JOB_CREDIT or JOB_DATA adds to the
 * header's stream.
 *
 * The first virgod overwrites user with the name of its local caller.
 */
#ifndef VIRGO_CORE_MSG_JOB_H
#define VIRGO_CORE_MSG_JOB_H

#include "env.h"

#define JOB_MESSAGES(M)                                                        \
	M(64, JOB_START, job_start, "run a program on a node")                 \
	M(65, JOB_STARTED, job_started, "it runs")                             \
	M(66, JOB_DATA, job_data, "bytes of a stream (raw payload)")           \
	M(67, JOB_CREDIT, job_credit, "the stream may carry this much more")   \
	M(68, JOB_SIGNAL, job_signal, "send the job's group a signal")         \
	M(69, JOB_WINCH, job_winch, "the caller's window changed")             \
	M(70, JOB_EXIT, job_exit, "it ended, and how")                         \
	M(71, JOB_LIST, job_list, "the caller's jobs on a node")               \
	M(72, JOBS, jobs, "answer to JOB_LIST")                                \
	M(73, JOB_ATTACH, job_attach, "follow a detached job's output")        \
	M(74, JOB_WAIT, job_wait, "answer JOB_EXIT at the end, and forget it") \
	M(75, JOB_KILL, job_kill, "signal a job by its number")                \
	M(76, JOB_CANCEL, job_cancel, "the caller is gone: end the exchange")  \
	M(77, BLOB_PUT, blob_put, "a piece of a program to cache")

#define FIELDS_JOB_START(R, O)                                                 \
	R(str, node) R(str, user) R(u32, flags) R(list, argv) R(list, env)     \
	R(str, cwd) R(str, term) R(u16, rows) R(u16, cols) R(u16, umask)       \
	R(u64, timeout_ms) R(u64, memory_bytes) R(u32, cpu_ppm) R(u32, pids)   \
	R(bytes, blob) R(u32, window_bytes)
#define FIELDS_JOB_STARTED(R, O) R(u64, job) R(u32, pid) R(str, node)
#define FIELDS_JOB_DATA(R, O)
#define FIELDS_JOB_CREDIT(R, O)
#define FIELDS_JOB_SIGNAL(R, O) R(u32, signal)
#define FIELDS_JOB_WINCH(R, O) R(u16, rows) R(u16, cols)
#define FIELDS_JOB_EXIT(R, O)                                                  \
	R(u8, reason) R(s32, status) R(u64, user_us) R(u64, system_us)         \
	R(u64, max_rss_bytes) R(str, why) R(str, remedy)
#define FIELDS_JOB_LIST(R, O) R(str, node) R(str, user)
#define FIELDS_JOBS(R, O) R(list, jobs)
#define FIELDS_JOB_ATTACH(R, O)                                                \
	R(str, node) R(str, user) R(u64, job) R(u32, window_bytes)
#define FIELDS_JOB_WAIT(R, O) R(str, node) R(str, user) R(u64, job)
#define FIELDS_JOB_KILL(R, O) R(str, node) R(str, user) R(u64, job) R(u32, signal)
#define FIELDS_JOB_CANCEL(R, O)
#define FIELDS_BLOB_PUT(R, O)                                                  \
	R(str, node) R(str, user) R(bytes, hash) R(u64, offset) R(u8, last)    \
	R(bytes, data)

#define JOB_RECORDS(M)                                                         \
	M(TEXT, text, "one string of a list")                                  \
	M(JOB_STATUS, job_status, "JOBS: a job")

#define FIELDS_TEXT(R, O) R(str, text)
#define FIELDS_JOB_STATUS(R, O)                                                \
	R(u64, job) R(str, node) R(str, user) R(str, from) R(str, state)       \
	R(u64, started_s) R(s32, status) R(u32, pid) R(str, command)           \
	R(u8, detached)

enum job_flags { /* JOB_START.flags */
	JOB_PTY = 1 << 0, /* a terminal instead of three pipes */
	JOB_DETACH = 1 << 1, /* lives on without its caller */
	/* Nothing will come on stdin, which is /dev/null. JOB_STARTED has no
	 * credit then, and need not come before output or, for a short job,
	 * before JOB_EXIT does.
	 */
	JOB_NO_INPUT = 1 << 2,
	JOB_FLAGS_KNOWN = (1 << 3) - 1,
};

enum job_reason { /* JOB_EXIT.reason; status is what a shell would show */
	JOB_EXITED, /* status: 0 to 255 */
	JOB_SIGNALED, /* status: 128 + signal */
	JOB_TIMED_OUT, /* timeout_ms passed; status 124 */
	JOB_OUT_OF_MEMORY, /* beyond memory_bytes; status 137 */
	JOB_NOT_FOUND, /* no such program; status 127 */
	JOB_NOT_EXECUTABLE, /* not a program for this machine; status 126 */
	JOB_LOST, /* nobody saw it end; status 255 */
};

enum {
	JOB_STREAMS = 3,
	JOB_WINDOW_MAX = 2 << 20, /* no stream's window grows beyond */
	JOB_UMASK_DEFAULT = 0xffff, /* JOB_START.umask: the node's own */
	JOB_BLOB_PIECE = 256 << 10, /* most data in one BLOB_PUT */
	JOB_BLOB_HASH = 32, /* SHA-256 */
};

#endif
