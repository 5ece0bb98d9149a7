/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors 0, 1 and 2 as a program needs them. */
#ifndef VIRGO_LIB_STDFDS_H
#define VIRGO_LIB_STDFDS_H

/*
 * Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed, so that
 * no file or socket opened later gets its number and with it what is printed.
 * First call of main(); ends the program when /dev/null cannot be opened.
 */
void stdfds_ensure(void);

#endif
