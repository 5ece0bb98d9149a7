// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The probes of virgo doctor, each with its fault injected: a tree of plain files
 * stands for a sound machine, and each test breaks one thing.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "examine.h"

#define RELEASE "6.1.0-99-amd64"
#define MODULES "/lib/modules/" RELEASE
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-" \
		    "8be4df61-93ca-11d2-aa0d-00e098032b8c"

static char root[] = "/tmp/virgo-doctor.XXXXXX";
static struct doctor_finding found[32];
static int count;

static void put(const char *name, const void *text, size_t len)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	cr_assert(f, "%s", path);
	fwrite(text, 1, len, f);
	fclose(f);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(path);
}

static void drop(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s", root, name);
	cr_assert_eq(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0, "%s",
		     path);
}

static void setup(void)
{
	cr_assert(mkdtemp(root));
	put_text("/dev/fuse", "");
	put_text("/proc/sys/kernel/osrelease", RELEASE "\n");
	put_text("/proc/modules", "");
	put_text("/proc/filesystems", "nodev\tsysfs\nnodev\tfuse\n\text4\n");
	put_text("/proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\n");
	put_text("/proc/sys/vm/min_free_kbytes", "67584\n");
	put_text("/sys/fs/cgroup/cgroup.controllers",
		 "cpuset cpu io memory hugetlb pids\n");
	put_text("/sys/module/tls/refcnt", "0\n");
	put_text(MODULES "/modules.dep",
		 "kernel/drivers/block/nbd.ko:\n"
		 "kernel/fs/fuse/fuse.ko.xz:\n"
		 "kernel/drivers/md/raid1.ko.zst: kernel/drivers/md/md-mod.ko\n");
	put_text(MODULES "/modules.builtin", "kernel/drivers/md/md-mod.ko\n");
	put_text(MODULES "/build/Makefile", "");
	put(SECURE_BOOT, "\6\0\0\0\0", 5);
	put_text("/etc/pam.d/virgo", "");
	put_text("/conf/virgo_cloud.conf", "[node]\nport = 1\n");
}

static void teardown(void)
{
	drop("");
}

TestSuite(doctor, .init = setup, .fini = teardown);

static void take(void *arg, const struct doctor_finding *f)
{
	cr_assert_lt(count, (int)ARRAY_SIZE(found));
	found[count++] = *f;
}

static void examine_at(const char *at, const char *state)
{
	char conf_dir[64];
	const struct doctor_where w = { .root = at,
					.state = state,
					.conf_dir = conf_dir };

	snprintf(conf_dir, sizeof(conf_dir), "%s/conf", root);
	count = 0;
	doctor_machine(&w, take, NULL);
}

static const struct doctor_finding *named(const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(found[i].name, name))
			return &found[i];
	cr_assert(false, "no finding '%s'", name);
	return NULL;
}

/* All but @name are well; it is as told. */
static void expect(const char *name, enum doctor_level level, const char *what,
		   const char *remedy)
{
	const struct doctor_finding *f;

	examine_at(root, root);
	for (int i = 0; i < count; i++)
		cr_expect(found[i].level == DOCTOR_OK ||
			  !strcmp(found[i].name, name), "%s: %s",
			  found[i].name, found[i].what);
	f = named(name);
	cr_assert_eq(f->level, level, "%s: %s", name, f->what);
	cr_assert_str_eq(f->what, what);
	cr_assert_str_eq(f->remedy, remedy);
}

Test(doctor, a_sound_machine_has_nothing_to_mend)
{
	examine_at(root, root);
	cr_assert_geq(count, 12);
	for (int i = 0; i < count; i++) {
		cr_assert_eq(found[i].level, DOCTOR_OK, "%s: %s",
			     found[i].name, found[i].what);
		cr_assert_str_empty(found[i].remedy);
	}
	cr_assert_str_eq(named("module nbd")->what, "loaded when first needed");
	cr_assert_str_eq(named("module md")->what, "");
	cr_assert_str_eq(named("secure boot")->what, "off");
	cr_assert_str_eq(named("module virgo")->what,
			 "not installed, nothing needs it; see virgo(4)");
}

Test(doctor, the_kernel_module)
{
	put_text(MODULES "/modules.dep", "updates/virgo.ko:\n");
	examine_at(root, root);
	cr_assert_eq(named("module virgo")->level, DOCTOR_OK);
	cr_assert_str_eq(named("module virgo")->what, "installed, not loaded; "
			 "sudo modprobe virgo loads it");
	put_text("/sys/module/virgo/version", "0.1.0\n");
	examine_at(root, root);
	cr_assert_str_eq(named("module virgo")->what, "0.1.0");
}

Test(doctor, fault_fuse_device_is_missing)
{
	drop("/dev/fuse");
	expect("fuse", DOCTOR_FAIL,
	       "there is no /dev/fuse, so /virgo cannot be mounted",
	       "sudo mknod -m 666 /dev/fuse c 10 229, or start the container "
	       "with --device /dev/fuse");
}

Test(doctor, fault_fuse_module_is_not_loaded)
{
	drop("/dev/fuse");
	put_text("/proc/filesystems", "\text4\nnodev\tfusectl\n");
	expect("fuse", DOCTOR_FAIL,
	       "the module fuse is not loaded, so /virgo cannot be mounted",
	       "sudo modprobe fuse");
}

Test(doctor, fault_kernel_has_no_fuse)
{
	drop("/dev/fuse");
	put_text("/proc/filesystems", "\text4\n");
	put_text(MODULES "/modules.dep", "kernel/drivers/block/nbd.ko:\n");
	expect("fuse", DOCTOR_FAIL,
	       "the kernel has no FUSE, so /virgo cannot be mounted",
	       "sudo apt-get install linux-image-amd64, and boot it");
}

Test(doctor, fault_cgroup_v1)
{
	drop("/sys/fs/cgroup/cgroup.controllers");
	expect("cgroups", DOCTOR_NOTE,
	       "no cgroup v2 at /sys/fs/cgroup, so jobs cannot be given limits "
	       "of memory and cpu",
	       "add systemd.unified_cgroup_hierarchy=1 to the kernel's command "
	       "line and reboot");
}

Test(doctor, fault_a_controller_is_missing)
{
	put_text("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n");
	expect("cgroups", DOCTOR_NOTE,
	       "cgroup v2 lacks the controllers memory, so jobs cannot be given "
	       "those limits",
	       "add cgroup_enable=memory to the kernel's command line and "
	       "reboot");
}

Test(doctor, fault_nbd_is_not_in_this_kernel)
{
	put_text(MODULES "/modules.dep", "kernel/fs/fuse/fuse.ko:\n"
					 "kernel/drivers/block/nbdx.ko:\n");
	expect("module nbd", DOCTOR_NOTE,
	       "kernel " RELEASE " has no module nbd; memory of other nodes "
	       "cannot be borrowed",
	       "sudo apt-get install linux-image-amd64, and boot it");
}

Test(doctor, fault_tls_is_not_in_this_kernel)
{
	drop("/sys/module/tls");
	expect("module tls", DOCTOR_NOTE,
	       "kernel " RELEASE " has no module tls; borrowed memory cannot "
	       "be encrypted",
	       "sudo apt-get install linux-image-amd64, and boot it");
}

Test(doctor, fault_md_is_not_in_this_kernel)
{
	put_text(MODULES "/modules.builtin", "");
	expect("module md", DOCTOR_NOTE,
	       "kernel " RELEASE " has no module md-mod; borrowed memory "
	       "cannot be mirrored",
	       "sudo apt-get install linux-image-amd64, and boot it");
	put_text("/sys/module/md_mod/refcnt", "1");
	expect("module md", DOCTOR_OK, "", "");
}

Test(doctor, fault_the_kernel_was_upgraded_and_not_booted)
{
	put_text("/proc/sys/kernel/osrelease", "6.1.0-98-amd64\n");
	examine_at(root, root);
	cr_assert_eq(named("module nbd")->level, DOCTOR_NOTE);
	cr_assert_str_eq(named("module nbd")->what,
			 "the modules of the running kernel 6.1.0-98-amd64 are "
			 "not installed (was it upgraded since?); memory of "
			 "other nodes cannot be borrowed");
	cr_assert_str_eq(named("module nbd")->remedy,
			 "sudo reboot, or sudo apt-get install "
			 "linux-image-6.1.0-98-amd64");
}

Test(doctor, fault_no_headers)
{
	drop(MODULES "/build");
	expect("kernel headers", DOCTOR_NOTE,
	       "no headers of the running kernel " RELEASE ", so virgo.ko "
	       "cannot be built",
	       "sudo apt-get install linux-headers-" RELEASE);
}

Test(doctor, fault_secure_boot_is_on)
{
	put(SECURE_BOOT, "\6\0\0\0\1", 5);
	expect("secure boot", DOCTOR_NOTE,
	       "on, so virgo.ko loads only when signed with a key the machine "
	       "trusts",
	       "sudo mokutil --import /var/lib/dkms/mok.pub, and reboot to "
	       "enrol the key");
}

Test(doctor, fault_min_free_kbytes_is_low)
{
	put_text("/proc/sys/vm/min_free_kbytes", "11584\n");
	expect("min_free_kbytes", DOCTOR_NOTE,
	       "11584 is too little to swap to other nodes",
	       "sudo sysctl -w vm.min_free_kbytes=32768");
	put_text("/proc/meminfo", "MemTotal: 256000 kB\n");
	expect("min_free_kbytes", DOCTOR_OK, "11584", "");
}

Test(doctor, fault_configuration_has_an_error)
{
	char what[256];

	put_text("/conf/virgo_client.conf", "[mount]\npaht = /x\n");
	snprintf(what, sizeof(what), "%s/conf/virgo_client.conf:2: no key "
		 "'paht' in [mount]", root);
	expect("configuration", DOCTOR_FAIL, what, "virgo conf check");
}

Test(doctor, fault_pam_has_no_service)
{
	drop("/etc/pam.d/virgo");
	examine_at(root, root);
	cr_assert_eq(named("pam")->level, DOCTOR_NOTE);
}

Test(doctor, fault_the_disk_is_missing_or_full)
{
	char state[64];

	snprintf(state, sizeof(state), "%s/none", root);
	examine_at(root, state);
	cr_assert_eq(named("disk")->level, DOCTOR_FAIL);
	cr_assert(strstr(named("disk")->what, "No such file or directory"));
	cr_assert(strstr(named("disk")->remedy, "sudo mkdir -p "));
	/* No free block has ever been seen there. */
	examine_at(root, "/proc");
	cr_assert_eq(named("disk")->level, DOCTOR_FAIL);
	cr_assert_str_eq(named("disk")->what, "0 MiB (100 %) free at /proc");
}

Test(doctor, a_kernel_without_modules_is_a_note_and_no_fault)
{
	drop("/proc/modules");
	drop("/lib");
	drop("/sys/module");
	examine_at(root, root);
	for (int i = 0; i < count; i++)
		cr_assert_neq(found[i].level, DOCTOR_FAIL, "%s: %s",
			      found[i].name, found[i].what);
	cr_assert_str_eq(named("module nbd")->what,
			 "not available: kernel has no module support; memory "
			 "of other nodes cannot be borrowed");
	cr_assert_str_eq(named("kernel headers")->what,
			 "not available: kernel has no module support; "
			 "virgo.ko cannot be used");
}

Test(doctor, an_empty_tree_and_this_machine_are_no_crash)
{
	char empty[64];

	snprintf(empty, sizeof(empty), "%s/empty", root);
	examine_at(empty, root);
	cr_assert_geq(count, 11);
	examine_at("", root);
	cr_assert_geq(count, 11);
}

static struct doctor_pair sound_pair(void)
{
	return (struct doctor_pair){ .here = "alpha",
				     .there = "beta",
				     .asked_back = true,
				     .state = "up",
				     .state_back = "up",
				     .clock_known = true,
				     .skew_us = -1500,
				     .error_us = 100,
				     .port = 8747 };
}

static void pair(const struct doctor_pair *p, int want_faults)
{
	count = 0;
	doctor_pair(p, take, NULL);
	for (int i = 0; i < count; i++)
		want_faults -= found[i].level == DOCTOR_FAIL;
	cr_assert_eq(want_faults, 0);
}

static const struct doctor_finding *fault(void)
{
	for (int i = 0; i < count; i++)
		if (found[i].level == DOCTOR_FAIL)
			return &found[i];
	cr_assert(false, "no fault");
	return NULL;
}

Test(doctor, a_sound_pair)
{
	struct doctor_pair p = sound_pair();

	pair(&p, 0);
	cr_assert_eq(count, 5);
	cr_assert_str_eq(named("clock of beta")->what, "-0.001 s off");
}

Test(doctor, fault_ports_are_blocked)
{
	struct doctor_pair p = sound_pair();

	failure_set(&p.out, -ETIMEDOUT, "beta", NULL, "no answer");
	p.asked_back = p.clock_known = false;
	pair(&p, 1);
	cr_assert_str_eq(fault()->name, "port to beta");
	cr_assert_str_eq(fault()->what, "TCP 8747: no answer");
	cr_assert_str_eq(fault()->remedy, "on beta: sudo nft insert rule inet "
			 "filter input tcp dport 8747 accept");
	p.out.code = -ECONNREFUSED;
	pair(&p, 1);
	cr_assert_str_eq(fault()->remedy,
			 "on beta: sudo systemctl start virgod");

	p = sound_pair();
	strcpy(p.back, "no answer within 5 s");
	pair(&p, 1);
	cr_assert_str_eq(fault()->name, "port from beta");
	cr_assert_str_eq(fault()->remedy, "on alpha: sudo nft insert rule inet "
			 "filter input tcp dport 8747 accept");

	p = sound_pair();
	strcpy(p.state, "down");
	pair(&p, 1);
	cr_assert_str_eq(fault()->what,
			 "UDP 8747: no answers come, beta is down here");
	strcpy(p.state_back, "suspect");
	pair(&p, 2);
}

Test(doctor, fault_clocks_differ)
{
	struct doctor_pair p = sound_pair();

	p.skew_us = 61234567;
	pair(&p, 1);
	cr_assert_str_eq(fault()->name, "clock of beta");
	cr_assert_str_eq(fault()->what, "61.2 s ahead of the one here");
	p.skew_us = -2100000;
	pair(&p, 1);
	cr_assert_str_eq(fault()->what, "2.1 s behind the one here");
	/* A slow answer proves nothing. */
	p.error_us = 200000;
	pair(&p, 0);
}
