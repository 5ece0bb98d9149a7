// SPDX-License-Identifier: GPL-2.0-or-later
/* Borrowing; the contract is in borrow.h. */
#include "borrow.h"

#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot.h"
#include "catalog.h"
#include "lenders.h"
#include "log.h"
#include "membership.h"
#include "memory.h"
#include "peers.h"
#include "service.h"
#include "where.h"

#define AGAIN_US (1000 * 1000ull) /* while something is under way */
#define LOOK_US (30 * 1000 * 1000ull) /* when all is well */

enum { TRY_AGAIN = 10 }; /* exit status of `virgo-borrow tend` */

struct borrow {
	struct node *node;
	struct watch guard; /* its socket; fd -1: not connected */
	struct watch child; /* pidfd of virgo-borrow; -1: none runs */
	pid_t pid;
	bool again; /* there was news while it ran */
	struct timer timer;
};

static bool anything_borrowed(const struct borrow *b)
{
	char path[4096];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/borrow", b->node->state);
	d = opendir(path);
	while (d && !found && (e = readdir(d)))
		found = e->d_name[0] != '.';
	if (d)
		closedir(d);
	return found;
}

static void tend(struct borrow *b);

static void guard_ready(struct watch *w, u32 events)
{
	struct borrow *b =
		(struct borrow *)((char *)w - offsetof(struct borrow, guard));
	char news[4096];
	ssize_t n = recv(w->fd, news, sizeof(news), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_unwatch(b->node->loop, w);
		close(w->fd);
		w->fd = -1;
	}
	tend(b);
}

/* To hear of changes one only connects. */
static void listen_to_guard(struct borrow *b)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (b->guard.fd >= 0 ||
	    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/guard.sock",
		     b->node->state) >= (int)sizeof(sa.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	b->guard.fd = fd;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    loop_watch(b->node->loop, &b->guard, EPOLLIN)) {
		close(fd);
		b->guard.fd = -1;
	}
}

static void child_ended(struct watch *w, u32 events)
{
	struct borrow *b =
		(struct borrow *)((char *)w - offsetof(struct borrow, child));
	bool was_heard = b->guard.fd >= 0;
	int status = 0;

	loop_unwatch(b->node->loop, w);
	close(w->fd);
	w->fd = -1;
	while (waitpid(b->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!anything_borrowed(b)) {
		loop_disarm(b->node->loop, &b->timer);
		return;
	}
	listen_to_guard(b);
	/* What happened before it listened may have gone unheard. */
	if (b->again || (!was_heard && b->guard.fd >= 0)) {
		tend(b);
		return;
	}
	loop_arm(b->node->loop, &b->timer,
		 !WIFEXITED(status) || WEXITSTATUS(status) == TRY_AGAIN ||
				 b->guard.fd < 0 ?
			 AGAIN_US :
			 LOOK_US);
}

static int start(struct borrow *b)
{
	extern char **environ;
	char program[4096];
	char *argv[] = { (char *)"virgo-borrow", (char *)"--state",
			 (char *)b->node->state, (char *)"tend", NULL };
	posix_spawnattr_t attributes;
	sigset_t none;
	int ret;

	if (where_program("virgo-borrow", program, sizeof(program)))
		return -ENOENT;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	ret = -posix_spawn(&b->pid, program, NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	if (ret)
		return ret;
	b->child.fd = (int)syscall(SYS_pidfd_open, b->pid, 0);
	if (b->child.fd >= 0 &&
	    !loop_watch(b->node->loop, &b->child, EPOLLIN))
		return 0;
	ret = -errno;
	if (b->child.fd >= 0)
		close(b->child.fd);
	b->child.fd = -1;
	waitpid(b->pid, NULL, 0); /* without a watch there is but to wait */
	return ret;
}

static void tend(struct borrow *b)
{
	int ret;

	if (b->child.fd >= 0) {
		b->again = true;
		return;
	}
	b->again = false;
	ret = start(b);
	if (!ret)
		return;
	log_error("virgo-borrow: not started: %s", strerror(-ret));
	loop_arm(b->node->loop, &b->timer, LOOK_US);
}

static void look_again(struct timer *t)
{
	tend((struct borrow *)((char *)t - offsetof(struct borrow, timer)));
}

static void serve_tend(struct request *r)
{
	tend(r->node->borrow);
	request_ok(r);
}

/* A lender asks again and again until its memory is released. */
static void serve_leaving(struct request *r)
{
	if (anything_borrowed(r->node->borrow))
		tend(r->node->borrow);
	request_ok(r);
}

/* One BORROW_LENDERS, until every node has answered. */
struct gathering {
	struct node *node;
	struct conn *conn;
	u64 tag;
	u64 bytes;
	u32 waiting;
	u32 count;
	struct lender lenders[LENDERS_MAX];
};

struct asked {
	struct gathering *all;
	struct lender *lender;
};

static void gathered(struct gathering *g)
{
	struct rec_lender rows[LENDERS_MAX];
	struct msg_borrow_lender_list m = { 0 };
	size_t size = 0;
	struct wcursor w;
	u8 *buf;
	u32 i;

	lenders_rank(g->lenders, g->count, g->bytes);
	for (i = 0; i < g->count; i++) {
		const struct lender *l = &g->lenders[i];

		rows[i] = (struct rec_lender){
			.node = span_of(l->node),
			.free_bytes = l->free_bytes,
			.round_trip_us = l->round_trip_us,
			.why = span_of(l->why),
		};
		size += 4 + rec_lender_size(&rows[i]);
	}
	buf = malloc(size + 1);
	if (buf) {
		w = wcursor_of(buf, size);
		for (i = 0; i < g->count; i++)
			rec_lender_append(&w, &rows[i]);
		m.lenders = (struct span){ buf, (u32)wcursor_len(&w) };
	}
	conn_reply(g->conn, g->tag, BORROW_LENDER_LIST, borrow_lender_list,
		   &m);
	free(buf);
	conn_put(g->conn);
	free(g);
}

static void take_offer(struct lender *l, const struct frame *f,
		       const u8 *payload)
{
	struct msg_memory_offer m;

	if (f->type == MSG_ERROR) {
		struct msg_error e;

		if (!msg_error_decode(&e, payload, f->length))
			snprintf(l->why, sizeof(l->why), "%.*s",
				 (int)e.what.len, (const char *)e.what.data);
	} else if (f->type == MSG_MEMORY_OFFER &&
		   !msg_memory_offer_decode(&m, payload, f->length)) {
		l->free_bytes = m.free_bytes;
		if (!m.free_bytes)
			snprintf(l->why, sizeof(l->why), "%.*s",
				 m.why.len ? (int)m.why.len : 14,
				 m.why.len ? (const char *)m.why.data :
					     "lends nothing ");
		if (m.leaving)
			snprintf(l->why, sizeof(l->why),
				 "takes its memory back");
		return;
	}
	if (!l->why[0])
		snprintf(l->why, sizeof(l->why), "cannot lend memory");
}

static void offered(void *arg, const struct frame *f, const u8 *payload,
		    const struct failure *why)
{
	struct asked *a = arg;
	struct gathering *g = a->all;

	if (f && f->flags & FRAME_MORE)
		return;
	if (f)
		take_offer(a->lender, f, payload);
	else
		snprintf(a->lender->why, sizeof(a->lender->why), "%.127s",
			 why->what);
	free(a);
	if (!--g->waiting)
		gathered(g);
}

static void ask(struct gathering *g, const struct member *m,
		struct span purpose)
{
	char boot[BOOT_ID_SIZE];
	struct msg_memory_query q = { .purpose = purpose };
	struct lender *l = &g->lenders[g->count++];
	struct asked *a;
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	*l = (struct lender){ .round_trip_us = m->round_trip_us };
	snprintf(l->node, sizeof(l->node), "%s", m->name);
	if (m->state != SWIM_UP || m->draining) {
		snprintf(l->why, sizeof(l->why), "%s", member_state_name(m));
		return;
	}
	boot_id(boot);
	q.boot = span_of(boot);
	msg_memory_query_encode(&w, &q);
	a = malloc(sizeof(*a));
	if (a)
		*a = (struct asked){ .all = g, .lender = l };
	if (a && peers_call(g->node->peers, m->name, TLS_CONTROL,
			    MSG_MEMORY_QUERY, buf, wcursor_len(&w), offered,
			    a)) {
		g->waiting++;
		return;
	}
	free(a);
	snprintf(l->why, sizeof(l->why), "out of memory here");
}

static void serve_lenders(struct request *r)
{
	struct msg_borrow_lenders m;
	const struct member *member;
	struct gathering *g;
	size_t at = 0;

	if (!request_decode(r, borrow_lenders, &m))
		return;
	if (m.purpose.len > 32) {
		request_fail(r, -EINVAL, "lenders", NULL, "swap or disk?");
		return;
	}
	g = calloc(1, sizeof(*g));
	if (!g) {
		request_fail(r, -ENOMEM, "lenders", NULL, "out of memory");
		return;
	}
	*g = (struct gathering){ .node = r->node,
				 .conn = conn_get(r->conn),
				 .tag = r->frame->tag,
				 .bytes = m.bytes };
	while (g->count < LENDERS_MAX &&
	       (member = membership_next(r->node->membership, &at)))
		if (!member->self)
			ask(g, member, m.purpose);
	if (!g->waiting)
		gathered(g);
}

/* One BORROW_PASS. */
struct passing {
	struct conn *conn;
	u64 tag;
};

static void pass_back(void *arg, const struct frame *f, const u8 *payload,
		      const struct failure *why)
{
	struct passing *p = arg;

	if (f && f->flags & FRAME_MORE)
		return;
	if (!f) {
		conn_reply_failure(p->conn, p->tag, why);
	} else if (f->type == MSG_ERROR) {
		const struct frame out = { .type = MSG_ERROR,
					   .flags = FRAME_REPLY,
					   .tag = p->tag };

		conn_send(p->conn, &out, payload, f->length, NULL, 0);
	} else {
		const struct msg_borrow_passed m = {
			.type = f->type, .payload = { payload, f->length },
		};

		conn_reply(p->conn, p->tag, BORROW_PASSED, borrow_passed, &m);
	}
	conn_put(p->conn);
	free(p);
}

static void serve_pass(struct request *r)
{
	struct msg_borrow_pass m;
	struct passing *p;
	char node[64];

	if (!request_decode(r, borrow_pass, &m))
		return;
	if ((m.type != MSG_MEMORY_LEASE && m.type != MSG_MEMORY_RELEASE &&
	     m.type != MSG_MEMORY_LEASES) ||
	    !span_to_cstr(m.node, node, sizeof(node))) {
		request_fail(r, -EINVAL, "lender", NULL,
			     "only requests about leases are passed on");
		return;
	}
	p = malloc(sizeof(*p));
	if (p) {
		*p = (struct passing){ .conn = conn_get(r->conn),
				       .tag = r->frame->tag };
		if (peers_call(r->node->peers, node, TLS_CONTROL, m.type,
			       m.payload.data, m.payload.len, pass_back, p))
			return;
		conn_put(p->conn);
		free(p);
	}
	request_fail(r, -ENOMEM, node, NULL, "out of memory");
}

/* One leg's line of a record, for `virgo memory status`. */
static void add_leg(const char *line, struct rec_borrowed *b,
		    memory_add_fn *add, void *arg)
{
	unsigned long long generation;
	char lender[64];
	int part, leaving;

	if (sscanf(line, "leg number=%*u index=%*d lender=%63s generation=%llu "
		   "export=%*s addresses=%*s part=%d leaving=%d", lender,
		   &generation, &part, &leaving) != 4)
		return;
	b->lender = span_of(lender);
	b->generation = generation;
	b->state = span_of(leaving ? "leaving" : part ? "in use" :
						       "to be released");
	add(arg, b);
}

/* Records are virgo-borrow's; they are replaced as a whole. */
static void add_record(const struct borrow *b, const char *name,
		       memory_add_fn *add, void *arg)
{
	char path[4096], line[1024], kind[8], device[24];
	struct rec_borrowed row = { .name = span_of(name) };
	unsigned long long bytes;
	FILE *f;
	int md;

	snprintf(path, sizeof(path), "%s/borrow/%s", b->node->state, name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(line, sizeof(line), f) &&
	    sscanf(line, "%7s bytes=%llu mirror=%*u priority=%*d seal=%*d "
		   "ready=%*d md=%d", kind, &bytes, &md) == 3) {
		snprintf(device, sizeof(device), "/dev/md%d", md);
		row.purpose = span_of(kind);
		row.bytes = bytes;
		row.device = span_of(md >= 0 ? device : "");
		while (fgets(line, sizeof(line), f))
			add_leg(line, &row, add, arg);
	}
	fclose(f);
}

static void fill_status(struct node *n, memory_add_fn *add, void *arg)
{
	char path[4096];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/borrow", n->state);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && !strstr(e->d_name, ".new"))
			add_record(n->borrow, e->d_name, add, arg);
	if (d)
		closedir(d);
}

static const struct service services[] = {
	{ MSG_BORROW_LENDERS, FROM_ROOT, serve_lenders },
	{ MSG_BORROW_PASS, FROM_ROOT, serve_pass },
	{ MSG_BORROW_TEND, FROM_ROOT, serve_tend },
	{ MSG_MEMORY_LEAVING, FROM_PEER, serve_leaving },
};

struct borrow *borrow_new(struct node *n)
{
	struct borrow *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->node = n;
	b->guard = (struct watch){ .fd = -1, .ready = guard_ready };
	b->child = (struct watch){ .fd = -1, .ready = child_ended };
	b->timer.fire = look_again;
	service_add(n, services, ARRAY_SIZE(services));
	memory_on_status(n->memory, fill_status);
	/* Its first questions come when the loop runs and the sockets listen. */
	if (anything_borrowed(b))
		loop_arm(n->loop, &b->timer, 0);
	return b;
}

void borrow_free(struct borrow *b)
{
	if (!b)
		return;
	loop_disarm(b->node->loop, &b->timer);
	if (b->guard.fd >= 0) {
		loop_unwatch(b->node->loop, &b->guard);
		close(b->guard.fd);
	}
	if (b->child.fd >= 0) { /* it may go on, and ends by itself */
		loop_unwatch(b->node->loop, &b->child);
		close(b->child.fd);
	}
	free(b);
}
