// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The audit log's files; the contract and the format are in audit.h. An entry is
 * one write() to a descriptor opened O_APPEND, so it is whole or torn at its
 * end. Reading goes backwards from the end, a block at a time, so that the
 * newest entries of a large log are found at once.
 */
#include "audit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crc32c.h"
#include "log.h"

enum {
	FIELDS = 7,
	/* Every byte may need four; two numbers, the checksum, TABs. */
	LINE_MAX_BYTES = 5 * AUDIT_TEXT_MAX * 4 + 80,
	BLOCK = 64 << 10,
};

struct audit {
	char dir[PATH_MAX - 32];
	int fd;
	u64 size;
	u64 next; /* number of the next entry */
	bool torn; /* the last write was cut; a new line must be begun */
	u64 bound;
	u32 keep;
};

/* The current file is number 0. */
static void path_of(const char *dir, u32 number, char *out)
{
	if (number)
		snprintf(out, PATH_MAX, "%s/audit.log.%u", dir, number);
	else
		snprintf(out, PATH_MAX, "%s/audit.log", dir);
}

static char *put_text(char *p, const char *text)
{
	const char *end;

	if (!text || !*text)
		text = "-";
	end = text + strnlen(text, AUDIT_TEXT_MAX);
	for (; text < end; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == '\\' || c == 0x7f)
			p += sprintf(p, "\\%03o", c);
		else
			*p++ = (char)c;
	}
	return p;
}

static size_t format_line(char *line, const struct audit_entry *e)
{
	const char *texts[] = { e->node, e->user, e->action, e->object,
				e->result };
	char *p = line;

	p += sprintf(p, "%" PRIu64 "\t%" PRIu64, e->number, e->time_s);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		*p++ = '\t';
		p = put_text(p, texts[i]);
	}
	p += sprintf(p, "\t%08x\n", crc32c(0, line, (size_t)(p - line)));
	return (size_t)(p - line);
}

/* Undoes put_text() in place. */
static void take_text(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* Takes @line of @len bytes, without its LF and with room for a NUL, apart;
 * false for a torn one.
 */
static bool parse_line(char *line, size_t len, struct audit_entry *e)
{
	char want[9];
	char *at[FIELDS];
	char *rest = line;

	if (len < 10 || line[len - 9] != '\t')
		return false;
	line[len] = '\0';
	snprintf(want, sizeof(want), "%08x", crc32c(0, line, len - 9));
	if (strcmp(want, line + len - 8))
		return false;
	line[len - 9] = '\0';
	for (int i = 0; i < FIELDS; i++) {
		at[i] = strsep(&rest, "\t");
		if (!at[i])
			return false;
		take_text(at[i]);
	}
	*e = (struct audit_entry){ .number = strtoull(at[0], NULL, 10),
				   .time_s = strtoull(at[1], NULL, 10),
				   .node = at[2],
				   .user = at[3],
				   .action = at[4],
				   .object = at[5],
				   .result = at[6] };
	return true;
}

/*
 * Reading backwards. The buffer holds the file's bytes from @offset on, of which
 * @used are not yet given; a line is complete when the LF in front of it is in
 * the buffer, or the file's beginning.
 */
struct backward {
	int fd;
	off_t offset;
	size_t used;
	char buf[BLOCK + LINE_MAX_BYTES + 1];
};

/* Moves what is left to the buffer's end and reads the block in front of it. */
static bool read_before(struct backward *b)
{
	size_t room = sizeof(b->buf) - 1 - b->used;
	size_t want = room < BLOCK ? room : BLOCK;
	ssize_t got;

	if ((off_t)want > b->offset)
		want = (size_t)b->offset;
	if (!want)
		return false;
	memmove(b->buf + want, b->buf, b->used);
	got = pread(b->fd, b->buf, want, b->offset - (off_t)want);
	if (got != (ssize_t)want)
		return false;
	b->offset -= (off_t)want;
	b->used += want;
	return true;
}

/* The line before the one given last, its length in @len; NULL at the file's
 * beginning. A line longer than any entry, which only damage makes, is given
 * in pieces.
 */
static char *line_before(struct backward *b, size_t *len)
{
	char *lf;

	if (b->used && b->buf[b->used - 1] == '\n')
		b->used--;
	for (;;) {
		lf = b->used ? memrchr(b->buf, '\n', b->used) : NULL;
		if (lf || b->used > LINE_MAX_BYTES || !read_before(b))
			break;
	}
	if (!b->used && !lf)
		return NULL;
	if (lf) {
		*len = b->used - (size_t)(lf + 1 - b->buf);
		b->used = (size_t)(lf + 1 - b->buf);
		return lf + 1;
	}
	*len = b->used;
	b->used = 0;
	return b->buf;
}

struct scan {
	u64 since_s;
	u32 left;
	const char *user;
	bool (*fn)(void *arg, const struct audit_entry *e);
	void *arg;
	u64 below; /* only entries with a smaller number */
};

/* 1 when the scan is over, 0 to go on with the file before, or an error. */
static int scan_file(struct backward *b, struct scan *s)
{
	struct audit_entry e;
	char *line;
	size_t len;

	b->offset = lseek(b->fd, 0, SEEK_END);
	b->used = 0;
	if (b->offset < 0)
		return -errno;
	while ((line = line_before(b, &len))) {
		if (len > LINE_MAX_BYTES || !parse_line(line, len, &e))
			continue;
		/* A file may have been rotated between two opens. */
		if (e.number >= s->below)
			continue;
		s->below = e.number;
		if (e.time_s < s->since_s)
			return 1;
		if (s->user && strcmp(s->user, e.user))
			continue;
		if (!s->fn(s->arg, &e) || !--s->left)
			return 1;
	}
	return 0;
}

int audit_scan(const char *dir, u64 since_s, u32 count, const char *user,
	       bool (*fn)(void *arg, const struct audit_entry *e), void *arg)
{
	struct scan s = { since_s, count, user, fn, arg, UINT64_MAX };
	struct backward *b = malloc(sizeof(*b));
	char path[PATH_MAX];
	int ret = 0;

	if (!b)
		return -ENOMEM;
	for (u32 i = 0; count && i < AUDIT_FILES_MAX && !ret; i++) {
		path_of(dir, i, path);
		b->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (b->fd < 0 && errno == ENOENT)
			continue;
		if (b->fd < 0) {
			ret = -errno;
			break;
		}
		ret = scan_file(b, &s);
		close(b->fd);
	}
	free(b);
	return ret < 0 ? ret : 0;
}

static bool keep_number(void *arg, const struct audit_entry *e)
{
	*(u64 *)arg = e->number;
	return false;
}

static int open_current(struct audit *a)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(a->dir, 0, path);
	a->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		     0600);
	if (a->fd < 0 || fchmod(a->fd, 0600) || fstat(a->fd, &st))
		return -errno;
	a->size = (u64)st.st_size;
	return 0;
}

int audit_log_open(struct audit **out, const char *dir, struct failure *f)
{
	struct audit *a = calloc(1, sizeof(*a));
	char last = '\n';
	u64 number = 0;
	int ret;

	if (!a)
		return failure_set(f, -ENOMEM, "audit.log", NULL,
				   "out of memory");
	snprintf(a->dir, sizeof(a->dir), "%s", dir);
	a->bound = UINT64_MAX;
	ret = open_current(a);
	if (!ret)
		ret = audit_scan(dir, 0, 1, NULL, keep_number, &number);
	if (!ret && a->size &&
	    pread(a->fd, &last, 1, (off_t)a->size - 1) != 1)
		ret = -EIO;
	if (ret) {
		failure_set(f, ret, "audit.log", NULL, "cannot open it in %s: "
			    "%s", dir, strerror(-ret));
		audit_log_close(a);
		return ret;
	}
	a->torn = last != '\n';
	a->next = number + 1;
	*out = a;
	return 0;
}

void audit_log_close(struct audit *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

void audit_set_bound(struct audit *a, u64 bytes, u32 keep)
{
	a->bound = bytes;
	a->keep = keep < AUDIT_FILES_MAX ? keep : AUDIT_FILES_MAX - 1;
}

/* After a crash at any point here all files are still found, in order. */
static int rotate(struct audit *a)
{
	char from[PATH_MAX];
	char to[PATH_MAX];
	int old = a->fd;
	int ret;

	for (u32 i = AUDIT_FILES_MAX - 1; i > a->keep; i--) {
		path_of(a->dir, i, to);
		unlink(to);
	}
	for (u32 i = a->keep; i > 0; i--) {
		path_of(a->dir, i, to);
		path_of(a->dir, i - 1, from);
		if (rename(from, to) && errno != ENOENT)
			return -errno;
	}
	path_of(a->dir, 0, from);
	if (!a->keep && unlink(from))
		return -errno;
	ret = open_current(a);
	if (ret) {
		a->fd = old;
		return ret;
	}
	close(old);
	a->torn = false;
	return 0;
}

static int append(struct audit *a, const char *line, size_t len)
{
	ssize_t n;

	do {
		n = write(a->fd, line, len);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		a->size += (u64)n;
	if (n == (ssize_t)len) {
		a->torn = false;
		return 0;
	}
	if (n < 0)
		return -errno;
	a->torn = a->torn || n > 0;
	return -ENOSPC;
}

int audit_write(struct audit *a, const char *node, const char *user,
		const char *action, const char *object, const char *result)
{
	struct audit_entry e = { .number = a->next,
				 .time_s = (u64)time(NULL),
				 .node = node,
				 .user = user,
				 .action = action,
				 .object = object,
				 .result = result };
	char line[LINE_MAX_BYTES + 1] = "\n";
	size_t len = format_line(line + 1, &e);
	int ret = 0;

	if (a->size && a->size + len > a->bound)
		ret = rotate(a);
	if (ret)
		log_error("audit.log: cannot begin a new file: %s",
			  strerror(-ret));
	/* Better a file above its bound than an act without a record. */
	if (a->torn)
		ret = append(a, line, len + 1);
	else
		ret = append(a, line + 1, len);
	if (ret)
		log_error("audit.log: cannot write entry %" PRIu64 ": %s",
			  e.number, strerror(-ret));
	else
		a->next++;
	return ret;
}

int audit_write_failure(struct audit *a, const char *node, const char *user,
			const char *action, const char *object,
			const struct failure *f)
{
	return audit_write(a, node, user, action, object,
			   f && f->code ? f->what : "ok");
}
