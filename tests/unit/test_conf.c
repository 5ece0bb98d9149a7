// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration files: every value, every error, and that all tables agree. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_client.h"
#include "conf_cloud.h"
#include "conf_mdoc.h"

static struct conf_cloud cloud;
static struct conf_report report;

static int parse(const char *text)
{
	return conf_parse(&conf_cloud_schema, "f", text, strlen(text), &cloud,
			  &report);
}

static char *printed(void (*print)(const struct conf_schema *s, FILE *out),
		     const struct conf_schema *s)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	print(s, f);
	fclose(f);
	return text;
}

Test(conf, an_empty_file_gives_the_defaults)
{
	struct conf_client client;

	cr_assert_eq(parse(""), 0);
	cr_assert_eq(report.count, 0);
	cr_assert_eq(cloud.node_port, 8747);
	cr_assert_eq(cloud.node_listen.count, 0);
	cr_assert_eq(cloud.allow.count, 0);
	cr_assert_eq(cloud.jobs_system_users.count, 0);
	cr_assert_eq(cloud.jobs_pam, CONF_PAM_AUTO);
	cr_assert_eq(cloud.audit_size_bytes, 16 << 20);
	conf_free(&cloud);
	cr_assert_eq(conf_parse(&conf_client_schema, "f", "", 0, &client,
				&report), 0);
	cr_assert_str_eq(client.mount_path, "/virgo");
	cr_assert_eq(client.mount_timeout_ms, 60000);
	cr_assert(conf_list_has(&client.run_nodes, "*"));
	conf_free(&client);
}

Test(conf, values_of_every_kind_arrive)
{
	cr_assert_eq(parse("# first\r\n"
			   "[node]\r\n"
			   "listen = 10.0.0.1, [fd00::1]:99,beta.lan # here\n"
			   "\tport=99\n"
			   "\n"
			   "[allow]\n"
			   "beta = ann, bob\n"
			   "gamma-2=*\n"
			   "* = none\n"
			   "[idmap]\n"
			   "ann = anna\n"
			   "[functions]\n"
			   "check.sum/2 = beta, ann@lan@gamma, *@*, *\n"
			   "[jobs]\n"
			   "system_users = root\n"
			   "pam = no\n"
			   "[audit]\n"
			   "size = 1G"), 0);
	cr_assert_eq(report.count, 0);
	cr_assert_eq(cloud.node_listen.count, 3);
	cr_assert_str_eq(cloud.node_listen.items[0], "10.0.0.1");
	cr_assert_str_eq(cloud.node_listen.items[1], "[fd00::1]:99");
	cr_assert_str_eq(cloud.node_listen.items[2], "beta.lan");
	cr_assert_eq(cloud.node_port, 99);
	cr_assert_eq(cloud.allow.count, 3);
	cr_assert(conf_list_has(&conf_map_find(&cloud.allow, "beta")->values,
				"bob"));
	cr_assert(conf_list_has(&conf_map_find(&cloud.allow, "gamma-2")->values,
				"*"));
	cr_assert_eq(conf_map_find(&cloud.allow, "*")->values.count, 0);
	cr_assert_null(conf_map_find(&cloud.allow, "delta"));
	cr_assert_str_eq(conf_map_find(&cloud.idmap, "ann")->values.items[0],
			 "anna");
	cr_assert_eq(conf_map_find(&cloud.functions, "check.sum/2")
			     ->values.count, 4);
	cr_assert(conf_list_has(&conf_map_find(&cloud.functions, "check.sum/2")
					 ->values, "ann@lan@gamma"));
	cr_assert(conf_list_has(&cloud.jobs_system_users, "root"));
	cr_assert_eq(cloud.jobs_pam, CONF_PAM_NO);
	cr_assert_eq(cloud.audit_size_bytes, 1 << 30);
	conf_free(&cloud);
}

struct fault {
	char text[96];
	u32 line;
	char what[112];
	char remedy[64];
};

static struct fault faults[] = {
	{ "[node]\nprot = 1\n", 2, "no key 'prot' in [node]", "port" },
	{ "[node]\nsystem_users = ann\n", 2,
	  "no key 'system_users' in [node]", "move it below [jobs]" },
	{ "[node]\nqqqqqqqq = 1\n", 2, "no key 'qqqqqqqq' in [node]",
	  "virgo conf keys lists what there is" },
	{ "[nods]\nport = 1\n", 1, "no section [nods]", "[node]" },
	{ "[zzzzzzzz]\nport = 1\n", 1, "no section [zzzzzzzz]",
	  "virgo conf keys lists what there is" },
	{ "[node\n", 1, "a section's name stands alone between [ and ]",
	  "[node]" },
	{ "[]\n", 1, "a section's name stands alone between [ and ]",
	  "[node]" },
	{ "[node]\n\n[jobs]\n[node]\n", 4,
	  "[node] has begun before, on line 1", "put both together" },
	{ "port = 1\n", 1, "'port' stands above the first [section]",
	  "virgo conf keys lists the sections" },
	{ "[node]\nport\n", 2, "cannot make sense of 'port'",
	  "[section] or key = value" },
	{ "[node]\n= 5\n", 2, "cannot make sense of '= 5'",
	  "[section] or key = value" },
	{ "[node]\nport = 1\nport = 2\n", 3,
	  "'port' stands on line 2 already", "keep one of them" },
	{ "[allow]\nb = ann\nc = ann\nb = *\n", 4,
	  "'b' stands on line 2 already", "keep one of them" },
	{ "[node]\nport = 0\n", 2,
	  "port = 0: expected a number from 1 to 65535", "" },
	{ "[node]\nport = 65536\n", 2,
	  "port = 65536: expected a number from 1 to 65535", "" },
	{ "[node]\nport = 8747x\n", 2,
	  "port = 8747x: expected a number from 1 to 65535", "" },
	{ "[node]\nport = -1\n", 2,
	  "port = -1: expected a number from 1 to 65535", "" },
	{ "[node]\nport = 99999999999999999999999\n", 2,
	  "port = 99999999999999999999999: expected a number from 1 "
	  "to 65535", "" },
	{ "[node]\nport =\n", 2,
	  "port = : expected a number from 1 to 65535", "" },
	{ "[audit]\nsize = 8g\n", 2,
	  "size = 8g: expected a size like 512M or 8G, from 64K to 1T",
	  "" },
	{ "[audit]\nsize = 99999999999999T\n", 2,
	  "size = 99999999999999T: expected a size like 512M or 8G, "
	  "from 64K to 1T", "" },
	{ "[jobs]\npam = yess\n", 2,
	  "pam = yess: expected one of auto | yes | no", "yes" },
	{ "[node]\nlisten = 10.0.0.1,,\n", 2,
	  "an item of the list is empty", "" },
	{ "[node]\nlisten = a b\n", 2, "'a b' is none", "" },
	{ "[node]\nlisten = a:0\n", 2, "'a:0' is none", "" },
	{ "[node]\nlisten = a, a\n", 2, "'a' stands there twice", "" },
	{ "[jobs]\nsystem_users =\n", 2, "expected user names", "" },
	{ "[jobs]\nsystem_users = a:b\n", 2, "'a:b' is none", "" },
	{ "[jobs]\nsystem_users = *, ann\n", 2,
	  "* means all and must stand alone", "" },
	{ "[jobs]\nsystem_users = none, ann\n", 2, "'none' is none",
	  "" },
	{ "[allow]\nBETA = ann\n", 2,
	  "'BETA': expected a node's name or * before the =", "" },
	{ "[functions]\ncheck sum = beta\n", 2,
	  "'check sum': expected a function's name before the =", "" },
	{ "[functions]\nf = BETA\n", 2, "'BETA' is none", "" },
	{ "[functions]\nf = @beta\n", 2, "'@beta' is none", "" },
	{ "[functions]\nf = a:b@beta\n", 2, "'a:b@beta' is none", "" },
	{ "[functions]\nf = beta, beta\n", 2,
	  "'beta' stands there twice", "" },
	{ "[functions]\nf = none\ng =\n", 3, "an item of the list is "
	  "empty", "" },
	{ "[idmap]\n-x = ann\n", 2,
	  "'-x': expected a user's name before the =", "" },
	{ "[idmap]\nann = a,b\n", 2, "expected one user name", "" },
	{ "[idmap]\nann = *\n", 2, "expected one user name", "" },
};

ParameterizedTestParameters(conf, says_what_is_wrong)
{
	return cr_make_param_array(struct fault, faults, ARRAY_SIZE(faults));
}

ParameterizedTest(struct fault *p, conf, says_what_is_wrong)
{
	struct conf_cloud untouched;

	memset(&cloud, 0x5a, sizeof(cloud));
	untouched = cloud;
	cr_assert_eq(parse(p->text), -EINVAL, "%s", p->text);
	cr_assert_arr_eq(&cloud, &untouched, sizeof(cloud));
	cr_assert_eq(report.errors, 1, "%s: %u errors", p->text,
		     report.errors);
	cr_assert_eq(report.remarks[0].line, p->line, "%s", p->text);
	cr_assert(strstr(report.remarks[0].what, p->what), "%s: '%s'", p->text,
		  report.remarks[0].what);
	cr_assert_str_eq(report.remarks[0].remedy, p->remedy);
}

Test(conf, every_error_of_a_file_is_reported)
{
	struct failure f;
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(parse("[node]\nprot = 1\nport = x\n[nothing]\nport = 1\n"
			   "[jobs]\npam = maybe\n"), -EINVAL);
	cr_assert_eq(report.errors, 4);
	conf_report_print(&report, out);
	fclose(out);
	cr_assert_str_eq(text,
		"virgo: f:2: no key 'prot' in [node]. Try: port\n"
		"virgo: f:3: port = x: expected a number from 1 to 65535\n"
		"virgo: f:4: no section [nothing]. Try: virgo conf keys lists "
		"what there is\n"
		"virgo: f:7: pam = maybe: expected one of auto | yes | no\n");
	cr_assert_eq(conf_report_failure(&report, -EINVAL, &f), -EINVAL);
	cr_assert_str_eq(f.object, "f:2");
	cr_assert_str_eq(f.what,
			 "no key 'prot' in [node] (and 3 more errors)");
	cr_assert_str_eq(f.remedy, "port");
	free(text);
}

Test(conf, remarks_are_bounded_and_counted)
{
	char text[16 * 1024] = "[node]\n";
	char *p = text + strlen(text);

	for (int i = 0; i < 1000; i++)
		p += sprintf(p, "k%d = 1\n", i);
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_eq(report.count, CONF_REMARKS_MAX);
	cr_assert_eq(report.errors, 1000);
}

Test(conf, quotes_of_long_values_are_whole_characters)
{
	char text[512] = "[jobs]\npam = x";

	for (int i = 0; i < 100; i++)
		strcat(text, "\u00e4");
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert(strstr(report.remarks[0].what, "\u00e4...: expected"), "%s",
		  report.remarks[0].what);
}

Test(conf, binary_noise_is_one_clear_error)
{
	char text[4096];
	u32 state = 1;

	for (size_t i = 0; i < sizeof(text); i++) {
		state = state * 1664525 + 1013904223;
		text[i] = (char)(state >> 24);
	}
	cr_assert_eq(conf_parse(&conf_cloud_schema, "f", text, sizeof(text),
				&cloud, &report), -EINVAL);
	cr_assert_eq(report.errors, 1);
	cr_assert(strstr(report.remarks[0].what, "this is not a text file"));
	cr_assert_eq(conf_parse(&conf_cloud_schema, "f", "[node]\n\0", 8,
				&cloud, &report), -EINVAL);
	cr_assert_str_eq(report.remarks[0].what, "byte 0x00 at offset 7: this "
						 "is not a text file");
	cr_assert_eq(report.remarks[0].line, 2);
	/* Overlong, surrogate, cut off. */
	cr_assert_eq(parse("# \xc0\xaf"), -EINVAL);
	cr_assert_eq(parse("# \xed\xa0\x80"), -EINVAL);
	cr_assert_eq(parse("# \xe2\x82"), -EINVAL);
	cr_assert_eq(parse("# \xe2\x82\xac"), 0);
	conf_free(&cloud);
}

Test(conf, sizes_of_lines_and_files_are_bounded)
{
	char *text = malloc(CONF_FILE_MAX + 2);

	memset(text, '#', CONF_FILE_MAX + 1);
	text[CONF_LINE_MAX] = '\n';
	text[CONF_LINE_MAX + 1] = '\0';
	cr_assert_eq(parse(text), 0);
	conf_free(&cloud);
	text[CONF_LINE_MAX] = '#';
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_str_eq(report.remarks[0].what, "line longer than 4096 bytes");
	text[CONF_LINE_MAX + 1] = '#';
	cr_assert_eq(conf_parse(&conf_cloud_schema, "f", text,
				CONF_FILE_MAX + 1, &cloud, &report), -EINVAL);
	cr_assert_str_eq(report.remarks[0].what,
			 "larger than 64 KiB; not a configuration file");
	free(text);
}

Test(conf, the_originals_line_is_understood)
{
	struct conf_client client;
	const char two[] = "# old\n10.0.0.1, beta.lan:99,10.0.0.1\n\n";

	cr_assert_eq(parse("127.0.0.1,127.0.0.1"), 0);
	cr_assert_eq(cloud.node_seeds.count, 1);
	cr_assert_str_eq(cloud.node_seeds.items[0], "127.0.0.1");
	cr_assert_eq(report.errors, 0);
	cr_assert_eq(report.count, 1);
	cr_assert(report.remarks[0].notice);
	cr_assert(strstr(report.remarks[0].what, "[node] seeds = 127.0.0.1"));
	conf_free(&cloud);
	cr_assert_eq(conf_parse(&conf_client_schema, "f", two, strlen(two),
				&client, &report), 0);
	cr_assert_eq(client.run_nodes.count, 2);
	cr_assert_str_eq(client.run_nodes.items[1], "beta.lan:99");
	cr_assert_eq(report.remarks[0].line, 2);
	conf_free(&client);
	cr_assert_eq(parse("beta"), -EINVAL);
	cr_assert_eq(parse("10.0.0.1,\n"), 0);
	conf_free(&cloud);
	cr_assert_eq(parse("10.0.0.1,b c\n"), -EINVAL);
	cr_assert_eq(parse("10.0.0.1\n10.0.0.2\n"), -EINVAL);
	cr_assert_eq(report.errors, 2);
}

struct unit_sample {
	char text[24];
	bool valid;
	u64 value;
};

ParameterizedTestParameters(conf, sizes)
{
	static struct unit_sample s[] = {
		{ "0", true, 0 },
		{ "17", true, 17 },
		{ "64K", true, 65536 },
		{ "8G", true, 8ull << 30 },
		{ "16777215T", true, 16777215ull << 40 },
		{ "16777216T", false, 0 },
		{ "18446744073709551616", false, 0 },
		{ "", false, 0 },
		{ "G", false, 0 },
		{ "8GB", false, 0 },
		{ "8 G", false, 0 },
		{ "-8G", false, 0 },
		{ "1.5G", false, 0 },
		{ "0x10", false, 0 },
	};

	return cr_make_param_array(struct unit_sample, s, ARRAY_SIZE(s));
}

ParameterizedTest(struct unit_sample *p, conf, sizes)
{
	u64 value = 0;

	cr_assert_eq(conf_parse_size(p->text, &value), p->valid, "%s", p->text);
	if (p->valid)
		cr_assert_eq(value, p->value, "%s", p->text);
}

ParameterizedTestParameters(conf, durations)
{
	static struct unit_sample s[] = {
		{ "0", true, 0 },
		{ "500ms", true, 500 },
		{ "60s", true, 60000 },
		{ "2h", true, 7200000 },
		{ "30d", true, 2592000000ull },
		{ "60", false, 0 },
		{ "s", false, 0 },
		{ "1w", false, 0 },
		{ "213503982335d", false, 0 },
	};

	return cr_make_param_array(struct unit_sample, s, ARRAY_SIZE(s));
}

ParameterizedTest(struct unit_sample *p, conf, durations)
{
	u64 value = 0;

	cr_assert_eq(conf_parse_duration(p->text, &value), p->valid, "%s",
		     p->text);
	if (p->valid)
		cr_assert_eq(value, p->value, "%s", p->text);
}

Test(conf, the_nearest_name_is_what_was_meant)
{
	const char *names[] = { "listen", "port", "advertise", "seeds" };

	cr_assert_str_eq(conf_nearest("prot", names, 4), "port");
	cr_assert_str_eq(conf_nearest("lisen", names, 4), "listen");
	cr_assert_str_eq(conf_nearest("adverties", names, 4), "advertise");
	cr_assert_str_eq(conf_nearest("seed", names, 4), "seeds");
	cr_assert_null(conf_nearest("xyz", names, 4));
	cr_assert_null(conf_nearest("", names, 4));
	cr_assert_null(conf_nearest("a-word-far-longer-than-any-name-there-is-"
				    "here", names, 4));
}

static void shown_and_read_again(const char *text)
{
	struct conf_cloud again;
	char *first, *second;
	size_t size;
	FILE *f = open_memstream(&first, &size);

	cr_assert_eq(parse(text), 0);
	conf_show(&conf_cloud_schema, &cloud, f);
	fclose(f);
	cr_assert_eq(conf_parse(&conf_cloud_schema, "f", first, strlen(first),
				&again, &report), 0, "%s", first);
	f = open_memstream(&second, &size);
	conf_show(&conf_cloud_schema, &again, f);
	fclose(f);
	cr_assert_str_eq(first, second);
	cr_assert_eq(!!strstr(first, "port = 8747  # default\n"),
		     !strstr(text, "port"));
	conf_free(&cloud);
	conf_free(&again);
	free(first);
	free(second);
}

Test(conf, what_is_shown_can_be_read_again)
{
	shown_and_read_again("");
	shown_and_read_again("[node]\nport = 99\nseeds = a:1, b\n[allow]\n"
			     "* = none\nbeta = ann, bob\n[idmap]\nann = anna\n"
			     "[jobs]\nsystem_users = *\npam = yes\n[audit]\n"
			     "size = 65537\nkeep = 0\n");
}

/* This also runs the assertion in conf_parse() that each default is valid. */
static void sample_with_its_defaults_uncommented(const struct conf_schema *s,
						 void *values)
{
	char *sample = printed(conf_sample, s);

	for (char *p = sample; (p = strstr(p, "\n#"));)
		if (islower((++p)[1]))
			*p = ' ';
	cr_assert_eq(conf_parse(s, s->file, sample, strlen(sample), values,
				&report), 0, "%s: %s", sample,
		     report.remarks[0].what);
	conf_free(values);
	free(sample);
}

static char *contents(const char *name)
{
	enum { MOST = 256 << 10 };
	char path[4096];
	char *text = calloc(1, MOST);
	FILE *f;

	snprintf(path, sizeof(path), SOURCE_DIR "/%s", name);
	f = fopen(path, "r");
	cr_assert(f, "%s", path);
	cr_assert(fread(text, 1, MOST - 1, f));
	fclose(f);
	return text;
}

static void is_in(const char *dir, const struct conf_schema *s,
		  const char *end, void (*print)(const struct conf_schema *s,
						 FILE *out))
{
	char name[64];
	char *want = printed(print, s);
	char *file;

	snprintf(name, sizeof(name), "%s/%s%s", dir, s->file, end);
	file = contents(name);
	cr_assert(strstr(file, want), "%s is out of date, see print_conf.c: "
		  "it lacks\n%s", name, want);
	free(file);
	free(want);
}

Test(conf, samples_and_manual_pages_agree_with_the_tables)
{
	struct conf_client client;

	sample_with_its_defaults_uncommented(&conf_cloud_schema, &cloud);
	sample_with_its_defaults_uncommented(&conf_client_schema, &client);
	is_in("conf", &conf_cloud_schema, "", conf_sample);
	is_in("conf", &conf_client_schema, "", conf_sample);
	is_in("man", &conf_cloud_schema, ".5", conf_mdoc);
	is_in("man", &conf_client_schema, ".5", conf_mdoc);
}

/* Whether a C file of @dir reads the field @word of a struct. */
static bool is_used_in(const char *dir, const char *word)
{
	char command[512];

	snprintf(command, sizeof(command), "grep -qE '(->|\\.)%s(_ms|_bytes)?\\b' "
		 SOURCE_DIR "/%s/*.c", word, dir);
	return system(command) == 0;
}

static void every_key_is_used(const struct conf_schema *s)
{
	static const char *const dirs[] = { "cli", "daemon", "fs" };
	char word[128];

	for (size_t i = 0; i < s->count; i++) {
		const struct conf_row *row = &s->rows[i];
		bool used = false;

		snprintf(word, sizeof(word), "%s%s%s", row->section,
			 row->map ? "" : "_", row->map ? "" : row->key);
		for (size_t d = 0; d < ARRAY_SIZE(dirs); d++)
			used |= is_used_in(dirs[d], word);
		cr_assert(used, "nothing reads [%s] %s", row->section,
			  row->key);
	}
}

Test(conf, every_key_does_something)
{
	every_key_is_used(&conf_cloud_schema);
	every_key_is_used(&conf_client_schema);
}

Test(conf, the_listing_names_every_key)
{
	char *text = printed(conf_keys, &conf_cloud_schema);

	cr_assert(strstr(text, "\n[jobs]\n"));
	cr_assert(strstr(text, "  pam = auto | yes | no  (default: auto)\n"));
	cr_assert(strstr(text, "  NODE = USER, ... | * | none\n"));
	free(text);
}

Test(conf, files_that_cannot_be_read)
{
	char dir[] = "/tmp/virgo-conf.XXXXXX";
	char path[64];
	FILE *f;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(conf_read(&conf_cloud_schema, dir, &cloud, &report),
		     -EISDIR);
	cr_assert_str_eq(report.remarks[0].what,
			 "cannot read it: Is a directory");
	snprintf(path, sizeof(path), "%s/f", dir);
	cr_assert_eq(conf_read(&conf_cloud_schema, path, &cloud, &report),
		     -ENOENT);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(conf_read(&conf_cloud_schema, path, &cloud, &report),
		     -ENOTSUP);
	cr_assert_str_eq(report.remarks[0].what,
			 "cannot read it: not a regular file");
	unlink(path);
	f = fopen(path, "w");
	fputs("[node]\nport = 99\n", f);
	fclose(f);
	cr_assert_eq(conf_read(&conf_cloud_schema, path, &cloud, &report), 0);
	cr_assert_eq(cloud.node_port, 99);
	cr_assert_str_eq(report.path, path);
	conf_free(&cloud);
	cr_assert_eq(truncate(path, 1 << 20), 0);
	cr_assert_eq(conf_read(&conf_cloud_schema, path, &cloud, &report),
		     -EINVAL);
	unlink(path);
	rmdir(dir);
}
