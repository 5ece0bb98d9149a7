// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Framed connections: two ends in one loop, over TLS on loopback and over a
 * unix socket pair; refusals, floods, garbage and death.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "conn.h"
#include "identity_kit.h"

enum { LIFE = 3600 };

static struct loop *loop;
static struct authority *authority;

struct end {
	struct conn *conn;
	int opened;
	int closed;
	int frames;
	int drained;
	u64 bytes;
	struct failure why;
	u8 last[64];
	bool echo;
};

static void on_open(struct conn *c)
{
	((struct end *)conn_arg(c))->opened++;
}

static void on_frame(struct conn *c, const struct frame *f, const u8 *payload)
{
	struct end *e = conn_arg(c);

	e->frames++;
	e->bytes += f->length;
	memcpy(e->last, payload,
	       f->length < sizeof(e->last) ? f->length : sizeof(e->last));
	if (e->echo)
		conn_send(c, f, payload, f->length, NULL, 0);
}

static void on_drained(struct conn *c)
{
	((struct end *)conn_arg(c))->drained++;
}

static void on_closed(struct conn *c, const struct failure *why)
{
	struct end *e = conn_arg(c);

	e->closed++;
	e->why = *why;
	e->conn = NULL;
}

static const struct conn_ops ops = { .on_open = on_open,
				     .on_frame = on_frame,
				     .on_drained = on_drained,
				     .on_closed = on_closed };
static const struct conn_ops *ops_used = &ops;
static const struct conn_local local = { .node = "test" };

static void set_up(void)
{
	loop = loop_new();
	authority = kit_authority();
}

static void tear_down(void)
{
	loop_free(loop);
	authority_free(authority);
}

TestSuite(conn, .init = set_up, .fini = tear_down, .timeout = 60);

#define run_until(cond)                                                        \
	do {                                                                   \
		u64 limit_ = loop_clock_us() + 20000000;                       \
		while (!(cond)) {                                              \
			cr_assert_eq(loop_step(loop, 100), 0);                 \
			cr_assert_lt(loop_clock_us(), limit_, "too slow: %s",  \
				     #cond);                                   \
		}                                                              \
	} while (0)

/* A connected pair of TCP sockets on loopback; [0] is the accepted one. */
static void tcp_pair(int fd[2], struct sockaddr_in *sa)
{
	socklen_t len = sizeof(*sa);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	*sa = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cr_assert_eq(bind(l, (struct sockaddr *)sa, len), 0);
	cr_assert_eq(listen(l, 1), 0);
	cr_assert_eq(getsockname(l, (struct sockaddr *)sa, &len), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(fd[1], (struct sockaddr *)sa, len), 0);
	fd[0] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	cr_assert_geq(fd[0], 0);
	close(l);
}

/* Starts a server end and dials it from loop @from; the caller runs the loops. */
static void tls_dial_from(struct loop *from, struct end *server,
			  struct end *client, struct tls_identity *sid,
			  struct tls_identity *cid, enum tls_class class,
			  unsigned int classes, const char *expect,
			  const u8 *pin)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	int fd;

	cr_assert_eq(bind(l, (struct sockaddr *)&sa, len), 0);
	cr_assert_eq(listen(l, 1), 0);
	cr_assert_eq(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	client->conn = conn_dial(from, (struct sockaddr *)&sa, len, cid, class,
				 expect, pin, &local, ops_used, client);
	cr_assert_not_null(client->conn);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	server->conn = conn_accept(loop, fd, sid, classes, &local,
				   ops_used, server);
	cr_assert_not_null(server->conn);
	close(l);
}

static void tls_dial(struct end *server, struct end *client,
		     struct tls_identity *sid, struct tls_identity *cid,
		     enum tls_class class, unsigned int classes,
		     const char *expect, const u8 *pin)
{
	tls_dial_from(loop, server, client, sid, cid, class, classes, expect,
		      pin);
}

static void close_both(struct end *a, struct end *b)
{
	if (a->conn)
		conn_close(a->conn, NULL);
	if (b->conn)
		conn_close(b->conn, NULL);
	run_until(a->closed && b->closed);
}

static void send_bytes(struct conn *c, u64 tag, const void *p, size_t len)
{
	const struct frame f = { .type = MSG_JOB_DATA, .tag = tag };

	cr_assert_eq(conn_send(c, &f, p, len, NULL, 0), 0);
}

Test(conn, two_nodes_greet_and_know_each_other)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct tls_identity *b = kit_identity(authority, "beta", time(NULL),
					      LIFE);
	struct end s = { .echo = true };
	struct end c = { 0 };

	tls_dial(&s, &c, a, b, TLS_KERNEL, 1u << TLS_KERNEL, "alpha", NULL);
	run_until(s.opened && c.opened);
	cr_assert_str_eq(conn_peer(s.conn)->node, "beta");
	cr_assert_str_eq(conn_peer(c.conn)->node, "alpha");
	cr_assert_eq(conn_peer(s.conn)->class, TLS_KERNEL);
	send_bytes(c.conn, 1, "hello", 5);
	run_until(c.frames == 1);
	cr_assert_eq(memcmp(c.last, "hello", 5), 0);
	close_both(&s, &c);
	tls_identity_put(a);
	tls_identity_put(b);
}

static int secured_fd[2]; /* of alpha, who was dialled, and of beta */

/* What is sent at once behind the handshake must lie in the socket, whole. */
static void on_secured(struct conn *c, int fd, struct tls_session *tls)
{
	bool server = !strcmp(tls_session_peer(tls)->node, "beta");

	cr_assert_eq(tls_session_peer(tls)->class, TLS_MODULE);
	cr_assert_eq(tls_session_current(tls, time(NULL), NULL), 0);
	if (!server)
		cr_assert_eq(send(fd, "beyond", 6, 0), 6);
	secured_fd[!server] = fd;
	tls_session_free(tls);
}

static const struct conn_ops module_ops = { .on_open = on_open,
					    .on_secured = on_secured,
					    .on_closed = on_closed };

Test(conn, of_the_module_are_given_away_with_nothing_read_beyond_the_handshake)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct tls_identity *b = kit_identity(authority, "beta", time(NULL),
					      LIFE);
	struct end s = { 0 };
	struct end c = { 0 };
	char got[16];

	ops_used = &module_ops;
	tls_dial(&s, &c, a, b, TLS_MODULE, 1u << TLS_MODULE | 1u << TLS_CONTROL,
		 "alpha", NULL);
	run_until(s.closed && c.closed);
	cr_assert_eq(s.why.code, 0);
	cr_assert_eq(c.why.code, 0);
	cr_assert_eq(s.opened + c.opened, 0);
	cr_assert_eq(recv(secured_fd[0], got, sizeof(got), MSG_DONTWAIT), 6);
	cr_assert_eq(memcmp(got, "beyond", 6), 0);
	close(secured_fd[0]);
	close(secured_fd[1]);
	tls_identity_put(a);
	tls_identity_put(b);
}

Test(conn, of_the_module_are_refused_where_it_is_not)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct tls_identity *b = kit_identity(authority, "beta", time(NULL),
					      LIFE);
	struct end s = { 0 };
	struct end c = { 0 };

	ops_used = &module_ops;
	tls_dial(&s, &c, a, b, TLS_MODULE, 1u << TLS_CONTROL, "alpha", NULL);
	run_until(s.closed && c.closed);
	cr_assert_eq(c.why.code, -EACCES);
	cr_assert_eq(s.opened + c.opened, 0);
	tls_identity_put(a);
	tls_identity_put(b);
}

static s64 life_end;

static s64 renewed_beta(const struct tls_peer *of, void *arg)
{
	return strcmp(of->node, "beta") ? 0 : *(s64 *)arg;
}

/* Opens a connection of alpha and beta, whose certificates end after so long. */
static void live_for(struct end *s, struct end *c, s64 a_life_s, s64 b_life_s,
		     s64 *renewed)
{
	s64 now = time(NULL);
	struct tls_identity *a = kit_identity(authority, "alpha", now,
					      a_life_s);
	struct tls_identity *b = kit_identity(authority, "beta", now, b_life_s);

	life_end = now + b_life_s;
	tls_identity_set_renewed(a, renewed_beta, renewed);
	tls_identity_set_renewed(b, renewed_beta, renewed);
	tls_dial(s, c, a, b, TLS_CONTROL, 1u << TLS_CONTROL, "alpha", NULL);
	run_until(s->opened && c->opened);
	tls_identity_put(a);
	tls_identity_put(b);
}

Test(conn, expires_at_both_ends_with_its_certificate)
{
	struct end s = { 0 };
	struct end c = { 0 };
	s64 renewed = 0;

	live_for(&s, &c, LIFE, 3, &renewed);
	run_until(s.closed && c.closed);
	cr_assert_gt(time(NULL), life_end);
	/* Whoever comes first tells the other. */
	cr_assert_eq(s.why.code, -EKEYEXPIRED);
	cr_assert_eq(c.why.code, -EKEYEXPIRED);
	cr_assert(strstr(s.why.what, "certificate"));
	cr_assert(strstr(c.why.what, "certificate"));
}

Test(conn, outlives_its_certificate_when_that_was_renewed)
{
	struct end s = { 0 };
	struct end c = { 0 };
	s64 renewed = time(NULL) + LIFE;

	live_for(&s, &c, LIFE, 3, &renewed);
	while (time(NULL) < life_end + 3)
		cr_assert_eq(loop_step(loop, 100), 0);
	cr_assert_not(s.closed);
	cr_assert_not(c.closed);
	close_both(&s, &c);
}

Test(conn, megabytes_arrive_whole_and_backpressure_is_told)
{
	enum { FRAMES = 64 };
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	u8 *big = calloc(1, 1 << 20);
	struct end s = { 0 };
	struct end c = { 0 };
	int i;

	tls_dial(&s, &c, a, a, TLS_CONTROL, 1u << TLS_CONTROL, NULL, NULL);
	run_until(s.opened && c.opened);
	conn_pause(s.conn);
	for (i = 0; i < FRAMES; i++)
		send_bytes(c.conn, (u64)i, big, 1 << 20);
	cr_assert_gt(conn_queued(c.conn), CONN_HIGH);
	cr_assert_eq(loop_step(loop, 100), 0);
	cr_assert_lt(s.frames, FRAMES);
	conn_resume(s.conn);
	run_until(s.frames == FRAMES);
	cr_assert_eq(s.bytes, (u64)FRAMES << 20);
	run_until(c.drained == 1);
	cr_assert_eq(conn_queued(c.conn), 0);
	close_both(&s, &c);
	tls_identity_put(a);
	free(big);
}

Test(conn, frame_sent_right_before_the_end_arrives)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct end s = { 0 };
	struct end c = { 0 };

	tls_dial(&s, &c, a, a, TLS_CONTROL, 1u << TLS_CONTROL, NULL, NULL);
	run_until(s.opened && c.opened);
	send_bytes(s.conn, 1, "last words", 10);
	conn_finish(s.conn);
	run_until(c.closed);
	cr_assert_eq(c.frames, 1);
	cr_assert_eq(memcmp(c.last, "last words", 10), 0);
	close_both(&s, &c);
	tls_identity_put(a);
}

/* Dials with what should be refused; both ends close and no frame passes. */
static void expect_refusal(struct tls_identity *sid, struct tls_identity *cid,
			   enum tls_class class, const char *expect,
			   const char *server_why, const char *client_why)
{
	struct end s = { 0 };
	struct end c = { 0 };

	tls_dial(&s, &c, sid, cid, class, 1u << TLS_CONTROL, expect, NULL);
	run_until(s.closed && c.closed);
	cr_assert_eq(s.opened, 0);
	cr_assert_eq(s.frames + c.frames, 0);
	if (server_why)
		cr_assert_not_null(strstr(s.why.what, server_why), "%s",
				   s.why.what);
	if (client_why)
		cr_assert_not_null(strstr(c.why.what, client_why), "%s",
				   c.why.what);
	tls_identity_put(sid);
	tls_identity_put(cid);
}

Test(conn, other_cloud_is_refused)
{
	struct authority *other = kit_authority();

	expect_refusal(kit_identity(authority, "alpha", time(NULL), LIFE),
		       kit_identity(other, "alpha", time(NULL), LIFE),
		       TLS_CONTROL, NULL, NULL, "not of this cloud");
	authority_free(other);
}

Test(conn, client_of_another_cloud_that_does_not_care_is_refused)
{
	struct authority *other = kit_authority();
	struct tls_identity *mallory = kit_identity(other, "alpha", time(NULL),
						    LIFE);
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct end s = { 0 };
	struct end c = { 0 };
	u8 pin[32];

	/* Pinning the true authority makes the client accept the server. */
	memcpy(pin, authority_fingerprint(authority), sizeof(pin));
	tls_dial(&s, &c, a, mallory, TLS_CONTROL, 1u << TLS_CONTROL, NULL, pin);
	run_until(s.closed && c.closed);
	cr_assert_eq(s.opened, 0);
	cr_assert_eq(s.frames, 0);
	tls_identity_put(a);
	tls_identity_put(mallory);
	authority_free(other);
}

Test(conn, expired_certificate_is_refused)
{
	expect_refusal(kit_identity(authority, "alpha", time(NULL) - 7200, 3600),
		       kit_identity(authority, "beta", time(NULL), LIFE),
		       TLS_CONTROL, NULL, NULL, "expired");
}

Test(conn, wrong_name_is_refused)
{
	expect_refusal(kit_identity(authority, "alpha", time(NULL), LIFE),
		       kit_identity(authority, "beta", time(NULL), LIFE),
		       TLS_CONTROL, "gamma", NULL, "gamma");
}

Test(conn, class_the_server_does_not_serve_is_refused)
{
	expect_refusal(kit_identity(authority, "alpha", time(NULL), LIFE),
		       kit_identity(authority, "beta", time(NULL), LIFE),
		       TLS_KERNEL, NULL, NULL, NULL);
}

static bool refuse_beta(const struct tls_peer *peer, void *arg)
{
	return !strcmp(peer->node, "beta");
}

Test(conn, removed_node_is_refused)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);

	tls_identity_set_refused(a, refuse_beta, NULL);
	expect_refusal(a, kit_identity(authority, "beta", time(NULL), LIFE),
		       TLS_CONTROL, NULL, "removed", NULL);
}

Test(conn, joiner_pins_the_authority)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct end s = { 0 };
	struct end c = { 0 };
	u8 pin[32];

	memcpy(pin, authority_fingerprint(authority), sizeof(pin));
	tls_dial(&s, &c, a, NULL, TLS_JOIN, 1u << TLS_JOIN, "alpha", pin);
	run_until(s.opened && c.opened);
	cr_assert_str_eq(conn_peer(s.conn)->node, "");
	close_both(&s, &c);

	pin[0] ^= 1;
	s = (struct end){ 0 };
	c = (struct end){ 0 };
	tls_dial(&s, &c, a, NULL, TLS_JOIN, 1u << TLS_JOIN, "alpha", pin);
	run_until(s.closed && c.closed);
	cr_assert_eq(c.opened, 0);
	cr_assert_not_null(strstr(c.why.what, "invitation"), "%s", c.why.what);
	tls_identity_put(a);
}

Test(conn, garbage_ends_the_connection_with_a_reason)
{
	struct end s = { 0 };
	struct sockaddr_in sa;
	char noise[64];
	int fd[2];

	memset(noise, 0xa5, sizeof(noise));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd),
		     0);
	s.conn = conn_accept(loop, fd[0], NULL, 0, &local, &ops, &s);
	cr_assert_eq(write(fd[1], noise, sizeof(noise)), sizeof(noise));
	run_until(s.closed);
	cr_assert_eq(s.why.code, -EPROTO);
	close(fd[1]);

	s = (struct end){ 0 };
	tcp_pair(fd, &sa);
	s.conn = conn_accept(loop, fd[0],
			     kit_identity(authority, "alpha", time(NULL), LIFE),
			     1u << TLS_CONTROL, &local, &ops, &s);
	cr_assert_eq(write(fd[1], noise, sizeof(noise)), sizeof(noise));
	run_until(s.closed);
	cr_assert_eq(s.opened, 0);
	close(fd[1]);
}

Test(conn, silence_instead_of_a_greeting_is_closed_in_time)
{
	struct end s = { 0 };
	struct sockaddr_in sa;
	u64 start = loop_clock_us();
	int fd[2];

	tcp_pair(fd, &sa);
	s.conn = conn_accept(loop, fd[0],
			     kit_identity(authority, "alpha", time(NULL), LIFE),
			     1u << TLS_CONTROL, &local, &ops, &s);
	run_until(s.closed);
	cr_assert_eq(s.why.code, -ETIMEDOUT);
	cr_assert_lt(loop_clock_us() - start, 7000000);
	close(fd[1]);
}

/* Both ends are stopped for longer than silence may last: none was silent. */
Test(conn, outlives_that_its_program_is_stopped)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	const u64 limit = (CONN_DEAD_MS + 1000) * 1000;
	struct end s = { 0 };
	struct end c = { 0 };
	u64 start;

	tls_dial(&s, &c, a, a, TLS_CONTROL, 1u << TLS_CONTROL, NULL, NULL);
	run_until(s.opened && c.opened);
	usleep(limit);
	start = loop_clock_us();
	run_until(loop_clock_us() - start > limit);
	cr_assert_eq(s.closed + c.closed, 0, "%s%s", s.why.what, c.why.what);
	close_both(&s, &c);
	tls_identity_put(a);
}

/* The peer's machine answers for its TCP, its program says nothing more. */
Test(conn, silence_of_a_peer_ends_it_in_time)
{
	struct tls_identity *a = kit_identity(authority, "alpha", time(NULL),
					      LIFE);
	struct loop *theirs = loop_new();
	struct end s = { 0 };
	struct end c = { 0 };
	u64 start;

	tls_dial_from(theirs, &s, &c, a, a, TLS_CONTROL, 1u << TLS_CONTROL,
		      NULL, NULL);
	while (!s.opened || !c.opened) {
		cr_assert_eq(loop_step(loop, 10), 0);
		cr_assert_eq(loop_step(theirs, 10), 0);
	}
	start = loop_clock_us();
	run_until(s.closed);
	cr_assert_eq(s.why.code, -ETIMEDOUT);
	cr_assert_geq(loop_clock_us() - start, (CONN_DEAD_MS - 600) * 1000);
	conn_close(c.conn, NULL);
	cr_assert_eq(loop_step(theirs, 0), 0);
	loop_free(theirs);
	tls_identity_put(a);
}

Test(conn, nobody_listening_is_reported_from_the_loop)
{
	struct sockaddr_in sa;
	struct end c = { 0 };
	int fd[2];

	tcp_pair(fd, &sa); /* its listener is closed: the port answers no more */
	c.conn = conn_dial(loop, (struct sockaddr *)&sa, sizeof(sa),
			   kit_identity(authority, "alpha", time(NULL), LIFE),
			   TLS_CONTROL, NULL, NULL, &local, &ops, &c);
	cr_assert_not_null(c.conn);
	cr_assert_eq(c.closed, 0);
	run_until(c.closed);
	cr_assert_eq(c.why.code, -ECONNREFUSED);
	close(fd[0]);
	close(fd[1]);
}

Test(conn, unix_socket_tells_who_is_there)
{
	struct end a = { .echo = true };
	struct end b = { 0 };
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd),
		     0);
	a.conn = conn_accept(loop, fd[0], NULL, 0, &local, &ops, &a);
	b.conn = conn_accept(loop, fd[1], NULL, 0, &local, &ops, &b);
	run_until(a.opened && b.opened);
	cr_assert_eq(conn_ucred(a.conn)->uid, getuid());
	cr_assert_null(conn_peer(a.conn));
	send_bytes(b.conn, 1, "x", 1);
	run_until(b.frames == 1);
	close_both(&a, &b);
}
