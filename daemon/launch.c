// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The child's way to exec; the contract is in launch.h.
 *
 * Order matters: streams and terminal first (as root, the terminal's slave is
 * given to the user), then limits, then groups, gid and uid for good, then all
 * that must happen with the user's own rights: the directory and the program.
 *
 * Nothing here may call what keeps state in the C library: no errno, no memory, no
 * environ (raw.h says why). String functions keep none.
 */
#include "launch.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>

#include "raw.h"

enum { UMASK_HERE = 022 };

static void fail(u32 stage, long error) __attribute__((noreturn));
/* @error is a negative errno. */
static void fail(u32 stage, long error)
{
	struct launch_failure f = { .stage = stage, .error = (s32)-error };
	long n = RAW(write, LAUNCH_STATUS_FD, &f, sizeof(f));

	raw_exit(n == (long)sizeof(f) ? 127 : 126);
}

static void must(u32 stage, long result)
{
	if (result < 0)
		fail(stage, result);
}

static void set_streams(const struct launch *l)
{
	bool pty = l->flags & JOB_PTY;
	long ret;
	int i;

	if (pty)
		must(STAGE_SETUP, RAW(ioctl, 0, TIOCSCTTY, 0));
	if (RAW(geteuid))
		return;
	/* So that the program may open /dev/stdout again, or its terminal. A
	 * stdin that is /dev/null belongs to all.
	 */
	for (i = l->flags & (JOB_DETACH | JOB_NO_INPUT) ? 1 : 0;
	     i < (pty ? 1 : JOB_STREAMS); i++) {
		ret = RAW(fchown, i, l->uid, (gid_t)-1);
		if (ret != -EROFS && ret != -EPERM)
			must(STAGE_SETUP, ret);
	}
	if (pty)
		RAW(fchmod, 0, 0600);
}

static void limit(int what, u64 soft, u64 hard)
{
	struct rlimit r = { .rlim_cur = soft, .rlim_max = hard };

	must(STAGE_LIMIT, RAW(setrlimit, what, &r));
}

static void set_limits(const struct launch *l)
{
	limit(RLIMIT_NOFILE, l->nofile_soft, l->nofile_hard);
	RAW(umask, l->umask == JOB_UMASK_DEFAULT ? UMASK_HERE :
						   (mode_t)l->umask & 0777);
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

static void become(const struct launch *l)
{
	if (RAW(geteuid) == 0) {
		must(STAGE_IDENTITY, RAW(setgroups, l->group_count, l->groups));
		must(STAGE_IDENTITY, RAW(setresgid, l->gid, l->gid, l->gid));
		must(STAGE_IDENTITY, RAW(setresuid, l->uid, l->uid, l->uid));
	}
	/* Also the case of a virgod that is not root: itself or nobody. */
	if ((u32)RAW(getuid) != l->uid || (u32)RAW(geteuid) != l->uid)
		fail(STAGE_IDENTITY, -EPERM);
}

static void unblock_signals(void)
{
	u64 none = 0;

	RAW_NR(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

/* A directory that was asked for must be there; home need not. */
static void set_directory(const struct launch *l)
{
	if (l->cwd)
		must(STAGE_CWD, RAW(chdir, l->cwd));
	else if (RAW(chdir, l->home) < 0)
		must(STAGE_CWD, RAW(chdir, "/"));
}

/* As the shell does: the first that can be run; an entry that may not be run is
 * remembered, for the error.
 */
static long exec_by_path(const struct launch *l)
{
	const char *name = l->argv[0], *path = l->path;
	size_t name_len = strlen(name);
	long ret, error = -ENOENT;
	char file[PATH_MAX];

	if (strchr(name, '/'))
		return RAW(execve, name, l->argv, l->envp);
	for (;;) {
		size_t len = strcspn(path, ":");

		if (len + name_len + 3 > sizeof(file))
			return -ENAMETOOLONG;
		memcpy(file, len ? path : ".", len ? len : 1);
		file[len ? len : 1] = '/';
		memcpy(file + (len ? len : 1) + 1, name, name_len + 1);
		ret = RAW(execve, file, l->argv, l->envp);
		if (ret == -EACCES)
			error = -EACCES;
		else if (ret != -ENOENT && ret != -ENOTDIR)
			return ret;
		if (!path[len])
			return error;
		path += len + 1;
	}
}

/* An interpreter must be able to open the script again by its descriptor; a
 * program needs none.
 */
static long exec_blob(const struct launch *l)
{
	if (!l->script)
		RAW(fcntl, LAUNCH_BLOB_FD, F_SETFD, FD_CLOEXEC);
	return RAW_NR(SYS_execveat, LAUNCH_BLOB_FD, "", l->argv, l->envp,
		      AT_EMPTY_PATH);
}

void launch_run(const struct launch *l)
{
	set_streams(l);
	set_limits(l);
	become(l);
	unblock_signals();
	set_directory(l);
	set_job_limits(l);
	fail(STAGE_EXEC, l->blob ? exec_blob(l) : exec_by_path(l));
}

void launch_child(const struct launch *l, const int streams[JOB_STREAMS],
		  int blob_fd, int status_fd)
{
	int i;

	if (status_fd != LAUNCH_STATUS_FD &&
	    RAW(dup3, status_fd, LAUNCH_STATUS_FD, O_CLOEXEC) < 0)
		raw_exit(126);
	for (i = 0; i < JOB_STREAMS; i++)
		must(STAGE_SETUP, RAW(dup2, streams[i], i));
	if (l->blob)
		must(STAGE_SETUP, RAW(dup2, blob_fd, LAUNCH_BLOB_FD));
	/* Other jobs' streams, the socket to virgod: nothing may leak, not even
	 * into a child that hangs before exec.
	 */
	must(STAGE_SETUP, RAW_NR(SYS_close_range, LAUNCH_BLOB_FD + l->blob, ~0U,
				 0));
	must(STAGE_SETUP, RAW(setsid));
	launch_run(l);
}
