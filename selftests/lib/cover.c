// SPDX-License-Identifier: GPL-2.0-only
/*
 * cover.c - have a page of a function's registers out of the processor's reach
 *
 * The emulator's functions always obey. So a page of registers is covered by a read-only page
 * of another device, which is moved there: SHUNT_VFIO_COVERS names two, whose bytes are all
 * ones and all 0x0f. The function itself goes on with what it was told.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpa.h"

#define DEVICES "/sys/bus/pci/devices/"

int vf_config_space(const char *bdf, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICES "%s/config", bdf);
	return kt_sys(open(path, flags | O_CLOEXEC));
}

static const char *device(enum vf_cover which)
{
	static char bdf[2][16];
	const char *both = getenv("SHUNT_VFIO_COVERS");

	if (!both || sscanf(both, "%15s %15s", bdf[0], bdf[1]) != 2)
		kt_skip("this machine has no devices to cover registers with");
	return bdf[which];
}

/* Where one of the function's structures is, as an address of the machine. */
static uint64_t registers(uint8_t type)
{
	unsigned long long first = 0;
	uint8_t c[256], pos;
	char path[128];
	uint32_t offset;
	unsigned int i;
	int fd = vf_config_space(vf_bdf(), O_RDONLY);
	FILE *f;

	kt_check(pread(fd, c, sizeof(c), 0) == sizeof(c), "the configuration space: %m");
	close(fd);
	for (pos = c[PCI_CAPABILITY_LIST]; pos; pos = c[pos + 1])
		if (c[pos] == PCI_CAP_ID_VNDR && c[pos + VIRTIO_PCI_CAP_CFG_TYPE] == type)
			break;
	kt_check(pos, "a function without registers of type %u", type);
	memcpy(&offset, c + pos + VIRTIO_PCI_CAP_OFFSET, sizeof(offset));
	snprintf(path, sizeof(path), DEVICES "%s/resource", vf_bdf());
	f = fopen(path, "r");
	kt_check(f, "%s: %m", path);
	for (i = 0; i <= c[pos + VIRTIO_PCI_CAP_BAR]; i++)
		kt_check(fscanf(f, "%llx %*x %*x", &first) == 1, "%s ends", path);
	fclose(f);
	kt_check(first && (first + offset) % VG_PAGE == 0, "registers at %#llx + %#x", first,
		 offset);
	return first + offset;
}

void vf_uncover(void)
{
	const uint16_t off = 0;
	enum vf_cover i;

	for (i = VF_ONES; i <= VF_STUCK; i++) {
		int fd = vf_config_space(device(i), O_RDWR);

		kt_check(pwrite(fd, &off, sizeof(off), PCI_COMMAND) == sizeof(off), "%m");
		close(fd);
	}
}

void vf_cover(enum vf_cover which, uint8_t type, uint64_t off)
{
	const uint16_t on = PCI_COMMAND_MEMORY;
	uint64_t at = registers(type) + off;
	int fd = vf_config_space(device(which), O_RDWR);

	kt_check(pwrite(fd, &at, sizeof(at), PCI_BASE_ADDRESS_2) == sizeof(at) &&
			 pwrite(fd, &on, sizeof(on), PCI_COMMAND) == sizeof(on),
		 "the configuration space of %s: %m", device(which));
	close(fd);
}
