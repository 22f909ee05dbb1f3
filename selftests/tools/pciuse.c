// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of whether the host uses a PCI device: on hosts that are made up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fakehost.h"

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
	kt_sys(chmod(fake_base, 0755));
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
	/* Of two, one is elsewhere: in the count only. Names with a dot are passed over here. */
	begin();
	link_to("sys/bus/pci/devices/" NIC "/net/lo/subsystem", "../../class/net");
	put("sys/bus/pci/devices/" NIC "/net/.eth1/ifindex", "4712\n");
	kt_check(!pci_parts_read(&sysfs, NIC, &parts, &why) && parts.interfaces.count == 1, "%zu",
		 parts.interfaces.count);
	kt_check(parts.elsewhere, "one of two is not missed");
	pci_parts_free(&parts);
}

static void loopback_is_used(long arg)
{
	(void)arg;
	begin();
	/* The kernel is asked by the name: this one has addresses everywhere. */
	link_to("sys/bus/pci/devices/" NIC "/net/lo/subsystem", "../../class/net");
	put("sys/class/net/lo/ifindex", "1\n");
	judged(ST_PCI_ADDRESS, "127.0.0.1");
	/* One of this name that is another one than sysfs tells of. */
	put("sys/class/net/lo/ifindex", "7\n");
	judged(ST_PCI_CHANGED, "lo is gone");
	link_to("sys/bus/pci/devices/" NIC "/net/ttnone9/subsystem", "../../class/net");
	put("sys/class/net/lo/ifindex", "1\n");
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/net/lo/subsystem", 0));
	judged(ST_PCI_CHANGED, "ttnone9 is gone");
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

/* A virtio device of the NIC, as its driver has it. */
static void make_virtio(const char *driver)
{
	char target[64];

	unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/virtio0/driver", 0);
	snprintf(target, sizeof(target), "../../bus/virtio/drivers/%s", driver);
	link_to("sys/bus/pci/devices/" NIC "/virtio0/driver", target);
}

static void shares(long arg)
{
	static const char mounted[] = "1 0 0:9 / /mnt rw - virtiofs some rw\n"
				      "2 0 0:9 / /srv rw - 9p the\\040tag rw\n";

	(void)arg;
	begin();
	link_to("sys/bus/pci/devices/" NIC "/virtio0/subsystem", "../../bus/virtio");
	make_virtio("virtio_rng");
	put("proc/self/mountinfo", mounted);
	judged(ST_OK, NULL);
	/* Which of several it is the kernel does not show. */
	make_virtio("virtiofs");
	judged(ST_PCI_MOUNTED, "virtiofs file system is mounted: /mnt");
	put("proc/self/mountinfo", "2 0 0:9 / /srv rw - 9p tag rw\n");
	judged(ST_OK, NULL);
	make_virtio("9pnet_virtio");
	put("sys/bus/pci/devices/" NIC "/virtio0/mount_tag", "the tag");
	judged(ST_OK, NULL);
	put("proc/self/mountinfo", mounted);
	judged(ST_PCI_MOUNTED, "9p file system is mounted: /srv");
	put("proc/self/mountinfo", "2 0 0:9 / / rw - 9p the\\040tag rw\n");
	judged(ST_PCI_BOOT, "the host runs from its 9p file system");
	put("proc/self/mountinfo", "2 0 0:9 / / rw - 9p the\\040tags rw\n");
	judged(ST_OK, NULL);
	put("proc/self/mountinfo", "2 0 0:9 / / rw - 9p the\\04 rw\n");
	judged(ST_OK, NULL);
	/* Nor is a tag shown at all, which then may be any. */
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/virtio0/mount_tag", 0));
	judged(ST_PCI_BOOT, NULL);
}

static void consoles(long arg)
{
	(void)arg;
	begin();
	link_to("sys/bus/pci/devices/" NIC "/tty/ttyS4/subsystem", "../../class/tty");
	put("proc/consoles", "tty0                 -WU (EC    )    4:1\n"
			     "hvc0                 -W- (E  p  )  229:0\n"
			     "ttyS40               -W- (E  p  )    4:104\n");
	judged(ST_OK, NULL);
	put("proc/consoles", "tty0 -WU (EC    )    4:1\nttyS4 -W- (E  p  )    4:68\n");
	judged(ST_PCI_CONSOLE, "console ttyS4 is on it");
	put("proc/consoles", "hvc0                 -W- (E  p  )  229:0\n");
	judged(ST_OK, NULL);
	link_to("sys/bus/pci/devices/" NIC "/virtio0/subsystem", "../../bus/virtio");
	make_virtio("virtio_console");
	judged(ST_PCI_CONSOLE, "console hvc0 may be on it");
	put("proc/consoles", "tty0 -WU (EC    )    4:1\n");
	judged(ST_OK, NULL);
	kt_sys(unlinkat(sysfs.root, "proc/consoles", 0));
	judged(ST_SYSTEM, "/proc/consoles");
}

static void screens(long arg)
{
	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/boot_vga", "1\n");
	put("sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
	put("sys/class/vtconsole/vtcon0/bind", "1\n");
	judged(ST_OK, NULL);
	put("sys/class/vtconsole/vtcon0/name", "(S) VGA+\n");
	judged(ST_PCI_CONSOLE, "the screen that the host booted with");
	put("sys/class/vtconsole/vtcon0/bind", "0\n");
	judged(ST_OK, NULL);
	/* A frame buffer of another card, and one of the firmware. */
	link_to("sys/class/graphics/fb0", "../../devices/pci0000:00/0000:00:02.0/graphics/fb0");
	judged(ST_OK, NULL);
	link_to("sys/class/graphics/fb1", "../../devices/platform/efi-framebuffer.0/graphics/fb1");
	judged(ST_PCI_CONSOLE, "the screen that the host booted with");
	/* One of its own, of another card than that: used if the console is on any. */
	put("sys/bus/pci/devices/" NIC "/boot_vga", "0\n");
	link_to("sys/bus/pci/devices/" NIC "/graphics/fb2/subsystem", "../../class/graphics");
	judged(ST_OK, NULL);
	put("sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
	put("sys/class/vtconsole/vtcon1/bind", "1\n");
	judged(ST_PCI_CONSOLE, "the host's screen is on it");
	put("sys/class/vtconsole/vtcon1/bind", "0\n");
	judged(ST_OK, NULL);
}

static const struct kt_case cases[] = {
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
	{ .name = "directories of a hypervisor are found", .run = shares },
	{ .name = "the console is found", .run = consoles },
	{ .name = "the screen is found", .run = screens },
	{ .name = "what is no disk is not claimed", .run = claims },
};

int main(int argc, char **argv)
{
	return fake_main(argc, argv, cases, ARRAY_SIZE(cases));
}
