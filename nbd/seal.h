/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dm-crypt above a mirror, with a key drawn at random that is nowhere but in this
 * kernel: lenders see noise. Nothing can be read after a reboot.
 */
#ifndef VIRGO_NBD_SEAL_H
#define VIRGO_NBD_SEAL_H

#include "failure.h"

/* Makes /dev/mapper/virgo-NAME over /dev/mdN. */
int seal_on(const char *name, int md, u64 size_bytes, struct failure *f);
/* 0 also when there is none. */
int seal_off(const char *name, struct failure *f);

#endif
