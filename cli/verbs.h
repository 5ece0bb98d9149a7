/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs of `virgo`: one row in verbs.c and one file each. A verb gets
 * argv[0] as its own name and gives the exit status: 0, 1 when it failed, 2 for
 * a wrong command line; `virgo run` alone gives the program's.
 */
#ifndef VIRGO_CLI_VERBS_H
#define VIRGO_CLI_VERBS_H

struct globals {
	const char *state; /* --state DIR, or NULL for the default */
	const char *conf_dir; /* --conf DIR, or NULL for the default */
};

struct verb {
	const char *name;
	int (*main)(const struct globals *g, int argc, char **argv);
	const char *summary; /* one line of `virgo --help` */
};

/* Ends with a row of NULLs. */
extern const struct verb verbs[];

int verb_audit(const struct globals *g, int argc, char **argv);
int verb_backup(const struct globals *g, int argc, char **argv);
int verb_cache(const struct globals *g, int argc, char **argv);
int verb_call(const struct globals *g, int argc, char **argv);
int verb_conf(const struct globals *g, int argc, char **argv);
int verb_doctor(const struct globals *g, int argc, char **argv);
int verb_init(const struct globals *g, int argc, char **argv);
int verb_invite(const struct globals *g, int argc, char **argv);
int verb_join(const struct globals *g, int argc, char **argv);
int verb_leave(const struct globals *g, int argc, char **argv);
int verb_mount(const struct globals *g, int argc, char **argv);
int verb_umount(const struct globals *g, int argc, char **argv);
int verb_volume(const struct globals *g, int argc, char **argv);
int verb_node(const struct globals *g, int argc, char **argv);
int verb_swap(const struct globals *g, int argc, char **argv);
int verb_disk(const struct globals *g, int argc, char **argv);
int verb_var(const struct globals *g, int argc, char **argv);
int verb_status(const struct globals *g, int argc, char **argv);

int verb_memory(const struct globals *g, int argc, char **argv);

int verb_run(const struct globals *g, int argc, char **argv);
int verb_ps(const struct globals *g, int argc, char **argv);
int verb_attach(const struct globals *g, int argc, char **argv);
int verb_wait(const struct globals *g, int argc, char **argv);
int verb_kill(const struct globals *g, int argc, char **argv);

/* Prints "virgo: @verb: @message" and the hint at --help; gives 2. */
int verb_usage(const char *verb, const char *message);

#endif
