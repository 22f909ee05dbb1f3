/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * front.h - a front end, at the other end of a socket pair, and the door that it talks to
 *
 * Both are in one thread: what is sent is taken by front_step().
 */
#ifndef FRONT_H
#define FRONT_H

#include "door/blk.h"
#include "door/net.h"
#include "door/vdpa.h"
#include "door/wire.h"
#include "fake.h"
#include "fakevdpa.h"

#define GUEST_SIZE (1ul << 20) /* each region */
#define USER_BASE  0x7f0000000000ull

/**
 * struct front - all there is
 * @fake: the kernel
 * @function: another kernel, with a function: there if @vdpa.node is
 * @tap: made up
 * @net: what the door knows of it
 * @blk: what it knows of a disk
 * @vdpa: what it knows of a function
 * @door: the door
 * @mine: the front end's socket
 * @its: the door's
 * @incoming: the message that the door is taking
 * @why: what it last complained about
 * @status: what it returned then
 */
struct front {
	struct fake fake;
	struct fake_vdpa function;
	struct tap tap;
	struct door_net net;
	struct door_blk blk;
	struct door_vdpa vdpa;
	int files[FAKE_FILES];
	struct door door;
	int mine;
	int its;
	struct vu_message incoming;
	struct failure why;
	enum status status;
};

/* A device of @pairs on front->tap, which is there; @kernel is how it is reached. */
void front_plug(struct front *front, unsigned int pairs, const struct kernel *kernel);

/* A device with so many queue pairs, on a TAP that is not there. */
void front_make(struct front *front, unsigned int pairs);

/* A disk with so many rings, that is not there. */
void front_make_disk(struct front *front, unsigned int rings);

/* One whose write cache the guest may switch. */
void front_make_switching(struct front *front, unsigned int rings);

/* A function of this kind, that is not there; @withheld of the protocol features is not offered. */
void front_make_function(struct front *front, uint32_t kind, uint64_t withheld);

/* The same in two steps: the function (front->function), and the door in front of it. */
void front_have_function(struct front *front, uint32_t kind);
void front_plug_function(struct front *front, uint64_t withheld);

/* Send any message. */
void front_send(struct front *front, uint32_t request, uint32_t flags, const void *body,
		uint32_t size, const int *fds, unsigned int fd_count);

/* Let the door take one message; what it returned. The fake kernel is checked if it did. */
enum status front_step(struct front *front);

/* Send, and fail the test unless the door takes it. */
void front_tell(struct front *front, uint32_t request, const void *body, uint32_t size, int fd);

/* The same with a body of one number. */
void front_number(struct front *front, uint32_t request, uint64_t number);

/* The same about a ring. */
void front_ring(struct front *front, uint32_t request, unsigned int ring, unsigned int number);

/* A reply: its size. */
uint32_t front_reply(struct front *front, union vu_body *body);

/* Ask something that is answered by a number. */
uint64_t front_ask(struct front *front, uint32_t request);

/* The reply to GET_CONFIG: its bytes in @body, its size returned. */
uint32_t front_get_config(struct front *front, uint32_t offset, uint32_t size, union vu_body *body);

/* SET_CONFIG that is to be acknowledged: the answer. */
uint64_t front_set_config(struct front *front, uint32_t offset, const uint8_t *bytes, uint32_t size,
			  uint32_t flags);

/* Offer and acknowledge all but @without, and become the owner. */
void front_greet(struct front *front, uint64_t without);

/* A file of memory. */
int front_file(unsigned long size);

/* Memory regions @first to @first + @count - 1, one table. */
void front_memory(struct front *front, unsigned int first, unsigned int count);

/* Describe a ring of @num in region @region, and kick it. */
void front_start(struct front *front, unsigned int ring, unsigned int num, unsigned int region);

/* A device of @pairs, memory of two regions, all rings enabled and started. */
void front_running(struct front *front, unsigned int pairs, uint64_t without);

/* GET_INFLIGHT_FD: the descriptor, or -1 if none came; the reply of @size bytes in @body. */
int front_get_region(struct front *front, unsigned int rings, uint32_t size, union vu_body *body);

/* SET_INFLIGHT_FD; what became of it. */
enum status front_set_region(struct front *front, int fd, unsigned int rings, uint64_t size,
			     uint64_t offset);

/* How many descriptors this process has, and some that do not change. */
unsigned int front_open_files(void);

/* The last reset, after which nothing is left. */
void front_end(struct front *front);

#endif
