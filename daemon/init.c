// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `virgod init NAME`: makes a cloud of one node, its home node. Everything is
 * prepared in STATE/.making; the rename in state_commit() is the moment at which
 * the cloud exists.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "backup.h"
#include "conf_cloud.h"
#include "home.h"
#include "node_name.h"
#include "setup.h"

static const char help[] =
	"Usage: virgo init NAME [OPTION]...\n"
	"Makes a cloud whose home node is this machine, under the name NAME.\n"
	"\n"
	"  --advertise LIST        addresses under which the others reach it\n"
	"                          (those of its interfaces)\n"
	"  --port N                TCP and UDP port (8747)\n"
	"  --cloud CLOUD           name of the cloud (virgo)\n"
	"  --passphrase-file FILE  passphrase of the backup that is made (a\n"
	"                          new one is made and shown)\n"
	"  --help\n";

struct making {
	const struct setup *setup;
	struct conf_cloud conf;
	struct state_new state;
	struct authority *authority;
	struct catalog *catalog;
	struct issued issued;
	struct blob key;
	char addresses[ADVERTISED_LIST_MAX + 1];
	char volume_path[STATE_PATH_MAX];
	char passphrase[PASSPHRASE_MAX + 1];
	char backup_path[STATE_PATH_MAX + 80];
};

static struct span blob_span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

static int make_identity(struct making *m, struct failure *f)
{
	const struct issue want = { .name = m->setup->word,
				    .cloud = m->setup->cloud,
				    .now_s = (s64)time(NULL),
				    .life_s = (s64)m->conf.cloud_certificate_life_ms /
					      1000 };
	struct blob request = { 0 }, key = { 0 };
	int ret = authority_create(&m->authority, m->setup->cloud, f);

	if (!ret)
		ret = node_key_create(&m->key, f);
	if (!ret)
		ret = node_request_create(blob_span(&m->key), want.name,
					  &request, f);
	if (!ret)
		ret = authority_issue(m->authority, blob_span(&request), &want,
				      &m->issued, f);
	if (!ret)
		ret = setup_write_identity(
			m->state.identity, blob_span(&m->key),
			blob_span(&m->issued.pem),
			blob_span(authority_certificate(m->authority)), f);
	if (!ret && authority_key(m->authority, &key))
		ret = failure_set(f, -ENOMEM, "authority.key", NULL,
				  "out of memory");
	if (!ret)
		ret = state_write(m->state.identity, "authority.key",
				  blob_span(&key), 0600, f);
	blob_free(&request);
	blob_free(&key);
	return ret;
}

static int make_catalog(struct making *m, struct failure *f)
{
	const char *name = m->setup->word;
	struct catalog_head head = { .change = 1ULL << EPOCH_SHIFT,
				     .key_number = 1 };
	const struct rec_node_row row = {
		.name = span_of(name),
		.addresses = span_of(m->addresses),
		.serial = span_of(m->issued.serial),
		.joined_s = (u64)time(NULL),
		.home = 1,
		.expires_s = (u64)m->issued.expires_s,
	};
	char path[STATE_PATH_MAX];
	struct catalog_edit *e;
	int ret = state_path(path, m->state.making, "catalog.db");

	strcpy(head.cloud, m->setup->cloud);
	strcpy(head.self, name);
	random_fill(head.group_key, sizeof(head.group_key));
	if (!ret)
		ret = catalog_sign_home(m->authority, &head, name, 1);
	if (ret)
		return failure_set(f, ret, "catalog", NULL, "%s",
				   strerror(-ret));
	ret = catalog_create(path, &head, f);
	if (!ret)
		ret = catalog_open(&m->catalog, path, m->authority, f);
	if (ret)
		return ret;
	e = catalog_edit(m->catalog);
	if (e) {
		catalog_edit_node(e, &row);
		home_add_default_volume(m->catalog, e, name, m->volume_path);
	}
	return catalog_commit(e, f);
}

static int make_backup(struct making *m, struct failure *f)
{
	const struct setup *s = m->setup;
	char dir[STATE_PATH_MAX], name[NODE_NAME_MAX + 16];
	struct blob sealed;
	int ret = 0;

	if (s->passphrase_file)
		ret = passphrase_read(s->passphrase_file, m->passphrase, f);
	else
		passphrase_make(m->passphrase);
	if (!ret && state_path(dir, s->state, "backup"))
		ret = failure_set(f, -ENAMETOOLONG, s->state, NULL,
				  "the path is too long");
	if (!ret && mkdir(dir, 0700) && errno != EEXIST)
		ret = failure_set(f, -errno, dir, NULL, "cannot be made: %s",
				  strerror(errno));
	if (!ret)
		ret = backup_seal(&sealed, m->authority, m->catalog,
				  m->passphrase, f);
	if (ret)
		return ret;
	snprintf(name, sizeof(name), "%s.backup", s->cloud);
	snprintf(m->backup_path, sizeof(m->backup_path), "%s/%s", dir, name);
	ret = state_write(dir, name, blob_span(&sealed), 0600, f);
	blob_free(&sealed);
	return ret;
}

static int make(struct making *m, struct failure *f)
{
	const struct setup *s = m->setup;
	u16 port;
	int ret = node_name_check(s->word, f);

	if (!ret)
		ret = node_name_check(s->cloud, f);
	if (!ret)
		ret = setup_conf(s, &m->conf, f);
	if (!ret)
		ret = setup_addresses(s, &m->conf, m->addresses, &port, f);
	if (!ret)
		ret = state_begin(&m->state, s->state, f);
	if (!ret)
		ret = setup_export(s, m->volume_path, sizeof(m->volume_path),
				   f);
	if (!ret)
		ret = make_identity(m, f);
	if (!ret)
		ret = make_catalog(m, f);
	if (!ret)
		ret = make_backup(m, f);
	catalog_close(m->catalog);
	if (!ret)
		ret = state_commit(&m->state, f);
	return ret;
}

static void report(const struct making *m)
{
	const struct setup *s = m->setup;

	printf("This machine is '%s', home node of the cloud '%s'.\n", s->word,
	       s->cloud);
	printf("The others reach it at %s.\n", m->addresses);
	printf("Backup of the authority: %s\n", m->backup_path);
	if (s->passphrase_file)
		printf("Keep a copy of it away from this machine.\n");
	else
		printf("Its passphrase: %s\nKeep both away from this machine; "
		       "they are not shown again.\n", m->passphrase);
}

int init_main(int argc, char **argv)
{
	struct failure f = { 0 };
	struct making *m;
	struct setup s;
	int ret = setup_parse(&s, argc, argv, help, "scapCPh", 1);

	if (ret >= 0)
		return ret;
	m = calloc(1, sizeof(*m));
	if (!m)
		return 1;
	m->setup = &s;
	m->state.lock = -1;
	ret = make(m, &f);
	if (ret) {
		state_abandon(&m->state);
		failure_print(&f, stderr);
	} else {
		report(m);
		setup_keep_options(&s);
		setup_start(&s);
	}
	authority_free(m->authority);
	conf_free(&m->conf);
	blob_free(&m->key);
	blob_free(&m->issued.pem);
	explicit_bzero(m->passphrase, sizeof(m->passphrase));
	free(m);
	return ret ? 1 : 0;
}
