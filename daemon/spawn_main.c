// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-spawn: starts jobs for virgod, watches over them, and cleans up after
 * both. The protocol is in spawn_protocol.h; the socket to virgod is descriptor 3.
 *
 *	WAITING -> STARTING -> RUNNING -> ENDING -> (gone)
 *	(account)  (till exec)           (till its group is empty)
 *
 * One thread, one loop. SIGCHLD comes through a signalfd. Requests are read
 * without blocking; events to virgod are written blocking, which is safe because
 * virgod never blocks on this socket, and its end ends the write too. As the
 * child subreaper it inherits whatever a job leaves behind. Here are requests, the
 * ends of jobs and of virgod; the rest is listed in spawn_impl.h.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "log.h"
#include "ready.h"
#include "spare.h"
#include "spawn_impl.h"

enum {
	NOFILE_JOB = 1024, /* soft limit of descriptors that programs expect */
	REQUEST_BYTES = sizeof(struct spawn_message) +
			sizeof(struct spawn_start) + SPAWN_INLINE_MAX,
	RECHECK_FIRST_US = 100,
	RECHECK_MOST_US = 20000,
	GIVE_UP_US = 5000000,
	SWEEP_US = 300000,
	SWEEPS = 8,
	SIGNALS_MOST = 4, /* kinds that open_signals() takes: one is pending each */
};

struct spawn_state spawn;

/* --- the end of a job --- */

static u64 timeval_us(struct timeval t)
{
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_usec;
}

static void report_end(struct job *j, bool empty)
{
	struct spawn_exit e = {
		.status = j->wait_status,
		.oom = jobgroup_oom(&j->group),
		.user_us = timeval_us(j->usage.ru_utime),
		.system_us = timeval_us(j->usage.ru_stime),
		.max_rss_bytes = (u64)j->usage.ru_maxrss * 1024,
		.left = empty ? 0 : jobgroup_count(&j->group),
		.pid = j->group.leader,
	};

	if (j->failure.stage) {
		spawn_failed(j->id, j->failure.stage, j->failure.error, "");
	} else {
		spawn_write_status(j, &e);
		spawn_event(SPAWN_EXITED, j->id, 0, 0, &e, sizeof(e));
	}
	spawn_forget(j);
}

/* After the leader: whatever it left is killed, and the end is told when nothing
 * is left. A process in an uninterruptible wait is waited for only so long.
 */
static void end_or_recheck(struct job *j)
{
	bool empty = jobgroup_empty(&j->group);

	if (empty || loop_clock_us() - j->ending_us > GIVE_UP_US) {
		report_end(j, empty);
		return;
	}
	jobgroup_kill(&j->group);
	loop_arm(spawn.loop, &j->recheck, j->recheck_us);
	j->recheck_us = j->recheck_us * 2 < RECHECK_MOST_US ? j->recheck_us * 2 :
							      RECHECK_MOST_US;
}

static void recheck_fired(struct timer *t)
{
	end_or_recheck((void *)((u8 *)t - offsetof(struct job, recheck)));
}

/* --- other requests --- */

static void kill_all(struct job *j)
{
	if (j->state == WAITING) {
		j->killed = true;
		return;
	}
	/* Before its setsid() the leader is in no session of its own yet. */
	if (j->state != ENDING)
		kill(j->group.leader, SIGKILL);
	jobgroup_kill(&j->group);
}

static void signal_job(struct job *j, int sig)
{
	/* Until its exec the child has our handlers, not the program's. */
	if (sig <= 0 || sig >= NSIG || j->state == WAITING)
		return;
	if (j->state == ENDING)
		jobgroup_kill(&j->group);
	else if (kill(-j->group.leader, sig) && errno == ESRCH)
		kill(j->group.leader, sig);
}

static void who_known(void *arg, const struct account *a,
		      const struct failure *why)
{
	struct spawn_message *m = arg;
	const char *name = a ? a->name : "";

	spawn_event(SPAWN_NAME, m->job, m->value, a ? 0 : (u32)-why->code, name,
		    strlen(name));
	free(m);
}

static void who_request(const struct spawn_message *m)
{
	struct spawn_message *copy = malloc(sizeof(*copy));

	if (!copy) {
		spawn_event(SPAWN_NAME, m->job, m->value, ENOMEM, "", 0);
		return;
	}
	*copy = *m;
	accounts_find_uid(spawn.accounts, (u32)m->value, who_known, copy);
}

static void request(const struct spawn_message *m, const void *data, size_t len,
		    int *fds, u32 count)
{
	struct job *j = *spawn_id_slot(m->job);

	if (m->kind == SPAWN_START) {
		spawn_start(m, data, len, fds, count);
		return;
	}
	while (count)
		close(fds[--count]);
	if (m->kind == SPAWN_WHO)
		who_request(m);
	else if (j && m->kind == SPAWN_SIGNAL)
		signal_job(j, m->value);
	else if (j && m->kind == SPAWN_KILL)
		kill_all(j);
}

/* --- virgod's end, and ours --- */

static void virgod_gone(void)
{
	struct job *j, *next;
	u32 i;

	spawn.orphan = true;
	loop_unwatch(spawn.loop, &spawn.virgod);
	close(VIRGOD_FD);
	ready_close();
	for (i = 0; i < SPAWN_BUCKETS; i++)
		for (j = spawn.by_id[i]; j; j = next) {
			next = j->next_id;
			if (!j->detached)
				kill_all(j);
		}
	if (!spawn.jobs)
		loop_stop(spawn.loop);
}

static u32 take_fds(struct msghdr *h, int *fds)
{
	struct cmsghdr *c;
	u32 count = 0;

	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			count = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		}
	return count;
}

static void virgod_ready(struct watch *w, u32 events)
{
	static u8 buf[REQUEST_BYTES] __attribute__((aligned(8)));
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SPAWN_FDS_MAX * sizeof(int))];
	} control;
	int fds[SPAWN_FDS_MAX];

	while (!spawn.orphan) {
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(w->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		const struct spawn_message *m = (const void *)buf;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < (ssize_t)sizeof(*m)) {
			virgod_gone();
			return;
		}
		request(m, buf + sizeof(*m), (size_t)n - sizeof(*m), fds,
			take_fds(&h, fds));
	}
}

static void child_ended(pid_t pid, int status, const struct rusage *usage)
{
	struct job *j = *spawn_pid_slot(pid);

	if (!j || j->state == ENDING) {
		if (!ready_reaped(pid))
			accounts_reaped(spawn.accounts, pid);
		return;
	}
	/* What comes after its end is told only to those who look for it later:
	 * every event is a wake-up of virgod on the way of the answer.
	 */
	if (j->state == STARTING && spawn_start_known(j) && !j->failure.stage &&
	    j->detached)
		spawn_tell_started(j);
	/* Its end must not be taken for a start any more. */
	spawn_start_over(j);
	j->state = ENDING;
	j->wait_status = status;
	j->usage = *usage;
	j->ending_us = loop_clock_us();
	j->recheck_us = RECHECK_FIRST_US;
	j->recheck.fire = recheck_fired;
	end_or_recheck(j);
}

static void signals_ready(struct watch *w, u32 events)
{
	struct signalfd_siginfo info[SIGNALS_MOST];
	struct rusage usage;
	bool stop = false;
	int status;
	pid_t pid;
	ssize_t n;

	/* What is left is told again by the loop. */
	n = read(w->fd, info, sizeof(info));
	for (; n >= (ssize_t)sizeof(info[0]); n -= (ssize_t)sizeof(info[0]))
		stop |= info[n / (ssize_t)sizeof(info[0]) - 1].ssi_signo !=
			SIGCHLD;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		child_ended(pid, status, &usage);
	if (stop && !spawn.orphan)
		virgod_gone();
}

static void sweep_fired(struct timer *t)
{
	jobgroup_sweep();
	if (--spawn.sweeps)
		loop_arm(spawn.loop, t, SWEEP_US);
}

static void raise_nofile(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &spawn.nofile);
	r = spawn.nofile;
	r.rlim_cur = r.rlim_max;
	if (spawn.nofile.rlim_cur > NOFILE_JOB)
		spawn.nofile.rlim_cur = NOFILE_JOB;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* Jobs inherit how signals are taken here: as nobody has changed it. */
static void reset_signals(void)
{
	static const u8 by_default[64]; /* the kernel's struct, all zero */
	int sig;

	/* Not signal(): it spares two that the C library keeps for itself. */
	for (sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL, NSIG / 8);
}

static int open_signals(void)
{
	sigset_t set;

	reset_signals();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	bool avoid = argc > 1 && !strcmp(argv[1], "--no-cgroups");
	int type = 0;
	socklen_t len = sizeof(type);

	log_open("virgo-spawn", LOG_LEVEL_INFO);
	if (getsockopt(VIRGOD_FD, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    type != SOCK_SEQPACKET || argc > 1 + avoid) {
		fprintf(stderr, "virgo-spawn: started by virgod only, with its "
				"socket as descriptor 3\n");
		return 2;
	}
	fcntl(VIRGOD_FD, F_SETFD, FD_CLOEXEC);
	raise_nofile();
	spare_self(SPARE_NOT); /* virgod is spared */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	jobgroup_open(avoid);
	spawn.loop = loop_new();
	if (spawn.loop)
		spawn.accounts = accounts_new(spawn.loop);
	if (!spawn.accounts) {
		log_error("cannot start: virgo-account: %s", strerror(errno));
		return 1;
	}
	spawn.virgod = (struct watch){ .fd = VIRGOD_FD, .ready = virgod_ready };
	spawn.signals = (struct watch){ .fd = open_signals(),
					.ready = signals_ready };
	if (spawn.signals.fd < 0 ||
	    loop_watch(spawn.loop, &spawn.virgod, EPOLLIN) ||
	    loop_watch(spawn.loop, &spawn.signals, EPOLLIN)) {
		log_error("cannot start: %s", strerror(errno));
		return 1;
	}
	spawn.sweeps = SWEEPS;
	spawn.sweep.fire = sweep_fired;
	loop_arm(spawn.loop, &spawn.sweep, SWEEP_US);
	spawn_fill_later();
	loop_run(spawn.loop);
	loop_disarm(spawn.loop, &spawn.sweep);
	loop_unwatch(spawn.loop, &spawn.signals);
	accounts_free(spawn.accounts);
	ready_close();
	jobgroup_close();
	loop_free(spawn.loop);
	return 0;
}
