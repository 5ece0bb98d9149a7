// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The FUSE device in the loop; the contract is in device.h. Requests are read
 * without blocking and handed to libfuse, which parses them and calls ops.h;
 * answers go out through our writev. Two things are done around libfuse, which
 * is older than the kernel: FUSE_TMPFILE, and the flag that makes this side
 * responsible for set-user-ID bits, without which the kernel would ask for
 * security.capability before every write.
 */
#include "device.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log.h"
#include "ops.h"
#include "tmpfile.h"

enum {
	READS_PER_WAKE = 64, /* then the sockets get their turn */
	READ_AHEAD_KB = 4096,
};

/* The one mount of this process: libfuse hands our I/O functions no pointer. */
static struct mount *the_mount;

static void complete_init(struct mount *m, const struct iovec *iov, int count)
{
	const struct fuse_out_header *h = iov[0].iov_base;
	struct fuse_init_out *out;

	if (!m->init_unique || h->unique != m->init_unique)
		return;
	m->init_unique = 0;
	m->greeted = true;
	if (h->error || count < 2 || iov[1].iov_len < sizeof(u32) * 4)
		return;
	out = iov[1].iov_base;
	out->flags |= m->init_flags & FUSE_HANDLE_KILLPRIV_V2;
}

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	complete_init(the_mount, iov, count);
	return writev(fd, iov, count);
}

static ssize_t io_read(int fd, void *buf, size_t len, void *userdata)
{
	return read(fd, buf, len);
}

static const struct fuse_custom_io io = { .writev = io_writev,
					  .read = io_read };

static void note_init(struct mount *m, const struct fuse_in_header *h, size_t n)
{
	const struct fuse_init_in *in = (const void *)(h + 1);

	if (n < sizeof(*h) + 16)
		return;
	m->init_unique = h->unique;
	m->init_flags = in->flags;
}

/* Handles one request of @n bytes in m->request. */
static void take(struct mount *m, size_t n)
{
	const struct fuse_in_header *h = (const void *)m->request;
	struct fuse_buf buf = { .mem = m->request, .size = n };

	if (n < sizeof(*h))
		return;
	switch (h->opcode) {
	case FUSE_INIT:
		note_init(m, h, n);
		break;
	case FUSE_WRITE:
		m->write_kills_priv =
			n >= sizeof(*h) + sizeof(struct fuse_write_in) &&
			((const struct fuse_write_in *)(h + 1))->write_flags &
				FUSE_WRITE_KILL_SUIDGID;
		break;
	case FUSE_TMPFILE:
		tmpfile_take(m, h, n);
		return;
	}
	fuse_session_process_buf(m->session, &buf);
}

static void gone(struct mount *m, int err)
{
	m->mounted = false;
	if (err != ENODEV)
		log_error("%s: /dev/fuse: %s", m->point, strerror(err));
	loop_unwatch(m->loop, &m->device);
	loop_stop(m->loop);
}

static void on_ready(struct watch *w, u32 events)
{
	struct mount *m = (struct mount *)((char *)w - offsetof(struct mount,
								device));
	int reads = READS_PER_WAKE;

	while (reads--) {
		ssize_t n;

		if (!m->request)
			m->request = malloc(REQUEST_BYTES);
		if (!m->request)
			return;
		n = read(w->fd, m->request, REQUEST_BYTES);
		if (n < 0) {
			/* ENOENT: the request was interrupted meanwhile. */
			if (errno == ENOENT || errno == EINTR)
				continue;
			if (errno != EAGAIN)
				gone(m, errno);
			return;
		}
		take(m, (size_t)n);
		if (fuse_session_exited(m->session)) {
			loop_stop(m->loop);
			return;
		}
	}
}

/* The kernel reads ahead at most what the device's entry in sysfs says. Its
 * number must be learnt without asking the file system, which is ourselves.
 */
static void raise_read_ahead(const char *point)
{
	char path[128];
	struct statx st;
	FILE *f;

	if (statx(AT_FDCWD, point, AT_STATX_DONT_SYNC, STATX_TYPE, &st))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 st.stx_dev_major, st.stx_dev_minor);
	f = fopen(path, "we");
	if (!f)
		return; /* a container without a writable /sys: 128 KiB then */
	fprintf(f, "%d\n", READ_AHEAD_KB);
	fclose(f);
}

static int mount_it(struct mount *m, int fd, unsigned long flags,
		    struct failure *f)
{
	char options[128];

	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,"
		 "default_permissions,max_read=%d", fd, FILE_IO_MAX);
	if (mount("virgo", m->point, "fuse.virgo", flags | MS_NOSUID | MS_NODEV,
		  options) == 0)
		return 0;
	return failure_set(f, -errno, m->point,
			   errno == EPERM  ? "run it as root" :
			   errno == ENOENT ? "make the folder first" :
			   errno == ENODEV ? "load the kernel's fuse module: "
					     "modprobe fuse" :
					     NULL,
			   "cannot mount: %s", strerror(errno));
}

int device_open(struct mount *m, unsigned long flags, struct failure *f)
{
	char max_read[32];
	char *argv[] = { (char *)"mount.virgo", (char *)"-o", max_read, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int ret;

	if (fd < 0)
		return failure_set(f, -errno, "/dev/fuse",
				   errno == ENOENT ? "load the kernel's fuse "
						     "module: modprobe fuse" :
						     "run it as root",
				   "cannot open: %s", strerror(errno));
	the_mount = m;
	snprintf(max_read, sizeof(max_read), "max_read=%d", FILE_IO_MAX);
	m->session = fuse_session_new(&args, &ops, sizeof(ops), m);
	fuse_opt_free_args(&args);
	if (!m->session || fuse_session_custom_io(m->session, &io, fd)) {
		close(fd);
		return failure_set(f, -ENOMEM, m->point, NULL,
				   "cannot make a FUSE session");
	}
	m->device = (struct watch){ .fd = fd, .ready = on_ready };
	ret = mount_it(m, fd, flags, f);
	if (ret)
		return ret;
	m->mounted = true;
	ret = loop_watch(m->loop, &m->device, EPOLLIN);
	if (ret)
		return failure_set(f, ret, m->point, NULL, "out of memory");
	/* The kernel's greeting must be answered before anything else works. */
	while (!m->greeted && m->device.slot)
		loop_step(m->loop, 1000);
	if (!m->greeted || fuse_session_exited(m->session))
		return failure_set(f, -EPROTO, m->point, NULL,
				   "this kernel and FUSE library do not agree");
	raise_read_ahead(m->point);
	return 0;
}

void device_detach(struct mount *m)
{
	if (!m->session)
		return;
	loop_unwatch(m->loop, &m->device);
	if (m->mounted)
		umount2(m->point, MNT_DETACH | UMOUNT_NOFOLLOW);
	m->mounted = false;
}

void device_close(struct mount *m)
{
	if (!m->session)
		return;
	fuse_session_destroy(m->session);
	m->session = NULL;
	free(m->request);
	m->request = NULL;
}
