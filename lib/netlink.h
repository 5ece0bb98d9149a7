/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Netlink messages, made and read without a library, a heap or a log, so that it
 * can be done while memory is what is missing. Layouts are the kernel's
 * (linux/netlink.h, linux/genetlink.h), in host order; attributes are padded to
 * four bytes, and their length does not count that.
 */
#ifndef VIRGO_LIB_NETLINK_H
#define VIRGO_LIB_NETLINK_H

#include "env.h"

/* A message under way. Nothing is written beyond @size; nl_end() says so. */
struct nl_message {
	u8 *data;
	size_t size;
	size_t used;
	bool full;
};

/* A generic netlink request into @out. */
struct nl_message nl_begin(u8 *out, size_t size, u16 type, u16 flags,
			   u32 sequence, u8 command, u8 version);
void nl_put(struct nl_message *m, u16 type, const void *data, size_t len);
void nl_put_u32(struct nl_message *m, u16 type, u32 v);
void nl_put_u64(struct nl_message *m, u16 type, u64 v);
/* With its NUL. */
void nl_put_text(struct nl_message *m, u16 type, const char *text);
/* Where the nest begins, for nl_nest_end(). */
size_t nl_nest_begin(struct nl_message *m, u16 type);
void nl_nest_end(struct nl_message *m, size_t at);
/* The whole message's length; 0 when it did not fit. */
size_t nl_end(struct nl_message *m);

/* Bytes of a message, or of an attribute, that are not read yet. */
struct nl_rest {
	const u8 *at;
	size_t left;
};

/* The next attribute of @r: its type, or -1 at the end or where it is broken. */
int nl_next(struct nl_rest *r, struct nl_rest *value);
u32 nl_u32(const struct nl_rest *value);
u64 nl_u64(const struct nl_rest *value);
bool nl_is(const struct nl_rest *value, const char *text);

struct nl_header {
	u16 type; /* NLMSG_ERROR: an acknowledgement, or an error; NLMSG_DONE */
	u32 sequence;
	u8 command; /* unless it is one of these */
	int error; /* of those: 0 or a negative errno */
	struct nl_rest attributes;
};

/* Takes the first message of @data; the bytes it had, or -EBADMSG. One that is
 * no generic netlink has no attributes.
 */
int nl_decode(const void *data, size_t len, struct nl_header *h);

/* The question for family @name, and what the controller answers or tells. */
size_t nl_family_encode(u8 *out, size_t size, u32 sequence, const char *name);
struct nl_family {
	u16 id; /* 0: not told */
	u32 group; /* the number of the group asked for; 0: it has none */
	bool named; /* it is about @name */
};
void nl_family_decode(struct nl_rest attributes, const char *name,
		      const char *group, struct nl_family *out);

/* A socket of generic netlink, close-on-exec, or a negative errno. */
int nl_open(int flags);
/* 0 or a negative errno. */
int nl_join(int fd, u32 group);
/*
 * Sends the request @data of number @sequence and waits, as long as the
 * socket's timeout allows, for its acknowledgement, or the end of the dump that
 * it asks for: 0, the error in that,
 * -EMSGSIZE when
 * @len is 0, or a negative errno. @answer, unless NULL, gets each answer to it
 * that comes before.
 */
int nl_ask(int fd, const u8 *data, size_t len, u32 sequence,
	   void (*answer)(const struct nl_header *h, void *arg), void *arg);
/* The numbers of family @name and its @group: 0, -ENOENT when there is no such
 * family, or a negative errno.
 */
int nl_find_family(int fd, u32 sequence, const char *name, const char *group,
		   struct nl_family *out);

#endif
