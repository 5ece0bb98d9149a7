/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of nodes as people write them: "alpha,n[01-16,20],rack[1-2]n[1-4]".
 * Numbers keep the width of the first: [08-11] is 08, 09, 10, 11.
 */
#ifndef VIRGO_CLI_HOSTS_H
#define VIRGO_CLI_HOSTS_H

#include "client.h"

enum { HOSTS_MAX = 4096, HOSTS_NAME_MAX = 63 };

struct hosts {
	char **names; /* in the order written, none twice */
	int count;
};

/* Adds what @list names; -EINVAL and @f when it is malformed or too long. */
int hosts_add(struct hosts *h, const char *list, struct failure *f);
/* Adds every node that virgod knows to be up. */
int hosts_add_up(struct hosts *h, struct client *client, const char *object,
		 struct failure *f);
void hosts_free(struct hosts *h);

#endif
