// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Local callers' connections to virgod; the contract is in local.h.
 *
 * Nothing blocks in the socket: a caller who waits does it here, where only being
 * killed ends it early, and where it has a deadline.
 */
#include "local.h"

#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/net.h>
#include <linux/un.h>
#include <net/sock.h>

#include "control.h"
#include "core/wire.h"
#include "instance.h"

enum {
	WAITING_MAX = 512,
	HELLO_MAX = 512,
};

void locals_init(struct locals *ls)
{
	spin_lock_init(&ls->lock);
	INIT_LIST_HEAD(&ls->waiting);
}

/* Wakes whoever waits, in whatever manner. */
static int on_news(wait_queue_entry_t *entry, unsigned int mode, int flags,
		   void *key)
{
	struct local *l = container_of(entry, struct local, entry);

	WRITE_ONCE(l->news, true);
	wake_up(&l->wait);
	return 0;
}

void local_init(struct local *l, struct instance *in)
{
	l->in = in;
	init_waitqueue_head(&l->wait);
	init_waitqueue_func_entry(&l->entry, on_news);
	INIT_LIST_HEAD(&l->link);
	l->uid = INVALID_UID;
}

/* --- the queue --- */

/* What @l has in the queue, which is then out of it. Under the lock. */
static struct file *out_of_queue(struct locals *ls, struct local *l)
{
	struct file *file = l->theirs;

	if (file) {
		list_del_init(&l->link);
		l->theirs = NULL;
		ls->count--;
	}
	return file;
}

static void withdraw(struct local *l)
{
	struct locals *ls = &l->in->locals;
	struct file *file;

	spin_lock(&ls->lock);
	file = out_of_queue(ls, l);
	spin_unlock(&ls->lock);
	if (file)
		fput(file);
}

/* Takes over @file. */
static int offer(struct local *l, struct file *file)
{
	struct locals *ls = &l->in->locals;
	bool room;
	int ret;

	spin_lock(&ls->lock);
	room = ls->count < WAITING_MAX;
	if (room) {
		l->theirs = file;
		list_add_tail(&l->link, &ls->waiting);
		ls->count++;
	}
	spin_unlock(&ls->lock);
	if (!room) {
		fput(file);
		return -EBUSY;
	}
	ret = control_tell_caller(l->in);
	if (ret)
		withdraw(l);
	return ret;
}

int local_accept(struct instance *in)
{
	struct locals *ls = &in->locals;
	struct file *file = NULL;
	struct local *l;
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd < 0)
		return fd;
	spin_lock(&ls->lock);
	l = list_first_entry_or_null(&ls->waiting, struct local, link);
	if (l)
		file = out_of_queue(ls, l);
	spin_unlock(&ls->lock);
	if (!file) {
		put_unused_fd(fd);
		return -EAGAIN;
	}
	fd_install(fd, file);
	return fd;
}

/* --- bytes --- */

/* Until there is news, which @l forgot before it last tried. */
static int await(struct local *l)
{
	long left = MAX_SCHEDULE_TIMEOUT;

	if (l->timed) {
		left = (long)(l->until - jiffies);
		if (left <= 0)
			return -ETIMEDOUT;
	}
	left = wait_event_killable_timeout(l->wait, READ_ONCE(l->news), left);
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/* What a socket's errno means to the caller. */
static int plain(int ret)
{
	switch (ret) {
	case -EPIPE:
	case -ENOTCONN:
		return -ECONNRESET;
	case -ERESTARTSYS:
	case -ERESTART:
		return -EINTR;
	default:
		return ret;
	}
}

static int push(struct local *l, struct msghdr *msg)
{
	int ret;

	msg->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	while (msg_data_left(msg)) {
		WRITE_ONCE(l->news, false);
		ret = sock_sendmsg(l->sock, msg);
		if (ret == -EAGAIN)
			ret = await(l);
		if (ret < 0)
			return plain(ret);
	}
	return 0;
}

static int pull(struct local *l, struct msghdr *msg)
{
	int ret;

	while (msg_data_left(msg)) {
		WRITE_ONCE(l->news, false);
		ret = sock_recvmsg(l->sock, msg, MSG_DONTWAIT);
		if (!ret)
			return -ECONNRESET;
		if (ret == -EAGAIN)
			ret = await(l);
		if (ret < 0)
			return plain(ret);
	}
	return 0;
}

static int push_bytes(struct local *l, const void *data, size_t len)
{
	struct kvec vec = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { 0 };

	iov_iter_kvec(&msg.msg_iter, WRITE, &vec, 1, len);
	return push(l, &msg);
}

int local_take(struct local *l, void *data, size_t len)
{
	struct kvec vec = { .iov_base = data, .iov_len = len };
	struct msghdr msg = { 0 };

	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, len);
	return pull(l, &msg);
}

int local_take_to(struct local *l, struct iov_iter *to)
{
	struct msghdr msg = { .msg_iter = *to };

	return pull(l, &msg);
}

/* --- the connection --- */

static void disconnect(struct local *l)
{
	if (!l->sock)
		return;
	withdraw(l);
	remove_wait_queue(sk_sleep(l->sock->sk), &l->entry);
	sock_release(l->sock);
	l->sock = NULL;
}

/* Two ends; @theirs is virgod's. */
static int make_pair(struct local *l, struct file **theirs)
{
	struct socket *other;
	int ret;

	ret = sock_create(AF_UNIX, SOCK_STREAM, 0, &l->sock);
	if (ret) {
		l->sock = NULL;
		return ret;
	}
	add_wait_queue(sk_sleep(l->sock->sk), &l->entry);
	ret = sock_create(AF_UNIX, SOCK_STREAM, 0, &other);
	if (ret)
		return ret;
	ret = l->sock->ops->socketpair(l->sock, other);
	if (ret) {
		sock_release(other);
		return ret;
	}
	*theirs = sock_alloc_file(other, O_NONBLOCK, NULL);
	return PTR_ERR_OR_ZERO(*theirs);
}

static int connect(struct local *l)
{
	const struct msg_hello hello = { .version_min = FRAME_VERSION,
					 .version_max = FRAME_VERSION,
					 .frame_max = FRAME_MAX };
	u8 data[96];
	struct wcursor w = wcursor_of(data, sizeof(data));
	struct file *theirs;
	int ret = make_pair(l, &theirs);

	if (!ret)
		ret = offer(l, theirs);
	msg_hello_encode(&w, &hello);
	if (!ret)
		ret = local_send(l, MSG_HELLO, data, wcursor_len(&w), NULL);
	if (ret)
		disconnect(l);
	return ret;
}

/* What has come unasked, an end most of all, makes it useless. */
static bool is_useless(struct local *l)
{
	u8 byte;
	struct kvec vec = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { 0 };
	int ret;

	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, 1);
	ret = sock_recvmsg(l->sock, &msg, MSG_DONTWAIT | MSG_PEEK);
	return ret != -EAGAIN;
}

int local_enter(struct local *l, u32 ms)
{
	unsigned long until = jiffies + msecs_to_jiffies(ms);
	long left = ms ? msecs_to_jiffies(ms) : MAX_SCHEDULE_TIMEOUT;
	int ret = 0;

	left = wait_event_killable_timeout(l->wait,
					   !test_and_set_bit(0, &l->busy), left);
	if (left <= 0)
		return left ? -EINTR : -ETIMEDOUT;
	l->timed = ms;
	l->until = until;
	if (l->sock && !uid_eq(l->uid, current_euid()))
		ret = -EPERM;
	else if (l->sock && is_useless(l))
		disconnect(l);
	if (!l->sock) {
		l->uid = current_euid();
		ret = connect(l);
	}
	if (ret)
		local_leave(l, false);
	return ret;
}

void local_leave(struct local *l, bool failed)
{
	if (failed)
		disconnect(l);
	clear_bit_unlock(0, &l->busy);
	wake_up(&l->wait);
}

void local_end(struct local *l)
{
	disconnect(l);
}

/* --- frames --- */

int local_send(struct local *l, u16 type, const void *head, size_t head_len,
	       struct iov_iter *body)
{
	struct frame f = { .type = type, .tag = ++l->tag };
	size_t body_len = body ? iov_iter_count(body) : 0;
	struct msghdr msg = { 0 };
	u8 header[FRAME_HEADER_BYTES];
	int ret;

	f.length = head_len + body_len;
	frame_encode(&f, header);
	ret = push_bytes(l, header, sizeof(header));
	if (!ret)
		ret = push_bytes(l, head, head_len);
	if (ret || !body)
		return ret;
	msg.msg_iter = *body;
	return push(l, &msg);
}

static int skip(struct local *l, size_t len)
{
	u8 nowhere[128];
	int ret = 0;

	while (!ret && len) {
		size_t n = min(len, sizeof(nowhere));

		ret = local_take(l, nowhere, n);
		len -= n;
	}
	return ret;
}

static int take_hello(struct local *l, u32 len)
{
	struct msg_hello hello;
	u8 *data;
	int ret;

	if (len > HELLO_MAX)
		return -EPROTO;
	data = kmalloc(len, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	ret = local_take(l, data, len);
	if (!ret && (msg_hello_decode(&hello, data, len) ||
		     hello.version_min > FRAME_VERSION ||
		     hello.version_max < FRAME_VERSION))
		ret = -EPROTO;
	kfree(data);
	return ret;
}

int local_answer(struct local *l, struct frame *f)
{
	u8 header[FRAME_HEADER_BYTES];
	int ret;

	for (;;) {
		ret = local_take(l, header, sizeof(header));
		if (ret)
			return ret;
		if (frame_decode(f, header))
			return -EPROTO;
		if (f->flags & FRAME_REPLY)
			return 0;
		ret = f->type == MSG_HELLO ? take_hello(l, f->length) :
					     skip(l, f->length);
		if (ret)
			return ret;
	}
}
