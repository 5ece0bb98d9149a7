// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration files from anywhere: refused with at least one remark, or shown
 * as a file that is read again to the same values.
 */
#include <stdint.h>
#include <stdlib.h>

#include "conf_client.h"
#include "conf_cloud.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union values {
	void *memory;
	struct conf_cloud cloud;
	struct conf_client client;
};

static char *shown(const struct conf_schema *s, const union values *v)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	conf_show(s, v, f);
	fclose(f);
	return text;
}

static void try(const struct conf_schema *s, const char *text, size_t size)
{
	static struct conf_report report;
	union values v, again;
	char *first, *second;
	int ret = conf_parse(s, "f", text, size, &v, &report);

	if (ret) {
		if (!report.errors)
			abort();
		return;
	}
	first = shown(s, &v);
	/* Shorter input may grow beyond the bound when it is written out. */
	if (strlen(first) <= CONF_LINE_MAX) {
		if (conf_parse(s, "f", first, strlen(first), &again, &report))
			abort();
		second = shown(s, &again);
		if (strcmp(first, second))
			abort();
		free(second);
		conf_free(&again);
	}
	free(first);
	conf_free(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try(&conf_cloud_schema, (const char *)data, size);
	try(&conf_client_schema, (const char *)data, size);
	return 0;
}
