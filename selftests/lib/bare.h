/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bare.h - asynchronous requests to a file or device of the host, by the kernel's own calls
 */
#ifndef BARE_H
#define BARE_H

#include <stdbool.h>
#include <stdint.h>

struct bare;

/*
 * Open @path for direct input and output, up to @depth requests of @bytes at a time;
 * @uring: by io_uring, else by io_submit(). Fails the case.
 */
struct bare *bare_open(const char *path, bool uring, unsigned int depth, unsigned int bytes);
/* Have request @i, a @write or a read at @offset, take part in the next bare_go(). */
void bare_add(struct bare *b, unsigned int i, bool write, uint64_t offset);
/* Submit those by one call, and return when all have been done; fails if one has not. */
void bare_go(struct bare *b);

#endif
