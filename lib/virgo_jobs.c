// SPDX-License-Identifier: LGPL-2.1-or-later
/* virgo_jobs(): the caller's jobs on a node. */
#include "object.h"
#include "virgo.h"

static void fill_job(const struct rec_job_status *r, struct virgo_job *j)
{
	*j = (struct virgo_job){
		.job = r->job,
		.started_s = r->started_s,
		.status = r->status,
		.pid = r->pid,
		.flags = r->detached ? VIRGO_JOB_DETACHED : 0,
	};
	if (span_equal(r->state, span_of("ended")))
		j->flags |= VIRGO_JOB_ENDED;
	api_text(j->node, sizeof(j->node), r->node);
	api_text(j->user, sizeof(j->user), r->user);
	api_text(j->from, sizeof(j->from), r->from);
	api_text(j->command, sizeof(j->command), r->command);
}

static ssize_t take_jobs(struct span reply, u8 *out, size_t count, size_t size)
{
	struct rec_job_status row;
	struct virgo_job j;
	struct msg_jobs m;
	struct rcursor c;
	size_t i;
	int ret;

	if (msg_jobs_decode(&m, reply.data, reply.len))
		return -EPROTO;
	c = rcursor_of(m.jobs.data, m.jobs.len);
	for (i = 0; (ret = rec_job_status_next(&c, &row)) > 0; i++) {
		if (i >= count)
			continue;
		fill_job(&row, &j);
		api_copy(out + i * size, size, &j, sizeof(j));
	}
	return ret ? -EPROTO : (ssize_t)i;
}

ssize_t virgo_jobs(const char *node, struct virgo_job *jobs, size_t count,
		   size_t size)
{
	struct msg_job_list m = { 0 };
	struct failure f = { 0 };
	struct client *c;
	struct span reply;
	ssize_t ret;
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (api_connect(&c, &f))
		return api_fail(&f);
	m.node = span_of(node ? node : client_node(c));
	msg_job_list_encode(&w, &m);
	ret = w.bad ? failure_set(&f, -ENAMETOOLONG, "jobs", NULL,
				  "no node has so long a name") :
		      client_call(c, MSG_JOB_LIST, buf, wcursor_len(&w),
				  MSG_JOBS, &reply, &f);
	if (!ret)
		ret = take_jobs(reply, (u8 *)jobs, count, size);
	client_close(c);
	return f.code ? api_fail(&f) : api_result(ret, "jobs");
}
