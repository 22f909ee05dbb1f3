// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of how a PCI device is taken from its driver: on hosts that are made up. Their files
 * do not do what they are told, so that all of it fails sooner or later, and is undone.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fakehost.h"
#include "pcibind.h"

#define OVERRIDE "sys/bus/pci/devices/" NIC "/driver_override"

/* Have a host whose device can be bound, as far as that is possible. */
static void begin_bind(void)
{
	begin();
	put("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	put("sys/bus/pci/drivers/vfio-pci/bind", "");
	put("sys/bus/pci/drivers/vfio-pci/unbind", "");
	put("sys/bus/pci/drivers/e1000e/bind", "");
	put("sys/bus/pci/drivers/e1000e/unbind", "");
	put("sys/bus/pci/devices/" NIC "/config", "\x86\x80\xd3\x10\x07\x05\x10\x20");
	put("sys/bus/pci/drivers_probe", "");
}

static void bound(enum status want, const char *text)
{
	const struct pci_wish wish = { .driver = PCI_DRIVER_VFIO,
				       .owner = (uid_t)-1,
				       .group = (gid_t)-1 };
	struct pci_result result;
	enum status status;

	status = pci_bind(&sysfs, NIC, &wish, &result, &why);
	kt_check(status == want, "%s instead of %s: %s", status_table[status].name,
		 status_table[want].name, status ? why.text : "");
	kt_check(!text || strstr(why.text, text), "'%s' is not in: %s", text, why.text);
}

/* That was written to a file. */
static void told(const char *path, const char *want)
{
	char text[64];

	sysfs_read(&sysfs, path, text, sizeof(text));
	is(text, want);
}

/* A file that is made up is not cut off where less is written to it. */
static void not_overridden(void)
{
	char text[64];

	sysfs_read(&sysfs, OVERRIDE, text, sizeof(text));
	kt_check(!strstr(text, "vfio"), "driver_override is %s", text);
}

static void fails(long arg)
{
	(void)arg;
	begin_bind();
	bound(ST_PCI_PROBE, NULL);
	/* All of it was asked for, and then taken back. */
	told("sys/bus/pci/drivers/e1000e/unbind", NIC);
	told("sys/bus/pci/devices/" NIC "/reset", "1");
	told("sys/bus/pci/drivers_probe", NIC);
	not_overridden();
	/* One that does not answer after its reset. */
	put(OVERRIDE, "(null)\n");
	put("sys/bus/pci/devices/" NIC "/config", "\xff\xff\xff\xff\xff\xff\xff\xff");
	bound(ST_PCI_RESET, NULL);
}

/*
 * Have a change happen as soon as driver_override is about to be written: by a lease of that file,
 * for whose end the writer has to wait. Returns the process that does it.
 */
static pid_t meanwhile(void (*change)(void))
{
	int ready[2];
	sigset_t io;
	pid_t pid;
	char c;

	kt_sys(pipe(ready));
	pid = kt_sys(fork());
	if (!pid) {
		int fd = openat(sysfs.root, OVERRIDE, O_RDONLY);

		sigemptyset(&io);
		sigaddset(&io, SIGIO);
		if (sigprocmask(SIG_BLOCK, &io, NULL) || fcntl(fd, F_SETLEASE, F_RDLCK))
			_exit(1);
		close(ready[1]);
		sigwaitinfo(&io, NULL);
		change();
		_exit(fcntl(fd, F_SETLEASE, F_UNLCK) ? 1 : 0);
	}
	close(ready[1]);
	/* The end of the file comes when it has the lease, or has failed. */
	kt_check(!read(ready[0], &c, 1), "the pipe has something in it");
	close(ready[0]);
	return pid;
}

static void disk_comes(void)
{
	make_disk("ata1/block", "sda", "8:0\n");
}

static void interface_comes(void)
{
	/* Which has addresses everywhere. */
	link_to("sys/bus/pci/devices/" NIC "/net/lo/subsystem", "../../class/net");
	put("sys/class/net/lo/ifindex", "1\n");
}

static void node_is_opened(void)
{
	link_to("proc/4194305/task/4194305/fd/3", "/dev/null");
}

static void group_is_used(void)
{
	make_device("0000:01:00.1", "0x020000\n", "7");
}

static void driver_goes(void)
{
	unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/driver", 0);
	link_to("sys/bus/pci/devices/" NIC "/driver", "../../drivers/vfio-pci");
}

static void group_changes(void)
{
	unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/iommu_group", 0);
	link_to("sys/bus/pci/devices/" NIC "/iommu_group", "../../../../kernel/iommu_groups/8");
	put("sys/kernel/iommu_groups/8/devices/x", "");
}

/* What was not so when it was first looked at is seen before the driver has to let go. */
static void changes(long arg)
{
	static const struct {
		void (*change)(void);
		enum status status;
		const char *text;
	} all[] = {
		{ disk_comes, ST_PCI_CHANGED, "its disk sda has just come" },
		{ interface_comes, ST_PCI_ADDRESS, "127.0.0.1" },
		{ node_is_opened, ST_PCI_OPEN, "ptp0" },
		{ group_is_used, ST_PCI_GROUP, "0000:01:00.1" },
		{ driver_goes, ST_PCI_CHANGED, "its driver is now vfio-pci" },
		{ group_changes, ST_PCI_CHANGED, "from 7 to 8" },
	};
	int status;
	pid_t pid;

	(void)arg;
	if (geteuid())
		kt_skip("root alone has leases of any file");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		begin_bind();
		put("sys/bus/pci/devices/" NIC "/ptp/ptp0/dev", "1:3\n");
		pid = meanwhile(all[i].change);
		bound(all[i].status, all[i].text);
		kt_check(waitpid(pid, &status, 0) == pid && !status, "no lease, or no change");
		/* Nobody had to let go of it, whoever has it now. */
		told("sys/bus/pci/drivers/e1000e/unbind", "");
		told("sys/bus/pci/drivers/vfio-pci/unbind", "");
		not_overridden();
	}
}

#define NODE "dev/vfio/7"

/* Have the device given to VMMs by somebody, and its node be a user's. */
static void begin_given(void)
{
	begin_bind();
	put("sys/class/vfio/7/dev", "1:3\n");
	put("dev/vfio/vfio", "");
	kt_sys(mknodat(sysfs.root, NODE, S_IFCHR | 0600, makedev(1, 3)));
	kt_sys(fchownat(sysfs.root, NODE, 1001, 1002, 0));
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/devices/" NIC "/driver", 0));
	link_to("sys/bus/pci/devices/" NIC "/driver", "../../drivers/vfio-pci");
}

static void owned(uid_t owner, gid_t group)
{
	struct stat st;

	kt_sys(fstatat(sysfs.root, NODE, &st, 0));
	kt_check(st.st_uid == owner && st.st_gid == group, "the node is %u:%u's", st.st_uid,
		 st.st_gid);
}

static enum status last_step(void *self, const struct pci_result *result, struct failure *reason)
{
	(void)self;
	(void)result;
	owned(1003, 1004);
	return failed(reason, ST_PCI_PERSIST, "on purpose");
}

static void owners(long arg)
{
	struct pci_wish wish = { .driver = PCI_DRIVER_VFIO, .owner = 1003, .group = 1004 };
	struct pci_result result;
	enum status status;

	(void)arg;
	if (geteuid())
		kt_skip("root alone makes nodes");
	begin_given();
	kt_check(!pci_bind(&sysfs, NIC, &wish, &result, &why), "%s", why.text);
	owned(1003, 1004);
	/* The same, but that it fails at the end. */
	begin_given();
	put(OVERRIDE, "\n");
	wish.last = last_step;
	status = pci_bind(&sysfs, NIC, &wish, &result, &why);
	kt_check(status == ST_PCI_PERSIST, "%s: %s", status_table[status].name, why.text);
	owned(1001, 1002);
	not_overridden();
	/* To the other driver, which is not there, and back: what is made up cannot be told. */
	begin_given();
	put("sys/bus/pci/drivers/shunt_vfio/bind", "");
	put("sys/bus/pci/devices/" NIC "/vendor", "0x1af4\n");
	put("sys/bus/pci/devices/" NIC "/device", "0x1041\n");
	put("sys/bus/pci/devices/" NIC "/config", "\xff\xff\xff\xff\xff\xff\xff\xff");
	wish.driver = PCI_DRIVER_SHUNT;
	status = pci_bind(&sysfs, NIC, &wish, &result, &why);
	kt_check(status == ST_PCI_RESET, "%s: %s", status_table[status].name, why.text);
	owned(1001, 1002);
	/* Not let go of. */
	begin_given();
	kt_sys(unlinkat(sysfs.root, "sys/bus/pci/drivers/vfio-pci/unbind", 0));
	status = pci_release(&sysfs, NIC, &result, &why);
	kt_check(status == ST_SYSTEM, "%s: %s", status_table[status].name, why.text);
	owned(1001, 1002);
	/* Let go of, and there is still a node, as that of others in the group. */
	begin_given();
	status = pci_release(&sysfs, NIC, &result, &why);
	kt_check(status == ST_PCI_STUCK, "%s: %s", status_table[status].name, why.text);
	owned(1001, 1002);
}

static int waits;
static int other_end = -1;

/* Who waits for that end of a pipe goes on. */
static void waiting(void)
{
	waits++;
	if (other_end >= 0)
		close(other_end);
}

static void locks(long arg)
{
	int first, second, ends[2];
	pid_t pid;
	char c;

	(void)arg;
	begin();
	put("run/x", "");
	kt_check(!pci_lock(&sysfs, 0, waiting, &first, &why), "%s", why.text);
	kt_check(pci_lock(&sysfs, 0, waiting, &second, &why) == ST_PCI_LOCKED && second < 0 &&
			 !waits,
		 "locked twice, or waited for");
	kt_check(pci_lock(&sysfs, 1, waiting, &second, &why) == ST_PCI_LOCKED, "locked twice");
	/* Who has it lets go of it when it is waited for. */
	kt_sys(pipe(ends));
	pid = kt_sys(fork());
	if (!pid) {
		close(ends[1]);
		_exit(read(ends[0], &c, 1) ? 1 : 0);
	}
	close(ends[0]);
	close(first);
	waits = 0;
	other_end = ends[1];
	kt_check(!pci_lock(&sysfs, PCI_LOCK_S, waiting, &second, &why) && waits == 1,
		 "waited %d times", waits);
	close(second);
	waitpid(pid, NULL, 0);
}

static const struct kt_case cases[] = {
	{ .name = "a device that does not change its driver is given back", .run = fails },
	{ .name = "what changes meanwhile is seen in time", .run = changes },
	{ .name = "one is at work at a time, and is waited for", .run = locks },
	{ .name = "what fails leaves the node to whose it was", .run = owners },
};

int main(int argc, char **argv)
{
	return fake_main(argc, argv, cases, ARRAY_SIZE(cases));
}
