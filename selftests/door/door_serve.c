// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_serve.c - the loop around the door: sockets, connections, signals, and the jail
 *
 * Each case forks a server with a made-up kernel (fake.h) and connects to it. Without sanitizers,
 * which make system calls that the jail does not allow.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"
#include "server.h"

static void tell(int fd, uint32_t request, const void *body, uint32_t size, int with)
{
	struct front as = { .mine = fd };

	front_send(&as, request, VU_VERSION, body, size, &with, with >= 0);
}

/* Whether something comes within two seconds; what it is then, the caller reads. */
static bool comes(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 2000) > 0;
}

static bool answers(int fd)
{
	struct front as = { .mine = fd };
	union vu_body body;

	tell(fd, VU_GET_FEATURES, NULL, 0, -1);
	return comes(fd) && front_reply(&as, &body) == 8 && body.u64;
}

static void ends_well(pid_t pid)
{
	int status;

	kt_sys(kill(pid, SIGTERM));
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
}

static void comes_and_goes(long arg)
{
	pid_t pid = server_at_path(0, -1);

	(void)arg;
	for (unsigned int i = 0; i < 5; i++) {
		int fd = server_connect();

		kt_check(answers(fd), "no answer at connection %u", i);
		close(fd);
	}
	ends_well(pid);
	server_remove_path();
}

static void waits_for_its_turn(long arg)
{
	pid_t pid = server_at_path(0, -1);
	int first = server_connect(), second;

	(void)arg;
	kt_check(answers(first), "no answer");
	second = server_connect();
	tell(second, VU_GET_FEATURES, NULL, 0, -1);
	kt_check(answers(first), "no answer to the first");
	kt_check(recv(second, &(char){ 0 }, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN,
		 "the second is served");
	close(first);
	kt_check(comes(second), "the second is not served");
	ends_well(pid);
	server_remove_path();
}

static void says_why_a_connection_ended(long arg)
{
	char text[256] = "";
	int said[2], fd;
	pid_t pid;

	(void)arg;
	kt_sys(pipe(said));
	pid = server_at_path(0, said[1]);
	fd = server_connect();
	tell(fd, 99, NULL, 0, -1);
	kt_check(comes(fd) && !recv(fd, text, 1, 0), "the connection goes on");
	kt_check(comes(said[0]) && read(said[0], text, sizeof(text) - 1) > 0, "nothing was said");
	kt_check(strstr(text, "request 99 is unknown"), "%s", text);
	close(fd);
	fd = server_connect();
	kt_check(answers(fd), "the next one is not served");
	ends_well(pid);
	server_remove_path();
}

static void says_no_more_than_a_log_can_take(long arg)
{
	unsigned int lines = 0;
	int said[2];
	ssize_t got;
	char text[4096];
	pid_t pid;

	(void)arg;
	kt_sys(pipe(said));
	kt_sys(fcntl(said[0], F_SETFL, O_NONBLOCK));
	pid = server_at_path(0, said[1]);
	for (unsigned int i = 0; i < 300; i++) {
		int fd = server_connect();

		tell(fd, 99, NULL, 0, -1);
		kt_check(comes(fd), "the connection goes on");
		close(fd);
	}
	while ((got = read(said[0], text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < got; i++)
			lines += text[i] == '\n';
	kt_check(lines >= 20 && lines < 100, "%u lines", lines);
	ends_well(pid);
	server_remove_path();
}

static void ends_at_once_by_a_signal(long number)
{
	struct vu_header half = { VU_SET_FEATURES, VU_VERSION, 8 };
	pid_t pid = server_at_path(0, -1);
	int fd = server_connect(), status;

	kt_check(answers(fd), "no answer");
	/* In the middle of a message. */
	kt_sys(send(fd, &half, 5, 0));
	usleep(50000);
	kt_sys(kill(pid, (int)number));
	kt_check(comes(fd), "still there");
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	server_remove_path();
}

/* Where there is always something to be read, poll() does not wait, and lets no signal in. */
static void ends_under_a_flood(long arg)
{
	pid_t pid = server_at_path(0, -1), sender;
	int fd = server_connect();

	(void)arg;
	kt_check(answers(fd), "no answer");
	sender = kt_sys(fork());
	if (!sender) {
		const struct vu_header owner = { VU_SET_OWNER, VU_VERSION, 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (send(fd, &owner, sizeof(owner), MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	usleep(100000);
	ends_well(pid);
	kt_sys(waitpid(sender, NULL, 0));
	close(fd);
	server_remove_path();
}

/* The last descriptor of a connection with SO_LINGER: its close() waits for who does not read. */
static int lingering(int *reader)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const struct linger linger = { 1, 600 };
	socklen_t size = sizeof(address);
	int listener = kt_sys(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int fd = kt_sys(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	kt_sys(bind(listener, (struct sockaddr *)&address, size));
	kt_sys(listen(listener, 1));
	kt_sys(getsockname(listener, (struct sockaddr *)&address, &size));
	kt_sys(connect(fd, (struct sockaddr *)&address, size));
	*reader = kt_sys(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	kt_sys(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	while (send(fd, server_path, sizeof(server_path), MSG_DONTWAIT) > 0)
		;
	close(listener);
	return fd;
}

static void ends_while_it_hangs(long arg)
{
	pid_t pid = server_at_path(0, -1);
	int fd = server_connect(), reader, last = lingering(&reader);
	uint64_t ring = 0;

	(void)arg;
	kt_check(answers(fd), "no answer");
	/* The server's descriptor is to be the last one, or it is this close() that hangs. */
	kt_sys(kill(pid, SIGSTOP));
	tell(fd, VU_SET_VRING_CALL, &ring, sizeof(ring), last);
	close(last);
	kt_sys(kill(pid, SIGCONT));
	usleep(300000);
	ends_well(pid);
	close(reader);
	close(fd);
	server_remove_path();
}

static void takes_an_inherited_socket(long arg)
{
	struct door_socket socket;
	struct failure why;
	int pair[2], status;
	pid_t pid;

	(void)arg;
	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	kt_check(!socket_take(pair[1], &socket, &why) && !socket.listening, "%s", why.text);
	pid = server_start(&socket, 0, -1);
	close(pair[1]);
	kt_check(answers(pair[0]), "no answer");
	/* The end of this one is the end. The child holds its own end open, not ours. */
	kt_sys(shutdown(pair[0], SHUT_RDWR));
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);

	kt_check(socket_take(99, &socket, &why) == ST_SOCKET, "a closed descriptor");
	kt_check(socket_take(2, &socket, &why) == ST_SOCKET, "no socket");
	kt_sys(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	kt_check(socket_take(pair[0], &socket, &why) == ST_SOCKET, "a datagram socket");
}

static void replaces_dead_sockets_only(long arg)
{
	struct door_socket first, second;
	char long_path[200];
	struct failure why;
	struct stat st;

	(void)arg;
	server_make_path("socket");
	kt_check(!socket_make(server_path, (uid_t)-1, (gid_t)-1, 0640, &first, &why), "%s",
		 why.text);
	kt_sys(stat(server_path, &st));
	kt_check((st.st_mode & 0777) == 0640, "mode %o", st.st_mode);
	kt_check(socket_make(server_path, (uid_t)-1, (gid_t)-1, 0600, &second, &why) == ST_SOCKET,
		 "a live one was replaced");
	close(first.fd);
	kt_check(!socket_make(server_path, (uid_t)-1, (gid_t)-1, 0600, &second, &why), "%s",
		 why.text);
	close(second.fd);
	unlink(server_path);
	close(kt_sys(open(server_path, O_CREAT | O_WRONLY, 0600)));
	kt_check(socket_make(server_path, (uid_t)-1, (gid_t)-1, 0600, &second, &why) == ST_SOCKET,
		 "a file was replaced");
	kt_sys(stat(server_path, &st));
	kt_check(S_ISREG(st.st_mode), "the file is gone");
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	kt_check(socket_make(long_path, (uid_t)-1, (gid_t)-1, 0600, &second, &why) == ST_SOCKET,
		 "a path that is too long");
	server_remove_path();
}

/* The owner of the socket's file can be somebody else, who may connect then. */
static void gives_the_socket_away(long arg)
{
	struct door_socket made;
	struct failure why;
	struct stat st;

	(void)arg;
	if (geteuid())
		kt_skip("giving files away takes root");
	server_make_path("socket");
	kt_check(!socket_make(server_path, 65534, 65533, 0600, &made, &why), "%s", why.text);
	kt_sys(stat(server_path, &st));
	kt_check(S_ISSOCK(st.st_mode) && st.st_uid == 65534 && st.st_gid == 65533,
		 "mode %o, owner %u, group %u", st.st_mode, st.st_uid, st.st_gid);
	close(made.fd);
	server_remove_path();
}

/* Say all that ring 0 needs to run, with memory at USER_BASE, and features @more. */
static void run_ring(int fd, uint64_t protocol, uint64_t more, int memory, int event)
{
	const uint64_t features =
		1ull << VIRTIO_F_VERSION_1 | 1ull << VU_F_PROTOCOL_FEATURES | more;
	union vu_body body = { 0 };

	tell(fd, VU_SET_PROTOCOL_FEATURES, &protocol, 8, -1);
	tell(fd, VU_SET_OWNER, NULL, 0, -1);
	tell(fd, VU_SET_FEATURES, &features, 8, -1);
	body.table.count = 1;
	body.table.regions[0] = (struct vu_region){ 0, 1 << 20, USER_BASE, 0 };
	tell(fd, VU_SET_MEM_TABLE, &body, VU_TABLE_HEAD + 32, memory);
	body.state = (struct vhost_vring_state){ 0, 256 };
	tell(fd, VU_SET_VRING_NUM, &body, 8, -1);
	body.addr = (struct vhost_vring_addr){ .desc_user_addr = USER_BASE,
					       .avail_user_addr = USER_BASE + 0x4000,
					       .used_user_addr = USER_BASE + 0x8000 };
	tell(fd, VU_SET_VRING_ADDR, &body, sizeof(body.addr), -1);
	body.u64 = 0;
	tell(fd, VU_SET_VRING_CALL, &body, 8, event);
	tell(fd, VU_SET_VRING_KICK, &body, 8, event);
	body.state = (struct vhost_vring_state){ 0, 1 };
	tell(fd, VU_SET_VRING_ENABLE, &body, 8, -1);
}

/* All that a front end makes the door do, can be done in the jail. */
static void works_in_the_jail(long arg)
{
	union vu_body body = { 0 };
	struct front as = { 0 };
	pid_t pid;

	(void)arg;
	if (geteuid())
		kt_skip("needs root, to become somebody else");
	pid = server_at_path(SERVER_JAILED, -1);
	for (unsigned int round = 0; round < 2; round++) {
		int fd = as.mine = server_connect(), memory = front_file(1 << 20);
		int event = kt_sys(eventfd(0, EFD_CLOEXEC));

		kt_check(answers(fd), "no answer");
		run_ring(fd, door_net_backend.protocol, 1ull << VHOST_F_LOG_ALL, memory, event);
		body.one.region = (struct vu_region){ 1 << 20, 1 << 20, USER_BASE + (1 << 20), 0 };
		tell(fd, VU_ADD_MEM_REG, &body, sizeof(body.one), memory);
		tell(fd, VU_REM_MEM_REG, &body, sizeof(body.one), -1);
		body.log.size = 4096;
		body.log.offset = 0;
		tell(fd, VU_SET_LOG_BASE, &body, sizeof(body.log), memory);
		kt_check(comes(fd) && front_reply(&as, &body) == 8, "no reply to the log");
		body.state = (struct vhost_vring_state){ 0, 0 };
		tell(fd, VU_GET_VRING_BASE, &body, 8, -1);
		kt_check(comes(fd) && front_reply(&as, &body) == 8, "no base");
		kt_check(body.state.num == 3, "base %u", body.state.num);
		/* Something to complain about: a line on stderr. */
		tell(fd, 99, NULL, 0, -1);
		kt_check(comes(fd) && !recv(fd, &body, 1, 0), "the connection goes on");
		close(fd);
		close(memory);
		close(event);
	}
	ends_well(pid);
	server_remove_path();
}

/* The one eventfd that a server has while no ring has any, taken from it. */
static int event_of(pid_t pid)
{
	int process = kt_sys(syscall(SYS_pidfd_open, pid, 0));

	for (int fd = 0; fd < 64; fd++) {
		char link[64], name[64] = "";

		snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
		if (readlink(link, name, sizeof(name) - 1) > 0 && strstr(name, "eventfd")) {
			int event = kt_sys(syscall(SYS_pidfd_getfd, process, fd, 0));

			close(process);
			return event;
		}
	}
	kt_fail("it has no eventfd");
}

/* And the disk: what is its own. */
static void serves_a_disk_in_the_jail(long arg)
{
	union vu_body body = { 0 };
	struct front as = { 0 };
	int pair[2], fd;
	pid_t pid;

	(void)arg;
	if (geteuid())
		kt_skip("needs root, to become somebody else");
	pid = server_at_path(SERVER_JAILED | SERVER_DISK, -1);
	fd = as.mine = server_connect();
	kt_check(answers(fd), "no answer");
	body.u64 = door_blk_backend.protocol;
	tell(fd, VU_SET_PROTOCOL_FEATURES, &body, 8, -1);
	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	tell(fd, VU_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	close(pair[1]);
	body = (union vu_body){ .config = { .offset = 0, .size = 8 } };
	tell(fd, VU_GET_CONFIG, &body, VU_CONFIG_HEAD + 8, -1);
	kt_check(comes(fd) && front_reply(&as, &body) == VU_CONFIG_HEAD + 8, "no configuration");
	/* A region, and the same as new. */
	for (unsigned int i = 0; i < 2; i++) {
		body = (union vu_body){ .inflight = { .num_queues = 1, .queue_size = 128 } };
		tell(fd, VU_GET_INFLIGHT_FD, &body, sizeof(body.inflight), -1);
		kt_check(comes(fd) && front_reply(&as, &body) == sizeof(body.inflight),
			 "no in-flight region");
	}
	/* The made-up kernel writes nothing by itself. */
	body = (union vu_body){ .config = { .offset = 32, .size = 1 } };
	tell(fd, VU_SET_CONFIG, &body, VU_CONFIG_HEAD + 1, -1);
	kt_check(answers(fd), "the connection ended");
	close(fd);
	kt_check(comes(pair[0]) && !recv(pair[0], &body, 1, 0), "the channel is kept");
	fd = server_connect();
	kt_check(answers(fd), "the next one is not served");
	ends_well(pid);
	server_remove_path();
}

/* That connection would never end, and no other one would be served. */
static void refuses_its_own_end_as_channel(long arg)
{
	union vu_body body = { .u64 = door_blk_backend.protocol };
	char text[256] = "";
	int said[2], fd;
	pid_t pid;

	(void)arg;
	kt_sys(pipe(said));
	pid = server_at_path(SERVER_DISK, said[1]);
	fd = server_connect();
	tell(fd, VU_SET_PROTOCOL_FEATURES, &body, 8, -1);
	tell(fd, VU_SET_BACKEND_REQ_FD, NULL, 0, fd);
	close(fd);
	kt_check(comes(said[0]) && read(said[0], text, sizeof(text) - 1) > 0, "nothing was said");
	kt_check(strstr(text, "is this connection itself"), "%s", text);
	fd = server_connect();
	kt_check(answers(fd), "the next one is not served");
	ends_well(pid);
	server_remove_path();
}

/* What the kernel says through the eventfd reaches a front end that says nothing. */
static void wakes_up_for_a_change(long arg)
{
	union vu_body body = { .u64 = door_blk_backend.protocol };
	const uint64_t once = 1;
	struct vu_header head;
	int pair[2], fd, event;
	pid_t pid;

	(void)arg;
	pid = server_at_path(SERVER_DISK, -1);
	fd = server_connect();
	tell(fd, VU_SET_PROTOCOL_FEATURES, &body, 8, -1);
	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	tell(fd, VU_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	kt_check(answers(fd), "no answer");
	event = event_of(pid);
	kt_check(write(event, &once, sizeof(once)) == sizeof(once), "eventfd: %m");
	kt_check(comes(pair[0]) && recv(pair[0], &head, sizeof(head), 0) == sizeof(head) &&
			 head.request == VU_BACKEND_CONFIG_CHANGE,
		 "it was not told");
	close(event);
	ends_well(pid);
	server_remove_path();
}

static uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A disk that others have for a moment is nothing to talk about, however busy the front end. */
static void waits_by_the_clock(long arg)
{
	int memory = front_file(1 << 20), event = kt_sys(eventfd(0, EFD_CLOEXEC)), said[2], fd;
	struct pollfd line;
	char text[256] = "";
	uint64_t begin;
	pid_t pid;

	(void)arg;
	kt_sys(pipe(said));
	pid = server_at_path(SERVER_DISK | SERVER_BUSY, said[1]);
	fd = server_connect();
	begin = milliseconds();
	run_ring(fd, door_blk_backend.protocol, 0, memory, event);
	for (unsigned int i = 0; i < 100; i++)
		kt_check(answers(fd), "no answer");
	line = (struct pollfd){ .fd = said[0], .events = POLLIN };
	kt_check(poll(&line, 1, 20000) == 1 && read(said[0], text, sizeof(text) - 1) > 0 &&
			 strstr(text, "another process has the disk"),
		 "said \"%s\"", text);
	kt_check(milliseconds() - begin >= 900, "after %llu ms",
		 (unsigned long long)(milliseconds() - begin));
	close(event);
	close(memory);
	ends_well(pid);
	server_remove_path();
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "serves front ends that come and go", .run = comes_and_goes },
		{ .name = "serves one front end at a time", .run = waits_for_its_turn },
		{ .name = "says why it ended a connection", .run = says_why_a_connection_ended },
		{ .name = "says no more than a log can take",
		  .run = says_no_more_than_a_log_can_take },
		{ .name = "ends at once by SIGTERM",
		  .run = ends_at_once_by_a_signal,
		  .arg = SIGTERM },
		{ .name = "ends at once by SIGINT",
		  .run = ends_at_once_by_a_signal,
		  .arg = SIGINT },
		{ .name = "ends by SIGTERM under a flood of messages", .run = ends_under_a_flood },
		{ .name = "ends by SIGTERM while close() hangs", .run = ends_while_it_hangs },
		{ .name = "serves an inherited socket, once", .run = takes_an_inherited_socket },
		{ .name = "replaces the sockets of the dead only",
		  .run = replaces_dead_sockets_only },
		{ .name = "gives its socket away", .run = gives_the_socket_away },
		{ .name = "does all its work in the jail", .run = works_in_the_jail },
		{ .name = "serves a disk in the jail", .run = serves_a_disk_in_the_jail },
		{ .name = "refuses its own end as channel", .run = refuses_its_own_end_as_channel },
		{ .name = "wakes up for a change", .run = wakes_up_for_a_change },
		{ .name = "waits for a disk by the clock", .run = waits_by_the_clock },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
