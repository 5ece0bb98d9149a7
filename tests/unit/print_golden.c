// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints the sample of every message and record as one line of
 * tests/unit/golden.txt: M number NAME hex, or R NAME hex. After adding a
 * message append its line; a line that changes is a broken protocol.
 */
#include <stdio.h>
#include <stdlib.h>

#include "samples.h"

static void print(const struct sample *s, void *arg)
{
	u8 *bytes = malloc(s->size + 1);

	(void)arg;
	if (!bytes)
		abort();
	s->encode(bytes, s->size);
	if (s->number)
		printf("M %u %s ", s->number, s->name);
	else
		printf("R %s ", s->name);
	for (size_t i = 0; i < s->size; i++)
		printf("%02x", bytes[i]);
	printf("%s\n", s->size ? "" : "-");
	free(bytes);
}

int main(void)
{
	samples_walk(print, NULL);
	return 0;
}
