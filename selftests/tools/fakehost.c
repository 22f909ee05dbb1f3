// SPDX-License-Identifier: GPL-2.0-only
/* Making hosts up: each is a directory, below one that is removed at the end. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakehost.h"

/* Below it each case has a directory of its own. */
char fake_base[] = "/tmp/shunt-pci-XXXXXX";

char root[64];
struct sysfs sysfs;
struct failure why;

void is(const char *got, const char *want)
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

void put(const char *path, const char *text)
{
	int fd;

	make_parents(path);
	fd = kt_sys(openat(sysfs.root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	kt_check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %m", path);
	close(fd);
}

void link_to(const char *path, const char *target)
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
void make_device(const char *address, const char *class, const char *group)
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

void begin(void)
{
	snprintf(root, sizeof(root), "%s/XXXXXX", fake_base);
	if (!mkdtemp(root))
		kt_fail("%s: %m", root);
	kt_check(!sysfs_open(root, &sysfs, &why), "%s", why.text);
	make_device(NIC, "0x020000\n", "7");
	put("proc/self/mountinfo", "22 1 0:21 / /sys rw - sysfs sysfs rw\n");
	put("proc/swaps", "Filename Type Size Used Priority\n");
	put("proc/interrupts", "  0:  2  0  IR-IO-APIC  2-edge  timer\n");
}

/* A disk of the NIC, or what else hangs on it, at a path below it. */
void make_disk(const char *below, const char *name, const char *number)
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

enum status judge(void)
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

void judged(enum status want, const char *text)
{
	enum status status = judge();

	kt_check(status == want, "%s instead of %s: %s", status_table[status].name,
		 status_table[want].name, status ? why.text : "");
	kt_check(!text || strstr(why.text, text), "'%s' is not in: %s", text, why.text);
}

int fake_main(int argc, char **argv, const struct kt_case *cases, size_t count)
{
	int status;

	if (!mkdtemp(fake_base)) {
		perror(fake_base);
		return 1;
	}
	status = kt_main(argc, argv, cases, count);
	nftw(fake_base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return status;
}
