// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop: wait for a connection, for messages on it, or for a signal.
 *
 * DOC: Theory of Operation
 *
 * Signals are blocked from a look at the flag to ppoll(), so none is missed between, and nowhere
 * else. For the rest should return at once, since sockets never block, and ioctls of vhost wait for
 * a pass of a worker at most; but a front end can see to it that it does not, for instance with
 * descriptors whose close() lingers. Who sent a signal is not to wait for that: what is not over
 * after END_S seconds is given up. The kernel takes everything back then, as it would after a kill.
 *
 * One front end at a time: while it is connected, the next one waits to be accepted. A front end
 * may come back as often as it likes; a failure that concerns the device rather than the
 * connection ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "serve.h"
#include "wire.h"

#define END_S 5

/* How often a door that waits is looked after. */
#define RETRY_NS 50000000
#define NS_PER_S 1000000000

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
	(void)number;
	if (!ending)
		alarm(END_S);
	ending = 1;
}

static void on_alarm(int number)
{
	(void)number;
	_exit(ST_OK);
}

enum status signals_prepare(struct failure *why)
{
	struct sigaction action = { .sa_handler = on_signal }, late = { .sa_handler = on_alarm };

	if (sigaction(SIGTERM, &action, NULL) || sigaction(SIGINT, &action, NULL) ||
	    sigaction(SIGALRM, &late, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return failed(why, ST_SYSTEM, "signals: %s", strerror(errno));
	return ST_OK;
}

/*
 * Wait until something can be read from @fd, or from @event if that is not -1, or for RETRY_NS at
 * most if @shortly. False: a signal says that it is over.
 */
static bool wait_for(int fd, int event, bool shortly, bool *happened)
{
	const struct timespec retry = { .tv_nsec = RETRY_NS };
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = event, .events = POLLIN } };
	sigset_t none, ends;
	int ready = -1;

	sigemptyset(&none);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	while (!ending && ready < 0)
		ready = ppoll(fds, 2, shortly ? &retry : NULL, &none);
	/* Where there is always something to be read, ppoll() lets no signal in. */
	sigprocmask(SIG_UNBLOCK, &ends, NULL);
	*happened = ready > 0 && fds[1].revents;
	return !ending;
}

/* Whether nobody answers at a socket that is in the file system. */
static bool is_dead(const struct sockaddr_un *address)
{
	struct stat st;
	bool dead;
	int fd;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
	       errno == ECONNREFUSED;
	close(fd);
	return dead;
}

/*
 * Give a socket's file to @owner. Whoever may write to its directory may have put something else in
 * its place since it was made: nothing but a socket is ever given away.
 */
static int give_away(const char *path, uid_t owner, gid_t group)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), bad = -1;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st))
		goto out;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		goto out;
	}
	bad = fchownat(fd, "", owner, group, AT_EMPTY_PATH);
out:
	close(fd);
	return bad;
}

enum status socket_make(const char *path, uid_t owner, gid_t group, mode_t mode,
			struct door_socket *made, struct failure *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, bad;

	if (!*path || strlen(path) >= sizeof(address.sun_path))
		return failed(why, ST_SOCKET, "'%s': a path of 1 to %zu bytes is wanted", path,
			      sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	if (is_dead(&address))
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(why, ST_SOCKET, "socket: %s", strerror(errno));
	/* The file gets the mode of the socket; so it is right from the beginning. */
	bad = fchmod(fd, mode);
	mask = umask(0);
	if (!bad)
		bad = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bad) {
		failed(why, ST_SOCKET, "%s: %s", path, strerror(errno));
		close(fd);
		return why->status;
	}
	if (give_away(path, owner, group) || listen(fd, 1)) {
		failed(why, ST_SOCKET, "%s: %s", path, strerror(errno));
		unlink(path);
		close(fd);
		return why->status;
	}
	*made = (struct door_socket){ .fd = fd, .listening = true };
	return ST_OK;
}

enum status socket_take(int fd, struct door_socket *taken, struct failure *why)
{
	int domain, type, listening;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size))
		return failed(why, ST_SOCKET, "--fd: %d: %s", fd, strerror(errno));
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return failed(why, ST_SOCKET, "--fd: %d is not a UNIX stream socket", fd);
	*taken = (struct door_socket){ .fd = fd, .listening = listening };
	return ST_OK;
}

/* A front end can give cause for any number of lines; a log has room for a few. */
#define LINES_MAX 20

static void say_some(void (*say)(const struct failure *what), const struct failure *what)
{
	static int left = LINES_MAX;
	static time_t last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* One more each second. */
	left = now.tv_sec - last > LINES_MAX ? LINES_MAX : left + (int)(now.tv_sec - last);
	if (left > LINES_MAX)
		left = LINES_MAX;
	last = now.tv_sec;
	if (!left)
		return;
	left--;
	say(what);
}

/*
 * Whether the socket that came as the channel for the back end's requests is the other end of this
 * connection: nothing can be written to that any more then.
 */
static bool is_own_end(int fd)
{
	return send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

/* Whether it is time to look after a door that waits; messages do not hasten that. */
static bool is_due(struct timespec *next)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < next->tv_sec ||
	    (now.tv_sec == next->tv_sec && now.tv_nsec < next->tv_nsec))
		return false;
	*next = now;
	next->tv_nsec += RETRY_NS;
	if (next->tv_nsec >= NS_PER_S) {
		next->tv_nsec -= NS_PER_S;
		next->tv_sec++;
	}
	return true;
}

/* One connection, to its end. ST_OK: it was ended by the peer, or by a signal. */
static enum status connection(struct door *door, int fd, void (*say)(const struct failure *what),
			      struct failure *why)
{
	struct vu_message message;
	enum status status = ST_OK;
	struct timespec retry = { 0 };
	bool over = false, event;

	message_init(&message);
	while (!status && !over && wait_for(fd, door->event, door->waiting, &event)) {
		struct failure refused;
		bool reply;

		if (event)
			door_event(door);
		if (door->waiting && is_due(&retry)) {
			status = door_retry(door, &refused);
			if (status) {
				*why = refused;
				continue;
			}
			if (refused.status)
				say_some(say, &refused);
		}
		switch (wire_receive(fd, &message, why)) {
		case WIRE_MORE:
			continue;
		case WIRE_END:
			over = true;
			continue;
		case WIRE_BROKEN:
			status = why->status;
			continue;
		case WIRE_MESSAGE:
			break;
		}
		status = door_receive(door, &message, &reply, &refused);
		if (status)
			*why = refused;
		else if (refused.status)
			say_some(say, &refused);
		if (!status && message.head.request == VU_SET_BACKEND_REQ_FD && is_own_end(fd)) {
			status = failed(why, ST_PEER, "the channel is this connection itself");
			reply = false;
		}
		if (reply) {
			struct failure late;
			enum status sent = wire_reply(fd, &message, &late);

			if (sent && !status) {
				status = sent;
				*why = late;
			}
		}
		message_clear(&message);
	}
	message_clear(&message);
	return status;
}

enum status serve(struct door *door, const struct door_socket *socket,
		  void (*say)(const struct failure *what), struct failure *why)
{
	bool event;

	while (wait_for(socket->fd, -1, false, &event)) {
		struct failure ended;
		enum status status;
		int fd = socket->fd;

		if (socket->listening) {
			fd = accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
			if (fd < 0) {
				if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
					continue;
				return failed(why, ST_SYSTEM, "accept: %s", strerror(errno));
			}
		}
		status = connection(door, fd, say, &ended);
		/* The end of the connection tells the front end that all is quiet. */
		if (door_reset(door, why))
			return why->status;
		if (!socket->listening) {
			if (status)
				*why = ended;
			return status;
		}
		close(fd);
		if (status)
			say_some(say, &ended);
	}
	return ST_OK;
}
