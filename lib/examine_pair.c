// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is wrong between two nodes, from what virgod found out by asking the
 * other one; the contract is in examine.h. Nothing here asks anybody.
 */
#include "examine.h"

#include <inttypes.h>
#include <stdarg.h>

__attribute__((format(printf, 6, 7)))
static void give(doctor_fn *fn, void *arg, const char *name,
		 enum doctor_level level, const char *remedy, const char *fmt,
		 ...)
{
	struct doctor_finding f = { .level = level };
	va_list ap;

	snprintf(f.name, sizeof(f.name), "%s", name);
	snprintf(f.remedy, sizeof(f.remedy), "%s", remedy ? remedy : "");
	va_start(ap, fmt);
	vsnprintf(f.what, sizeof(f.what), fmt, ap);
	va_end(ap);
	fn(arg, &f);
}

/* How to let our packets into @node. */
static void open_port(char *out, size_t size, const char *node, u16 port,
		      const char *protocol)
{
	snprintf(out, size, "on %.63s: sudo nft insert rule inet filter input "
		 "%s dport %u accept", node, protocol, port);
}

static void pair_out(const struct doctor_pair *p, const char *name,
		     doctor_fn *fn, void *arg)
{
	char remedy[200];

	if (!p->out.code) {
		give(fn, arg, name, DOCTOR_OK, NULL, "TCP %u answers", p->port);
		return;
	}
	if (p->out.code == -ECONNREFUSED)
		snprintf(remedy, sizeof(remedy), "on %.63s: sudo systemctl "
			 "start virgod", p->there);
	else if (p->out.code == -EACCES || p->out.code == -ENOENT)
		snprintf(remedy, sizeof(remedy), "virgo node list");
	else
		open_port(remedy, sizeof(remedy), p->there, p->port, "tcp");
	give(fn, arg, name, DOCTOR_FAIL, remedy, "TCP %u: %s", p->port,
	     p->out.what);
}

static bool heard(const char *state)
{
	return !strcmp(state, "up") || !strcmp(state, "draining");
}

static void pair_datagrams(const struct doctor_pair *p, const char *to,
			   const char *from, doctor_fn *fn, void *arg)
{
	char remedy[200];

	if (heard(p->state)) {
		give(fn, arg, from, DOCTOR_OK, NULL, "UDP %u is heard",
		     p->port);
	} else {
		open_port(remedy, sizeof(remedy), p->here, p->port, "udp");
		give(fn, arg, from, DOCTOR_FAIL, remedy, "UDP %u: no answers "
		     "come, %.63s is %s here", p->port, p->there, p->state);
	}
	if (heard(p->state_back)) {
		give(fn, arg, to, DOCTOR_OK, NULL, "UDP %u is heard", p->port);
	} else {
		open_port(remedy, sizeof(remedy), p->there, p->port, "udp");
		give(fn, arg, to, DOCTOR_FAIL, remedy, "UDP %u: %.63s hears no "
		     "answers, %.63s is %s there", p->port, p->there, p->here,
		     p->state_back);
	}
}

static void pair_clock(const struct doctor_pair *p, doctor_fn *fn, void *arg)
{
	s64 skew = p->skew_us < 0 ? -p->skew_us : p->skew_us;
	char name[80];
	char remedy[160];

	snprintf(name, sizeof(name), "clock of %.63s", p->there);
	if (skew <= DOCTOR_SKEW_MAX_US + p->error_us) {
		give(fn, arg, name, DOCTOR_OK, NULL, "%s%" PRId64 ".%03" PRId64
		     " s off", p->skew_us < 0 ? "-" : "", skew / 1000000,
		     skew / 1000 % 1000);
		return;
	}
	snprintf(remedy, sizeof(remedy), "on both: sudo timedatectl set-ntp "
		 "true");
	give(fn, arg, name, DOCTOR_FAIL, remedy, "%" PRId64 ".%01" PRId64
	     " s %s the one here", skew / 1000000, skew / 100000 % 10,
	     p->skew_us < 0 ? "behind" : "ahead of");
}

void doctor_pair(const struct doctor_pair *p, doctor_fn *fn, void *arg)
{
	char to[80];
	char from[80];
	char remedy[200];

	snprintf(to, sizeof(to), "port to %.63s", p->there);
	snprintf(from, sizeof(from), "port from %.63s", p->there);
	pair_out(p, to, fn, arg);
	if (p->asked_back && !*p->back) {
		give(fn, arg, from, DOCTOR_OK, NULL, "TCP %u answers", p->port);
	} else if (p->asked_back) {
		open_port(remedy, sizeof(remedy), p->here, p->port, "tcp");
		give(fn, arg, from, DOCTOR_FAIL, remedy, "TCP %u: %s", p->port,
		     p->back);
	}
	if (p->asked_back)
		pair_datagrams(p, to, from, fn, arg);
	if (p->clock_known)
		pair_clock(p, fn, arg);
}
