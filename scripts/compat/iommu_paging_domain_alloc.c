// SPDX-License-Identifier: GPL-2.0-only
/* Probe: an IOMMU domain is made for a device, not for a bus (since Linux 6.11). */
#include <linux/iommu.h>

struct iommu_domain *probe(struct device *dev);
struct iommu_domain *probe(struct device *dev)
{
	return iommu_paging_domain_alloc(dev);
}
