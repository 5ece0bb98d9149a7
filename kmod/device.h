/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /dev/virgo, described in uapi/linux/virgo.h. */
#ifndef VIRGO_KMOD_DEVICE_H
#define VIRGO_KMOD_DEVICE_H

int device_init(void);
void device_exit(void);

#endif
