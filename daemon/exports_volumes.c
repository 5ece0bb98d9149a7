// SPDX-License-Identifier: GPL-2.0-or-later
/* Which volumes are served, and the sessions that use one which changes. */
#include <stdlib.h>

#include "exports_impl.h"
#include "log.h"

struct volume *exports_volume(struct exports *e, struct span name)
{
	size_t i;

	for (i = 0; i < e->volume_count; i++)
		if (span_equal(name, span_of(e->volumes[i]->name)))
			return e->volumes[i];
	return NULL;
}

static const struct rec_volume_row *
row_of(const struct volume *v, const struct rec_volume_row *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (span_equal(rows[i].name, span_of(v->name)))
			return &rows[i];
	return NULL;
}

/* Brings the sessions in line with @now, which replaces @old; either may be
 * NULL. A client that is not allowed any more loses the volume.
 */
static void reattach(struct exports *e, struct volume *old, struct volume *now)
{
	struct filesession *s;
	bool read_only;

	for (s = e->sessions; s; s = s->next) {
		struct volume *v =
			filesession_volume(s, old->number, &read_only);

		if (!v)
			continue;
		volume_put(v);
		if (now && now->number == old->number &&
		    volume_allows(now->allow, s->node, &read_only))
			filesession_attach(s, now, read_only);
		else
			filesession_detach(s, old->number);
	}
}

void exports_set(struct exports *e, const struct rec_volume_row *rows,
		 size_t count)
{
	struct volume **list = calloc(count + 1, sizeof(struct volume *));
	size_t made = 0;
	size_t i, k;

	if (!list)
		return;
	for (i = 0; i < count; i++) {
		struct volume *old = exports_volume(e, rows[i].name);
		struct failure f = { 0 };

		if (old && volume_matches(old, &rows[i]))
			list[made++] = volume_get(old);
		else if (volume_open(&list[made], &rows[i], e->key, old, &f) ==
			 0)
			made++;
		else
			log_error("volume %s: %s", f.object, f.what);
	}
	for (i = 0; i < e->volume_count; i++) {
		struct volume *old = e->volumes[i];
		struct volume *now = NULL;

		for (k = 0; k < made; k++)
			if (row_of(old, rows, count) &&
			    !strcmp(list[k]->name, old->name))
				now = list[k];
		if (now != old)
			reattach(e, old, now);
		volume_put(old);
	}
	free(e->volumes);
	e->volumes = list;
	e->volume_count = made;
}
