// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors of programs and of their agent: streams of frames, cut anywhere.
 * What comes from a program is checked like what comes from a peer.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "conn.h"
#include "instance.h"
#include "peer.h"
#include "program_state.h"

/* One end: of the agent (one is NULL) or of one program. */
struct end {
	struct programs *all;
	struct program *one;
	struct port *port;
};

void port_init(struct port *port)
{
	mutex_init(&port->reading);
	mutex_init(&port->writing);
	init_waitqueue_head(&port->wait);
}

void port_free(struct port *port)
{
	conn_out_free(port->now);
	conn_out_free(port->got);
}

void port_tell(struct port *port)
{
	WRITE_ONCE(port->news, true);
	wake_up_all(&port->wait);
}

/* Of those that have something the agent hears in turn. */
static struct conn_out *next_of_all(struct programs *ps)
{
	struct conn_out *out;
	struct program *p;
	bool over;

	list_for_each_entry(p, &ps->list, link) {
		if (!p->serving)
			continue;
		over = p->cancelled;
		out = program_next(p);
		if (!out)
			continue;
		/* With its end told it is gone. */
		if (!IS_ERR(out) && !over)
			list_move_tail(&p->link, &ps->list);
		return out;
	}
	return NULL;
}

static bool has_more(const struct end *e)
{
	struct program *p;

	if (e->one)
		return program_has(e->one);
	list_for_each_entry(p, &e->all->list, link)
		if (p->serving && program_has(p))
			return true;
	return false;
}

/* ERR_PTR(-EAGAIN): nothing yet; NULL: nothing will come. */
static struct conn_out *next(const struct end *e)
{
	struct programs *ps = e->all;
	struct conn_out *out;
	bool over;

	mutex_lock(&ps->lock);
	out = e->one ? program_next(e->one) : next_of_all(ps);
	over = ps->ended || (e->one && list_empty(&e->one->link));
	if (!out && e->one && !e->one->begun)
		out = ERR_PTR(-ENOTCONN);
	else if (!out && !over)
		out = ERR_PTR(-EAGAIN);
	/* Who polls and then reads is not to be made to wait. */
	WRITE_ONCE(e->port->news, over || has_more(e));
	mutex_unlock(&ps->lock);
	return out;
}

/* 1 a frame is there, 0 the end. */
static int await_frame(const struct end *e, bool wait)
{
	struct conn_out *out;
	int ret;

	for (;;) {
		out = next(e);
		if (!IS_ERR_OR_NULL(out)) {
			e->port->now = out;
			return 1;
		}
		if (PTR_ERR_OR_ZERO(out) != -EAGAIN || !wait)
			return PTR_ERR_OR_ZERO(out);
		ret = wait_event_interruptible(e->port->wait,
					       READ_ONCE(e->port->news));
		if (ret)
			return ret;
	}
}

static ssize_t end_read(const struct end *e, struct kiocb *iocb,
			struct iov_iter *to)
{
	bool wait = !(iocb->ki_filp->f_flags & O_NONBLOCK ||
		      iocb->ki_flags & IOCB_NOWAIT);
	struct port *port = e->port;
	struct conn_out *out;
	ssize_t done = 0;
	size_t n;
	int ret;

	ret = mutex_lock_interruptible(&port->reading);
	if (ret)
		return ret;
	while (!ret && iov_iter_count(to)) {
		if (!port->now) {
			ret = await_frame(e, wait && !done);
			if (ret <= 0)
				break;
		}
		out = port->now;
		n = copy_to_iter(out->data + out->sent, out->len - out->sent,
				 to);
		ret = n ? 0 : -EFAULT;
		done += n;
		out->sent += n;
		if (out->sent == out->len) {
			port->now = NULL;
			conn_out_free(out);
		}
	}
	mutex_unlock(&port->reading);
	return done ? done : ret;
}

/* A whole frame. */
static int said(const struct end *e)
{
	struct port *port = e->port;
	struct programs *ps = e->all;
	struct program *p;
	bool over;
	int ret;

	mutex_lock(&ps->lock);
	p = e->one ? e->one : program_find(ps, port->frame.tag, true);
	/* To one that ended meanwhile nothing is to be said. */
	over = !p || (p->begun && list_empty(&p->link));
	ret = over ? 0 : program_say(p, &port->frame, port->got);
	mutex_unlock(&ps->lock);
	if (ret || over)
		conn_out_free(port->got);
	port->got = NULL;
	port->header_len = 0;
	return ret;
}

static int begin_frame(struct port *port)
{
	int ret = frame_decode(&port->frame, port->header);

	port->got_len = 0;
	if (!ret && port->frame.length > PROGRAM_ORDER_MAX)
		ret = -EMSGSIZE;
	if (!ret) {
		port->got = peer_frame(&port->frame);
		ret = port->got ? 0 : -ENOMEM;
	}
	if (ret)
		port->header_len = 0;
	return ret;
}

/* Takes of @from what belongs to one frame: bytes, or a negative errno. */
static ssize_t take_part(const struct end *e, struct iov_iter *from)
{
	struct port *port = e->port;
	size_t want = FRAME_HEADER_BYTES - port->header_len;
	size_t n = 0, m = 0;
	int ret = 0;

	if (!port->got) {
		n = copy_from_iter(port->header + port->header_len, want, from);
		port->header_len += n;
		if (n < want)
			return n ? n : -EFAULT;
		ret = begin_frame(port);
		if (ret)
			return ret;
	}
	want = port->frame.length - port->got_len;
	if (want && iov_iter_count(from)) {
		m = copy_from_iter(port->got->data + FRAME_HEADER_BYTES +
				   port->got_len, want, from);
		if (!m)
			return n ? n : -EFAULT;
		port->got_len += m;
	}
	if (port->got_len == port->frame.length)
		ret = said(e);
	return ret ? ret : n + m;
}

static bool has_room(struct conn *c)
{
	return READ_ONCE(c->unsent) <= CONN_UNSENT_MAX ||
	       READ_ONCE(c->state) != CONN_OPEN;
}

static ssize_t end_write(const struct end *e, struct kiocb *iocb,
			 struct iov_iter *from)
{
	bool wait = !(iocb->ki_filp->f_flags & O_NONBLOCK ||
		      iocb->ki_flags & IOCB_NOWAIT);
	struct conn *c = e->all->conn;
	ssize_t done = 0;
	ssize_t ret;

	ret = mutex_lock_interruptible(&e->port->writing);
	if (ret)
		return ret;
	while (iov_iter_count(from)) {
		if (!has_room(c)) {
			ret = wait && !done ?
				wait_event_interruptible(c->room, has_room(c)) :
				-EAGAIN;
			if (ret)
				break;
		}
		ret = take_part(e, from);
		if (ret < 0)
			break;
		done += ret;
	}
	mutex_unlock(&e->port->writing);
	/* A refusal is told even if frames before it went out. */
	return ret < 0 && (!done || ret != -EAGAIN) ? ret : done;
}

static __poll_t end_poll(const struct end *e, struct file *file,
			 poll_table *wait)
{
	struct conn *c = e->all->conn;
	__poll_t mask = 0;

	poll_wait(file, &e->port->wait, wait);
	poll_wait(file, &c->room, wait);
	if (READ_ONCE(e->port->news) || READ_ONCE(e->port->now))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (has_room(c))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

/* --- the agent's --- */

static struct end agent_end(struct programs *ps)
{
	return (struct end){ .all = ps, .port = &ps->port };
}

ssize_t programs_read(struct programs *ps, struct kiocb *iocb,
		      struct iov_iter *to)
{
	const struct end e = agent_end(ps);

	return end_read(&e, iocb, to);
}

ssize_t programs_write(struct programs *ps, struct kiocb *iocb,
		       struct iov_iter *from)
{
	const struct end e = agent_end(ps);

	return end_write(&e, iocb, from);
}

__poll_t programs_poll(struct programs *ps, struct file *file,
		       poll_table *wait)
{
	const struct end e = agent_end(ps);

	return end_poll(&e, file, wait);
}

/* --- a program's --- */

static struct end program_end(struct file *file)
{
	struct program *p = file->private_data;

	return (struct end){ .all = p->all, .one = p, .port = &p->port };
}

static ssize_t program_read(struct kiocb *iocb, struct iov_iter *to)
{
	const struct end e = program_end(iocb->ki_filp);

	return end_read(&e, iocb, to);
}

static ssize_t program_write(struct kiocb *iocb, struct iov_iter *from)
{
	const struct end e = program_end(iocb->ki_filp);

	return end_write(&e, iocb, from);
}

static __poll_t program_poll(struct file *file, poll_table *wait)
{
	const struct end e = program_end(file);

	return end_poll(&e, file, wait);
}

static void program_drop(struct program *p)
{
	struct programs *ps = p->all;

	mutex_lock(&ps->lock);
	ps->asked--;
	program_over(p);
	mutex_unlock(&ps->lock);
	program_free(p);
	conn_put(ps->conn);
}

/* Nobody is left who could hear how it ends. */
static int program_release(struct inode *inode, struct file *file)
{
	struct program *p = file->private_data;
	const struct frame f = { .type = MSG_JOB_CANCEL, .tag = p->tag };
	struct programs *ps = p->all;
	struct conn_out *out;

	mutex_lock(&ps->lock);
	if (!list_empty(&p->link)) {
		out = peer_frame(&f);
		/* Without memory for it the connection's end has to do. */
		if (!out)
			conn_fail(ps->conn, -ENOMEM);
		else if (conn_send(ps->conn, out, false))
			conn_out_free(out);
	}
	mutex_unlock(&ps->lock);
	program_drop(p);
	return 0;
}

static const struct file_operations program_operations = {
	.owner = THIS_MODULE,
	.release = program_release,
	.read_iter = program_read,
	.write_iter = program_write,
	.poll = program_poll,
	.llseek = noop_llseek,
};

static struct program *program_new(struct programs *ps, const char *user)
{
	struct program *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);

	if (!p)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&p->link);
	port_init(&p->port);
	p->all = ps;
	p->tag = peer_tag(ps);
	strscpy(p->user, user, sizeof(p->user));
	conn_get(ps->conn);
	mutex_lock(&ps->lock);
	ps->asked++;
	mutex_unlock(&ps->lock);
	return p;
}

int program_open(struct programs *ps, const char *user)
{
	struct program *p = program_new(ps, user);
	int fd;

	if (IS_ERR(p))
		return PTR_ERR(p);
	if (READ_ONCE(ps->asked) > instance_limit(ps->conn->in, LIMIT_JOBS))
		fd = -EBUSY;
	else
		fd = anon_inode_getfd("[virgo-program]", &program_operations, p,
				      O_RDWR | O_CLOEXEC);
	if (fd < 0)
		program_drop(p);
	return fd;
}
