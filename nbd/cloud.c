// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests to virgod; the contract is in cloud.h. */
#include "cloud.h"

#include <stdio.h>
#include <stdlib.h>

#include "address.h"
#include "boot.h"
#include "client.h"
#include "protocol.h"

static void lease_name(const struct record *r, const struct record_leg *l,
		       char out[static MEMORY_NAME_MAX + 1])
{
	snprintf(out, MEMORY_NAME_MAX + 1, "%s-%u", r->name, l->number);
}

int cloud_lenders(struct client *c, bool swap, u64 bytes, struct lender *out,
		  struct failure *f)
{
	const struct msg_borrow_lenders m = {
		.purpose = span_of(swap ? "swap" : "disk"), .bytes = bytes,
	};
	struct msg_borrow_lender_list list;
	struct rec_lender row;
	struct rcursor at;
	struct span reply;
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int count = 0;
	int ret;

	msg_borrow_lenders_encode(&w, &m);
	ret = client_call(c, MSG_BORROW_LENDERS, buf, wcursor_len(&w),
			  MSG_BORROW_LENDER_LIST, &reply, f);
	if (ret < 0)
		return ret;
	if (msg_borrow_lender_list_decode(&list, reply.data, reply.len))
		return failure_set(f, -EBADMSG, "virgod", NULL,
				   "malformed answer");
	at = rcursor_of(list.lenders.data, list.lenders.len);
	while (count < LENDERS_MAX && rec_lender_next(&at, &row) == 1) {
		struct lender *l = &out[count++];

		span_to_cstr(row.node, l->node, sizeof(l->node));
		l->free_bytes = row.free_bytes;
		snprintf(l->why, sizeof(l->why), "%.*s", (int)row.why.len,
			 (const char *)row.why.data);
	}
	return count;
}

/* Passes a request on to @node; the answer must be @want and lies in @out. */
static int pass(struct client *c, const char *node, u16 type,
		const void *payload, size_t len, u16 want, struct span *out,
		struct failure *f)
{
	const struct msg_borrow_pass m = { .node = span_of(node),
					   .type = type,
					   .payload = { payload, (u32)len } };
	size_t size = msg_borrow_pass_size(&m);
	struct msg_borrow_passed passed;
	struct span reply;
	struct wcursor w;
	u8 buf[1024];
	int ret;

	if (size > sizeof(buf))
		return failure_set(f, -EMSGSIZE, node, NULL, "too long");
	w = wcursor_of(buf, sizeof(buf));
	msg_borrow_pass_encode(&w, &m);
	ret = client_call(c, MSG_BORROW_PASS, buf, size, MSG_BORROW_PASSED,
			  &reply, f);
	if (ret < 0)
		return ret;
	if (msg_borrow_passed_decode(&passed, reply.data, reply.len) ||
	    passed.type != want)
		return failure_set(f, -EBADMSG, node, NULL, "malformed answer");
	*out = passed.payload;
	return 0;
}

/* Host names are looked up now: later there may be no memory for it. */
static int numeric(const char *list, char *out, size_t size)
{
	struct address found[ADDRESS_MAX];
	int n = address_resolve(list, NBD_PORT, true, found, ADDRESS_MAX);
	char text[ADDRESS_TEXT_MAX];
	size_t at = 0;
	int i;

	if (n <= 0)
		return n ? n : -ENOENT;
	for (i = 0; i < n; i++) {
		address_text((const struct sockaddr *)&found[i].sa, text);
		if (at + strlen(text) + 2 > size)
			break;
		at += (size_t)snprintf(out + at, size - at, "%s%s",
				       i ? "," : "", text);
	}
	return 0;
}

static int take_lease(const struct record *r, struct record_leg *l,
		      const struct msg_memory_leased *m, struct failure *f)
{
	char addresses[sizeof(l->addresses)];

	if (m->bytes != r->bytes || !m->generation ||
	    !span_to_cstr(m->export, l->export_, sizeof(l->export_)) ||
	    strpbrk(l->export_, " \n") ||
	    !span_to_cstr(m->addresses, addresses, sizeof(addresses)) ||
	    numeric(addresses, l->addresses, sizeof(l->addresses)))
		return failure_set(f, -EPROTO, l->lender, NULL,
				   "its lease cannot be used");
	if (!m->tls && !r->plaintext_on[0])
		return failure_set(f, -EPERM, l->lender,
				   "--plaintext-on INTERFACE",
				   "it serves memory without TLS, and data "
				   "would leave this machine in the clear");
	if (m->tls && r->plaintext_on[0])
		return failure_set(f, -EPERM, l->lender,
				   "leave out --plaintext-on",
				   "it lends over TLS only, as all nodes of a "
				   "cloud do");
	return 0;
}

int cloud_lease(struct client *c, const struct record *r,
		struct record_leg *l, struct failure *f)
{
	char name[MEMORY_NAME_MAX + 1];
	char boot[BOOT_ID_SIZE];
	struct msg_memory_lease m = {
		.bytes = r->bytes, .purpose = span_of(r->swap ? "swap" : "disk"),
	};
	struct msg_memory_leased leased;
	struct span reply;
	u8 buf[256];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int ret;

	lease_name(r, l, name);
	m.name = span_of(name);
	boot_id(boot);
	m.boot = span_of(boot);
	msg_memory_lease_encode(&w, &m);
	ret = pass(c, l->lender, MSG_MEMORY_LEASE, buf, wcursor_len(&w),
		   MSG_MEMORY_LEASED, &reply, f);
	if (ret)
		return ret;
	if (msg_memory_leased_decode(&leased, reply.data, reply.len))
		return failure_set(f, -EBADMSG, l->lender, NULL,
				   "malformed answer");
	l->generation = leased.generation;
	return take_lease(r, l, &leased, f);
}

int cloud_release(struct client *c, const struct record *r,
		  const struct record_leg *l, struct failure *f)
{
	char name[MEMORY_NAME_MAX + 1];
	struct msg_memory_release m = { .generation = l->generation };
	struct span reply;
	u8 buf[256];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	lease_name(r, l, name);
	m.name = span_of(name);
	msg_memory_release_encode(&w, &m);
	return pass(c, l->lender, MSG_MEMORY_RELEASE, buf, wcursor_len(&w),
		    MSG_OK, &reply, f);
}

int cloud_is_leaving(struct client *c, const struct record *r,
		     const struct record_leg *l)
{
	struct msg_memory_lease_list list;
	struct failure ignored;
	struct rec_lease row;
	struct span reply;
	struct rcursor at;

	if (pass(c, l->lender, MSG_MEMORY_LEASES, NULL, 0,
		 MSG_MEMORY_LEASE_LIST, &reply, &ignored) ||
	    msg_memory_lease_list_decode(&list, reply.data, reply.len))
		return 0;
	if (list.leaving)
		return 1;
	at = rcursor_of(list.leases.data, list.leases.len);
	while (rec_lease_next(&at, &row) == 1)
		if (row.generation == l->generation)
			return row.leaving;
	return 0;
}

int cloud_tend(struct client *c, struct failure *f)
{
	struct span reply;

	return client_call(c, MSG_BORROW_TEND, NULL, 0, MSG_OK, &reply, f);
}
