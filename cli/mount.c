// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo mount and virgo umount. Mounting is mount.virgo's work, which this
 * program becomes; both go to the folder of virgo_client.conf when none is named.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "conf_client.h"
#include "mounted.h"
#include "verbs.h"
#include "where.h"

static const char mount_help[] =
	"Usage: virgo mount [-o OPTIONS] [DIR]\n"
	"Shows the cloud's volumes below DIR (/virgo, or as virgo_client.conf\n"
	"says), making the folder when it is missing. OPTIONS as for mount.virgo:\n"
	"timeout=60s, hard, soft, ro, noexec and so on.\n";

static const char umount_help[] =
	"Usage: virgo umount [--lazy] [DIR]\n"
	"Ends a mount made by virgo mount. With --lazy also one in use: it is\n"
	"gone from sight at once, and ends when its last file is closed.\n";

/* The folder virgo_client.conf names. 0, or 1 after the failure was printed. */
static int default_point(const struct globals *g, char out[PATH_MAX])
{
	struct conf_report report;
	struct conf_client conf;
	char path[PATH_MAX];
	int ret;

	conf_standard_path(&conf_client_schema, g->state, g->conf_dir, path);
	ret = conf_read(&conf_client_schema, path, &conf, &report);
	if (ret == -ENOENT) {
		strcpy(out, "/virgo");
		return 0;
	}
	if (ret) {
		conf_report_print(&report, stderr);
		return 1;
	}
	snprintf(out, PATH_MAX, "%s", conf.mount_path);
	conf_free(&conf);
	return 0;
}

static int become(const struct globals *g, char *point, char *options)
{
	char program[PATH_MAX];
	char *argv[12];
	int n = 0;

	if (where_program("mount.virgo", program, sizeof(program))) {
		fputs("virgo: mount: mount.virgo is not installed\n", stderr);
		return 1;
	}
	argv[n++] = (char *)"mount.virgo";
	argv[n++] = (char *)"virgo";
	argv[n++] = point;
	if (g->state) {
		argv[n++] = (char *)"--state";
		argv[n++] = (char *)g->state;
	}
	if (g->conf_dir) {
		argv[n++] = (char *)"--conf";
		argv[n++] = (char *)g->conf_dir;
	}
	if (options) {
		argv[n++] = (char *)"-o";
		argv[n++] = options;
	}
	argv[n] = NULL;
	execv(program, argv);
	fprintf(stderr, "virgo: %s: %s\n", program, strerror(errno));
	return 1;
}

int verb_mount(const struct globals *g, int argc, char **argv)
{
	char point[PATH_MAX];
	char *options = NULL;
	int c;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(mount_help, stdout);
		return 0;
	}
	optind = 0; /* anew, and options may follow names */
	while ((c = getopt(argc, argv, "o:")) != -1) {
		if (c != 'o')
			return verb_usage("mount", "see which options there are");
		options = optarg;
	}
	if (argc - optind > 1)
		return verb_usage("mount", "one folder at most");
	if (optind < argc)
		snprintf(point, sizeof(point), "%s", argv[optind]);
	else if (default_point(g, point))
		return 1;
	if (mkdir(point, 0755) && errno != EEXIST) {
		fprintf(stderr, "virgo: %s: cannot make the folder: %s\n", point,
			strerror(errno));
		return 1;
	}
	return become(g, point, options);
}

int verb_umount(const struct globals *g, int argc, char **argv)
{
	char point[PATH_MAX];
	int lazy = argc > 1 && !strcmp(argv[1], "--lazy");

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(umount_help, stdout);
		return 0;
	}
	if (argc - lazy > 2)
		return verb_usage("umount", "one folder at most");
	/* Not realpath(): a server that is away must not keep us from it. */
	if (argc - lazy == 2)
		snprintf(point, sizeof(point), "%s", argv[1 + lazy]);
	else if (default_point(g, point))
		return 1;
	if (strlen(point) > 1 && point[strlen(point) - 1] == '/')
		point[strlen(point) - 1] = '\0';
	if (!mounted_by_us(point)) {
		fprintf(stderr, "virgo: %s: the cloud is not mounted there\n",
			point);
		return 1;
	}
	if (umount2(point, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	fprintf(stderr, "virgo: %s: cannot unmount: %s.%s\n", point,
		strerror(errno),
		errno == EBUSY ? " Try: end what uses it, or virgo umount --lazy" :
		errno == EPERM ? " Try: run it as root" :
				 "");
	return 1;
}
