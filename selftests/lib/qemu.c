// SPDX-License-Identifier: GPL-2.0-only
/*
 * qemu.c - a QEMU whose guest is this process: see backend.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"

#define WORDS_MAX   64
#define BAR	    0xfe000000u /* a place for the registers */
#define BIOS_BYTES  65536u
#define KICK_TRY_US 100000

static int eventfds(struct vg_qemu *q, int *fd, unsigned int max);

/* One line of the test protocol, answered by OK and perhaps a number. */
static uint64_t say(struct vg_qemu *q, const char *fmt, ...)
{
	char line[128], c;
	unsigned int n = 0;
	va_list ap;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	kt_check(write(q->control, line, n) == (ssize_t)n, "QEMU is gone");
	for (n = 0; n < sizeof(line) - 1; line[n++] = c) {
		kt_check(read(q->control, &c, 1) == 1, "QEMU is gone");
		if (c == '\n')
			break;
	}
	line[n] = 0;
	kt_check(!strncmp(line, "OK", 2), "QEMU answers: %s", line);
	return line[2] ? strtoull(line + 3, NULL, 0) : 0;
}

static uint32_t config_read(struct vg_qemu *q, unsigned int at)
{
	say(q, "outl 0xcf8 %#x", 0x80000000u | VG_QEMU_SLOT << 11 | (at & ~3u));
	return say(q, "inl 0xcfc") >> 8 * (at & 3);
}

static void config_write(struct vg_qemu *q, unsigned int at, uint32_t value)
{
	say(q, "outl 0xcf8 %#x", 0x80000000u | VG_QEMU_SLOT << 11 | at);
	say(q, "outl 0xcfc %#x", value);
}

/* Place the device's memory, and look where in it the registers are. */
static void find_registers(struct vg_qemu *q)
{
	unsigned int at;

	kt_check((config_read(q, 0) & 0xffff) == 0x1af4, "no virtio device at addr=%d",
		 VG_QEMU_SLOT);
	config_write(q, PCI_BASE_ADDRESS_4, BAR);
	config_write(q, PCI_BASE_ADDRESS_5, 0);
	config_write(q, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (at = config_read(q, PCI_CAPABILITY_LIST) & 0xff; at;
	     at = config_read(q, at + PCI_CAP_LIST_NEXT) & 0xff) {
		uint64_t place = BAR + config_read(q, at + VIRTIO_PCI_CAP_OFFSET);

		if ((config_read(q, at) & 0xff) != PCI_CAP_ID_VNDR)
			continue;
		switch (config_read(q, at + VIRTIO_PCI_CAP_CFG_TYPE) & 0xff) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			q->common = place;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			q->notify = place;
			q->notify_multiplier = config_read(q, at + VIRTIO_PCI_NOTIFY_CAP_MULT);
			break;
		}
	}
	kt_check(q->common && q->notify, "no registers of a modern device");
}

/* A firmware that turns interrupts off and halts, at the processor's first address. */
static int halting_bios(void)
{
	static const uint8_t halt[] = { 0xfa, 0xf4, 0xeb, 0xfd };
	int fd = kt_sys(memfd_create("bios", 0));

	kt_sys(ftruncate(fd, BIOS_BYTES));
	kt_sys(pwrite(fd, halt, sizeof(halt), BIOS_BYTES - 16));
	return fd;
}

void vg_qemu_start(struct vg_qemu *q, char *const *command, const struct vg_mem *m)
{
	char memory[128], size[32], bios[32];
	int bios_fd = halting_bios(), mem_fd = kt_sys(dup(m->fd)), pair[2];
	char *const more[] = { "-nodefaults", "-no-user-config",
			       "-display",    "none",
			       "-machine",    "pc,accel=tcg,memory-backend=m",
			       "-object",     memory,
			       "-m",	      size,
			       "-bios",	      bios,
			       "-qtest",      "stdio",
			       "-qtest-log",  "/dev/null",
			       NULL };
	char *argv[WORDS_MAX];
	struct stat st;
	unsigned int n;

	memset(q, 0, sizeof(*q));
	kt_sys(fstat(m->fd, &st));
	kt_sys(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	snprintf(size, sizeof(size), "%" PRIu64 "M", (uint64_t)st.st_size >> 20);
	snprintf(memory, sizeof(memory),
		 "memory-backend-file,id=m,share=on,mem-path=/proc/self/fd/%d,size=%s", mem_fd,
		 size);
	snprintf(bios, sizeof(bios), "/proc/self/fd/%d", bios_fd);
	for (n = 0; command[n]; n++) {
		kt_check(n + ARRAY_SIZE(more) < WORDS_MAX, "the command is too long");
		argv[n] = command[n];
	}
	memcpy(argv + n, more, sizeof(more));
	q->pid = kt_sys(fork());
	if (!q->pid) {
		dup2(pair[1], STDIN_FILENO);
		dup2(pair[1], STDOUT_FILENO);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	close(pair[1]);
	close(bios_fd);
	close(mem_fd);
	q->control = pair[0];
	q->pidfd = kt_sys(syscall(SYS_pidfd_open, q->pid, 0));
	find_registers(q);
}

#define COMMON(field) (q->common + offsetof(struct virtio_pci_common_cfg, field))

static void device_features(struct vg_qemu *q, uint64_t features)
{
	uint64_t offered = 0;
	unsigned int half;

	for (half = 0; half < 2; half++) {
		say(q, "writel %#lx %u", COMMON(device_feature_select), half);
		offered |= say(q, "readl %#lx", COMMON(device_feature)) << 32 * half;
		say(q, "writel %#lx %u", COMMON(guest_feature_select), half);
		say(q, "writel %#lx %#x", COMMON(guest_feature), (uint32_t)(features >> 32 * half));
	}
	kt_check(!(features & ~offered), "QEMU's device lacks features %#" PRIx64,
		 features & ~offered);
}

static void device_ring(struct vg_qemu *q, unsigned int index, const struct vg_ring *r)
{
	const uint64_t area[] = { r->desc_gpa, r->avail_gpa, r->used_gpa };
	const uint64_t at[] = { COMMON(queue_desc_lo), COMMON(queue_avail_lo),
				COMMON(queue_used_lo) };
	unsigned int i;

	say(q, "writew %#lx %u", COMMON(queue_select), index);
	say(q, "writew %#lx %u", COMMON(queue_size), r->num);
	for (i = 0; i < ARRAY_SIZE(area); i++) {
		say(q, "writel %#lx %#x", at[i], (uint32_t)area[i]);
		say(q, "writel %#lx %#x", at[i] + 4, (uint32_t)(area[i] >> 32));
	}
	say(q, "writew %#lx 1", COMMON(queue_enable));
}

void vg_qemu_device(struct vg_qemu *q, uint64_t features, struct vg_ring *const *ring,
		    unsigned int n)
{
	const unsigned int known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	const unsigned int agreed = known | VIRTIO_CONFIG_S_FEATURES_OK;
	int before[VG_QEMU_FDS], after[VG_QEMU_FDS];
	unsigned int i, k, nbefore, nafter;

	say(q, "writeb %#lx 0", COMMON(device_status));
	say(q, "writeb %#lx %u", COMMON(device_status), known);
	device_features(q, features);
	say(q, "writeb %#lx %u", COMMON(device_status), agreed);
	kt_check(say(q, "readb %#lx", COMMON(device_status)) == agreed,
		 "QEMU's device refuses the features %#" PRIx64, features);
	for (i = 0; i < n; i++)
		device_ring(q, i, ring[i]);
	nbefore = eventfds(q, before, VG_QEMU_FDS);
	say(q, "writeb %#lx %u", COMMON(device_status), agreed | VIRTIO_CONFIG_S_DRIVER_OK);
	nafter = eventfds(q, after, VG_QEMU_FDS);
	for (i = 0; i < nafter; i++) {
		for (k = 0; k < nbefore && before[k] != after[i]; k++)
			;
		if (k == nbefore)
			q->kick[q->nkick++] =
				kt_sys(syscall(SYS_pidfd_getfd, q->pidfd, after[i], 0));
	}
	kt_check(q->nkick >= n, "QEMU has not made an eventfd for each of %u rings", n);
}

/* The numbers of QEMU's eventfds, in ascending order. */
static int eventfds(struct vg_qemu *q, int *fd, unsigned int max)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < 4096 && n < max; i++) {
		char path[64], target[64];
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", q->pid, i);
		len = readlink(path, target, sizeof(target) - 1);
		if (len > 0 && !strncmp(target, "anon_inode:[eventfd]", len))
			fd[n++] = i;
	}
	return n;
}

/* The ring kicks by candidate @i from now on. */
static void take_kick(struct vg_qemu *q, struct vg_ring *r, unsigned int i)
{
	close(r->kick);
	r->kick = q->kick[i];
	q->kick[i] = q->kick[--q->nkick];
}

void vg_qemu_find_kick(struct vg_qemu *q, struct vg_ring *r)
{
	unsigned int i;

	kt_check(!vg_ring_pending(r), "the ring has been used without a kick");
	/* Those of the rings are made last. */
	for (i = q->nkick; i-- > 0;) {
		eventfd_write(q->kick[i], 1);
		usleep(KICK_TRY_US);
		if (vg_ring_pending(r)) {
			take_kick(q, r, i);
			return;
		}
	}
	kt_fail("QEMU's device takes nothing from a ring, whatever is kicked");
}

void vg_qemu_first_kick(struct vg_qemu *q, struct vg_ring *r)
{
	kt_check(q->nkick, "no eventfds are left");
	take_kick(q, r, 0);
}

void vg_qemu_end(struct vg_qemu *q)
{
	kill(q->pid, SIGKILL);
	waitpid(q->pid, NULL, 0);
	while (q->nkick)
		close(q->kick[--q->nkick]);
	close(q->control);
	close(q->pidfd);
}
