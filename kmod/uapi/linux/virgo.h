/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
/*
 * What programs and virgo.ko say to each other; virgo(4) explains it.
 *
 * /dev/virgo belongs to the network namespace its opener is in. Namespaces of
 * user namespaces other than the initial one have no instance: ENODEV.
 *
 *	ioctl()	an unknown request gives ENOTTY, an unknown flag or a reserved
 *		field that is not zero EINVAL
 *	mmap()	offset 0, read only: the table of variables, VIRGO_VARS_BYTES,
 *		laid out as in virgo_var_get(3)
 *
 * The generic netlink family "virgo" is the control plane. Commands that change
 * something need CAP_NET_ADMIN in the initial user namespace.
 *
 * Structs have the same layout for 32 and 64 bits. A new field means a new
 * request number.
 */
#ifndef _UAPI_LINUX_VIRGO_H
#define _UAPI_LINUX_VIRGO_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VIRGO_VARS_BYTES	(1 << 20)

/* Bits of virgo_info.features. */
#define VIRGO_FEATURE_VARS	(1 << 0)
#define VIRGO_FEATURE_CALLS	(1 << 1)
#define VIRGO_FEATURE_CACHE	(1 << 2)
#define VIRGO_FEATURE_JOBS	(1 << 3)
#define VIRGO_FEATURE_MEMORY	(1 << 4)

struct virgo_info {
	__u32 abi;		/* 1 */
	__u32 reserved;
	__u64 features;
};

#define VIRGO_IOC_INFO		_IOR(0xBA, 0x00, struct virgo_info)

/*
 * Hands a TCP connection to another node over to the module. It is of the same
 * namespace, established, with TLS 1.3 by the kernel in both directions, and
 * nothing else (no session ticket) is to come on it. Gives a descriptor that
 * becomes readable when the connection has ended; closing it ends the connection.
 * CAP_NET_ADMIN in the initial user namespace.
 */
struct virgo_adopt {
	__s32 fd;
	__u32 flags;		/* VIRGO_ADOPT_AGENT */
	char node[64];		/* who is at the other end; never changes */
};

/* The descriptor serves jobs that the node asks for: frames are read from it and
 * answers written to it, with the tags that the frames have.
 */
#define VIRGO_ADOPT_AGENT	(1 << 0)

#define VIRGO_IOC_ADOPT		_IOW(0xBA, 0x01, struct virgo_adopt)

/*
 * Calls a kernel function of a node, "" for this one, and gives the length of
 * its result. Who has CAP_NET_ADMIN in the initial user namespace calls as the
 * machine; a user named by VIRGO_CMD_CALLER_ALLOW by that name; others EPERM.
 */
struct virgo_call {
	char node[64];
	char name[48];
	__u64 argument;		/* address */
	__u64 result;		/* address */
	__u32 argument_len;
	__u32 result_size;
	__u32 deadline_ms;	/* 1 to 3600000 */
	__u32 flags;		/* 0 */
};

#define VIRGO_CALL_BYTES_MAX	(64 << 10)	/* argument, and result */
#define VIRGO_IOC_CALL		_IOWR(0xBA, 0x02, struct virgo_call)

/*
 * Gives a descriptor for a program to be run on a node. Frames (JOB_START first)
 * are written to it, and read from it until the program's last, as a program and
 * its virgod say them to each other. The names of user and node in JOB_START are
 * set by the module. Closing it ends the program. A caller of an older or newer
 * kernel says how long its struct is: what is beyond ours must be zero.
 */
struct virgo_clone {
	__u32 size;		/* sizeof(struct virgo_clone) */
	__u32 flags;		/* 0 */
	char node[64];
	__u32 wait_ms;		/* for a connection; 0: only if there is one */
	__u32 reserved;		/* 0 */
};

#define VIRGO_CLONE_SIZE_1	80	/* of the first version */
/* The number does not depend on the struct's length. */
#define VIRGO_IOC_CLONE		_IOW(0xBA, 0x03, __u32)

/*
 * Memory objects, which virgo_malloc(3) explains, by way of this node's virgod. An
 * open file is one program to virgod, the one that holds what it has made, and
 * belongs to the user who asked first: others get EPERM. Requests on one file are
 * done one after another; who does not want to wait opens another.
 *
 * A request that failed tells why in virgod's words: words_size bytes at words,
 * unless it is 0, get a payload of ERROR (virgo-protocol(7)) or its beginning.
 */
struct virgo_malloc {
	__u8 handle[16];	/* out */
	__u64 bytes;
	__u64 words;		/* address */
	__u32 lease_ms;		/* 0: the standard one */
	__u32 deadline_ms;	/* at most 3600000; 0: as long as it takes */
	__u32 words_size;
	__u32 flags;		/* 0 */
};

struct virgo_memory {
	__u8 handle[16];
	__u64 offset;
	__u64 length;
	__u64 address;		/* of the caller's bytes; FREE: all three are 0 */
	__u64 words;		/* address */
	__u32 deadline_ms;
	__u32 words_size;
	__u32 flags;		/* 0 */
	__u32 reserved;		/* 0 */
};

#define VIRGO_IOC_MALLOC	_IOWR(0xBA, 0x04, struct virgo_malloc)
#define VIRGO_IOC_SET		_IOW(0xBA, 0x05, struct virgo_memory)
#define VIRGO_IOC_GET		_IOW(0xBA, 0x06, struct virgo_memory)
#define VIRGO_IOC_FREE		_IOW(0xBA, 0x07, struct virgo_memory)

/*
 * For virgod: a socket of a program that waits to be served by it, as if it had
 * connected to virgod's own, SO_PEERCRED included; EAGAIN when none waits. The
 * argument is 0. CAP_NET_ADMIN in the initial user namespace.
 */
#define VIRGO_IOC_ACCEPT	_IO(0xBA, 0x08)

/* In place of a function's name in VIRGO_CMD_FN_ALLOW: who may ask for jobs. */
#define VIRGO_FN_JOBS		"virgo.run"

/* Generic netlink. */

#define VIRGO_GENL_NAME		"virgo"
#define VIRGO_GENL_VERSION	1
/* VIRGO_CMD_VAR_CHANGED after a variable was set; several changes of one in
 * short succession may be told once, the last is always told.
 */
#define VIRGO_GENL_GROUP_VARS	"vars"
/* VIRGO_CMD_PEER_WANTED when a call waits for a connection to a node,
 * VIRGO_CMD_CALLER_WAITS when a program waits for VIRGO_IOC_ACCEPT. Needs
 * CAP_NET_ADMIN. A listener that is behind with its news counts as there if it has
 * set NETLINK_BROADCAST_ERROR; after ENOBUFS it looks for callers.
 */
#define VIRGO_GENL_GROUP_PEERS	"peers"

enum virgo_cmd {
	VIRGO_CMD_UNSPEC,
	VIRGO_CMD_VAR_SET,	/* all VIRGO_A_VAR_* but UPDATED */
	VIRGO_CMD_VAR_GET,	/* by VIRGO_A_VAR_NAME, or a dump of all */
	VIRGO_CMD_VAR_CHANGED,	/* as answered by VAR_GET */
	VIRGO_CMD_LIMITS_SET,	/* any VIRGO_A_LIMIT_*, clamped */
	VIRGO_CMD_LIMITS_GET,	/* all VIRGO_A_LIMIT_* */
	VIRGO_CMD_FN_ALLOW,	/* VIRGO_A_FN_NAME, VIRGO_A_NODE, may: USER */
	VIRGO_CMD_FN_DENY,	/* the same; none: takes all rules back */
	/* VIRGO_A_CACHE_PORT, may: BYTES, VALUE, and as CACHE_SET */
	VIRGO_CMD_CACHE_START,
	VIRGO_CMD_CACHE_STOP,	/* VIRGO_A_CACHE_PORT */
	VIRGO_CMD_CACHE_GET,	/* a dump: VIRGO_A_CACHE_* of each */
	VIRGO_CMD_CALLER_ALLOW,	/* VIRGO_A_UID, VIRGO_A_USER */
	VIRGO_CMD_CALLER_DENY,	/* VIRGO_A_UID; none: all */
	VIRGO_CMD_NODE_SET,	/* VIRGO_A_NODE: what this node is called */
	VIRGO_CMD_PEER_WANTED,	/* VIRGO_A_NODE */
	VIRGO_CMD_PEER_FAILED,	/* VIRGO_A_NODE: nobody waits for it any longer */
	VIRGO_CMD_CALLER_WAITS,	/* told only */
	/* VIRGO_A_CACHE_PORT, may: IDLE, STALL, CLIENTS, HOT, WARM */
	VIRGO_CMD_CACHE_SET,

	__VIRGO_CMD_MAX
};
#define VIRGO_CMD_MAX		(__VIRGO_CMD_MAX - 1)

enum virgo_attr {
	VIRGO_A_UNSPEC,
	VIRGO_A_PAD,
	VIRGO_A_VAR_NAME,	/* string, at most 47 bytes */
	VIRGO_A_VAR_UNIT,	/* string, at most 7 bytes */
	VIRGO_A_VAR_PRODUCER,	/* string, at most 15 bytes */
	VIRGO_A_VAR_TYPE,	/* u8: 1 s64, 2 u64, 3 fixed 32.32, 4 bool */
	VIRGO_A_VAR_MODE,	/* u8: 0 off, 1 shadow, 2 on */
	VIRGO_A_VAR_VALUE,	/* u64, two's complement */
	VIRGO_A_VAR_MIN,	/* u64 */
	VIRGO_A_VAR_MAX,	/* u64 */
	VIRGO_A_VAR_DEFAULT,	/* u64 */
	VIRGO_A_VAR_UPDATED,	/* u64: ns since boot, set by the module */
	VIRGO_A_VAR_TTL,	/* u32: ms; 0: never stale */
	VIRGO_A_VAR_CONFIDENCE,	/* u32: ppm */
	VIRGO_A_LIMIT_HANDLES,	/* u32 */
	VIRGO_A_LIMIT_CONNECTIONS,	/* u32 */
	VIRGO_A_LIMIT_RULES,	/* u32 */
	VIRGO_A_LIMIT_CALLS,	/* u32 */
	VIRGO_A_LIMIT_JOBS,	/* u32 */
	VIRGO_A_FN_NAME,	/* string, at most 47 bytes */
	VIRGO_A_NODE,		/* string, at most 63 bytes; in rules "*": any */
	VIRGO_A_LIMIT_CACHES,	/* u32 */
	VIRGO_A_CACHE_PORT,	/* u16, of 127.0.0.1 */
	VIRGO_A_CACHE_BYTES,	/* u64: the budget; clamped */
	VIRGO_A_CACHE_VALUE,	/* u32: the longest value; clamped */
	VIRGO_A_CACHE_IDLE,	/* u32: s; 0: for ever */
	VIRGO_A_CACHE_HELD,	/* u64: bytes in use */
	VIRGO_A_CACHE_ITEMS,	/* u64 */
	VIRGO_A_CACHE_CONNECTIONS,	/* u32 */
	VIRGO_A_USER,		/* string, at most 63 bytes; in rules "*": any */
	VIRGO_A_UID,		/* u32 */
	VIRGO_A_CACHE_STALL,	/* u32: s, within a command; 0: for ever */
	VIRGO_A_CACHE_CLIENTS,	/* u32: connections at most; 0: no bound */
	VIRGO_A_CACHE_HOT,	/* u32: percent of a size class's items */
	VIRGO_A_CACHE_WARM,	/* u32: percent; with HOT at most 80 */

	__VIRGO_A_MAX
};
#define VIRGO_A_MAX		(__VIRGO_A_MAX - 1)

#endif
