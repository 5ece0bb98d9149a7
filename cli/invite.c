// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo invite: prints the command by which one more machine joins. */
#include <getopt.h>
#include <stdio.h>

#include "ask.h"

static const char help[] =
	"Usage: virgo invite [--name NAME] [--ttl TIME]\n"
	"Prints the command that makes one more machine a node of this cloud.\n"
	"Whoever has it may join with it, once, until it expires.\n"
	"\n"
	"  --name NAME  the new node's name (else it chooses)\n"
	"  --ttl TIME   how long the invitation is good: 90s, 15m, 2h, 1d (15m)\n"
	"  --help\n";

int verb_invite(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "ttl", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct msg_invite m = { 0 };
	struct msg_invited got;
	struct span reply;
	struct client *c;
	int o, ret;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'n':
			m.name = span_of(optarg);
			break;
		case 't':
			if (!duration_parse(optarg, &m.seconds))
				return verb_usage("invite", "--ttl takes a "
						  "time such as 15m");
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return verb_usage("invite", "wrong option");
		}
	}
	if (optind < argc)
		return verb_usage("invite", "unexpected argument");
	ret = ask_message(g, &c, INVITE, invite, &m, INVITED, &reply);
	if (!ret && !msg_invited_decode(&got, reply.data, reply.len))
		printf("sudo virgo join %.*s\n", (int)got.token.len,
		       (const char *)got.token.data);
	client_close(c);
	return ret;
}
