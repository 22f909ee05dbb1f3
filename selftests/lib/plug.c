// SPDX-License-Identifier: GPL-2.0-only
/*
 * plug.c - the function is taken out of this machine and put in again, by its monitor
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vdpa.h"

static const char *device_of_bdf(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", vf_bdf());
	return path;
}

void vf_unplug(void)
{
	const char *device = device_of_bdf();
	uint64_t end = vg_ms() + 3 * VG_STALL_MS;

	vf_monitor("device_del %s", getenv("SHUNT_TEST_NAME"));
	while (!access(device, F_OK)) {
		kt_check(vg_ms() < end, "%s is still there", device);
		usleep(10000);
	}
}

void vf_plug(const char *more)
{
	const char *device = device_of_bdf();
	uint64_t end = vg_ms() + 3 * VG_STALL_MS;

	/* The emulator refuses while the old one has not quite gone. */
	while (access(device, F_OK)) {
		kt_check(vg_ms() < end, "%s is not there", device);
		vf_monitor("device_add %s%s", getenv("SHUNT_TEST_DEVICE"), more);
		usleep(500000);
	}
}
