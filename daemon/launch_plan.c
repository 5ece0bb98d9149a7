// SPDX-License-Identifier: GPL-2.0-or-later
/* What a child needs to become a program, made before it; see launch.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "launch.h"

enum { ENV_OWN = 9, OWN_BYTES = 256 /* names of ours, "=" and NULs */ };

static char path_user[] = "PATH=/usr/local/bin:/usr/bin:/bin";
static char path_root[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct measure {
	u32 count;
	size_t bytes; /* with NULs */
};

struct vector {
	char **at;
	u32 count;
};

static int measure(struct span list, struct measure *m)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	struct rec_text t;
	int more;

	*m = (struct measure){ 0 };
	while ((more = rec_text_next(&c, &t)) > 0) {
		if (memchr(t.text.data, 0, t.text.len))
			return -EINVAL;
		m->count++;
		m->bytes += (size_t)t.text.len + 1;
	}
	return more < 0 ? -EBADMSG : 0;
}

/* Copies @name and @len bytes of @text as a string to @at, which it moves on. */
static char *put(u8 **at, const char *name, const void *text, size_t len)
{
	size_t name_len = strlen(name);
	char *s = (char *)*at;

	memcpy(s, name, name_len);
	memcpy(s + name_len, text, len);
	s[name_len + len] = 0;
	*at += name_len + len + 1;
	return s;
}

static void add(struct vector *v, char *s)
{
	v->at[v->count++] = s;
}

static void add_list(struct vector *v, u8 **at, struct span list)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	struct rec_text t;

	while (rec_text_next(&c, &t) > 0)
		add(v, put(at, "", t.text.data, t.text.len));
}

struct entry {
	const char *text;
	u32 name_len;
	u32 at;
};

static int by_name(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	u32 least = a->name_len < b->name_len ? a->name_len : b->name_len;
	int order = memcmp(a->text, b->text, least);

	if (order)
		return order;
	if (a->name_len != b->name_len)
		return a->name_len < b->name_len ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

/* Entries without '=' or with an empty name are not variables; of several with one
 * name the last counts. Sorted, since a caller chooses how many there are.
 */
static int keep_last(struct vector *v)
{
	struct entry *e = calloc(v->count + 1, sizeof(*e));
	u32 i, kept = 0, known = 0;

	if (!e)
		return -ENOMEM;
	for (i = 0; i < v->count; i++) {
		const char *is = strchr(v->at[i], '=');

		if (is && is != v->at[i])
			e[known++] = (struct entry){ v->at[i],
						     (u32)(is - v->at[i]), i };
		else
			v->at[i] = NULL;
	}
	qsort(e, known, sizeof(*e), by_name);
	for (i = 1; i < known; i++)
		if (e[i].name_len == e[i - 1].name_len &&
		    !memcmp(e[i].text, e[i - 1].text, e[i].name_len))
			v->at[e[i - 1].at] = NULL;
	free(e);
	for (i = 0; i < v->count; i++)
		if (v->at[i])
			v->at[kept++] = v->at[i];
	v->count = kept;
	return 0;
}

static int make_environment(struct launch *l, struct vector *env, u8 **at,
			    const struct msg_job_start *s,
			    const struct account *a, const char *mark)
{
	static char dumb[] = "TERM=dumb";
	size_t name_len = strlen(a->name);
	u32 i;

	add(env, put(at, "HOME=", a->home, strlen(a->home)));
	l->home = env->at[0] + strlen("HOME=");
	add(env, put(at, "USER=", a->name, name_len));
	add(env, put(at, "LOGNAME=", a->name, name_len));
	add(env, put(at, "SHELL=", a->shell, strlen(a->shell)));
	add(env, a->uid ? path_user : path_root);
	if (s->flags & JOB_PTY)
		add(env, s->term.len ? put(at, "TERM=", s->term.data,
					   s->term.len) : dumb);
	add(env, put(at, "VIRGO_NODE=", s->node.data, s->node.len));
	add_list(env, at, s->env);
	add(env, put(at, "", mark, strlen(mark)));
	if (s->cwd.len) {
		add(env, put(at, "PWD=", s->cwd.data, s->cwd.len));
		l->cwd = env->at[env->count - 1] + strlen("PWD=");
	}
	if (keep_last(env))
		return -ENOMEM;
	for (i = 0; i < env->count; i++)
		if (!strncmp(env->at[i], "PATH=", 5))
			l->path = env->at[i] + 5;
	return 0;
}

/* Pointers first, then what they point to. */
static struct launch *take_memory(const struct msg_job_start *s,
				  const struct account *a, const char *mark,
				  const struct measure *argv,
				  const struct measure *env)
{
	size_t pointers = (size_t)argv->count + 1 + env->count + ENV_OWN + 1;
	size_t bytes = argv->bytes + env->bytes + OWN_BYTES + strlen(mark) +
		       strlen(a->home) + 2 * strlen(a->name) + strlen(a->shell) +
		       s->term.len + s->node.len + s->cwd.len +
		       a->group_count * sizeof(u32);
	struct launch *l = malloc(sizeof(*l) + pointers * sizeof(char *) + bytes);

	if (l) {
		*l = (struct launch){ .argv = (char **)(l + 1) };
		l->envp = l->argv + argv->count + 1;
	}
	return l;
}

int launch_plan(struct launch **out, const struct msg_job_start *s,
		const struct account *a, const char *mark)
{
	struct measure argv, env;
	struct vector args, variables;
	struct launch *l;
	int ret;
	u8 *at;

	ret = measure(s->argv, &argv);
	if (!ret)
		ret = measure(s->env, &env);
	if (ret)
		return ret;
	l = take_memory(s, a, mark, &argv, &env);
	if (!l)
		return -ENOMEM;
	l->uid = a->uid;
	l->gid = a->gid;
	l->group_count = a->group_count;
	l->flags = s->flags;
	l->umask = s->umask;
	at = (u8 *)(l->envp + env.count + ENV_OWN + 1);
	l->groups = (const u32 *)at;
	if (a->group_count)
		memcpy(at, a->groups, a->group_count * sizeof(u32));
	at += a->group_count * sizeof(u32);
	args = (struct vector){ l->argv, 0 };
	add_list(&args, &at, s->argv);
	l->argv[args.count] = NULL;
	if (!args.count || !l->argv[0][0]) {
		free(l);
		return -EINVAL;
	}
	variables = (struct vector){ l->envp, 0 };
	ret = make_environment(l, &variables, &at, s, a, mark);
	if (ret) {
		free(l);
		return ret;
	}
	l->envp[variables.count] = NULL;
	*out = l;
	return 0;
}
