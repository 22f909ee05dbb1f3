// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of what the command 'shunt pci' makes of sysfs: on hosts that are made up. */
#include <fcntl.h>
#include <netlink/addr.h>
#include <netlink/route/link/sriov.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fakehost.h"
#include "pcipersist.h"
#include "pcivf.h"

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
	struct pci_facts facts;
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
	/* The other driver has a parameter of its own. */
	pci_facts_read(&sysfs, &facts);
	kt_check(!pci_judge_remapping(&facts, PCI_DRIVER_VFIO, &why), "%s", why.text);
	kt_check(pci_judge_remapping(&facts, PCI_DRIVER_SHUNT, &why) == ST_PCI_NO_REMAP,
		 "shunt_vfio goes by what vfio_iommu_type1 is told");
	put("sys/module/shunt_vfio/parameters/unsafe_interrupts_without_remapping", "Y\n");
	pci_facts_read(&sysfs, &facts);
	kt_check(!pci_judge_remapping(&facts, PCI_DRIVER_SHUNT, &why), "%s", why.text);
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

/* Who may write to what root runs is root. */
static void rules_of_others(long arg)
{
	static const char *const parts[] = { "usr/local/sbin/shunt", "usr/local/sbin", "usr/local",
					     "usr" };
	struct pci_device device;
	bool removed;

	(void)arg;
	if (geteuid())
		kt_skip("root alone has files of others");
	begin();
	put("etc/udev/rules.d/other.rules", "");
	put("usr/local/sbin/shunt", "");
	link_to("usr/bin", "local/sbin");
	kt_check(!pci_read(&sysfs, NIC, &device, &why), "%s", why.text);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		static const mode_t modes[] = { 0775, 0757, 01777, 02775 };

		for (size_t k = 0; k <= ARRAY_SIZE(modes); k++) {
			if (k < ARRAY_SIZE(modes))
				kt_sys(fchmodat(sysfs.root, parts[i], modes[k], 0));
			else
				kt_sys(fchownat(sysfs.root, parts[i], 1001, 0, 0));
			kt_check(pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO,
						   "/usr/local/sbin/shunt", NULL,
						   &why) == ST_PCI_PERSIST,
				 "%s, %zu: written", parts[i], k);
			kt_check(strstr(why.text, parts[i]) && strstr(why.text, "others may write"),
				 "%s", why.text);
			kt_sys(fchmodat(sysfs.root, parts[i], 0755, 0));
		}
		kt_sys(fchownat(sysfs.root, parts[i], 0, 0, 0));
	}
	kt_check(pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO, "/usr/bin/shunt", NULL,
				   &why) == ST_PCI_PERSIST,
		 "by a link: written");
	kt_check(!pci_persist_remove(&sysfs, NIC, &removed, &why) && !removed, "there is a rule");
	kt_check(!pci_persist_write(&sysfs, &device, PCI_DRIVER_VFIO, "/usr/local/sbin/shunt", NULL,
				    &why),
		 "%s", why.text);
}

/* What is asked of a device is asked of functions that are to go. */
static void functions_in_use(long arg)
{
	struct pci_devices vfs;
	enum status status;

	(void)arg;
	begin();
	put("sys/bus/pci/devices/" NIC "/sriov_totalvfs", "7\n");
	put("sys/bus/pci/devices/" NIC "/sriov_numvfs", "2\n");
	make_device("0000:01:10.0", "0x020000\n", "8");
	make_device("0000:01:10.2", "0x020000\n", "9");
	link_to("sys/bus/pci/devices/" NIC "/virtfn0", "../0000:01:10.0");
	link_to("sys/bus/pci/devices/" NIC "/virtfn1", "../0000:01:10.2");
	put("sys/bus/pci/devices/0000:01:10.2/ptp/ptp0/dev", "1:3\n");
	link_to("proc/4194305/task/4194305/fd/3", "/dev/null");
	status = pci_vfs_change(&sysfs, NIC, 3, NULL, 0, &vfs, &why);
	pci_free(&vfs);
	kt_check(status == ST_PCI_VFS && strstr(why.text, "has ptp0 open"), "%s",
		 status ? why.text : "done");
	kt_sys(unlinkat(sysfs.root, "proc/4194305/task/4194305/fd/3", 0));
	/* What is made up has two for good. */
	status = pci_vfs_change(&sysfs, NIC, 1, NULL, 0, &vfs, &why);
	pci_free(&vfs);
	kt_check(status == ST_PCI_SRIOV && strstr(why.text, "2 of 1"), "%s",
		 status ? why.text : "done");
}

/* What was set is compared with what the kernel says, also where that is 'none'. */
static void attributes(long arg)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0xaa, 1 };
	struct pci_vf_wish wish = { .vlan = -1, .spoofcheck = -1, .trust = -1 };
	struct rtnl_link_vf *vf = rtnl_link_vf_alloc();
	nl_vf_vlans_t *vlans = NULL;
	struct nl_addr *address;

	(void)arg;
	kt_check(vf && !rtnl_link_vf_vlan_alloc(&vlans, 1), "out of memory");
	kt_check(!pci_vf_differs(vf, &wish), "nothing was wanted");
	wish.vlan = 0;
	kt_check(!pci_vf_differs(vf, &wish), "none is not VLAN 0");
	rtnl_link_vf_set_vlans(vf, vlans);
	kt_check(!pci_vf_differs(vf, &wish), "VLAN 0 is not 0");
	vlans->vlans[0].vf_vlan = 7;
	is(pci_vf_differs(vf, &wish), "vlan");
	wish.vlan = 7;
	kt_check(!pci_vf_differs(vf, &wish), "VLAN 7 is not 7");
	wish.qos = 3;
	is(pci_vf_differs(vf, &wish), "vlan");
	vlans->vlans[0].vf_vlan_qos = 3;
	kt_check(!pci_vf_differs(vf, &wish), "3 is not 3");
	wish.has_mac = true;
	memcpy(wish.mac, mac, sizeof(mac));
	is(pci_vf_differs(vf, &wish), "mac");
	address = nl_addr_build(AF_LLC, mac, sizeof(mac));
	kt_check(address, "out of memory");
	rtnl_link_vf_set_addr(vf, address);
	kt_check(!pci_vf_differs(vf, &wish), "the address is another one");
	wish.mac[5]++;
	is(pci_vf_differs(vf, &wish), "mac");
	wish.has_mac = false;
	/* What a driver does not tell it has not taken. */
	wish.spoofcheck = 0;
	is(pci_vf_differs(vf, &wish), "spoofcheck");
	rtnl_link_vf_set_spoofchk(vf, 1);
	is(pci_vf_differs(vf, &wish), "spoofcheck");
	wish.spoofcheck = 1;
	wish.trust = 1;
	is(pci_vf_differs(vf, &wish), "trust");
	rtnl_link_vf_set_trust(vf, 1);
	kt_check(!pci_vf_differs(vf, &wish), "it is trusted");
	nl_addr_put(address);
	rtnl_link_vf_vlan_put(vlans);
	rtnl_link_vf_put(vf);
}

static void rules(long arg)
{
	struct pci_device device;
	char path[SYSFS_PATH_MAX], text[2048];
	bool removed;

	(void)arg;
	if (geteuid())
		kt_skip("what is not root's is not run by a rule");
	begin();
	put("sbin/shunt", "");
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
	{ .name = "a rule runs nothing that others may write to", .run = rules_of_others },
	{ .name = "attributes of functions are read back", .run = attributes },
	{ .name = "functions that are in use do not go", .run = functions_in_use },
	{ .name = "a rule for udev says what was asked for", .run = rules },
};

int main(int argc, char **argv)
{
	return fake_main(argc, argv, cases, ARRAY_SIZE(cases));
}
