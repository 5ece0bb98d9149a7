// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accounts by name or number, and the rules about them; the contract is in
 * users.h. Everything is asked anew on each call and nothing is static.
 */
#include "users.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef VIRGO_PAM
#include <security/pam_appl.h>
#endif

enum {
	ENTRY_BYTES_MAX = 1 << 20,
};

/* What user_find() gives: the struct, its groups and its strings. */
struct found {
	struct user user;
	gid_t groups[];
};

/* All groups of @pw into a new array; their number, or a negative errno. */
static int groups_of(const struct passwd *pw, gid_t **out)
{
	int count = 32;

	for (*out = NULL;;) {
		gid_t *more = realloc(*out, (size_t)count * sizeof(**out));
		int had = count;

		if (!more) {
			free(*out);
			return -ENOMEM;
		}
		*out = more;
		if (getgrouplist(pw->pw_name, pw->pw_gid, more, &count) >= 0)
			return count;
		if (count <= had)
			count = had * 2;
		if (count > NGROUPS_MAX + 1)
			count = NGROUPS_MAX + 1;
		if (had == count)
			return count;
	}
}

static char *append(char **at, const char *text)
{
	char *start = *at;

	*at = stpcpy(start, text) + 1;
	return start;
}

static struct user *pack(const struct passwd *pw)
{
	const char *shell = pw->pw_shell && *pw->pw_shell ? pw->pw_shell :
							    "/bin/sh";
	struct found *all;
	gid_t *groups;
	char *text;
	int count = groups_of(pw, &groups);
	size_t group_bytes;

	if (count < 0)
		return NULL;
	group_bytes = (size_t)count * sizeof(*groups);
	all = malloc(sizeof(*all) + group_bytes + strlen(pw->pw_name) +
		     strlen(pw->pw_dir) + strlen(shell) + 3);
	if (all) {
		memcpy(all->groups, groups, group_bytes);
		text = (char *)all->groups + group_bytes;
		all->user = (struct user){ .uid = pw->pw_uid,
					   .gid = pw->pw_gid,
					   .groups = all->groups,
					   .group_count = count };
		all->user.name = append(&text, pw->pw_name);
		all->user.home = append(&text, pw->pw_dir);
		all->user.shell = append(&text, shell);
	}
	free(groups);
	return all ? &all->user : NULL;
}

/* getpwnam(3) lists these as ways of saying "not found". */
static bool means_absent(int error)
{
	return error == 0 || error == ENOENT || error == ESRCH ||
	       error == EBADF || error == EPERM;
}

static int look_up(struct user **out, const char *name, uid_t uid)
{
	size_t size = 1024;
	struct passwd *pw = NULL;
	struct passwd space;
	char *buf = NULL;
	int ret;

	do {
		free(buf);
		size *= 2;
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		ret = name ? getpwnam_r(name, &space, buf, size, &pw) :
			     getpwuid_r(uid, &space, buf, size, &pw);
	} while (ret == ERANGE && size < ENTRY_BYTES_MAX);
	if (pw) {
		*out = pack(pw);
		ret = *out ? 0 : -ENOMEM;
	} else {
		ret = means_absent(ret) ? -ENOENT : -EAGAIN;
	}
	free(buf);
	return ret;
}

static int find_failed(int ret, const char *who, const char *object,
		       const char *remedy, struct failure *f)
{
	if (ret == -ENOENT)
		return failure_set(f, ret, object, remedy, "no user %s there",
				   who);
	if (ret == -EAGAIN)
		return failure_set(f, ret, object, "see the logs of sssd, nscd "
				   "or the directory server there",
				   "the user data base did not answer for %s",
				   who);
	return failure_set(f, ret, object, NULL, "out of memory");
}

int user_find(struct user **out, const char *name, const char *object,
	      struct failure *f)
{
	char who[80];
	int ret = look_up(out, name, 0);

	if (!ret)
		return 0;
	snprintf(who, sizeof(who), "'%.70s'", name);
	return find_failed(ret, who, object,
			   "create it, or map it with idmap", f);
}

int user_find_uid(struct user **out, uid_t uid, const char *object,
		  struct failure *f)
{
	char who[32];
	int ret = look_up(out, NULL, uid);

	if (!ret)
		return 0;
	snprintf(who, sizeof(who), "with id %u", uid);
	return find_failed(ret, who, object, "create it", f);
}

#ifdef VIRGO_PAM

static bool service_exists(const char *pam_dir)
{
	static const char *const dirs[] = { "/etc/pam.d", "/usr/lib/pam.d" };
	char path[PATH_MAX];

	if (pam_dir) {
		snprintf(path, sizeof(path), "%s/virgo", pam_dir);
		return access(path, F_OK) == 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/virgo", dirs[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* Nobody is there to be asked a password; a module that wants one fails. */
static int no_conversation(int count, const struct pam_message **message,
			   struct pam_response **response, void *arg)
{
	return PAM_CONV_ERR;
}

/* PAM's word about @u: PAM_SUCCESS, or another and its text in @why. */
static int ask_pam(const struct user *u, const char *pam_dir, const char *from,
		   char *why, size_t size)
{
	const struct pam_conv conv = { .conv = no_conversation };
	pam_handle_t *h = NULL;
	int ret = pam_dir ? pam_start_confdir("virgo", u->name, &conv, pam_dir,
					      &h) :
			    pam_start("virgo", u->name, &conv, &h);

	if (ret == PAM_SUCCESS)
		ret = pam_set_item(h, PAM_RHOST, from);
	if (ret == PAM_SUCCESS)
		ret = pam_acct_mgmt(h, PAM_SILENT);
	snprintf(why, size, "%s", h ? pam_strerror(h, ret) : "cannot start");
	if (h)
		pam_end(h, ret);
	return ret;
}

#else

static bool service_exists(const char *pam_dir)
{
	return false;
}

enum { PAM_SUCCESS, PAM_ACCT_EXPIRED, PAM_NEW_AUTHTOK_REQD };

static int ask_pam(const struct user *u, const char *pam_dir, const char *from,
		   char *why, size_t size)
{
	return PAM_SUCCESS;
}

#endif

/* Debian's stack of modules makes one refusal of all; the shadow file knows
 * whether it is this one.
 */
static bool has_expired(const char *name)
{
	struct spwd space;
	struct spwd *sp = NULL;
	char buf[4096];
	long today = (long)(time(NULL) / 86400);

	return !getspnam_r(name, &space, buf, sizeof(buf), &sp) && sp &&
	       sp->sp_expire > 0 && sp->sp_expire <= today;
}

int user_account(const struct user *u, enum user_pam pam, const char *pam_dir,
		 const char *from, const char *object, struct failure *f)
{
	char remedy[160];
	char why[80];
	int ret;

	if (pam == USER_PAM_NO)
		return 0;
	if (!service_exists(pam_dir)) {
		if (pam == USER_PAM_AUTO)
			return 0;
		return failure_set(f, -EACCES, object,
				   "install /etc/pam.d/virgo there, or set pam "
				   "= auto below [jobs] in virgo_cloud.conf",
				   "policy asks PAM, which has no service virgo "
				   "there");
	}
	ret = ask_pam(u, pam_dir, from, why, sizeof(why));
	if (ret == PAM_SUCCESS)
		return 0;
	if (has_expired(u->name)) {
		ret = PAM_ACCT_EXPIRED;
		strcpy(why, "the account has expired");
	}
	if (ret == PAM_ACCT_EXPIRED || ret == PAM_NEW_AUTHTOK_REQD)
		snprintf(remedy, sizeof(remedy),
			 "see chage -l %.60s there", u->name);
	else
		snprintf(remedy, sizeof(remedy), "see /etc/pam.d/virgo and "
						 "journalctl -t virgod there");
	return failure_set(f, -EACCES, object, remedy,
			   "PAM refuses user '%.60s': %s", u->name, why);
}
