// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-guard: sets everything up, tells its parent, and from then on only runs
 * guard.c's loop. Started by virgo-borrow; one a state folder.
 */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "dialler.h"
#include "genl.h"
#include "guard.h"
#include "protect.h"
#include "stdfds.h"

static const char help[] =
	"Usage: virgo-guard [OPTION]...\n"
	"Keeps the connections of borrowed memory; started when it is needed.\n"
	"\n"
	"  --state DIR        folder of this node's state (" VIRGO_DEFAULT_STATE
	")\n"
	"  --help, --version\n";

/* Gives the exit status, or -1 to go on. */
static int parse(const char **state, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "state", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*state = getenv("VIRGO_STATE");
	if (!*state)
		*state = VIRGO_DEFAULT_STATE;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			*state = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("virgo-guard " VIRGO_VERSION);
			return 0;
		default:
			fputs("Try: virgo-guard --help\n", stderr);
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	fputs("Try: virgo-guard --help\n", stderr);
	return 2;
}

static int listen_at(const char *path, struct failure *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	mode_t was = umask(0177);
	int ret;

	strcpy(sa.sun_path, path);
	/* Who started us found nobody there; what is left is of a dead one. */
	unlink(path);
	ret = fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	      listen(fd, GUARD_CLIENTS_MAX);
	umask(was);
	return ret ? failure_set(f, -errno, path, NULL, "cannot listen: %s",
				 strerror(errno)) : fd;
}

/* The dialler's process; its end of the pair goes with this one. */
static int start_dialler(const char *state, const struct genl *g,
			 int listener, struct failure *f)
{
	char identity[PATH_MAX];
	int pair[2];
	pid_t pid;

	snprintf(identity, sizeof(identity), "%s/identity", state);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return failure_set(f, -errno, "virgo-guard", NULL, "%s",
				   strerror(errno));
	pid = fork();
	if (pid < 0)
		return failure_set(f, -errno, "virgo-guard", NULL, "%s",
				   strerror(errno));
	if (!pid) {
		prctl(PR_SET_NAME, "virgo-dialler");
		close(pair[0]);
		close(listener);
		close(g->fd);
		close(g->events);
		dialler_run(pair[1], identity);
		_exit(0);
	}
	close(pair[1]);
	return pair[0];
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
	}
	setsid();
	if (chdir("/"))
		errno = 0; /* it is the place to be; it is not needed */
}

static int set_up(const char *state, struct genl *g, int *listener,
		  struct failure *f)
{
	char path[PATH_MAX];
	int ret;

	if (guard_path(state, path, sizeof(path)))
		return failure_set(f, -ENAMETOOLONG, state,
				   "a shorter --state",
				   "path too long for a socket");
	ret = genl_open(g, f);
	if (ret)
		return ret;
	*listener = listen_at(path, f);
	return *listener < 0 ? *listener : 0;
}

int main(int argc, char **argv)
{
	struct failure f = { 0 };
	struct genl g = { .fd = -1, .events = -1 };
	const char *state;
	int listener = -1;
	int dialler;
	int ret;

	stdfds_ensure();
	ret = parse(&state, argc, argv);
	if (ret >= 0)
		return ret;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	ret = set_up(state, &g, &listener, &f);
	if (ret) {
		failure_print(&f, stderr);
		return 1;
	}
	switch (fork()) {
	case -1:
		perror("virgo-guard");
		return 1;
	case 0:
		break;
	default:
		_exit(0);
	}
	signal(SIGCHLD, SIG_IGN);
	leave_terminal();
	protect_self("virgo-guard");
	dialler = start_dialler(state, &g, listener, &f);
	if (dialler < 0)
		return 1;
	settle_in_memory();
	return guard_run(&g, listener, dialler) ? 1 : 0;
}
