// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receiving and sending vhost-user messages.
 *
 * A message is read in two steps, header and body, each to its last byte and never beyond: on a
 * stream socket the kernel hands descriptors over with the bytes that they were sent with. What has
 * come of an incomplete message stays in it until there is more, so a peer that stops in the middle
 * holds up nothing: the caller sits in poll(), where signals reach it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire.h"

void message_init(struct vu_message *message)
{
	memset(message, 0, sizeof(*message));
	for (unsigned int i = 0; i < VU_FDS_MAX; i++)
		message->fds[i] = -1;
	message->reply_fd = -1;
}

void message_clear(struct vu_message *message)
{
	for (unsigned int i = 0; i < message->fd_count; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message_init(message);
}

int message_take_fd(struct vu_message *message)
{
	int fd;

	if (!message->fd_count)
		return -1;
	fd = message->fds[0];
	message->fds[0] = -1;
	return fd;
}

/*
 * A socket could be the front end's own end of the connection, which would not end then as long as
 * it is kept: one request alone has a use for a socket, and is complete with its header.
 */
static bool may_be_socket(const struct vu_message *message, size_t got)
{
	return message->got + got >= sizeof(message->head) && !message->head.size &&
	       message->head.request == VU_SET_BACKEND_REQ_FD;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) || S_ISSOCK(st.st_mode);
}

/* Keep the descriptors that came; false: there are too many, or wrong ones. None is leaked. */
static bool keep_fds(struct vu_message *message, struct msghdr *header, size_t got,
		     struct failure *why)
{
	bool fit = !(header->msg_flags & MSG_CTRUNC), sockets = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			sockets |= is_socket(fd) && !may_be_socket(message, got);
			if (message->fd_count < VU_FDS_MAX) {
				message->fds[message->fd_count++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	if (!fit)
		failed(why, ST_PEER,
		       "more descriptors than a message can have, or too few "
		       "files allowed to take them");
	else if (sockets)
		failed(why, ST_PEER, "a socket came with a message");
	return fit && !sockets;
}

enum wire_state wire_receive(int socket, struct vu_message *message, struct failure *why)
{
	union {
		char bytes[CMSG_SPACE(VU_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;

	for (;;) {
		size_t head = sizeof(message->head), want;
		struct msghdr header = { 0 };
		struct iovec part;
		ssize_t got;

		if (message->got < head) {
			part.iov_base = (char *)&message->head + message->got;
			want = head - message->got;
		} else {
			if (message->head.size > sizeof(message->body)) {
				failed(why, ST_PEER, "request %u has a body of %u bytes",
				       message->head.request, message->head.size);
				return WIRE_BROKEN;
			}
			want = head + message->head.size - message->got;
			if (!want)
				return WIRE_MESSAGE;
			part.iov_base = (char *)&message->body + (message->got - head);
		}
		part.iov_len = want;
		header.msg_iov = &part;
		header.msg_iovlen = 1;
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);

		got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return WIRE_MORE;
			if (errno == ECONNRESET)
				return WIRE_END;
			failed(why, ST_PEER, "recvmsg: %s", strerror(errno));
			return WIRE_BROKEN;
		}
		if (!keep_fds(message, &header, (size_t)got, why))
			return WIRE_BROKEN;
		if (!got) {
			if (!message->got)
				return WIRE_END;
			failed(why, ST_PEER, "the connection ended within a message");
			return WIRE_BROKEN;
		}
		message->got += (size_t)got;
	}
}

static ssize_t send_with_fd(int socket, void *bytes, size_t size, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { bytes, size };
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum status wire_reply(int socket, struct vu_message *message, struct failure *why)
{
	unsigned char bytes[sizeof(message->head) + sizeof(message->body)];
	size_t size = sizeof(message->head) + message->head.size;
	ssize_t sent;

	message->head.flags = VU_VERSION | VU_REPLY;
	memcpy(bytes, &message->head, sizeof(message->head));
	memcpy(bytes + sizeof(message->head), &message->body, message->head.size);
	do {
		sent = message->reply_fd >= 0 ?
			       send_with_fd(socket, bytes, size, message->reply_fd) :
			       send(socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return failed(why, ST_PEER, "cannot reply to request %u: %s", message->head.request,
			      strerror(errno));
	if ((size_t)sent != size)
		return failed(why, ST_PEER, "the front end takes no replies");
	return ST_OK;
}
