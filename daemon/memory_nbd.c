// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client of virgo-nbd's control socket, and its starter; see memory_nbd.h.
 * Questions are sent one at a time, each when the one before was answered.
 *
 *	AWAY --connected--> UP --end of connection, or no answer--> AWAY
 *
 * In AWAY, while virgo-nbd is to be kept, a timer tries to connect and starts it
 * when nobody listens; a start that fails is repeated ever less often.
 */
#include "memory_nbd.h"

#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "state.h"
#include "where.h"

enum {
	TRY_US = 50000,
	START_MIN_US = 200000,
	START_MAX_US = 10000000,
	ANSWER_US = 30000000, /* a large export's memory takes time to free */
	ANSWER_MAX_BYTES = 16 << 20, /* a list of all exports there may be */
	LISTEN_LIST_MAX = 2048,
};

#define UNIT "virgo-nbd.service"
#define UNIT_FILE "/lib/systemd/system/" UNIT

struct ask {
	struct ask *next;
	memory_nbd_fn *fn;
	void *arg;
	size_t len;
	char line[];
};

struct memory_nbd {
	struct node *node;
	void (*changed)(void *arg);
	void *arg;
	struct watch watch; /* the control socket; fd -1: AWAY */
	struct watch child; /* a pidfd; -1: none that we started runs */
	struct timer timer; /* AWAY: try again; UP: no answer came */
	struct timer tell; /* runs changed() soon */
	bool keep;
	u64 start_us; /* the next start is not before this */
	u64 pause_us; /* between two starts */
	struct ask *first; /* the one that was sent */
	struct ask **last;
	char *answer;
	size_t answer_len;
	size_t answer_room;
	char listen[LISTEN_LIST_MAX];
	char why[128];
};

static void tell_changed(struct timer *t)
{
	struct memory_nbd *m = (struct memory_nbd *)((char *)t -
				offsetof(struct memory_nbd, tell));

	m->changed(m->arg);
}

static void changed(struct memory_nbd *m)
{
	loop_arm(m->node->loop, &m->tell, 0);
}

/* Answers everything that was asked: it is lost. */
static void answer_all(struct memory_nbd *m)
{
	struct ask *a = m->first;
	char none[1] = "";

	m->first = NULL;
	m->last = &m->first;
	while (a) {
		struct ask *next = a->next;

		a->fn(a->arg, -EPIPE, "", none);
		free(a);
		a = next;
	}
}

static int errno_of(const char *name)
{
	int i;

	for (i = 1; i < 256; i++) {
		const char *known = strerrorname_np(i);
		size_t len = known ? strlen(known) : 0;

		if (len && !strncmp(name, known, len) &&
		    (!name[len] || name[len] == ' '))
			return -i;
	}
	return -EIO;
}

static void go_away(struct memory_nbd *m)
{
	if (m->watch.fd < 0)
		return;
	loop_unwatch(m->node->loop, &m->watch);
	close(m->watch.fd);
	m->watch.fd = -1;
	m->answer_len = 0;
	answer_all(m);
	loop_arm(m->node->loop, &m->timer, m->keep ? TRY_US : START_MAX_US);
	changed(m);
}

static void send_first(struct memory_nbd *m)
{
	const struct ask *a = m->first;

	if (!a) {
		loop_disarm(m->node->loop, &m->timer);
		return;
	}
	loop_arm(m->node->loop, &m->timer, ANSWER_US);
	/* The socket is empty, and a line is small. A failure shows as the end
	 * of the connection.
	 */
	if (send(m->watch.fd, a->line, a->len, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)a->len)
		shutdown(m->watch.fd, SHUT_RDWR);
}

/* The last line of what came, if it is whole and ends an answer. */
static char *end_of_answer(struct memory_nbd *m)
{
	char *line = m->answer;
	char *next;

	if (!m->answer_len || m->answer[m->answer_len - 1] != '\n')
		return NULL;
	m->answer[m->answer_len - 1] = '\0';
	next = strrchr(line, '\n');
	if (next)
		line = next + 1;
	if (!strcmp(line, "ok") || !strncmp(line, "ok ", 3) ||
	    !strncmp(line, "error ", 6))
		return line;
	m->answer[m->answer_len - 1] = '\n';
	return NULL;
}

static void take_answer(struct memory_nbd *m)
{
	char *end = end_of_answer(m);
	struct ask *a = m->first;

	if (!end || !a)
		return;
	if (end > m->answer)
		end[-1] = '\0';
	if (*end == 'e')
		a->fn(a->arg, errno_of(end + 6), "", m->answer);
	else
		a->fn(a->arg, 0, end[2] ? end + 3 : "",
		      end > m->answer ? m->answer : end + strlen(end));
	m->answer_len = 0;
	m->first = a->next;
	if (!m->first)
		m->last = &m->first;
	free(a);
	send_first(m);
}

static bool make_room(struct memory_nbd *m)
{
	size_t room = m->answer_room ? m->answer_room * 2 : 4096;
	char *p;

	if (m->answer_len < m->answer_room)
		return true;
	p = room <= ANSWER_MAX_BYTES ? realloc(m->answer, room) : NULL;
	if (!p)
		return false;
	m->answer = p;
	m->answer_room = room;
	return true;
}

static void control_ready(struct watch *w, u32 events)
{
	struct memory_nbd *m = (struct memory_nbd *)((char *)w -
				offsetof(struct memory_nbd, watch));
	ssize_t n = 0;

	if (make_room(m))
		n = recv(w->fd, m->answer + m->answer_len,
			 m->answer_room - m->answer_len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		go_away(m);
		return;
	}
	m->answer_len += (size_t)n;
	take_answer(m);
}

/* 0, or why nobody answers. */
static int reach(struct memory_nbd *m)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/nbd.sock",
			 m->node->state);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (n >= (int)sizeof(sa.sun_path))
		ret = -ENAMETOOLONG;
	else if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		ret = -errno;
	m->watch.fd = fd;
	if (!ret)
		ret = loop_watch(m->node->loop, &m->watch, EPOLLIN);
	if (!ret) {
		m->why[0] = '\0';
		m->pause_us = START_MIN_US;
		changed(m);
		return 0;
	}
	m->watch.fd = -1;
	close(fd);
	return ret;
}

static void child_ended(struct watch *w, u32 events)
{
	struct memory_nbd *m = (struct memory_nbd *)((char *)w -
				offsetof(struct memory_nbd, child));
	siginfo_t i = { 0 };

	if (waitid(P_PIDFD, (id_t)w->fd, &i, WEXITED) == 0 &&
	    (i.si_code != CLD_EXITED || i.si_status))
		snprintf(m->why, sizeof(m->why), i.si_code == CLD_EXITED ?
			 "virgo-nbd ended with status %d; the log says why" :
			 "virgo-nbd was ended by signal %d", i.si_status);
	if (m->why[0] && m->keep)
		log_warning("%s", m->why);
	loop_unwatch(m->node->loop, w);
	close(w->fd);
	w->fd = -1;
	if (m->watch.fd < 0)
		loop_arm(m->node->loop, &m->timer, TRY_US);
}

static int spawn(struct memory_nbd *m, const char *program, char **argv)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;
	int ret;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
					 O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	/* A session of its own: what is sent to virgod's group is not for it. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	ret = posix_spawn(&pid, program, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (ret)
		return -ret;
	m->child.fd = pidfd_open(pid, 0);
	if (m->child.fd < 0)
		return -errno;
	return loop_watch(m->node->loop, &m->child, EPOLLIN);
}

/* Whether systemd shall start it, so that it is not in virgod's cgroup. */
static bool by_systemd(const struct memory_nbd *m)
{
	return getenv("INVOCATION_ID") &&
	       !strcmp(m->node->state, VIRGO_DEFAULT_STATE) &&
	       access("/run/systemd/system", F_OK) == 0 &&
	       (access(UNIT_FILE, F_OK) == 0 ||
		access("/usr" UNIT_FILE, F_OK) == 0 ||
		access("/usr/local" UNIT_FILE, F_OK) == 0);
}

/* What the unit reads as its environment. */
static int write_options(const struct memory_nbd *m)
{
	char text[LISTEN_LIST_MAX + 32];
	char dir[STATE_PATH_MAX];

	if (state_path(dir, m->node->state, "run"))
		return -ENAMETOOLONG;
	snprintf(text, sizeof(text), "VIRGO_NBD_LISTEN=%s\n", m->listen);
	return state_write(dir, "nbd.env", span_of(text), 0644, NULL);
}

static void start(struct memory_nbd *m)
{
	char identity[STATE_PATH_MAX];
	char program[PATH_MAX];
	char *own[] = { (char *)"virgo-nbd", (char *)"--state",
			(char *)m->node->state, (char *)"--tls", identity,
			(char *)"--listen", m->listen, (char *)"--connections",
			(char *)"4096", NULL };
	char *unit[] = { (char *)"systemctl", (char *)"--no-block",
			 (char *)"start", (char *)UNIT, NULL };
	int ret = state_path(identity, m->node->state, "identity");

	m->start_us = loop_clock_us() + m->pause_us;
	if (m->pause_us < START_MAX_US)
		m->pause_us *= 2;
	if (!ret && by_systemd(m)) {
		ret = write_options(m);
		if (!ret)
			ret = spawn(m, "/usr/bin/systemctl", unit);
	} else if (!ret) {
		ret = where_program("virgo-nbd", program, sizeof(program));
		if (!ret)
			ret = spawn(m, program, own);
	}
	if (ret) {
		snprintf(m->why, sizeof(m->why), "virgo-nbd cannot be started: "
			 "%s", ret == -ENOENT ? "it is not installed" :
						strerror(-ret));
		log_error("%s", m->why);
	} else {
		snprintf(m->why, sizeof(m->why), "virgo-nbd is starting");
	}
}

static void on_timer(struct timer *t)
{
	struct memory_nbd *m = (struct memory_nbd *)((char *)t -
				offsetof(struct memory_nbd, timer));

	if (m->watch.fd >= 0) {
		log_error("virgo-nbd: no answer for %d s",
			  ANSWER_US / 1000000);
		go_away(m);
		return;
	}
	if (reach(m) == 0)
		return;
	if (m->keep && m->child.fd < 0 && loop_clock_us() >= m->start_us)
		start(m);
	loop_arm(m->node->loop, t, m->keep ? TRY_US : START_MAX_US);
}

struct memory_nbd *memory_nbd_new(struct node *n, void (*fn)(void *arg),
				  void *arg)
{
	struct memory_nbd *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->node = n;
	m->changed = fn;
	m->arg = arg;
	m->watch = (struct watch){ .fd = -1, .ready = control_ready };
	m->child = (struct watch){ .fd = -1, .ready = child_ended };
	m->timer.fire = on_timer;
	m->tell.fire = tell_changed;
	m->last = &m->first;
	m->pause_us = START_MIN_US;
	loop_arm(n->loop, &m->timer, 0);
	return m;
}

void memory_nbd_free(struct memory_nbd *m)
{
	if (!m)
		return;
	loop_disarm(m->node->loop, &m->timer);
	loop_disarm(m->node->loop, &m->tell);
	if (m->watch.fd >= 0) {
		loop_unwatch(m->node->loop, &m->watch);
		close(m->watch.fd);
		m->watch.fd = -1;
	}
	answer_all(m);
	if (m->child.fd >= 0) {
		loop_unwatch(m->node->loop, &m->child);
		close(m->child.fd);
	}
	free(m->answer);
	free(m);
}

void memory_nbd_keep(struct memory_nbd *m, const char *listen)
{
	bool kept = m->keep;

	snprintf(m->listen, sizeof(m->listen), "%s", listen);
	m->keep = true;
	if (!kept && m->watch.fd < 0)
		loop_arm(m->node->loop, &m->timer, 0);
}

void memory_nbd_unkeep(struct memory_nbd *m)
{
	m->keep = false;
	m->why[0] = '\0';
}

bool memory_nbd_up(const struct memory_nbd *m)
{
	return m->watch.fd >= 0;
}

const char *memory_nbd_why(const struct memory_nbd *m)
{
	return m->why;
}

int memory_nbd_ask(struct memory_nbd *m, memory_nbd_fn *fn, void *arg,
		   const char *format, ...)
{
	char line[500];
	struct ask *a;
	va_list ap;
	int len;

	if (m->watch.fd < 0)
		return -ENOTCONN;
	va_start(ap, format);
	len = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	if (len < 0 || len >= (int)sizeof(line) - 1)
		return -EMSGSIZE;
	line[len++] = '\n';
	a = malloc(sizeof(*a) + (size_t)len);
	if (!a)
		return -ENOMEM;
	*a = (struct ask){ .fn = fn, .arg = arg, .len = (size_t)len };
	memcpy(a->line, line, (size_t)len);
	*m->last = a;
	m->last = &a->next;
	if (m->first == a)
		send_first(m);
	return 0;
}
