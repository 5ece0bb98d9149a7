// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo memory map, objects and free: the user's memory objects. */
#include "objects.h"

#include <inttypes.h>
#include <stdio.h>

#include "ask.h"
#include "extent.h"
#include "text.h"

static bool wants_json(int argc, char **argv)
{
	return argc > 1 && !strcmp(argv[argc - 1], "--json");
}

/* --- map --- */


static void print_run(const struct rec_malloc_run *run)
{
	u32 i;

	for (i = 0; i < run->count; i++) {
		printf("%6u  ", run->first + i);
		text_print(run->node, stdout);
		printf("%*s  %016" PRIx64 "%s\n",
		       run->node.len < 16 ? 16 - (int)run->node.len : 0, "",
		       run->generation, run->lost ? "  lost" : "");
	}
}

static void print_map(const struct msg_malloc_table *m)
{
	struct rcursor c = rcursor_of(m->runs.data, m->runs.len);
	struct rec_malloc_run run;

	printf("%" PRIu64 " bytes, made on ", m->bytes);
	text_print(m->maker, stdout);
	printf(m->held ? ", held by the program that made it\n" :
			 ", freed when not used for %u s\n",
	       m->lease_ms / 1000);
	printf("\n%6s  %-16s  %s\n", "EXTENT", "NODE", "GENERATION");
	while (rec_malloc_run_next(&c, &run) > 0)
		print_run(&run);
}

static void json_run(const struct rec_malloc_run *run, const char **before)
{
	u32 i;

	for (i = 0; i < run->count; i++) {
		printf("%s{\"extent\":%u,\"node\":", *before, run->first + i);
		text_json(run->node, stdout);
		printf(",\"generation\":\"%016" PRIx64 "\",\"lost\":%s}",
		       run->generation, run->lost ? "true" : "false");
		*before = ",";
	}
}

static void json_map(const struct msg_malloc_table *m)
{
	struct rcursor c = rcursor_of(m->runs.data, m->runs.len);
	struct rec_malloc_run run;
	const char *before = "";

	printf("{\"bytes\":%" PRIu64 ",\"extent_bytes\":%u,\"maker\":",
	       m->bytes, (unsigned int)EXTENT_BYTES);
	text_json(m->maker, stdout);
	printf(",\"lease_ms\":%u,\"held\":%s,\"extents\":[", m->lease_ms,
	       m->held ? "true" : "false");
	while (rec_malloc_run_next(&c, &run) > 0)
		json_run(&run, &before);
	puts("]}");
}

static int bad_handle(void)
{
	return verb_usage("memory", "a handle is 32 hexadecimal digits");
}

static int map(const struct globals *g, int argc, char **argv)
{
	struct msg_malloc_map m = { 0 };
	struct msg_malloc_table got;
	struct client *client;
	struct handle h;
	struct span reply;
	bool json = wants_json(argc, argv);
	int ret;

	if (argc != 2 + json)
		return verb_usage("memory", "map takes a handle, and --json");
	if (!handle_parse(argv[1], &h))
		return bad_handle();
	m.handle = (struct span){ h.bytes, HANDLE_BYTES };
	ret = ask_message(g, &client, MALLOC_MAP, malloc_map, &m, MALLOC_TABLE,
			  &reply);
	if (!ret && !msg_malloc_table_decode(&got, reply.data, reply.len)) {
		if (json)
			json_map(&got);
		else
			print_map(&got);
	}
	client_close(client);
	return ret;
}

/* --- objects --- */

static void object_text(const struct rec_malloc_object *o, char out[HANDLE_TEXT])
{
	struct handle h = { { 0 } };

	if (o->handle.len == HANDLE_BYTES)
		memcpy(h.bytes, o->handle.data, HANDLE_BYTES);
	handle_print(&h, out);
}

static void print_objects(const struct msg_malloc_objects *m)
{
	struct rcursor c = rcursor_of(m->objects.data, m->objects.len);
	struct rec_malloc_object o;
	char handle[HANDLE_TEXT];
	bool first = true;

	printf("%" PRIu64 " KiB of %" PRIu64 " KiB for objects are taken on "
	       "this node; room for yours: %" PRIu64 " KiB\n",
	       m->kept_bytes >> 10, m->budget_bytes >> 10, m->room_bytes >> 10);
	while (rec_malloc_object_next(&c, &o) > 0) {
		if (first)
			printf("\n%-32s %12s %9s %9s\n", "HANDLE", "BYTES",
			       "LEASE", "IDLE");
		first = false;
		object_text(&o, handle);
		printf("%s %12" PRIu64 " %7u s ", handle, o.bytes,
		       o.lease_ms / 1000);
		if (o.held)
			puts("     held");
		else
			printf("%7u s\n", o.idle_ms / 1000);
	}
}

static void json_objects(const struct msg_malloc_objects *m)
{
	struct rcursor c = rcursor_of(m->objects.data, m->objects.len);
	struct rec_malloc_object o;
	char handle[HANDLE_TEXT];
	const char *before = "";

	printf("{\"budget_bytes\":%" PRIu64 ",\"kept_bytes\":%" PRIu64
	       ",\"room_bytes\":%" PRIu64 ",\"objects\":[",
	       m->budget_bytes, m->kept_bytes, m->room_bytes);
	while (rec_malloc_object_next(&c, &o) > 0) {
		object_text(&o, handle);
		printf("%s{\"handle\":\"%s\",\"bytes\":%" PRIu64
		       ",\"lease_ms\":%u,\"idle_ms\":%u,\"held\":%s}",
		       before, handle, o.bytes, o.lease_ms, o.idle_ms,
		       o.held ? "true" : "false");
		before = ",";
	}
	puts("]}");
}

static int objects(const struct globals *g, int argc, char **argv)
{
	const struct msg_malloc_list m = {};
	struct msg_malloc_objects got;
	struct client *client;
	struct span reply;
	bool json = wants_json(argc, argv);
	int ret;

	if (argc != 1 + json)
		return verb_usage("memory", "objects takes only --json");
	ret = ask_message(g, &client, MALLOC_LIST, malloc_list, &m,
			  MALLOC_OBJECTS, &reply);
	if (!ret && !msg_malloc_objects_decode(&got, reply.data, reply.len)) {
		if (json)
			json_objects(&got);
		else
			print_objects(&got);
	}
	client_close(client);
	return ret;
}

static int end(const struct globals *g, int argc, char **argv)
{
	struct msg_malloc_free m = { 0 };
	struct client *client;
	struct handle h;
	struct span reply;
	int ret;

	if (argc != 2)
		return verb_usage("memory", "free takes a handle");
	if (!handle_parse(argv[1], &h))
		return bad_handle();
	m.handle = (struct span){ h.bytes, HANDLE_BYTES };
	ret = ask_message(g, &client, MALLOC_FREE, malloc_free, &m, OK, &reply);
	client_close(client);
	return ret;
}

bool objects_verb(const struct globals *g, int argc, char **argv, int *status)
{
	if (!strcmp(argv[0], "map"))
		*status = map(g, argc, argv);
	else if (!strcmp(argv[0], "objects"))
		*status = objects(g, argc, argv);
	else if (!strcmp(argv[0], "free"))
		*status = end(g, argc, argv);
	else
		return false;
	return true;
}
