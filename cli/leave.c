// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo leave: this machine stops being a node of its cloud. */
#include <getopt.h>
#include <stdio.h>

#include "ask.h"

static const char help[] =
	"Usage: virgo leave [--force]\n"
	"Takes this machine out of its cloud: its name, certificate and catalog\n"
	"are deleted and virgod ends. What it exported stays where it is.\n"
	"\n"
	"  --force  also when the home node cannot be asked; it will then still\n"
	"           list this node, until 'virgo node remove' there\n"
	"  --help\n";

int verb_leave(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct msg_leave m = { 0 };
	struct span reply;
	struct client *c;
	int o, ret;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'f')
			return verb_usage("leave", "wrong option");
		m.force = 1;
	}
	if (optind < argc)
		return verb_usage("leave", "unexpected argument");
	ret = ask_message(g, &c, LEAVE, leave, &m, OK, &reply);
	if (!ret)
		puts("This machine is no node of a cloud any more.");
	client_close(c);
	return ret;
}
