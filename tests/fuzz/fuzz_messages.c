// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Payloads from a stranger, for every message and record: the first two bytes
 * choose which, by a message's number or RECORDS_AT + a record's place. What a decoder accepts must encode to bytes that decode to the
 * same bytes again, and the payload is also walked as a list of the record.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_AT = 384, CHOICES = 512 };

struct input {
	unsigned int want;
	unsigned int record; /* place of the next record in the table */
	const u8 *data;
	size_t size;
};

static void try(const struct sample *s, void *arg)
{
	struct input *in = arg;
	/* Fields that were left out come back as zeros: at most a few bytes. */
	size_t room = in->size + 256;
	unsigned int key;
	ssize_t first, second;
	u8 *a, *b;

	key = s->number ? s->number : RECORDS_AT + in->record++;
	if (key != in->want)
		return;
	a = malloc(room);
	b = malloc(room);
	if (!a || !b)
		abort();
	first = s->copy(in->data, in->size, a, room);
	if (first >= 0) {
		second = s->copy(a, (size_t)first, b, room);
		if (second != first || memcmp(a, b, (size_t)first))
			abort();
	} else if (first != -EBADMSG) {
		abort();
	}
	free(a);
	free(b);
}

#define WALK_LIST(NAME, name, text)                                            \
	if (at++ == want) {                                                    \
		struct rcursor c = rcursor_of(data, size);                     \
		struct rec_##name m;                                           \
									       \
		while (rec_##name##_next(&c, &m) == 1)                         \
			;                                                      \
	}

static void walk(unsigned int want, const u8 *data, size_t size)
{
	unsigned int at = RECORDS_AT;

	VIRGO_RECORDS(WALK_LIST)
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;

	if (size < 2)
		return 0;
	in = (struct input){ .want = get_u16(data) % CHOICES,
			     .data = data + 2,
			     .size = size - 2 };
	samples_walk(try, &in);
	walk(in.want, in.data, in.size);
	return 0;
}
