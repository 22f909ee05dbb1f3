// SPDX-License-Identifier: GPL-2.0-only
/*
 * pci.c - binding a function, giving it up, and quarantine
 *
 * DOC: Theory of Operation
 *
 * The driver matches virtio functions, and only those whose driver_override says
 * shunt_vfio: no function is taken by accident. It is refused, with a line in the
 * log, what could reach more than its owner's memory: a function without IOMMU,
 * that bypasses it, that shares its group with a driver, or whose interrupts are
 * not remapped.
 *
 * The group's DMA is owned from probe to remove (driver_managed_dma): its domain
 * is the blocking one but while the node is open. Bus mastering is on while it
 * is open, too.
 *
 * A function is put into quarantine when it does not obey a reset any more: it is
 * not known then what it would do to the next owner's memory. Bus mastering is
 * off, its owner has lost it, its node is gone. Only unbinding ends that, and
 * binding it again is a reset that has to succeed.
 */
#include <linux/delay.h>
#include <linux/module.h>

#include "compat.h"
#include "layout.h"
#include "vfio.h"

#define DRIVER "shunt_vfio"

/* How long a reset may take. */
#define RESET_MS 5000

static bool unsafe_interrupts_without_remapping;
module_param(unsafe_interrupts_without_remapping, bool, 0444);
MODULE_PARM_DESC(
	unsafe_interrupts_without_remapping,
	"Bind although interrupts are not remapped: guests can send any to the host");

/**
 * svfio_reset() - reset the function, and wait until it is
 * @dev: the device, whose function is there
 *
 * Context: svfio.lock held; sleeps, for RESET_MS and what PCI allows for pending
 * transactions at most.
 * Return: NULL, or what is wrong with the function, for svfio_quarantine().
 */
const char *svfio_reset(struct svfio *dev)
{
	const unsigned long end = jiffies + msecs_to_jiffies(RESET_MS);
	u8 status;

	vp_modern_set_status(&dev->mdev, 0);
	/* Reading also has the write arrive. */
	while ((status = vp_modern_get_status(&dev->mdev))) {
		if (status == 0xff && !pci_device_is_present(dev->pdev))
			return "its registers read all ones";
		if (time_after(jiffies, end))
			return status == 0xff ? "its registers read all ones" :
						"it does not reset";
		usleep_range(500, 1000);
	}
	if (!pci_wait_for_pending_transaction(dev->pdev))
		return "it has DMA pending after a reset";
	return NULL;
}

/**
 * svfio_disown() - take everything from the owner
 * @dev: the device, open or not
 * @lost: the function is lost, and the owner is to be told
 *
 * See vfio.h for the order. May be repeated.
 *
 * Context: svfio.lock held; svfio_dma_settle() follows.
 */
void svfio_disown(struct svfio *dev, bool lost)
{
	const char *why = NULL;

	svfio_queues_silence(dev);
	if (dev->opened && dev->state == SVFIO_BOUND)
		why = svfio_reset(dev);
	if (dev->pdev)
		pci_clear_master(dev->pdev);
	svfio_irqs_free(dev);
	svfio_queues_release(dev, lost || why);
	if (lost)
		svfio_doorbell_revoke(dev);
	svfio_dma_close(dev);
	svfio_vdpa_forget(dev);
	/* Comes back here, for the little that is left. */
	if (why)
		svfio_quarantine(dev, why);
}

/**
 * svfio_quarantine() - nobody is to have this function any more
 * @dev: the device
 * @why: for the log
 *
 * Context: svfio.lock held; svfio_dma_settle() follows.
 * Return: -ENODEV.
 */
int svfio_quarantine(struct svfio *dev, const char *why)
{
	if (dev->state != SVFIO_BOUND)
		return -ENODEV;
	dev->state = SVFIO_QUARANTINED;
	dev_err_ratelimited(&dev->pdev->dev,
			    "in quarantine until it is unbound: %s\n", why);
	svfio_disown(dev, true);
	svfio_node_del(dev);
	return -ENODEV;
}

/* Whether the function can be kept within bounds; says so if not. */
static int check_isolation(struct svfio *dev)
{
	struct pci_dev *pdev = dev->pdev;

	if (!device_iommu_capable(&pdev->dev, IOMMU_CAP_CACHE_COHERENCY)) {
		pci_err(pdev,
			"refused: its IOMMU does not keep caches coherent\n");
		return -EOPNOTSUPP;
	}
	if (!compat_isolated_msi(&pdev->dev, dev->group)) {
		if (!unsafe_interrupts_without_remapping) {
			pci_err(pdev,
				"refused: no interrupt remapping, any could be sent\n");
			return -EOPNOTSUPP;
		}
		pci_warn(pdev,
			 "without interrupt remapping: any can be sent\n");
	}
	if (!pdev->msix_cap) {
		pci_err(pdev, "refused: it has no MSI-X\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Bring the function up as far as to know what it is; says what is wrong. */
static int probe_function(struct svfio *dev)
{
	const u64 needed =
		BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	struct pci_dev *pdev = dev->pdev;
	const char *why;
	int err;

	pci_clear_master(pdev);
	err = vp_modern_probe(&dev->mdev);
	if (err) {
		pci_err(pdev, "refused: no modern virtio function\n");
		return err;
	}
	why = svfio_reset(dev);
	if (why) {
		pci_err(pdev, "refused: %s\n", why);
		err = -EIO;
		goto remove;
	}
	dev->offered = vp_modern_get_features(&dev->mdev);
	if ((dev->offered & needed) != needed) {
		pci_err(pdev,
			"refused: without ACCESS_PLATFORM it bypasses the IOMMU\n");
		err = -EOPNOTSUPP;
		goto remove;
	}
	if (dev->mdev.device)
		dev->config_len = svfio_config_len(pdev, dev->mdev.device_len);
	err = svfio_queues_probe(dev);
	if (err) {
		pci_err(pdev, "refused: its queues make no sense (%d)\n", err);
		goto remove;
	}
	why = svfio_reset(dev);
	if (!why)
		return 0;
	pci_err(pdev, "refused: %s\n", why);
	err = -EIO;
	svfio_queues_remove(dev);
remove:
	vp_modern_remove(&dev->mdev);
	return err;
}

static int svfio_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct svfio *dev;
	int err;

	/* Who overrides the driver may name us for any device. */
	if (pdev->vendor != PCI_VENDOR_ID_REDHAT_QUMRANET) {
		pci_err(pdev, "refused: no virtio function\n");
		return -ENODEV;
	}
	dev = svfio_node_alloc(pdev);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->group = iommu_group_get(&pdev->dev);
	if (!dev->group) {
		pci_err(pdev, "refused: there is no IOMMU for it\n");
		err = -EOPNOTSUPP;
		goto put;
	}
	err = check_isolation(dev);
	if (err)
		goto put_group;
	err = iommu_group_claim_dma_owner(dev->group, dev);
	if (err) {
		pci_err(pdev, "refused: its IOMMU group %d is in use (%d)\n",
			iommu_group_id(dev->group), err);
		goto put_group;
	}
	err = svfio_dma_probe(dev);
	if (err)
		goto release;
	err = pci_enable_device_mem(pdev);
	if (err) {
		pci_err(pdev, "refused: it cannot be enabled (%d)\n", err);
		goto remove_dma;
	}
	err = probe_function(dev);
	if (err)
		goto disable;
	pci_set_drvdata(pdev, dev);
	mutex_lock(&dev->lock);
	err = svfio_node_add(dev);
	if (err) {
		dev->state = SVFIO_REMOVED;
		dev->pdev = NULL;
	}
	mutex_unlock(&dev->lock);
	if (err)
		goto remove_function;
	pci_info(pdev, "virtio device %u with %u queues: /dev/shunt-vfio/%s\n",
		 dev->mdev.id.device, dev->nr_vqs, pci_name(pdev));
	return 0;

remove_function:
	svfio_queues_remove(dev);
	vp_modern_remove(&dev->mdev);
disable:
	pci_disable_device(pdev);
remove_dma:
	svfio_dma_remove(dev);
release:
	iommu_group_release_dma_owner(dev->group);
put_group:
	iommu_group_put(dev->group);
put:
	put_device(&dev->dev);
	return err;
}

/* Also while the node is open, and when the function is no longer there. */
static void svfio_remove(struct pci_dev *pdev)
{
	struct svfio *dev = pci_get_drvdata(pdev);

	mutex_lock(&dev->lock);
	svfio_node_del(dev);
	if (!pci_device_is_present(pdev))
		dev->state = SVFIO_REMOVED;
	svfio_disown(dev, true);
	dev->state = SVFIO_REMOVED;
	dev->pdev = NULL;
	svfio_queues_remove(dev);
	vp_modern_remove(&dev->mdev);
	pci_disable_device(pdev);
	svfio_dma_remove(dev);
	iommu_group_release_dma_owner(dev->group);
	iommu_group_put(dev->group);
	mutex_unlock(&dev->lock);
	/* What is owed is given back with the owner's next request, or when it closes the node. */
	put_device(&dev->dev);
}

static const struct pci_device_id ids[] = {
	/* The library looks at the device's number. */
	{ PCI_DEVICE_DRIVER_OVERRIDE(PCI_VENDOR_ID_REDHAT_QUMRANET, PCI_ANY_ID,
				     PCI_ID_F_VFIO_DRIVER_OVERRIDE) },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver driver = {
	.name = DRIVER,
	.id_table = ids,
	.probe = svfio_probe,
	.remove = svfio_remove,
	.driver_managed_dma = true,
};

/**
 * svfio_pci_init() - module init: the driver
 *
 * Return: 0 or a negative error number.
 */
int svfio_pci_init(void)
{
	return pci_register_driver(&driver);
}

/** svfio_pci_exit() - module exit: unbind all functions; none is open */
void svfio_pci_exit(void)
{
	pci_unregister_driver(&driver);
}
