// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Options of mount.virgo. Those of mount(8) that mean something to a file system
 * become mount flags, those for other programs (x-*, _netdev, nofail) are passed
 * over, and anything unknown is an error rather than a surprise later.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "client.h"
#include "conf.h"

static const char help[] =
	"Usage: mount.virgo [SOURCE] DIR [OPTION]...\n"
	"Shows the cloud's volumes below DIR. SOURCE is any word, as in fstab.\n"
	"\n"
	"  -o LIST           timeout=60s, hard, soft, state=DIR, conf=DIR, and\n"
	"                    ro, noexec, noatime and the like of mount(8)\n"
	"  --foreground      stay; ready when systemd is told so\n"
	"  --verbose         log also what goes well\n"
	"  -f                check everything, mount nothing\n"
	"  --help, --version\n";

struct flag {
	const char *name;
	unsigned long set;
	unsigned long clear;
};

static const struct flag flags[] = {
	{ "async", 0, MS_SYNCHRONOUS },
	{ "atime", 0, MS_NOATIME },
	{ "auto", 0, 0 },
	{ "defaults", 0, 0 },
	{ "diratime", 0, MS_NODIRATIME },
	{ "dirsync", MS_DIRSYNC, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "noatime", MS_NOATIME, 0 },
	{ "noauto", 0, 0 },
	{ "nodev", 0, 0 }, /* always */
	{ "nodiratime", MS_NODIRATIME, 0 },
	{ "noexec", MS_NOEXEC, 0 },
	{ "nofail", 0, 0 },
	{ "norelatime", 0, MS_RELATIME },
	{ "nosuid", 0, 0 }, /* always */
	{ "nouser", 0, 0 },
	{ "_netdev", 0, 0 },
	{ "relatime", MS_RELATIME, 0 },
	{ "ro", MS_RDONLY, 0 },
	{ "rw", 0, MS_RDONLY },
	{ "strictatime", MS_STRICTATIME, 0 },
	{ "sync", MS_SYNCHRONOUS, 0 },
};

static int bad(const char *option, const char *what)
{
	fprintf(stderr, "virgo: mount option '%s': %s. Try: mount.virgo "
			"--help\n", option, what);
	return 1;
}

/* As in virgo_client.conf, or plain seconds. */
static bool parse_time(const char *text, u32 *out)
{
	char *end;
	u64 ms = strtoul(text, &end, 10) * 1000ull;

	if ((*end || end == text) && !conf_parse_duration(text, &ms))
		return false;
	if (!ms || ms > 86400000)
		return false;
	*out = (u32)ms;
	return true;
}

static int take_word(char **at, const char *value)
{
	free(*at);
	*at = strdup(value);
	return *at ? -1 : 1;
}

static int wait_option(struct options *o, enum server_patience p)
{
	o->patience = p;
	o->wait_given = true;
	return -1;
}

static int take_option(struct options *o, const char *s)
{
	size_t i;

	if (!*s || !strncmp(s, "x-", 2) || !strncmp(s, "comment=", 8))
		return -1;
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (!strcmp(s, flags[i].name)) {
			o->flags = (o->flags & ~flags[i].clear) | flags[i].set;
			return -1;
		}
	if (!strcmp(s, "suid") || !strcmp(s, "dev"))
		return bad(s, "not possible: what another node calls set-user-ID "
			      "or a device is never obeyed here");
	if (!strcmp(s, "hard"))
		return wait_option(o, PATIENCE_HARD);
	if (!strcmp(s, "soft"))
		return wait_option(o, PATIENCE_SOFT);
	if (!strncmp(s, "timeout=", 8))
		return parse_time(s + 8, &o->timeout_ms) ?
			       wait_option(o, PATIENCE_TIMEOUT) :
			       bad(s, "not a time like 60s, 500ms or 2m");
	if (!strncmp(s, "state=", 6))
		return take_word(&o->state, s + 6);
	if (!strncmp(s, "conf=", 5))
		return take_word(&o->conf_dir, s + 5);
	return bad(s, "unknown");
}

static int take_list(struct options *o, char *list)
{
	char *rest = list;
	char *s;
	int ret = -1;

	while (ret < 0 && (s = strsep(&rest, ",")))
		ret = take_option(o, s);
	return ret;
}

/* One option of getopt's; like options_parse(), -1 to go on. */
static int take_switch(struct options *o, int c)
{
	switch (c) {
	case 'o':
		return take_list(o, optarg);
	case 'f':
		o->fake = true;
		return -1;
	case 'r':
		o->flags |= MS_RDONLY;
		return -1;
	case 'w':
		o->flags &= ~(unsigned long)MS_RDONLY;
		return -1;
	case 'v':
		o->verbose = true;
		return -1;
	case 'F':
		o->foreground = true;
		return -1;
	case 'S':
		return take_word(&o->state, optarg);
	case 'C':
		return take_word(&o->conf_dir, optarg);
	case 'n': /* mount(8): no mtab, sloppy, type: nothing to do */
	case 's':
	case 't':
		return -1;
	case 'h':
		fputs(help, stdout);
		return 0;
	case 'V':
		puts("mount.virgo " VIRGO_VERSION);
		return 0;
	default:
		fputs("Try: mount.virgo --help\n", stderr);
		return 1;
	}
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "foreground", no_argument, NULL, 'F' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "state", required_argument, NULL, 'S' },
		{ "conf", required_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *state = getenv("VIRGO_STATE");
	int ret = -1;
	int c;

	*o = (struct options){ .patience = PATIENCE_TIMEOUT,
			       .timeout_ms = 60000,
			       .state = strdup(state ? state :
						       VIRGO_DEFAULT_STATE) };
	while (ret < 0 &&
	       (c = getopt_long(argc, argv, "fno:rst:vw", longs, NULL)) != -1)
		ret = take_switch(o, c);
	if (ret >= 0)
		return ret;
	if (argc - optind < 1 || argc - optind > 2) {
		fputs("virgo: mount: name the folder to mount on. Try: "
		      "mount.virgo --help\n", stderr);
		return 1;
	}
	o->point = argv[argc - 1];
	return -1;
}

void options_free(struct options *o)
{
	free(o->state);
	free(o->conf_dir);
}
