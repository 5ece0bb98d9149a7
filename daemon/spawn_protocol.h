/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What virgod and its helper virgo-spawn say to each other, over a SOCK_SEQPACKET
 * socket pair: one message is one packet, a struct spawn_message, then a payload
 * by kind. Both are built together and virgod starts the helper, so these are
 * native structs; only the JOB_START inside came from a network, and virgo-spawn
 * decodes it with the checked decoders of wire.h.
 *
 * The helper is root and does what virgod must not: it may block on user data
 * bases, become other users and fork while hundreds of jobs run. The end of the
 * socket tells it that virgod is gone: it kills every job that is not detached,
 * and stays until the last detached one has ended and its status is written.
 */
#ifndef VIRGO_DAEMON_SPAWN_PROTOCOL_H
#define VIRGO_DAEMON_SPAWN_PROTOCOL_H

#include "env.h"

enum spawn_kind {
	/* virgod to virgo-spawn */
	/* payload: struct spawn_start, then JOB_START or a memfd with it */
	SPAWN_START = 1,
	SPAWN_SIGNAL, /* value: signal, to the job's process group */
	SPAWN_KILL, /* the whole job, at once */
	SPAWN_WHO, /* value: uid, job: echoed */
	/* virgo-spawn to virgod */
	SPAWN_STARTED, /* value: pid */
	SPAWN_FAILED, /* stage, value: errno; payload: what, or what LF remedy */
	/* payload: struct spawn_exit; without SPAWN_STARTED before it when the job
	 * had ended before its start was told
	 */
	SPAWN_EXITED,
	SPAWN_NAME, /* value: uid; stage: errno, 0; payload: its name, or empty */
};

enum spawn_stage { /* where a start failed */
	STAGE_REQUEST = 1, /* malformed */
	STAGE_USER, /* no such account, refused by PAM, or a system account */
	STAGE_LIMIT, /* a limit that this node cannot keep */
	STAGE_FORK,
	STAGE_SETUP, /* session, terminal, streams */
	STAGE_IDENTITY, /* becoming the user */
	STAGE_CWD,
	STAGE_EXEC,
};

enum spawn_flags { /* of SPAWN_START */
	SPAWN_ALLOW_SYSTEM = 1 << 0, /* policy names this user */
	SPAWN_HAS_BLOB = 1 << 1, /* a descriptor of the program follows */
	SPAWN_HAS_SPEC = 1 << 2, /* a memfd with the JOB_START follows */
	SPAWN_HAS_FOLDER = 1 << 3, /* detached: its folder follows, last */
};

/* SPAWN_START carries descriptors: stdin, stdout, stderr (a terminal's slave
 * three times), then those that flags name, in order.
 */
struct spawn_message {
	u32 kind;
	u32 flags;
	u64 job;
	s32 value;
	u32 stage;
};

struct spawn_start {
	u32 uid_min; /* 0: as the machine says */
	u32 pam; /* enum user_pam */
	char from[64]; /* the calling node */
};

enum {
	SPAWN_FDS_MAX = 6,
	SPAWN_INLINE_MAX = 32 << 10, /* a longer JOB_START goes in a memfd */
	SPAWN_TEXT_MAX = 640,
};

struct spawn_exit {
	s32 status; /* as from wait() */
	u32 oom; /* the kernel killed it for its memory limit */
	u64 user_us;
	u64 system_us;
	u64 max_rss_bytes;
	u32 left; /* processes that SIGKILL did not end within 5 s */
	s32 pid; /* as of SPAWN_STARTED */
};

/* Names of files in a detached job's folder. */
#define SPAWN_STATUS_FILE "status" /* written whole, once, at the end */
#define SPAWN_PID_FILE "pid" /* "pid starttime cgroup-path" once it runs */

#endif
