// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A name service that hangs on request: libnss_gate.so.2. While the fifo
 * /run/nss-gate exists a question waits until someone opens it for writing. It
 * knows one account, late (7777), and no groups. Only numbers and names without
 * an answer from the services before it get here.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

enum nss_status _nss_gate_getpwnam_r(const char *name, struct passwd *pw,
				     char *buf, size_t size, int *err);
enum nss_status _nss_gate_getpwuid_r(uid_t uid, struct passwd *pw, char *buf,
				     size_t size, int *err);
enum nss_status _nss_gate_getgrnam_r(const char *name, struct group *gr,
				     char *buf, size_t size, int *err);
enum nss_status _nss_gate_getgrgid_r(gid_t gid, struct group *gr, char *buf,
				     size_t size, int *err);

static enum nss_status nothing(int *err)
{
	*err = ENOENT;
	return NSS_STATUS_NOTFOUND;
}

static void pass_gate(void)
{
	int fd = open("/run/nss-gate", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
}

static enum nss_status late(struct passwd *pw)
{
	static char name[] = "late", empty[] = "", root[] = "/";

	*pw = (struct passwd){ .pw_name = name,
			       .pw_passwd = empty,
			       .pw_uid = 7777,
			       .pw_gid = 7777,
			       .pw_gecos = empty,
			       .pw_dir = root,
			       .pw_shell = empty };
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_gate_getpwnam_r(const char *name, struct passwd *pw,
				     char *buf, size_t size, int *err)
{
	pass_gate();
	return strcmp(name, "late") ? nothing(err) : late(pw);
}

enum nss_status _nss_gate_getpwuid_r(uid_t uid, struct passwd *pw, char *buf,
				     size_t size, int *err)
{
	pass_gate();
	return uid == 7777 ? late(pw) : nothing(err);
}

enum nss_status _nss_gate_getgrnam_r(const char *name, struct group *gr,
				     char *buf, size_t size, int *err)
{
	pass_gate();
	return nothing(err);
}

enum nss_status _nss_gate_getgrgid_r(gid_t gid, struct group *gr, char *buf,
				     size_t size, int *err)
{
	pass_gate();
	return nothing(err);
}
