// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Audit logs that a crash, a full disk or a hand has been in: whatever the bytes,
 * the entries found have falling numbers, and one that is written after them is
 * found first.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/virgo-fuzz-audit.XXXXXX";
static char path[64];

static void clean(void)
{
	unlink(path);
	rmdir(dir);
}

static void begin(void)
{
	if (path[0])
		return;
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	log_open("fuzz", LOG_LEVEL_ERROR);
	atexit(clean);
}

static bool see(void *arg, const struct audit_entry *e)
{
	u64 *above = arg;

	if (e->number >= *above)
		abort();
	*above = e->number;
	return true;
}

static bool see_newest(void *arg, const struct audit_entry *e)
{
	*(bool *)arg = !strcmp(e->user, "ann") && !strcmp(e->result, "ok");
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u64 above = UINT64_MAX;
	bool found = false;
	struct audit *a;
	struct failure f;
	int fd;

	begin();
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	if (audit_scan(dir, 0, 1000, NULL, see, &above) ||
	    audit_log_open(&a, dir, &f))
		abort();
	if (audit_write(a, "alpha", "ann", "run", "true", NULL) ||
	    audit_write(a, "alpha", "ann", "run", "true", "ok") ||
	    audit_scan(dir, 0, 1, NULL, see_newest, &found) || !found)
		abort();
	audit_log_close(a);
	return 0;
}
