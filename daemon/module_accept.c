// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that came to virgo.ko with something for virgod (their memory objects):
 * each is a unix socket with their credentials, and served like those that connect
 * to virgod's own.
 */
#include <linux/virgo.h>
#include <unistd.h>

#include "kernel.h"
#include "listen.h"
#include "log.h"
#include "module_impl.h"

enum {
	ACCEPTS_PER_WAKE = 64,
	EXHAUSTED_US = 100000,
};

/* 0 when nobody waits any more, else in how many us to look again. */
static u64 accept_some(struct module *m, int device)
{
	int i;

	for (i = 0; i < ACCEPTS_PER_WAKE; i++) {
		int fd = kernel_ioctl(device, VIRGO_IOC_ACCEPT, NULL);

		if (fd >= 0) {
			listeners_take(m->node->listeners, fd);
		} else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM) {
			log_warning("cannot take programs from virgo.ko: %s",
				    strerror(-fd));
			return EXHAUSTED_US;
		} else {
			return 0;
		}
	}
	return 1;
}

void module_accept(struct timer *t)
{
	struct module *m = (struct module *)((char *)t - offsetof(struct module,
								  accept));
	int device = m->family && m->node->listeners ? kernel_open() : -ENOENT;
	u64 again = EXHAUSTED_US;

	if (device >= 0) {
		again = accept_some(m, device);
		close(device);
	} else if (device != -EMFILE && device != -ENFILE) {
		again = 0;
	}
	if (again)
		loop_arm(m->node->loop, t, again);
}
