// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_file.c - disks that are files
 *
 * DOC: Theory of Operation
 *
 * A piece of a request is one asynchronous kiocb, past the page cache, to and from the
 * guest's pages, where the file system can (FMODE_CAN_ODIRECT); to and from pages of
 * ours where these are not aligned as it asks. What it cannot take even so, and all of
 * it on file systems without direct input and output, goes through the page cache in a
 * helper, which waits for it; those of block devices that are in less than logical
 * blocks as well. All of it has the rights of whoever opened the file, not the kernel's.
 *
 * Page faults: what a file system is given is pinned, or ours. A fault in the guest's memory
 * may wait for the VMM as long as that likes (userfaultfd); with locks of the file
 * system held it would hold up whoever uses the file or its file system, and a VMM that is
 * killed for ever, where closing a file takes such a lock (FUSE): before the device
 * hears of the end of its owner.
 *
 * Freezing: a write holds the file system's write access until it has ended. The worker
 * does not wait for that: where the file system is frozen (fsfreeze, snapshots) a helper
 * does.
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "blk.h"

static struct super_block *file_sb(const struct shunt_blk_req *req)
{
	return file_inode(req->disk->file)->i_sb;
}

static ssize_t call_iter(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	const struct file_operations *op = iocb->ki_filp->f_op;

	return write ? op->write_iter(iocb, iter) : op->read_iter(iocb, iter);
}

static void file_ended(struct kiocb *iocb, long ret)
{
	struct shunt_blk_req *req =
		container_of(iocb, struct shunt_blk_req, iocb);

	if (req->write) {
		__sb_writers_acquired(file_sb(req), SB_FREEZE_WRITE);
		sb_end_write(file_sb(req));
	}
	/* None at all is what is behind the end of the file. */
	req->err = ret < 0 ? ret : 0;
	if (!ret)
		req->err = -EIO;
	req->piece = ret < 0 ? 0 : ret;
	shunt_blk_end(req);
}

/* Let go of what a piece was moved through. */
static void unmap_piece(struct shunt_blk_req *req)
{
	u32 i;

	if (req->bounce)
		for (i = 0; i < req->nr_bvec; i++)
			__free_page(req->bvec[i].bv_page);
	else
		shunt_unpin_iov(req->bvec, req->nr_bvec, !req->write);
	if (req->bvec != req->few_bvec)
		kvfree(req->bvec);
	req->bvec = NULL;
	req->nr_bvec = 0;
}

/* Pages of ours, filled with the @len bytes of @iter for a write. */
static int add_bounce(struct shunt_blk_req *req, struct iov_iter *iter,
		      size_t len)
{
	while (len) {
		struct bio_vec *bv = &req->bvec[req->nr_bvec];

		bv->bv_offset = 0;
		bv->bv_len = min(len, PAGE_SIZE);
		bv->bv_page = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!bv->bv_page)
			return -ENOMEM;
		req->nr_bvec++;
		if (req->write &&
		    copy_page_from_iter(bv->bv_page, 0, bv->bv_len, iter) !=
			    bv->bv_len)
			return -EFAULT;
		len -= bv->bv_len;
	}
	return 0;
}

/* The guest's own pages, pinned; in @req->piece how much of it they are. */
static int add_pinned(struct shunt_blk_req *req, size_t len, u32 room)
{
	const size_t done = req->data - iov_iter_count(&req->iter);
	int nr;

	if (req->write)
		nr = shunt_pin_iov(req->iov, req->out,
				   sizeof(struct virtio_blk_outhdr) + done, len,
				   false, req->bvec, room);
	else
		nr = shunt_pin_iov(req->iov + req->out, req->in, done, len,
				   true, req->bvec, room);
	if (nr < 0)
		return nr;
	req->nr_bvec = nr;
	req->piece = 0;
	while (nr--)
		req->piece += req->bvec[nr].bv_len;
	return 0;
}

/*
 * Have memory for the next piece that no page fault can happen in. @direct: it goes past
 * the page cache, in whole blocks, and where the guest's memory is not fit for that is
 * moved through pages of ours. Return: 0, -ENOMEM, -EFAULT or -EINTR.
 */
static int map_piece(struct shunt_blk_req *req, bool direct)
{
	const struct shunt_disk *disk = req->disk;
	struct iov_iter iter = req->iter;
	u32 room;
	int err;

	iov_iter_truncate(&iter, BLK_PIECE);
	req->bounce = direct &&
		      !iov_iter_is_aligned(&iter, disk->dma, disk->block - 1);
	req->piece = iov_iter_count(&iter);
	room = req->bounce ? DIV_ROUND_UP(req->piece, PAGE_SIZE) :
			     iov_iter_npages(&iter, BLK_PIECE_PAGES);
	req->nr_bvec = 0;
	req->bvec = req->few_bvec;
	if (room > ARRAY_SIZE(req->few_bvec))
		req->bvec = kvmalloc_array(room, sizeof(*req->bvec),
					   GFP_KERNEL_ACCOUNT);
	if (!req->bvec)
		return -ENOMEM;
	err = req->bounce ? add_bounce(req, &iter, req->piece) :
			    add_pinned(req, req->piece, room);
	if (direct)
		req->piece = round_down(req->piece, disk->block);
	if (!err && !req->piece)
		err = -EFAULT;
	if (err)
		unmap_piece(req);
	return err;
}

/* What a file system is given of a piece. */
static void piece_iter(struct shunt_blk_req *req, struct iov_iter *iter)
{
	iov_iter_bvec(iter, req->write ? WRITE : READ, req->bvec, req->nr_bvec,
		      req->piece);
}

/* Copy what was read to the guest. */
static int copy_bounce(struct shunt_blk_req *req)
{
	struct iov_iter iter = req->iter;
	size_t left = req->piece;
	u32 i;

	for (i = 0; left; i++) {
		const size_t len = min_t(size_t, left, req->bvec[i].bv_len);

		if (copy_page_to_iter(req->bvec[i].bv_page, 0, len, &iter) !=
		    len)
			return -EFAULT;
		left -= len;
	}
	return 0;
}

static void finish_rw(struct shunt_blk_req *req)
{
	if (req->bounce && !req->write && !req->err)
		req->err = copy_bounce(req);
	unmap_piece(req);
	/* It does not want this one: not aligned, or a place that it has to copy. */
	if (req->err == -EINVAL || req->err == -EAGAIN) {
		req->err = 0;
		req->execute = shunt_file_buffered;
		return;
	}
	iov_iter_advance(&req->iter, req->piece);
	req->pos += req->piece;
}

/* Begin a piece, with the file system's write access where it writes. */
static void submit(struct shunt_blk_req *req)
{
	const struct cred *old;
	struct iov_iter iter;
	ssize_t ret;

	if (req->write)
		__sb_writers_release(file_sb(req), SB_FREEZE_WRITE);
	memset(&req->iocb, 0, sizeof(req->iocb));
	req->iocb.ki_filp = req->disk->file;
	req->iocb.ki_pos = req->pos;
	req->iocb.ki_complete = file_ended;
	req->iocb.ki_flags = IOCB_DIRECT;
	if (req->write)
		req->iocb.ki_flags |= IOCB_WRITE;
	if (req->durable)
		req->iocb.ki_flags |= IOCB_DSYNC;
	req->finish = finish_rw;
	piece_iter(req, &iter);
	old = override_creds(req->disk->file->f_cred);
	ret = call_iter(&req->iocb, &iter, req->write);
	revert_creds(old);
	if (ret != -EIOCBQUEUED)
		file_ended(&req->iocb, ret);
}

/* In a helper: the file system is frozen, or was. */
static void submit_later(struct shunt_blk_req *req)
{
	sb_start_write(file_sb(req));
	submit(req);
}

/* shunt_disk_ops.rw */
static void file_rw(struct shunt_blk_req *req)
{
	const struct shunt_disk *disk = req->disk;

	if (!disk->direct ||
	    (req->pos | iov_iter_count(&req->iter)) & (disk->block - 1)) {
		req->execute = shunt_file_buffered;
		return req->execute(req);
	}
	req->err = map_piece(req, true);
	if (req->err) {
		req->finish = NULL;
		return shunt_blk_end(req);
	}
	if (req->write && !sb_start_write_trylock(file_sb(req)))
		return shunt_blk_defer(req, submit_later);
	submit(req);
}

/* Move the next piece through the page cache. */
static void move_piece(struct shunt_blk_req *req)
{
	struct file *file = req->disk->file;
	struct kiocb iocb = {
		.ki_filp = file,
		.ki_pos = req->pos,
		.ki_flags = (req->write ? IOCB_WRITE : 0) |
			    (req->durable ? IOCB_DSYNC : 0),
	};
	struct iov_iter iter;
	ssize_t ret;

	req->err = map_piece(req, false);
	if (req->err)
		return;
	piece_iter(req, &iter);
	if (req->write) {
		file_start_write(file);
		ret = call_iter(&iocb, &iter, true);
		file_end_write(file);
	} else {
		ret = call_iter(&iocb, &iter, false);
	}
	unmap_piece(req);
	if (ret <= 0) {
		req->err = ret ?: -EIO;
		return;
	}
	iov_iter_advance(&req->iter, ret);
	req->pos += ret;
}

/* In a helper: move all that is left, through the page cache. */
static void rw_buffered(struct shunt_blk_req *req)
{
	struct file *file = req->disk->file;
	const loff_t from = req->pos;

	while (!req->err && iov_iter_count(&req->iter))
		move_piece(req);
	/* What goes past the page cache next is to find it. */
	if (!req->err && req->write && req->disk->bdev)
		req->err = filemap_write_and_wait_range(file->f_mapping, from,
							req->pos - 1);
	shunt_blk_end(req);
}

/**
 * shunt_file_buffered() - move data through the page cache
 * @req: the request
 *
 * Context and what it does: as shunt_disk_ops.rw.
 */
void shunt_file_buffered(struct shunt_blk_req *req)
{
	shunt_blk_defer(req, rw_buffered);
}

/* In a helper. */
static void sync_file(struct shunt_blk_req *req)
{
	req->err = vfs_fsync_range(req->disk->file, 0, LLONG_MAX, 1);
	shunt_blk_end(req);
}

/* shunt_disk_ops.flush */
static void file_flush(struct shunt_blk_req *req)
{
	shunt_blk_defer(req, sync_file);
}

/**
 * shunt_file_zero() - write zeroes through the page cache
 * @file: where to
 * @pos: where they begin, in bytes
 * @len: how many bytes
 *
 * Context: a helper; may sleep.
 * Return: 0 or a negative error number.
 */
int shunt_file_zero(struct file *file, loff_t pos, loff_t len)
{
	struct bio_vec bv = {
		.bv_page = ZERO_PAGE(0),
		.bv_len = PAGE_SIZE,
	};

	while (len) {
		struct kiocb iocb = {
			.ki_filp = file,
			.ki_pos = pos,
			.ki_flags = IOCB_WRITE,
		};
		struct iov_iter iter;
		ssize_t ret;

		iov_iter_bvec(&iter, WRITE, &bv, 1,
			      min_t(loff_t, len, PAGE_SIZE));
		file_start_write(file);
		ret = call_iter(&iocb, &iter, true);
		file_end_write(file);
		if (ret <= 0)
			return ret ?: -EIO;
		pos += ret;
		len -= ret;
		cond_resched();
	}
	return 0;
}

/* shunt_disk_ops.erase */
static int file_erase(struct shunt_blk_req *req, loff_t pos, loff_t len,
		      bool unmap)
{
	const struct shunt_disk *disk = req->disk;
	const bool zeroes = req->type == VIRTIO_BLK_T_WRITE_ZEROES;
	int err = -EOPNOTSUPP;

	if (!zeroes || unmap)
		err = vfs_fallocate(disk->file,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    pos, len);
	else if (!disk->no_zero_range)
		err = vfs_fallocate(disk->file,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				    pos, len);
	if (err == -EOPNOTSUPP && zeroes)
		err = shunt_file_zero(disk->file, pos, len);
	if (!err && req->durable)
		err = vfs_fsync_range(disk->file, pos, pos + len - 1, 1);
	return err;
}

const struct shunt_disk_ops shunt_file_ops = {
	.rw = file_rw,
	.flush = file_flush,
	.erase = file_erase,
};
