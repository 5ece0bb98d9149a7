/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of mount.virgo, in the manner of mount(8)'s helpers. */
#ifndef VIRGO_FS_OPTIONS_H
#define VIRGO_FS_OPTIONS_H

#include "server.h"

struct options {
	const char *point;
	char *state;
	char *conf_dir; /* NULL: by the state folder */
	unsigned long flags; /* MS_* */
	bool foreground;
	bool verbose;
	bool fake; /* -f: everything but mounting */
	bool wait_given; /* hard, soft or timeout were on the command line */
	enum server_patience patience;
	u32 timeout_ms;
};

/* -1 to go on, else the exit status: help and errors are printed here. */
int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
