// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that has been given away reaches the memory that its VMM maps, and no other.
 *
 * The device is QEMU's 'edu', which copies between its own buffer and any address that it is told.
 * This plays the VMM: VFIO's container, group and device (linux/vfio.h). It becomes the user that
 * the node was given to before it opens it.
 *
 * PCI_DEVICE: the device's address; PCI_USER: the user's number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"

#define PAGE  4096
#define BYTES 2048 /* of a transfer; QEMU's newer edu ends itself at its buffer's whole size */
#define IOVA  0x100000

/* Registers of BAR 0, and its buffer; as QEMU's docs/specs/edu has them. */
#define DMA_FROM    0x80
#define DMA_TO	    0x88
#define DMA_COUNT   0x90
#define DMA_COMMAND 0x98
#define DMA_GO	    1
#define DMA_TO_RAM  2
#define BUFFER	    0x40000

/* Of the configuration space: the command register, and what lets the device begin transfers. */
#define COMMAND	       4
#define COMMAND_MASTER 4

struct edu {
	int container;
	int group;
	int device;
	int pagemap;
	volatile uint8_t *bar;
	uint8_t *page;
};

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		kt_fail("%s is not set", name);
	return value;
}

static int open_group(const char *device)
{
	char path[256], target[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", device);
	length = kt_sys(readlink(path, target, sizeof(target) - 1));
	target[length] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%d", atoi(strrchr(target, '/') + 1));
	return kt_sys(open(path, O_RDWR));
}

static void enable_master(const struct edu *edu)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command;

	kt_sys(ioctl(edu->device, VFIO_DEVICE_GET_REGION_INFO, &info));
	kt_check(pread(edu->device, &command, 2, info.offset + COMMAND) == 2, "config space");
	command |= COMMAND_MASTER;
	kt_check(pwrite(edu->device, &command, 2, info.offset + COMMAND) == 2, "config space");
}

static void begin(struct edu *edu)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_BAR0_REGION_INDEX };
	const char *device = variable("PCI_DEVICE");

	/* Who opens it decides what it shows. */
	edu->pagemap = kt_sys(open("/proc/self/pagemap", O_RDONLY));
	kt_sys(setresuid(atoi(variable("PCI_USER")), atoi(variable("PCI_USER")),
			 atoi(variable("PCI_USER"))));
	edu->container = kt_sys(open("/dev/vfio/vfio", O_RDWR));
	edu->group = open_group(device);
	kt_sys(ioctl(edu->group, VFIO_GROUP_SET_CONTAINER, &edu->container));
	kt_sys(ioctl(edu->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	edu->device = kt_sys(ioctl(edu->group, VFIO_GROUP_GET_DEVICE_FD, device));
	kt_sys(ioctl(edu->device, VFIO_DEVICE_GET_REGION_INFO, &info));
	edu->bar =
		mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, edu->device, info.offset);
	kt_check(edu->bar != MAP_FAILED, "BAR 0: %m");
	edu->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	kt_check(edu->page != MAP_FAILED, "a page: %m");
	enable_master(edu);
}

static void map(const struct edu *edu, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)edu->page,
		.iova = iova,
		.size = PAGE,
	};

	kt_sys(ioctl(edu->container, VFIO_IOMMU_MAP_DMA, &map));
}

static void unmap(const struct edu *edu, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = PAGE,
	};

	kt_sys(ioctl(edu->container, VFIO_IOMMU_UNMAP_DMA, &unmap));
}

static void set(const struct edu *edu, unsigned int at, uint64_t value)
{
	*(volatile uint64_t *)(edu->bar + at) = value;
}

/* Have the device copy, and wait until it says that it has. */
static void copy(const struct edu *edu, uint64_t from, uint64_t to, uint64_t command)
{
	set(edu, DMA_FROM, from);
	set(edu, DMA_TO, to);
	set(edu, DMA_COUNT, BYTES);
	set(edu, DMA_COMMAND, command | DMA_GO);
	for (int i = 0; *(volatile uint64_t *)(edu->bar + DMA_COMMAND) & DMA_GO; i++) {
		kt_check(i < 6000, "the device does not come to an end");
		usleep(10000);
	}
}

/* Fill the device's buffer with a byte, by way of the page at @iova. */
static void fill(const struct edu *edu, uint64_t iova, uint8_t byte)
{
	memset(edu->page, byte, PAGE);
	copy(edu, iova, BUFFER, 0);
}

static unsigned int count(const struct edu *edu, uint8_t byte)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < BYTES; i++)
		found += ((volatile uint8_t *)edu->page)[i] == byte;
	return found;
}

static uint64_t physical(const struct edu *edu)
{
	off_t at = (off_t)((uintptr_t)edu->page / PAGE * sizeof(uint64_t));
	uint64_t entry;

	kt_check(pread(edu->pagemap, &entry, sizeof(entry), at) == sizeof(entry), "pagemap: %m");
	entry &= (1ULL << 55) - 1;
	kt_check(entry, "the page has no number");
	return entry * PAGE;
}

static void mapped(long arg)
{
	struct edu edu;

	(void)arg;
	begin(&edu);
	map(&edu, IOVA);
	fill(&edu, IOVA, 0x5a);
	memset(edu.page, 0, PAGE);
	copy(&edu, BUFFER, IOVA, DMA_TO_RAM);
	kt_check(count(&edu, 0x5a) == BYTES, "%u of %u bytes came back", count(&edu, 0x5a), BYTES);
}

static void by_physical_address(long arg)
{
	struct edu edu;
	uint64_t at;

	(void)arg;
	begin(&edu);
	/* Mapped elsewhere, it is pinned, and stays where it is. */
	map(&edu, IOVA);
	at = physical(&edu);
	kt_check(at != IOVA, "the page is just where it is mapped");
	fill(&edu, IOVA, 0xa5);
	memset(edu.page, 0x11, PAGE);
	copy(&edu, BUFFER, at, DMA_TO_RAM);
	kt_check(count(&edu, 0x11) == BYTES, "%u bytes were written", BYTES - count(&edu, 0x11));
	/* That this would have been seen: */
	map(&edu, at);
	copy(&edu, BUFFER, at, DMA_TO_RAM);
	kt_check(count(&edu, 0xa5) == BYTES, "the same address does nothing when it is mapped");
}

static void after_unmap(long arg)
{
	struct edu edu;

	(void)arg;
	begin(&edu);
	map(&edu, IOVA);
	fill(&edu, IOVA, 0xc3);
	unmap(&edu, IOVA);
	memset(edu.page, 0x22, PAGE);
	copy(&edu, BUFFER, IOVA, DMA_TO_RAM);
	kt_check(count(&edu, 0x22) == BYTES, "%u bytes were written", BYTES - count(&edu, 0x22));
}

static void reads_nothing(long arg)
{
	struct edu edu;

	(void)arg;
	begin(&edu);
	map(&edu, IOVA);
	fill(&edu, IOVA, 0x33);
	unmap(&edu, IOVA);
	memset(edu.page, 0x44, PAGE);
	copy(&edu, IOVA, BUFFER, 0);
	map(&edu, IOVA);
	copy(&edu, BUFFER, IOVA, DMA_TO_RAM);
	kt_check(!count(&edu, 0x44), "the device read %u bytes", count(&edu, 0x44));
}

static const struct kt_case cases[] = {
	{ .name = "DMA reaches memory that is mapped", .run = mapped },
	{ .name = "DMA to a physical address that is not mapped writes nothing",
	  .run = by_physical_address },
	{ .name = "DMA to memory that was unmapped writes nothing", .run = after_unmap },
	{ .name = "DMA from memory that was unmapped reads nothing", .run = reads_nothing },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
