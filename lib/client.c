// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Blocking connection to the local virgod; the contract is in client.h. Reads
 * go through one growing buffer; a frame is handed out in place.
 */
#include "client.h"

#include <linux/virgo.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel.h"

enum {
	READ_FIRST = 1024, /* until more has come at once */
	READ_BYTES = 256 << 10,
	MODULE_WORDS = 100 << 10, /* arguments and variables it takes */
};

struct client {
	int fd;
	u64 tag;
	u8 *buf;
	size_t start; /* first byte not handed out */
	size_t end;
	size_t size;
	u8 hello[96]; /* goes out with the first frame */
	size_t hello_len;
	bool greeted; /* virgod's HELLO has come */
	bool module; /* fd is virgo.ko's, and no socket */
	int hung_up; /* of the module: an eventfd, as fd has no shutdown() */
	bool much; /* a read has filled the buffer */
	char node[64];
};

int client_fd(const struct client *c)
{
	return c->fd;
}

const char *client_node(const struct client *c)
{
	return c->node;
}

u64 client_tag(struct client *c)
{
	return ++c->tag;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	if (c->module)
		close(c->hung_up);
	free(c->buf);
	free(c);
}

void client_hang_up(struct client *c)
{
	if (c->module)
		eventfd_write(c->hung_up, 1);
	else
		shutdown(c->fd, SHUT_RDWR);
}

int client_wait(struct client *c, int timeout_ms)
{
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN },
			      { .fd = c->hung_up, .events = POLLIN } };

	return poll(p, c->module ? 2 : 1, timeout_ms) < 0 ? -errno : 0;
}

bool client_is_module(const struct client *c)
{
	return c->module;
}

int client_send(struct client *c, const struct frame *f, const void *head,
		size_t head_len, const void *body, size_t body_len)
{
	u8 header[FRAME_HEADER_BYTES];
	struct frame out = *f;
	struct iovec iov[4] = {
		{ c->hello, c->hello_len },
		{ header, sizeof(header) },
		{ (void *)head, head_len },
		{ (void *)body, body_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 4 };

	if (head_len > FRAME_MAX || body_len > FRAME_MAX - head_len)
		return -EMSGSIZE;
	out.length = (u32)(head_len + body_len);
	frame_encode(&out, header);
	c->hello_len = 0;
	while (msg.msg_iovlen) {
		ssize_t n = c->module ?
			writev(c->fd, msg.msg_iov, (int)msg.msg_iovlen) :
			sendmsg(c->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (msg.msg_iovlen && (size_t)n >= msg.msg_iov->iov_len) {
			n -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen) {
			msg.msg_iov->iov_base = (u8 *)msg.msg_iov->iov_base + n;
			msg.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Bytes the frame at the start needs in all, or what is known so far. */
static int frame_need(const struct client *c, struct frame *f, size_t *need)
{
	int ret;

	*need = FRAME_HEADER_BYTES;
	if (c->end - c->start < FRAME_HEADER_BYTES)
		return 0;
	ret = frame_decode(f, c->buf + c->start);
	if (!ret)
		*need += f->length;
	return ret;
}

bool client_pending(const struct client *c)
{
	struct frame f;
	size_t need;

	return frame_need(c, &f, &need) || c->end - c->start >= need;
}

static int make_room(struct client *c, size_t need)
{
	u8 *p;

	if (c->start) {
		memmove(c->buf, c->buf + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	if (need < (c->much ? READ_BYTES : READ_FIRST))
		need = c->much ? READ_BYTES : READ_FIRST;
	if (need <= c->size)
		return 0;
	p = realloc(c->buf, need);
	if (!p)
		return -ENOMEM;
	c->buf = p;
	c->size = need;
	return 0;
}

static ssize_t receive(struct client *c, void *data, size_t len, int how)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	if (!c->module)
		return recv(c->fd, data, len, how);
	if (how & MSG_DONTWAIT && poll(&p, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return read(c->fd, data, len);
}

/* Reads until a whole frame stands at the start: 1, 0 at the end, -errno. @how:
 * of recv().
 */
static int fill(struct client *c, struct frame *f, int how)
{
	for (;;) {
		size_t need;
		ssize_t n;
		int ret = frame_need(c, f, &need);

		if (ret)
			return ret;
		if (c->end - c->start >= need)
			return 1;
		ret = make_room(c, need);
		if (ret)
			return ret;
		n = receive(c, c->buf + c->end, c->size - c->end, how);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		c->end += (size_t)n;
		c->much |= c->end == c->size;
	}
}

static int answer_ping(struct client *c, const struct frame *f, const u8 *p)
{
	const struct frame pong = { .type = MSG_PONG,
				    .flags = FRAME_REPLY,
				    .tag = f->tag };

	return client_send(c, &pong, p, f->length, NULL, 0);
}

static int take_hello(struct client *c, const struct frame *f, const u8 *p)
{
	struct msg_hello theirs;

	if (f->type != MSG_HELLO || msg_hello_decode(&theirs, p, f->length) ||
	    theirs.version_min > FRAME_VERSION ||
	    theirs.version_max < FRAME_VERSION)
		return -EPROTO;
	span_to_cstr(theirs.node, c->node, sizeof(c->node));
	c->greeted = true;
	return 0;
}

static int take_frame(struct client *c, struct frame *f, const u8 **payload,
		      int how)
{
	for (;;) {
		int ret = fill(c, f, how);

		if (ret <= 0)
			return ret;
		*payload = c->buf + c->start + FRAME_HEADER_BYTES;
		c->start += FRAME_HEADER_BYTES + f->length;
		if (!c->greeted)
			ret = take_hello(c, f, *payload);
		else if (f->type == MSG_PING)
			ret = answer_ping(c, f, *payload);
		else
			return 1;
		if (ret)
			return ret;
	}
}

int client_recv(struct client *c, struct frame *f, const u8 **payload)
{
	return take_frame(c, f, payload, 0);
}

int client_try_recv(struct client *c, struct frame *f, const u8 **payload)
{
	return take_frame(c, f, payload, MSG_DONTWAIT);
}

static void prepare_hello(struct client *c)
{
	const struct msg_hello mine = { .version_min = FRAME_VERSION,
					.version_max = FRAME_VERSION,
					.frame_max = FRAME_MAX };
	struct frame f = { .type = MSG_HELLO };
	struct wcursor w = wcursor_of(c->hello + FRAME_HEADER_BYTES,
				      sizeof(c->hello) - FRAME_HEADER_BYTES);

	msg_hello_encode(&w, &mine);
	f.length = (u32)wcursor_len(&w);
	frame_encode(&f, c->hello);
	c->hello_len = FRAME_HEADER_BYTES + f.length;
}

/* Sends HELLO alone and waits for virgod's. */
static int greet(struct client *c, struct failure *f)
{
	ssize_t n = send(c->fd, c->hello, c->hello_len, MSG_NOSIGNAL);
	struct frame frame;
	int ret = n == (ssize_t)c->hello_len ? fill(c, &frame, 0) : -EPIPE;

	c->hello_len = 0;
	if (ret != 1)
		return failure_set(f, ret && ret != -EPIPE ? ret : -ECONNRESET,
				   "virgod", "look at its log",
				   "it hung up before greeting");
	ret = take_hello(c, &frame, c->buf + c->start + FRAME_HEADER_BYTES);
	c->start += FRAME_HEADER_BYTES + frame.length;
	if (ret)
		return failure_set(f, ret, "virgod",
				   "install the same version of both",
				   "it speaks another protocol");
	return 0;
}

static int dial(struct client *c, const char *state, struct failure *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path),
			 "%s/run/virgod.sock", state);

	if (n >= (int)sizeof(addr.sun_path))
		return failure_set(f, -ENAMETOOLONG, state,
				   "use a state folder with a shorter path",
				   "the path of virgod's socket is too long");
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return failure_set(f, -errno, "socket", NULL, "%s",
				   strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return 0;
	if (errno == EACCES)
		return failure_set(f, -EACCES, addr.sun_path,
				   "ask who runs this node for access",
				   "permission denied");
	return failure_set(f, -errno, addr.sun_path,
			   "systemctl start virgod, or name the node's folder "
			   "with --state DIR",
			   "virgod does not run here: %s", strerror(errno));
}

/* A client of the module, whose descriptor @fd it takes over. */
static struct client *module_client(int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	int hung_up = eventfd(0, EFD_CLOEXEC);

	if (!c || hung_up < 0) {
		free(c);
		close(fd);
		if (hung_up >= 0)
			close(hung_up);
		return NULL;
	}
	c->fd = fd;
	c->hung_up = hung_up;
	c->greeted = c->module = true;
	return c;
}

bool client_module_allowed(const char *state)
{
	const char *word = getenv("VIRGO_MODULE");

	return !state && !getenv("VIRGO_STATE") &&
	       !(word && !strcmp(word, "off"));
}

int client_open_module(struct client **out, const char *state,
		       const char *node, size_t words)
{
	struct virgo_clone clone = { .size = sizeof(clone) };
	int device, ret;

	*out = NULL;
	if (words > MODULE_WORDS || !client_module_allowed(state))
		return -EOPNOTSUPP;
	if (strlen(node) >= sizeof(clone.node))
		return -ENAMETOOLONG;
	snprintf(clone.node, sizeof(clone.node), "%s", node);
	device = kernel_open();
	if (device < 0)
		return device;
	ret = kernel_ioctl(device, VIRGO_IOC_CLONE, &clone);
	close(device);
	if (ret < 0)
		return ret;
	*out = module_client(ret);
	return *out ? 0 : -ENOMEM;
}

int client_open_early(struct client **out, const char *state,
		      struct failure *f)
{
	struct client *c = calloc(1, sizeof(*c));
	int ret;

	*out = NULL;
	if (!c)
		return failure_set(f, -ENOMEM, "virgo", NULL, "out of memory");
	c->fd = -1;
	if (!state)
		state = getenv("VIRGO_STATE");
	ret = dial(c, state ? state : VIRGO_DEFAULT_STATE, f);
	if (ret) {
		client_close(c);
		return ret;
	}
	prepare_hello(c);
	*out = c;
	return 0;
}

int client_open(struct client **out, const char *state, struct failure *f)
{
	int ret = client_open_early(out, state, f);

	if (!ret)
		ret = greet(*out, f);
	if (ret) {
		client_close(*out);
		*out = NULL;
	}
	return ret;
}

int client_call(struct client *c, u16 type, const void *payload, size_t len,
		u16 want, struct span *reply, struct failure *f)
{
	return client_call_with(c, type, payload, len, NULL, 0, want, reply, f);
}

int client_call_with(struct client *c, u16 type, const void *head,
		     size_t head_len, const void *body, size_t body_len,
		     u16 want, struct span *reply, struct failure *f)
{
	struct frame frame = { .type = type, .tag = client_tag(c) };
	const u64 tag = frame.tag;
	const u8 *p = NULL;
	int ret;

	ret = client_send(c, &frame, head, head_len, body, body_len);
	do {
		if (!ret)
			ret = client_recv(c, &frame, &p);
		if (ret <= 0)
			return failure_set(f, ret ? ret : -ECONNRESET, "virgod",
					   "look at virgod's log",
					   "it hung up before answering");
		ret = 0;
		/* What comes ahead of the answer, FILE_CHANGED for instance, is
		 * for callers that keep something.
		 */
	} while (frame.tag != tag || !(frame.flags & FRAME_REPLY) ||
		 (frame.flags & FRAME_MORE && frame.type != want));
	if (frame.type == want) {
		*reply = (struct span){ .data = p, .len = frame.length };
		return 0;
	}
	if (frame.type == MSG_ERROR) {
		struct msg_error m;

		if (msg_error_decode(&m, p, frame.length) == 0) {
			struct failure got;

			failure_from_message(&got, &m);
			if (f)
				*f = got;
			return got.code;
		}
	}
	return failure_set(f, -EPROTO, "virgod", NULL,
			   "it answered %s with %s",
			   wire_name(type) ?: "?", wire_name(frame.type) ?: "?");
}
