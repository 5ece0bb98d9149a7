/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caller's terminal while a remote one is shown on it: raw, and given back
 * as it was, whatever ends this program short of SIGKILL.
 */
#ifndef VIRGO_CLI_TERMINAL_H
#define VIRGO_CLI_TERMINAL_H

#include "env.h"

/* False when standard input is no terminal. */
bool terminal_raw(void);
/* Harmless when it is not raw; safe in a signal handler. */
void terminal_restore(void);
/* Rows and columns; 24 and 80 when there is no terminal. */
void terminal_size(u16 *rows, u16 *cols);

#endif
