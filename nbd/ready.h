/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether this machine can borrow: kernel drivers, kTLS, reserves. */
#ifndef VIRGO_NBD_READY_H
#define VIRGO_NBD_READY_H

#include "failure.h"

struct ready_wish {
	bool plaintext; /* no kTLS is needed */
	bool seal;
	bool swap;
	bool raise_min_free; /* vm.min_free_kbytes, if it is too low */
};

/* Loads what is missing and can be loaded. @told gets what was changed. */
int ready_check(const struct ready_wish *w, void (*told)(const char *text),
		struct failure *f);
/* What vm.min_free_kbytes should be at least on a machine of so much memory. */
u64 ready_min_free_kib(u64 memory_bytes);

#endif
