// SPDX-License-Identifier: GPL-2.0-only
/* Probe: a group can be asked whether its interrupts are remapped (since Linux 6.3). */
#include <linux/iommu.h>

bool probe(struct iommu_group *group);
bool probe(struct iommu_group *group)
{
	return iommu_group_has_isolated_msi(group);
}
