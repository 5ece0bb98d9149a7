// SPDX-License-Identifier: GPL-2.0-or-later
/* What `virgod init` and `virgod join` share; see setup.h. */
#include "setup.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "address.h"
#include "backup.h"
#include "client.h"
#include "conf_cloud.h"
#include "where.h"

enum { OWN_ADDRESSES_MAX = 8 };

int setup_parse(struct setup *s, int argc, char **argv, const char *help,
		const char *options, int least)
{
	static const struct option longs[] = {
		{ "state", required_argument, NULL, 's' },
		{ "conf", required_argument, NULL, 'c' },
		{ "advertise", required_argument, NULL, 'a' },
		{ "port", required_argument, NULL, 'p' },
		{ "cloud", required_argument, NULL, 'C' },
		{ "passphrase-file", required_argument, NULL, 'P' },
		{ "name", required_argument, NULL, 'n' },
		{ "backup", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*s = (struct setup){ .state = getenv("VIRGO_STATE"), .cloud = "virgo" };
	if (!s->state)
		s->state = VIRGO_DEFAULT_STATE;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?' || !strchr(options, c)) {
			fputs(help, stderr);
			return 2;
		}
		*(c == 's' ? &s->state :
		  c == 'c' ? &s->conf_dir :
		  c == 'a' ? &s->advertise :
		  c == 'p' ? &s->port :
		  c == 'C' ? &s->cloud :
		  c == 'P' ? &s->passphrase_file :
		  c == 'b' ? &s->backup :
			     &s->name) = optarg;
	}
	if (argc - optind < least || argc - optind > 1) {
		fputs(help, stderr);
		return 2;
	}
	s->word = optind < argc ? argv[optind] : NULL;
	return -1;
}

static bool ask_hidden(const char *prompt, char *out, size_t size)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	struct termios was, quiet;
	bool good = false;

	if (!tty)
		return false;
	if (tcgetattr(fileno(tty), &was) == 0) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
		fputs(prompt, tty);
		fflush(tty);
		good = fgets(out, (int)size, tty) != NULL;
		out[good ? strcspn(out, "\r\n") : 0] = '\0';
		tcsetattr(fileno(tty), TCSAFLUSH, &was);
		fputc('\n', tty);
	}
	fclose(tty);
	return good && *out;
}

int setup_passphrase(const struct setup *s, bool twice, char *out,
		     struct failure *f)
{
	char again[PASSPHRASE_MAX + 1];
	bool same;

	if (s->passphrase_file)
		return passphrase_read(s->passphrase_file, out, f);
	if (!ask_hidden("Passphrase of the backup: ", out, PASSPHRASE_MAX + 1))
		return failure_set(f, -ENOTTY, "backup",
				   "--passphrase-file FILE",
				   "there is no terminal to ask for the passphrase");
	if (!twice)
		return 0;
	same = ask_hidden("The same again: ", again, sizeof(again)) &&
	       !strcmp(out, again);
	explicit_bzero(again, sizeof(again));
	return same ? 0 :
		      failure_set(f, -EINVAL, "backup", "again",
				  "the two passphrases differ");
}

/* True for addresses that other machines can be expected to reach. */
static bool address_is_public(const struct ifaddrs *i)
{
	if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
	    i->ifa_flags & IFF_LOOPBACK)
		return false;
	if (i->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (void *)i->ifa_addr;

		return !IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr);
	}
	return i->ifa_addr->sa_family == AF_INET;
}

/* IPv4 first, since every machine has it. */
static void own_addresses(u16 port, char *out)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct ifaddrs *all, *i;
	int count = 0;
	char *p = out;

	out[0] = '\0';
	if (getifaddrs(&all))
		all = NULL;
	for (int k = 0; k < 2; k++)
		for (i = all; i; i = i->ifa_next) {
			char text[INET6_ADDRSTRLEN];
			const struct sockaddr_in *v4 = (void *)i->ifa_addr;
			const struct sockaddr_in6 *v6 = (void *)i->ifa_addr;

			if (!address_is_public(i) ||
			    i->ifa_addr->sa_family != families[k] ||
			    count == OWN_ADDRESSES_MAX)
				continue;
			if (k == 0)
				inet_ntop(AF_INET, &v4->sin_addr, text,
					  sizeof(text));
			else
				inet_ntop(AF_INET6, &v6->sin6_addr, text,
					  sizeof(text));
			p += sprintf(p, k ? "%s[%s]:%u" : "%s%s:%u",
				     count++ ? "," : "", text, port);
		}
	if (all)
		freeifaddrs(all);
	if (!count)
		sprintf(out, "127.0.0.1:%u", port);
}

static void conf_path(const struct setup *s, char *out, size_t size)
{
	char dir[STATE_PATH_MAX];

	where_conf_dir(s->conf_dir, s->state, dir, sizeof(dir));
	snprintf(out, size, "%s/%s", dir, conf_cloud_schema.file);
}

int setup_conf(const struct setup *s, struct conf_cloud *out,
	       struct failure *f)
{
	char path[STATE_PATH_MAX + 32];
	struct conf_report report;
	int ret;

	conf_path(s, path, sizeof(path));
	ret = conf_read(&conf_cloud_schema, path, out, &report);
	if (ret == -ENOENT)
		ret = conf_parse(&conf_cloud_schema, path, "", 0, out,
				 &report);
	return ret ? conf_report_failure(&report, ret, f) : 0;
}

void setup_keep_options(const struct setup *s)
{
	char path[STATE_PATH_MAX + 32];
	FILE *out;

	if (!s->port && !s->advertise)
		return;
	conf_path(s, path, sizeof(path));
	*strrchr(path, '/') = '\0';
	mkdir(path, 0755);
	conf_path(s, path, sizeof(path));
	out = fopen(path, "wxe");
	if (!out) {
		printf("See that %s has under [node]:%s%s%s%s\n", path,
		       s->port ? " port = " : "", s->port ? s->port : "",
		       s->advertise ? " advertise = " : "",
		       s->advertise ? s->advertise : "");
		return;
	}
	fputs("[node]\n", out);
	if (s->port)
		fprintf(out, "port = %s\n", s->port);
	if (s->advertise)
		fprintf(out, "advertise = %s\n", s->advertise);
	fclose(out);
}

int setup_addresses(const struct setup *s, const struct conf_cloud *conf,
		    char *out, u16 *port, struct failure *f)
{
	char listed[ADVERTISED_LIST_MAX + 1];
	char *end;
	long v;

	*port = (u16)conf->node_port;
	if (s->port) {
		v = strtol(s->port, &end, 10);
		if (*end || v < 1 || v > 65535)
			return failure_set(f, -EINVAL, "--port", "1 to 65535",
					   "'%.20s' is not a port", s->port);
		*port = (u16)v;
	}
	if (s->advertise)
		return advertised_list(s->advertise, *port, out,
				       ADVERTISED_LIST_MAX + 1, f);
	if (conf->node_advertise.count) {
		if (advertised_join(&conf->node_advertise, listed))
			return failure_set(f, -E2BIG, "advertise", "fewer",
					   "too many addresses");
		return advertised_list(listed, *port, out,
				       ADVERTISED_LIST_MAX + 1, f);
	}
	own_addresses(*port, out);
	return 0;
}

int setup_export(const struct setup *s, char *out, size_t size,
		 struct failure *f)
{
	char path[STATE_PATH_MAX], full[PATH_MAX];

	if (state_path(path, s->state, "export"))
		return failure_set(f, -ENAMETOOLONG, s->state, NULL,
				   "the path is too long");
	/* Like /tmp: every user of the cloud may put something there. */
	if ((mkdir(path, 01777) || chmod(path, 01777)) && errno != EEXIST)
		return failure_set(f, -errno, path, NULL,
				   "cannot be made: %s", strerror(errno));
	if (!realpath(path, full) || strlen(full) >= size)
		return failure_set(f, -ENAMETOOLONG, path, NULL,
				   "the path is too long");
	strcpy(out, full);
	return 0;
}

int setup_write_identity(const char *dir, struct span key, struct span crt,
			 struct span authority, struct failure *f)
{
	int ret = state_write(dir, "node.key", key, 0600, f);

	if (!ret)
		ret = state_write(dir, "node.crt", crt, 0644, f);
	if (!ret)
		ret = state_write(dir, "authority.crt", authority, 0644, f);
	return ret;
}

static bool systemd_runs_us(const struct setup *s)
{
	return !strcmp(s->state, VIRGO_DEFAULT_STATE) &&
	       access("/run/systemd/system", F_OK) == 0;
}

void setup_start(const struct setup *s)
{
	int status = 1;
	pid_t child;

	fflush(stdout);
	if (systemd_runs_us(s)) {
		child = fork();
		if (!child) {
			execlp("systemctl", "systemctl", "enable", "--now",
			       "virgod.service", (char *)NULL);
			_exit(127);
		}
		if (child > 0 && waitpid(child, &status, 0) == child &&
		    !status)
			return;
	}
	if (strcmp(s->state, VIRGO_DEFAULT_STATE))
		printf("Start it: sudo virgod --state %s\n", s->state);
	else
		puts("Start it: sudo virgod");
}
