// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_disk.c - what a disk is made of, and what it tells the driver of itself
 *
 * DOC: Theory of Operation
 *
 * A disk is an open file: a block device (blk_bio.c) or a regular file on any file
 * system (blk_file.c). What it can do is found out once, when it is made; how large it
 * is, each time that it matters, as either kind can be resized under us.
 *
 * Limits that the driver is told (VIRTIO 1.2, 5.2.4) are such that one request is not
 * much; those of the device beneath are the block layer's matter, which splits.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "blk.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* Return: 0 or a negative error number. */
static int look_at_bdev(struct shunt_disk *disk)
{
	struct block_device *bdev = I_BDEV(disk->file->f_mapping->host);
	int err;

	/* Its zones are written from their beginning: a driver has to know. */
	if (bdev_is_zoned(bdev))
		return -EOPNOTSUPP;
	disk->bdev = bdev;
	disk->ops = &shunt_bio_ops;
	disk->direct = true;
	disk->block = bdev_logical_block_size(bdev);
	disk->dma = bdev_dma_alignment(bdev);
	disk->read_only |= bdev_read_only(bdev);
	/* What others wrote to it through the page cache is to be seen, past it. */
	err = filemap_write_and_wait(disk->file->f_mapping);
	if (err || disk->read_only)
		return err;
	disk->features |= BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	if (bdev_max_discard_sectors(bdev))
		disk->features |= BIT_ULL(VIRTIO_BLK_F_DISCARD);
	if (bdev_max_secure_erase_sectors(bdev))
		disk->features |= BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE);
	return 0;
}

static int look_at_file(struct shunt_disk *disk)
{
	struct inode *inode = file_inode(disk->file);
	struct block_device *under = inode->i_sb->s_bdev;

	disk->ops = &shunt_file_ops;
	disk->direct = disk->file->f_mode & FMODE_CAN_ODIRECT;
	disk->block = under ? bdev_logical_block_size(under) : SECTOR_SIZE;
	/* It is given pages, each of which is to hold whole blocks. */
	disk->dma = (under ? bdev_dma_alignment(under) : 0) | (disk->block - 1);
	/* GlusterFS 10 leaves what was there in some layouts of a volume. */
	disk->no_zero_range = inode->i_sb->s_magic == FUSE_SUPER_MAGIC;
	disk->read_only |= IS_RDONLY(inode);
	if (disk->read_only)
		return 0;
	disk->features |= BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	if (disk->file->f_op->fallocate)
		disk->features |= BIT_ULL(VIRTIO_BLK_F_DISCARD);
	return 0;
}

static int look(struct shunt_disk *disk)
{
	const struct inode *inode = file_inode(disk->file);

	if (!(disk->file->f_mode & FMODE_READ))
		return -EACCES;
	if (IS_SWAPFILE(disk->file->f_mapping->host))
		return -ETXTBSY;
	if (!(disk->file->f_mode & FMODE_WRITE))
		disk->read_only = true;
	if (S_ISBLK(inode->i_mode))
		return look_at_bdev(disk);
	if (S_ISREG(inode->i_mode) && disk->file->f_op->read_iter &&
	    (disk->read_only || disk->file->f_op->write_iter))
		return look_at_file(disk);
	return -ENOTBLK;
}

/**
 * shunt_disk_new() - make a disk
 * @arg: what of; checked here
 *
 * Context: process context, of whoever has the fd.
 * Return: the disk, for shunt_disk_free(), or an ERR_PTR() as of SHUNT_BLK_SET_DISK.
 */
struct shunt_disk *shunt_disk_new(const struct shunt_blk_disk *arg)
{
	struct shunt_disk *disk;
	int err;

	if (arg->flags & ~SHUNT_BLK_RDONLY || !arg->queues ||
	    arg->queues > SHUNT_BLK_QUEUES_MAX)
		return ERR_PTR(-EINVAL);
	disk = kzalloc(sizeof(*disk), GFP_KERNEL_ACCOUNT);
	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->read_only = arg->flags & SHUNT_BLK_RDONLY;
	disk->queues = arg->queues;
	memcpy(disk->serial, arg->serial, sizeof(disk->serial));
	disk->features =
		BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
		BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |
		BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) | BIT_ULL(VIRTIO_BLK_F_FLUSH) |
		BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) | BIT_ULL(VIRTIO_BLK_F_MQ);
	err = -EBADF;
	disk->file = fget(arg->fd);
	if (disk->file)
		err = look(disk);
	if (err) {
		shunt_disk_free(disk);
		return ERR_PTR(err);
	}
	if (disk->read_only)
		disk->features |= BIT_ULL(VIRTIO_BLK_F_RO);
	return disk;
}

/**
 * shunt_disk_free() - undo shunt_disk_new()
 * @disk: the disk, or NULL
 */
void shunt_disk_free(struct shunt_disk *disk)
{
	if (disk && disk->file)
		fput(disk->file);
	kfree(disk);
}

/**
 * shunt_disk_size() - the size of a disk as the host last knew it
 * @disk: the disk
 *
 * Context: any.
 * Return: bytes, whole sectors.
 */
u64 shunt_disk_size(const struct shunt_disk *disk)
{
	u64 size = disk->bdev ? bdev_nr_bytes(disk->bdev) :
				i_size_read(file_inode(disk->file));

	return round_down(size, SECTOR_SIZE);
}

/**
 * shunt_disk_size_now() - the size of a disk, asked for
 * @disk: the disk
 *
 * A file on a server may have been resized by another of its clients.
 *
 * Context: process context; may sleep for as long as the server likes.
 * Return: as shunt_disk_size().
 */
u64 shunt_disk_size_now(const struct shunt_disk *disk)
{
	struct kstat stat;

	if (!disk->bdev)
		vfs_getattr(&disk->file->f_path, &stat, STATX_SIZE,
			    AT_STATX_FORCE_SYNC);
	return shunt_disk_size(disk);
}

static void topology(const struct shunt_disk *disk,
		     struct virtio_blk_config *config)
{
	const u32 block = disk->block;
	const int offset = bdev_alignment_offset(disk->bdev);

	config->physical_block_exp =
		ilog2(max(bdev_physical_block_size(disk->bdev) / block, 1u));
	if (offset > 0)
		config->alignment_offset = min(offset / block, 255u);
	config->min_io_size = (__force __virtio16)cpu_to_le16(
		min(bdev_io_min(disk->bdev) / block, (u32)U16_MAX));
	config->opt_io_size = (__force __virtio32)cpu_to_le32(
		bdev_io_opt(disk->bdev) / block);
}

/**
 * shunt_disk_config() - fill in a disk's configuration space
 * @disk: the disk
 * @wce: its field writeback
 * @config: zeroed; little-endian (VIRTIO 1.2, 5.2.4)
 */
void shunt_disk_config(const struct shunt_disk *disk, bool wce,
		       struct virtio_blk_config *config)
{
#define SET32(field, value)                                                    \
	(config->field = (__force __virtio32)cpu_to_le32(value))
	u32 granularity = disk->block;

	config->capacity = (__force __virtio64)cpu_to_le64(
		shunt_disk_size(disk) >> SECTOR_SHIFT);
	SET32(size_max, BLK_SIZE_MAX);
	SET32(seg_max, BLK_SEG_MAX);
	SET32(blk_size, disk->block);
	config->wce = wce;
	config->num_queues = (__force __virtio16)cpu_to_le16(disk->queues);
	if (disk->bdev) {
		topology(disk, config);
		granularity =
			max(bdev_discard_granularity(disk->bdev), disk->block);
	}
	if (disk->features & BIT_ULL(VIRTIO_BLK_F_DISCARD)) {
		SET32(max_discard_sectors, BLK_DISCARD_SECTORS);
		SET32(max_discard_seg, BLK_RANGES);
		SET32(discard_sector_alignment, granularity >> SECTOR_SHIFT);
	}
	if (disk->features & BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES)) {
		SET32(max_write_zeroes_sectors, BLK_ZEROES_SECTORS);
		SET32(max_write_zeroes_seg, BLK_RANGES);
		config->write_zeroes_may_unmap = 1;
	}
	if (disk->features & BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE)) {
		SET32(max_secure_erase_sectors, BLK_DISCARD_SECTORS);
		SET32(max_secure_erase_seg, BLK_RANGES);
		SET32(secure_erase_sector_alignment,
		      granularity >> SECTOR_SHIFT);
	}
#undef SET32
}

/**
 * shunt_disk_changed() - a range was written past the page cache
 * @disk: the disk
 * @pos: where it begins, in bytes
 * @len: how many bytes; at least 1
 *
 * Context: process context; may sleep.
 */
void shunt_disk_changed(const struct shunt_disk *disk, loff_t pos, loff_t len)
{
	struct address_space *mapping = disk->file->f_mapping;

	if (len && mapping->nrpages)
		invalidate_inode_pages2_range(mapping, pos >> PAGE_SHIFT,
					      (pos + len - 1) >> PAGE_SHIFT);
}
