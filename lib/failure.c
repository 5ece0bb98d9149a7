// SPDX-License-Identifier: LGPL-2.1-or-later
/* Failures as users read them; the contract is in failure.h. */
#include "failure.h"

#include <stdarg.h>

static void clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static void copy(char *out, size_t size, const char *s)
{
	snprintf(out, size, "%s", s ? s : "");
	clean(out);
}

int failure_set(struct failure *f, int code, const char *object,
		const char *remedy, const char *what_fmt, ...)
{
	va_list ap;

	if (!f)
		return code;
	f->code = code;
	copy(f->object, sizeof(f->object), object);
	copy(f->remedy, sizeof(f->remedy), remedy);
	va_start(ap, what_fmt);
	vsnprintf(f->what, sizeof(f->what), what_fmt, ap);
	va_end(ap);
	clean(f->what);
	return code;
}

void failure_print(const struct failure *f, FILE *out)
{
	fprintf(out, "virgo: %s%s%s%s%s\n", f->object, f->object[0] ? ": " : "",
		f->what, f->remedy[0] ? ". Try: " : "", f->remedy);
}

void failure_to_message(const struct failure *f, struct msg_error *m)
{
	m->code = f->code;
	m->object = span_of(f->object);
	m->what = span_of(f->what);
	m->remedy = span_of(f->remedy);
}

static void take(char *out, size_t size, struct span s)
{
	u32 len = s.len < size ? s.len : (u32)size - 1;

	if (len)
		memcpy(out, s.data, len);
	out[len] = '\0';
	clean(out);
}

void failure_from_message(struct failure *f, const struct msg_error *m)
{
	f->code = m->code < 0 ? m->code : -EPROTO;
	take(f->object, sizeof(f->object), m->object);
	take(f->what, sizeof(f->what), m->what);
	take(f->remedy, sizeof(f->remedy), m->remedy);
}
