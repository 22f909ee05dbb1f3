// SPDX-License-Identifier: GPL-2.0-only
/*
 * bare.c - asynchronous requests to a file or device of the host: see bare.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare.h"
#include "vguest.h"

#define DEPTH_MAX 256

struct bare {
	int file;
	unsigned int bytes, added;
	uint8_t *buffer;
	/* io_submit() */
	aio_context_t context;
	struct iocb iocb[DEPTH_MAX], *list[DEPTH_MAX];
	/* io_uring */
	int ring;
	unsigned int mask;
	unsigned int *sq_tail, *cq_head, *cq_tail;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
};

static void *map(int fd, size_t size, off_t offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	kt_check(p != MAP_FAILED, "mmap of a ring: %m");
	return p;
}

static void uring_open(struct bare *b)
{
	struct io_uring_params p = {};
	unsigned int *array, i;
	uint8_t *rings;
	size_t sq, cq;

	b->ring = kt_sys(syscall(SYS_io_uring_setup, DEPTH_MAX, &p));
	kt_check(p.features & IORING_FEAT_SINGLE_MMAP, "an io_uring of two maps");
	sq = p.sq_off.array + p.sq_entries * sizeof(*array);
	cq = p.cq_off.cqes + p.cq_entries * sizeof(*b->cqe);
	rings = map(b->ring, sq > cq ? sq : cq, IORING_OFF_SQ_RING);
	b->sqe = map(b->ring, p.sq_entries * sizeof(*b->sqe), IORING_OFF_SQES);
	b->sq_tail = (unsigned int *)(rings + p.sq_off.tail);
	b->cq_head = (unsigned int *)(rings + p.cq_off.head);
	b->cq_tail = (unsigned int *)(rings + p.cq_off.tail);
	b->cqe = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	b->mask = p.cq_entries - 1;
	array = (unsigned int *)(rings + p.sq_off.array);
	for (i = 0; i < p.sq_entries; i++)
		array[i] = i;
}

struct bare *bare_open(const char *path, bool uring, unsigned int depth, unsigned int bytes)
{
	struct bare *b = calloc(1, sizeof(*b));

	kt_check(b && depth <= DEPTH_MAX, "no memory, or too deep");
	b->bytes = bytes;
	b->ring = -1;
	b->file = kt_sys(open(path, O_RDWR | O_DIRECT | O_CLOEXEC));
	kt_check(!posix_memalign((void **)&b->buffer, VG_PAGE, (size_t)depth * bytes), "no memory");
	memset(b->buffer, 1, (size_t)depth * bytes);
	if (uring)
		uring_open(b);
	else
		kt_sys(syscall(SYS_io_setup, DEPTH_MAX, &b->context));
	return b;
}

void bare_add(struct bare *b, unsigned int i, bool write, uint64_t offset)
{
	uint64_t buffer = (uintptr_t)(b->buffer + (size_t)i * b->bytes);

	if (b->ring < 0) {
		b->iocb[b->added] = (struct iocb){
			.aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			.aio_fildes = b->file,
			.aio_buf = buffer,
			.aio_nbytes = b->bytes,
			.aio_offset = offset,
		};
		b->list[b->added] = &b->iocb[b->added];
	} else {
		b->sqe[(*b->sq_tail + b->added) & (DEPTH_MAX - 1)] = (struct io_uring_sqe){
			.opcode = write ? IORING_OP_WRITE : IORING_OP_READ,
			.fd = b->file,
			.addr = buffer,
			.len = b->bytes,
			.off = offset,
		};
	}
	b->added++;
}

static void aio_go(struct bare *b)
{
	static struct io_event event[DEPTH_MAX];
	unsigned int i;

	kt_check(kt_sys(syscall(SYS_io_submit, b->context, b->added, b->list)) == b->added,
		 "not all requests were taken");
	kt_check(kt_sys(syscall(SYS_io_getevents, b->context, b->added, b->added, event, NULL)) ==
			 b->added,
		 "not all requests were done");
	for (i = 0; i < b->added; i++)
		kt_check(event[i].res == b->bytes, "a request returned %lld",
			 (long long)event[i].res);
}

static void uring_go(struct bare *b)
{
	unsigned int head = *b->cq_head, i;

	__atomic_store_n(b->sq_tail, *b->sq_tail + b->added, __ATOMIC_RELEASE);
	kt_check(kt_sys(syscall(SYS_io_uring_enter, b->ring, b->added, b->added,
				IORING_ENTER_GETEVENTS, NULL, 0)) == b->added,
		 "not all requests were taken");
	kt_check(__atomic_load_n(b->cq_tail, __ATOMIC_ACQUIRE) - head == b->added,
		 "not all requests were done");
	for (i = 0; i < b->added; i++)
		kt_check(b->cqe[(head + i) & b->mask].res == (int)b->bytes, "a request returned %d",
			 b->cqe[(head + i) & b->mask].res);
	__atomic_store_n(b->cq_head, head + b->added, __ATOMIC_RELEASE);
}

void bare_go(struct bare *b)
{
	if (b->ring < 0)
		aio_go(b);
	else
		uring_go(b);
	b->added = 0;
}
