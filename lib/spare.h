/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom the kernel ends when memory runs out. */
#ifndef VIRGO_SPARE_H
#define VIRGO_SPARE_H

/* What a process of ours has as /proc/self/oom_score_adj: next to nothing comes back
 * by ending it, and much stands on it.
 */
#define SPARE_NEVER "-1000"
#define SPARE_LENDER "-900" /* what it holds, its holder keeps */
#define SPARE_NODE "-500" /* virgod, unless half of the memory is its own */
#define SPARE_NOT "0" /* programs of users, whoever starts them */

/* Asks the kernel for that. Without the right to it things stay as they are. */
void spare_self(const char *adj);

#endif
