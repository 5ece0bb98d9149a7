// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo volume: which folders of which nodes the cloud shows below /virgo. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "text.h"

enum { LISTED_TRIES = 100, LISTED_US = 50000 };

static const char help[] =
	"Usage: virgo volume list [--json]\n"
	"       virgo volume create NAME [OPTION]...\n"
	"       virgo volume allow NAME LIST\n"
	"       virgo volume remove NAME\n"
	"\n"
	"  list     volumes, the nodes that hold them, and their rules\n"
	"  create   show a folder of this node as /virgo/NAME:\n"
	"             --path DIR             the folder; without it a new one\n"
	"             --node NODE            of another node, or a new one there;\n"
	"                                    '*' is the node with the most room\n"
	"             --squash root|all|none who becomes nobody (root)\n"
	"             --idmap name|numeric   how users are recognised (name)\n"
	"             --allow LIST           as below\n"
	"  allow    let only nodes of LIST mount it: NODE or NODE:ro with commas;\n"
	"           * is every node, and so is an empty LIST\n"
	"  remove   show it no more; the folder and what is in it stay\n";

static void print_row(const struct rec_volume_row *v)
{
	text_print(v->name, stdout);
	printf("%*s ", 16 - (int)v->name.len > 0 ? 16 - (int)v->name.len : 0, "");
	printf("%-12.*s %-7.*s %-7.*s %-16.*s ", (int)v->node.len,
	       (const char *)v->node.data, (int)v->squash.len,
	       (const char *)v->squash.data, (int)v->idmap.len,
	       (const char *)v->idmap.data, v->allow.len ? (int)v->allow.len : 1,
	       v->allow.len ? (const char *)v->allow.data : "*");
	text_print(v->path, stdout);
	putchar('\n');
}

static void json_field(const char *name, struct span value, const char *before)
{
	printf("%s\"%s\":", before, name);
	text_json(value, stdout);
}

static void print_json(const struct rec_volume_row *v)
{
	json_field("name", v->name, "{");
	json_field("node", v->node, ",");
	json_field("kind", v->kind, ",");
	json_field("path", v->path, ",");
	json_field("squash", v->squash, ",");
	json_field("idmap", v->idmap, ",");
	json_field("allow", v->allow, ",");
	puts("}");
}

static int list(const struct globals *g, int argc, char **argv)
{
	const struct msg_volume_list m = {};
	struct rec_volume_row v;
	struct msg_volumes got;
	struct span reply;
	struct rcursor c;
	struct client *client;
	bool json = argc == 2 && !strcmp(argv[1], "--json");
	int ret;

	if (argc > 2 || (argc == 2 && !json))
		return verb_usage("volume", "list takes only --json");
	ret = ask_message(g, &client, VOLUME_LIST, volume_list, &m, VOLUMES,
			  &reply);
	if (!ret && !msg_volumes_decode(&got, reply.data, reply.len)) {
		if (!json)
			printf("%-16s %-12s %-7s %-7s %-16s %s\n", "VOLUME",
			       "NODE", "SQUASH", "IDMAP", "ALLOW", "FOLDER");
		c = rcursor_of(got.volumes.data, got.volumes.len);
		while (rec_volume_row_next(&c, &v) > 0) {
			if (json)
				print_json(&v);
			else
				print_row(&v);
		}
	}
	client_close(client);
	return ret;
}

static int change(const struct globals *g, const struct msg_volume_change *m)
{
	struct span reply;
	struct client *c;
	int ret = ask_message(g, &c, VOLUME_CHANGE, volume_change, m, OK,
			      &reply);

	client_close(c);
	return ret;
}

struct creation {
	const char *path;
	const char *node;
	const char *squash;
	const char *idmap;
	const char *allow;
};

/* Name of this node, from its virgod. 0, or 1 after the failure was printed. */
static int own_node(const struct globals *g, char *out, size_t size)
{
	struct failure f = { 0 };
	struct client *c;

	if (client_open(&c, g->state, &f)) {
		failure_print(&f, stderr);
		return 1;
	}
	snprintf(out, size, "%s", client_node(c));
	client_close(c);
	return 0;
}

static int complain(const char *object, const char *what)
{
	fprintf(stderr, "virgo: %s: %s\n", object, what);
	return 1;
}

/* The folder as an absolute path, made when it is ours to make. */
static int folder(const struct globals *g, const char *name,
		  const struct creation *n, char out[PATH_MAX])
{
	const char *state = g->state ? g->state : getenv("VIRGO_STATE");
	char path[PATH_MAX];

	if (n->path) {
		if (realpath(n->path, out))
			return 0;
		return complain(n->path, strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/volumes",
		 state ? state : VIRGO_DEFAULT_STATE);
	if (strchr(name, '/') || name[0] == '.')
		return complain(name, "not a name for a volume");
	if (mkdir(path, 0755) && errno != EEXIST)
		return complain(path, strerror(errno));
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
	/* For all users, like what every node shows by default. */
	if ((mkdir(path, 0700) || chmod(path, 01777)) && errno != EEXIST)
		return complain(path, strerror(errno));
	return realpath(path, out) ? 0 : complain(path, strerror(errno));
}

/* Says on which node @name is, once this node has heard of it. */
static int print_place(const struct globals *g, const char *name)
{
	const struct msg_volume_list m = {};
	struct rec_volume_row v;
	struct msg_volumes got;
	struct client *client;
	struct span reply;
	struct rcursor c;
	int tries, ret;

	for (tries = 0; tries < LISTED_TRIES; tries++) {
		ret = ask_message(g, &client, VOLUME_LIST, volume_list, &m,
				  VOLUMES, &reply);
		if (!ret && !msg_volumes_decode(&got, reply.data, reply.len)) {
			c = rcursor_of(got.volumes.data, got.volumes.len);
			while (rec_volume_row_next(&c, &v) > 0) {
				if (!span_equal(v.name, span_of(name)))
					continue;
				printf("%s is on %.*s\n", name,
				       (int)v.node.len,
				       (const char *)v.node.data);
				tries = LISTED_TRIES;
			}
		}
		client_close(client);
		if (ret)
			return ret;
		if (tries < LISTED_TRIES)
			usleep(LISTED_US);
	}
	return 0;
}

static int create(const struct globals *g, const char *name,
		  const struct creation *n)
{
	struct msg_volume_change m = { .action = span_of("create"),
				       .volume = span_of(name) };
	char path[PATH_MAX];
	bool best = n->node && !strcmp(n->node, "*");
	char options[4200];
	char own[64];
	int ret;

	if (own_node(g, own, sizeof(own)))
		return 1;
	if (n->node && strcmp(n->node, own)) {
		if (n->path && (n->path[0] != '/' || best))
			return verb_usage("volume", "--path of another node "
					  "is /DIR, and there is one node");
		snprintf(path, sizeof(path), "%s", n->path ? n->path : "");
	} else if (folder(g, name, n, path)) {
		return 1;
	}
	snprintf(options, sizeof(options), "%s%s%s%s%s%s",
		 n->squash ? " squash=" : "", n->squash ? n->squash : "",
		 n->idmap ? " idmap=" : "", n->idmap ? n->idmap : "",
		 n->allow ? " allow=" : "", n->allow ? n->allow : "");
	m.node = span_of(best ? NULL : n->node ? n->node : own);
	m.path = span_of(path);
	m.options = span_of(options);
	ret = change(g, &m);
	return ret || !best ? ret : print_place(g, name);
}

static int parse_create(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "path", required_argument, NULL, 'p' },
		{ "node", required_argument, NULL, 'n' },
		{ "squash", required_argument, NULL, 's' },
		{ "idmap", required_argument, NULL, 'i' },
		{ "allow", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	struct creation n = { 0 };
	int c;

	optind = 0; /* anew, and options may follow names */
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			n.path = optarg;
			break;
		case 'n':
			n.node = optarg;
			break;
		case 's':
			n.squash = optarg;
			break;
		case 'i':
			n.idmap = optarg;
			break;
		case 'a':
			n.allow = optarg;
			break;
		default:
			return verb_usage("volume", "see what create takes");
		}
	}
	if (argc - optind != 1)
		return verb_usage("volume", "exactly one name, please");
	return create(g, argv[optind], &n);
}

static int allow(const struct globals *g, const char *name, const char *nodes)
{
	char options[4200];
	const struct msg_volume_change m = { .action = span_of("allow"),
					     .volume = span_of(name),
					     .options = {
						     (const u8 *)options,
						     (u32)strlen(nodes) + 6 } };

	if (strlen(nodes) > 4000 || strchr(nodes, ' '))
		return verb_usage("volume", "nodes are separated by commas");
	snprintf(options, sizeof(options), "allow=%s", nodes);
	return change(g, &m);
}

static int drop(const struct globals *g, const char *name)
{
	const struct msg_volume_change m = { .action = span_of("remove"),
					     .volume = span_of(name) };

	return change(g, &m);
}

int verb_volume(const struct globals *g, int argc, char **argv)
{
	const char *action = argc > 1 ? argv[1] : "";

	if (!strcmp(action, "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(action, "list"))
		return list(g, argc - 1, argv + 1);
	if (!strcmp(action, "create"))
		return parse_create(g, argc - 1, argv + 1);
	if (!strcmp(action, "allow"))
		return argc == 4 ? allow(g, argv[2], argv[3]) :
				   verb_usage("volume", "allow takes a volume "
							"and a list of nodes");
	if (!strcmp(action, "remove"))
		return argc == 3 ? drop(g, argv[2]) :
				   verb_usage("volume", "exactly one name, "
							"please");
	return verb_usage("volume", "list, create, allow or remove?");
}
