// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints what must be committed when a table of keys changed: print_conf sample
 * cloud makes conf/virgo_cloud.conf, print_conf mdoc cloud the part of
 * man/virgo_cloud.conf.5 that test_conf looks for; client likewise.
 */
#include "conf_client.h"
#include "conf_cloud.h"
#include "conf_mdoc.h"

int main(int argc, char **argv)
{
	const struct conf_schema *s;

	if (argc != 3)
		return 2;
	s = strcmp(argv[2], "client") ? &conf_cloud_schema :
					&conf_client_schema;
	if (strcmp(argv[1], "mdoc"))
		conf_sample(s, stdout);
	else
		conf_mdoc(s, stdout);
	return 0;
}
