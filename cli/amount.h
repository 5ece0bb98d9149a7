/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Amounts as people write them on a command line: a number, with a fraction if they
 * like, and a unit in either case. Each gives false for anything else, for zero and
 * for what does not fit.
 */
#ifndef VIRGO_CLI_AMOUNT_H
#define VIRGO_CLI_AMOUNT_H

#include "env.h"

/* "1.5G", "512MiB", "100000": units of 1024; bytes without one. */
bool amount_bytes(const char *text, u64 *bytes);
/* "500ms", "1.5s", "2m", "1h", "1d"; seconds without a unit. */
bool amount_ms(const char *text, u64 *ms);
/* CPUs: "1.5", or "150%"; from 1 % to 4096 CPUs. */
bool amount_cpus(const char *text, u32 *ppm);
/* A whole number from 1 to @most, "32k" being 32,000. */
bool amount_count(const char *text, u32 most, u32 *count);

#endif
