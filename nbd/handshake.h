/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's side of NBD's fixed newstyle negotiation as a machine without
 * I/O: bytes of the client go in, bytes for the client come out, and a verdict
 * says what the caller does next. The caller greets with handshake_greeting()
 * first.
 */
#ifndef VIRGO_NBD_HANDSHAKE_H
#define VIRGO_NBD_HANDSHAKE_H

#include "export.h"

enum {
	/* The longest option that is understood; longer ones are refused. */
	HANDSHAKE_OPTION_MAX = 16384,
	/* Input room that the caller needs to get anywhere. */
	HANDSHAKE_IN_MIN = HANDSHAKE_OPTION_MAX + 64,
	/* Output room that one step may need. */
	HANDSHAKE_OUT_MIN = 16384,
};

/* What the peer may see, decided by who it is. */
struct handshake_view {
	/* The export of that name ("" for the only one there is), or NULL. */
	struct export *(*find)(void *arg, const char *name, size_t len);
	/* The next at or after *@at, which moves past it; NULL at the end. */
	struct export *(*next)(void *arg, u32 *at);
	void *arg;
};

enum handshake_tls { TLS_ABSENT, TLS_OFFERED, TLS_REQUIRED };

enum handshake_state {
	HANDSHAKE_FLAGS, /* the client's flags are due */
	HANDSHAKE_OPTION, /* an option is due */
	HANDSHAKE_SKIP, /* the rest of an option too long to look at */
	HANDSHAKE_LIST, /* answering LIST */
};

struct handshake {
	enum handshake_state state;
	enum handshake_tls tls;
	bool secure; /* TLS is on */
	bool no_zeroes;
	bool structured;
	u64 meta_generation; /* export base:allocation was chosen for; 0: none */
	u32 option; /* the one that SKIP or LIST is about */
	u32 skip; /* bytes */
	u32 list_at;
	struct export *chosen; /* after HANDSHAKE_GO */
	bool allocation; /* after HANDSHAKE_GO: BLOCK_STATUS was negotiated */
};

enum handshake_verdict {
	HANDSHAKE_MORE, /* needs more input */
	HANDSHAKE_SEND, /* send what came out, then go on with what is left */
	HANDSHAKE_START_TLS, /* send, then TLS; drop nothing, go on under it */
	HANDSHAKE_GO, /* send, then transmission */
	HANDSHAKE_END, /* send, then close: the client asked for it */
	HANDSHAKE_BROKEN, /* close: this is no client, or one without rights */
};

struct handshake_out {
	u8 *data;
	size_t room;
	size_t used;
};

void handshake_init(struct handshake *h, enum handshake_tls tls);
void handshake_greeting(u8 out[static 18]);
/* TLS is on: what was negotiated before does not count. */
void handshake_secured(struct handshake *h);

/*
 * Goes as far as input and output room let it. @used gets the bytes of @in that
 * are done with; HANDSHAKE_SEND and HANDSHAKE_START_TLS need @out emptied.
 */
enum handshake_verdict handshake_run(struct handshake *h,
				     const struct handshake_view *view,
				     const u8 *in, size_t len, size_t *used,
				     struct handshake_out *out);

/* Transmission flags of every export. */
u16 handshake_export_flags(void);

#endif
