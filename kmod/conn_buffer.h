/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Receive buffers of connections, which hold one only while there is something in
 * it: each processor keeps one ready.
 */
#ifndef VIRGO_KMOD_CONN_BUFFER_H
#define VIRGO_KMOD_CONN_BUFFER_H

#include <linux/types.h>

enum { CONN_IN_BYTES = 16 << 10 };

/* The module's, before the first connection and after the last. -ENOMEM. */
int conn_buffers_init(void);
void conn_buffers_exit(void);

/* Of CONN_IN_BYTES or more; NULL without memory. What is in it is what the last
 * user left. May sleep.
 */
u8 *conn_buffer_get(size_t size);
/* @buf may be NULL. */
void conn_buffer_put(u8 *buf, size_t size);

#endif
