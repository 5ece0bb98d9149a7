// SPDX-License-Identifier: GPL-2.0-or-later
/* Options of virgo-nbd; see options.h. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf.h"

enum {
	CONNECTIONS_DEFAULT = 256,
	CONNECTIONS_MAX = 4096,
	COLD_DEFAULT_MS = 300000,
};

static const char help[] =
	"Usage: virgo-nbd --size SIZE [OPTION]...\n"
	"Lends memory of this machine as network block devices.\n"
	"\n"
	"  --size SIZE           make an export of SIZE: 512M, 8G\n"
	"  --name NAME           its name (memory)\n"
	"  --quota SIZE          hold at most SIZE in all (half of the memory)\n"
	"  --cold TIME           compress what was not used for TIME (5m)\n"
	"  --headroom SIZE       compress sooner while less than SIZE of the\n"
	"                        machine's memory is available\n"
	"  --listen LIST         addresses to listen on (127.0.0.1:10809)\n"
	"  --unix PATH           listen on a unix socket\n"
	"  --tls DIR             TLS with the certificates in DIR\n"
	"  --psk FILE            TLS with the pre-shared keys in FILE\n"
	"  --plaintext-on IFACE  serve without TLS on that interface\n"
	"  --connections N       at most N at once (256)\n"
	"  --state DIR           keep the data in a holder process, so that a\n"
	"                        restart loses nothing\n"
	"  --control PATH        socket for the table of exports\n"
	"                        (run/nbd.sock in the state folder)\n"
	"  --forget              end the holder of --state; its data is lost\n"
	"  --verbose             log also what goes well\n"
	"  --help, --version\n";

static int wrong(const char *option, const char *what)
{
	fprintf(stderr, "virgo: virgo-nbd: %s: %s. Try: virgo-nbd --help\n",
		option, what);
	return 2;
}

static int take_size(const char *option, const char *text, u64 *out)
{
	if (!conf_parse_size(text, out) || !*out || *out % 4096)
		return wrong(option, "not a size like 512M or 8G");
	return -1;
}

static int take_place(const char *option, const char **list, u32 *count)
{
	if (*count == OPTION_PLACES_MAX)
		return wrong(option, "given too often");
	list[(*count)++] = optarg;
	return -1;
}

static int take_connections(u32 *out)
{
	char *end;
	unsigned long n = strtoul(optarg, &end, 10);

	if (*end || end == optarg || !n || n > CONNECTIONS_MAX)
		return wrong("--connections", "not a number from 1 to 4096");
	*out = (u32)n;
	return -1;
}

static int take(struct options *o, int c)
{
	switch (c) {
	case 's':
		return take_size("--size", optarg, &o->size);
	case 'q':
		return take_size("--quota", optarg, &o->quota);
	case 'o':
		if (conf_parse_duration(optarg, &o->cold_ms))
			return -1;
		return wrong("--cold", "not a time like 30s or 5m");
	case 'r':
		return take_size("--headroom", optarg, &o->headroom);
	case 'n':
		o->name = optarg;
		return -1;
	case 'l':
		return take_place("--listen", o->listen, &o->listens);
	case 'u':
		return take_place("--unix", o->unix_path, &o->unix_paths);
	case 't':
		o->tls = optarg;
		return -1;
	case 'k':
		o->psk = optarg;
		return -1;
	case 'p':
		o->plain_on = optarg;
		return -1;
	case 'c':
		return take_connections(&o->connections);
	case 'S':
		o->state = optarg;
		return -1;
	case 'C':
		o->control = optarg;
		return -1;
	case 'f':
		o->forget = true;
		return -1;
	case 'v':
		o->verbose = true;
		return -1;
	case 'h':
		fputs(help, stdout);
		return 0;
	case 'V':
		puts("virgo-nbd " VIRGO_VERSION);
		return 0;
	default:
		fputs("Try: virgo-nbd --help\n", stderr);
		return 2;
	}
}

static int check(const struct options *o)
{
	if (o->forget)
		return o->state ? -1 : wrong("--forget", "needs --state");
	if (!o->size && !o->state && !o->control)
		return wrong("--size", "missing: nothing to lend");
	if (o->plain_on && (o->tls || o->psk))
		return wrong("--plaintext-on", "makes no sense with TLS");
	return -1;
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "size", required_argument, NULL, 's' },
		{ "quota", required_argument, NULL, 'q' },
		{ "cold", required_argument, NULL, 'o' },
		{ "headroom", required_argument, NULL, 'r' },
		{ "name", required_argument, NULL, 'n' },
		{ "listen", required_argument, NULL, 'l' },
		{ "unix", required_argument, NULL, 'u' },
		{ "tls", required_argument, NULL, 't' },
		{ "psk", required_argument, NULL, 'k' },
		{ "plaintext-on", required_argument, NULL, 'p' },
		{ "connections", required_argument, NULL, 'c' },
		{ "state", required_argument, NULL, 'S' },
		{ "control", required_argument, NULL, 'C' },
		{ "forget", no_argument, NULL, 'f' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int ret = -1;
	int c;

	*o = (struct options){ .name = "memory",
			       .cold_ms = COLD_DEFAULT_MS,
			       .connections = CONNECTIONS_DEFAULT };
	while (ret < 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		ret = take(o, c);
	if (ret >= 0)
		return ret;
	if (optind < argc)
		return wrong(argv[optind], "unexpected");
	return check(o);
}
