// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dialling a lender that lies: whatever a server says, or does not say, dial()
 * ends in time with an error that fits, and leaves no socket.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dial.h"
#include "protocol.h"

enum { PATIENCE_MS = 1500 };

static void say(int fd, const void *data, size_t len)
{
	if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		_exit(0);
}

static void say_greeting(int fd)
{
	u8 out[NBD_GREETING_LEN];

	put_be64(out, NBD_MAGIC);
	put_be64(out + 8, NBD_OPTION_MAGIC);
	put_be16(out + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	say(fd, out, sizeof(out));
}

static void say_reply(int fd, u32 option, u32 type, const void *data, u32 len)
{
	u8 out[NBD_OPTION_REPLY_LEN];

	put_be64(out, NBD_OPTION_REPLY_MAGIC);
	put_be32(out + 8, option);
	put_be32(out + 12, type);
	put_be32(out + 16, len);
	say(fd, out, sizeof(out));
	if (data)
		say(fd, data, len);
}

static void say_export(int fd, u32 len)
{
	u8 info[12];

	put_be16(info, NBD_INFO_EXPORT);
	put_be64(info + 2, 1 << 20);
	put_be16(info + 10, NBD_FLAG_HAS_FLAGS);
	say_reply(fd, NBD_OPT_GO, NBD_REP_INFO, info, len);
}

/* What the servers do after the connection is made; then they say no more. */

static void honest(int fd)
{
	say_greeting(fd);
	say_export(fd, 12);
	say_reply(fd, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static void silent(int fd)
{
}

static void gone(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

static void garbage(int fd)
{
	u8 out[4096];

	memset(out, 0xa5, sizeof(out));
	say(fd, out, sizeof(out));
}

static void torn_greeting(int fd)
{
	say(fd, "NBDMAGICIHAVE", 13);
	shutdown(fd, SHUT_RDWR);
}

static void another_option(int fd)
{
	say_greeting(fd);
	say_reply(fd, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

static void gigabytes_promised(int fd)
{
	say_greeting(fd);
	say_reply(fd, NBD_OPT_GO, NBD_REP_INFO, NULL, 0xffffffff);
}

static void short_info(int fd)
{
	say_greeting(fd);
	say_export(fd, 11);
}

static void no_size(int fd)
{
	say_greeting(fd);
	say_reply(fd, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static void no_such_export(int fd)
{
	say_greeting(fd);
	say_reply(fd, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, "none\33[2J", 8);
}

static void huge_blocks(int fd)
{
	u8 info[14];

	say_greeting(fd);
	say_export(fd, 12);
	put_be16(info, NBD_INFO_BLOCK_SIZE);
	put_be32(info + 2, 65536);
	put_be32(info + 6, 65536);
	put_be32(info + 10, 65536);
	say_reply(fd, NBD_OPT_GO, NBD_REP_INFO, info, sizeof(info));
	say_reply(fd, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

/* More at a time than is read at a time: there is always something. */
static void talks_for_ever(int fd)
{
	static u8 out[2048][NBD_OPTION_REPLY_LEN + 12];

	for (size_t i = 0; i < ARRAY_SIZE(out); i++) {
		put_be64(out[i], NBD_OPTION_REPLY_MAGIC);
		put_be32(out[i] + 8, NBD_OPT_GO);
		put_be32(out[i] + 12, NBD_REP_INFO);
		put_be32(out[i] + 16, 12);
		put_be16(out[i] + 20, NBD_INFO_NAME);
	}
	say_greeting(fd);
	for (;;)
		say(fd, out, sizeof(out));
}

static void a_byte_at_a_time(int fd)
{
	const struct timespec pause = { .tv_nsec = 200000000 };

	for (;;) {
		say(fd, "N", 1);
		nanosleep(&pause, NULL);
	}
}

struct liar {
	pid_t pid;
	char address[32];
};

static void liar_start(struct liar *l, void (*tell)(int fd))
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	snprintf(l->address, sizeof(l->address), "127.0.0.1:%u",
		 ntohs(sa.sin_port));
	l->pid = fork();
	cr_assert_geq(l->pid, 0);
	if (!l->pid) {
		tell(accept(fd, NULL, NULL));
		pause();
		_exit(0);
	}
	close(fd);
}

static void liar_end(struct liar *l)
{
	kill(l->pid, SIGKILL);
	waitpid(l->pid, NULL, 0);
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int dialled(void (*tell)(int fd), struct dialled *out,
		   struct failure *f)
{
	struct dial d = { .name = "swap/beta/a@7", .lender = "liar",
			  .patience_ms = PATIENCE_MS };
	struct liar l;
	int ret;

	liar_start(&l, tell);
	d.addresses = l.address;
	ret = dial(&d, out, f);
	liar_end(&l);
	return ret;
}

Test(nbd_dial, an_honest_one)
{
	struct failure f = { 0 };
	struct dialled out;

	cr_assert_eq(dialled(honest, &out, &f), 0, "%s", f.what);
	cr_assert_geq(out.fd, 0);
	cr_assert_eq(out.size_bytes, 1 << 20);
	close(out.fd);
}

Test(nbd_dial, liars, .timeout = 60)
{
	static const struct {
		const char *what;
		void (*tell)(int fd);
		int code;
	} liars[] = {
		{ "silent", silent, -ETIMEDOUT },
		{ "gone", gone, -ECONNRESET },
		{ "garbage", garbage, -EPROTO },
		{ "torn greeting", torn_greeting, -ECONNRESET },
		{ "another option", another_option, -EPROTO },
		{ "gigabytes promised", gigabytes_promised, -EPROTO },
		{ "short info", short_info, -EPROTO },
		{ "no size", no_size, -EPROTO },
		{ "no such export", no_such_export, -ENOENT },
		{ "huge blocks", huge_blocks, -EOPNOTSUPP },
		{ "talks for ever", talks_for_ever, -ETIMEDOUT },
		{ "a byte at a time", a_byte_at_a_time, -ETIMEDOUT },
	};
	int before = open_files();

	for (size_t i = 0; i < ARRAY_SIZE(liars); i++) {
		struct failure f = { 0 };
		struct dialled out;

		cr_assert_eq(dialled(liars[i].tell, &out, &f), liars[i].code,
			     "%s: %s", liars[i].what, f.what);
		cr_assert_eq(out.fd, -1, "%s", liars[i].what);
		cr_assert_neq(f.what[0], '\0');
		for (const char *c = f.what; *c; c++)
			cr_assert(*c >= ' ' && *c != 0x7f, "%s: a control byte",
				  liars[i].what);
		cr_assert_eq(open_files(), before, "%s: a socket is left",
			     liars[i].what);
	}
}
