// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses as people write them; the forms are in address.h. */
#include "advertise.h"

#include <arpa/inet.h>

#include "conf.h"

static int bad(struct failure *f, const char *text, size_t len,
	       const char *why)
{
	return failure_set(f, -EINVAL, "address",
			   "HOST, HOST:PORT or [IPV6]:PORT, with commas between",
			   "'%.*s': %s", (int)(len < 100 ? len : 100), text,
			   why);
}

static bool host_is_name(const char *s)
{
	for (; *s; s++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", *s))
			return false;
	return true;
}

/* An IPv6 address, perhaps with a zone ("fe80::1%eth0"). */
static bool host_is_v6(const char *host)
{
	char bare[INET6_ADDRSTRLEN];
	const char *zone = strchr(host, '%');
	size_t len = zone ? (size_t)(zone - host) : strlen(host);
	u8 bytes[16];

	if (len >= sizeof(bare) ||
	    (zone && (!zone[1] || !host_is_name(zone + 1))))
		return false;
	memcpy(bare, host, len);
	bare[len] = '\0';
	return inet_pton(AF_INET6, bare, bytes) == 1;
}

static bool port_parse(const char *s, size_t len, u16 *port)
{
	u32 v = 0;

	if (!len || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (u32)(s[i] - '0');
	}
	*port = (u16)v;
	return v >= 1 && v <= 65535;
}

int advertised_parse(struct advertised *out, const char *text, size_t len,
		  u16 default_port, struct failure *f)
{
	const char *host = text, *colon = memchr(text, ':', len);
	const char *end = text + len;
	size_t host_len = len;

	*out = (struct advertised){ .port = default_port };
	if (len && text[0] == '[') {
		const char *close = memchr(text, ']', len);

		if (!close)
			return bad(f, text, len, "a ']' is missing");
		host++;
		host_len = (size_t)(close - host);
		out->numeric_v6 = true;
		colon = close + 1 < end ? close + 1 : NULL;
		if (colon && *colon != ':')
			return bad(f, text, len, "a ':' must follow the ']'");
	} else if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
		out->numeric_v6 = true;
		colon = NULL;
	} else if (colon) {
		host_len = (size_t)(colon - host);
	}
	if (!host_len || host_len > HOST_MAX)
		return bad(f, text, len, "the host is missing or too long");
	memcpy(out->host, host, host_len);
	if (colon &&
	    !port_parse(colon + 1, (size_t)(end - colon - 1), &out->port))
		return bad(f, text, len, "the port must be 1 to 65535");
	if (memchr(host, '\0', host_len) ||
	    (out->numeric_v6 ? !host_is_v6(out->host) :
			       !host_is_name(out->host)))
		return bad(f, text, len,
			   out->numeric_v6 ? "not an IPv6 address" :
					     "not a host name or address");
	return 0;
}

int advertised_next(struct advertised *out, const char **at, u16 default_port,
		 struct failure *f)
{
	const char *text = *at;
	size_t len = strcspn(text, ",");
	int ret;

	if (!*text)
		return 0;
	ret = advertised_parse(out, text, len, default_port, f);
	if (ret < 0)
		return ret;
	*at = text + len + (text[len] == ',');
	return 1;
}

void advertised_print(const struct advertised *a, char *out)
{
	sprintf(out, a->numeric_v6 ? "[%s]:%u" : "%s:%u", a->host, a->port);
}

int advertised_list(const char *text, u16 default_port, char *out, size_t size,
		 struct failure *f)
{
	char one[ADVERTISED_TEXT_MAX + 1];
	struct advertised a;
	size_t len = 0;
	int ret;

	out[0] = '\0';
	while ((ret = advertised_next(&a, &text, default_port, f)) > 0) {
		advertised_print(&a, one);
		if (len + strlen(one) + 2 > size)
			return failure_set(f, -E2BIG, "address", "fewer",
					   "too many addresses");
		len += (size_t)sprintf(out + len, "%s%s", len ? "," : "", one);
	}
	if (ret < 0)
		return ret;
	return len ? 0 : bad(f, "", 0, "none given");
}

int advertised_join(const struct conf_list *l, char *out)
{
	size_t len = 0;

	out[0] = '\0';
	for (u32 i = 0; i < l->count; i++) {
		if (len + strlen(l->items[i]) + 1 > ADVERTISED_LIST_MAX)
			return -E2BIG;
		len += (size_t)sprintf(out + len, "%s%s", i ? "," : "",
				       l->items[i]);
	}
	return 0;
}
