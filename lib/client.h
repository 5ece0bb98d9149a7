/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A blocking connection from a program to its machine's virgod, over the unix
 * socket STATE/run/virgod.sock. For the CLI, libvirgo and mount.virgo's start;
 * needs neither TLS nor the loop, so that `virgo run` starts quickly.
 */
#ifndef VIRGO_LIB_CLIENT_H
#define VIRGO_LIB_CLIENT_H

#include "failure.h"

#define VIRGO_DEFAULT_STATE "/var/lib/virgo"

struct client;

/* @state NULL: $VIRGO_STATE, else VIRGO_DEFAULT_STATE. Exchanges HELLO. */
int client_open(struct client **out, const char *state, struct failure *f);
/* The same without a word yet: HELLO goes out with the first frame, and virgod's
 * is taken by the first client_recv(); until then client_node() is "". Saves who
 * knows what it wants two changes of process.
 */
int client_open_early(struct client **out, const char *state,
		      struct failure *f);
/*
 * In place of virgod: a descriptor of virgo.ko for one job on @node, whose first
 * frame is JOB_START. A negative errno when it goes through virgod: the module is
 * not there or has no connection to @node yet (it then asks for one), this user has
 * no name there, too much is under way, another state folder than the default is
 * meant, $VIRGO_MODULE is "off", or the arguments and variables, @words bytes as
 * JOB_START has them, are more than it takes.
 */
int client_open_module(struct client **out, const char *state,
		       const char *node, size_t words);
/* Whether it may be tried at all: not for another state folder, nor when it is off. */
bool client_module_allowed(const char *state);
void client_close(struct client *c);
/* Ends client_wait() in whichever thread it is; of virgod's, the connection, too.
 * Any thread; once.
 */
void client_hang_up(struct client *c);
/* Until bytes have come, the connection ends or client_hang_up() is called, at most
 * @timeout_ms (-1: for ever): 0 or -EINTR.
 */
int client_wait(struct client *c, int timeout_ms);
bool client_is_module(const struct client *c);
int client_fd(const struct client *c);
/* Name of the node, from its HELLO; "" before init or join. */
const char *client_node(const struct client *c);
/* A tag not used before on this connection. */
u64 client_tag(struct client *c);

/* Writes a whole frame; 0 or -EPIPE and so on. */
int client_send(struct client *c, const struct frame *f, const void *head,
		size_t head_len, const void *body, size_t body_len);
/* Reads the next frame, blocking; PINGs are answered inside. @payload is valid
 * until the next call. 1, 0 at the end of the stream, or a negative errno.
 */
int client_recv(struct client *c, struct frame *f, const u8 **payload);
/* The same without waiting: -EAGAIN while no whole frame has come. */
int client_try_recv(struct client *c, struct frame *f, const u8 **payload);
/* True when client_recv() would find a whole frame without reading. */
bool client_pending(const struct client *c);
/* One request, one reply of type @want (else @f is filled from MSG_ERROR or
 * says what came instead). The reply's bytes are valid until the next call.
 */
int client_call(struct client *c, u16 type, const void *payload, size_t len,
		u16 want, struct span *reply, struct failure *f);
/* The same with a payload in two parts. */
int client_call_with(struct client *c, u16 type, const void *head,
		     size_t head_len, const void *body, size_t body_len,
		     u16 want, struct span *reply, struct failure *f);

#endif
