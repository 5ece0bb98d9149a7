// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The codec of all messages: golden bytes, round trips, every truncation, and
 * what a newer sender may append. Inputs lie in exactly sized heap blocks, so
 * that a sanitizer sees a read one byte too far.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "samples.h"

#define GOLDEN GOLDEN_DIR "/golden.txt"

static u8 *copy_of(const void *data, size_t len)
{
	u8 *p = malloc(len ? len : 1);

	cr_assert_not_null(p);
	memcpy(p, data, len);
	return p;
}

static u8 *sample_bytes(const struct sample *s)
{
	u8 *p = malloc(s->size ? s->size : 1);

	cr_assert_not_null(p);
	s->encode(p, s->size);
	return p;
}

static void check_round_trip(const struct sample *s, void *arg)
{
	u8 *in = sample_bytes(s);
	u8 *out = malloc(s->size + 1);

	cr_assert_eq(s->copy(in, s->size, out, s->size), (ssize_t)s->size,
		     "%s", s->name);
	cr_assert(s->size == 0 || !memcmp(in, out, s->size), "%s", s->name);
	free(in);
	free(out);
}

Test(wire, every_message_comes_back_equal)
{
	samples_walk(check_round_trip, NULL);
}

static void check_truncated(const struct sample *s, void *arg)
{
	u8 *whole = sample_bytes(s);
	u8 *again = malloc(s->size + 1);

	/* A cut may only be accepted where an optional field begins: then the
	 * fields before it are all there, and come back as they were.
	 */
	for (size_t len = 0; len < s->size; len++) {
		u8 *in = copy_of(whole, len);
		int ret = s->decode(in, len);

		cr_assert(ret == 0 || ret == -EBADMSG, "%s cut at %zu: %d",
			  s->name, len, ret);
		if (ret == 0) {
			cr_assert_geq(s->copy(in, len, again, s->size),
				      (ssize_t)len, "%s at %zu", s->name, len);
			cr_assert_arr_eq(again, whole, len);
		}
		free(in);
	}
	free(whole);
	free(again);
}

Test(wire, every_truncation_is_refused_or_ends_before_an_optional_field)
{
	samples_walk(check_truncated, NULL);
}

static void check_appended(const struct sample *s, void *arg)
{
	static const u8 extra[] = { 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x7f };
	u8 *whole = sample_bytes(s);
	u8 *in = malloc(s->size + sizeof(extra));
	u8 *out = malloc(s->size + 1);

	memcpy(in, whole, s->size);
	memcpy(in + s->size, extra, sizeof(extra));
	cr_assert_eq(s->copy(in, s->size + sizeof(extra), out, s->size),
		     (ssize_t)s->size, "%s", s->name);
	cr_assert(s->size == 0 || !memcmp(out, whole, s->size), "%s", s->name);
	free(whole);
	free(in);
	free(out);
}

Test(wire, what_a_newer_sender_appends_is_skipped)
{
	samples_walk(check_appended, NULL);
}

static void check_no_room(const struct sample *s, void *arg)
{
	for (size_t room = 0; room < s->size; room++) {
		u8 *out = malloc(room ? room : 1);

		/* Under a sanitizer an encoder that ignores its end dies. */
		s->encode(out, room);
		free(out);
	}
}

Test(wire, an_encoder_never_writes_past_its_room)
{
	samples_walk(check_no_room, NULL);
}

struct wanted {
	char kind;
	unsigned int number;
	char name[64];
	char hex[8192];
	bool found;
};

static void check_golden(const struct sample *s, void *arg)
{
	struct wanted *w = arg;
	char hex[8192] = "-";
	u8 *bytes;

	if (strcmp(s->name, w->name) || (w->kind == 'M') != (s->number != 0))
		return;
	w->found = true;
	cr_assert_eq(s->number, w->number, "%s changed its number", s->name);
	bytes = sample_bytes(s);
	for (size_t i = 0; i < s->size; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	/* Fields may be appended, so the golden bytes are a prefix. */
	if (strcmp(w->hex, "-"))
		cr_assert(!strncmp(hex, w->hex, strlen(w->hex)),
			  "%s changed:\n was %s\n now %s", s->name, w->hex,
			  hex);
	free(bytes);
}

Test(wire, golden_bytes_have_not_changed)
{
	FILE *f = fopen(GOLDEN, "re");
	struct wanted w = { 0 };
	char line[8400];
	int lines = 0;

	cr_assert_not_null(f, "no %s", GOLDEN);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		w.found = false;
		w.kind = line[0];
		w.number = 0;
		if (w.kind == 'M')
			cr_assert_eq(sscanf(line, "M %u %63s %8191s",
					    &w.number, w.name, w.hex),
				     3, "%s", line);
		else
			cr_assert_eq(sscanf(line, "R %63s %8191s", w.name,
					    w.hex),
				     2, "%s", line);
		samples_walk(check_golden, &w);
		cr_assert(w.found, "%s was removed", w.name);
		lines++;
	}
	fclose(f);
	cr_assert_gt(lines, 40);
}

/* HELLO as version 0.1.0 says it, byte for byte. */
static const u8 hello_0_1_0[] = {
	0x01, 0x00, 0x01, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x11, 0x00, 0x05, 0x00, 0x00, 0x00, 0x61, 0x6c, 0x70, 0x68,
	0x61, 0x10, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x88, 0x77, 0x66,
	0x55, 0x44, 0x33, 0x22, 0x11, 0x0b, 0x00, 0x00, 0x00, 0x76, 0x69, 0x72,
	0x67, 0x6f, 0x20, 0x30, 0x2e, 0x31, 0x2e, 0x30
};

Test(wire, hello_of_0_1_0_is_understood)
{
	struct msg_hello m;

	cr_assert_eq(msg_hello_decode(&m, hello_0_1_0, sizeof(hello_0_1_0)),
		     0);
	cr_assert_eq(m.version_min, 1);
	cr_assert_eq(m.version_max, 1);
	cr_assert_eq(m.features, 0x0102);
	cr_assert_eq(m.frame_max, FRAME_MAX);
	cr_assert(span_equal(m.node, span_of("alpha")));
	cr_assert_eq(m.session.len, 16);
	cr_assert_eq(m.session.data[15], 15);
	cr_assert_eq(m.boot, 0x1122334455667788);
	cr_assert(span_equal(m.software, span_of("virgo 0.1.0")));
}

Test(wire, a_list_gives_its_records_and_then_ends)
{
	struct rec_text one = { .text = span_of("one") };
	struct rec_text none = { 0 };
	struct rec_text got;
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	struct rcursor r;

	rec_text_append(&w, &one);
	rec_text_append(&w, &none);
	r = rcursor_of(buf, wcursor_len(&w));
	cr_assert_eq(rec_text_next(&r, &got), 1);
	cr_assert(span_equal(got.text, one.text));
	cr_assert_eq(rec_text_next(&r, &got), 1);
	cr_assert_eq(got.text.len, 0);
	cr_assert_eq(rec_text_next(&r, &got), 0);
	cr_assert_eq(rec_text_next(&r, &got), 0);
}

Test(wire, a_list_cut_anywhere_inside_a_record_is_bad)
{
	struct rec_text one = { .text = span_of("one") };
	struct rec_text got;
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	rec_text_append(&w, &one);
	for (size_t len = 1; len < wcursor_len(&w); len++) {
		u8 *in = copy_of(buf, len);
		struct rcursor r = rcursor_of(in, len);

		cr_assert_eq(rec_text_next(&r, &got), -EBADMSG, "%zu", len);
		free(in);
	}
}

Test(wire, a_list_with_a_record_shorter_than_its_fields_is_bad)
{
	/* The record says 4 bytes: only the length of a 3-byte text. */
	static const u8 in[] = { 4, 0, 0, 0, 3, 0, 0, 0, 'o', 'n', 'e' };
	struct rcursor r = rcursor_of(in, sizeof(in));
	struct rec_text got;

	cr_assert_eq(rec_text_next(&r, &got), -EBADMSG);
}

Test(wire, names)
{
	cr_assert_str_eq(wire_name(MSG_HELLO), "HELLO");
	cr_assert_str_eq(wire_name(MSG_JOB_EXIT), "JOB_EXIT");
	cr_assert_null(wire_name(0));
	cr_assert_null(wire_name(0xffff));
}

static void check_unique(const struct sample *s, void *arg)
{
	u8 *seen = arg;

	if (!s->number)
		return;
	cr_assert_lt(s->number, 448, "%s is outside every range", s->name);
	cr_assert_not(seen[s->number], "%s: number used twice", s->name);
	seen[s->number] = 1;
}

Test(wire, numbers_are_unique_and_in_range)
{
	u8 seen[448] = { 0 };

	samples_walk(check_unique, seen);
}
