// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of what is borrowed; the contract is in record.h. */
#include "record.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sysfile.h"

enum {
	TEXT_MAX = 16384,
	SOCKETS_WANTED = 4,
	AVOIDED_S = 60, /* filling a leg over and over helps nobody */
};

bool record_name_valid(const char *name)
{
	size_t len = strlen(name);
	struct record r;

	return len && len < sizeof(r.name) && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == len;
}

/* A word of its own, never empty. */
static const char *word(const char *text)
{
	return text[0] ? text : "-";
}

size_t record_print(const struct record *r, char *out, size_t size)
{
	size_t at;
	u32 i;

	at = (size_t)snprintf(out, size,
			      "%s bytes=%llu mirror=%u priority=%d seal=%d "
			      "ready=%d md=%d plaintext=%s boot=%s next=%u "
			      "patience=%u\n",
			      r->swap ? "swap" : "disk",
			      (unsigned long long)r->bytes, r->mirror,
			      r->priority, r->seal, r->ready, r->md,
			      word(r->plaintext_on), word(r->boot), r->next,
			      r->patience_s);
	if (r->lost && at < size)
		at += (size_t)snprintf(out + at, size - at,
				       "lost count=%u lender=%s refused=%llu "
				       "why=%s\n",
				       r->lost, word(r->lost_lender),
				       (unsigned long long)r->refused_s,
				       word(r->lost_why));
	for (i = 0; i < r->legs && at < size; i++) {
		const struct record_leg *l = &r->leg[i];

		at += (size_t)snprintf(out + at, size - at,
				       "leg number=%u index=%d lender=%s "
				       "generation=%llu export=%s "
				       "addresses=%s part=%d leaving=%d\n",
				       l->number, l->index, word(l->lender),
				       (unsigned long long)l->generation,
				       word(l->export_), word(l->addresses),
				       l->part, l->leaving);
	}
	return at;
}

static void unword(char *text)
{
	if (!strcmp(text, "-"))
		*text = '\0';
}

static int parse_leg(struct record_leg *l, const char *line)
{
	unsigned long long generation;
	int part, leaving;

	if (sscanf(line, "leg number=%u index=%d lender=%63s generation=%llu "
		   "export=%159s addresses=%511s part=%d leaving=%d",
		   &l->number, &l->index, l->lender, &generation, l->export_,
		   l->addresses, &part, &leaving) != 8)
		return -EBADMSG;
	l->generation = generation;
	l->part = part;
	l->leaving = leaving;
	unword(l->lender);
	unword(l->export_);
	unword(l->addresses);
	return 0;
}

static int parse_lost(struct record *r, const char *line)
{
	unsigned long long refused_s;

	if (sscanf(line, "lost count=%u lender=%63s refused=%llu why=%127[^\n]",
		   &r->lost, r->lost_lender, &refused_s, r->lost_why) != 4)
		return -EBADMSG;
	r->refused_s = refused_s;
	unword(r->lost_lender);
	unword(r->lost_why);
	return 0;
}

/* A line after the first. */
static int parse_line(struct record *r, const char *line)
{
	if (!strncmp(line, "lost ", 5))
		return parse_lost(r, line);
	if (r->legs == MIRROR_LEGS_MAX || parse_leg(&r->leg[r->legs], line))
		return -EBADMSG;
	r->legs++;
	return 0;
}

int record_parse(struct record *r, const char *name, const char *text)
{
	unsigned long long bytes;
	int seal, ready;
	char kind[8];

	*r = (struct record){ 0 };
	if (!record_name_valid(name) ||
	    sscanf(text, "%7s bytes=%llu mirror=%u priority=%d seal=%d ready=%d "
		   "md=%d plaintext=%15s boot=%39s next=%u patience=%u", kind,
		   &bytes, &r->mirror, &r->priority, &seal, &ready, &r->md,
		   r->plaintext_on, r->boot, &r->next, &r->patience_s) != 11)
		return -EBADMSG;
	strcpy(r->name, name);
	r->swap = !strcmp(kind, "swap");
	r->bytes = bytes;
	r->seal = seal;
	r->ready = ready;
	unword(r->plaintext_on);
	unword(r->boot);
	while ((text = strchr(text, '\n')) && *++text)
		if (parse_line(r, text))
			return -EBADMSG;
	return 0;
}

static void folder(char *out, const char *state)
{
	snprintf(out, PATH_MAX, "%s/borrow", state);
}

int records_lock(const char *state, bool wait, struct failure *f)
{
	char path[PATH_MAX];
	int err;
	int fd;

	folder(path, state);
	if (mkdir(path, 0755) && errno != EEXIST)
		return failure_set(f, -errno, path, NULL, "%s",
				   strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)))
		return fd;
	err = errno;
	if (fd >= 0)
		close(fd);
	return failure_set(f, -err, path, NULL, "%s", strerror(err));
}

int record_load(struct record *r, const char *state, const char *name)
{
	char text[TEXT_MAX];
	int ret = sysfile_read(text, sizeof(text), "%s/borrow/%s", state, name);

	return ret ? ret : record_parse(r, name, text);
}

int record_save(const struct record *r, const char *state, struct failure *f)
{
	char text[TEXT_MAX], path[PATH_MAX], making[PATH_MAX + 8];
	size_t len = record_print(r, text, sizeof(text));
	ssize_t n = -1;
	int err;
	int fd;

	snprintf(path, sizeof(path), "%s/borrow/%s", state, r->name);
	snprintf(making, sizeof(making), "%s.new", path);
	fd = len < sizeof(text) ? open(making, O_WRONLY | O_CREAT | O_TRUNC |
				       O_CLOEXEC, 0644) : -1;
	if (fd >= 0)
		n = write(fd, text, len);
	if (n == (ssize_t)len && !fsync(fd) && !rename(making, path)) {
		close(fd);
		return 0;
	}
	err = n >= 0 && n < (ssize_t)len ? ENOSPC : errno;
	if (fd >= 0)
		close(fd);
	unlink(making);
	return failure_set(f, -err, path, NULL, "cannot be written: %s",
			   strerror(err));
}

void record_remove(const char *state, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/borrow/%s", state, name);
	unlink(path);
}

int records_each(const char *state,
		 int (*each)(struct record *r, void *arg), void *arg)
{
	char path[PATH_MAX];
	struct dirent *e;
	struct record r;
	int ret = 0;
	DIR *d;

	folder(path, state);
	d = opendir(path);
	if (!d)
		return 0;
	while (!ret && (e = readdir(d)))
		if (record_name_valid(e->d_name) &&
		    !strstr(e->d_name, ".new") &&
		    !record_load(&r, state, e->d_name))
			ret = each(&r, arg);
	closedir(d);
	return ret;
}

void record_lost(struct record *r, const char *lender, const char *why)
{
	size_t at = 0;

	r->lost++;
	r->refused_s = 0;
	snprintf(r->lost_lender, sizeof(r->lost_lender), "%s", lender);
	for (; *why && at + 1 < sizeof(r->lost_why); why++)
		if (*why >= ' ' && *why <= '~' && *why != '"' && *why != '\\')
			r->lost_why[at++] = *why;
	r->lost_why[at] = '\0';
}

u64 record_clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (u64)t.tv_sec;
}

bool record_avoids(const struct record *r, const char *lender, u64 now_s)
{
	return r->refused_s && !strcmp(r->lost_lender, lender) &&
	       now_s >= r->refused_s && now_s - r->refused_s < AVOIDED_S;
}

void record_device(const struct record *r, char *out, size_t size)
{
	if (r->seal)
		snprintf(out, size, "/dev/mapper/virgo-%s", r->name);
	else
		snprintf(out, size, "/dev/md%d", r->md);
}

void record_guard_leg(const struct record *r, const struct record_leg *l,
		      struct guard_leg *out)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*out = (struct guard_leg){ .number = l->number,
				   .index = l->index,
				   .md = r->md,
				   .size_bytes = r->bytes,
				   .sockets = cpus < 1 ? 1 :
					      cpus > SOCKETS_WANTED ?
					      SOCKETS_WANTED : (u32)cpus,
				   .patience_s = r->patience_s };
	snprintf(out->borrowing, sizeof(out->borrowing), "%s", r->name);
	snprintf(out->lender, sizeof(out->lender), "%s", l->lender);
	snprintf(out->addresses, sizeof(out->addresses), "%s", l->addresses);
	snprintf(out->name, sizeof(out->name), "%s", l->export_);
	snprintf(out->plaintext_on, sizeof(out->plaintext_on), "%s",
		 r->plaintext_on);
}
