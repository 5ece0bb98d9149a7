/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirgo: run programs on other nodes of the cloud, use their files and their
 * memory, from C and C++. Link with -lvirgo (pkg-config virgo). Manual: libvirgo(3).
 *
 * Everything goes through the virgod of this machine, over its unix socket; the
 * caller is who the kernel says it is. Objects are descriptors: a job's is one
 * that poll(2), select(2) and epoll(7) understand. Descriptors of this library
 * are used with its functions only and closed with virgo_close(), not close(2).
 *
 * Errors: functions give -1 (or as said) and set errno; virgo_strerror() then
 * says what failed, where, and what to try. Strings are copied; nothing given to
 * a function must outlive the call. Structs come with their size, so that a
 * program and a library of different versions agree: fields that the library
 * does not know yet must be zero (else E2BIG), those that the program does not
 * know are left out.
 *
 * Threads: any function from any thread, also on the same descriptor; a call
 * that blocks keeps no other from going on. After fork(2) the child must not use
 * the parent's descriptors. A blocking call that a signal interrupts before
 * anything moved fails with EINTR.
 */
#ifndef VIRGO_H
#define VIRGO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* --- errors and where virgod is --- */

/* The last failure of the calling thread; texts are valid until its next call
 * of this library. All are "" while nothing has failed.
 */
struct virgo_failure {
	int code; /* an errno value; 0: none yet */
	const char *object; /* "run on beta" */
	const char *what; /* "no user 'ann' there" */
	const char *remedy; /* "create it, or map it with idmap"; may be "" */
};
const struct virgo_failure *virgo_last_failure(void);

/* The same in one line: "object: what. Try: remedy". Never NULL. */
const char *virgo_strerror(void);

/* The version of the library, "0.1.0". */
const char *virgo_version(void);

/* From now on, in the whole process, virgod is the one whose state folder is
 * @dir; NULL: as at the start, $VIRGO_STATE or /var/lib/virgo. ENAMETOOLONG.
 */
int virgo_set_state(const char *dir);

/* --- jobs --- */

enum virgo_clone_flags {
	VIRGO_CLONE_PTY = 1 << 0, /* a terminal instead of three pipes */
	VIRGO_CLONE_DETACH = 1 << 1, /* lives on without its descriptor */
	/* Neither virgo_clone() nor calls on its descriptor wait for the other
	 * node: EAGAIN instead.
	 */
	VIRGO_CLONE_NONBLOCK = 1 << 2,
	VIRGO_CLONE_NO_STDIN = 1 << 3, /* the program reads end of file */
	VIRGO_CLONE_NO_STDOUT = 1 << 4, /* its output is thrown away */
	VIRGO_CLONE_NO_STDERR = 1 << 5,
	VIRGO_CLONE_UMASK = 1 << 6, /* args.umask counts; else the node's own */
};

/* All that is not needed is 0 or NULL. */
struct virgo_clone_args {
	uint64_t flags; /* enum virgo_clone_flags */
	uint64_t timeout_ms; /* then SIGTERM, and SIGKILL 2 s later; 0: none */
	uint64_t memory_bytes; /* limit of the whole job; 0: none */
	uint32_t cpu_ppm; /* limit, millionths of one CPU; 0: none */
	uint32_t pids; /* limit; 0: none */
	const char *node; /* NULL: the best by policy */
	const char *policy; /* for that choice, as --policy of virgo run */
	const char *const *argv; /* ends with NULL; argv[0] is looked up there */
	const char *const *env; /* "NAME=VALUE" added to the user's there */
	/* NULL: the caller's directory if that is under /virgo, else home. */
	const char *cwd;
	const char *term; /* with PTY: $TERM there; NULL: the caller's */
	uint16_t rows, cols; /* with PTY: its window; 0: 24 by 80 */
	uint32_t umask;
};

/*
 * Starts a program on a node, as the user of the same name there. Gives a
 * descriptor (close-on-exec), which poll(2) reports as readable when there is
 * output that was not read yet, the end of an output or of the job, or room for
 * the input that a write could not take. The program dies with the descriptor, unless detached.
 *
 * Without NONBLOCK it returns when the program runs, or fails as execve(2) there
 * would: ENOENT no such program, ENOEXEC it cannot be executed there. With
 * NONBLOCK those come as the job's result.
 *
 * EINVAL unknown flag, no argv, a size smaller than the first version's; E2BIG
 * unknown fields are set; ECONNREFUSED, ENOENT virgod does not run here; EACCES,
 * EPERM refused there; EHOSTDOWN, ETIMEDOUT, ECONNRESET the node is not there,
 * and what else virgo_strerror() explains.
 */
int virgo_clone(const struct virgo_clone_args *args, size_t size);

/* Follows the output of the detached job @job of @node (NULL: this one) from its
 * start. @flags: NONBLOCK, NO_STDOUT, NO_STDERR. Closing leaves the job alone.
 */
int virgo_attach(const char *node, uint64_t job, uint64_t flags);

struct virgo_job_info {
	uint64_t job; /* its number on the node, as in virgo ps */
	uint32_t pid; /* there */
	uint32_t reserved;
	char node[64];
};
/* EAGAIN while it has not started (NONBLOCK). */
int virgo_job_info(int fd, struct virgo_job_info *info, size_t size);

enum virgo_stream { VIRGO_STDIN, VIRGO_STDOUT, VIRGO_STDERR };

/*
 * Reads up to @len bytes of the program's VIRGO_STDOUT or VIRGO_STDERR; blocks
 * until there is one. 0 at the end of the stream, and for ever after. EAGAIN
 * with NONBLOCK.
 *
 * Output of the other stream that arrives meanwhile is kept for later reads, so
 * one stream can be read to its end and then the other. That keeps at most
 * VIRGO_KEEP_MAX bytes: beyond, a call that could only wait for ever fails with
 * ENOBUFS. NONBLOCK reads keep little: such a caller reads both streams, or has
 * one thrown away by NO_STDOUT or NO_STDERR.
 */
ssize_t virgo_job_read(int fd, enum virgo_stream stream, void *buf, size_t len);
enum { VIRGO_KEEP_MAX = 64 << 20 };

/*
 * Writes to the program's stdin. Blocks until all was taken; with NONBLOCK takes
 * what it can at once, EAGAIN when that is nothing; after taking less than all
 * the descriptor is readable once there is room. EPIPE when the program has closed its stdin or has ended; no
 * SIGPIPE. ENOBUFS as for virgo_job_read(), when the program waits for its
 * output to be read.
 */
ssize_t virgo_job_write(int fd, const void *buf, size_t len);

/* The program reads end of file on stdin after what was written. */
int virgo_job_eof(int fd);

/* Sends signal @sig to all processes of the job. 0 also if it just ended. */
int virgo_job_signal(int fd, int sig);

/* The window of its terminal has changed. */
int virgo_job_resize(int fd, unsigned int rows, unsigned int cols);

enum virgo_ready {
	VIRGO_READY_STDIN = 1 << 0, /* a write would not wait */
	VIRGO_READY_STDOUT = 1 << 1, /* a read would not wait */
	VIRGO_READY_STDERR = 1 << 2,
	VIRGO_READY_EXIT = 1 << 3, /* virgo_job_wait() would not wait */
};
/* Takes in what has arrived, without waiting, and gives a set of enum
 * virgo_ready: what to call after poll(2) said that @fd is readable.
 */
int virgo_job_ready(int fd);

enum virgo_reason {
	VIRGO_EXITED, /* status: 0 to 255 */
	VIRGO_SIGNALED, /* status: 128 + signal */
	VIRGO_TIMED_OUT, /* timeout_ms passed; status 124 */
	VIRGO_OUT_OF_MEMORY, /* beyond memory_bytes; status 137 */
	VIRGO_NOT_FOUND, /* no such program; status 127 */
	VIRGO_NOT_EXECUTABLE, /* not for that machine; status 126 */
	VIRGO_LOST, /* nobody saw it end; status 255 */
};
struct virgo_result {
	uint64_t job;
	uint64_t user_us, system_us; /* CPU time of all its processes */
	uint64_t max_rss_bytes;
	int32_t status; /* as a shell would show it */
	int32_t signal; /* that ended it; 0: none */
	uint32_t reason; /* enum virgo_reason */
	uint32_t reserved;
	char node[64];
	char why[192]; /* in words, when it did not end by itself; or "" */
};
/*
 * Waits for the job's end and fills in @result (may be NULL). 0; ETIMEDOUT when
 * it still runs after @timeout_ms (-1: no limit; 0: only looks, then EAGAIN).
 * Output that was not read meanwhile is kept (and ENOBUFS) as above, and can be
 * read afterwards. May be called again. ECONNRESET, EHOSTDOWN and so on when its
 * node or virgod was lost: the job has been ended there or will be.
 *
 * On the descriptor that started a detached job, the node forgets the job and its
 * output after telling; on one of virgo_attach() it does not.
 */
int virgo_job_wait(int fd, struct virgo_result *result, size_t size,
		   int timeout_ms);

/* Signals the job with that number on @node (NULL: this one); SIGKILL ends all
 * of it. ESRCH: no such job of the caller's.
 */
int virgo_job_kill(const char *node, uint64_t job, int sig);

enum virgo_job_flags {
	VIRGO_JOB_DETACHED = 1 << 0,
	VIRGO_JOB_ENDED = 1 << 1, /* and was not waited for yet: status counts */
};
struct virgo_job {
	uint64_t job; /* its number on the node */
	uint64_t started_s; /* since 1970, by that node's clock */
	int32_t status; /* as a shell would show it */
	uint32_t pid; /* there */
	uint32_t flags; /* enum virgo_job_flags */
	uint32_t reserved;
	char node[64];
	char user[64];
	char from[64]; /* the node it was started from */
	char command[256]; /* cut */
};
/* The caller's jobs on @node (NULL: this one), running or ended and not yet waited
 * for; root sees everybody's of its own node. Fills up to @count elements of @size
 * bytes each; gives their number, which may be larger.
 */
ssize_t virgo_jobs(const char *node, struct virgo_job *jobs, size_t count,
		   size_t size);

/* --- nodes --- */

enum virgo_node_flags {
	VIRGO_NODE_SELF = 1 << 0, /* this machine */
	VIRGO_NODE_HOME = 1 << 1, /* holds the catalog */
};
struct virgo_node {
	uint64_t memory_bytes, memory_free_bytes;
	uint32_t cpus;
	uint32_t idle_ppm; /* of all CPUs, millionths */
	uint32_t load1_milli; /* load average of one minute, thousandths */
	uint32_t round_trip_us; /* from here; 0: not known */
	uint32_t jobs; /* running there */
	uint32_t flags; /* enum virgo_node_flags */
	char name[64];
	char state[16]; /* up, suspect, down, draining */
	char address[64];
	char version[32];
};
/* Fills up to @count elements of @size bytes each; gives the number of nodes in
 * the cloud, which may be larger.
 */
ssize_t virgo_nodes(struct virgo_node *nodes, size_t count, size_t size);

/* The name of the node where a job should run now, into @node of @size bytes (64
 * is enough). @policy NULL: the default. @candidates: names with commas, NULL:
 * all. EHOSTDOWN: none can take it.
 */
int virgo_choose(const char *policy, const char *candidates, char *node,
		 size_t size);

/* --- functions of kernel modules --- */

enum { VIRGO_CALL_MAX = 64 << 10 }; /* bytes of an argument, and of a result */

/*
 * Calls the function @name that a kernel module of @node (NULL or "": this one) has
 * registered, and waits for its result for @timeout_ms, 1 to 3600000. The bytes of
 * it in @result. Kernel speaks to kernel: virgod may be stopped on both.
 *
 * Beside what the function itself gives: ENOENT no module here, or no such
 * function; EPERM this user may not call, EACCES not this function there;
 * EHOSTDOWN the kernel has no connection to the node; ECONNRESET, ETIMEDOUT it may
 * have run; EBUSY, ENOBUFS too much is under way; E2BIG, EMSGSIZE the argument or
 * the result is too long. Only a signal that kills interrupts it.
 */
ssize_t virgo_call(const char *node, const char *name, const void *argument,
		   size_t argument_len, void *result, size_t result_size,
		   unsigned int timeout_ms);

/* --- variables --- */

/*
 * Learned values that programs and the kernel may act on. Without virgod: they
 * are in memory that all programs of the machine map.
 */
enum virgo_var_type {
	VIRGO_VAR_S64 = 1,
	VIRGO_VAR_U64,
	VIRGO_VAR_FIXED, /* signed, 32 bits after the point */
	VIRGO_VAR_BOOL, /* 0 or 1 */
};
enum virgo_var_mode {
	VIRGO_VAR_OFF, /* readers use their defaults */
	VIRGO_VAR_SHADOW, /* so they do; the value is there to be watched */
	VIRGO_VAR_ON,
};
struct virgo_var {
	uint64_t value, min, max, def; /* of its type; s64 as two's complement */
	uint64_t updated_ns; /* CLOCK_BOOTTIME; set by virgo_var_set() */
	uint32_t ttl_ms; /* then it is stale; 0: never */
	uint32_t confidence_ppm; /* how sure who set it is, millionths */
	uint32_t type; /* enum virgo_var_type */
	uint32_t mode; /* enum virgo_var_mode */
	char name[48];
	char unit[8];
	char producer[16]; /* who set it */
};

/* What a reader acts on, whoever sets the variable to whatever. */
struct virgo_var_want {
	uint64_t min, max; /* of its own, beside the variable's */
	uint64_t fallback; /* its default */
	uint32_t type; /* enum virgo_var_type */
	uint32_t max_age_ms; /* beside the variable's ttl; 0: that alone */
};

/*
 * What to act on for the variable @name into @value, always: its value, and 0; or
 * the fallback, and -1 with errno ENOENT there is none, EPROTOTYPE it has another
 * type, ECANCELED it is off or in shadow, ESTALE too old, ERANGE outside of the
 * limits, EAGAIN it is being written, or what kept the variables from being read.
 * Never waits for anybody.
 */
int virgo_var_get(const char *name, const struct virgo_var_want *want,
		  size_t size, uint64_t *value);

/* All of the variable @name, whatever its mode. ENOENT, EAGAIN. */
int virgo_var_read(const char *name, struct virgo_var *var, size_t size);

/* Up to @count variables of @size bytes each; gives how many there are. */
ssize_t virgo_vars(struct virgo_var *vars, size_t count, size_t size);

/* Makes or replaces a variable, for programs and for the kernel module if it is
 * loaded. EINVAL: a text (printable, no blank), min, max or def is wrong; ERANGE the
 * value is outside; ENOSPC there are too many; EACCES, EPERM: for root.
 */
int virgo_var_set(const struct virgo_var *var, size_t size);

/* Waits until a variable was set after @since_ns (0: any), which then becomes the
 * time of the last one. ETIMEDOUT after @timeout_ms, -1: never.
 */
int virgo_var_wait(uint64_t *since_ns, int timeout_ms);

/* --- files --- */

/*
 * Opens a file on a volume, which needs not be mounted: "volume:/path" or
 * "/virgo/volume/path". @flags as for open(2): O_RDONLY, O_WRONLY, O_RDWR with
 * O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_SYNC, O_DSYNC, O_NOFOLLOW; others but
 * O_CLOEXEC and O_LARGEFILE are EINVAL. @mode: of a new file, less the caller's
 * umask. Errors as open(2); EXDEV: a symbolic link leads out of the volume;
 * EOPNOTSUPP: a volume that only a mount can show.
 */
int virgo_open(const char *path, int flags, mode_t mode);

/* As read(2) and write(2), at the descriptor's own position (write: of all bytes
 * unless there is no room); on a job, its stdout and stdin.
 */
ssize_t virgo_read(int fd, void *buf, size_t len);
ssize_t virgo_write(int fd, const void *buf, size_t len);

/* As pread(2), pwrite(2), lseek(2), fsync(2) and ftruncate(2); files only
 * (ESPIPE on a job). EIO from fsync also when the server's machine was restarted
 * since the bytes were written; ESTALE: the server does not know the file any
 * more, open it again. Signals do not interrupt these calls; a node that does not
 * answer is given up after seconds. When the connection between the nodes is lost, a
 * request that may happen twice is repeated on the next one; an append, or what makes,
 * cuts off or closes a file, fails with ECONNRESET, and may have been done.
 */
ssize_t virgo_pread(int fd, void *buf, size_t len, int64_t offset);
ssize_t virgo_pwrite(int fd, const void *buf, size_t len, int64_t offset);
int64_t virgo_lseek(int fd, int64_t offset, int whence);
int virgo_fsync(int fd);
int virgo_ftruncate(int fd, int64_t size);

/* --- memory objects --- */

/* Names a memory object on every node, for the programs of its owner. Copy it,
 * send it, keep it: it is no address and is never valid again once the object has
 * ended.
 */
struct virgo_handle {
	uint8_t bytes[16];
};

/*
 * Makes an object of @size bytes (1 to 64 GiB), all zero, in memory of this node
 * and, as far as that has no room, of others. It lives while this program does,
 * and then until nobody has used it for @lease_ms (1 s to 7 days; 0: 60 s), or
 * until virgo_free(). ENOMEM: no room; EDQUOT: too many objects.
 */
int virgo_malloc(uint64_t size, uint32_t lease_ms, struct virgo_handle *handle);

/*
 * Copies @len bytes at @offset of the object, and to it: all, or -1. What lies in
 * one extent (1 MiB, from a multiple of it) is copied as one step, so others see
 * all of a set or nothing; across extents they may see a part, and after a failure
 * a part may have been written. ERANGE: beyond the object, then nothing was
 * copied; ESTALE: it has ended, or the node with that part was lost; EACCES:
 * another user's.
 */
ssize_t virgo_get(const struct virgo_handle *handle, void *buf, size_t len,
		  uint64_t offset);
ssize_t virgo_set(const struct virgo_handle *handle, const void *buf,
		  size_t len, uint64_t offset);

/* Ends it on all nodes; from then on its handle is ESTALE. */
int virgo_free(const struct virgo_handle *handle);

enum virgo_malloc_flags {
	VIRGO_MALLOC_HELD = 1 << 0, /* the program that made it lives */
	VIRGO_MALLOC_LOST = 1 << 1, /* a node with a part of it was lost */
};
struct virgo_malloc_info {
	uint64_t size;
	uint32_t lease_ms;
	uint32_t flags; /* enum virgo_malloc_flags */
	uint32_t extents;
	uint32_t nodes; /* they are on */
	char maker[64]; /* node that made it */
};
int virgo_malloc_info(const struct virgo_handle *handle,
		      struct virgo_malloc_info *info, size_t size);

/* A handle as 32 hexadecimal digits, and back. EINVAL: not a handle. */
enum { VIRGO_HANDLE_TEXT = 33 };
void virgo_handle_print(const struct virgo_handle *handle,
			char text[VIRGO_HANDLE_TEXT]);
int virgo_handle_parse(const char *text, struct virgo_handle *handle);

/* --- every descriptor --- */

/* What is at a path, or open: as stat(2) and fstat(2), but with the owner's numbers of
 * the volume's node. @flags: 0 or AT_SYMLINK_NOFOLLOW.
 */
struct virgo_stat {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	int64_t atime_s, mtime_s, ctime_s;
	uint32_t atime_ns, mtime_ns, ctime_ns;
	uint32_t mode; /* type and permissions */
	uint32_t nlink;
	uint32_t uid, gid;
	uint32_t reserved;
};
int virgo_stat(const char *path, int flags, struct virgo_stat *st, size_t size);
int virgo_fstat(int fd, struct virgo_stat *st, size_t size);

/* A directory of a volume: a descriptor for virgo_readdir() and virgo_close(). */
int virgo_opendir(const char *path);

enum virgo_dirent_flags {
	VIRGO_DIRENT_STAT = 1 << 0, /* stat counts: the caller may see it */
};
struct virgo_dirent {
	uint64_t ino;
	uint32_t type; /* DT_* of dirent.h */
	uint32_t flags; /* enum virgo_dirent_flags */
	struct virgo_stat stat; /* of the entry itself, not of a link's target */
	char name[256];
};
/* The next entry, without "." and "..": 1, or 0 at the end. Names made or removed
 * meanwhile may be missing or still there, as with readdir(3).
 */
int virgo_readdir(int fd, struct virgo_dirent *entry, size_t size);

/* Ends the descriptor, and the job unless it is detached. For a file, what was
 * written is at the server.
 */
int virgo_close(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
