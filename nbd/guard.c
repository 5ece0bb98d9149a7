// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo-guard's loop and its clients; the contract is in guard.h. */
#include "guard.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guard_impl.h"

enum { FIXED = 3 };

static u64 clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

void guard_answer(struct guard *g, int place, const struct guard_message *m)
{
	if (place < 0 || g->clients[place] < 0)
		return;
	while (send(g->clients[place], m, sizeof(*m),
		    MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		;
}

static void drop_client(struct guard *g, int place)
{
	u32 i;

	close(g->clients[place]);
	g->clients[place] = -1;
	g->watches[place] = false;
	for (i = 0; i < GUARD_LEGS_MAX; i++)
		if (g->legs[i].used && g->legs[i].client == place)
			g->legs[i].client = -1;
}

static void accept_client(struct guard *g)
{
	int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t len = sizeof(who);
	int i;

	if (fd < 0)
		return;
	for (i = 0; i < GUARD_CLIENTS_MAX; i++)
		if (g->clients[i] < 0)
			break;
	if (i == GUARD_CLIENTS_MAX ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
	    who.uid != geteuid()) {
		close(fd);
		return;
	}
	g->clients[i] = fd;
	g->watches[i] = true;
}

static void list(struct guard *g, int place)
{
	struct guard_message m = { .op = GUARD_LIST };
	u32 i;

	for (i = 0; i < GUARD_LEGS_MAX; i++) {
		if (!g->legs[i].used)
			continue;
		m.leg = g->legs[i].told;
		guard_answer(g, place, &m);
	}
	m.leg = (struct guard_leg){ 0 };
	guard_answer(g, place, &m);
}

/* Text that came from outside ends. */
static void terminate(struct guard_leg *l)
{
	l->borrowing[sizeof(l->borrowing) - 1] = '\0';
	l->lender[sizeof(l->lender) - 1] = '\0';
	l->addresses[sizeof(l->addresses) - 1] = '\0';
	l->name[sizeof(l->name) - 1] = '\0';
	l->plaintext_on[sizeof(l->plaintext_on) - 1] = '\0';
	l->why[sizeof(l->why) - 1] = '\0';
}

static void serve(struct guard *g, int place, struct guard_message *m)
{
	terminate(&m->leg);
	g->watches[place] = false;
	m->error = 0;
	switch (m->op) {
	case GUARD_ATTACH:
		m->error = legs_attach(g, &m->leg, place);
		if (!m->error)
			return;
		break;
	case GUARD_ADOPT:
		m->error = legs_adopt(g, &m->leg);
		break;
	case GUARD_MIRROR:
		legs_mirror(g, &m->leg);
		break;
	case GUARD_DROP:
		m->error = legs_drop(g, &m->leg);
		break;
	case GUARD_LIST:
		list(g, place);
		return;
	case GUARD_END:
		g->ended = !legs_any(g);
		m->error = g->ended ? 0 : -EBUSY;
		break;
	default:
		m->error = -EOPNOTSUPP;
	}
	guard_answer(g, place, m);
}

static void hear_client(struct guard *g, int place)
{
	struct guard_message m;
	ssize_t n = recv(g->clients[place], &m, sizeof(m), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(m))
		serve(g, place, &m);
	else if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		drop_client(g, place);
}

static void tell_changed(struct guard *g)
{
	const struct guard_message m = { .op = GUARD_CHANGED };
	int i;

	g->changed = false;
	for (i = 0; i < GUARD_CLIENTS_MAX; i++)
		if (g->watches[i])
			guard_answer(g, i, &m);
}

static void hear_kernel(struct guard *g)
{
	int index;

	/* What was lost for want of room is found by its silence. */
	while ((index = genl_next_dead(g->genl)) >= 0 || index == -ENOBUFS)
		if (index >= 0)
			legs_link_dead(g, index);
}

static void hear_dialler(struct guard *g)
{
	struct dial_result r;
	int conn;
	int ret;

	while ((ret = dialler_result(g->dialler, &r, &conn)) == 0)
		legs_dialled(g, &r, conn);
	if (ret != -EPIPE)
		return;
	/* What is up stays watched; who comes next finds no dialler, and
	 * virgo-borrow then puts a new guard in this one's place.
	 */
	close(g->dialler);
	g->dialler = -1;
	close(g->listener);
	g->listener = -1;
}

/* One round. Time that this process was not given is not held against a lender. */
static void once(struct guard *g)
{
	struct pollfd p[FIXED + GUARD_CLIENTS_MAX];
	u64 before = g->now_ms;
	u64 elapsed;
	int i;

	p[0] = (struct pollfd){ .fd = g->genl->events, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = g->dialler, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = g->listener, .events = POLLIN };
	for (i = 0; i < GUARD_CLIENTS_MAX; i++)
		p[FIXED + i] = (struct pollfd){ .fd = g->clients[i],
						.events = POLLIN };
	if (poll(p, FIXED + GUARD_CLIENTS_MAX, legs_sleep_ms(g)) < 0)
		return;
	g->now_ms = clock_ms();
	if (p[0].revents)
		hear_kernel(g);
	if (p[1].revents)
		hear_dialler(g);
	for (i = 0; i < GUARD_CLIENTS_MAX; i++)
		if (g->clients[i] >= 0 && p[FIXED + i].revents)
			hear_client(g, i);
	if (p[2].revents)
		accept_client(g);
	elapsed = g->now_ms - before;
	legs_tick(g, elapsed > 2 * TICK_MS ? 2 * TICK_MS : (u32)elapsed);
	if (g->changed)
		tell_changed(g);
}

int guard_run(struct genl *genl, int listener, int dialler)
{
	static struct guard g;
	int i;

	g = (struct guard){ .genl = genl, .listener = listener,
			    .dialler = dialler, .now_ms = clock_ms() };
	for (i = 0; i < GUARD_CLIENTS_MAX; i++)
		g.clients[i] = -1;
	while (!g.ended)
		once(&g);
	return 0;
}
