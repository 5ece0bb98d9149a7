// SPDX-License-Identifier: GPL-2.0-or-later
/* Waiting for connections; the contract is in want.h. */
#include "want.h"

#include <linux/err.h>
#include <linux/string.h>

#include "control.h"
#include "instance.h"

/* On the stack of who waits. */
struct want {
	struct list_head link;
	const char *node;
	bool failed; /* under wants.lock */
};

void wants_init(struct wants *ws)
{
	spin_lock_init(&ws->lock);
	INIT_LIST_HEAD(&ws->list);
	init_waitqueue_head(&ws->news);
}

void want_news(struct instance *in)
{
	wake_up_all(&in->wants.news);
}

void want_failed(struct instance *in, const char *node)
{
	struct want *w;

	spin_lock_bh(&in->wants.lock);
	list_for_each_entry(w, &in->wants.list, link)
		if (!strcmp(w->node, node))
			w->failed = true;
	spin_unlock_bh(&in->wants.lock);
	want_news(in);
}

static bool is_over(struct instance *in, struct want *w)
{
	bool ret;

	spin_lock_bh(&in->wants.lock);
	ret = w->failed;
	spin_unlock_bh(&in->wants.lock);
	return ret || READ_ONCE(in->dead);
}

void *want_wait(struct instance *in, const char *node, u32 ms,
		void *(*find)(struct instance *in, const char *node))
{
	struct wants *ws = &in->wants;
	struct want w = { .node = node };
	void *found = NULL;
	long left;

	spin_lock_bh(&ws->lock);
	list_add_tail(&w.link, &ws->list);
	spin_unlock_bh(&ws->lock);
	left = control_tell_wanted(in, node) ?
		wait_event_killable_timeout(ws->news,
					    (found = find(in, node)) ||
					    is_over(in, &w),
					    msecs_to_jiffies(min_t(u32, ms,
								   WANT_MS_MAX))) : 0;
	spin_lock_bh(&ws->lock);
	list_del(&w.link);
	spin_unlock_bh(&ws->lock);
	if (found)
		return found;
	return ERR_PTR(left < 0 ? -EINTR : -EHOSTDOWN);
}
