// SPDX-License-Identifier: GPL-2.0-only
/*
 * server.c - a door that serves, in a process of its own: see server.h
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "door/jail.h"
#include "front.h"
#include "ktap.h"
#include "server.h"

static struct front front;
static char dir[] = "/tmp/door_serve.XXXXXX";
char server_path[64];

static void say(const struct failure *what)
{
	fprintf(stderr, "# server: %s\n", what->text);
}

pid_t server_start(const struct door_socket *socket, unsigned int kind, int said)
{
	pid_t pid = kt_sys(fork());
	struct failure why;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kind & SERVER_DISK)
		front_make_disk(&front, 1);
	else
		front_make(&front, 1);
	front.fake.foreign = kind & SERVER_BUSY;
	if (said >= 0)
		dup2(said, 2);
	if (signals_prepare(&why))
		_exit(9);
	if (kind & SERVER_JAILED) {
		const struct jail jail = {
			65534, 65534, NULL, 0, front.door.event, kind & SERVER_DISK
		};

		if (jail_enter(&jail, &why)) {
			fprintf(stderr, "# %s\n", why.text);
			_exit(8);
		}
	}
	if (serve(&front.door, socket, say, &why)) {
		say(&why);
		_exit(7);
	}
	door_end(&front.door);
	_exit(fake_is_new(&front.fake) ? 0 : 6);
}

void server_make_path(const char *name)
{
	kt_check(mkdtemp(dir), "mkdtemp: %m");
	snprintf(server_path, sizeof(server_path), "%s/%s", dir, name);
}

void server_remove_path(void)
{
	unlink(server_path);
	rmdir(dir);
}

pid_t server_at_path(unsigned int kind, int said)
{
	struct door_socket socket;
	struct failure why;
	pid_t pid;

	server_make_path("socket");
	kt_check(!socket_make(server_path, (uid_t)-1, (gid_t)-1, 0600, &socket, &why), "%s",
		 why.text);
	pid = server_start(&socket, kind, said);
	close(socket.fd);
	return pid;
}

int server_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = kt_sys(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	strcpy(address.sun_path, server_path);
	kt_sys(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}
