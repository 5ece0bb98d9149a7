// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows of the catalog: what each may hold, and arrays of them. Rows come from
 * other machines, so every field is checked here before anything else sees it.
 */
#include "catalog_row.h"

#include <stdlib.h>

#include "address.h"
#include "advertise.h"
#include "node_name.h"

static const char removal_purpose[] = "virgo removal 1";
static const char home_purpose[] = "virgo home 1";

const char *const catalog_table_names[CATALOG_TABLES] = {
	[CATALOG_NODE] = "node",
	[CATALOG_REMOVAL] = "removal",
	[CATALOG_VOLUME] = "volume",
	[CATALOG_LOAN] = "loan",
};

static bool is_node_name(struct span s)
{
	char name[NODE_NAME_MAX + 1];

	return span_to_cstr(s, name, sizeof(name)) && node_name_valid(name);
}

static bool is_hex(struct span s, u32 len)
{
	if (s.len != len)
		return false;
	for (u32 i = 0; i < len; i++)
		if (!memchr("0123456789abcdef", s.data[i], 16))
			return false;
	return true;
}

/* No longer than @max, and free of NUL and control characters. */
static bool is_text(struct span s, u32 max)
{
	if (s.len > max)
		return false;
	for (u32 i = 0; i < s.len; i++)
		if (s.data[i] < 0x20 || s.data[i] == 0x7f)
			return false;
	return true;
}

static bool is_one_of(struct span s, const char *const *words)
{
	for (; *words; words++)
		if (span_equal(s, span_of(*words)))
			return true;
	return false;
}

bool catalog_volume_name_valid(struct span s)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (!s.len || s.len > VOLUME_NAME_MAX_BYTES || s.data[0] == '.')
		return false;
	for (u32 i = 0; i < s.len; i++)
		if (!memchr(good, s.data[i], sizeof(good) - 1))
			return false;
	return true;
}

int catalog_check_node(const struct rec_node_row *r)
{
	char text[ADVERTISED_LIST_MAX + 1], full[ADVERTISED_LIST_MAX + 1];

	if (!is_node_name(r->name) || !is_hex(r->serial, SERIAL_DIGITS) ||
	    !span_to_cstr(r->addresses, text, sizeof(text)) ||
	    advertised_list(text, VIRGO_PORT, full, sizeof(full), NULL) < 0)
		return -EBADMSG;
	return 0;
}

int catalog_check_volume(const struct rec_volume_row *r)
{
	static const char *const kinds[] = { "export", "sftp", NULL };
	static const char *const squash[] = { "root", "all", "none", NULL };
	static const char *const idmap[] = { "name", "numeric", NULL };

	if (!catalog_volume_name_valid(r->name) || !is_node_name(r->node) ||
	    !is_one_of(r->kind, kinds) || !is_one_of(r->squash, squash) ||
	    !is_one_of(r->idmap, idmap) || !is_text(r->path, 4095) ||
	    !r->path.len || !is_text(r->allow, 4095) ||
	    r->id.len != VOLUME_ID_BYTES || !r->slot ||
	    r->slot >= CATALOG_ROWS_MAX)
		return -EBADMSG;
	return 0;
}

int catalog_check_loan(const struct rec_loan_row *r)
{
	static const char *const purposes[] = { "swap", "disk", NULL };
	char key[LOAN_KEY_MAX + 1];

	if (!is_node_name(r->lender) || !is_node_name(r->borrower) ||
	    !is_hex(r->stem, STEM_DIGITS) || !r->name.len ||
	    !is_text(r->name, MEMORY_NAME_MAX) ||
	    !is_one_of(r->purpose, purposes) || !r->bytes)
		return -EBADMSG;
	snprintf(key, sizeof(key), "%.*s:%llu", (int)r->lender.len,
		 (const char *)r->lender.data,
		 (unsigned long long)r->generation);
	return span_equal(r->key, span_of(key)) ? 0 : -EBADMSG;
}

/* What a removal's signature is over. */
static struct span removal_statement(const struct rec_removal_row *r, u8 *out,
				     size_t size)
{
	struct wcursor c = wcursor_of(out, size);

	wcursor_u64(&c, r->number);
	wcursor_span(&c, r->name);
	wcursor_span(&c, r->stem);
	wcursor_u64(&c, r->time_s);
	wcursor_u64(&c, r->until_s);
	return (struct span){ .data = out, .len = (u32)wcursor_len(&c) };
}

enum { REMOVAL_STATEMENT_MAX = 3 * 8 + 4 + NODE_NAME_MAX + 4 + STEM_DIGITS };

static bool removal_shape(const struct rec_removal_row *r)
{
	return is_node_name(r->name) && is_hex(r->stem, STEM_DIGITS) &&
	       r->signature.len && r->signature.len <= SIGNATURE_MAX;
}

int catalog_check_removal(const struct rec_removal_row *r,
			  const struct authority *a)
{
	u8 buf[REMOVAL_STATEMENT_MAX];

	if (!removal_shape(r))
		return -EBADMSG;
	return authority_verify(a, removal_purpose,
				removal_statement(r, buf, sizeof(buf)),
				r->signature);
}

int catalog_sign_removal(struct authority *a, struct rec_removal_row *r,
			 u8 signature[SIGNATURE_MAX])
{
	u8 buf[REMOVAL_STATEMENT_MAX];
	int len = authority_sign(a, removal_purpose,
				 removal_statement(r, buf, sizeof(buf)),
				 signature);

	if (len < 0)
		return len;
	r->signature = (struct span){ .data = signature, .len = (u32)len };
	return 0;
}

static struct span home_statement(const char *name, u64 epoch, u8 *out,
				  size_t size)
{
	struct wcursor c = wcursor_of(out, size);

	wcursor_u64(&c, epoch);
	wcursor_span(&c, span_of(name));
	return (struct span){ .data = out, .len = (u32)wcursor_len(&c) };
}

int catalog_check_home(const struct authority *a, const char *name, u64 epoch,
		       struct span signature)
{
	u8 buf[8 + 4 + NODE_NAME_MAX];

	return authority_verify(a, home_purpose,
				home_statement(name, epoch, buf, sizeof(buf)),
				signature);
}

int catalog_sign_home(struct authority *a, struct catalog_head *head,
		      const char *name, u64 epoch)
{
	u8 buf[8 + 4 + NODE_NAME_MAX];
	int len = authority_sign(a, home_purpose,
				 home_statement(name, epoch, buf, sizeof(buf)),
				 head->signature);

	if (len < 0)
		return len;
	head->signature_len = (u32)len;
	head->epoch = epoch;
	snprintf(head->home, sizeof(head->home), "%s", name);
	return 0;
}

static int row_decode(struct row *r)
{
	struct span name;
	int ret;

	switch (r->table) {
	case CATALOG_NODE:
		ret = rec_node_row_decode(&r->node, r->value, r->len);
		ret = ret ? ret : catalog_check_node(&r->node);
		name = r->node.name;
		break;
	case CATALOG_REMOVAL:
		ret = rec_removal_row_decode(&r->removal, r->value, r->len);
		ret = ret ? ret : removal_shape(&r->removal) ? 0 : -EBADMSG;
		name = r->removal.stem;
		break;
	case CATALOG_VOLUME:
		ret = rec_volume_row_decode(&r->volume, r->value, r->len);
		ret = ret ? ret : catalog_check_volume(&r->volume);
		name = r->volume.name;
		break;
	case CATALOG_LOAN:
		ret = rec_loan_row_decode(&r->loan, r->value, r->len);
		ret = ret ? ret : catalog_check_loan(&r->loan);
		name = r->loan.key;
		break;
	default:
		return -EBADMSG;
	}
	if (ret)
		return ret;
	return span_equal(name, span_of(r->key)) ? 0 : -EBADMSG;
}

int row_new(struct row **out, enum catalog_table table, const char *key,
	    bool deleted, struct span value)
{
	u32 len = deleted ? 0 : value.len;
	struct row *r;
	int ret = 0;

	if (!*key || strlen(key) > ROW_KEY_MAX)
		return -EBADMSG;
	r = calloc(1, sizeof(*r) + len);
	if (!r)
		return -ENOMEM;
	r->table = table;
	r->deleted = deleted;
	strcpy(r->key, key);
	r->len = len;
	if (len)
		memcpy(r->value, value.data, len);
	if (!deleted)
		ret = row_decode(r);
	if (ret) {
		free(r);
		return ret;
	}
	*out = r;
	return 0;
}

int rows_reserve(struct rows *a, size_t more)
{
	size_t room = a->room ? a->room : 16;
	struct row **row;

	while (room < a->count + more)
		room *= 2;
	if (room == a->room)
		return 0;
	row = reallocarray(a->row, room, sizeof(*row));
	if (!row)
		return -ENOMEM;
	a->row = row;
	a->room = room;
	return 0;
}

size_t rows_place(const struct rows *a, const char *key, bool *found)
{
	size_t low = 0, high = a->count;

	*found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(a->row[mid]->key, key);

		if (!c) {
			*found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void rows_put(struct rows *a, struct row *r)
{
	bool found;
	size_t at = rows_place(a, r->key, &found);

	if (found) {
		free(a->row[at]);
	} else {
		memmove(a->row + at + 1, a->row + at,
			(a->count - at) * sizeof(*a->row));
		a->count++;
	}
	a->row[at] = r;
}

void rows_remove(struct rows *a, const char *key)
{
	bool found;
	size_t at = rows_place(a, key, &found);

	if (!found)
		return;
	free(a->row[at]);
	a->count--;
	memmove(a->row + at, a->row + at + 1,
		(a->count - at) * sizeof(*a->row));
}

void rows_free(struct rows *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->row[i]);
	free(a->row);
	*a = (struct rows){ 0 };
}
