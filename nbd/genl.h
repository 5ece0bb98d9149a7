/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's nbd driver, spoken to by generic netlink without a library: no
 * call here allocates, forks or logs, so that they can be used while memory is
 * what is missing. Encoding and decoding are apart from the socket, for tests.
 *
 * The driver answers in the initial network namespace only and wants
 * CAP_SYS_ADMIN there.
 */
#ifndef VIRGO_NBD_GENL_H
#define VIRGO_NBD_GENL_H

#include "failure.h"

enum {
	GENL_MESSAGE_MAX = 2048,
	GENL_SOCKETS_MAX = 16, /* of one device */
	GENL_IDENTIFIER_MAX = 127,
};

struct genl {
	int fd; /* requests and their answers */
	int events; /* the multicast group; non-blocking */
	u16 family;
	u32 sequence;
};

/* What a device is to be. */
struct genl_device {
	int index; /* -1: any that is free */
	u64 size_bytes;
	u64 block_bytes;
	u64 timeout_s; /* of a request; then its socket counts as dead */
	u64 patience_s; /* how long requests wait for a new socket */
	u64 server_flags; /* as the export said */
	const char *identifier; /* only who knows it may reconfigure */
	const int *sockets;
	u32 count;
};

/* A whole message into @out (GENL_MESSAGE_MAX bytes); its length. */
size_t genl_family_encode(u8 *out, u32 sequence);
size_t genl_connect_encode(u8 *out, u16 family, u32 sequence,
			   const struct genl_device *d);
/* Only new sockets: whatever else stood in it would stop the device's queue. */
size_t genl_reconfigure_encode(u8 *out, u16 family, u32 sequence, int index,
			       const char *identifier, const int *sockets,
			       u32 count);
size_t genl_disconnect_encode(u8 *out, u16 family, u32 sequence, int index);
size_t genl_status_encode(u8 *out, u16 family, u32 sequence, int index);

/* What a datagram of @len bytes says. */
struct genl_answer {
	bool ended; /* an acknowledgement, or an error: no more comes */
	int error; /* negative errno */
	u32 sequence;
	u16 family; /* of a family's description; 0: none */
	u32 group; /* of its group nbd_mc_group; 0: none */
	int command; /* NBD_CMD_*; -1: none */
	int index; /* -1: none */
	int connected; /* of a status: configured, not that it lives; -1 */
};
/* Takes the first message of @data; the bytes it had, or -EBADMSG. */
int genl_decode(const void *data, size_t len, u16 family,
		struct genl_answer *a);

/* -ENOENT: the kernel has no nbd driver, or not in this namespace. */
int genl_open(struct genl *g, struct failure *f);
void genl_close(struct genl *g);
/* Each waits for the kernel's answer: 0 (or the index) or a negative errno. */
int genl_connect(struct genl *g, const struct genl_device *d);
int genl_reconfigure(struct genl *g, int index, const char *identifier,
		     const int *sockets, u32 count);
int genl_disconnect(struct genl *g, int index);
/* 1 configured, 0 not. */
int genl_status(struct genl *g, int index);
/* The index of a device one of whose sockets died, -EAGAIN when there is no
 * more news, or -ENOBUFS when some was lost and every device must be looked at.
 */
int genl_next_dead(struct genl *g);

#endif
