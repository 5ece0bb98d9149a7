/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses as people write them: "10.0.0.1", "10.0.0.1:8747", "[fd00::1]:8747",
 * "fd00::1", "beta.lan", and comma-separated lists of these.
 */
#ifndef VIRGO_LIB_ADDRESS_H
#define VIRGO_LIB_ADDRESS_H

#include <sys/socket.h>

#include "env.h"

enum { VIRGO_PORT = 8747, ADDRESS_MAX = 16, ADDRESS_TEXT_MAX = 72 };

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/*
 * Turns a list into at most @max addresses, in order, entries without a port
 * getting @port. With @names host names are looked up, which blocks; without,
 * an entry that is a name is -EAGAIN (look it up in another thread). The number
 * of addresses, -EINVAL for a malformed list, -ENOENT when nothing was found.
 */
int address_resolve(const char *list, u16 port, bool names,
		    struct address *out, int max);

/* "10.0.0.1:8747" or "[fd00::1]:8747" into @out of ADDRESS_TEXT_MAX bytes. */
const char *address_text(const struct sockaddr *sa, char *out);

#endif
