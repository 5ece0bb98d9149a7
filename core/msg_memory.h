/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages about lent memory; how to read the tables is in messages.h. They
 * travel between virgods as virgo/1; the data itself goes over NBD, from the
 * borrower's kernel to the lender's virgo-nbd, and never meets these.
 *
 *	borrower			lender
 *	MEMORY_QUERY	------------>		what could you lend me?
 *			<------------	MEMORY_OFFER
 *	MEMORY_LEASE	------------>		a name of mine, a size
 *			<------------	MEMORY_LEASED
 *		... NBD to LEASED's port, export and generation ...
 *			<------------	MEMORY_LEAVING		move, please
 *	MEMORY_RELEASE	------------>		I use it no more
 *
 * A lease belongs to the borrower's certificate: the lender takes name and
 * serial stem from the connection, never from a message, and virgo-nbd opens the
 * export for that certificate only. LEASED's export has the generation in it
 * ("beta/swap-1@7"), so that a name that was leased anew refuses who had it
 * before. Asking for a name one has already, with the same size, gives what is
 * there: MEMORY_LEASE may be repeated after a lost answer. RELEASE of what is
 * gone is answered with OK. A refusal is ERROR with reason and remedy.
 *
 * MEMORY_LOANS goes from a lender to the home node, for the catalog: everything
 * that it lends, as it stands; rows that are missing there are dropped.
 */
#ifndef VIRGO_CORE_MSG_MEMORY_H
#define VIRGO_CORE_MSG_MEMORY_H

#include "env.h"

#define MEMORY_MESSAGES(M)                                                     \
	M(384, MEMORY_QUERY, memory_query, "what could you lend me")           \
	M(385, MEMORY_OFFER, memory_offer, "answer to MEMORY_QUERY")           \
	M(386, MEMORY_LEASE, memory_lease, "lend me memory under a name")      \
	M(387, MEMORY_LEASED, memory_leased, "it is yours, and where it is")   \
	M(388, MEMORY_RELEASE, memory_release, "I use it no more")             \
	M(389, MEMORY_LEASES, memory_leases, "what have you lent me")          \
	M(390, MEMORY_LEASE_LIST, memory_lease_list,                           \
	  "answer to MEMORY_LEASES")                                           \
	M(391, MEMORY_LEAVING, memory_leaving,                                 \
	  "the lender needs it back: move, then release")                      \
	M(392, MEMORY_LOANS, memory_loans, "all that a lender lends now")      \
	M(393, MEMORY_LEND, memory_lend, "lend memory of this node, or stop")  \
	M(394, MEMORY_PROGRESS, memory_progress,                               \
	  "what MEMORY_LEND is waiting for")                                   \
	M(395, MEMORY_STATUS, memory_status, "what this node lends, borrows")  \
	M(396, MEMORY_STATUS_REPLY, memory_status_reply,                       \
	  "answer to MEMORY_STATUS")

/* Boot in QUERY and LEASE: the borrower's kernel's boot_id, so that a lender on
 * the same machine, in a container or namespace, can refuse.
 */
/* OFFER: free_bytes is the most that this borrower may lease now, and why says
 * what limits it when that is 0. Addresses as a node's in the catalog, each with
 * the port of NBD; tls 0 means that plaintext is served there.
 */
#define FIELDS_MEMORY_QUERY(R, O) R(str, purpose) O(str, boot)
#define FIELDS_MEMORY_OFFER(R, O)                                              \
	R(u64, free_bytes) R(u64, pool_bytes) R(u64, lent_bytes)               \
	R(u64, held_bytes) R(u64, reserve_bytes) R(u8, leaving)                \
	R(str, addresses) R(u8, tls) R(str, why)
/* A name is at most 48 letters, digits and .-_ ; purpose is "swap" or "disk". */
#define FIELDS_MEMORY_LEASE(R, O)                                              \
	R(str, name) R(u64, bytes) R(str, purpose) O(str, boot)
#define FIELDS_MEMORY_LEASED(R, O)                                             \
	R(str, name) R(u64, generation) R(u64, bytes) R(str, export)           \
	R(str, addresses) R(u8, tls)
/* Generation 0: whichever this borrower has under that name. */
#define FIELDS_MEMORY_RELEASE(R, O) R(str, name) R(u64, generation)
#define FIELDS_MEMORY_LEASES(R, O)
#define FIELDS_MEMORY_LEASE_LIST(R, O) R(u8, leaving) R(list, leases)
/* OK says that it was heard; the release follows when the data has moved. */
#define FIELDS_MEMORY_LEAVING(R, O) R(str, why) R(u32, wait_s) R(list, leases)
#define FIELDS_MEMORY_LOANS(R, O) R(list, loans)
/* Bytes 0: off. Off is answered with PROGRESS, FRAME_MORE, until all is moved.
 * With once it counts until virgod starts again.
 */
#define FIELDS_MEMORY_LEND(R, O)                                               \
	R(u64, bytes) R(u64, reserve_bytes) R(u32, wait_s) O(u8, once)
#define FIELDS_MEMORY_PROGRESS(R, O)                                           \
	R(u32, leases) R(u64, held_bytes) R(str, waiting_for)
#define FIELDS_MEMORY_STATUS(R, O)
#define FIELDS_MEMORY_STATUS_REPLY(R, O)                                       \
	R(str, state) R(str, why) R(u64, pool_bytes) R(u64, reserve_bytes)     \
	R(u64, lent_bytes) R(u64, held_bytes) R(u64, memory_bytes)             \
	R(u64, compressed_bytes) R(u64, zero_bytes) R(u8, locked)              \
	R(u32, connections) R(list, leases) R(list, borrowed)

#define MEMORY_RECORDS(M)                                                      \
	M(LEASE, lease, "a lease as the lender has it")                        \
	M(BORROWED, borrowed, "MEMORY_STATUS_REPLY: what this node borrows")   \
	M(LOAN_ROW, loan_row, "catalog: a lease, by lender:generation")

/* Held bytes are those that are not zero; compressed ones are among them. */
#define FIELDS_LEASE(R, O)                                                     \
	R(str, name) R(u64, generation) R(u64, bytes) R(str, export)           \
	R(str, purpose) R(str, borrower) R(str, stem) R(u64, since_s)          \
	R(u64, held_bytes) R(u64, compressed_bytes) R(u32, connections)        \
	R(u8, leaving)
#define FIELDS_BORROWED(R, O)                                                  \
	R(str, name) R(str, purpose) R(u64, bytes) R(str, device)              \
	R(str, lender) R(u64, generation) R(str, state)
#define FIELDS_LOAN_ROW(R, O)                                                  \
	R(str, key) R(str, lender) R(u64, generation) R(str, borrower)         \
	R(str, stem) R(str, name) R(str, purpose) R(u64, bytes) R(u64, since_s)

enum { MEMORY_NAME_MAX = 48 };

#endif
