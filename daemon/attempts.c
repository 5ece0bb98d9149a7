// SPDX-License-Identifier: GPL-2.0-or-later
/* Failed attempts by source; see attempts.h. */
#include "attempts.h"

#include <netinet/in.h>

static const u64 window_us = (u64)ATTEMPTS_WINDOW_S * 1000000;

/* IPv4 has the prefix of mapped addresses, so it differs from every /64. */
static void source_of(const struct sockaddr *from, u8 out[8])
{
	const struct sockaddr_in6 *v6 = (const void *)from;
	const struct sockaddr_in *v4 = (const void *)from;

	memset(out, 0, 8);
	if (from->sa_family == AF_INET) {
		out[2] = out[3] = 0xff;
		memcpy(out + 4, &v4->sin_addr, 4);
	} else if (from->sa_family == AF_INET6 &&
		   IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		out[2] = out[3] = 0xff;
		memcpy(out + 4, v6->sin6_addr.s6_addr + 12, 4);
	} else if (from->sa_family == AF_INET6) {
		memcpy(out, v6->sin6_addr.s6_addr, 8);
	}
}

static int slot_of(const struct attempts *a, const u8 source[8])
{
	for (int i = 0; i < ATTEMPTS_SOURCES; i++)
		if (a->slot[i].failures &&
		    !memcmp(a->slot[i].source, source, 8))
			return i;
	return -1;
}

u32 attempts_wait_s(const struct attempts *a, const struct sockaddr *from,
		    u64 now_us)
{
	u8 source[8];
	u64 end;
	int i;

	source_of(from, source);
	i = slot_of(a, source);
	if (i < 0 || a->slot[i].failures < ATTEMPTS_FREE)
		return 0;
	end = a->slot[i].since_us + window_us;
	return end <= now_us ? 0 : (u32)((end - now_us + 999999) / 1000000);
}

void attempts_failed(struct attempts *a, const struct sockaddr *from,
		     u64 now_us)
{
	u8 source[8];
	int i;

	source_of(from, source);
	i = slot_of(a, source);
	if (i >= 0 && a->slot[i].since_us + window_us > now_us) {
		a->slot[i].failures++;
		return;
	}
	for (int k = i < 0 ? 1 : ATTEMPTS_SOURCES; k < ATTEMPTS_SOURCES; k++) {
		if (i < 0)
			i = 0;
		if (a->slot[k].since_us < a->slot[i].since_us)
			i = k;
	}
	memcpy(a->slot[i].source, source, 8);
	a->slot[i].since_us = now_us;
	a->slot[i].failures = 1;
}
