// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of what the command 'shunt pci' makes of sysfs and proc: with ones
 * that are made up, in a directory of each case's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ktap.h"
#include "pci.h"
#include "pcibind.h"
#include "pcijudge.h"
#include "pcipersist.h"
#include "pciuse.h"

#define NIC "0000:01:00.0"

/* Below it each case has a directory of its own. */
static char base[] = "/tmp/shunt-pci-XXXXXX";

static char root[64];
static struct sysfs sysfs;
static struct failure why;

static void is(const char *got, const char *want)
{
	kt_check(got && !strcmp(got, want), "'%s' instead of '%s'", got ? got : "(none)", want);
}

/* Make all directories above a path. */
static void make_parents(const char *path)
{
	char above[512];

	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		if (mkdirat(sysfs.root, above, 0755) && errno != EEXIST)
			kt_fail("%s: %m", above);
	}
}

static void put(const char *path, const char *text)
{
	int fd;

	make_parents(path);
	fd = kt_sys(openat(sysfs.root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	kt_check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %m", path);
	close(fd);
}

static void link_to(const char *path, const char *target)
{
	make_parents(path);
	kt_sys(symlinkat(target, sysfs.root, path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A device that can be given away, where nothing else is changed. */
static void make_device(const char *address, const char *class, const char *group)
{
	static const struct {
		const char *file;
		const char *text;
	} files[] = { { "vendor", "0x8086\n" },
		      { "device", "0x10d3\n" },
		      { "driver_override", "(null)\n" },
		      { "numa_node", "1\n" },
		      { "reset", "" },
		      { "reset_method", "flr bus\n" } };
	char path[SYSFS_PATH_MAX], target[SYSFS_PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		pci_path(path, address, files[i].file);
		put(path, files[i].text);
	}
	pci_path(path, address, "class");
	put(path, class);
	pci_path(path, address, "driver");
	link_to(path, "../../drivers/e1000e");
	if (!group)
		return;
	pci_path(path, address, "iommu_group");
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
	link_to(path, target);
	sysfs_path(path, "sys/kernel/iommu_groups/%s/devices/%s", group, address);
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", address);
	link_to(path, target);
}

static void begin(void)
{
	snprintf(root, sizeof(root), "%s/XXXXXX", base);
	if (!mkdtemp(root))
		kt_fail("%s: %m", root);
	kt_check(!sysfs_open(root, &sysfs, &why), "%s", why.text);
	make_device(NIC, "0x020000\n", "7");
	put("proc/self/mountinfo", "22 1 0:21 / /sys rw - sysfs sysfs rw\n");
	put("proc/swaps", "Filename Type Size Used Priority\n");
	put("proc/interrupts", "  0:  2  0  IR-IO-APIC  2-edge  timer\n");
}

/* A disk of the NIC, or what else hangs on it, at a path below it. */
static void make_disk(const char *below, const char *name, const char *number)
{
	char path[SYSFS_PATH_MAX], target[SYSFS_PATH_MAX];

	sysfs_path(path, "sys/bus/pci/devices/" NIC "/%s/%s/dev", below, name);
	put(path, number);
	sysfs_path(path, "sys/bus/pci/devices/" NIC "/%s/%s/subsystem", below, name);
	link_to(path, "../../class/block");
	sysfs_path(path, "sys/class/block/%s", name);
	snprintf(target, sizeof(target), "../../bus/pci/devices/" NIC "/%s/%s", below, name);
	link_to(path, target);
}

static enum status judge(void)
{
	struct pci_device device;
	struct pci_parts parts;
	struct pci_facts facts;
	enum status status;

	kt_check(!pci_read(&sysfs, NIC, &device, &why), "%s", why.text);
	pci_facts_read(&sysfs, &facts);
	kt_check(!pci_parts_read(&sysfs, NIC, &parts, &why), "%s", why.text);
	status = pci_judge(&sysfs, &facts, &device, &parts, PCI_DRIVER_VFIO, &why);
	pci_parts_free(&parts);
	return status;
}

static void judged(enum status want, const char *text)
{
	enum status status = judge();

	kt_check(status == want, "%s instead of %s: %s", status_table[status].name,
		 status_table[want].name, status ? why.text : "");
	kt_check(!text || strstr(why.text, text), "'%s' is not in: %s", text, why.text);
}

static void addresses(long arg)
{
	static const char *const good[][2] = {
		{ "0000:01:00.0", "0000:01:00.0" }, { "01:00.0", "0000:01:00.0" },
		{ "AB:1F.7", "0000:ab:1f.7" },	    { "10000:e1:00.0", "10000:e1:00.0" },
		{ "1:2.3", "0000:01:02.3" },
	};
	static const char *const bad[] = {
		"",	     "01",	 "01:00",     "01:00.8",	  "01:20.0",  "001:00.0",
		"01:00.0 ",  " 01:00.0", "01:00.0x",  "-1:00.0",	  "0x1:00.0", "+1:0.0",
		"1:2:3:4.5", "../..",	 "100:00.00", "123456789:01:00.0"
	};
	char address[PCI_ADDRESS_MAX];

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		kt_check(!pci_parse(good[i][0], address, &why), "%s", why.text);
		is(address, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		kt_check(pci_parse(bad[i], address, &why) == ST_USAGE, "'%s' was taken", bad[i]);
}

static void reading(long arg)
{
	struct pci_devices devices;
	struct pci_device device;

	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/sriov_totalvfs", "7\n");
	put("sys/bus/pci/devices/" NIC "/sriov_numvfs", "2\n");
	make_device("0000:00:1f.3", "0x0c0500\n", "7");
	make_device("10000:00:00.0", "0x010802\n", "8");
	link_to("sys/bus/pci/devices/0000:00:1f.3/physfn", "../" NIC);
	link_to("sys/bus/pci/devices/" NIC "/virtfn0", "../0000:00:1f.3");
	kt_check(!pci_read(&sysfs, NIC, &device, &why), "%s", why.text);
	kt_check(device.vendor == 0x8086 && device.device == 0x10d3 && device.class == 0x020000,
		 "%x:%x %x", device.vendor, device.device, device.class);
	kt_check(device.group == 7 && device.numa == 1 && device.can_reset && !device.bridge,
		 "group %d, node %d", device.group, device.numa);
	kt_check(device.vfs_total == 7 && device.vfs == 2, "%u of %u", device.vfs,
		 device.vfs_total);
	is(device.driver, "e1000e");
	is(device.override, "");
	is(device.reset, "flr bus");
	kt_check(!pci_read_all(&sysfs, &devices, &why) && devices.count == 3, "%zu", devices.count);
	is(devices.list[0].address, "0000:00:1f.3");
	is(devices.list[2].address, "10000:00:00.0");
	is(devices.list[0].pf, NIC);
	pci_free(&devices);
	kt_check(!pci_read_group(&sysfs, &device, &devices, &why) && devices.count == 1, "%zu",
		 devices.count);
	pci_free(&devices);
	kt_check(!pci_read_vfs(&sysfs, &device, &devices, &why) && devices.count == 1, "%zu",
		 devices.count);
	is(devices.list[0].address, "0000:00:1f.3");
	pci_free(&devices);
	kt_check(pci_read(&sysfs, "0000:02:00.0", &device, &why) == ST_PCI_ABSENT, "found");
}

static void nonsense(long arg)
{
	struct pci_device device;

	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/vendor", "");
	put("sys/bus/pci/devices/" NIC "/device", "0x\n");
	put("sys/bus/pci/devices/" NIC "/class", "99999999999999999999\n");
	put("sys/bus/pci/devices/" NIC "/numa_node", "\033[31m\n");
	put("sys/bus/pci/devices/" NIC "/reset_method", "f\001l\377r\033\n");
	put("sys/bus/pci/devices/" NIC "/sriov_totalvfs", "seven\n");
	kt_check(!pci_read(&sysfs, NIC, &device, &why), "%s", why.text);
	kt_check(!device.vendor && !device.device && device.numa == -1 && !device.vfs_total,
		 "%x:%x, node %d, %u functions", device.vendor, device.device, device.numa,
		 device.vfs_total);
	is(device.reset, "f?l?r?");
}

static void free_device(long arg)
{
	(void)arg;
	begin();
	judged(ST_OK, NULL);
}

static void kinds(long arg)
{
	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/class", "0x060400\n");
	judged(ST_PCI_KIND, "bridge");
	put("sys/bus/pci/devices/" NIC "/class", "0x020000\n");
	put("sys/bus/pci/devices/" NIC "/vendor", "0x1af4\n");
	judged(ST_PCI_KIND, "without its driver");
	put("sys/bus/pci/devices/" NIC "/virtio0/features",
	    "1100000000000000000000000000000010000000000000000000000000000000\n");
	judged(ST_PCI_KIND, "bypass");
	put("sys/bus/pci/devices/" NIC "/virtio0/features",
	    "1100000000000000000000000000000011000000000000000000000000000000\n");
	judged(ST_OK, NULL);
}

static void no_iommu(long arg)
{
	(void)arg;
	begin();
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/iommu_group", 0));
	judged(ST_PCI_NO_IOMMU, NULL);
}

static void no_remapping(long arg)
{
	struct utsname name;

	(void)arg;
	begin();
	kt_sys(uname(&name));
	if (strcmp(name.machine, "x86_64"))
		kt_skip("a matter of x86");
	put("proc/interrupts", "  0:  2  0  IO-APIC  2-edge  IR-timer\n");
	judged(ST_PCI_NO_REMAP, NULL);
	put("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	judged(ST_PCI_NO_REMAP, NULL);
	put("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	judged(ST_OK, NULL);
}

static void groups(long arg)
{
	static const char *const harmless[] = { "pcieport", "pci-stub", "vfio-pci", "shunt_vfio" };
	char target[64];

	(void)arg;
	begin();
	make_device("0000:01:00.1", "0x020000\n", "7");
	judged(ST_PCI_GROUP, "0000:01:00.1 (e1000e)");
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/0000:01:00.1/driver", 0));
		snprintf(target, sizeof(target), "../../drivers/%s", harmless[i]);
		link_to("sys/bus/pci/devices/0000:01:00.1/driver", target);
		judged(ST_OK, NULL);
	}
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/0000:01:00.1/driver", 0));
	judged(ST_OK, NULL);
	/* Any other driver of VFIO is known by what it makes. */
	link_to("sys/bus/pci/devices/0000:01:00.1/driver", "../../drivers/mlx5_vfio_pci");
	judged(ST_PCI_GROUP, NULL);
	put("sys/bus/pci/devices/0000:01:00.1/vfio-dev/vfio0/dev", "511:0\n");
	judged(ST_OK, NULL);
}

static void functions_and_reset(long arg)
{
	(void)arg;
	begin();
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/reset", 0));
	judged(ST_PCI_NO_RESET, NULL);
	put("sys/bus/pci/devices/" NIC "/sriov_totalvfs", "7\n");
	put("sys/bus/pci/devices/" NIC "/sriov_numvfs", "1\n");
	judged(ST_PCI_VFS, "1 SR-IOV");
}

static void mounts(long arg)
{
	static char line[20000];

	(void)arg;
	begin();
	/* As a disk behind a USB hub is. */
	make_disk("usb1/1-1/1-1.2/1-1.2:1.0/host0/target0:0:0/0:0:0:0/block", "sda", "8:0\n");
	put("sys/class/block/sda/sda1/partition", "1\n");
	put("sys/class/block/sda/sda1/dev", "8:1\n");
	link_to("sys/class/block/sda1", "sda/sda1");
	judged(ST_OK, NULL);
	put("proc/self/mountinfo", "30 1 8:16 / /srv rw - ext4 /dev/sdb rw\n"
				   "31 1 8:1 / /mnt/a\\040b\033 rw shared:1 - ext4 /dev/x rw\n");
	judged(ST_PCI_MOUNTED, "sda is mounted: /mnt/a\\040b?");
	/* A file system of several devices has a number of its own. */
	put("proc/self/mountinfo", "31 1 0:44 / /mnt rw - btrfs /dev/sda1 rw\n");
	judged(ST_PCI_MOUNTED, "/mnt");
	put("proc/self/mountinfo", "31 1 8:1 / /mnt rw - ext4 /dev/sda1 rw\n"
				   "32 1 8:1 / /boot/efi rw - ext4 /dev/sda1 rw\n");
	judged(ST_PCI_BOOT, "/boot/efi");
	put("proc/self/mountinfo", "31 1 8:10 / /mnt rw - ext4 /dev/sda10 rw\nx\n\n- - -\n");
	judged(ST_OK, NULL);
	/* As long as a line can be by the path of its root, where blanks are four bytes. */
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "31 1 0:44 /", 11);
	strcpy(line + sizeof(line) - 48, " /mnt rw - btrfs /dev/sda1 rw\n");
	put("proc/self/mountinfo", line);
	judged(ST_PCI_MOUNTED, "/mnt");
}

static void swaps(long arg)
{
	(void)arg;
	begin();
	make_disk("ata1/block", "sda", "8:0\n");
	put("proc/swaps", "Filename Type Size Used Priority\n/dev/sdb partition 1 0 -2\n");
	judged(ST_OK, NULL);
	put("proc/swaps", "Filename Type Size Used Priority\n/dev/sda partition 1 0 -2\n");
	judged(ST_PCI_SWAP, "sda");
	put("proc/swaps", "Filename Type Size Used Priority\n"
			  "/dev/sda\\040(deleted) partition 1 0 -2\n");
	judged(ST_PCI_SWAP, "sda");
	kt_sys(unlinkat(sysfs.root, "proc/swaps", 0));
	judged(ST_OK, NULL);
}

static void stacks(long arg)
{
	(void)arg;
	begin();
	make_disk("ata1/block", "sda", "8:0\n");
	put("sys/class/block/sda/sda2/partition", "2\n");
	link_to("sys/class/block/sda2", "sda/sda2");
	put("sys/class/block/sda/sda2/holders/md0/name", "");
	put("sys/class/block/md0/dev", "9:0\n");
	judged(ST_PCI_ARRAY, "sda is part of md0");
	put("sys/class/block/md0/holders/dm-3/name", "");
	put("sys/class/block/dm-3/dev", "254:3\n");
	/* Made of itself, which cannot be, it comes to an end all the same. */
	put("sys/class/block/dm-3/holders/md0/name", "");
	judged(ST_PCI_ARRAY, "md0");
	put("proc/self/mountinfo", "31 1 254:3 / / rw - ext4 /dev/mapper/root rw\n");
	judged(ST_PCI_BOOT, "/");
}

/* What cannot be seen may be in use, whatever it is that stands in the way. */
static void unreadable(long arg)
{
	char deep[SYSFS_PATH_MAX] = "sys/bus/pci/devices/" NIC;
	struct rlimit files, few;
	struct pci_parts parts;
	enum status status;

	(void)arg;
	begin();
	make_disk("ata1/block", "sda", "8:0\n");
	link_to("sys/class/block/sda/holders", "holders");
	judged(ST_SYSTEM, "holders");
	kt_sys(unlinkat(sysfs.root, "sys/class/block/sda/holders", 0));
	judged(ST_OK, NULL);
	kt_sys(unlinkat(sysfs.root, "proc/swaps", 0));
	link_to("proc/swaps", "swaps");
	judged(ST_SYSTEM, "proc/swaps");
	kt_sys(unlinkat(sysfs.root, "proc/swaps", 0));
	kt_sys(unlinkat(sysfs.root, "proc/self/mountinfo", 0));
	judged(ST_SYSTEM, "mountinfo");
	put("proc/self/mountinfo", "");
	kt_sys(unlinkat(sysfs.root, "sys/kernel/iommu_groups/7/devices/" NIC, 0));
	kt_sys(unlinkat(sysfs.root, "sys/kernel/iommu_groups/7/devices", AT_REMOVEDIR));
	judged(ST_SYSTEM, "iommu_group/devices");
	/* Out of descriptors, some levels down. */
	put("sys/bus/pci/devices/" NIC "/a/b/c/d/e/f/g/h", "");
	kt_sys(getrlimit(RLIMIT_NOFILE, &files));
	few = files;
	few.rlim_cur = (rlim_t)kt_sys(dup(sysfs.root));
	close((int)few.rlim_cur);
	few.rlim_cur += 6;
	kt_sys(setrlimit(RLIMIT_NOFILE, &few));
	status = pci_parts_read(&sysfs, NIC, &parts, &why);
	pci_parts_free(&parts);
	kt_sys(setrlimit(RLIMIT_NOFILE, &files));
	kt_check(status == ST_SYSTEM && strstr(why.text, strerror(EMFILE)), "%d: %s", status,
		 status ? why.text : "");
	/* Deeper than there is anything. */
	for (int i = 0; i < 30; i++)
		strcat(deep, "/d");
	strcat(deep, "/file");
	put(deep, "");
	kt_check(pci_parts_read(&sysfs, NIC, &parts, &why) == ST_SYSTEM, "seen to the bottom");
	pci_parts_free(&parts);
	kt_check(strstr(why.text, "too deep"), "%s", why.text);
}

static void loops(long arg)
{
	(void)arg;
	begin();
	make_disk("ata1/block", "sda", "8:0\n");
	put("sys/class/block/sda/sda1/partition", "1\n");
	link_to("sys/class/block/sda1", "sda/sda1");
	put("sys/class/block/loop1/loop/backing_file", "/srv/image (deleted)\n");
	put("sys/class/block/loop10/loop/backing_file", "/dev/sda10\n");
	judged(ST_OK, NULL);
	put("sys/class/block/loop1/loop/backing_file", "/dev/sda1 (deleted)\n");
	put("sys/class/block/loop1/dev", "7:1\n");
	judged(ST_PCI_ARRAY, "sda is part of loop1");
	/* One of the other, the first in name being the last in line. */
	put("sys/class/block/loop0/loop/backing_file", "/dev/loop1\n");
	put("sys/class/block/loop0/dev", "7:0\n");
	put("proc/self/mountinfo", "31 1 7:0 / /mnt rw - ext4 /dev/loop0 rw\n");
	judged(ST_PCI_MOUNTED, "/mnt");
}

/* A process that has the node of a device open; what is made up has that of another. */
static void has_open(const char *process, const char *file, const char *node)
{
	char path[SYSFS_PATH_MAX];

	sysfs_path(path, "proc/%s/task/%s/fd/%s", process, process, file);
	link_to(path, node);
	sysfs_path(path, "proc/%s/comm", process);
	put(path, "a\033vmm\n");
}

static void open_nodes(long arg)
{
	char self[16], path[SYSFS_PATH_MAX];

	(void)arg;
	begin();
	make_disk("ata1/block", "sda", "8:0\n");
	put("sys/class/block/sda/sda1/partition", "1\n");
	put("sys/class/block/sda/sda1/dev", "1:3\n");
	link_to("sys/class/block/sda1", "sda/sda1");
	/* /dev/null has the numbers 1:3; it is no disk, though. */
	has_open("4194305", "3", "/dev/null");
	has_open("4194305", "4", "/no/such/file");
	judged(ST_OK, NULL);
	/* As that of a clock is. */
	put("sys/bus/pci/devices/" NIC "/ptp/ptp0/dev", "1:3\n");
	judged(ST_PCI_OPEN, "process 4194305 (a?vmm) has ptp0 open");
	link_to("sys/bus/pci/devices/" NIC "/ptp/ptp0/subsystem", "../../class/input");
	judged(ST_OK, NULL);
	if (geteuid())
		kt_skip("no block device's node can be made");
	kt_sys(mknodat(sysfs.root, "node", S_IFBLK | 0600, makedev(1, 3)));
	has_open("4194306", "0", "/dev/zero");
	has_open("4194306", "11", "../../../../../node");
	judged(ST_PCI_OPEN, "process 4194306 (a?vmm) has sda1 open");
	/* Who asks has them open too, to claim them. */
	snprintf(self, sizeof(self), "%d", getpid());
	sysfs_path(path, "proc/%s", self);
	kt_sys(renameat(sysfs.root, "proc/4194306", sysfs.root, path));
	judged(ST_PCI_OPEN, "process");
	kt_sys(unlinkat(sysfs.root, "proc/self/mountinfo", 0));
	kt_sys(unlinkat(sysfs.root, "proc/self", AT_REMOVEDIR));
	link_to("proc/self", self);
	put("proc/self/mountinfo", "");
	judged(ST_OK, NULL);
}

/* What is not to be looked at is not free either. */
static void hidden_processes(long arg)
{
	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/ptp/ptp0/dev", "1:3\n");
	put("proc/4194305/task/4194305/fd/x", "");
	judged(ST_OK, NULL);
	kt_sys(unlinkat(sysfs.root, "proc/4194305/task/4194305/fd/x", 0));
	link_to("proc/4194305/task/4194305/fd/3", "3");
	judged(ST_SYSTEM, "/proc");
	kt_sys(unlinkat(sysfs.root, "proc/4194305/task/4194305/fd/3", 0));
	if (geteuid())
		kt_skip("root alone can be somebody else");
	kt_sys(chmod(base, 0755));
	kt_sys(chmod(root, 0755));
	kt_sys(fchmodat(sysfs.root, "proc/4194305/task/4194305/fd", 0500, 0));
	judged(ST_OK, NULL);
	kt_sys(seteuid(65534));
	judged(ST_PRIVILEGE, "only root sees whether a process has ptp0 open");
	kt_sys(seteuid(0));
}

static void nvme_paths(long arg)
{
	struct pci_parts parts;

	(void)arg;
	begin();
	make_disk("nvme/nvme1", "nvme0c1n2", "259:5\n");
	kt_check(!pci_parts_read(&sysfs, NIC, &parts, &why) && !parts.disks.count,
		 "a path without a disk");
	pci_parts_free(&parts);
	put("sys/class/block/nvme0n2/dev", "259:1\n");
	kt_check(!pci_parts_read(&sysfs, NIC, &parts, &why) && parts.disks.count == 1, "%zu disks",
		 parts.disks.count);
	is(parts.disks.list[0], "nvme0n2");
	pci_parts_free(&parts);
	put("proc/self/mountinfo", "31 1 259:1 / /srv rw - xfs /dev/nvme0n2 rw\n");
	judged(ST_PCI_MOUNTED, "nvme0n2");
}

static void interfaces(long arg)
{
	struct pci_parts parts;

	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/virtio0/net/ttnone9/ifindex", "4711\n");
	link_to("sys/bus/pci/devices/" NIC "/virtio0/net/ttnone9/subsystem", "../../class/net");
	kt_check(!pci_parts_read(&sysfs, NIC, &parts, &why) && parts.interfaces.count == 1, "%zu",
		 parts.interfaces.count);
	is(parts.interfaces.list[0], "ttnone9");
	kt_check(!parts.elsewhere, "taken for one in another namespace");
	pci_parts_free(&parts);
	put("sys/bus/pci/devices/" NIC "/net/gone", "");
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/net/gone", 0));
	judged(ST_PCI_NAMESPACE, NULL);
}

static void loopback_is_used(long arg)
{
	(void)arg;
	begin();
	/* The kernel is asked by the name: this one has addresses everywhere. */
	link_to("sys/bus/pci/devices/" NIC "/net/lo/subsystem", "../../class/net");
	judged(ST_PCI_ADDRESS, "127.0.0.1");
}

static void claims(long arg)
{
	struct pci_parts parts;
	struct pci_claim claim;

	(void)arg;
	begin();
	make_disk("ata1/block", "sda", "8:0\n");
	put("dev/sda", "not a device");
	kt_check(!pci_parts_read(&sysfs, NIC, &parts, &why), "%s", why.text);
	kt_check(pci_parts_claim(&sysfs, &parts, &claim, &why) == ST_SYSTEM, "a file was claimed");
	pci_claim_end(&claim);
	pci_parts_free(&parts);
}

static void rules(long arg)
{
	struct pci_device device;
	char path[SYSFS_PATH_MAX], text[2048];
	bool removed;

	(void)arg;
	begin();
	kt_check(!pci_read(&sysfs, NIC, &device, &why), "%s", why.text);
	kt_check(pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO, "/sbin/shunt", NULL, &why) ==
			 ST_PCI_PERSIST,
		 "written without its directory");
	put("etc/udev/rules.d/other.rules", "");
	kt_check(!pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO, "/sbin/shunt", "qemu:kvm",
				    &why),
		 "%s", why.text);
	pci_persist_path(path, NIC);
	kt_check(sysfs_read(&sysfs, path, text, sizeof(text)), "%s: %m", path);
	kt_check(strstr(text, "KERNEL==\"" NIC "\", ATTR{vendor}==\"0x8086\", "
			      "ATTR{device}==\"0x10d3\", ATTR{driver_override}=\"vfio-pci\""),
		 "%s", text);
	kt_check(strstr(text, "RUN+=\"/sbin/shunt pci bind " NIC
			      " --driver vfio-pci --owner qemu:kvm\"\n"),
		 "%s", text);
	kt_check(strstr(text, "/%k/devices/" NIC "\", OWNER=\"qemu\", GROUP=\"kvm\""), "%s", text);
	kt_check(pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO, "/sbin/shunt", "a\", RUN+=\"b",
				   &why) == ST_PCI_PERSIST,
		 "quotes were written");
	kt_check(pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO, "/s bin/shunt", NULL, &why) ==
			 ST_PCI_PERSIST,
		 "a blank was written");
	kt_check(!pci_persist_remove(&sysfs, NIC, &removed, &why) && removed, "not removed");
	kt_check(!pci_persist_remove(&sysfs, NIC, &removed, &why) && !removed, "removed twice");
}

/* What is made up does not do what it is told, so this fails, at the reset or
 * behind it. */
static void bind_fails(long arg)
{
	const struct pci_wish wish = { PCI_DRIVER_VFIO, (uid_t)-1, (gid_t)-1 };
	struct pci_result result;
	enum status status;
	char text[64];

	(void)arg;
	begin();
	put("sys/bus/pci/drivers/vfio-pci/bind", "");
	put("sys/bus/pci/drivers/e1000e/unbind", "");
	put("sys/bus/pci/devices/" NIC "/config", "\x86\x80\xd3\x10\x07\x05\x10\x20");
	put("sys/bus/pci/drivers_probe", "");
	status = pci_bind(&sysfs, NIC, &wish, &result, &why);
	kt_check(status == ST_PCI_PROBE, "%s: %s", status_table[status].name, why.text);
	/* All of it was asked for, and then taken back. */
	sysfs_read(&sysfs, "sys/bus/pci/drivers/e1000e/unbind", text, sizeof(text));
	is(text, NIC);
	sysfs_read(&sysfs, "sys/bus/pci/devices/" NIC "/reset", text, sizeof(text));
	is(text, "1");
	sysfs_read(&sysfs, "sys/bus/pci/drivers_probe", text, sizeof(text));
	is(text, NIC);
	sysfs_read(&sysfs, "sys/bus/pci/devices/" NIC "/driver_override", text, sizeof(text));
	kt_check(!strstr(text, "vfio"), "driver_override is %s", text);
	/* One that does not answer after its reset. */
	put("sys/bus/pci/devices/" NIC "/driver_override", "(null)\n");
	put("sys/bus/pci/devices/" NIC "/config", "\xff\xff\xff\xff\xff\xff\xff\xff");
	status = pci_bind(&sysfs, NIC, &wish, &result, &why);
	kt_check(status == ST_PCI_RESET, "%s: %s", status_table[status].name, why.text);
}

static const struct kt_case cases[] = {
	{ .name = "addresses are taken in both forms, and nothing else", .run = addresses },
	{ .name = "a device, its group and its functions are read", .run = reading },
	{ .name = "nonsense in sysfs is made harmless", .run = nonsense },
	{ .name = "a device that nobody uses can be given", .run = free_device },
	{ .name = "bridges and virtio devices that bypass the IOMMU cannot", .run = kinds },
	{ .name = "a device behind no IOMMU cannot", .run = no_iommu },
	{ .name = "nor can any where interrupts are not remapped", .run = no_remapping },
	{ .name = "nor one whose group the host uses", .run = groups },
	{ .name = "nor one with functions, or without a reset", .run = functions_and_reset },
	{ .name = "mounts are found by number and by name", .run = mounts },
	{ .name = "swap is found", .run = swaps },
	{ .name = "what is made of a disk is found, in a circle too", .run = stacks },
	{ .name = "what cannot be seen is in use", .run = unreadable },
	{ .name = "loop devices of a disk are found", .run = loops },
	{ .name = "processes that have a node open are found", .run = open_nodes },
	{ .name = "processes that are hidden may have one open", .run = hidden_processes },
	{ .name = "paths of NVMe lead to their disks", .run = nvme_paths },
	{ .name = "interfaces are found, and that one is elsewhere", .run = interfaces },
	{ .name = "addresses of an interface are found", .run = loopback_is_used },
	{ .name = "what is no disk is not claimed", .run = claims },
	{ .name = "a rule for udev says what was asked for", .run = rules },
	{ .name = "a device that does not change its driver is given back", .run = bind_fails },
};

int main(int argc, char **argv)
{
	int status;

	if (!mkdtemp(base)) {
		perror(base);
		return 1;
	}
	status = kt_main(argc, argv, cases, ARRAY_SIZE(cases));
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return status;
}
