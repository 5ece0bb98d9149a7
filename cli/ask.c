// SPDX-License-Identifier: GPL-2.0-or-later
/* One request to virgod; see ask.h. */
#include "ask.h"

#include <limits.h>

int ask(const struct globals *g, struct client **c, u16 type,
	const void *payload, size_t len, u16 want, struct span *reply)
{
	struct failure f = { 0 };
	int ret;

	*c = NULL;
	ret = client_open(c, g->state, &f);
	if (!ret)
		ret = client_call(*c, type, payload, len, want, reply, &f);
	if (ret < 0)
		failure_print(&f, stderr);
	return ret < 0;
}

bool duration_parse(const char *text, u32 *seconds)
{
	char *end;
	unsigned long long v;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || v > UINT_MAX)
		return false;
	v *= *end == 'm' ? 60 : *end == 'h' ? 3600 : *end == 'd' ? 86400 : 1;
	if (*end && strchr("smhd", *end))
		end++;
	*seconds = (u32)v;
	return !*end && v && v <= UINT_MAX;
}
