// SPDX-License-Identifier: LGPL-2.1-or-later
/* Parsing and resolving addresses; the contract is in address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOST_MAX = 256 };

/* Splits one entry into host and port; false when it is malformed. */
static bool split(const char *s, size_t len, char *host, char *port)
{
	const char *end = s + len;
	const char *colon = NULL;
	const char *p;
	size_t host_len = len;

	port[0] = '\0';
	if (len && s[0] == '[') {
		p = memchr(s, ']', len);
		if (!p)
			return false;
		s++;
		host_len = (size_t)(p - s);
		colon = p + 1 < end ? p + 1 : NULL;
		if (colon && *colon != ':')
			return false;
	} else {
		p = memchr(s, ':', len);
		/* Two colons without brackets: a bare IPv6 address. */
		if (p && !memchr(p + 1, ':', (size_t)(end - p - 1))) {
			colon = p;
			host_len = (size_t)(p - s);
		}
	}
	if (colon) {
		size_t digits = (size_t)(end - colon - 1);
		long n;

		if (digits < 1 || digits > 5)
			return false;
		memcpy(port, colon + 1, digits);
		port[digits] = '\0';
		if (strspn(port, "0123456789") != digits)
			return false;
		n = strtol(port, NULL, 10);
		if (n < 1 || n > 65535)
			return false;
	}
	if (host_len < 1 || host_len >= HOST_MAX)
		return false;
	memcpy(host, s, host_len);
	host[host_len] = '\0';
	return strspn(host, "0123456789abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_:%") == host_len;
}

static int resolve_one(const char *host, const char *port, bool names,
		       struct address *out, int max)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *list;
	struct addrinfo *a;
	int n = 0;
	int ret = getaddrinfo(host, port, &hints, &list);

	if (ret && !names)
		return -EAGAIN;
	if (ret) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
		if (getaddrinfo(host, port, &hints, &list))
			return 0;
	}
	for (a = list; a && n < max; a = a->ai_next, n++) {
		memcpy(&out[n].sa, a->ai_addr, a->ai_addrlen);
		out[n].len = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return n;
}

int address_resolve(const char *list, u16 port, bool names,
		    struct address *out, int max)
{
	int n = 0;

	while (*list && n < max) {
		size_t len = strcspn(list, ",");
		char host[HOST_MAX];
		char own[8];
		int got;

		while (len && (*list == ' ' || *list == '\t'))
			list++, len--;
		while (len && (list[len - 1] == ' ' || list[len - 1] == '\t'))
			len--;
		if (!split(list, len, host, own))
			return -EINVAL;
		if (!own[0])
			snprintf(own, sizeof(own), "%u", port);
		got = resolve_one(host, own, names, out + n, max - n);
		if (got < 0)
			return got;
		n += got;
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return n ? n : -ENOENT;
}

const char *address_text(const struct sockaddr *sa, char *out)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host,
			 ntohs(in6->sin6_port));
	} else if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host,
			 ntohs(in->sin_port));
	} else {
		snprintf(out, ADDRESS_TEXT_MAX, "local");
	}
	return out;
}
