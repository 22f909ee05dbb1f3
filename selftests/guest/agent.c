// SPDX-License-Identifier: GPL-2.0-only
/*
 * agent - process 1 of the nested guest: runs commands that the test driver
 * sends down a serial line, and reports their output and exit status.
 *
 * DOC: Theory of operation
 *
 * The line is a port of QEMU's virtio-serial (/dev/vport0p1 in the guest, a
 * socket on the host).  It comes back after a reset of the guest, moves along
 * with a live migration, and causes no exit while it is silent; a measured
 * transfer sends nothing down the line between its start and its end.  (An ISA
 * serial port would do too, but costs several exits a byte.)
 *
 * Every message is one line of printable ASCII:
 *
 *	driver to agent:
 *	  HELLO			answer with a hello line
 *	  RUN ID TEXT		start `sh -c TEXT` as job ID
 *	  KILL ID SIGNAL	send a signal to job ID's process group
 *	agent to driver:
 *	  hello BOOT-ID RELEASE	once after boot, and for each HELLO
 *	  out ID TEXT		a piece of the job's stdout and stderr
 *	  end ID STATUS		the job has ended: exit status, or 128 + signal
 *	  bad TEXT		a line that was not understood
 *
 * TEXT escapes backslash and everything outside of 0x20..0x7e as \xHH.  Jobs
 * run side by side, each in a process group of its own; ID is the driver's
 * number.  A job ends when its shell does; what it left in the background
 * goes on running, with its output thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX     32	   /* jobs at one time */
#define LINE_MAX_LEN 8192  /* longest line from the driver, bytes */
#define PIECE_MAX    400   /* bytes of output in one `out` line */
#define HANGUP_US    50000 /* pause before a line without a peer is looked at again */
#define OPEN_TRIES   600   /* times HANGUP_US that the line may take to appear */

struct job {
	long id; /* the driver's number; 0: slot is free */
	pid_t pid;
	int out; /* read end of the job's output pipe, or -1 */
};

static struct job jobs[JOBS_MAX];
static int line_fd;

/* Write one whole message to the line. */
static void say(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(line_fd, text, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		text += n;
		len -= n;
	}
}

static void say_hello(void)
{
	char boot[64] = "unknown", msg[256];
	struct utsname uts;
	int fd;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, boot, sizeof(boot) - 1);

		if (n > 0)
			boot[strcspn(boot, "\n")] = 0;
		close(fd);
	}
	uname(&uts);
	snprintf(msg, sizeof(msg), "hello %s %s\n", boot, uts.release);
	say(msg, strlen(msg));
}

static void say_out(long id, const unsigned char *data, size_t len)
{
	char msg[PIECE_MAX * 4 + 64];
	int at = snprintf(msg, sizeof(msg), "out %ld ", id);

	for (size_t i = 0; i < len; i++) {
		if (data[i] < 0x20 || data[i] > 0x7e || data[i] == '\\')
			at += sprintf(msg + at, "\\x%02x", data[i]);
		else
			msg[at++] = data[i];
	}
	msg[at++] = '\n';
	say(msg, at);
}

static void say_end(long id, int status)
{
	char msg[64];

	snprintf(msg, sizeof(msg), "end %ld %d\n", id,
		 WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	say(msg, strlen(msg));
}

static struct job *job_find(long id)
{
	for (int i = 0; i < JOBS_MAX; i++)
		if (jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

/* Undo the escapes of a TEXT in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] == 'x' && s[2] && s[3]) {
			char hex[3] = { s[2], s[3], 0 };

			*to++ = strtol(hex, NULL, 16);
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

static void job_start(long id, char *text)
{
	struct job *job = job_find(0);
	int fds[2];

	if (!job || job_find(id) || pipe2(fds, O_CLOEXEC)) {
		say_out(id, (const unsigned char *)"agent: no room for a job\n", 25);
		say_end(id, 127 << 8);
		return;
	}
	unescape(text);
	job->pid = fork();
	if (!job->pid) {
		sigset_t none;
		int null = open("/dev/null", O_RDONLY);

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execl("/bin/sh", "sh", "-c", text, NULL);
		_exit(127);
	}
	close(fds[1]);
	if (job->pid < 0) {
		close(fds[0]);
		say_end(id, 127 << 8);
		return;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	job->id = id;
	job->out = fds[0];
}

/* Pass on what the job has written.  Returns 0 when there is no more now. */
static int job_drain(struct job *job)
{
	unsigned char buf[PIECE_MAX];
	ssize_t n;

	if (job->out < 0)
		return 0;
	n = read(job->out, buf, sizeof(buf));
	if (n > 0) {
		say_out(job->id, buf, n);
		return 1;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(job->out);
		job->out = -1;
	}
	return 0;
}

/* Collect every child that has ended, jobs and orphans alike. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < JOBS_MAX; i++) {
			struct job *job = &jobs[i];

			if (!job->id || job->pid != pid)
				continue;
			while (job_drain(job))
				;
			if (job->out >= 0)
				close(job->out);
			say_end(job->id, status);
			job->id = 0;
		}
	}
}

static void obey(char *msg)
{
	char *text = NULL;
	long id;
	int sig;

	if (!strcmp(msg, "HELLO")) {
		say_hello();
	} else if (!strncmp(msg, "RUN ", 4) && (id = strtol(msg + 4, &text, 10)) > 0 &&
		   *text == ' ') {
		job_start(id, text + 1);
	} else if (sscanf(msg, "KILL %ld %d", &id, &sig) == 2 && id > 0) {
		struct job *job = job_find(id);

		if (job)
			kill(-job->pid, sig);
	} else if (*msg) {
		say("bad ", 4);
		say(msg, strnlen(msg, 60));
		say("\n", 1);
	}
}

/* Take what the driver sent; obey each complete line. */
static void hear(void)
{
	static char buf[LINE_MAX_LEN];
	static size_t have;
	ssize_t n = read(line_fd, buf + have, sizeof(buf) - 1 - have);
	char *start = buf, *end;

	if (n <= 0) {
		usleep(HANGUP_US); /* nobody listens on the host's side, yet */
		return;
	}
	have += n;
	buf[have] = 0;
	while ((end = strpbrk(start, "\r\n"))) {
		*end = 0;
		obey(start);
		start = end + 1;
	}
	have = strlen(start);
	memmove(buf, start, have);
	if (have == sizeof(buf) - 1)
		have = 0; /* no line is that long: drop it */
}

/* Open the line, which its driver may make a little later. */
static int line_open(const char *path)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0)
			return fd;
		usleep(HANGUP_US);
	}
	return -1;
}

int main(int argc, char **argv)
{
	sigset_t chld;
	int sfd;

	line_fd = line_open(argc > 1 ? argv[1] : "/dev/vport0p1");
	if (line_fd < 0) {
		perror("agent: serial line");
		return 1;
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	say_hello();

	for (;;) {
		struct pollfd pfd[2 + JOBS_MAX] = {
			{ .fd = line_fd, .events = POLLIN },
			{ .fd = sfd, .events = POLLIN },
		};
		struct signalfd_siginfo si;

		for (int i = 0; i < JOBS_MAX; i++) {
			pfd[2 + i].fd = jobs[i].id ? jobs[i].out : -1;
			pfd[2 + i].events = POLLIN;
		}
		if (poll(pfd, 2 + JOBS_MAX, -1) < 0)
			continue;
		for (int i = 0; i < JOBS_MAX; i++)
			if (pfd[2 + i].revents)
				job_drain(&jobs[i]);
		if (pfd[1].revents) {
			while (read(sfd, &si, sizeof(si)) == sizeof(si))
				;
			reap();
		}
		if (pfd[0].revents)
			hear();
	}
}
