// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files through the public library, against a stand-in for virgod: bad paths and
 * flags, what server and virgod may do wrong. The ordinary course is tested with
 * real nodes by tests/net/api-files.sh.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fake_virgod.h"

TestSuite(virgo_file, .fini = fake_virgod_end, .timeout = 110);

enum { FILE_ID = 77 };

static u64 verifier; /* changed by a "reboot"; set before the connection */
static int resets; /* requests during which the node's connection is lost */
static int opens_until_death; /* requests answered before the end; -1: all */

static void entry(struct fake_conn *c, u32 mode)
{
	u8 attr[128];
	struct wcursor w = wcursor_of(attr, sizeof(attr));
	const struct rec_attr a = { .mode = mode, .size = 5 };
	struct msg_file_entry m = { .handle = span_of("handle") };

	rec_attr_encode(&w, &a);
	m.attr = (struct span){ attr, (u32)wcursor_len(&w) };
	fake_message(c, 0, 0, FILE_ENTRY, file_entry, &m);
}

static void error(struct fake_conn *c, int code)
{
	const struct msg_error m = { .code = code };

	fake_message(c, 0, 0, ERROR, error, &m);
}

static void answer(struct fake_conn *c)
{
	const struct msg_file_attached attached = { .handle = span_of("root") };
	const struct msg_file_opened opened = { .file = FILE_ID };
	const struct msg_file_data five = { .data = span_of("12345") };
	const struct msg_file_written written = { .count = 5,
						  .verifier = verifier };
	const struct msg_file_synced synced = { .verifier = 2 };
	const struct msg_ok ok = {};
	struct msg_file_lookup l;

	if (resets > 0 && c->frame.type != MSG_FILE_RELEASE) {
		resets--;
		error(c, -ECONNRESET);
		return;
	}
	switch (c->frame.type) {
	case MSG_FILE_ATTACH:
		fake_message(c, 0, 0, FILE_ATTACHED, file_attached, &attached);
		break;
	case MSG_FILE_LOOKUP:
		if (msg_file_lookup_decode(&l, c->payload, c->frame.length))
			abort();
		if (span_equal(l.name, span_of("link")))
			entry(c, S_IFLNK | 0777);
		else if (span_equal(l.name, span_of("dir")))
			entry(c, S_IFDIR | 0755);
		else if (span_equal(l.name, span_of("file")))
			entry(c, S_IFREG | 0644);
		else
			error(c, -ENOENT);
		break;
	case MSG_FILE_READLINK: /* to itself */
		fake_message(c, 0, 0, FILE_DATA, file_data,
			     (&(struct msg_file_data){
				     .data = span_of("link") }));
		break;
	case MSG_FILE_OPEN:
		fake_message(c, 0, 0, FILE_OPENED, file_opened, &opened);
		break;
	case MSG_FILE_READ:
		fake_message(c, 0, 0, FILE_DATA, file_data, &five);
		break;
	case MSG_FILE_WRITE:
		fake_message(c, 0, 0, FILE_WRITTEN, file_written, &written);
		break;
	case MSG_FILE_FSYNC:
		fake_message(c, 0, 0, FILE_SYNCED, file_synced, &synced);
		break;
	case MSG_FILE_RELEASE:
		fake_message(c, 0, 0, OK, ok, &ok);
		break;
	default:
		error(c, -EBADF);
	}
}

static void server(struct fake_conn *c)
{
	int left = opens_until_death;

	while (left-- && fake_recv(c)) {
		c->tag = c->frame.tag;
		answer(c);
	}
}

static void serve(int requests)
{
	opens_until_death = requests;
	fake_virgod(server);
}

static void refused(const char *path, int flags, int want)
{
	cr_assert_eq(virgo_open(path, flags, 0), -1, "%s", path);
	cr_assert_eq(errno, want, "%s: %s", path, virgo_strerror());
}

Test(virgo_file, paths_and_flags)
{
	char longest[300] = "v:/";

	memset(longest + 3, 'x', 290);
	serve(-1);
	refused("/etc/passwd", O_RDONLY, EINVAL);
	refused("name", O_RDONLY, EINVAL);
	refused("dir/a:b", O_RDONLY, EINVAL);
	refused(":/file", O_RDONLY, ENOENT);
	refused("v:/", O_RDONLY, EISDIR);
	refused("v:", O_RDONLY, EISDIR);
	refused("/virgo/v", O_RDONLY, EISDIR);
	refused("v:/missing", O_RDONLY, ENOENT);
	refused("v:/missing/file", O_RDONLY | O_CREAT, ENOENT);
	refused("v:/file/file", O_RDONLY, ENOTDIR);
	refused("v:/link", O_RDONLY, ELOOP);
	refused("v:/link", O_RDONLY | O_NOFOLLOW, ELOOP);
	refused("v:/file", O_RDWR | O_CREAT | O_EXCL, EEXIST);
	refused("v:/file", O_DIRECTORY, EINVAL);
	refused("v:/file", O_ACCMODE, EINVAL);
	refused(longest, O_RDONLY, ENAMETOOLONG);
}

static int open_file(const char *path, int flags)
{
	int fd = virgo_open(path, flags, 0);

	cr_assert_geq(fd, 0, "%s", virgo_strerror());
	return fd;
}

Test(virgo_file, ordinary_course)
{
	char buf[10];
	int fd;

	serve(-1);
	fd = open_file("/virgo/v//dir/../dir/./file", O_RDONLY);
	cr_assert_eq(virgo_read(fd, buf, sizeof(buf)), 5);
	cr_assert_eq(virgo_lseek(fd, 0, SEEK_CUR), 5);
	cr_assert_eq(virgo_lseek(fd, -6, SEEK_CUR), -1);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(virgo_write(fd, buf, 5), -1);
	cr_assert_eq(errno, EBADF);
	cr_assert_eq(virgo_pread(fd, buf, 3, 0), -1, "more came than asked for");
	cr_assert_eq(errno, EPROTO);
	cr_assert_eq(virgo_job_ready(fd), -1);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(virgo_close(fd), 0);
	cr_assert_eq(virgo_read(fd, buf, 1), -1);
	cr_assert_eq(errno, EBADF);
}

/* A server that was rebooted in between may have lost what it took. */
Test(virgo_file, lost_writes_are_reported_once)
{
	int fd;

	verifier = 1;
	serve(-1);
	fd = open_file("v:/file", O_WRONLY);
	cr_assert_eq(virgo_write(fd, "12345", 5), 5);
	cr_assert_eq(virgo_fsync(fd), -1);
	cr_assert_eq(errno, EIO);
	cr_assert_eq(virgo_fsync(fd), 0);
	virgo_close(fd);
	fake_virgod_end();
	verifier = 2;
	serve(-1);
	fd = open_file("v:/file", O_WRONLY);
	cr_assert_eq(virgo_write(fd, "12345", 5), 5);
	cr_assert_eq(virgo_fsync(fd), 0);
	virgo_close(fd);
}

Test(virgo_file, a_file_the_server_forgot_is_stale)
{
	int fd;

	serve(-1);
	fd = open_file("v:/file", O_RDWR);
	cr_assert_eq(virgo_ftruncate(fd, 0), -1); /* EBADF there */
	cr_assert_eq(errno, ESTALE);
	cr_assert_eq(virgo_ftruncate(fd, -1), -1);
	cr_assert_eq(errno, EINVAL);
	virgo_close(fd);
}

/* attach, look up, open, read: virgod ends after each. */
Test(virgo_file, death_of_virgod)
{
	char buf[8];
	int n, fd;

	for (n = 0; n < 3; n++) {
		serve(n);
		refused("v:/file", O_RDONLY, ECONNRESET);
		fake_virgod_end();
	}
	serve(3);
	fd = open_file("v:/file", O_RDONLY);
	cr_assert_eq(virgo_read(fd, buf, sizeof(buf)), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(virgo_close(fd), -1);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(virgo_close(fd), -1);
	cr_assert_eq(errno, EBADF);
}

Test(virgo_file, what_may_happen_twice_is_repeated)
{
	char buf[5];
	int fd;

	serve(-1);
	fd = open_file("v:/file", O_RDWR);
	resets = 2;
	cr_assert_eq(virgo_pread(fd, buf, 5, 0), 5, "%s", virgo_strerror());
	cr_assert_eq(resets, 0);
	resets = 1;
	cr_assert_eq(virgo_pwrite(fd, "12345", 5, 0), 5, "%s", virgo_strerror());
	resets = 3;
	cr_assert_eq(virgo_pread(fd, buf, 5, 0), -1, "not for ever");
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(resets, 0);
	virgo_close(fd);
	fd = open_file("v:/file", O_WRONLY | O_APPEND);
	resets = 1;
	cr_assert_eq(virgo_write(fd, "12345", 5), -1, "it may be there twice");
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(resets, 0);
	virgo_close(fd);
}

Test(virgo_file, attributes_and_directories)
{
	struct virgo_dirent e;
	struct virgo_stat st;

	serve(-1);
	cr_assert_eq(virgo_stat("v:/file", 0, &st, sizeof(st)), 0);
	cr_assert(st.mode == (S_IFREG | 0644) && st.size == 5);
	memset(&st, 0x5a, sizeof(st));
	cr_assert_eq(virgo_stat("v:/link", AT_SYMLINK_NOFOLLOW, &st, 16), 0);
	cr_assert(st.size == 5 && st.blocks == 0x5a5a5a5a5a5a5a5aull,
		  "an older program's struct");
	cr_assert_eq(virgo_stat("v:/link", 0, &st, sizeof(st)), -1);
	cr_assert_eq(errno, ELOOP);
	cr_assert_eq(virgo_stat("v:/file", 1 << 20, &st, sizeof(st)), -1);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(virgo_opendir("v:/file"), -1);
	cr_assert_eq(errno, ENOTDIR);
	cr_assert_eq(virgo_readdir(open_file("v:/file", O_RDONLY), &e, sizeof(e)),
		     -1);
	cr_assert_eq(errno, ENOTDIR);
}
