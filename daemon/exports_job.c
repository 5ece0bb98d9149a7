// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A request on its way through a worker and back to its client. One that waits
 * for a lock is parked between two tries.
 */
#include <stdio.h>

#include "exports_impl.h"

static void tell_names(struct job *j)
{
	struct filesession *s = j->session;
	int i;

	for (i = 0; i < j->id_count; i++) {
		struct msg_file_name m = { .kind = j->id_kinds[i],
					   .id = j->ids[i] };
		char name[IDNAME_MAX], cloud[IDNAME_MAX];

		/* The name service was too slow: told again with the next. */
		if (!idnames_peek(m.kind, m.id, false, name))
			snprintf(name, sizeof(name), "#%u", m.id);
		else if (!filesession_tell(s, m.kind, m.id))
			continue;
		snprintf(cloud, sizeof(cloud), "%s", name);
		if (m.kind == FILE_ID_USER)
			filesession_cloud_name(s, name, cloud);
		m.name = span_of(cloud);
		conn_message(s->conn, 0, FRAME_REPLY, 0, FILE_NAME, file_name,
			     &m);
	}
}

static void tell_changed(struct job *j)
{
	int i;

	for (i = 0; i < j->changed_count; i++) {
		const struct msg_file_changed m = {
			.handle = j->changed[i].handle,
			.attr = { j->changed[i].attr, ATTR_BYTES },
		};

		conn_message(j->session->conn, j->tag, FRAME_REPLY | FRAME_MORE,
			     0, FILE_CHANGED, file_changed, &m);
	}
}

void exports_send(struct filesession *s, u64 tag, u16 type, const void *head,
		  size_t head_len, const void *body, size_t body_len)
{
	const struct frame f = { .type = type,
				 .flags = FRAME_REPLY,
				 .tag = tag };

	if (s->conn)
		conn_send(s->conn, &f, head, head_len, body, body_len);
}

static void answer_error(struct job *j, int code)
{
	const struct msg_error m = { .code = code };
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_error_encode(&w, &m);
	exports_send(j->session, j->tag, MSG_ERROR, buf, wcursor_len(&w), NULL,
		     0);
	if (j->op->flags & FILEOP_ONCE)
		filesession_keep_reply(j->session, j->tag, MSG_ERROR, buf,
				       wcursor_len(&w));
}

static void answer(struct job *j, int ret)
{
	struct filesession *s = j->session;

	if (ret) {
		answer_error(j, ret);
		return;
	}
	if (!j->reply)
		j->reply_type = MSG_OK;
	if (s->conn) {
		tell_names(j);
		tell_changed(j);
	}
	exports_send(s, j->tag, j->reply_type, j->reply, j->reply_len, j->body,
		     j->body_len);
	if (j->op->flags & FILEOP_ONCE)
		filesession_keep_reply(s, j->tag, j->reply_type, j->reply,
				       j->reply_len);
}

void exports_job_unlink(struct job *j)
{
	*j->link = j->next;
	if (j->next)
		j->next->link = j->link;
}

static void job_end(struct job *j)
{
	struct filesession *s = j->session;

	exports_job_unlink(j);
	s->jobs--;
	job_free(j);
	exports_session_resume(s);
	exports_session_try_free(s);
}

static void unpark(struct job *j)
{
	struct job **at = &j->exports->parked;

	while (*at && *at != j)
		at = &(*at)->parked;
	if (*at)
		*at = j->parked;
}

void exports_job_drop_parked(struct filesession *s)
{
	struct job *j, *next;

	for (j = s->exports->parked; j; j = next) {
		next = j->parked;
		if (j->session != s)
			continue;
		unpark(j);
		exports_job_unlink(j);
		s->jobs--;
		job_free(j);
	}
}

static void run(struct work *w)
{
	struct job *j = (struct job *)((char *)w - offsetof(struct job, work));

	j->ret = job_run(j);
}

static void park(struct job *j)
{
	j->parked = j->exports->parked;
	j->exports->parked = j;
	exports_tick_later(j->exports);
}

static void done(struct work *w)
{
	struct job *j = (struct job *)((char *)w - offsetof(struct job, work));
	struct exports *e = j->exports;
	bool unlocks = j->op->flags & FILEOP_UNLOCKS && !j->ret;

	if (j->ret == -EAGAIN && j->waits && !j->session->ended) {
		if (!j->cancelled) {
			park(j);
			return;
		}
		j->ret = -EINTR;
	}
	answer(j, j->ret);
	job_end(j);
	if (unlocks)
		exports_job_retry(e);
}

void exports_job_retry(struct exports *e)
{
	struct job *list = e->parked;

	e->parked = NULL;
	while (list) {
		struct job *j = list;

		list = j->parked;
		workers_submit(e->workers, &j->work);
	}
}

void exports_job_start(struct job *j)
{
	struct filesession *s = j->session;

	j->work.run = run;
	j->work.done = done;
	j->next = s->running;
	j->link = &s->running;
	if (j->next)
		j->next->link = &j->next;
	s->running = j;
	s->jobs++;
	workers_submit(j->exports->workers, &j->work);
	exports_session_hold_back(s);
}
