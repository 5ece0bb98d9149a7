// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `virgod backup FILE` and `virgod promote`: commands of root that work on the
 * authority's key. A backup is read straight from the state folder, beside a
 * running virgod or without one; a promotion is done by the running virgod,
 * which gets what the backup holds over its unix socket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup.h"
#include "client.h"
#include "setup.h"

static const char backup_help[] =
	"Usage: virgo backup FILE [--passphrase-file FILE]\n"
	"Seals the authority's key and the catalog into FILE, on the home node.\n"
	"With it and the passphrase any node can become the home node.\n"
	"\n"
	"  --passphrase-file FILE  its first line; else it is asked for\n"
	"  --help\n";

static const char promote_help[] =
	"Usage: virgo node promote [NODE] [--backup FILE]\n"
	"Makes NODE (this one) the home node of the cloud.\n"
	"\n"
	"  --backup FILE           when the home node is lost: this node becomes\n"
	"                          home with the authority of the backup\n"
	"  --passphrase-file FILE  the backup's; else it is asked for\n"
	"  --help\n";

enum { ROWS_A_FRAME = 512 << 10 };

static struct span blob_span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

static int open_state(const struct setup *s, struct authority **a,
		      struct catalog **c, struct failure *f)
{
	char dir[STATE_PATH_MAX], path[STATE_PATH_MAX];
	int ret;

	if (state_path(dir, s->state, "identity") ||
	    state_path(path, s->state, "catalog.db"))
		return failure_set(f, -ENAMETOOLONG, s->state, NULL,
				   "the path is too long");
	ret = authority_load(a, dir, f);
	if (!ret)
		ret = catalog_open(c, path, *a, f);
	if (!ret && !catalog_is_home(*c))
		ret = failure_set(f, -ENOKEY, "backup", "it on that node",
				  "the authority is on the home node %s",
				  catalog_head(*c)->home);
	return ret;
}

/* @path may be relative; the folder it is in must exist. */
static int write_file(const char *path, struct span bytes, struct failure *f)
{
	char dir[STATE_PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) : 1;

	snprintf(dir, sizeof(dir), "%.*s", len ? len : 1,
		 slash ? path : ".");
	return state_write(dir, slash ? slash + 1 : path, bytes, 0600, f);
}

int backup_main(int argc, char **argv)
{
	char passphrase[PASSPHRASE_MAX + 1];
	struct authority *a = NULL;
	struct catalog *c = NULL;
	struct blob sealed = { 0 };
	struct failure f = { 0 };
	struct setup s;
	int ret = setup_parse(&s, argc, argv, backup_help, "scPh", 1);

	if (ret >= 0)
		return ret;
	ret = open_state(&s, &a, &c, &f);
	if (!ret)
		ret = setup_passphrase(&s, true, passphrase, &f);
	if (!ret)
		ret = backup_seal(&sealed, a, c, passphrase, &f);
	if (!ret)
		ret = write_file(s.word, blob_span(&sealed), &f);
	if (ret)
		failure_print(&f, stderr);
	else
		printf("Backup of the cloud '%s': %s\n",
		       catalog_head(c)->cloud, s.word);
	explicit_bzero(passphrase, sizeof(passphrase));
	blob_free(&sealed);
	catalog_close(c);
	authority_free(a);
	return ret ? 1 : 0;
}

/* Where a list can be cut so that the first part has at most @max bytes. */
static u32 list_cut(struct span list, u32 max)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	u32 at = 0;

	while (rcursor_left(&c)) {
		rcursor_span(&c);
		if (c.bad || (u32)(c.pos - list.data) > max)
			break;
		at = (u32)(c.pos - list.data);
	}
	return at;
}

static int send_promote(struct client *c, u64 tag, const struct msg_promote *m,
			bool more)
{
	size_t size = msg_promote_size(m);
	const struct frame f = { .type = MSG_PROMOTE,
				 .flags = more ? FRAME_MORE : 0,
				 .tag = tag };
	u8 *buf = malloc(size);
	struct wcursor w = wcursor_of(buf, buf ? size : 0);
	int ret = -ENOMEM;

	if (buf) {
		msg_promote_encode(&w, m);
		ret = client_send(c, &f, buf, size, NULL, 0);
		explicit_bzero(buf, size);
	}
	free(buf);
	return ret;
}

static int wait_ok(struct client *c, u64 tag, struct failure *f)
{
	struct msg_error m;
	const u8 *payload;
	struct frame got;
	int ret;

	while ((ret = client_recv(c, &got, &payload)) > 0) {
		if (got.tag != tag)
			continue;
		if (got.type == MSG_OK)
			return 0;
		if (got.type == MSG_ERROR &&
		    !msg_error_decode(&m, payload, got.length))
			failure_from_message(f, &m);
		else
			failure_set(f, -EPROTO, "promote", NULL,
				    "virgod gave an unexpected answer");
		return f->code;
	}
	return failure_set(f, ret ? ret : -EPIPE, "promote",
			   "look at virgod's log",
			   "virgod hung up before answering");
}

static int promote(const struct setup *s, struct client *c,
		   const struct backup *b, struct failure *f)
{
	u64 tag = client_tag(c);
	struct msg_promote m = { .node = span_of(s->word ? s->word :
							   client_node(c)) };
	struct span rest = b->rows;
	int ret = 0;

	if (s->backup) {
		m.authority_key = b->key;
		m.epoch = b->head.epoch;
		m.change = b->head.change;
	}
	do {
		u32 len = list_cut(rest, ROWS_A_FRAME);

		m.rows = (struct span){ rest.data, len };
		rest.data += len;
		rest.len -= len;
		ret = send_promote(c, tag, &m, rest.len && len);
	} while (!ret && m.rows.len && rest.len);
	if (ret)
		return failure_set(f, ret, "promote", NULL,
				   "virgod hung up: %s", strerror(-ret));
	return wait_ok(c, tag, f);
}

static int read_backup(const struct setup *s, struct backup *b,
		       struct failure *f)
{
	char passphrase[PASSPHRASE_MAX + 1];
	const char *slash = strrchr(s->backup, '/');
	char dir[STATE_PATH_MAX] = ".";
	struct blob file;
	int ret;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s",
			 slash == s->backup ? 1 : (int)(slash - s->backup),
			 s->backup);
	ret = state_read(dir, slash ? slash + 1 : s->backup, &file, f);
	if (ret)
		return ret;
	ret = setup_passphrase(s, false, passphrase, f);
	if (!ret)
		ret = backup_open(b, blob_span(&file), passphrase, f);
	explicit_bzero(passphrase, sizeof(passphrase));
	blob_free(&file);
	return ret;
}

int promote_main(int argc, char **argv)
{
	struct backup b = { 0 };
	struct failure f = { 0 };
	struct client *c = NULL;
	struct setup s;
	int ret = setup_parse(&s, argc, argv, promote_help, "scPbh", 0);

	if (ret >= 0)
		return ret;
	ret = client_open(&c, s.state, &f);
	if (!ret && s.backup && s.word && strcmp(s.word, client_node(c)))
		ret = failure_set(&f, -EINVAL, "promote",
				  "it on that node, without a name",
				  "from a backup only this node can be promoted");
	if (!ret && s.backup)
		ret = read_backup(&s, &b, &f);
	if (!ret)
		ret = promote(&s, c, &b, &f);
	if (ret)
		failure_print(&f, stderr);
	else
		printf("'%s' is the home node now. Make a new backup there: "
		       "virgo backup FILE\n",
		       s.word ? s.word : client_node(c));
	backup_free(&b);
	client_close(c);
	return ret ? 1 : 0;
}
