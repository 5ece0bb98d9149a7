// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints virgo-protocol.7: the text of the file named on the command line, in
 * which the lines "@messages@" and "@records@" are replaced by the tables that
 * the codec itself is made from.
 */
#include <stdio.h>
#include <string.h>

#include "wire.h"

#define FIELD_ROW(kind, field)                                                 \
	printf(".It Va %s\n%s\n", #field, #kind);
#define FIELD_LATER(kind, field)                                               \
	printf(".It Va %s\n%s, may be missing\n", #field, #kind);

static void open_list(const char *text)
{
	printf("%s.\n.Bl -tag -width version_max -compact -offset indent\n",
	       text);
}

/* A message without fields must not leave an empty list behind. */
#define HAS_FIELDS(NAME) (0 FIELDS_##NAME(COUNT, COUNT))
#define COUNT(kind, field) +1

#define MESSAGE_ROW(number, NAME, name, text)                                  \
	printf(".It Sy %d " #NAME "\n", number);                               \
	if (HAS_FIELDS(NAME)) {                                                \
		open_list(text);                                               \
		FIELDS_##NAME(FIELD_ROW, FIELD_LATER) puts(".El");             \
	} else {                                                               \
		puts(text ".");                                                \
	}

#define RECORD_ROW(NAME, name, text)                                           \
	puts(".It Sy " #NAME);                                                 \
	open_list(text);                                                       \
	FIELDS_##NAME(FIELD_ROW, FIELD_LATER) puts(".El");

static void print_messages(void)
{
	puts(".Bl -tag -width indent");
	VIRGO_MESSAGES(MESSAGE_ROW)
	puts(".El");
}

static void print_records(void)
{
	puts(".Bl -tag -width indent");
	VIRGO_RECORDS(RECORD_ROW)
	puts(".El");
}

int main(int argc, char **argv)
{
	char line[512];
	FILE *f;

	if (argc != 2 || !(f = fopen(argv[1], "re"))) {
		fprintf(stderr, "usage: print_protocol virgo-protocol.7.in\n");
		return 1;
	}
	while (fgets(line, sizeof(line), f)) {
		if (!strcmp(line, "@messages@\n"))
			print_messages();
		else if (!strcmp(line, "@records@\n"))
			print_records();
		else
			fputs(line, stdout);
	}
	fclose(f);
	return 0;
}
