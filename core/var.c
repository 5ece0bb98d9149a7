// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Variables; the table's layout and the contract are in var.h.
 *
 * Every word of a record is stored with release and loaded with acquire order,
 * which needs no fences: a reader that saw any new word also sees the odd
 * sequence that was stored before it, or a later one.
 */
#include "var.h"

enum { VAR_MAGIC = 0x52415656, VAR_VERSION = 1 }; /* "VVAR" */

struct head {
	u32 magic;
	u32 version;
	u32 slots;
	u32 record_bytes;
	u8 boot[VAR_BOOT_BYTES];
	u8 zero[96];
};

/* All after the sequence and the kind. */
struct body {
	u64 value, min, max, def;
	u64 updated_ns;
	u32 ttl_ms;
	u32 confidence_ppm;
	char name[VAR_NAME_BYTES];
	char unit[VAR_UNIT_BYTES];
	char producer[VAR_PRODUCER_BYTES];
};

struct record {
	u32 sequence;
	u32 kind; /* type in the first byte, mode in the second */
	union {
		struct body body;
		unsigned long words[sizeof(struct body) / sizeof(long)];
	};
};

static_assert(sizeof(struct head) == VAR_RECORD_BYTES, "head");
static_assert(sizeof(struct record) == VAR_RECORD_BYTES, "record");
static_assert(offsetof(struct record, body.name) == 56, "name");
static_assert(offsetof(struct record, body.producer) == 112, "producer");

static u32 kind_of(u8 type, u8 mode)
{
	u8 bytes[4] = { type, mode };
	u32 kind;

	memcpy(&kind, bytes, sizeof(kind));
	return kind;
}

static u8 kind_type(u32 kind)
{
	return *(const u8 *)&kind;
}

static u8 kind_mode(u32 kind)
{
	return ((const u8 *)&kind)[1];
}

/* @copy is the caller's own. */
static int load(const struct record *r, struct record *copy)
{
	for (u32 try = 0; try < VAR_RETRIES; try++) {
		copy->sequence = load_acquire(&r->sequence);
		if (copy->sequence & 1)
			continue;
		copy->kind = load_acquire(&r->kind);
		for (u32 i = 0; i < ARRAY_SIZE(r->words); i++)
			copy->words[i] = load_acquire(&r->words[i]);
		if (load_acquire(&r->sequence) == copy->sequence)
			return 0;
	}
	return -EAGAIN;
}

static void store(struct record *r, const struct record *next)
{
	u32 odd = load_acquire(&r->sequence) | 1;

	store_release(&r->sequence, odd);
	store_release(&r->kind, next->kind);
	for (u32 i = 0; i < ARRAY_SIZE(r->words); i++)
		store_release(&r->words[i], next->words[i]);
	store_release(&r->sequence, odd + 1);
}

void var_format(void *table, const u8 *boot)
{
	struct head head = {
		.magic = VAR_MAGIC,
		.version = VAR_VERSION,
		.slots = VAR_SLOTS,
		.record_bytes = VAR_RECORD_BYTES,
	};

	memcpy(head.boot, boot, VAR_BOOT_BYTES);
	memset(table, 0, VAR_TABLE_BYTES);
	memcpy(table, &head, sizeof(head));
}

int var_check(const void *table, const u8 *boot)
{
	const struct head *h = table;

	if (h->magic != VAR_MAGIC || h->version != VAR_VERSION ||
	    h->slots != VAR_SLOTS || h->record_bytes != VAR_RECORD_BYTES)
		return -EPROTO;
	return memcmp(h->boot, boot, VAR_BOOT_BYTES) ? -ESTALE : 0;
}

u32 var_repair(void *table)
{
	static const struct record empty;
	struct record *r = table;
	u32 found = 0;

	for (u32 slot = 1; slot < VAR_SLOTS; slot++) {
		if (!(load_acquire(&r[slot].sequence) & 1))
			continue;
		store(&r[slot], &empty);
		found++;
	}
	return found;
}

/* Printable ASCII without spaces, with a NUL in its @size bytes. */
static bool text_valid(const char *text, size_t size, bool may_be_empty)
{
	size_t n = strnlen(text, size);

	if (n == size || (n == 0 && !may_be_empty))
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

int var_compare(u8 type, u64 a, u64 b)
{
	if (type == VAR_S64 || type == VAR_FIXED)
		return ((s64)a > (s64)b) - ((s64)a < (s64)b);
	return (a > b) - (a < b);
}

static bool within(u8 type, u64 value, u64 min, u64 max)
{
	return var_compare(type, value, min) >= 0 &&
	       var_compare(type, value, max) <= 0;
}

int var_valid(const struct var *v)
{
	if (!var_type_name(v->type) || !var_mode_name(v->mode) ||
	    v->confidence_ppm > 1000000 ||
	    !text_valid(v->name, sizeof(v->name), false) ||
	    !text_valid(v->unit, sizeof(v->unit), true) ||
	    !text_valid(v->producer, sizeof(v->producer), true) ||
	    (v->type == VAR_BOOL && v->max > 1) ||
	    !within(v->type, v->def, v->min, v->max))
		return -EINVAL;
	return within(v->type, v->value, v->min, v->max) ? 0 : -ERANGE;
}

/* FNV-1a; names come from one trusted writer. */
static u32 first_slot(const char *name)
{
	u32 hash = 2166136261u;

	for (size_t i = 0; i < VAR_NAME_BYTES && name[i]; i++)
		hash = (hash ^ (u8)name[i]) * 16777619u;
	return 1 + hash % (VAR_SLOTS - 1);
}

static u32 next_slot(u32 slot)
{
	return slot + 1 < VAR_SLOTS ? slot + 1 : 1;
}

static bool is_named(const struct record *copy, const char *name)
{
	return kind_type(copy->kind) &&
	       !strncmp(copy->body.name, name, VAR_NAME_BYTES);
}

int var_find(const void *table, const char *name)
{
	const struct record *r = table;
	u32 slot = first_slot(name);
	struct record copy;
	int ret = -ENOENT;

	for (u32 i = 0; i < VAR_PROBES; i++, slot = next_slot(slot)) {
		if (load(&r[slot], &copy)) {
			ret = -EAGAIN;
			continue;
		}
		if (is_named(&copy, name))
			return (int)slot;
		if (copy.sequence == 0) /* never used: none lies beyond */
			break;
	}
	return ret;
}

/* Where the writer puts @name: where it is, else the first free place. */
static int place(const void *table, const char *name)
{
	const struct record *r = table;
	u32 slot = first_slot(name);
	int found = var_find(table, name);

	for (u32 i = 0; found < 0 && i < VAR_PROBES; i++) {
		if (!kind_type(r[slot].kind))
			found = (int)slot;
		slot = next_slot(slot);
	}
	return found < 0 ? -ENOSPC : found;
}

/* At most as much of the text as leaves a NUL. */
static void put_text(char *out, const char *text, size_t size)
{
	size_t n = strnlen(text, size - 1);

	memset(out, 0, size);
	memcpy(out, text, n);
}

int var_write(void *table, const struct var *v)
{
	struct record *r = table;
	struct record next = {
		.kind = kind_of(v->type, v->mode),
		.body = {
			.value = v->value,
			.min = v->min,
			.max = v->max,
			.def = v->def,
			.updated_ns = v->updated_ns,
			.ttl_ms = v->ttl_ms,
			.confidence_ppm = v->confidence_ppm,
		},
	};
	int ret = var_valid(v);

	if (ret)
		return ret;
	ret = place(table, v->name);
	if (ret < 0)
		return ret;
	put_text(next.body.name, v->name, VAR_NAME_BYTES);
	put_text(next.body.unit, v->unit, VAR_UNIT_BYTES);
	put_text(next.body.producer, v->producer, VAR_PRODUCER_BYTES);
	store(&r[ret], &next);
	return ret;
}

int var_read(const void *table, u32 slot, struct var *v)
{
	const struct record *r = table;
	struct record copy;

	if (slot < 1 || slot >= VAR_SLOTS)
		return -EINVAL;
	if (load(&r[slot], &copy))
		return -EAGAIN;
	if (!kind_type(copy.kind))
		return -ENOENT;
	*v = (struct var){
		.value = copy.body.value,
		.min = copy.body.min,
		.max = copy.body.max,
		.def = copy.body.def,
		.updated_ns = copy.body.updated_ns,
		.ttl_ms = copy.body.ttl_ms,
		.confidence_ppm = copy.body.confidence_ppm,
		.type = kind_type(copy.kind),
		.mode = kind_mode(copy.kind),
	};
	put_text(v->name, copy.body.name, VAR_NAME_BYTES);
	put_text(v->unit, copy.body.unit, VAR_UNIT_BYTES);
	put_text(v->producer, copy.body.producer, VAR_PRODUCER_BYTES);
	return 0;
}

/* Older than @ms allows; what was written after now is of no known age. */
static bool too_old(u64 updated_ns, u64 now_ns, u32 ms)
{
	return updated_ns > now_ns ||
	       (ms && now_ns - updated_ns > (u64)ms * 1000000);
}

int var_judge(const struct var *v, const struct var_want *want, u64 now_ns,
	      u64 *value)
{
	*value = want->fallback;
	if (v->type != want->type)
		return -EPROTOTYPE;
	if (v->mode != VAR_ON)
		return -ECANCELED;
	if (too_old(v->updated_ns, now_ns, v->ttl_ms) ||
	    too_old(v->updated_ns, now_ns, want->max_age_ms))
		return -ESTALE;
	if (!within(v->type, v->value, v->min, v->max) ||
	    !within(v->type, v->value, want->min, want->max))
		return -ERANGE;
	*value = v->value;
	return 0;
}

int var_get(const void *table, u32 *slot, const char *name,
	    const struct var_want *want, u64 now_ns, u64 *value)
{
	struct var v = { 0 };
	u32 at = load_acquire(slot);
	int ret = at ? var_read(table, at, &v) : -ENOENT;

	*value = want->fallback;
	if (ret == -EAGAIN)
		return ret;
	if (ret || strcmp(v.name, name)) {
		ret = var_find(table, name);
		if (ret < 0)
			return ret;
		at = (u32)ret;
		ret = var_read(table, at, &v);
		if (ret)
			return ret;
		if (strcmp(v.name, name))
			return -ENOENT;
		store_release(slot, at);
	}
	return var_judge(&v, want, now_ns, value);
}

static const char *const types[] = {
	[VAR_S64] = "s64",
	[VAR_U64] = "u64",
	[VAR_FIXED] = "fixed",
	[VAR_BOOL] = "bool",
};

static const char *const modes[] = {
	[VAR_OFF] = "off",
	[VAR_SHADOW] = "shadow",
	[VAR_ON] = "on",
};

const char *var_type_name(u8 type)
{
	return type < ARRAY_SIZE(types) ? types[type] : NULL;
}

u8 var_type_of(const char *name)
{
	for (u8 i = VAR_NONE + 1; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i], name))
			return i;
	return VAR_NONE;
}

const char *var_mode_name(u8 mode)
{
	return mode < ARRAY_SIZE(modes) ? modes[mode] : NULL;
}

int var_mode_of(const char *name)
{
	for (u8 i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i], name))
			return i;
	return -EINVAL;
}
