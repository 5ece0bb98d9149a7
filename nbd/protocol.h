/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of the NBD protocol as its specification has them (doc/proto.md of
 * the nbd project). Everything on the wire is big-endian.
 */
#ifndef VIRGO_NBD_PROTOCOL_H
#define VIRGO_NBD_PROTOCOL_H

#include "env.h"

#define NBD_MAGIC 0x4e42444d41474943ull /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC 0x49484156454f5054ull /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC 0x3e889045565a9ull
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_MAGIC 0x67446698u
#define NBD_CHUNK_MAGIC 0x668e33efu

enum {
	NBD_NAME_MAX = 4096,
	NBD_PORT = 10809,
	NBD_GREETING_LEN = 18,
	NBD_OPTION_LEN = 16,
	NBD_OPTION_REPLY_LEN = 20,
	NBD_REQUEST_LEN = 28,
	NBD_SIMPLE_LEN = 16,
	NBD_CHUNK_LEN = 20,
	/* What a client may rely on without asking; we take any alignment. */
	NBD_BLOCK_MIN = 1,
	NBD_BLOCK_PREFERRED = 4096,
	NBD_PAYLOAD_MAX = 32 << 20,
};

enum nbd_hello { /* handshake flags, either side */
	NBD_FIXED_NEWSTYLE = 1 << 0,
	NBD_NO_ZEROES = 1 << 1,
};

enum nbd_option {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
};

#define NBD_REP_ACK 1u
#define NBD_REP_SERVER 2u
#define NBD_REP_INFO 3u
#define NBD_REP_META_CONTEXT 4u
#define NBD_REP_ERR_UNSUP 0x80000001u
#define NBD_REP_ERR_POLICY 0x80000002u
#define NBD_REP_ERR_INVALID 0x80000003u
#define NBD_REP_ERR_TLS_REQD 0x80000005u
#define NBD_REP_ERR_UNKNOWN 0x80000006u
#define NBD_REP_ERR_TOO_BIG 0x80000009u

enum nbd_info {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_DESCRIPTION = 2,
	NBD_INFO_BLOCK_SIZE = 3,
};

enum nbd_flag { /* transmission flags of an export */
	NBD_FLAG_HAS_FLAGS = 1 << 0,
	NBD_FLAG_READ_ONLY = 1 << 1,
	NBD_FLAG_SEND_FLUSH = 1 << 2,
	NBD_FLAG_SEND_FUA = 1 << 3,
	NBD_FLAG_SEND_TRIM = 1 << 5,
	NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
	NBD_FLAG_SEND_DF = 1 << 7,
	NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
	NBD_FLAG_SEND_CACHE = 1 << 10,
	NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
};

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

enum nbd_command_flag {
	NBD_CMD_FUA = 1 << 0,
	NBD_CMD_NO_HOLE = 1 << 1,
	NBD_CMD_DF = 1 << 2,
	NBD_CMD_REQ_ONE = 1 << 3,
	NBD_CMD_FAST_ZERO = 1 << 4,
};

enum nbd_chunk {
	NBD_CHUNK_DONE = 1, /* flag: the last of its reply */
	NBD_CHUNK_NONE = 0,
	NBD_CHUNK_DATA = 1,
	NBD_CHUNK_HOLE = 2,
	NBD_CHUNK_STATUS = 5,
	NBD_CHUNK_ERROR = (1 << 15) + 1,
};

enum nbd_state { NBD_STATE_HOLE = 1 << 0, NBD_STATE_ZERO = 1 << 1 };

enum nbd_error {
	NBD_EPERM = 1,
	NBD_EINVAL = 22,
	NBD_EIO = 5,
	NBD_ENOSPC = 28,
};

static inline u16 get_be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static inline u32 get_be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static inline u64 get_be64(const u8 *p)
{
	return (u64)get_be32(p) << 32 | get_be32(p + 4);
}

static inline void put_be16(u8 *p, u16 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static inline void put_be32(u8 *p, u32 v)
{
	put_be16(p, (u16)(v >> 16));
	put_be16(p + 2, (u16)v);
}

static inline void put_be64(u8 *p, u64 v)
{
	put_be32(p, (u32)(v >> 32));
	put_be32(p + 4, (u32)v);
}

#endif
