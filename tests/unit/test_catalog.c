// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The catalog: changes are on disk before they show, copies follow by change
 * numbers whatever they have missed, and nothing unsigned or malformed counts.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog.h"

static char dir[64];
static struct authority *authority, *verifier;

static struct span span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

static void setup(void)
{
	strcpy(dir, "/tmp/virgo-test-catalog-XXXXXX");
	cr_assert(mkdtemp(dir));
	cr_assert_eq(authority_create(&authority, "test", NULL), 0);
	cr_assert_eq(authority_from_pem(&verifier,
					span(authority_certificate(authority)),
					NULL, NULL),
		     0);
}

static void teardown(void)
{
	char cmd[100];

	authority_free(authority);
	authority_free(verifier);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	cr_assert_eq(system(cmd), 0);
}

TestSuite(catalog, .init = setup, .fini = teardown);

static struct catalog *open_at(const char *name, struct authority *a)
{
	struct failure f = { 0 };
	struct catalog *c;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(catalog_open(&c, path, a, &f), 0, "%s", f.what);
	return c;
}

static struct catalog *make(const char *name, const char *self,
			    struct authority *a)
{
	struct catalog_head h = { .cloud = "test", .key_number = 1 };
	struct failure f = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	strcpy(h.self, self);
	cr_assert_eq(catalog_sign_home(authority, &h, "alpha", 1), 0);
	if (authority_can_sign(a))
		h.change = 1ULL << EPOCH_SHIFT;
	random_fill(h.group_key, sizeof(h.group_key));
	cr_assert_eq(catalog_create(path, &h, &f), 0, "%s", f.what);
	return open_at(name, a);
}

static const char *serial_of(int n)
{
	static char s[SERIAL_DIGITS + 1];

	snprintf(s, sizeof(s), "%032x", n);
	return s;
}

static struct rec_node_row node_row(const char *name, const char *serial)
{
	return (struct rec_node_row){ .name = span_of(name),
				      .addresses = span_of("10.0.0.1:8747"),
				      .serial = span_of(serial) };
}

static void add_node(struct catalog *c, const char *name)
{
	struct rec_node_row r = node_row(name, serial_of(7));
	struct catalog_edit *e = catalog_edit(c);
	struct failure f = { 0 };

	catalog_edit_node(e, &r);
	cr_assert_eq(catalog_commit(e, &f), 0, "%s", f.what);
}

static void remove_node(struct catalog *c, const char *name, const char *stem)
{
	struct rec_removal_row r = { .number = 1, .name = span_of(name),
				     .stem = span_of(stem) };
	struct catalog_edit *e = catalog_edit(c);
	struct failure f = { 0 };

	catalog_edit_delete(e, CATALOG_NODE, name);
	catalog_edit_removal(e, authority, &r);
	catalog_edit_rotate_key(e);
	cr_assert_eq(catalog_commit(e, &f), 0, "%s", f.what);
}

struct copy {
	struct catalog *to;
	int ret, messages;
	struct failure f;
};

static void copy_one(const struct msg_catalog_rows *m, void *arg)
{
	struct copy *k = arg;
	size_t size = msg_catalog_rows_size(m);
	u8 *buf = malloc(size);
	struct wcursor w = wcursor_of(buf, size);
	struct msg_catalog_rows in;

	/* Through the wire, so that no view is shared. */
	msg_catalog_rows_encode(&w, m);
	cr_assert_eq(msg_catalog_rows_decode(&in, buf, size), 0);
	if (k->ret >= 0)
		k->ret = catalog_take(k->to, &in, &k->f);
	k->messages++;
	free(buf);
}

static struct copy pull(struct catalog *to, struct catalog *from)
{
	struct copy k = { .to = to };

	catalog_feed(from, catalog_head(to)->change, copy_one, &k);
	return k;
}

static void same(struct catalog *a, struct catalog *b)
{
	size_t i = 0, k = 0;
	const struct rec_node_row *x, *y;

	do {
		x = catalog_next_node(a, &i);
		y = catalog_next_node(b, &k);
		cr_assert_eq(!x, !y);
		cr_assert(!x || span_equal(x->name, y->name));
	} while (x);
	cr_assert_eq(catalog_head(a)->change, catalog_head(b)->change);
	cr_assert_eq(memcmp(catalog_head(a)->group_key,
			    catalog_head(b)->group_key, GROUP_KEY_BYTES),
		     0);
}

Test(catalog, a_change_survives_a_restart)
{
	struct catalog *c = make("a", "alpha", authority);
	u64 change;

	add_node(c, "alpha");
	add_node(c, "beta");
	change = catalog_head(c)->change;
	cr_assert_eq(change, (1ULL << EPOCH_SHIFT) + 2);
	catalog_close(c);
	c = open_at("a", authority);
	cr_assert_eq(catalog_head(c)->change, change);
	cr_assert_eq(catalog_nodes(c), 2);
	cr_assert(span_equal(catalog_node(c, "beta")->name, span_of("beta")));
	cr_assert_null(catalog_node(c, "gamma"));
	cr_assert(catalog_is_home(c));
	catalog_close(c);
}

Test(catalog, a_copy_follows)
{
	struct catalog *home = make("a", "alpha", authority);
	struct catalog *copy = make("b", "beta", verifier);
	char name[16];

	cr_assert(!catalog_is_home(copy));
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add_node(home, name);
		if (i % 7 == 0) {
			cr_assert_eq(pull(copy, home).ret, 0);
			same(copy, home);
		}
	}
	cr_assert_geq(pull(copy, home).ret, 0);
	same(copy, home);
	cr_assert_eq(pull(copy, home).ret, 1);
	catalog_close(copy);
	copy = open_at("b", verifier);
	same(copy, home);
	catalog_close(copy);
	catalog_close(home);
}

Test(catalog, a_large_copy_comes_in_parts_and_shows_at_once)
{
	struct catalog *home = make("a", "alpha", authority);
	struct catalog *copy = make("b", "beta", verifier);
	struct catalog_edit *e = catalog_edit(home);
	char name[16];
	struct copy k;

	for (int i = 0; i < 5000; i++) {
		struct rec_node_row r;

		snprintf(name, sizeof(name), "n%d", i);
		r = node_row(name, serial_of(i));
		catalog_edit_node(e, &r);
	}
	cr_assert_eq(catalog_commit(e, NULL), 0);
	k = pull(copy, home);
	cr_assert_eq(k.ret, 0, "%s", k.f.what);
	cr_assert_gt(k.messages, 2);
	same(copy, home);
	catalog_close(copy);
	catalog_close(home);
}

Test(catalog, removal_is_signed_and_refuses_every_renewal)
{
	struct catalog *home = make("a", "alpha", authority);
	struct catalog *copy = make("b", "beta", verifier);
	u32 key = catalog_head(home)->key_number;
	struct copy k;

	add_node(home, "gamma");
	cr_assert_eq(pull(copy, home).ret, 0);
	remove_node(home, "gamma", "4000000000000000");
	k = pull(copy, home);
	cr_assert_eq(k.ret, 0, "%s", k.f.what);
	cr_assert_null(catalog_node(copy, "gamma"));
	cr_assert(catalog_refuses(copy, "40000000000000001111111111111111"));
	cr_assert(catalog_refuses(copy, "4000000000000000ffffffffffffffff"));
	cr_assert(!catalog_refuses(copy, "40000000000000011111111111111111"));
	cr_assert(!catalog_refuses(copy, ""));
	cr_assert_eq(catalog_head(copy)->key_number, key + 1);
	same(copy, home);
	catalog_close(copy);
	catalog_close(home);
}

struct forge {
	struct catalog *to;
	int offset; /* of the byte to change */
	int rejected;
};

static void forge_removal(const struct msg_catalog_rows *m, void *arg)
{
	struct forge *g = arg;
	u8 *buf = malloc(m->rows.len);
	struct msg_catalog_rows bad = *m;

	for (u32 i = 0; i < m->rows.len; i++) {
		memcpy(buf, m->rows.data, m->rows.len);
		buf[i] ^= 0x01;
		bad.rows.data = buf;
		if (catalog_take(g->to, &bad, NULL) < 0)
			g->rejected++;
		else /* only a change number or an unsigned table's name */
			cr_assert_null(catalog_removal(
				g->to, "4000000000000001"));
		cr_assert(!catalog_refuses(g->to, serial_of(7)));
	}
	free(buf);
}

Test(catalog, a_forged_removal_is_refused)
{
	struct catalog *home = make("a", "alpha", authority);
	struct catalog *copy = make("b", "beta", verifier);
	struct forge g = { .to = copy };

	remove_node(home, "gamma", "4000000000000000");
	catalog_feed(home, 0, forge_removal, &g);
	cr_assert_gt(g.rejected, 100);
	catalog_close(copy);
	catalog_close(home);
}

Test(catalog, an_unsigned_home_is_refused)
{
	struct catalog *copy = make("b", "beta", verifier);
	struct catalog_head h = *catalog_head(copy);
	struct authority *other;
	struct msg_catalog_rows m = { .epoch = 2, .home = span_of("gamma") };
	struct failure f = { 0 };

	cr_assert_eq(catalog_take(copy, &m, &f), -EKEYREJECTED);
	cr_assert_eq(authority_create(&other, "test", NULL), 0);
	cr_assert_eq(catalog_sign_home(other, &h, "gamma", 2), 0);
	m.signature = (struct span){ h.signature, h.signature_len };
	cr_assert_eq(catalog_take(copy, &m, &f), -EKEYREJECTED);
	cr_assert_eq(catalog_sign_home(authority, &h, "gamma", 2), 0);
	m.signature = (struct span){ h.signature, h.signature_len };
	cr_assert_eq(catalog_take(copy, &m, &f), 0, "%s", f.what);
	cr_assert_str_eq(catalog_head(copy)->home, "gamma");
	/* The one before is fenced from now on. */
	m.epoch = 1;
	m.home = span_of("alpha");
	cr_assert_eq(catalog_take(copy, &m, &f), -ESTALE);
	authority_free(other);
	catalog_close(copy);
}

Test(catalog, a_new_epoch_replaces_rows_the_new_home_never_had)
{
	struct catalog *old = make("a", "alpha", authority);
	struct catalog *new = make("g", "gamma", authority);
	struct catalog *copy = make("b", "beta", verifier);
	struct catalog_edit *e;
	struct copy k;

	add_node(old, "alpha");
	cr_assert_eq(pull(new, old).ret, 0);
	add_node(old, "late");
	cr_assert_eq(pull(copy, old).ret, 0);
	e = catalog_edit(new);
	cr_assert_eq(catalog_sign_home(authority, catalog_edit_head(e),
				       "gamma", 2),
		     0);
	catalog_edit_head(e)->change = 2ULL << EPOCH_SHIFT;
	cr_assert_eq(catalog_commit(e, NULL), 0);
	k = pull(copy, new);
	cr_assert_eq(k.ret, 0, "%s", k.f.what);
	cr_assert_null(catalog_node(copy, "late"));
	same(copy, new);
	/* And the old home learns that it is none. */
	cr_assert_eq(pull(old, new).ret, 0);
	cr_assert(!catalog_is_home(old));
	catalog_close(old);
	catalog_close(new);
	catalog_close(copy);
}

Test(catalog, forgotten_deletions_cost_a_whole_copy)
{
	struct catalog *home = make("a", "alpha", authority);
	struct catalog *copy = make("b", "beta", verifier);
	struct catalog_edit *e;
	struct copy k;
	char name[16];

	add_node(home, "alpha");
	add_node(home, "gone");
	cr_assert_eq(pull(copy, home).ret, 0);
	e = catalog_edit(home);
	catalog_edit_delete(e, CATALOG_NODE, "gone");
	for (int i = 0; i <= CATALOG_TOMBSTONES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		catalog_edit_delete(e, CATALOG_NODE, name);
	}
	cr_assert_eq(catalog_commit(e, NULL), 0);
	cr_assert_gt(catalog_head(home)->pruned, catalog_head(copy)->change);
	k = pull(copy, home);
	cr_assert_eq(k.ret, 0, "%s", k.f.what);
	cr_assert_null(catalog_node(copy, "gone"));
	same(copy, home);
	catalog_close(copy);
	catalog_close(home);
}

Test(catalog, malformed_rows_change_nothing)
{
	static const char *const bad[] = { "A", "a;b", "", "a/b", "-" };
	struct catalog *c = make("a", "alpha", authority);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rec_node_row r = node_row(bad[i], serial_of(1));
		struct catalog_edit *e = catalog_edit(c);

		catalog_edit_node(e, &r);
		cr_assert_lt(catalog_commit(e, NULL), 0, "%s", bad[i]);
	}
	cr_assert_eq(catalog_nodes(c), 0);
	cr_assert_eq(catalog_head(c)->change, 1ULL << EPOCH_SHIFT);
	catalog_close(c);
}

Test(catalog, private_rows_stay_and_are_not_fed)
{
	struct catalog *home = make("a", "alpha", authority);
	struct catalog *copy = make("b", "beta", verifier);
	struct catalog_edit *e = catalog_edit(home);
	const struct span *v;
	size_t at = 0;

	catalog_edit_private(e, "invitation/1", span_of("one"));
	catalog_edit_private(e, "invitation/2", span_of("two"));
	cr_assert_eq(catalog_commit(e, NULL), 0);
	e = catalog_edit(home);
	catalog_edit_private(e, "invitation/1", (struct span){ 0 });
	cr_assert_eq(catalog_commit(e, NULL), 0);
	pull(copy, home);
	cr_assert_null(catalog_next_private(copy, &at, &v));
	catalog_close(home);
	home = open_at("a", authority);
	cr_assert_null(catalog_private(home, "invitation/1"));
	v = catalog_private(home, "invitation/2");
	cr_assert(v && span_equal(*v, span_of("two")));
	catalog_close(copy);
	catalog_close(home);
}

static void count_change(void *arg)
{
	++*(int *)arg;
}

Test(catalog, watchers_hear_of_each_commit)
{
	struct catalog *c = make("a", "alpha", authority);
	int count = 0;

	catalog_watch(c, count_change, &count);
	add_node(c, "alpha");
	add_node(c, "beta");
	cr_assert_eq(count, 2);
	catalog_close(c);
}

/* No file may grow: what a full disk does. */
Test(catalog, a_write_that_fails_changes_nothing)
{
	struct catalog *c = make("a", "alpha", authority);
	struct rlimit was, none = { 0 };
	struct failure f = { 0 };
	struct rec_node_row r = node_row("beta", serial_of(1));
	struct catalog_edit *e;
	int ret;

	add_node(c, "alpha");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	none.rlim_max = was.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	e = catalog_edit(c);
	catalog_edit_node(e, &r);
	ret = catalog_commit(e, &f);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	cr_assert_lt(ret, 0);
	cr_assert(strstr(f.what, "catalog"), "%s", f.what);
	cr_assert_null(catalog_node(c, "beta"));
	cr_assert_eq(catalog_head(c)->change, (1ULL << EPOCH_SHIFT) + 1);
	add_node(c, "gamma");
	catalog_close(c);
	c = open_at("a", authority);
	cr_assert(catalog_node(c, "alpha"));
	cr_assert(catalog_node(c, "gamma"));
	cr_assert_null(catalog_node(c, "beta"));
	catalog_close(c);
}

Test(catalog, what_was_acknowledged_survives_kill)
{
	int pipe_fd[2], status, acknowledged = 0;
	struct catalog *c = make("a", "alpha", authority);
	char name[16], one;
	pid_t child;

	catalog_close(c);
	cr_assert_eq(pipe(pipe_fd), 0);
	child = fork();
	if (!child) {
		close(pipe_fd[0]);
		c = open_at("a", authority);
		for (int i = 0;; i++) {
			snprintf(name, sizeof(name), "n%d", i);
			add_node(c, name);
			if (write(pipe_fd[1], "", 1) != 1)
				_exit(1);
		}
	}
	close(pipe_fd[1]);
	while (acknowledged < 20 && read(pipe_fd[0], &one, 1) == 1)
		acknowledged++;
	kill(child, SIGKILL);
	while (read(pipe_fd[0], &one, 1) == 1)
		acknowledged++;
	cr_assert_eq(waitpid(child, &status, 0), child);
	c = open_at("a", authority);
	for (int i = 0; i < acknowledged; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		cr_assert(catalog_node(c, name), "%s is lost", name);
	}
	catalog_close(c);
}

Test(catalog, not_a_catalog)
{
	char path[128];
	struct failure f = { 0 };
	struct catalog *c;
	FILE *out;

	snprintf(path, sizeof(path), "%s/x", dir);
	cr_assert_eq(catalog_open(&c, path, verifier, &f), -ENOENT);
	out = fopen(path, "w");
	for (int i = 0; i < 5000; i++)
		fputc(i * 7, out);
	fclose(out);
	cr_assert_eq(catalog_open(&c, path, verifier, &f), -EUCLEAN);
	cr_assert_neq(f.what[0], '\0');
}
