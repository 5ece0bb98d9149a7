// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where configuration files are and how their bytes are had; see conf.h. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "conf.h"
#include "where.h"

/* The file's bytes, one more than allowed at most; a negative errno. */
static ssize_t slurp(int fd, char *text)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, text + len, CONF_FILE_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
	} while (n && len <= CONF_FILE_MAX);
	return (ssize_t)len;
}

static ssize_t load(const char *path, char *text)
{
	/* Not to wait for the writer of a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t len = -errno;
	struct stat st;

	if (fd < 0)
		return len;
	if (fstat(fd, &st))
		len = -errno;
	else if (S_ISDIR(st.st_mode))
		len = -EISDIR;
	else if (!S_ISREG(st.st_mode))
		len = -ENOTSUP;
	else
		len = slurp(fd, text);
	close(fd);
	return len;
}

static void report_unread(struct conf_report *report, const char *path,
			  int error)
{
	struct conf_remark *m = report->remarks;

	*report = (struct conf_report){ .count = 1, .errors = 1 };
	snprintf(report->path, sizeof(report->path), "%s", path);
	snprintf(m->what, sizeof(m->what), "cannot read it: %s",
		 error == -ENOTSUP ? "not a regular file" : strerror(-error));
	if (error == -EACCES)
		snprintf(m->remedy, sizeof(m->remedy), "run it as root");
}

int conf_read(const struct conf_schema *s, const char *path, void *out,
	      struct conf_report *report)
{
	char *text = malloc(CONF_FILE_MAX + 1);
	ssize_t len = text ? load(path, text) : -ENOMEM;
	int ret;

	if (len >= 0) {
		ret = conf_parse(s, path, text, (size_t)len, out, report);
	} else {
		ret = (int)len;
		report_unread(report, path, ret);
	}
	free(text);
	return ret;
}

void conf_standard_path(const struct conf_schema *s, const char *state,
			const char *conf_dir, char *out)
{
	char dir[PATH_MAX - 64];

	if (!state)
		state = getenv("VIRGO_STATE");
	if (!state)
		state = VIRGO_DEFAULT_STATE;
	where_conf_dir(conf_dir, state, dir, sizeof(dir));
	snprintf(out, PATH_MAX, "%s/%s", dir, s->file);
}

int conf_load(const struct conf_schema *s, const char *state,
	      const char *conf_dir, void *out, struct failure *f)
{
	struct conf_report *report = malloc(sizeof(*report));
	char path[PATH_MAX];
	int ret;

	if (!report)
		return failure_set(f, -ENOMEM, s->file, NULL, "out of memory");
	conf_standard_path(s, state, conf_dir, path);
	ret = conf_read(s, path, out, report);
	if (ret == -ENOENT)
		ret = conf_parse(s, path, "", 0, out, report);
	if (ret)
		conf_report_failure(report, ret, f);
	free(report);
	return ret;
}
