// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Volumes in the catalog: which there are, where they live, who may use them.
 * Serving them is exports_volumes.c's part, listing them volume_list.c's. A node
 * may change its own volumes; changing another's takes what home_allows() asks.
 *
 * VOLUME_CHANGE's options are words "key=value" separated by spaces: kind,
 * squash, idmap, and allow, whose value has commas inside.
 */
#include <stdlib.h>

#include "home.h"
#include "service.h"
#include "volume_place.h"

static u32 free_slot(const struct catalog *c)
{
	u8 *used = calloc(1, CATALOG_ROWS_MAX / 8);
	const struct rec_volume_row *v;
	size_t at = 0;
	u32 slot = 0;

	if (!used)
		return 0;
	while ((v = catalog_next_volume(c, &at)))
		used[v->slot / 8] |= (u8)(1 << v->slot % 8);
	for (u32 i = 1; !slot && i < CATALOG_ROWS_MAX; i++)
		if (!(used[i / 8] & 1 << i % 8))
			slot = i;
	free(used);
	return slot; /* 0 is none, which no row may have */
}

void home_add_default_volume(const struct catalog *c, struct catalog_edit *e,
			     const char *name, const char *path)
{
	u8 id[VOLUME_ID_BYTES];

	if (catalog_volume(c, name))
		return;
	random_fill(id, sizeof(id));
	catalog_edit_volume(
		e, &(struct rec_volume_row){ .name = span_of(name),
					     .node = span_of(name),
					     .kind = span_of("export"),
					     .path = span_of(path),
					     .squash = span_of("root"),
					     .idmap = span_of("name"),
					     .id = { id, sizeof(id) },
					     .slot = free_slot(c) });
}

/* Sets what the options name. False and @f on a word that is none. */
static bool set_options(struct rec_volume_row *v, struct span options,
			struct failure *f)
{
	struct {
		const char *key;
		struct span *value;
	} known[] = {
		{ "kind=", &v->kind },
		{ "squash=", &v->squash },
		{ "idmap=", &v->idmap },
		{ "allow=", &v->allow },
	};
	const u8 *p = options.data, *end = p + options.len;

	while (p < end) {
		const u8 *stop = memchr(p, ' ', (size_t)(end - p));
		u32 len = (u32)((stop ? stop : end) - p);
		size_t i;

		for (i = 0; i < ARRAY_SIZE(known); i++) {
			u32 klen = (u32)strlen(known[i].key);

			if (len < klen || memcmp(p, known[i].key, klen))
				continue;
			*known[i].value = (struct span){ p + klen, len - klen };
			break;
		}
		if (len && i == ARRAY_SIZE(known)) {
			failure_set(f, -EINVAL, "volume",
				    "kind=, squash=, idmap= or allow=",
				    "'%.*s' is not an option of a volume",
				    (int)len, (const char *)p);
			return false;
		}
		p += len + 1;
	}
	return true;
}

struct change {
	struct request *r;
	struct msg_volume_change m;
	const struct rec_volume_row *old;
	char name[VOLUME_NAME_MAX_BYTES + 1];
	char node[NODE_NAME_MAX + 1];
	bool trusted; /* who asks may change the volume, whatever it is */
};

/* Checks what a new volume would be, but for its folder. 0 or @f's code. */
static int check_new(const struct catalog *c, const char *name,
		     struct span options, struct rec_volume_row *v,
		     struct failure *f)
{
	if (catalog_volume(c, name))
		return failure_set(f, -EEXIST, "volume", "another name",
				   "there is a volume %s already", name);
	if (!set_options(v, options, f))
		return f->code;
	v->slot = free_slot(c);
	return v->slot ? 0 :
			 failure_set(f, -ENOSPC, "volume", NULL,
				     "there are too many volumes");
}

int volume_row_add(struct node *n, const char *name, const char *node,
		   struct span path, struct span options, struct failure *f)
{
	u8 id[VOLUME_ID_BYTES];
	struct rec_volume_row v = { .name = span_of(name),
				    .node = span_of(node),
				    .kind = span_of("export"),
				    .path = path,
				    .squash = span_of("root"),
				    .idmap = span_of("name"),
				    .id = { id, sizeof(id) } };
	struct catalog_edit *e;
	int ret = check_new(n->catalog, name, options, &v, f);

	if (ret)
		return ret;
	if (span_equal(v.kind, span_of("export")) &&
	    (!v.path.len || v.path.data[0] != '/'))
		return failure_set(f, -EINVAL, "volume", "/srv/data",
				   "the folder must be an absolute path");
	random_fill(id, sizeof(id));
	if (catalog_check_volume(&v))
		return failure_set(f, -EINVAL, "volume", "virgo volume --help",
				   "its name, path or options are not valid");
	e = catalog_edit(n->catalog);
	if (e)
		catalog_edit_volume(e, &v);
	return catalog_commit(e, f);
}

static int change_create(struct change *c, struct failure *f)
{
	return volume_row_add(c->r->node, c->name, c->node, c->m.path,
			      c->m.options, f);
}

static int change_allow(struct change *c, struct failure *f)
{
	struct catalog_edit *e;
	struct rec_volume_row v;

	if (!c->old)
		return failure_set(f, -ENOENT, "volume", "virgo volume list",
				   "there is no volume %s", c->name);
	v = *c->old;
	if (!set_options(&v, c->m.options, f))
		return f->code;
	if (!span_equal(v.kind, c->old->kind) || catalog_check_volume(&v))
		return failure_set(f, -EINVAL, "volume", "virgo volume --help",
				   "these options are not valid");
	e = catalog_edit(c->r->node->catalog);
	if (e)
		catalog_edit_volume(e, &v);
	return catalog_commit(e, f);
}

int volume_row_remove(struct node *n, const char *name, struct failure *f)
{
	struct catalog_edit *e;

	if (!catalog_volume(n->catalog, name))
		return failure_set(f, -ENOENT, "volume", "virgo volume list",
				   "there is no volume %s", name);
	e = catalog_edit(n->catalog);
	if (e)
		catalog_edit_delete(e, CATALOG_VOLUME, name);
	return catalog_commit(e, f);
}

static int change_remove(struct change *c, struct failure *f)
{
	return volume_row_remove(c->r->node, c->name, f);
}

/* Changes that other nodes have a say in; true when it is one, which is then
 * answered, perhaps later. Nodes decide themselves for whom they hold volumes.
 */
static bool change_with_nodes(struct change *c)
{
	struct rec_volume_row v = { .kind = span_of("export") };
	struct request *r = c->r;
	struct failure f;

	if (span_equal(c->m.action, span_of("rmdir")) && c->old) {
		volume_unplace(r, c->old, c->trusted);
		return true;
	}
	if (!span_equal(c->m.action, span_of("create")) || c->m.path.len)
		return false;
	if (check_new(r->node->catalog, c->name, c->m.options, &v, &f)) {
		home_audit(r, "volume", c->name, &f);
		request_fail_with(r, &f);
	} else {
		volume_place(r, &c->m);
	}
	return true;
}

/* On whose node the volume is or will be: the owner may change it, others as
 * home_allows() says, and where nodes have a say, anybody may ask. False when
 * @c's request is answered.
 */
static bool change_place(struct change *c)
{
	struct request *r = c->r;
	struct span node = c->old ? c->old->node : c->m.node;
	bool asks = span_equal(c->m.action, span_of("rmdir")) ||
		    (span_equal(c->m.action, span_of("create")) &&
		     !c->m.path.len);

	if (asks && !c->old && !node.len)
		return true;
	if (!span_to_cstr(node, c->node, sizeof(c->node)) ||
	    !catalog_node(r->node->catalog, c->node)) {
		request_fail(r, -ENOENT, "volume", "virgo node list",
			     "the cloud has no node '%.*s'", (int)node.len,
			     (const char *)node.data);
		return false;
	}
	c->trusted = !r->peer || !strcmp(r->peer, c->node) ||
		     home_is_administrator(r->node, r->peer);
	return c->trusted || asks || home_allows(r, "volume");
}

static int change_row(struct change *c, struct failure *f)
{
	if (span_equal(c->m.action, span_of("create")))
		return change_create(c, f);
	if (span_equal(c->m.action, span_of("remove")) ||
	    span_equal(c->m.action, span_of("rmdir")))
		return change_remove(c, f);
	if (span_equal(c->m.action, span_of("allow")))
		return change_allow(c, f);
	return failure_set(f, -EOPNOTSUPP, "volume", NULL,
			   "the home node does not know this change");
}

static void serve_volume_change(struct request *r)
{
	struct change c = { .r = r };
	struct failure f;
	int ret;

	if (!home_or_forward(r) || !request_decode(r, volume_change, &c.m))
		return;
	if (!span_to_cstr(c.m.volume, c.name, sizeof(c.name))) {
		request_fail(r, -EINVAL, "volume", NULL,
			     "its name is missing or too long");
		return;
	}
	c.old = catalog_volume(r->node->catalog, c.name);
	if (!change_place(&c) || change_with_nodes(&c))
		return;
	ret = change_row(&c, &f);
	home_audit(r, "volume", c.name, ret < 0 ? &f : NULL);
	if (ret < 0)
		request_fail_with(r, &f);
	else
		request_ok(r);
}

static const struct service services[] = {
	{ MSG_VOLUME_CHANGE, FROM_ROOT | FROM_PEER, serve_volume_change },
};

void volumes_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
}
