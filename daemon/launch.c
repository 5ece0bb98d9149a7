// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The child's way from fork to exec; the contract is in launch.h.
 *
 * Order matters: streams and terminal first (as root, the terminal's slave is
 * given to the user), then limits, then groups, gid and uid for good, then all
 * that must happen with the user's own rights: the directory and the program.
 */
#include "launch.h"

#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

enum {
	UMASK_HERE = 022,
	REHEARSE_STACK = 12 << 10, /* deeper than anything here goes */
	POPULATE_READ = 22, /* of madvise(2), Linux 5.14; musl has no name for it */
};

static const char path_user[] = "/usr/local/bin:/usr/bin:/bin";
static const char path_root[] =
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void fail(u32 stage, int error) __attribute__((noreturn));
static void fail(u32 stage, int error)
{
	struct launch_failure f = { .stage = stage, .error = error };
	ssize_t n = write(LAUNCH_STATUS_FD, &f, sizeof(f));

	_exit(n == (ssize_t)sizeof(f) ? 127 : 126);
}

static void place_fds(const struct launch *l)
{
	bool blob = l->blob_fd >= 0;
	int i;

	for (i = 0; i < JOB_STREAMS; i++)
		if (dup2(l->streams[i], i) < 0)
			fail(STAGE_SETUP, errno);
	if (blob && dup2(l->blob_fd, LAUNCH_BLOB_FD) < 0)
		fail(STAGE_SETUP, errno);
	/* Other jobs' streams, the socket to virgod: nothing may leak, not even
	 * into a child that hangs before exec.
	 */
	if (syscall(SYS_close_range, LAUNCH_BLOB_FD + blob, ~0U, 0))
		fail(STAGE_SETUP, errno);
	if (setsid() < 0)
		fail(STAGE_SETUP, errno);
}

static void set_streams(const struct launch *l)
{
	u32 flags = l->start->flags;
	bool pty = flags & JOB_PTY;
	int i;

	if (pty && ioctl(0, TIOCSCTTY, 0))
		fail(STAGE_SETUP, errno);
	if (geteuid())
		return;
	/* So that the program may open /dev/stdout again, or its terminal. A
	 * stdin that is /dev/null belongs to all.
	 */
	for (i = flags & (JOB_DETACH | JOB_NO_INPUT) ? 1 : 0;
	     i < (pty ? 1 : JOB_STREAMS); i++)
		if (fchown(i, l->account->uid, (gid_t)-1) && errno != EROFS &&
		    errno != EPERM)
			fail(STAGE_SETUP, errno);
	if (pty)
		fchmod(0, 0600);
}

static void limit(int what, u64 soft, u64 hard)
{
	struct rlimit r = { .rlim_cur = soft, .rlim_max = hard };

	if (setrlimit(what, &r))
		fail(STAGE_LIMIT, errno);
}

static void set_limits(const struct launch *l)
{
	u16 mask = l->start->umask;

	limit(RLIMIT_NOFILE, l->nofile_soft, l->nofile_hard);
	umask(mask == JOB_UMASK_DEFAULT ? UMASK_HERE : mask & 0777);
}

/* Last of all, for they hold for this process too: a smaller address space than
 * it has, or more processes of the user than allowed, would stop it here.
 */
static void set_job_limits(const struct launch *l)
{
	if (l->rlimits.memory_bytes)
		limit(RLIMIT_AS, l->rlimits.memory_bytes,
		      l->rlimits.memory_bytes);
	if (l->rlimits.pids)
		limit(RLIMIT_NPROC, l->rlimits.pids, l->rlimits.pids);
}

static void become(const struct account *a)
{
	if (geteuid() == 0) {
		if (setgroups(a->group_count, a->groups) ||
		    setresgid(a->gid, a->gid, a->gid) ||
		    setresuid(a->uid, a->uid, a->uid))
			fail(STAGE_IDENTITY, errno);
	}
	/* Also the case of a virgod that is not root: itself or nobody. */
	if (getuid() != a->uid || geteuid() != a->uid)
		fail(STAGE_IDENTITY, EPERM);
}

static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static char *span_dup(struct span s)
{
	char *p = malloc((size_t)s.len + 1);

	if (!p)
		fail(STAGE_SETUP, ENOMEM);
	memcpy(p, s.data, s.len);
	p[s.len] = 0;
	return p;
}

/* Strings of a list as a vector; one with a NUL inside is malformed. */
static char **vector_of(struct span list)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	struct rec_text t;
	size_t count = 0;
	char **v;
	int more;

	while ((more = rec_text_next(&c, &t)) > 0) {
		if (memchr(t.text.data, 0, t.text.len))
			fail(STAGE_REQUEST, EINVAL);
		count++;
	}
	v = calloc(count + 1, sizeof(*v));
	if (more < 0 || !v)
		fail(STAGE_REQUEST, more < 0 ? EBADMSG : ENOMEM);
	c = rcursor_of(list.data, list.len);
	for (count = 0; rec_text_next(&c, &t) > 0; count++)
		v[count] = span_dup(t.text);
	return v;
}

static void must_setenv(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		fail(STAGE_SETUP, errno);
}

static void set_environment(const struct launch *l)
{
	const struct msg_job_start *s = l->start;
	char **given = vector_of(s->env);

	clearenv();
	must_setenv("HOME", l->account->home);
	must_setenv("USER", l->account->name);
	must_setenv("LOGNAME", l->account->name);
	must_setenv("SHELL", l->account->shell);
	must_setenv("PATH", l->account->uid ? path_user : path_root);
	if (s->flags & JOB_PTY)
		must_setenv("TERM", s->term.len ? span_dup(s->term) : "dumb");
	must_setenv("VIRGO_NODE", span_dup(s->node));
	/* Entries without '=' or with an empty name are not variables. */
	for (; *given; given++)
		if (strchr(*given, '=') && **given != '=' && putenv(*given))
			fail(STAGE_SETUP, errno);
	if (putenv((char *)l->group->mark))
		fail(STAGE_SETUP, errno);
}

/* A directory that was asked for must be there; home need not. */
static void set_directory(const struct launch *l)
{
	if (l->start->cwd.len) {
		char *cwd = span_dup(l->start->cwd);

		if (chdir(cwd))
			fail(STAGE_CWD, errno);
		must_setenv("PWD", cwd);
	} else if (chdir(l->account->home) && chdir("/")) {
		fail(STAGE_CWD, errno);
	}
}

/* As the shell does: the first that can be run; an entry that may not be run is
 * remembered, for the error.
 */
static int exec_by_path(char **argv)
{
	const char *path = getenv("PATH");
	size_t name_len = strlen(argv[0]);
	int error = ENOENT;

	if (strchr(argv[0], '/') || !path) {
		execv(argv[0], argv);
		return errno;
	}
	for (;;) {
		size_t len = strcspn(path, ":");
		char *file = malloc(len + name_len + 3);

		if (!file)
			return ENOMEM;
		sprintf(file, "%.*s/%s", len ? (int)len : 1, len ? path : ".",
			argv[0]);
		execv(file, argv);
		free(file);
		if (errno == EACCES)
			error = EACCES;
		else if (errno != ENOENT && errno != ENOTDIR)
			return errno;
		if (!path[len])
			return error;
		path += len + 1;
	}
}

/* An interpreter must be able to open the script again by its descriptor; a
 * program needs none.
 */
static int exec_blob(char **argv)
{
	char head[2] = "";

	if (pread(LAUNCH_BLOB_FD, head, sizeof(head), 0) < 0)
		return errno;
	if (memcmp(head, "#!", 2))
		fcntl(LAUNCH_BLOB_FD, F_SETFD, FD_CLOEXEC);
	fexecve(LAUNCH_BLOB_FD, argv, environ);
	return errno;
}

void launch_child(const struct launch *l)
{
	char **argv;
	int error;

	if (l->status_fd != LAUNCH_STATUS_FD &&
	    dup3(l->status_fd, LAUNCH_STATUS_FD, O_CLOEXEC) < 0)
		_exit(126);
	if (!l->prepared)
		place_fds(l);
	set_streams(l);
	set_limits(l);
	set_environment(l);
	argv = vector_of(l->start->argv);
	if (!argv[0] || !argv[0][0])
		fail(STAGE_REQUEST, EINVAL);
	become(l->account);
	unblock_signals();
	set_directory(l);
	set_job_limits(l);
	error = l->blob_fd >= 0 ? exec_blob(argv) : exec_by_path(argv);
	fail(STAGE_EXEC, error);
}

/* Code and constants of this program, from its own headers. What cannot be mapped
 * ahead is mapped when it is used.
 */
static void map_program(void)
{
	const ElfW(Phdr) *p = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM), i;
	uintptr_t bias = 0;

	for (i = 0; p && i < count; i++)
		if (p[i].p_type == PT_PHDR)
			bias = (uintptr_t)p - p[i].p_vaddr;
	for (i = 0; p && i < count; i++) {
		uintptr_t from = (bias + p[i].p_vaddr) & ~(uintptr_t)4095;

		if (p[i].p_type == PT_LOAD && !(p[i].p_flags & PF_W))
			madvise((void *)from, bias + p[i].p_vaddr +
				p[i].p_memsz - from, POPULATE_READ);
	}
}

void launch_rehearse(void)
{
	static const struct account nobody = { .name = "", .home = "/",
					       .shell = "" };
	const struct msg_job_start start = { .flags = 0 };
	const struct jobgroup group = { .mark = "VIRGO_JOB=" };
	const struct launch l = { .start = &start, .account = &nobody,
				  .group = &group };
	volatile char stack[REHEARSE_STACK];
	size_t i;

	for (i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
	map_program();
	set_environment(&l);
	free(vector_of(start.argv));
	clearenv();
	errno = 0;
}
