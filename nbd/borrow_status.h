/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `virgo swap status` and `virgo disk list`. */
#ifndef VIRGO_NBD_BORROW_STATUS_H
#define VIRGO_NBD_BORROW_STATUS_H

#include "env.h"

/* Prints what is borrowed as swap, or as disks; the exit status. */
int borrow_status(const char *state, bool swap, bool json);

#endif
