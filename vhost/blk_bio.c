// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_bio.c - disks that are block devices
 *
 * DOC: Theory of Operation
 *
 * A piece of a request is one bio: made of the guest's own pages, which it keeps while
 * it is under way; or of pages of ours, to and from which the worker copies, where the
 * device cannot take the guest's for how they are aligned. The block layer splits a
 * bio as the device's limits ask, and merges neighbours while the worker is plugged.
 *
 * Requests in units of less than the device's logical blocks, which VIRTIO allows
 * (5.2.5: blk_size is advice), go through the page cache of the device: reads, writes
 * and zeroes. Of what is discarded such parts stay; to erase them securely is an error.
 *
 * The page cache: others on the host may look at the device through it. What is
 * written past it is taken out of it (shunt_disk_changed()), as by O_DIRECT.
 */
#include <linux/blkdev.h>
#include <linux/pagemap.h>

#include "blk.h"

static void bio_ended(struct bio *bio)
{
	struct shunt_blk_req *req = bio->bi_private;

	req->err = blk_status_to_errno(bio->bi_status);
	shunt_blk_end(req);
}

/*
 * Have a bio with room for @nr pages: the request's own, if that is enough, which costs no
 * allocation. Nobody has it any more when it has ended: bio_endio() does nothing behind
 * bi_end_io.
 */
static void get_bio(struct shunt_blk_req *req, u32 nr, blk_opf_t opf)
{
	struct block_device *bdev = req->disk->bdev;

	if (nr <= ARRAY_SIZE(req->few_bvec)) {
		req->bio = &req->own_bio;
		bio_init(req->bio, bdev, req->few_bvec,
			 ARRAY_SIZE(req->few_bvec), opf);
	} else {
		req->bio = bio_alloc(bdev, nr, opf, GFP_KERNEL);
	}
	req->bio->bi_private = req;
	req->bio->bi_end_io = bio_ended;
}

static void put_bio(struct shunt_blk_req *req)
{
	if (req->bio == &req->own_bio)
		bio_uninit(req->bio);
	else
		bio_put(req->bio);
}

/* Give back pages of ours; of a read, after copying them to the guest. */
static void finish_bounce(struct shunt_blk_req *req)
{
	struct iov_iter iter = req->iter;
	struct bvec_iter_all all;
	struct bio_vec *bv;

	bio_for_each_segment_all(bv, req->bio, all)
	{
		if (!req->write && !req->err &&
		    copy_page_to_iter(bv->bv_page, bv->bv_offset, bv->bv_len,
				      &iter) != bv->bv_len)
			req->err = -EFAULT;
		__free_page(bv->bv_page);
	}
}

static void finish_rw(struct shunt_blk_req *req)
{
	if (req->bounce)
		finish_bounce(req);
	else
		bio_release_pages(req->bio, !req->write);
	put_bio(req);
	if (req->write)
		shunt_disk_changed(req->disk, req->pos, req->piece);
	iov_iter_advance(&req->iter, req->piece);
	req->pos += req->piece;
}

/* Fill a bio with pages of ours. Return: 0, -ENOMEM or -EFAULT. */
static int fill_bounce(struct shunt_blk_req *req, struct iov_iter *iter, u32 nr)
{
	while (nr-- && iov_iter_count(iter)) {
		const size_t len = min(iov_iter_count(iter), PAGE_SIZE);
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);

		if (!page)
			return -ENOMEM;
		if (bio_add_page(req->bio, page, len, 0) != len) {
			__free_page(page);
			return 0;
		}
		if (!req->write)
			iov_iter_advance(iter, len);
		else if (copy_page_from_iter(page, 0, len, iter) != len)
			return -EFAULT;
	}
	return 0;
}

/* shunt_disk_ops.rw */
static void bio_rw(struct shunt_blk_req *req)
{
	struct block_device *bdev = req->disk->bdev;
	blk_opf_t opf = REQ_OP_READ;
	struct iov_iter iter = req->iter;
	u32 nr;

	if ((req->pos | iov_iter_count(&iter)) & (req->disk->block - 1)) {
		req->execute = shunt_file_buffered;
		return req->execute(req);
	}
	if (req->write)
		opf = REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
		      (req->durable ? REQ_FUA : 0);
	iov_iter_truncate(&iter, BLK_PIECE);
	req->bounce = !bdev_iter_is_aligned(bdev, &iter);
	nr = req->bounce ? DIV_ROUND_UP(iov_iter_count(&iter), PAGE_SIZE) :
			   iov_iter_npages(&iter, BLK_PIECE_PAGES);

	get_bio(req, nr, opf);
	req->bio->bi_iter.bi_sector = req->pos >> SECTOR_SHIFT;
	req->finish = finish_rw;
	req->err = req->bounce ? fill_bounce(req, &iter, nr) :
				 bio_iov_iter_get_pages(req->bio, &iter);
	req->piece = req->bio->bi_iter.bi_size;
	if (req->err || !req->piece) {
		req->err = req->err ?: -EIO;
		return shunt_blk_end(req);
	}
	submit_bio(req->bio);
}

/* shunt_disk_ops.flush */
static void bio_flush(struct shunt_blk_req *req)
{
	get_bio(req, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	req->finish = put_bio;
	submit_bio(req->bio);
}

/* Discard what of a range is whole blocks; it is only advice. */
static int discard(const struct shunt_disk *disk, loff_t pos, loff_t len)
{
	const loff_t from = round_up(pos, disk->block);
	const loff_t to = round_down(pos + len, disk->block);

	if (from >= to)
		return 0;
	return blkdev_issue_discard(disk->bdev, from >> SECTOR_SHIFT,
				    (to - from) >> SECTOR_SHIFT, GFP_KERNEL);
}

/* Write zeroes to a range that is not of whole blocks. */
static int zero_parts(const struct shunt_disk *disk, loff_t pos, loff_t len)
{
	struct address_space *mapping = disk->file->f_mapping;
	const int err = shunt_file_zero(disk->file, pos, len);

	if (err)
		return err;
	/* What goes past the page cache next is to find it. */
	return filemap_write_and_wait_range(mapping, pos, pos + len - 1);
}

/* shunt_disk_ops.erase */
static int bio_erase(struct shunt_blk_req *req, loff_t pos, loff_t len,
		     bool unmap)
{
	struct block_device *bdev = req->disk->bdev;
	const sector_t sector = pos >> SECTOR_SHIFT;
	const sector_t sectors = len >> SECTOR_SHIFT;
	const bool whole = !((pos | len) & (req->disk->block - 1));
	int err;

	switch (req->type) {
	case VIRTIO_BLK_T_DISCARD:
		err = discard(req->disk, pos, len);
		break;
	case VIRTIO_BLK_T_SECURE_ERASE:
		err = blkdev_issue_secure_erase(bdev, sector, sectors,
						GFP_KERNEL);
		break;
	default:
		err = whole ? blkdev_issue_zeroout(
				      bdev, sector, sectors, GFP_KERNEL,
				      unmap ? 0 : BLKDEV_ZERO_NOUNMAP) :
			      zero_parts(req->disk, pos, len);
	}
	shunt_disk_changed(req->disk, pos, len);
	if (!err && req->durable)
		err = blkdev_issue_flush(bdev);
	return err;
}

const struct shunt_disk_ops shunt_bio_ops = {
	.rw = bio_rw,
	.flush = bio_flush,
	.erase = bio_erase,
};
