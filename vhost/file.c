// SPDX-License-Identifier: GPL-2.0-only
/*
 * file.c - the file operations that every device has
 *
 * A back end's open() makes a device, leaves it in file->private_data, and its release()
 * takes it away; SHUNT_FILE_OPERATIONS are the rest. All run in the context of whoever
 * has the file, who need not be the owner.
 */
#include <linux/module.h>

#include "shunt.h"

/** shunt_file_ioctl() - file_operations.unlocked_ioctl: see shunt_dev_ioctl() */
long shunt_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return shunt_dev_ioctl(file->private_data, cmd, arg);
}
EXPORT_SYMBOL_GPL(shunt_file_ioctl);

/** shunt_file_read_iter() - file_operations.read_iter: see shunt_dev_read_iter() */
ssize_t shunt_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;

	return shunt_dev_read_iter(file->private_data, to,
				   file->f_flags & O_NONBLOCK ||
					   iocb->ki_flags & IOCB_NOWAIT);
}
EXPORT_SYMBOL_GPL(shunt_file_read_iter);

/** shunt_file_write_iter() - file_operations.write_iter: see shunt_dev_write_iter() */
ssize_t shunt_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return shunt_dev_write_iter(iocb->ki_filp->private_data, from);
}
EXPORT_SYMBOL_GPL(shunt_file_write_iter);

/** shunt_file_poll() - file_operations.poll: see shunt_dev_poll() */
__poll_t shunt_file_poll(struct file *file, poll_table *wait)
{
	return shunt_dev_poll(file->private_data, file, wait);
}
EXPORT_SYMBOL_GPL(shunt_file_poll);

/** shunt_file_show_fdinfo() - see shunt_dev_show_fdinfo() */
void shunt_file_show_fdinfo(struct seq_file *m, struct file *file)
{
	shunt_dev_show_fdinfo(m, file->private_data);
}
EXPORT_SYMBOL_GPL(shunt_file_show_fdinfo);
