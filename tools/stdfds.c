// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors 0 to 2, which some parents leave closed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "stdfds.h"

/* A vhost device must not land on a descriptor that the command takes for its stdin or stdout. */
enum status fill_standard_fds(struct failure *why)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			return failed(why, ST_SYSTEM, "/dev/null: %s", strerror(errno));
	}
	return ST_OK;
}
