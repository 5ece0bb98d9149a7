// SPDX-License-Identifier: GPL-2.0-or-later
/* Shrinkers of two kernels; see shrink.h. */
#include "shrink.h"

#ifdef HAVE_SHRINKER_ALLOC

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct shrink *s = shrinker->private_data;

	return s->count(s);
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct shrink *s = shrinker->private_data;

	return s->scan(s, sc->nr_to_scan);
}

int shrink_start(struct shrink *s)
{
	s->shrinker = shrinker_alloc(0, "virgo");
	if (!s->shrinker)
		return -ENOMEM;
	s->shrinker->count_objects = count;
	s->shrinker->scan_objects = scan;
	s->shrinker->private_data = s;
	shrinker_register(s->shrinker);
	return 0;
}

void shrink_stop(struct shrink *s)
{
	shrinker_free(s->shrinker);
}

#else

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct shrink *s = container_of(shrinker, struct shrink, shrinker);

	return s->count(s);
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct shrink *s = container_of(shrinker, struct shrink, shrinker);

	return s->scan(s, sc->nr_to_scan);
}

int shrink_start(struct shrink *s)
{
	s->shrinker.count_objects = count;
	s->shrinker.scan_objects = scan;
	s->shrinker.seeks = DEFAULT_SEEKS;
	return register_shrinker(&s->shrinker, "virgo");
}

void shrink_stop(struct shrink *s)
{
	unregister_shrinker(&s->shrinker);
}

#endif
