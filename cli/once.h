/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verbs that need keys and certificates are done by `virgod VERB`, which this
 * program becomes: so the rest of `virgo` starts without a TLS library.
 */
#ifndef VIRGO_CLI_ONCE_H
#define VIRGO_CLI_ONCE_H

#include "verbs.h"

/* Replaces this program by `virgod argv[0] --state ... argv[1]...`; gives the
 * exit status when that fails.
 */
int once_exec(const struct globals *g, int argc, char **argv);

#endif
