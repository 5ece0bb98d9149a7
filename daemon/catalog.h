/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The catalog: what the whole cloud must agree on. The home node holds the
 * master and is the only one that changes it; every node has a replica, which
 * follows by change numbers. Reading never touches the disk: all rows are in
 * memory. A change is on disk (store.h) before it is seen in memory or told to
 * anyone.
 *
 * A change number is epoch * 2^40 + count. The epoch goes up when another node
 * becomes the home node, so numbers of a later home are always higher, and a
 * home node that was replaced while it was away knows itself by its epoch. Who
 * is home, and since which epoch, is signed by the authority; so are removals.
 *
 * Used in the loop's thread only. Rows that are returned, and the views in them,
 * are valid until the next change; see catalog_watch().
 */
#ifndef VIRGO_DAEMON_CATALOG_H
#define VIRGO_DAEMON_CATALOG_H

#include "authority.h"
#include "tls.h"

enum {
	GROUP_KEY_BYTES = 32,
	EPOCH_SHIFT = 40,
	VOLUME_NAME_MAX_BYTES = 63,
	VOLUME_ID_BYTES = 16,
	LOAN_KEY_MAX = NODE_NAME_MAX + 21, /* lender:generation */
	CATALOG_ROWS_MAX = 1 << 16, /* of each table */
	CATALOG_TOMBSTONES_MAX = 4096,
};

enum catalog_table {
	CATALOG_NODE,
	CATALOG_REMOVAL,
	CATALOG_VOLUME,
	CATALOG_LOAN,
	CATALOG_TABLES
};

struct catalog;
struct catalog_edit;

struct catalog_head {
	char cloud[NODE_NAME_MAX + 1];
	char self[NODE_NAME_MAX + 1];
	char home[NODE_NAME_MAX + 1];
	u64 epoch;
	u64 change; /* the newest in this copy; 0 before the first pull */
	u64 pruned; /* deletions up to this change are forgotten */
	u8 signature[SIGNATURE_MAX]; /* of home and epoch */
	u32 signature_len;
	u32 key_number; /* of group_key; goes up with each removal */
	u8 group_key[GROUP_KEY_BYTES]; /* for the membership's datagrams */
	char heir[NODE_NAME_MAX + 1]; /* to whom home is being handed over */
};

/* Makes an empty catalog on disk; @head->change may be 0. */
int catalog_create(const char *path, const struct catalog_head *head,
		   struct failure *f);
/* @a, which must outlive it, verifies what is signed. */
int catalog_open(struct catalog **out, const char *path, struct authority *a,
		 struct failure *f);
void catalog_close(struct catalog *c);

const struct catalog_head *catalog_head(const struct catalog *c);
/* @h as it is written down; points into @h. */
struct rec_catalog_head catalog_head_record(const struct catalog_head *h);
/* True on the node that may change the catalog. */
bool catalog_is_home(const struct catalog *c);

/* NULL when there is none. A name is a node's, a volume's or a removal's stem. */
const struct rec_node_row *catalog_node(const struct catalog *c,
					const char *name);
const struct rec_volume_row *catalog_volume(const struct catalog *c,
					    const char *name);
const struct rec_removal_row *catalog_removal(const struct catalog *c,
					      const char *stem);
/* Walk a table in order of names: start with *@at 0, NULL at the end. */
const struct rec_node_row *catalog_next_node(const struct catalog *c,
					     size_t *at);
const struct rec_volume_row *catalog_next_volume(const struct catalog *c,
						 size_t *at);
const struct rec_removal_row *catalog_next_removal(const struct catalog *c,
						   size_t *at);
const struct rec_loan_row *catalog_next_loan(const struct catalog *c,
					     size_t *at);
size_t catalog_nodes(const struct catalog *c);
/* True when the certificate with this serial is of a removed node. */
bool catalog_refuses(const struct catalog *c, const char *serial);
/* Writes a node's addresses; false when there is no such node. A
 * peer_address_fn, @arg being a struct catalog.
 */
bool catalog_addresses(void *arg, const char *name, char *out, size_t size);

/* Runs @fn after each change, before anything else runs in the loop. There is
 * room for 16; they stay until catalog_close().
 */
void catalog_watch(struct catalog *c, void (*fn)(void *arg), void *arg);

/*
 * Changing it. An edit collects rows and is committed as one transaction, or
 * dropped. Between begin and commit no other edit may begin. Functions that add
 * to it remember the first failure, which commit returns.
 */
struct catalog_edit *catalog_edit(struct catalog *c);
void catalog_edit_node(struct catalog_edit *e, const struct rec_node_row *r);
void catalog_edit_volume(struct catalog_edit *e,
			 const struct rec_volume_row *r);
void catalog_edit_loan(struct catalog_edit *e, const struct rec_loan_row *r);
/* Signs it. */
void catalog_edit_removal(struct catalog_edit *e, struct authority *a,
			  const struct rec_removal_row *r);
void catalog_edit_delete(struct catalog_edit *e, enum catalog_table table,
			 const char *name);
/* A row of this node alone, beside the catalog; an empty @value drops it. */
void catalog_edit_private(struct catalog_edit *e, const char *key,
			  struct span value);
/* The head as it will be; the caller may change it. */
struct catalog_head *catalog_edit_head(struct catalog_edit *e);
void catalog_edit_rotate_key(struct catalog_edit *e);
/* Gives every row a change number, writes all of it to disk, then shows it.
 * Frees @e in every case. -ENOSPC and so on: nothing has changed.
 */
int catalog_commit(struct catalog_edit *e, struct failure *f);
void catalog_drop(struct catalog_edit *e);

/* NULL when there is none; valid until the next change. */
const struct span *catalog_private(const struct catalog *c, const char *key);
const char *catalog_next_private(const struct catalog *c, size_t *at,
				 const struct span **value);

/*
 * Replication. catalog_feed() calls @send with one or more messages that bring
 * a copy of change @since up to date; on a node that is not home, with one that
 * tells who is. Views are valid during the call.
 */
void catalog_feed(const struct catalog *c, u64 since,
		  void (*send)(const struct msg_catalog_rows *m, void *arg),
		  void *arg);
/* Takes one such message in. It is checked completely before any of it counts.
 * 1: nothing new; 0: applied (or kept until the rest of a whole copy came);
 * -EBADMSG: malformed; -EKEYREJECTED: wrongly signed; -ESTALE: from a home that
 * was replaced; or the store's failure.
 */
int catalog_take(struct catalog *c, const struct msg_catalog_rows *m,
		 struct failure *f);
/* Forgets the part of a whole copy that came, for instance as its connection
 * was lost.
 */
void catalog_take_reset(struct catalog *c);

/* Signs and writes down that @name is home from @epoch on. */
int catalog_sign_home(struct authority *a, struct catalog_head *head,
		      const char *name, u64 epoch);
/* 0 or -EKEYREJECTED. */
int catalog_check_home(const struct authority *a, const char *name, u64 epoch,
		       struct span signature);

/* catalog_row.c: a row's value, checked. -EBADMSG when any field is not what it
 * must be.
 */
int catalog_check_node(const struct rec_node_row *r);
int catalog_check_volume(const struct rec_volume_row *r);
/* 1 to 63 letters, digits and ._-, the first not a dot. */
bool catalog_volume_name_valid(struct span name);
int catalog_check_loan(const struct rec_loan_row *r);
/* Puts the signature, kept in @signature, into @r. */
int catalog_sign_removal(struct authority *a, struct rec_removal_row *r,
			 u8 signature[SIGNATURE_MAX]);
int catalog_check_removal(const struct rec_removal_row *r,
			  const struct authority *a);

#endif
