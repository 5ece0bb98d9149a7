// SPDX-License-Identifier: LGPL-2.1-or-later
/* See spare.h. */
#include "spare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void spare_self(const char *adj)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, adj, strlen(adj)) < 0)
		errno = 0;
	close(fd);
}
