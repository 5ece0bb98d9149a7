/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This node's cache in words, for virgo cache list and virgo status. */
#ifndef VIRGO_CLI_CACHE_TEXT_H
#define VIRGO_CLI_CACHE_TEXT_H

#include "wire.h"

/* "in the kernel: 64M, values up to 1.0M, 127.0.0.1 port 11211", a line of it. The
 * node must have one.
 */
void cache_print(const struct msg_cache_listed *k);

#endif
