// SPDX-License-Identifier: GPL-2.0-only
/*
 * quarantine.c - a function that is no longer under control, because its registers read all
 * ones, or its status does not become 0: nobody has it any more, it reaches no memory, its
 * owner is told, and so is the log; until it is unbound, and resets again
 *
 * The emulator's function always obeys. So the first page of its registers is covered, for
 * the processor, by a read-only page of another device: SHUNT_VFIO_COVERS names two, whose bytes
 * are all ones and all 0x0f. The function itself goes on with what it was told.
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

enum cover { ONES, STUCK };
enum how { READS, RESETS, CLOSES, KILLED, OPENS };

/* ---- covering registers */

static int config_of(const char *bdf, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICES "%s/config", bdf);
	return kt_sys(open(path, flags | O_CLOEXEC));
}

static const char *cover(enum cover which)
{
	static char bdf[2][16];
	const char *both = getenv("SHUNT_VFIO_COVERS");

	if (!both || sscanf(both, "%15s %15s", bdf[0], bdf[1]) != 2)
		kt_skip("this machine has no devices to cover registers with");
	return bdf[which];
}

/* Where the function's common configuration is, as an address of the machine. */
static uint64_t registers(void)
{
	unsigned long long first = 0;
	uint8_t c[256], pos;
	char path[128];
	uint32_t offset;
	unsigned int i;
	int fd = config_of(vf_bdf(), O_RDONLY);
	FILE *f;

	kt_check(pread(fd, c, sizeof(c), 0) == sizeof(c), "the configuration space: %m");
	close(fd);
	for (pos = c[PCI_CAPABILITY_LIST]; pos; pos = c[pos + 1])
		if (c[pos] == PCI_CAP_ID_VNDR &&
		    c[pos + VIRTIO_PCI_CAP_CFG_TYPE] == VIRTIO_PCI_CAP_COMMON_CFG)
			break;
	kt_check(pos, "a function without registers");
	memcpy(&offset, c + pos + VIRTIO_PCI_CAP_OFFSET, sizeof(offset));
	snprintf(path, sizeof(path), DEVICES "%s/resource", vf_bdf());
	f = fopen(path, "r");
	kt_check(f, "%s: %m", path);
	for (i = 0; i <= c[pos + VIRTIO_PCI_CAP_BAR]; i++)
		kt_check(fscanf(f, "%llx %*x %*x", &first) == 1, "%s ends", path);
	fclose(f);
	kt_check(first && (first + offset) % VG_PAGE == 0, "registers at %#llx + %#x", first,
		 offset);
	return first + offset;
}

static void uncover(void)
{
	const uint16_t off = 0;
	enum cover i;

	for (i = ONES; i <= STUCK; i++) {
		int fd = config_of(cover(i), O_RDWR);

		kt_check(pwrite(fd, &off, sizeof(off), PCI_COMMAND) == sizeof(off), "%m");
		close(fd);
	}
}

static void cover_by(enum cover which)
{
	const uint16_t on = PCI_COMMAND_MEMORY;
	uint64_t at = registers();
	int fd = config_of(cover(which), O_RDWR);

	kt_check(pwrite(fd, &at, sizeof(at), PCI_BASE_ADDRESS_2) == sizeof(at) &&
			 pwrite(fd, &on, sizeof(on), PCI_COMMAND) == sizeof(on),
		 "the configuration space of %s: %m", cover(which));
	close(fd);
}

/* ---- what has to be so afterwards */

static bool in_log(const char *words)
{
	char line[512];
	bool found = false;
	FILE *f = popen("dmesg | sed '1,/selftests: quarantine/d'", "r");

	kt_check(f, "dmesg: %m");
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, vf_bdf()) && strstr(line, words);
	pclose(f);
	return found;
}

static bool bus_master(void)
{
	uint16_t command = 0;
	int fd = config_of(vf_bdf(), O_RDONLY);

	kt_check(pread(fd, &command, sizeof(command), PCI_COMMAND) == sizeof(command), "%m");
	close(fd);
	return command & PCI_COMMAND_MASTER;
}

static void nobody_has_it(const char *why)
{
	char words[128];

	snprintf(words, sizeof(words), "in quarantine until it is unbound: %s", why);
	kt_check(in_log(words), "the log does not say: %s", words);
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
	kt_check(in_log("refused: "), "the log does not say that it was refused");
	kt_check(access(vg_path(), F_OK), "%s is there", vg_path());
	uncover();
	vf_bind();
	vf_fresh();
}

/* ---- the cases */

/* Also after a case that failed. */
static void under_control(void)
{
	uncover();
	if (access(vg_path(), F_OK))
		vf_put(vf_bdf(), DEVICES "%s/driver/unbind", vf_bdf());
	vf_bind();
	kt_sys(vf_put("selftests: quarantine\n", "/dev/kmsg"));
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
static void killed(enum cover which)
{
	int ready[2];
	pid_t pid;
	char c;

	kt_sys(pipe(ready));
	pid = kt_sys(fork());
	if (!pid) {
		struct vf_unit *u = working();

		cover_by(which);
		kt_sys(write(ready[1], "x", 1));
		vf_busy(u, 0);
	}
	close(ready[1]);
	kt_check(read(ready[0], &c, 1) == 1, "the owner did not get so far");
	kill(pid, SIGKILL);
	kt_sys(waitpid(pid, NULL, 0));
}

static void begin(long how, enum cover which, const char *why)
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
		cover_by(which);
		kt_errno(open(vg_path(), O_RDWR | O_CLOEXEC), ENODEV);
		break;
	case KILLED:
		killed(which);
		break;
	case CLOSES:
		u = working();
		cover_by(which);
		kt_sys(close(u->fd));
		kt_check(!vg_locked(), "%lu kB stay charged", vg_locked());
		reaches_nothing(u);
		break;
	default:
		u = working();
		bell = mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, u->fd, 0);
		cover_by(which);
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
	begin(how, ONES, "its registers read all ones");
}

static void no_reset(long how)
{
	begin(how, STUCK, "it does not reset");
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
