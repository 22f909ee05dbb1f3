// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz.c - requests at random, by one thread and by several at once, while the function
 * works; from a seed that is printed. Whatever the answers are, the host lives and the next
 * owner finds a function that works.
 *
 * SHUNT_TEST_SEED repeats a run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define SPARE	 0x8000000000ull
#define NTHREADS 4

struct fuzz {
	struct vf_unit *u;
	uint64_t random;
	unsigned int rounds;
	uint8_t *room; /* 64 pages to map */
	int fds[4];
};

static uint64_t odd(struct fuzz *f)
{
	switch (vg_below(&f->random, 4)) {
	case 0:
		return SPARE + VG_PAGE * vg_below(&f->random, 64);
	case 1:
		return VG_PAGE * vg_below(&f->random, 64);
	default:
		return vg_odd_number(&f->random, f->u->mem);
	}
}

static int some_fd(struct fuzz *f)
{
	const struct vf_unit *u = f->u;

	switch (vg_below(&f->random, 6)) {
	case 0:
		return -1;
	case 1:
		return u->fd;
	case 2:
		return u->ring[vg_below(&f->random, u->nring)]->kick;
	case 3:
		return u->ring[vg_below(&f->random, u->nring)]->call;
	case 4:
		return odd(f);
	default:
		return f->fds[vg_below(&f->random, ARRAY_SIZE(f->fds))];
	}
}

static void message(struct fuzz *f)
{
	static const uint8_t types[] = { VHOST_IOTLB_UPDATE, VHOST_IOTLB_UPDATE,
					 VHOST_IOTLB_INVALIDATE, VHOST_IOTLB_BATCH_BEGIN,
					 VHOST_IOTLB_BATCH_END };
	uint64_t *r = &f->random;
	struct vhost_msg_v2 m = { .type = VHOST_IOTLB_MSG_V2 };
	size_t len = sizeof(m);

	m.iotlb.type = vg_below(r, 16) ? types[vg_below(r, ARRAY_SIZE(types))] : odd(f);
	m.iotlb.perm = vg_below(r, 8) ? VHOST_ACCESS_RW : odd(f);
	if (vg_below(r, 4)) {
		m.iotlb.iova = SPARE + VG_PAGE * vg_below(r, 64);
		m.iotlb.size = VG_PAGE * (1 + vg_below(r, 16));
		m.iotlb.uaddr = (uintptr_t)f->room + VG_PAGE * vg_below(r, 48);
	} else {
		m.iotlb.iova = odd(f);
		m.iotlb.size = odd(f);
		m.iotlb.uaddr = odd(f);
	}
	if (!vg_below(r, 16))
		m.type = odd(f);
	if (!vg_below(r, 16))
		m.asid = odd(f);
	if (!vg_below(r, 16))
		len = vg_below(r, sizeof(m));
	if (write(f->u->fd, &m, len) < 0)
		return;
}

static void one(struct fuzz *f)
{
	static const uint8_t ways[] = { 0, 1, 3, VF_STATUS2, VF_RUNNING, VF_RUNNING, 0x80 };
	uint64_t *r = &f->random, v;
	struct vf_unit *u = f->u;
	unsigned int q = vg_below(r, 12) ? vg_below(r, u->nvqs) : odd(f);
	const struct vg_ring *ring = u->ring[q % u->nring];
	uint64_t off = u->mem->iova_off;
	uint8_t buf[64] = { 0 };
	int fd = u->fd, other = some_fd(f);

	switch (vg_below(r, 22)) {
	case 0:
	case 1:
		vf_set_status(fd, vg_below(r, 8) ? ways[vg_below(r, sizeof(ways))] : odd(f));
		break;
	case 2:
		v = vg_below(r, 3) ? u->dev->features : u->dev->features ^ BIT(vg_below(r, 64));
		vg_set_features(fd, v);
		break;
	case 3:
	case 4:
		vg_vring_addr(fd, q, 0, ring->desc_gpa + off, ring->avail_gpa + off,
			      ring->used_gpa + off, 0);
		break;
	case 5:
		vg_vring_addr(fd, q, odd(f), odd(f), odd(f), odd(f), odd(f));
		break;
	case 6:
		vg_vring_state(fd, VHOST_SET_VRING_NUM, q, vg_below(r, 3) ? ring->num : odd(f));
		break;
	case 7:
		vg_vring_state(fd, VHOST_SET_VRING_BASE, q,
			       vg_below(r, 3) ? vg_ring_first(ring) : odd(f));
		break;
	case 8:
		vg_vring_state(fd, VHOST_GET_VRING_BASE, q, 0);
		break;
	case 9:
		vg_vring_file(fd, VHOST_SET_VRING_KICK, q, other);
		break;
	case 10:
		vg_vring_file(fd, VHOST_SET_VRING_CALL, q, other);
		break;
	case 11:
		vg_vring_file(fd, VHOST_SET_VRING_ERR, q, other);
		break;
	case 12:
	case 13:
		vf_enable(fd, q, vg_below(r, 4) ? 1 : odd(f));
		break;
	case 14:
		ioctl(fd, VHOST_VDPA_SET_CONFIG_CALL, &other);
		break;
	case 15:
		vf_get_config(fd, odd(f), NULL, odd(f));
		break;
	case 16:
		vf_set_config(fd, vg_below(r, 2) ? vg_below(r, 64) : odd(f), buf,
			      vg_below(r, 2) ? vg_below(r, 16) : odd(f));
		break;
	case 17:
	case 18:
	case 19:
		message(f);
		break;
	case 20:
		eventfd_write(u->ring[vg_below(r, u->nring)]->kick, 1);
		break;
	case 21:
		ioctl(fd, _IOC(vg_below(r, 4), VHOST_VIRTIO, vg_below(r, 256), vg_below(r, 128)),
		      vg_below(r, 2) ? (uintptr_t)f->room : odd(f));
		break;
	}
}

static void *thread(void *arg)
{
	struct fuzz *f = arg;
	unsigned int i;

	for (i = 0; i < f->rounds; i++)
		one(f);
	return NULL;
}

/* A driver that begins anew now and then, so that there is something to disturb. */
static void again(struct vf_unit *u)
{
	unsigned int i;

	vf_set_status(u->fd, 0);
	vf_set_status(u->fd, VF_STATUS1);
	vg_set_features(u->fd, u->dev->features);
	vf_set_status(u->fd, VF_STATUS2);
	for (i = 0; i < u->nring; i++) {
		const struct vg_ring *r = u->ring[i];
		uint64_t off = u->mem->iova_off;

		vg_vring_state(u->fd, VHOST_SET_VRING_NUM, i, r->num);
		vg_vring_addr(u->fd, i, 0, r->desc_gpa + off, r->avail_gpa + off, r->used_gpa + off,
			      0);
		vg_vring_state(u->fd, VHOST_SET_VRING_BASE, i, vg_ring_first(r));
		vg_vring_file(u->fd, VHOST_SET_VRING_KICK, i, r->kick);
		vg_vring_file(u->fd, VHOST_SET_VRING_CALL, i, r->call);
		vf_enable(u->fd, i, 1);
	}
	vf_set_status(u->fd, VF_RUNNING);
	for (i = 0; i < u->nring; i++)
		eventfd_write(u->ring[i]->kick, 1);
}

/*
 * In a process of its own: it may tell the function to write into any memory that it has
 * mapped, and so may die. Only the host must not mind.
 */
static void fuzz(uint64_t seed, unsigned int threads, unsigned int rounds)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	uint8_t *room = mmap(NULL, 64 * VG_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int null = kt_sys(open("/dev/null", O_RDWR | O_CLOEXEC)), efd = kt_sys(eventfd(0, 0));
	struct fuzz f[NTHREADS];
	pthread_t id[NTHREADS];
	unsigned int i, k;

	kt_check(room != MAP_FAILED, "mmap: %m");
	for (i = 0; i < threads; i++)
		f[i] = (struct fuzz){ .u = u,
				      .random = seed + 77 * i,
				      .rounds = rounds / 20,
				      .room = room,
				      .fds = { null, efd, efd, -1 } };
	for (k = 0; k < 20; k++) {
		for (i = 0; i < threads; i++)
			kt_check(!pthread_create(&id[i], NULL, thread, &f[i]), "pthread_create");
		again(u);
		for (i = 0; i < threads; i++)
			pthread_join(id[i], NULL);
		again(u);
	}
}

static void requests(long threads)
{
	uint64_t seed = vg_seed(0xf0220000 + threads);
	int64_t before = vf_pinned();
	unsigned int round;

	for (round = 0; round < 3; round++) {
		int status;
		pid_t pid = kt_sys(fork());

		if (!pid) {
			fuzz(seed + 7 * round, threads, kt_scale(6000, 1500) / threads);
			_exit(0);
		}
		kt_sys(waitpid(pid, &status, 0));
		if (WIFSIGNALED(status))
			kt_note("the process had itself written over: signal %d", WTERMSIG(status));
		else
			kt_check(!WEXITSTATUS(status), "the process failed");
		vf_fresh();
	}
	vf_pinned_is(before);
}

/* Killed in the middle of it. */
static void killed(long threads)
{
	uint64_t seed = vg_seed(0x0dd00000 + threads);
	int64_t before = vf_pinned();
	unsigned int round;

	for (round = 0; round < kt_scale(10, 5); round++) {
		int status;
		pid_t pid = kt_sys(fork());

		if (!pid) {
			fuzz(seed + 7 * round, threads, 1u << 30);
			_exit(0);
		}
		usleep(100000 + 1000 * vg_below(&seed, 200));
		kill(pid, SIGKILL);
		kt_sys(waitpid(pid, &status, 0));
		close(vf_open());
		vf_pinned_is(before);
	}
	vf_fresh();
}

static const struct kt_case cases[] = {
	{ "requests at random", requests, 1 },
	{ "requests at random by several threads", requests, NTHREADS },
	{ "killed while several threads make requests", killed, NTHREADS },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
