/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `virgod init` and `virgod join`: how a machine becomes a node. Both run before
 * any virgod on that state folder, make everything aside (state.h) and end; the
 * node lives once virgod is started.
 */
#ifndef VIRGO_DAEMON_SETUP_H
#define VIRGO_DAEMON_SETUP_H

#include "advertise.h"
#include "state.h"

struct setup {
	const char *state;
	const char *conf_dir; /* NULL for the default */
	const char *advertise; /* NULL: as configured, else its own */
	const char *port; /* NULL: the configured one */
	const char *word; /* init: the node's name; join: the invitation */
	const char *cloud; /* init */
	const char *passphrase_file; /* init, backup, promote */
	const char *name; /* join */
	const char *backup; /* promote */
};

struct conf_cloud;

int init_main(int argc, char **argv);
int join_main(int argc, char **argv);
/* `virgod backup FILE`, beside a running virgod or without one. */
int backup_main(int argc, char **argv);
/* `virgod promote [NODE] [--backup FILE]`, asks the running virgod. */
int promote_main(int argc, char **argv);

/* setup.c, what both share. Parses their options; -1 to go on, else the exit
 * status. Takes at least @least and at most one word.
 */
int setup_parse(struct setup *s, int argc, char **argv, const char *help,
		const char *options, int least);
/* A passphrase from --passphrase-file, or asked for at the terminal, into
 * PASSPHRASE_MAX + 1 bytes.
 */
int setup_passphrase(const struct setup *s, bool twice, char *out,
		     struct failure *f);
/* virgo_cloud.conf, or its defaults, where the options do not say otherwise; free
 * it with conf_free().
 */
int setup_conf(const struct setup *s, struct conf_cloud *out,
	       struct failure *f);
/* Makes a virgo_cloud.conf with the port and addresses of the options, so that
 * virgod finds them; or says what to write into the one that is there.
 */
void setup_keep_options(const struct setup *s);
/* The list to announce, in full form, into ADVERTISED_LIST_MAX + 1 bytes. */
int setup_addresses(const struct setup *s, const struct conf_cloud *conf,
		    char *out, u16 *port, struct failure *f);
/* Makes the folder of the default volume and gives its absolute path. */
int setup_export(const struct setup *s, char *out, size_t size,
		 struct failure *f);
/* Starts virgod where systemd runs it, or says how to. */
void setup_start(const struct setup *s);
/* Stores what makes a node, in @dir. */
int setup_write_identity(const char *dir, struct span key, struct span crt,
			 struct span authority, struct failure *f);

#endif
