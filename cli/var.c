// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo var: the variables of this machine, shown, set and watched. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "amount.h"
#include "text.h"
#include "var_text.h"
#include "vars.h"
#include "verbs.h"

static const char help[] =
	"Usage: virgo var [list] [--kernel] [--json]\n"
	"       virgo var get [--kernel] NAME\n"
	"       virgo var set [--kernel] [OPTION...] NAME VALUE\n"
	"       virgo var watch [--kernel] [--json] [NAME...]\n"
	"Learned values that programs and the kernel may act on.\n"
	"\n"
	"  list     all of them\n"
	"  get      what to act on for NAME; status 1, and why, when its default is\n"
	"  set      make it or change it; for root. What no option says stays:\n"
	"             --type TYPE       u64, s64, fixed or bool (as VALUE looks)\n"
	"             --min N, --max N  its limits\n"
	"             --default N       what is acted on without it\n"
	"             --unit TEXT       at most 7 characters\n"
	"             --ttl TIME        stale after that, like 30s; 0: never\n"
	"             --mode MODE       on, off, or shadow: shown, not acted on\n"
	"             --confidence PPM  how sure, in millionths\n"
	"  watch    print each change of all, or of NAMEs, until it is interrupted\n"
	"\n"
	"  --kernel  those that virgo.ko has, whatever the state folder has\n"
	"  --json    one JSON object a line\n";

struct options {
	const char *state;
	bool kernel, json;
	u8 type;
	int mode; /* -1: not said */
	const char *min, *max, *def, *unit, *ttl, *confidence;
};

static bool parse_one(int c, struct options *o)
{
	switch (c) {
	case 'k':
		o->kernel = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 't':
		o->type = var_type_of(optarg);
		return o->type != VAR_NONE;
	case 'm':
		o->mode = var_mode_of(optarg);
		return o->mode >= 0;
	case 'n':
		o->min = optarg;
		return true;
	case 'x':
		o->max = optarg;
		return true;
	case 'd':
		o->def = optarg;
		return true;
	case 'u':
		o->unit = optarg;
		return strlen(optarg) < VAR_UNIT_BYTES;
	case 'l':
		o->ttl = optarg;
		return true;
	case 'c':
		o->confidence = optarg;
		return true;
	default:
		return false;
	}
}

static int print_failure(const struct failure *f)
{
	failure_print(f, stderr);
	return 1;
}

static int fail(int code, const char *name, const char *what)
{
	struct failure f = { 0 };

	failure_set(&f, code, name, NULL, "%s", what);
	return print_failure(&f);
}

/* --- list, get, watch --- */

static struct span text_of(const char *s, size_t size)
{
	return (struct span){ (const u8 *)s, (u32)strnlen(s, size) };
}

static void print_row(const struct var *v, u64 now)
{
	char value[VAR_TEXT_BYTES], age[32];
	u64 ms = now > v->updated_ns ? (now - v->updated_ns) / 1000000 : 0;
	bool stale = v->ttl_ms && ms > v->ttl_ms;

	var_text_print(v->type, v->value, value);
	snprintf(age, sizeof(age), "%" PRIu64 ".%" PRIu64 "s%s", ms / 1000,
		 ms % 1000 / 100, stale ? " stale" : "");
	printf("%-32s %20s %-7s %-6s %-12s %s\n", v->name, value,
	       *v->unit ? v->unit : "-", var_mode_name(v->mode), age,
	       *v->producer ? v->producer : "-");
}

static void print_json(const struct var *v)
{
	char value[4][VAR_TEXT_BYTES];

	var_text_print(v->type, v->value, value[0]);
	var_text_print(v->type, v->min, value[1]);
	var_text_print(v->type, v->max, value[2]);
	var_text_print(v->type, v->def, value[3]);
	fputs("{\"name\":", stdout);
	text_json(text_of(v->name, sizeof(v->name)), stdout);
	printf(",\"value\":%s,\"min\":%s,\"max\":%s,\"default\":%s,\"type\":\"%s\","
	       "\"mode\":\"%s\",\"unit\":", value[0], value[1], value[2],
	       value[3], var_type_name(v->type), var_mode_name(v->mode));
	text_json(text_of(v->unit, sizeof(v->unit)), stdout);
	printf(",\"ttl_ms\":%u,\"confidence_ppm\":%u,\"updated_ns\":%" PRIu64
	       ",\"producer\":", v->ttl_ms, v->confidence_ppm, v->updated_ns);
	text_json(text_of(v->producer, sizeof(v->producer)), stdout);
	puts("}");
}

static bool wanted(const struct var *v, char **names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strncmp(v->name, names[i], sizeof(v->name)))
			return true;
	return !count;
}

/* Those that were set after @since; gives when the last one was. */
static u64 print_since(const void *table, const struct options *o, u64 since,
		       char **names, int count)
{
	u64 last = since;
	struct var v;

	for (u32 slot = 1; slot < VAR_SLOTS; slot++) {
		if (var_read(table, slot, &v) || v.updated_ns <= since)
			continue;
		if (v.updated_ns > last)
			last = v.updated_ns;
		if (!wanted(&v, names, count))
			continue;
		if (o->json)
			print_json(&v);
		else
			print_row(&v, vars_now_ns());
	}
	return last;
}

static int list(const struct options *o, int argc, char **argv)
{
	struct failure f = { 0 };
	struct vars *vars;

	if (argc)
		return verb_usage("var", "list takes no name");
	if (vars_open(&vars, o->state, o->kernel, &f))
		return f.code == -ENOENT && !o->kernel ? 0 : print_failure(&f);
	if (!o->json)
		printf("%-32s %20s %-7s %-6s %-12s %s\n", "NAME", "VALUE",
		       "UNIT", "MODE", "AGE", "PRODUCER");
	print_since(vars_table(vars), o, 0, NULL, 0);
	vars_close(vars);
	return 0;
}

static const char *reason(int code)
{
	switch (code) {
	case -ECANCELED:
		return "it is not switched on: its default is acted on";
	case -ESTALE:
		return "its value is too old: its default is acted on";
	case -EAGAIN:
		return "it is being written";
	case -ENOENT:
		return "there is no such variable";
	default:
		return strerror(-code);
	}
}

static int read_named(const void *table, const char *name, struct var *v)
{
	int ret = var_find(table, name);

	return ret < 0 ? ret : var_read(table, (u32)ret, v);
}

static int get(const struct options *o, int argc, char **argv)
{
	char text[VAR_TEXT_BYTES];
	struct failure f = { 0 };
	struct var_want want = { 0 };
	struct vars *vars;
	struct var v;
	u64 value;
	int ret;

	if (argc != 1)
		return verb_usage("var", "get takes one name");
	if (vars_open(&vars, o->state, o->kernel, &f))
		return print_failure(&f);
	ret = read_named(vars_table(vars), argv[0], &v);
	vars_close(vars);
	if (ret)
		return fail(ret, argv[0], reason(ret));
	want.type = v.type;
	want.fallback = v.def;
	var_text_limits(v.type, &want.min, &want.max);
	ret = var_judge(&v, &want, vars_now_ns(), &value);
	var_text_print(v.type, value, text);
	puts(text);
	return ret ? fail(ret, argv[0], reason(ret)) : 0;
}

static int watch(const struct options *o, int argc, char **argv)
{
	struct failure f = { 0 };
	struct vars *vars;
	struct pollfd p = { .events = POLLIN };
	u64 since = vars_now_ns();

	if (vars_open(&vars, o->state, o->kernel, &f))
		return print_failure(&f);
	p.fd = vars_watch(vars);
	if (p.fd < 0)
		return fail(p.fd, vars_source(vars), strerror(-p.fd));
	for (;;) {
		since = print_since(vars_table(vars), o, since, argv, argc);
		if (fflush(stdout))
			return 1;
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return fail(-errno, "watch", strerror(errno));
		vars_drain(p.fd);
	}
}

/* --- set --- */

/* What is there already, or what a new one starts from. */
static int start_from(const struct options *o, const char *name,
		      const char *value, struct var *v)
{
	struct failure f = { 0 };
	struct vars *vars;
	int ret = -ENOENT;
	u8 type = o->type ? o->type : var_text_type(value);

	if (!vars_open(&vars, o->state, o->kernel, &f)) {
		ret = read_named(vars_table(vars), name, v);
		vars_close(vars);
	}
	if (!ret && (!o->type || o->type == v->type))
		return 0;
	if (strlen(name) >= sizeof(v->name))
		return fail(-EINVAL, name, "a name has at most 47 characters");
	if (type == VAR_NONE)
		return fail(-EINVAL, name, "the value is none of any type");
	*v = (struct var){ .type = type, .mode = VAR_ON,
			   .confidence_ppm = 1000000 };
	memcpy(v->name, name, strlen(name));
	var_text_limits(type, &v->min, &v->max);
	return var_text_parse(type, value, &v->def) ? 0 :
	       fail(-EINVAL, name, "the value is none of its type");
}

static bool parse_ttl(const char *text, u32 *ms)
{
	u64 n = 0;

	if (strcmp(text, "0") && (!amount_ms(text, &n) || n > UINT32_MAX))
		return false;
	*ms = (u32)n;
	return true;
}

static bool parse_ppm(const char *text, u32 *ppm)
{
	u64 n;

	if (!var_text_parse(VAR_U64, text, &n) || n > 1000000)
		return false;
	*ppm = (u32)n;
	return true;
}

/* Each option that was given; false names it in @bad. */
static bool apply(const struct options *o, struct var *v, const char **bad)
{
	*bad = "--min";
	if (o->min && !var_text_parse(v->type, o->min, &v->min))
		return false;
	*bad = "--max";
	if (o->max && !var_text_parse(v->type, o->max, &v->max))
		return false;
	*bad = "--default";
	if (o->def && !var_text_parse(v->type, o->def, &v->def))
		return false;
	*bad = "--ttl";
	if (o->ttl && !parse_ttl(o->ttl, &v->ttl_ms))
		return false;
	*bad = "--confidence";
	if (o->confidence && !parse_ppm(o->confidence, &v->confidence_ppm))
		return false;
	if (o->unit)
		snprintf(v->unit, sizeof(v->unit), "%s", o->unit);
	if (o->mode >= 0)
		v->mode = (u8)o->mode;
	return true;
}

static int set(const struct options *o, int argc, char **argv)
{
	struct failure f = { 0 };
	const char *bad;
	struct var v;
	char what[64];

	if (argc != 2)
		return verb_usage("var", "set takes a name and a value");
	if (start_from(o, argv[0], argv[1], &v))
		return 1;
	if (!var_text_parse(v.type, argv[1], &v.value)) {
		snprintf(what, sizeof(what), "the value is not of type %s",
			 var_type_name(v.type));
		return fail(-EINVAL, argv[0], what);
	}
	if (!apply(o, &v, &bad)) {
		snprintf(what, sizeof(what), "%s cannot be that", bad);
		return verb_usage("var", what);
	}
	snprintf(v.producer, sizeof(v.producer), "virgo-var");
	return vars_set(o->state, o->kernel, &v, &f) ? print_failure(&f) : 0;
}

int verb_var(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "kernel", no_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ "type", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'm' },
		{ "min", required_argument, NULL, 'n' },
		{ "max", required_argument, NULL, 'x' },
		{ "default", required_argument, NULL, 'd' },
		{ "unit", required_argument, NULL, 'u' },
		{ "ttl", required_argument, NULL, 'l' },
		{ "confidence", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct {
		const char *name;
		int (*run)(const struct options *o, int argc, char **argv);
	} actions[] = {
		{ "list", list }, { "get", get }, { "set", set },
		{ "watch", watch },
	};
	struct options o = { .state = g->state, .mode = -1 };
	const char *action = "list";
	int c;

	if (argc > 1 && argv[1][0] != '-') {
		action = argv[1];
		argc--;
		argv++;
	}
	/* "+": a negative value is no option. */
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (!parse_one(c, &o))
			return verb_usage("var", "see what it takes");
	}
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(action, actions[i].name))
			return actions[i].run(&o, argc - optind, argv + optind);
	return verb_usage("var", "list, get, set or watch?");
}
