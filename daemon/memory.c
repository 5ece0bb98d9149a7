// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this node lends; the contract is in memory.h. The table of leases here is
 * a copy of virgo-nbd's table of exports, whose names say what a lease is:
 * PURPOSE/BORROWER/NAME, owned by BORROWER:STEM.
 */
#include <stdlib.h>
#include <unistd.h>

#include "advertise.h"
#include "audit.h"
#include "catalog.h"
#include "log.h"
#include "memory_impl.h"
#include "policy.h"
#include "state.h"

bool memory_draining(const struct memory *m)
{
	const struct rec_node_row *row =
		catalog_node(m->node->catalog, m->node->local.node);

	return row && row->draining;
}

bool memory_leaving(const struct memory *m)
{
	return m->bytes && (m->off || memory_draining(m));
}

u64 memory_lent_bytes(const struct memory *m)
{
	const struct lease *l;
	u64 sum = 0;

	for (l = m ? m->leases : NULL; l; l = l->next)
		sum += l->bytes;
	return sum;
}

struct lease *memory_find_export(const struct memory *m, const char *export)
{
	struct lease *l = m->leases;

	while (l && strcmp(l->export, export))
		l = l->next;
	return l;
}

struct lease *memory_find(const struct memory *m, const char *borrower,
			  const char *stem, const char *name)
{
	struct lease *l = m->leases;

	while (l && (strcmp(l->name, name) || strcmp(l->borrower, borrower) ||
		     strcmp(l->stem, stem)))
		l = l->next;
	return l;
}

struct lease *memory_lease_new(struct memory *m, const char *purpose,
			       const char *borrower, const char *stem,
			       const char *name, u64 bytes)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	snprintf(l->purpose, sizeof(l->purpose), "%s", purpose);
	snprintf(l->borrower, sizeof(l->borrower), "%s", borrower);
	snprintf(l->stem, sizeof(l->stem), "%s", stem);
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->export, sizeof(l->export), "%s/%s/%s", l->purpose,
		 l->borrower, l->name);
	l->bytes = bytes;
	l->pending = true;
	l->next = m->leases;
	m->leases = l;
	m->count++;
	return l;
}

void memory_lease_drop(struct memory *m, struct lease *l)
{
	struct lease **at = &m->leases;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	m->count--;
	free(l);
}

void memory_record(const struct memory *m, const struct lease *l,
		   struct rec_lease *out)
{
	*out = (struct rec_lease){ .name = span_of(l->name),
				   .generation = l->generation,
				   .bytes = l->bytes,
				   .export = span_of(l->export),
				   .purpose = span_of(l->purpose),
				   .borrower = span_of(l->borrower),
				   .stem = span_of(l->stem),
				   .since_s = l->since_s,
				   .held_bytes = l->held_bytes,
				   .compressed_bytes = l->compressed_bytes,
				   .connections = l->connections,
				   .leaving = l->recalled ||
					      memory_leaving(m) };
}

void memory_addresses(const struct memory *m, char *out, size_t size)
{
	const struct node *n = m->node;
	const struct rec_node_row *row =
		catalog_node(n->catalog, n->local.node);
	char text[ADVERTISED_LIST_MAX + 1];
	char one[ADVERTISED_TEXT_MAX + 1];
	const char *at = text;
	struct advertised a;
	size_t len = 0;

	out[0] = '\0';
	if (!row || !span_to_cstr(row->addresses, text, sizeof(text)))
		return;
	while (advertised_next(&a, &at, n->port, NULL) > 0) {
		a.port = (u16)policy_conf(n->policy)->memory_port;
		advertised_print(&a, one);
		if (len + strlen(one) + 2 > size)
			return;
		len += (size_t)sprintf(out + len, "%s%s", len ? "," : "", one);
	}
}

/* Where virgo-nbd listens: as virgod does, on the port of NBD. */
static void listen_list(const struct memory *m, char *out, size_t size)
{
	const struct conf_cloud *conf = policy_conf(m->node->policy);
	const struct conf_list *l = &conf->node_listen;
	char one[ADVERTISED_TEXT_MAX + 1];
	struct advertised a;
	size_t len = 0;
	u32 i;

	if (!l->count) {
		snprintf(out, size, "0.0.0.0:%u%s", conf->memory_port,
			 access("/proc/net/if_inet6", F_OK) ? "" : ",");
		if (access("/proc/net/if_inet6", F_OK) == 0)
			snprintf(out + strlen(out), size - strlen(out),
				 "[::]:%u", conf->memory_port);
		return;
	}
	out[0] = '\0';
	for (i = 0; i < l->count; i++) {
		if (advertised_parse(&a, l->items[i], strlen(l->items[i]), 0,
				     NULL))
			continue;
		a.port = (u16)conf->memory_port;
		advertised_print(&a, one);
		if (len + strlen(one) + 2 > size)
			return;
		len += (size_t)sprintf(out + len, "%s%s", len ? "," : "", one);
	}
}

/* Reading virgo-nbd's table */

struct refresh {
	struct memory *memory;
	void (*then)(struct memory *m, void *arg);
	void *arg;
	bool other; /* something is not as it was */
};

/* Takes "PURPOSE/BORROWER/NAME" apart; false when that is not what it is. */
static bool split_export(char *text, char **purpose, char **borrower,
			 char **name)
{
	*purpose = text;
	*borrower = strchr(text, '/');
	if (!*borrower)
		return false;
	*(*borrower)++ = '\0';
	*name = strchr(*borrower, '/');
	if (!*name)
		return false;
	*(*name)++ = '\0';
	return (!strcmp(*purpose, "swap") || !strcmp(*purpose, "disk")) &&
	       strlen(*borrower) <= NODE_NAME_MAX &&
	       strlen(*name) <= MEMORY_NAME_MAX && **name;
}

struct line {
	char export[EXPORT_TEXT_MAX + 1];
	char owner[96];
	unsigned long long bytes, generation, held, since, compressed;
	unsigned int users;
};

static void take_line(struct refresh *r, const struct line *in)
{
	struct memory *m = r->memory;
	struct lease *l = memory_find_export(m, in->export);
	char text[EXPORT_TEXT_MAX + 1];
	char *purpose, *borrower, *name;
	const char *stem = strchr(in->owner, ':');

	if (l && l->pending)
		return; /* the answer to that question is still to come */
	if (!l) {
		strcpy(text, in->export);
		if (!stem || strlen(stem + 1) != STEM_DIGITS ||
		    m->count == LEASES_MAX ||
		    !split_export(text, &purpose, &borrower, &name)) {
			m->others_bytes += in->bytes;
			return;
		}
		l = memory_lease_new(m, purpose, borrower, stem + 1, name,
				     in->bytes);
		if (!l)
			return;
		l->pending = false;
	}
	r->other |= l->generation != in->generation;
	l->generation = in->generation;
	l->bytes = in->bytes;
	l->held_bytes = in->held;
	l->compressed_bytes = in->compressed;
	l->since_s = in->since;
	l->connections = in->users;
	l->seen = true;
}

static void take_list(struct refresh *r, char *lines)
{
	struct memory *m = r->memory;
	struct line in;
	struct lease *l;
	struct lease *next;
	char *rest = NULL;
	char *text;

	m->others_bytes = 0;
	for (l = m->leases; l; l = l->next)
		l->seen = l->pending;
	for (text = strtok_r(lines, "\n", &rest); text;
	     text = strtok_r(NULL, "\n", &rest)) {
		in.compressed = 0;
		if (sscanf(text, "%127s %llu %llu %95s %llu %u %llu %llu",
			   in.export, &in.bytes, &in.generation, in.owner,
			   &in.held, &in.users, &in.since, &in.compressed) >= 7)
			take_line(r, &in);
	}
	for (l = m->leases; l; l = next) {
		next = l->next;
		if (l->seen)
			continue;
		log_notice("%s@%llu is lent no more", l->export,
			   (unsigned long long)l->generation);
		memory_lease_drop(m, l);
		r->other = true;
	}
}

static u64 word_of(const char *rest, const char *word)
{
	const char *at = strstr(rest, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void on_status(void *arg, int ret, const char *rest, char *lines)
{
	struct refresh *r = arg;
	struct memory *m = r->memory;

	if (!ret) {
		m->held_bytes = word_of(rest, "held=");
		m->memory_bytes = word_of(rest, "stored=");
		m->compressed_bytes = word_of(rest, "compressed=");
		m->connections = (u32)word_of(rest, "connections=");
		m->locked = strstr(rest, "locked=yes") != NULL;
		m->memory_short = strstr(rest, "short=yes") != NULL;
	}
	if (r->then)
		r->then(m, r->arg);
	if (r->other)
		memory_loans_changed(m);
	free(r);
	memory_leave_look(m);
}

static void on_list(void *arg, int ret, const char *rest, char *lines)
{
	struct refresh *r = arg;

	if (!ret) {
		r->other |= !r->memory->known;
		r->memory->known = true;
		take_list(r, lines);
	}
	if (memory_nbd_ask(r->memory->nbd, on_status, r, "status"))
		on_status(r, -ENOTCONN, "", NULL);
}

void memory_refresh(struct memory *m, void (*then)(struct memory *m, void *arg),
		    void *arg)
{
	struct refresh *r = calloc(1, sizeof(*r));

	if (r) {
		*r = (struct refresh){ .memory = m, .then = then, .arg = arg };
		if (!memory_nbd_ask(m->nbd, on_list, r, "list"))
			return;
		free(r);
	}
	if (then)
		then(m, arg);
}

/* Ending a lease */

struct removing {
	struct memory *memory;
	void (*then)(struct memory *m, int ret, void *arg);
	void *arg;
	u64 generation;
	char export[EXPORT_TEXT_MAX + 1];
};

static void on_removed(void *arg, int ret, const char *rest, char *lines)
{
	struct removing *r = arg;
	struct memory *m = r->memory;
	struct lease *l = memory_find_export(m, r->export);

	/* Not there: somebody was faster. */
	ret = ret == -ENOENT ? 0 : ret;
	if (!ret && l && l->generation == r->generation) {
		memory_lease_drop(m, l);
		memory_loans_changed(m);
	}
	if (r->then)
		r->then(m, ret, r->arg);
	free(r);
	memory_leave_look(m);
}

int memory_remove(struct memory *m, const struct lease *l,
		  void (*then)(struct memory *m, int ret, void *arg), void *arg)
{
	struct removing *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return -ENOMEM;
	*r = (struct removing){ .memory = m, .then = then, .arg = arg,
				.generation = l->generation };
	strcpy(r->export, l->export);
	ret = memory_nbd_ask(m->nbd, on_removed, r, "remove %s@%llu", l->export,
			     (unsigned long long)l->generation);
	if (ret)
		free(r);
	return ret;
}

/* A removed node's memory is taken from it, whatever is in it. */
static void cut_removed(struct memory *m)
{
	struct lease *l;
	char object[256];

	for (l = m->leases; l; l = l->next) {
		if (l->pending || l->cut ||
		    !catalog_removal(m->node->catalog, l->stem) ||
		    memory_remove(m, l, NULL, NULL))
			continue;
		l->cut = true;
		snprintf(object, sizeof(object), "%s of %s, %llu bytes",
			 l->name, l->borrower, (unsigned long long)l->bytes);
		log_notice("%s was removed from the cloud: %s is cut",
			   l->borrower, l->export);
		audit_write(m->node->audit, l->borrower, NULL, "memory cut",
			    object, "removed from the cloud");
	}
}

/* What root asked for */

int memory_store(struct memory *m, struct failure *f)
{
	char text[96];

	snprintf(text, sizeof(text), "%llu %llu %s\n",
		 (unsigned long long)m->bytes,
		 (unsigned long long)m->reserve_bytes,
		 m->off ? "leaving" : "lending");
	m->stored = true;
	return state_write(m->node->state, "lend", span_of(text), 0600, f);
}

static void load(struct memory *m)
{
	const struct conf_cloud *conf = policy_conf(m->node->policy);
	unsigned long long bytes, reserve;
	struct blob b = { 0 };
	char text[96] = "";
	char how[16];

	if (!state_read(m->node->state, "lend", &b, NULL)) {
		span_to_cstr((struct span){ (u8 *)b.data, (u32)b.len }, text,
			     sizeof(text));
		blob_free(&b);
	}
	if (sscanf(text, "%llu %llu %15s", &bytes, &reserve, how) == 3) {
		m->stored = true;
		m->bytes = bytes;
		m->reserve_bytes = reserve;
		m->off = !strcmp(how, "leaving");
		return;
	}
	m->bytes = conf->memory_lend_bytes / MEMORY_PAGE * MEMORY_PAGE;
	m->reserve_bytes = conf->memory_reserve_bytes;
}

static void on_reload(struct node *n)
{
	struct memory *m = n->memory;
	const struct conf_cloud *conf = policy_conf(n->policy);

	if (!m || m->stored)
		return;
	m->reserve_bytes = conf->memory_reserve_bytes;
	/* None any more: what is lent is asked back first. */
	m->off = !conf->memory_lend_bytes && m->count;
	if (!m->off)
		m->bytes = conf->memory_lend_bytes / MEMORY_PAGE * MEMORY_PAGE;
	memory_settle(m);
}

static void on_set(void *arg, int ret, const char *rest, char *lines)
{
	if (ret && ret != -EPIPE)
		log_error("virgo-nbd: quota and headroom: %s", strerror(-ret));
}

void memory_settle(struct memory *m)
{
	u64 lent = memory_lent_bytes(m) + m->others_bytes;
	char listen[2048];

	if (!m->bytes) {
		memory_nbd_unkeep(m->nbd);
	} else {
		listen_list(m, listen, sizeof(listen));
		memory_nbd_keep(m->nbd, listen);
		/* What was leased before there was to be less stays promised:
		 * its borrower must not find the pool full.
		 */
		memory_nbd_ask(m->nbd, on_set, m, "quota %llu",
			       (unsigned long long)(m->bytes > lent ? m->bytes :
								      lent));
		memory_nbd_ask(m->nbd, on_set, m, "headroom %llu",
			       (unsigned long long)m->reserve_bytes);
	}
	if (memory_leaving(m))
		memory_leave_begin(m);
	memory_leave_look(m);
}

static void after_up(struct memory *m, void *arg)
{
	/* A virgo-nbd that lends what nobody here knows of is not ended: its
	 * memory may be in use. It is asked back.
	 */
	if (!m->bytes && m->count) {
		log_warning("virgo-nbd lends memory although none is to be lent:"
			    " it is asked back");
		m->bytes = memory_lent_bytes(m);
		m->off = true;
	}
	cut_removed(m);
	memory_settle(m);
}

static void nbd_changed(void *arg)
{
	struct memory *m = arg;

	m->known = false;
	if (memory_nbd_up(m->nbd)) {
		memory_refresh(m, after_up, NULL);
		return;
	}
	if (m->ending) {
		m->ending = false;
		memory_leave_look(m);
	}
}

static void on_reloaded(void *arg, int ret, const char *rest, char *lines)
{
	if (ret && ret != -EPIPE)
		log_error("virgo-nbd goes on with the old certificate: %s",
			  strerror(-ret));
}

void memory_identity_changed(struct memory *m)
{
	/* One that is not up reads it when it starts. */
	if (m)
		memory_nbd_ask(m->nbd, on_reloaded, m, "reload");
}

static void catalog_changed(void *arg)
{
	struct memory *m = arg;

	cut_removed(m);
	if (memory_leaving(m))
		memory_leave_begin(m);
	memory_leave_look(m);
	memory_loans_changed(m);
}

void memory_on_status(struct memory *m,
		      void (*fill)(struct node *n, memory_add_fn *add,
				   void *arg))
{
	m->fill = fill;
}

struct memory *memory_new(struct node *n)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->node = n;
	boot_id(m->boot);
	m->nbd = memory_nbd_new(n, nbd_changed, m);
	if (!m->nbd) {
		free(m);
		return NULL;
	}
	n->memory = m;
	m->loans.fire = memory_loans_tell;
	load(m);
	memory_lease_serve(n);
	memory_loans_serve(n);
	memory_status_serve(n);
	policy_on_reload(n, on_reload);
	catalog_watch(n->catalog, catalog_changed, m);
	memory_settle(m);
	memory_pressure_watch(m);
	return m;
}

void memory_free(struct memory *m)
{
	if (!m)
		return;
	memory_nbd_free(m->nbd);
	memory_leave_free(m);
	memory_pressure_end(m);
	memory_loans_end(m);
	while (m->leases)
		memory_lease_drop(m, m->leases);
	m->node->memory = NULL;
	free(m);
}
