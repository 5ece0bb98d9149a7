// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo cache: this node's cache, those of others, and what is in them. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ask.h"
#include "cache_text.h"
#include "conf.h"
#include "text.h"

enum { KEY_MAX = 250, VALUE_MAX = (1 << 20) - 4096 };

static const char help[] =
	"Usage: virgo cache start [--size SIZE] [--port N] [--value-max SIZE]\n"
	"       virgo cache start --of NODE --port N\n"
	"       virgo cache stop [--of NODE]\n"
	"       virgo cache list\n"
	"       virgo cache stats [--node NODE] [items|slabs|settings]\n"
	"       virgo cache get [--node NODE] KEY\n"
	"       virgo cache set [--node NODE] [--ttl TIME] KEY [VALUE]\n"
	"\n"
	"  start    serve a memcached-compatible cache on this node:\n"
	"             --size SIZE       its memory ([cache] size, else 64M)\n"
	"             --port N          port on 127.0.0.1 and ::1 for memcached\n"
	"                               clients ([cache] port, else 11211)\n"
	"             --value-max SIZE  largest item ([cache] value_max)\n"
	"           or, with --of, a port here that reaches NODE's cache over TLS\n"
	"  stop     end it; what is in it is lost\n"
	"  list     where this node's cache is served, and the ports to others\n"
	"  stats    what memcached's stats shows\n"
	"  get      print the value of KEY; status 1 when there is none\n"
	"  set      store VALUE, or standard input, under KEY, for ever or for\n"
	"           TIME, like 90s or 2h\n";

struct options {
	const char *node;
	const char *of;
	u64 size_bytes;
	u64 value_max_bytes;
	u32 ttl_s;
	u16 port;
};

static bool parse_port(const char *text, u16 *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*port = (u16)n;
	return *text && !*end && n >= 1 && n <= 65535;
}

static bool parse_one(int c, struct options *o)
{
	switch (c) {
	case 'n':
		o->node = optarg;
		return true;
	case 'o':
		o->of = optarg;
		return true;
	case 's':
		return conf_parse_size(optarg, &o->size_bytes) &&
		       o->size_bytes;
	case 'v':
		return conf_parse_size(optarg, &o->value_max_bytes) &&
		       o->value_max_bytes >= 1024 &&
		       o->value_max_bytes <= 64 << 20;
	case 't':
		return duration_parse(optarg, &o->ttl_s);
	case 'p':
		return parse_port(optarg, &o->port);
	default:
		return false;
	}
}

/* What remains of @argv begins at optind; false after a message. */
static bool parse(int argc, char **argv, const struct option *longs,
		  struct options *o)
{
	int c;

	*o = (struct options){ 0 };
	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!parse_one(c, o)) {
			verb_usage("cache", "see what it takes");
			return false;
		}
	return true;
}

static bool module_is_off(void)
{
	const char *word = getenv("VIRGO_MODULE");

	return word && !strcmp(word, "off");
}

static void tell_bound(const char *option, u64 asked, u64 got)
{
	char text[TEXT_SIZE];

	if (!asked || asked == got)
		return;
	text_size(got, text);
	fprintf(stderr, "virgo: cache: the kernel has bounded %s to %s\n", option,
		text);
}

/* 0 with @m, valid until client_close(*c); 1 after the failure was printed. */
static int ask_list(const struct globals *g, struct client **c,
		    struct msg_cache_listed *m)
{
	struct span reply;
	int ret = ask(g, c, MSG_CACHE_LIST, NULL, 0, MSG_CACHE_LISTED, &reply);

	if (!ret && msg_cache_listed_decode(m, reply.data, reply.len)) {
		fputs("virgo: cache: malformed answer\n", stderr);
		ret = 1;
	}
	return ret;
}

/* The module's bounds are narrower than virgod's. */
static int tell_bounds(const struct globals *g, const struct options *o)
{
	struct msg_cache_listed m;
	struct client *c;
	int ret = ask_list(g, &c, &m);

	if (!ret) {
		tell_bound("--size", o->size_bytes, m.bytes);
		tell_bound("--value-max", o->value_max_bytes,
			   m.value_max_bytes);
	}
	client_close(c);
	return ret;
}

static int list(const struct globals *g, int argc, char **argv)
{
	struct rec_cache_port port;
	struct msg_cache_listed m;
	struct rcursor ports;
	struct client *c;
	int ret;

	if (argc > 1)
		return verb_usage("cache", "list takes nothing");
	ret = ask_list(g, &c, &m);
	if (!ret) {
		if (m.where.len)
			cache_print(&m);
		ports = rcursor_of(m.ports.data, m.ports.len);
		while (rec_cache_port_next(&ports, &port) > 0) {
			printf("port %u: the cache of ", port.port);
			text_print(port.node, stdout);
			putchar('\n');
		}
	}
	client_close(c);
	return ret;
}

static int start(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "size", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },
		{ "value-max", required_argument, NULL, 'v' },
		{ "of", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	struct msg_cache_start m;
	struct options o;
	struct span reply;
	struct client *c;
	int ret;

	if (!parse(argc, argv, longs, &o))
		return 2;
	if (optind < argc)
		return verb_usage("cache", "start takes options only");
	if (o.of && (!o.port || o.size_bytes || o.value_max_bytes))
		return verb_usage("cache", "--of NODE needs --port, and no "
					   "other option");
	m = (struct msg_cache_start){ .node = span_of(o.of),
				      .bytes = o.size_bytes,
				      .port = o.port,
				      .value_max_bytes = o.value_max_bytes,
				      .aside = module_is_off() };
	ret = ask_message(g, &c, CACHE_START, cache_start, &m, OK, &reply);
	client_close(c);
	return ret || o.of ? ret : tell_bounds(g, &o);
}

static int stop(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "of", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	struct msg_cache_stop m;
	struct options o;
	struct span reply;
	struct client *c;
	int ret;

	if (!parse(argc, argv, longs, &o))
		return 2;
	if (optind < argc)
		return verb_usage("cache", "stop takes only --of");
	m.node = span_of(o.of);
	ret = ask_message(g, &c, CACHE_STOP, cache_stop, &m, OK, &reply);
	client_close(c);
	return ret;
}

/* 0 with @answer, valid until client_close(*c); 1 after the failure was printed.
 */
static int ask_cache(const struct globals *g, struct client **c,
		     const char *node, struct span commands,
		     struct span *answer)
{
	const struct msg_cache_ask m = { .node = span_of(node),
					 .commands = commands };
	struct msg_cache_answer got;
	struct span reply;
	int ret = ask_message(g, c, CACHE_ASK, cache_ask, &m, CACHE_ANSWER,
			      &reply);

	if (ret)
		return ret;
	if (msg_cache_answer_decode(&got, reply.data, reply.len)) {
		fputs("virgo: cache: malformed answer\n", stderr);
		return 1;
	}
	*answer = got.answers;
	return 0;
}

static bool begins(struct span s, const char *with)
{
	return s.len >= strlen(with) && !memcmp(s.data, with, strlen(with));
}

/* What the cache said instead of doing it. */
static int refused(const char *key, struct span answer)
{
	int len = answer.len > 2 ? (int)answer.len - 2 : 0;

	fprintf(stderr, "virgo: %s: %.*s\n", key, len,
		(const char *)answer.data);
	return 1;
}

static int stats(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "node", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	struct span answer;
	struct options o;
	struct client *c;
	char line[64];
	int ret;

	if (!parse(argc, argv, longs, &o))
		return 2;
	if (argc - optind > 1 ||
	    (optind < argc && strcmp(argv[optind], "items") &&
	     strcmp(argv[optind], "slabs") && strcmp(argv[optind], "settings")))
		return verb_usage("cache", "stats of items, slabs or settings?");
	snprintf(line, sizeof(line), "stats %s\r\n",
		 optind < argc ? argv[optind] : "");
	ret = ask_cache(g, &c, o.node, span_of(line), &answer);
	while (!ret && begins(answer, "STAT ")) {
		const u8 *end = memchr(answer.data, '\r', answer.len);
		u32 len = end ? (u32)(end - answer.data) : answer.len;

		printf("%.*s\n", (int)len - 5, (const char *)answer.data + 5);
		len = len + 2 < answer.len ? len + 2 : answer.len;
		answer.data += len;
		answer.len -= len;
	}
	client_close(c);
	return ret;
}

static bool key_is_good(const char *key)
{
	const u8 *p;

	for (p = (const u8 *)key; *p; p++)
		if (*p <= ' ' || *p == 127)
			return false;
	return p > (const u8 *)key && p - (const u8 *)key <= KEY_MAX;
}

static int bad_key(void)
{
	return verb_usage("cache", "a key is 1 to 250 bytes without blanks");
}

static int print_value(const char *key, const char *node, struct span answer)
{
	const u8 *end = memchr(answer.data, '\n', answer.len);
	unsigned int len;

	if (begins(answer, "EN\r\n")) {
		fprintf(stderr, "virgo: %s: not in the cache%s%s\n", key,
			node ? " of " : "", node ? node : "");
		return 1;
	}
	if (!end || sscanf((const char *)answer.data, "VA %u", &len) != 1 ||
	    (size_t)(answer.data + answer.len - end - 1) < len)
		return refused(key, answer);
	fwrite(end + 1, 1, len, stdout);
	return 0;
}

static int get(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "node", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	char line[KEY_MAX + 16];
	struct span answer;
	struct options o;
	struct client *c;
	int ret;

	if (!parse(argc, argv, longs, &o))
		return 2;
	if (argc - optind != 1)
		return verb_usage("cache", "get takes one key");
	if (!key_is_good(argv[optind]))
		return bad_key();
	snprintf(line, sizeof(line), "mg %s v\r\n", argv[optind]);
	ret = ask_cache(g, &c, o.node, span_of(line), &answer);
	if (!ret)
		ret = print_value(argv[optind], o.node, answer);
	client_close(c);
	return ret;
}

/* Standard input, at most VALUE_MAX bytes behind the @room bytes in front. */
static char *read_value(size_t room, size_t *len)
{
	char *all = malloc(room + VALUE_MAX + 3);
	ssize_t n = 1;

	*len = 0;
	while (all && n > 0 && *len <= VALUE_MAX) {
		n = read(STDIN_FILENO, all + room + *len, VALUE_MAX + 1 - *len);
		if (n > 0)
			*len += (size_t)n;
	}
	if (all && n < 0) {
		perror("virgo: standard input");
		free(all);
		return NULL;
	}
	if (all && *len > VALUE_MAX) {
		fputs("virgo: standard input: too long for a value\n", stderr);
		free(all);
		return NULL;
	}
	return all;
}

static int set(const struct globals *g, int argc, char **argv)
{
	enum { ROOM = KEY_MAX + 64 };
	static const struct option longs[] = {
		{ "node", required_argument, NULL, 'n' },
		{ "ttl", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	char line[ROOM];
	struct span answer;
	struct options o;
	struct client *c;
	char *all;
	size_t len;
	int n, ret;

	if (!parse(argc, argv, longs, &o))
		return 2;
	if (argc - optind < 1 || argc - optind > 2)
		return verb_usage("cache", "set takes a key and a value");
	if (!key_is_good(argv[optind]))
		return bad_key();
	if (argc - optind == 2) {
		len = strlen(argv[optind + 1]);
		all = len <= VALUE_MAX ? malloc(ROOM + len + 3) : NULL;
		if (all)
			memcpy(all + ROOM, argv[optind + 1], len);
	} else {
		all = read_value(ROOM, &len);
	}
	if (!all)
		return 1;
	n = snprintf(line, sizeof(line), "ms %s %zu T%u\r\n", argv[optind],
		     len, o.ttl_s);
	memcpy(all + ROOM - n, line, (size_t)n);
	memcpy(all + ROOM + len, "\r\n", 2);
	ret = ask_cache(g, &c, o.node,
			(struct span){ (u8 *)all + ROOM - n,
				       (u32)(len + 2) + (u32)n },
			&answer);
	if (!ret && !begins(answer, "HD"))
		ret = refused(argv[optind], answer);
	client_close(c);
	free(all);
	return ret;
}

int verb_cache(const struct globals *g, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct globals *g, int argc, char **argv);
	} actions[] = {
		{ "start", start }, { "stop", stop }, { "list", list },
		{ "stats", stats }, { "get", get },   { "set", set },
	};
	const char *action = argc > 1 ? argv[1] : "";

	if (!strcmp(action, "--help")) {
		fputs(help, stdout);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(action, actions[i].name))
			return actions[i].run(g, argc - 1, argv + 1);
	return verb_usage("cache", "start, stop, list, stats, get or set?");
}
