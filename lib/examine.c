// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The probes of a machine; the contract is in examine.h. One function a probe,
 * named in one table. Kernel facts come from files of procfs, sysfs and
 * /lib/modules, so a tree of plain files can stand for any machine.
 */
#include "examine.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "conf_client.h"
#include "conf_cloud.h"
#include "kernel.h"

struct probe {
	const struct doctor_where *where;
	struct doctor_finding *finding;
	char release[128]; /* of the kernel that runs */
	bool modules; /* it can load modules */
};

__attribute__((format(printf, 4, 5)))
static void say(struct probe *p, enum doctor_level level, const char *remedy,
		const char *fmt, ...)
{
	struct doctor_finding *f = p->finding;
	va_list ap;

	f->level = level;
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy ? remedy : "");
	va_start(ap, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 3, 4)))
static void path_in(const struct probe *p, char *out, const char *fmt, ...)
{
	size_t at = (size_t)snprintf(out, PATH_MAX, "%s", p->where->root);
	va_list ap;

	if (at >= PATH_MAX)
		at = PATH_MAX - 1;
	va_start(ap, fmt);
	vsnprintf(out + at, PATH_MAX - at, fmt, ap);
	va_end(ap);
}

static bool exists(const struct probe *p, const char *path)
{
	char full[PATH_MAX];

	path_in(p, full, "%s", path);
	return access(full, F_OK) == 0;
}

/* The beginning of a small file as text; false when it cannot be read. */
static bool read_text(const struct probe *p, const char *path, char *out,
		      size_t size)
{
	char full[PATH_MAX];
	size_t len;
	FILE *f;

	path_in(p, full, "%s", path);
	f = fopen(full, "re");
	if (!f)
		return false;
	len = fread(out, 1, size - 1, f);
	out[len] = '\0';
	fclose(f);
	return true;
}

/* Whether a line of @path is @word, or ends with white space and @word. */
static bool lists(const struct probe *p, const char *path, const char *word)
{
	char full[PATH_MAX];
	char line[1024];
	bool found = false;
	FILE *f;

	path_in(p, full, "%s", path);
	f = fopen(full, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *last = line;

		line[strcspn(line, "\n")] = '\0';
		for (char *s = line; *s; s++)
			if (*s == ' ' || *s == '\t')
				last = s + 1;
		found = !strcmp(last, word);
	}
	if (f)
		fclose(f);
	return found;
}

/* Whether @module stands in modules.dep or modules.builtin of the kernel that
 * runs, as PATH/NAME.ko, perhaps compressed, at the beginning of a line.
 */
static bool module_in(const struct probe *p, const char *file,
		      const char *module)
{
	char full[PATH_MAX];
	char line[4096];
	size_t len = strlen(module);
	bool found = false;
	FILE *f;

	path_in(p, full, "/lib/modules/%s/%s", p->release, file);
	f = fopen(full, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *name;

		line[strcspn(line, ":\n")] = '\0';
		name = strrchr(line, '/');
		name = name ? name + 1 : line;
		found = !strncmp(name, module, len) &&
			!strncmp(name + len, ".ko", 3);
	}
	if (f)
		fclose(f);
	return found;
}

static void probe_fuse(struct probe *p)
{
	if (exists(p, "/dev/fuse"))
		return;
	if (lists(p, "/proc/filesystems", "fuse"))
		say(p, DOCTOR_FAIL, "sudo mknod -m 666 /dev/fuse c 10 229, or "
		    "start the container with --device /dev/fuse",
		    "there is no /dev/fuse, so /virgo cannot be mounted");
	else if (p->modules && module_in(p, "modules.dep", "fuse"))
		say(p, DOCTOR_FAIL, "sudo modprobe fuse",
		    "the module fuse is not loaded, so /virgo cannot be "
		    "mounted");
	else
		say(p, DOCTOR_FAIL, "sudo apt-get install linux-image-amd64, "
		    "and boot it", "the kernel has no FUSE, so /virgo cannot "
		    "be mounted");
}

static void probe_cgroups(struct probe *p)
{
	static const char *const needed[] = { "cpu", "memory", "pids" };
	char have[512];
	char missing[64] = "";
	char remedy[200];

	if (!read_text(p, "/sys/fs/cgroup/cgroup.controllers", have,
		       sizeof(have))) {
		say(p, DOCTOR_NOTE, "add systemd.unified_cgroup_hierarchy=1 to "
		    "the kernel's command line and reboot",
		    "no cgroup v2 at /sys/fs/cgroup, so jobs cannot be given "
		    "limits of memory and cpu");
		return;
	}
	have[strcspn(have, "\n")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		bool found = false;
		char copy[sizeof(have)];
		char *rest = strcpy(copy, have);
		char *word;

		while ((word = strsep(&rest, " ")))
			found |= !strcmp(word, needed[i]);
		if (!found)
			snprintf(missing + strlen(missing),
				 sizeof(missing) - strlen(missing), "%s%s",
				 *missing ? ", " : "", needed[i]);
	}
	if (!*missing)
		return;
	snprintf(remedy, sizeof(remedy), "add cgroup_enable=%s to the kernel's "
		 "command line and reboot", strstr(missing, "memory") ?
		 "memory" : missing);
	say(p, DOCTOR_NOTE, remedy, "cgroup v2 lacks the controllers %s, so "
	    "jobs cannot be given those limits", missing);
}

/* @what is what cannot be done without. */
static void probe_module(struct probe *p, const char *module, const char *what)
{
	char path[200];
	char remedy[200];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	for (char *s = path; *s; s++)
		if (*s == '-')
			*s = '_';
	if (exists(p, path) || module_in(p, "modules.builtin", module))
		return;
	if (!p->modules) {
		say(p, DOCTOR_NOTE, NULL, "not available: kernel has no module "
		    "support; %s", what);
		return;
	}
	if (module_in(p, "modules.dep", module)) {
		say(p, DOCTOR_OK, NULL, "loaded when first needed");
		return;
	}
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", p->release);
	if (exists(p, path)) {
		say(p, DOCTOR_NOTE, "sudo apt-get install linux-image-amd64, "
		    "and boot it", "kernel %s has no module %s; %s", p->release,
		    module, what);
		return;
	}
	snprintf(remedy, sizeof(remedy), "sudo reboot, or sudo apt-get install "
		 "linux-image-%s", p->release);
	say(p, DOCTOR_NOTE, remedy, "the modules of the running kernel %s are "
	    "not installed (was it upgraded since?); %s", p->release, what);
}

static void probe_nbd(struct probe *p)
{
	probe_module(p, "nbd", "memory of other nodes cannot be borrowed");
}

static void probe_tls(struct probe *p)
{
	probe_module(p, "tls", "borrowed memory cannot be encrypted");
}

static void probe_md(struct probe *p)
{
	probe_module(p, "md-mod", "borrowed memory cannot be mirrored");
}

/* virgo.ko that is loaded, as a finding. */
static void say_loaded(struct probe *p)
{
	char text[KERNEL_TEXT] = "";
	struct kernel_info k;
	int ret;

	if (*p->where->root) { /* a tree of files has no device that answers */
		read_text(p, "/sys/module/virgo/version", text, sizeof(text));
		say(p, DOCTOR_OK, NULL, "%.*s", (int)strcspn(text, "\n"), text);
		return;
	}
	ret = kernel_info(&k);
	if (ret) {
		say(p, DOCTOR_NOTE, ret == -EPROTO ?
		    "install the module of this version, see virgo(4)" : NULL,
		    "loaded, and not used: %s", kernel_why(ret));
		return;
	}
	kernel_text(&k, text);
	say(p, DOCTOR_OK, NULL, "%s", text);
}

static void probe_virgo(struct probe *p)
{
	if (exists(p, "/sys/module/virgo"))
		say_loaded(p);
	else if (module_in(p, "modules.dep", "virgo"))
		say(p, DOCTOR_OK, NULL, "installed, not loaded; sudo modprobe "
		    "virgo loads it");
	else
		say(p, DOCTOR_OK, NULL, "not installed, nothing needs it; see "
		    "virgo(4)");
}

static void probe_headers(struct probe *p)
{
	char path[200];
	char remedy[200];

	snprintf(path, sizeof(path), "/lib/modules/%s/build/Makefile",
		 p->release);
	if (exists(p, path))
		return;
	if (!p->modules) {
		say(p, DOCTOR_NOTE, NULL, "not available: kernel has no module "
		    "support; virgo.ko cannot be used");
		return;
	}
	snprintf(remedy, sizeof(remedy), "sudo apt-get install linux-headers-%s",
		 p->release);
	say(p, DOCTOR_NOTE, remedy, "no headers of the running kernel %s, so "
	    "virgo.ko cannot be built", p->release);
}

static void probe_secure_boot(struct probe *p)
{
	static const char variable[] = "/sys/firmware/efi/efivars/SecureBoot-"
				       "8be4df61-93ca-11d2-aa0d-00e098032b8c";
	char path[PATH_MAX];
	unsigned char bytes[5] = { 0 };
	FILE *f;

	path_in(p, path, "%s", variable);
	f = fopen(path, "re");
	/* Four bytes of attributes, then the value. */
	if (f && fread(bytes, 1, sizeof(bytes), f) == sizeof(bytes) && bytes[4])
		say(p, DOCTOR_NOTE, "sudo mokutil --import "
		    "/var/lib/dkms/mok.pub, and reboot to enrol the key",
		    "on, so virgo.ko loads only when signed with a key the "
		    "machine trusts");
	else
		say(p, DOCTOR_OK, NULL, "off");
	if (f)
		fclose(f);
}

static void probe_disk(struct probe *p)
{
	struct statvfs v;
	char remedy[256];
	u64 free_mib;
	u64 percent;

	if (statvfs(p->where->state, &v)) {
		snprintf(remedy, sizeof(remedy), "sudo mkdir -p %.150s",
			 p->where->state);
		say(p, DOCTOR_FAIL, remedy, "%.150s: %s", p->where->state,
		    strerror(errno));
		return;
	}
	free_mib = (u64)v.f_bavail * v.f_frsize >> 20;
	percent = v.f_blocks ? (u64)v.f_bavail * 100 / v.f_blocks : 100;
	snprintf(remedy, sizeof(remedy), "sudo du -xh --max-depth=2 %.100s | "
		 "sort -h, and remove what is not needed", p->where->state);
	if (v.f_files && (u64)v.f_favail * 100 / v.f_files < 1)
		say(p, DOCTOR_FAIL, remedy, "no room for further files at "
		    "%.150s", p->where->state);
	else if (free_mib < 64 || (percent < 5 && free_mib < 1024))
		say(p, DOCTOR_FAIL, remedy, "%" PRIu64 " MiB (%" PRIu64 " %%) "
		    "free at %.150s", free_mib, percent, p->where->state);
	else
		say(p, DOCTOR_OK, NULL, "%" PRIu64 " MiB free", free_mib);
}

static u64 memory_kib(const struct probe *p)
{
	char text[256];
	u64 kib = 0;

	if (read_text(p, "/proc/meminfo", text, sizeof(text)))
		sscanf(text, "MemTotal: %" SCNu64, &kib);
	return kib;
}

/*
 * Packets that bring swapped pages back need memory when there is none: 32 MiB
 * is what two borrowed mirrors have in flight, and a machine too small to give
 * that gives a thirty-second part.
 */
static void probe_min_free(struct probe *p)
{
	u64 want = memory_kib(p) / 32;
	char text[64];
	char remedy[160];
	u64 have;

	if (want > 32768)
		want = 32768;
	if (!read_text(p, "/proc/sys/vm/min_free_kbytes", text, sizeof(text))) {
		say(p, DOCTOR_NOTE, NULL, "the kernel does not tell it");
		return;
	}
	have = strtoull(text, NULL, 10);
	if (have >= want) {
		say(p, DOCTOR_OK, NULL, "%" PRIu64, have);
		return;
	}
	snprintf(remedy, sizeof(remedy), "sudo sysctl -w vm.min_free_kbytes=%"
		 PRIu64, want);
	say(p, DOCTOR_NOTE, remedy, "%" PRIu64 " is too little to swap to other "
	    "nodes", have);
}

/* The first error of a file of configuration; false when there is none. */
static bool conf_fault(struct probe *p, const struct conf_schema *s)
{
	union {
		void *memory;
		struct conf_cloud cloud;
		struct conf_client client;
	} v;
	struct conf_report *report = malloc(sizeof(*report));
	struct failure f;
	char path[PATH_MAX];
	int ret = -ENOMEM;

	snprintf(path, sizeof(path), "%s/%s", p->where->conf_dir, s->file);
	if (report)
		ret = conf_read(s, path, &v, report);
	if (!ret)
		conf_free(&v);
	else if (report && ret != -ENOENT) {
		conf_report_failure(report, ret, &f);
		say(p, DOCTOR_FAIL, "virgo conf check", "%s: %s", f.object,
		    f.what);
	}
	free(report);
	return ret && ret != -ENOENT;
}

static void probe_conf(struct probe *p)
{
	if (!conf_fault(p, &conf_cloud_schema))
		conf_fault(p, &conf_client_schema);
}

static void probe_pam(struct probe *p)
{
	if (exists(p, "/etc/pam.d/virgo") || exists(p, "/usr/lib/pam.d/virgo"))
		return;
	say(p, DOCTOR_NOTE, "echo '@include common-account' | sudo tee "
	    "/etc/pam.d/virgo", "PAM has no service virgo, so it is not asked "
	    "whether an account is open");
}

static const struct {
	const char *name;
	void (*run)(struct probe *p);
} probes[] = {
	{ "fuse", probe_fuse },
	{ "cgroups", probe_cgroups },
	{ "module nbd", probe_nbd },
	{ "module tls", probe_tls },
	{ "module md", probe_md },
	{ "module virgo", probe_virgo },
	{ "kernel headers", probe_headers },
	{ "secure boot", probe_secure_boot },
	{ "disk", probe_disk },
	{ "min_free_kbytes", probe_min_free },
	{ "configuration", probe_conf },
	{ "pam", probe_pam },
};

void doctor_machine(const struct doctor_where *w, doctor_fn *fn, void *arg)
{
	struct doctor_finding f;
	struct probe p = { .where = w, .finding = &f };

	if (!read_text(&p, "/proc/sys/kernel/osrelease", p.release,
		       sizeof(p.release)))
		strcpy(p.release, "unknown");
	p.release[strcspn(p.release, "\n/")] = '\0';
	p.modules = exists(&p, "/proc/modules");
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		f = (struct doctor_finding){ .level = DOCTOR_OK };
		snprintf(f.name, sizeof(f.name), "%s", probes[i].name);
		probes[i].run(&p);
		fn(arg, &f);
	}
}

const char *doctor_level_name(enum doctor_level l)
{
	return l == DOCTOR_OK ? "ok" : l == DOCTOR_NOTE ? "note" : "FAIL";
}
