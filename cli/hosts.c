// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Expansion of lists of nodes; the contract is in hosts.h. A name with brackets
 * is expanded from the left: each value of the first bracket, with what follows
 * expanded in turn.
 */
#include "hosts.h"

#include <ctype.h>
#include <stdlib.h>

enum { DIGITS_MAX = 9 };

static int malformed(struct failure *f, const char *list, const char *what)
{
	return failure_set(f, -EINVAL, list, "write it like n[01-16],alpha",
			   "%s", what);
}

static int add_name(struct hosts *h, const char *list, const char *name,
		    struct failure *f)
{
	char **p;
	int i;

	if (!*name)
		return malformed(f, list, "a name is empty");
	if (strlen(name) > HOSTS_NAME_MAX)
		return malformed(f, list, "a name is longer than 63 characters");
	for (i = 0; i < h->count; i++)
		if (!strcmp(h->names[i], name))
			return 0;
	if (h->count == HOSTS_MAX)
		return malformed(f, list, "it names more than 4096 nodes");
	p = realloc(h->names, (size_t)(h->count + 1) * sizeof(*p));
	if (!p || !(h->names = p) || !(p[h->count] = strdup(name)))
		return failure_set(f, -ENOMEM, list, NULL, "out of memory");
	h->count++;
	return 0;
}

/* A number of at most DIGITS_MAX digits; gives its end, NULL if there is none. */
static const char *take_number(const char *p, long *value, int *width)
{
	char *end;

	if (!isdigit((unsigned char)*p))
		return NULL;
	*value = strtol(p, &end, 10);
	*width = (int)(end - p);
	return *width > DIGITS_MAX ? NULL : end;
}

static int expand(struct hosts *h, const char *list, const char *head,
		  const char *rest, struct failure *f);

/* One range of a bracket: "7" or "01-16". */
static int expand_range(struct hosts *h, const char *list, const char *head,
			long from, long to, int width, const char *after,
			struct failure *f)
{
	char name[256];
	int ret = 0;

	if (to < from)
		return malformed(f, list, "a range runs backwards");
	if (to - from >= HOSTS_MAX)
		return malformed(f, list, "it names more than 4096 nodes");
	for (; !ret && from <= to; from++) {
		if (snprintf(name, sizeof(name), "%s%0*ld", head, width,
			     from) >= (int)sizeof(name))
			return malformed(f, list, "a name is too long");
		ret = expand(h, list, name, after, f);
	}
	return ret;
}

static int expand_bracket(struct hosts *h, const char *list, const char *head,
			  const char *p, struct failure *f)
{
	const char *close = strchr(p, ']');
	int ret = 0;

	if (!close)
		return malformed(f, list, "a [ is not closed");
	while (!ret) {
		long from, to;
		int width, ignored;

		p = take_number(p, &from, &width);
		to = from;
		if (p && *p == '-')
			p = take_number(p + 1, &to, &ignored);
		if (!p || (*p != ',' && *p != ']'))
			return malformed(f, list, "between [ and ] there must "
					 "be numbers and ranges");
		ret = expand_range(h, list, head, from, to, width, close + 1, f);
		if (*p++ == ']')
			break;
	}
	return ret;
}

/* @head is fixed already, @rest may hold brackets. */
static int expand(struct hosts *h, const char *list, const char *head,
		  const char *rest, struct failure *f)
{
	size_t len = strcspn(rest, "[]");
	char name[256];

	if (snprintf(name, sizeof(name), "%s%.*s", head, (int)len, rest) >=
	    (int)sizeof(name))
		return malformed(f, list, "a name is too long");
	if (rest[len] == ']')
		return malformed(f, list, "a ] has no [");
	if (rest[len] == '[')
		return expand_bracket(h, list, name, rest + len + 1, f);
	return add_name(h, list, name, f);
}

/* Length of the first item: commas inside brackets do not end it. */
static size_t item_length(const char *p)
{
	size_t len;
	int depth = 0;

	for (len = 0; p[len] && (depth || p[len] != ','); len++)
		depth += (p[len] == '[') - (p[len] == ']' && depth);
	return len;
}

int hosts_add(struct hosts *h, const char *list, struct failure *f)
{
	const char *p = list;

	for (;;) {
		size_t len = item_length(p);
		char *item = strndup(p, len);
		int ret = item ? expand(h, list, "", item, f) :
				 failure_set(f, -ENOMEM, list, NULL,
					     "out of memory");

		free(item);
		if (ret || !p[len])
			return ret;
		p += len + 1;
	}
}

int hosts_add_up(struct hosts *h, struct client *client, const char *object,
		 struct failure *f)
{
	struct msg_status_reply m;
	struct rec_node_status s;
	struct span reply;
	struct rcursor c;
	char name[HOSTS_NAME_MAX + 1];
	int ret;

	ret = client_call(client, MSG_STATUS, NULL, 0, MSG_STATUS_REPLY, &reply,
			  f);
	if (ret)
		return ret;
	if (msg_status_reply_decode(&m, reply.data, reply.len))
		return failure_set(f, -EBADMSG, object, NULL,
				   "malformed answer");
	c = rcursor_of(m.nodes.data, m.nodes.len);
	while (!ret && rec_node_status_next(&c, &s) > 0)
		if (s.state.len == 2 && !memcmp(s.state.data, "up", 2) &&
		    span_to_cstr(s.name, name, sizeof(name)))
			ret = hosts_add(h, name, f);
	if (!ret && !h->count)
		ret = failure_set(f, -EHOSTDOWN, object, "virgo status",
				  "no node is up");
	return ret;
}

void hosts_free(struct hosts *h)
{
	while (h->count)
		free(h->names[--h->count]);
	free(h->names);
	h->names = NULL;
}
