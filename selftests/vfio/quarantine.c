// SPDX-License-Identifier: GPL-2.0-only
/*
 * quarantine.c - a function that is no longer under control, because its registers read all
 * ones, or its status does not become 0: nobody has it any more, it reaches no memory, its
 * owner is told, and so is the log; until it is unbound, and resets again
 *
 * The emulator's function always obeys. So the first page of its registers is covered, for
 * the processor, by a read-only page of another device, whose bytes are all ones or all 0x0f. The
 * function itself goes on with what it was told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define DEVICES "/sys/bus/pci/devices/"
/* What the driver waits for a reset, and some more. */
#define RESET_MS 5000
#define PATIENCE (RESET_MS + VG_STALL_MS)

enum how { READS, RESETS, CLOSES, KILLED, OPENS };

/* ---- what has to be so afterwards */

static bool bus_master(void)
{
	uint16_t command = 0;
	int fd = vf_config_space(vf_bdf(), O_RDONLY);

	kt_check(pread(fd, &command, sizeof(command), PCI_COMMAND) == sizeof(command), "%m");
	close(fd);
	return command & PCI_COMMAND_MASTER;
}

static void nobody_has_it(const char *why)
{
	char words[128];

	snprintf(words, sizeof(words), "in quarantine until it is unbound: %s", why);
	kt_check(vf_in_log(words), "the log does not say: %s", words);
	kt_check(!bus_master(), "it is still a bus master");
	kt_check(access(vg_path(), F_OK) && errno == ENOENT, "%s is still there", vg_path());
}

/* Frames come for it, and it knows of buffers: but it reaches none of them. */
static void reaches_nothing(struct vf_unit *u)
{
	uint16_t used = vg_used_idx(u->ring[0]);
	static uint8_t f[600];
	unsigned int i;

	vg_frame(f, sizeof(f), 1, 0);
	for (i = 0; i < 8; i++)
		vg_host_send(u->net, f, sizeof(f), NULL);
	usleep(200000);
	kt_check(vg_used_idx(u->ring[0]) == used, "it still writes into memory");
}

static sigjmp_buf back;

static void on_bus(int sig)
{
	siglongjmp(back, sig);
}

static void owner_lost_it(struct vf_unit *u, volatile uint16_t *bell)
{
	uint8_t status;
	char val[32];
	unsigned int i;

	for (i = 0; i < u->nring; i++)
		kt_check(vg_ring_erred(u->ring[i], VG_STALL_MS), "no error of ring %u", i);
	kt_errno(ioctl(u->fd, VHOST_VDPA_GET_STATUS, &status), ENODEV);
	kt_errno(vf_set_status(u->fd, 0), ENODEV);
	kt_errno(vf_get_config(u->fd, 0, NULL, 4), ENODEV);
	kt_errno(vf_msg(u->fd, VHOST_IOTLB_INVALIDATE, 0, ~0ull, 0, 0), ENODEV);
	kt_check(vg_fdinfo(u->fd, "shunt-state", val, sizeof(val)) && !strcmp(val, "quarantined"),
		 "fdinfo: shunt-state is '%s'", val);
	kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
	if (bell == MAP_FAILED)
		return;
	signal(SIGBUS, on_bus);
	if (sigsetjmp(back, 1))
		return;
	*bell = 0;
	kt_fail("its doorbell can be rung");
}

/* It stays so, whoever asks for it, until its registers are its own again. */
static void stays_so(void)
{
	char cmd[512];

	kt_sys(vf_put(vf_bdf(), DEVICES "%s/driver/unbind", vf_bdf()));
	snprintf(cmd, sizeof(cmd), "%s %s", getenv("SHUNT_TEST_BIND"), vf_bdf());
	kt_check(system(cmd), "it is bound although it does not reset");
	kt_check(vf_in_log("refused: "), "the log does not say that it was refused");
	kt_check(access(vg_path(), F_OK), "%s is there", vg_path());
	vf_uncover();
	vf_bind();
	vf_fresh();
}

/* ---- the cases */

/* Also after a case that failed. */
static void under_control(void)
{
	vf_uncover();
	if (access(vg_path(), F_OK))
		vf_put(vf_bdf(), DEVICES "%s/driver/unbind", vf_bdf());
	vf_bind();
	vf_log_begin();
}

static struct vf_unit *working(void)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .queues = 2 });
	unsigned int i;

	for (i = 0; i < u->nring; i++)
		kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_ERR, i, u->ring[i]->err));
	vf_alive(u);
	return u;
}

/* An owner that is killed while its function does not obey. */
static void killed(enum vf_cover which)
{
	int ready[2];
	pid_t pid;
	char c;

	kt_sys(pipe(ready));
	pid = kt_sys(fork());
	if (!pid) {
		struct vf_unit *u = working();

		vf_cover(which, VIRTIO_PCI_CAP_COMMON_CFG, 0);
		kt_sys(write(ready[1], "x", 1));
		vf_busy(u, 0);
	}
	close(ready[1]);
	kt_check(read(ready[0], &c, 1) == 1, "the owner did not get so far");
	kill(pid, SIGKILL);
	kt_sys(waitpid(pid, NULL, 0));
}

static void begin(long how, enum vf_cover which, const char *why)
{
	int64_t before;
	uint64_t began;
	volatile uint16_t *bell;
	struct vf_unit *u;

	/* A disk would write nothing by itself. */
	vf_need(VIRTIO_ID_NET);
	under_control();
	before = vf_pinned();
	began = vg_ms();
	switch (how) {
	case OPENS:
		vf_cover(which, VIRTIO_PCI_CAP_COMMON_CFG, 0);
		kt_errno(open(vg_path(), O_RDWR | O_CLOEXEC), ENODEV);
		break;
	case KILLED:
		killed(which);
		break;
	case CLOSES:
		u = working();
		vf_cover(which, VIRTIO_PCI_CAP_COMMON_CFG, 0);
		kt_sys(close(u->fd));
		kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
		reaches_nothing(u);
		break;
	default:
		u = working();
		bell = mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, u->fd, 0);
		vf_cover(which, VIRTIO_PCI_CAP_COMMON_CFG, 0);
		if (how == RESETS)
			kt_errno(vf_set_status(u->fd, 0), ENODEV);
		else
			kt_errno(ioctl(u->fd, VHOST_VDPA_GET_STATUS, &(uint8_t){ 0 }), ENODEV);
		owner_lost_it(u, bell);
		reaches_nothing(u);
		nobody_has_it(why);
		close(u->fd);
	}
	kt_check(vg_ms() - began < PATIENCE, "that took %llu ms",
		 (unsigned long long)(vg_ms() - began));
	nobody_has_it(why);
	vf_pinned_is(before);
	stays_so();
}

static void all_ones(long how)
{
	begin(how, VF_ONES, "its registers read all ones");
}

static void no_reset(long how)
{
	begin(how, VF_STUCK, "it does not reset");
}

static const struct kt_case cases[] = {
	{ "its status reads all ones", all_ones, READS, 0, VG_ON_ONCE },
	{ "it reads all ones when it is closed", all_ones, CLOSES, 0, VG_ON_ONCE },
	{ "a reset by its owner does not end", no_reset, RESETS, 0, VG_ON_ONCE },
	{ "a reset does not end when its owner is killed", no_reset, KILLED, 0, VG_ON_ONCE },
	{ "a reset does not end when it is opened", no_reset, OPENS, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
