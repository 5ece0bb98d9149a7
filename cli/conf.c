// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo conf: check, show and list configuration; have virgod read it again. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "ask.h"
#include "conf_client.h"
#include "conf_cloud.h"

static const char help[] =
	"Usage: virgo conf check [FILE]...\n"
	"       virgo conf show [cloud|client]\n"
	"       virgo conf keys [cloud|client]\n"
	"       virgo conf reload\n"
	"\n"
	"  check   say every error of the files, by default of virgo_cloud.conf\n"
	"          and virgo_client.conf; a FILE whose name has \"client\" in it is\n"
	"          taken for the latter, others for the former\n"
	"  show    print the values in force, in the form of the file\n"
	"  keys    list what may stand in the files\n"
	"  reload  have virgod take over virgo_cloud.conf now\n";

union values {
	void *memory;
	struct conf_cloud cloud;
	struct conf_client client;
};

/* 0, or 1 after what is wrong was printed. A file that need not be there is
 * empty. @v is to be freed where it is given and the result is 0.
 */
static int read_file(const struct conf_schema *s, const char *path, bool must,
		     union values *v)
{
	struct conf_report *report = malloc(sizeof(*report));
	int ret = -ENOMEM;

	if (report)
		ret = conf_read(s, path, v, report);
	if (ret == -ENOENT && !must)
		ret = conf_parse(s, path, "", 0, v, report);
	if (report)
		conf_report_print(report, stderr);
	else
		fputs("virgo: conf: out of memory\n", stderr);
	free(report);
	return ret ? 1 : 0;
}

static int check_one(const struct conf_schema *s, const char *path, bool must)
{
	union values v;
	int ret = read_file(s, path, must, &v);

	if (!ret) {
		printf("%s: ok\n", path);
		conf_free(&v);
	}
	return ret;
}

static int conf_check(const struct globals *g, int argc, char **argv)
{
	static const struct conf_schema *const both[] = { &conf_cloud_schema,
							  &conf_client_schema };
	char path[PATH_MAX];
	int ret = 0;

	for (int i = 0; i < argc; i++) {
		const char *name = strrchr(argv[i], '/');

		name = name ? name + 1 : argv[i];
		ret |= check_one(both[!!strstr(name, "client")], argv[i], true);
	}
	for (size_t i = 0; !argc && i < ARRAY_SIZE(both); i++) {
		conf_standard_path(both[i], g->state, g->conf_dir, path);
		ret |= check_one(both[i], path, false);
	}
	return ret;
}

static int show_one(const struct globals *g, const struct conf_schema *s,
		    bool titled)
{
	char path[PATH_MAX];
	union values v;

	conf_standard_path(s, g->state, g->conf_dir, path);
	if (read_file(s, path, false, &v))
		return 1;
	if (titled)
		printf("# %s\n", path);
	conf_show(s, &v, stdout);
	conf_free(&v);
	return 0;
}

static int keys_one(const struct globals *g, const struct conf_schema *s,
		    bool titled)
{
	conf_keys(s, stdout);
	return 0;
}

/* Does @one for the file named by @which, or for both. */
static int for_files(const struct globals *g, const char *which,
		     int (*one)(const struct globals *g,
				const struct conf_schema *s, bool titled))
{
	int ret;

	if (which && !strcmp(which, "cloud"))
		return one(g, &conf_cloud_schema, false);
	if (which && !strcmp(which, "client"))
		return one(g, &conf_client_schema, false);
	if (which)
		return verb_usage("conf", "cloud or client?");
	ret = one(g, &conf_cloud_schema, true);
	putchar('\n');
	return ret | one(g, &conf_client_schema, true);
}

static int conf_reload(const struct globals *g)
{
	const struct msg_reload m = {};
	struct client *c;
	struct span reply;
	int ret = ask_message(g, &c, RELOAD, reload, &m, OK, &reply);

	client_close(c);
	return ret;
}

int verb_conf(const struct globals *g, int argc, char **argv)
{
	const char *action = argc > 1 ? argv[1] : "";
	const char *which = argc == 3 ? argv[2] : NULL;

	if (!strcmp(action, "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(action, "check"))
		return conf_check(g, argc - 2, argv + 2);
	if (!strcmp(action, "reload") && argc == 2)
		return conf_reload(g);
	if (argc > 3)
		return verb_usage("conf", "too many arguments");
	if (!strcmp(action, "show"))
		return for_files(g, which, show_one);
	if (!strcmp(action, "keys"))
		return for_files(g, which, keys_one);
	return verb_usage("conf", "check, show, keys or reload?");
}
