/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a node can be reached: a host name or a numeric address, and a port.
 * Written "host", "host:port", "192.0.2.1:port", "2001:db8::1" or
 * "[2001:db8::1]:port"; several with commas between.
 */
#ifndef VIRGO_DAEMON_ADVERTISE_H
#define VIRGO_DAEMON_ADVERTISE_H

#include "failure.h"

enum {
	HOST_MAX = 253,
	ADVERTISED_TEXT_MAX = HOST_MAX + 8, /* brackets, colon, port */
	ADVERTISED_LIST_MAX = 511, /* bytes of a whole list */
};

struct advertised {
	char host[HOST_MAX + 1]; /* without brackets */
	u16 port;
	bool numeric_v6; /* the text form needs brackets */
};

/* Reads one address of @len bytes. -EINVAL and @f when it is none. */
int advertised_parse(struct advertised *out, const char *text, size_t len,
		  u16 default_port, struct failure *f);
/* The next address of the comma-separated list *@at, which is moved past it:
 * 1, 0 at the end, -EINVAL.
 */
int advertised_next(struct advertised *out, const char **at, u16 default_port,
		 struct failure *f);
/* "host:port", with brackets where needed, into ADVERTISED_TEXT_MAX + 1 bytes. */
void advertised_print(const struct advertised *a, char *out);
/* Rewrites a list in full form ("a,b" to "a:8747,b:8747") into @out. -EINVAL,
 * or -E2BIG when it does not fit; an empty list is -EINVAL.
 */
int advertised_list(const char *text, u16 default_port, char *out, size_t size,
		 struct failure *f);

struct conf_list;
/* The list with commas between, into ADVERTISED_LIST_MAX + 1 bytes; -E2BIG. */
int advertised_join(const struct conf_list *l, char *out);

#endif
