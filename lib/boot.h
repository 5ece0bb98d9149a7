/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VIRGO_LIB_BOOT_H
#define VIRGO_LIB_BOOT_H

enum { BOOT_ID_SIZE = 40 };

/*
 * What tells this boot of this kernel from every other, as text; the same in all
 * of its namespaces and containers. "" where it cannot be read. Does not allocate.
 */
void boot_id(char out[static BOOT_ID_SIZE]);

#endif
