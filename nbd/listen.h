/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where virgo-nbd is reached: addresses, unix sockets, and sockets that systemd
 * passed. Data in the clear never leaves the machine unless an interface is
 * named for it.
 */
#ifndef VIRGO_NBD_LISTEN_H
#define VIRGO_NBD_LISTEN_H

#include "server.h"

enum { LISTENERS_MAX = 32 };

struct listener {
	struct watch watch;
	struct server *server;
	bool trusted; /* unix or loopback */
	char path[108]; /* to be removed at the end; "" for none */
};

struct listeners {
	struct listener at[LISTENERS_MAX];
	u32 count;
	const char *plain_on; /* --plaintext-on, or NULL */
};

/*
 * Each opens and watches; 0, or a negative errno with @f. @server's loop and keys
 * are set. listen_address() takes a list as lib/address.h does; a unix socket
 * that nobody listens on any more is replaced.
 */
int listen_address(struct listeners *l, struct server *s, const char *list,
		   struct failure *f);
int listen_unix(struct listeners *l, struct server *s, const char *path,
		struct failure *f);
/* Those of systemd's socket activation; the number taken. */
int listen_passed(struct listeners *l, struct server *s, struct failure *f);
void listen_end(struct listeners *l);

/* An AF_UNIX stream socket listening on @path, or a negative errno with @f. */
int listen_unix_socket(const char *path, mode_t mode, struct failure *f);

#endif
