/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages and their descriptors over a socket that never blocks. */
#ifndef SHUNT_DOOR_WIRE_H
#define SHUNT_DOOR_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/status.h"
#include "proto.h"

/**
 * struct vu_message - one message, or as much of it as has come
 * @head: its header
 * @body: what followed
 * @fd_count: how many of @fds are there
 * @fds: descriptors that came with it; whoever takes one over puts -1 there
 * @reply_fd: a descriptor that is to go with the reply, or -1; somebody else's
 * @got: bytes of header and body that have come
 */
struct vu_message {
	struct vu_header head;
	union vu_body body;
	unsigned int fd_count;
	int fds[VU_FDS_MAX];
	int reply_fd;
	size_t got;
};

/**
 * enum wire_state - what became of a wire_receive()
 * @WIRE_MORE: the message is not complete, and nothing more is there
 * @WIRE_MESSAGE: the message is complete
 * @WIRE_END: the peer has gone
 * @WIRE_BROKEN: what came is no message, or the socket failed
 */
enum wire_state { WIRE_MORE, WIRE_MESSAGE, WIRE_END, WIRE_BROKEN };

/**
 * message_clear() - make a message empty, closing the descriptors that nobody took
 * @message: the message
 */
void message_clear(struct vu_message *message);

/**
 * message_init() - make a new message empty
 * @message: filled in
 */
void message_init(struct vu_message *message);

/**
 * message_take_fd() - take the first descriptor of a message
 * @message: the message
 *
 * Return: the descriptor, the caller's from now on, or -1.
 */
int message_take_fd(struct vu_message *message);

/**
 * wire_receive() - go on receiving a message
 * @socket: a connected socket; never waited for
 * @message: empty, or as the last call left it after WIRE_MORE
 * @why: filled in when WIRE_BROKEN is returned
 *
 * Never reads beyond the message, so that descriptors stay with theirs.
 */
enum wire_state wire_receive(int socket, struct vu_message *message, struct failure *why);

/**
 * wire_reply() - send a message as the reply to itself
 * @socket: the socket
 * @message: request as received; body, head.size and reply_fd are the reply's
 * @why: filled in on failure
 *
 * A front end that lets replies pile up until the socket takes no more has lost its connection.
 *
 * Return: ST_OK or ST_PEER.
 */
enum status wire_reply(int socket, struct vu_message *message, struct failure *why);

#endif
