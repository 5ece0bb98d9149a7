/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request to this machine's virgod, for verbs that need no more. */
#ifndef VIRGO_CLI_ASK_H
#define VIRGO_CLI_ASK_H

#include <stdlib.h>

#include "client.h"
#include "verbs.h"

/* Sends @payload and waits for a reply of type @want. 0, or 1 after the failure
 * was printed. The reply is valid until client_close(*@c), which the caller
 * does in every case.
 */
int ask(const struct globals *g, struct client **c, u16 type,
	const void *payload, size_t len, u16 want, struct span *reply);

/* ask_message(g, c, TYPE, type, m, WANT, reply) encodes struct msg_type @m. */
#define ask_message(g, c, NAME, name, m, WANT, reply)                          \
	({                                                                     \
		size_t size_ = msg_##name##_size(m);                           \
		u8 *buf_ = malloc(size_ + 1);                                  \
		struct wcursor w_ = wcursor_of(buf_, buf_ ? size_ : 0);        \
		int ret_;                                                      \
									       \
		msg_##name##_encode(&w_, m);                                   \
		ret_ = ask(g, c, MSG_##NAME, buf_, size_, MSG_##WANT, reply);  \
		free(buf_);                                                    \
		ret_;                                                          \
	})

/* "15m", "90s", "2h", "1d" or plain seconds into @seconds; false otherwise. */
bool duration_parse(const char *text, u32 *seconds);

#endif
