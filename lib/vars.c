// SPDX-License-Identifier: LGPL-2.1-or-later
/* Variables of this machine; the contract is in vars.h. */
#include "vars.h"

#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/virgo.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "kernel.h"
#include "netlink.h"

static_assert(VIRGO_VARS_BYTES == VAR_TABLE_BYTES, "as the module has it");

enum { PATH_BYTES = 4096, MESSAGE_BYTES = 512, NEWS_BYTES = 8192 };

struct vars {
	void *table;
	bool kernel;
	char path[PATH_BYTES];
};

u64 vars_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The kernel's name for this boot, 32 hexadecimal digits with dashes. */
static void read_boot(u8 *boot)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	char text[64] = "";
	int n = 0;
	char *p;

	memset(boot, 0, VAR_BOOT_BYTES);
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	for (p = text; *p && *p != '\n' && n < 2 * VAR_BOOT_BYTES; p++) {
		if (*p == '-')
			continue;
		boot[n / 2] = (u8)(boot[n / 2] << 4 | hex(*p));
		n++;
	}
}

static int path_of(const char *state, char *out)
{
	if (!state)
		state = getenv("VIRGO_STATE");
	if (!state)
		state = VIRGO_DEFAULT_STATE;
	return snprintf(out, PATH_BYTES, "%s/vars", state) < PATH_BYTES ?
		       0 : -ENAMETOOLONG;
}

/* --- reading --- */

static int map_file(struct vars *v)
{
	int fd = open(v->path, O_RDONLY | O_CLOEXEC);
	u8 boot[VAR_BOOT_BYTES];
	struct stat st;
	int ret = -ENOENT;

	if (fd < 0)
		return -errno;
	/* One that is being made, or was cut, would kill who reads it. */
	if (!fstat(fd, &st) && st.st_size >= VAR_TABLE_BYTES) {
		v->table = mmap(NULL, VAR_TABLE_BYTES, PROT_READ, MAP_SHARED,
				fd, 0);
		ret = v->table == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (ret)
		return ret;
	read_boot(boot);
	if (!var_check(v->table, boot))
		return 0;
	munmap(v->table, VAR_TABLE_BYTES);
	return -ENOENT;
}

static int map_kernel(struct vars *v)
{
	int fd = kernel_open();
	int ret;

	if (fd < 0)
		return fd;
	v->table = mmap(NULL, VAR_TABLE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	ret = v->table == MAP_FAILED ? -errno : 0;
	close(fd);
	v->kernel = true;
	snprintf(v->path, sizeof(v->path), "%s", KERNEL_DEVICE);
	return ret;
}

int vars_open(struct vars **out, const char *state, bool kernel,
	      struct failure *f)
{
	struct vars *v = calloc(1, sizeof(*v));
	int ret;

	*out = NULL;
	if (!v)
		return failure_set(f, -ENOMEM, "variables", NULL,
				   "out of memory");
	ret = path_of(state, v->path);
	if (!ret)
		ret = kernel ? -ENOENT : map_file(v);
	if (ret == -ENOENT)
		ret = map_kernel(v);
	if (!ret) {
		*out = v;
		return 0;
	}
	free(v);
	if (ret != -ENOENT || kernel)
		return failure_set(f, ret, "variables", NULL, "%s: %s", kernel ?
				   "virgo.ko" : "cannot be read",
				   kernel ? kernel_why(ret) : strerror(-ret));
	return failure_set(f, ret, "variables", "virgo var set",
			   "none was set on this machine since it started");
}

void vars_close(struct vars *v)
{
	if (!v)
		return;
	munmap(v->table, VAR_TABLE_BYTES);
	free(v);
}

const void *vars_table(const struct vars *v)
{
	return v->table;
}

const char *vars_source(const struct vars *v)
{
	return v->path;
}

/* --- the module's netlink --- */

struct link {
	int fd;
	u32 sequence;
	struct nl_family family;
};

static int link_open(struct link *l)
{
	int ret;

	*l = (struct link){ .fd = nl_open(0), .sequence = 1 };
	if (l->fd < 0)
		return l->fd;
	ret = nl_find_family(l->fd, l->sequence, VIRGO_GENL_NAME,
			     VIRGO_GENL_GROUP_VARS, &l->family);
	if (ret)
		close(l->fd);
	return ret;
}

static int set_in_kernel(const struct var *v)
{
	u8 data[MESSAGE_BYTES];
	struct nl_message m;
	struct link l;
	int ret = link_open(&l);

	if (ret)
		return ret;
	m = nl_begin(data, sizeof(data), l.family.id, NLM_F_ACK, ++l.sequence,
		     VIRGO_CMD_VAR_SET, VIRGO_GENL_VERSION);
	nl_put_text(&m, VIRGO_A_VAR_NAME, v->name);
	nl_put_text(&m, VIRGO_A_VAR_UNIT, v->unit);
	nl_put_text(&m, VIRGO_A_VAR_PRODUCER, v->producer);
	nl_put(&m, VIRGO_A_VAR_TYPE, &v->type, 1);
	nl_put(&m, VIRGO_A_VAR_MODE, &v->mode, 1);
	nl_put_u64(&m, VIRGO_A_VAR_VALUE, v->value);
	nl_put_u64(&m, VIRGO_A_VAR_MIN, v->min);
	nl_put_u64(&m, VIRGO_A_VAR_MAX, v->max);
	nl_put_u64(&m, VIRGO_A_VAR_DEFAULT, v->def);
	nl_put_u32(&m, VIRGO_A_VAR_TTL, v->ttl_ms);
	nl_put_u32(&m, VIRGO_A_VAR_CONFIDENCE, v->confidence_ppm);
	ret = nl_ask(l.fd, data, nl_end(&m), l.sequence, NULL, NULL);
	close(l.fd);
	return ret;
}

/* --- waiting --- */

static int watch_kernel(void)
{
	struct link l;
	int ret = link_open(&l);

	if (ret)
		return ret;
	ret = nl_join(l.fd, l.family.group);
	if (!ret)
		return l.fd;
	close(l.fd);
	return ret;
}

int vars_watch(const struct vars *v)
{
	int fd, err;

	if (v->kernel)
		return watch_kernel();
	fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (inotify_add_watch(fd, v->path, IN_ATTRIB) >= 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

void vars_drain(int fd)
{
	char data[NEWS_BYTES];
	ssize_t n;

	/* Neither kind of descriptor splits what it gives; news that were lost
	 * (ENOBUFS) are news, too.
	 */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	do
		n = read(fd, data, sizeof(data));
	while (n > 0 || (n < 0 && errno == ENOBUFS));
}

/* --- setting --- */

/* The table of the file behind @fd, of this boot and whole. */
static int map_to_write(int fd, void **table)
{
	u8 boot[VAR_BOOT_BYTES];
	struct stat st;
	int ret = 0;

	if (fstat(fd, &st) ||
	    (st.st_size != VAR_TABLE_BYTES && ftruncate(fd, VAR_TABLE_BYTES)))
		return -errno;
	/* What is not there can then not be missed while it is written. */
	ret = posix_fallocate(fd, 0, VAR_TABLE_BYTES);
	if (ret && ret != EOPNOTSUPP && ret != ENOSYS)
		return -ret;
	*table = mmap(NULL, VAR_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	if (*table == MAP_FAILED)
		return -errno;
	read_boot(boot);
	if (var_check(*table, boot)) {
		fchmod(fd, 0644); /* whatever the umask */
		var_format(*table, boot);
	}
	var_repair(*table);
	return 0;
}

static int set_in_file(const char *state, const struct var *v)
{
	char path[PATH_BYTES];
	int ret = path_of(state, path);
	void *table;
	int fd;

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) && errno == EINTR)
		;
	ret = map_to_write(fd, &table);
	if (!ret) {
		ret = var_write(table, v);
		munmap(table, VAR_TABLE_BYTES);
		futimens(fd, NULL);
	}
	close(fd);
	return ret < 0 ? ret : 0;
}

static const char *remedy_of(int code)
{
	switch (code) {
	case -EACCES:
	case -EPERM:
		return "as root";
	case -ENOENT:
		return "virgo init, or --state DIR of a node";
	default:
		return NULL;
	}
}

int vars_set(const char *state, bool kernel, struct var *v, struct failure *f)
{
	int ret = 0, in_kernel;

	v->updated_ns = vars_now_ns();
	if (!kernel)
		ret = set_in_file(state, v);
	if (ret)
		return failure_set(f, ret, v->name, remedy_of(ret), "%s",
				   ret == -EINVAL ? "no variable is like that" :
				   ret == -ERANGE ? "outside of min and max" :
				   ret == -ENOSPC ? "the table is full" :
				   strerror(-ret));
	in_kernel = set_in_kernel(v);
	/* Without the module, or in a namespace that it does not serve. */
	if (!in_kernel ||
	    (!kernel && (in_kernel == -ENOENT || in_kernel == -ENODEV)))
		return 0;
	return failure_set(f, in_kernel, v->name, in_kernel == -ENOENT ?
			   "modprobe virgo" : remedy_of(in_kernel),
			   "not set in the kernel: %s", in_kernel == -ENOENT ?
			   kernel_why(in_kernel) : strerror(-in_kernel));
}
