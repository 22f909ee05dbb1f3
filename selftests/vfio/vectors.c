// SPDX-License-Identifier: GPL-2.0-only
/*
 * vectors.c - a function with fewer interrupts than queues: they share one, or everything does;
 * and one with none is not taken
 *
 * The function is plugged in anew with so many, and at the end as it was. That takes long, and
 * neither the kind of the function nor that of its rings matters: a card's configuration changes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdpa.h"

static void plug_with(long vectors)
{
	char more[32];

	vf_bind();
	vf_unplug();
	snprintf(more, sizeof(more), ",vectors=%ld", vectors);
	vf_plug(more);
}

static void plug_as_it_was(void)
{
	vf_unplug();
	vf_plug("");
	vf_bind();
	vf_fresh();
}

static void fdinfo_is(int fd, const char *key, const char *want)
{
	char val[32];

	kt_check(vg_fdinfo(fd, key, val, sizeof(val)), "fdinfo has no %s", key);
	kt_check(!strcmp(val, want), "fdinfo: %s is '%s', wanted '%s'", key, val, want);
}

/* The wire goes down and up: a change of the configuration, beside the queues' interrupts. */
static void wire(struct vf_unit *u)
{
	int call = kt_sys(eventfd(0, EFD_NONBLOCK)), up;
	struct pollfd p = { .fd = call, .events = POLLIN };
	struct virtio_net_config c;
	uint64_t end, v;

	kt_sys(ioctl(u->fd, VHOST_VDPA_SET_CONFIG_CALL, &call));
	for (up = 0; up < 2; up++) {
		vf_monitor("set_link %s %s", getenv("SHUNT_TEST_NAME"), up ? "on" : "off");
		end = vg_ms() + VG_STALL_MS;
		/* Where all share one, a call may be a queue's. */
		do {
			kt_check(vg_ms() < end, "no call for a link that goes %s",
				 up ? "up" : "down");
			if (kt_sys(poll(&p, 1, VG_STALL_MS)) == 1)
				kt_sys(read(call, &v, sizeof(v)));
			kt_sys(vf_get_config(u->fd, 0, &c, 10));
		} while (!(c.status & VIRTIO_NET_S_LINK_UP) != !up);
	}
}

static void shared(long vectors)
{
	struct vf_unit *u;
	unsigned int i;
	char key[32];

	vf_need(VIRTIO_ID_NET);
	plug_with(vectors);
	vf_bind();
	u = vf_new(&(struct vf_opts){
		.queues = 2,
		.features = VG_BASIC | BIT(VIRTIO_NET_F_STATUS),
	});
	/* Those beyond the second are of no use unless there is one for each. */
	fdinfo_is(u->fd, "shunt-vectors", vectors == 1 ? "1" : "2");
	vf_run(u, 400, NULL, NULL);
	for (i = 0; i < u->nring; i++) {
		snprintf(key, sizeof(key), "vq%u-vector", i);
		fdinfo_is(u->fd, key, "shared");
		snprintf(key, sizeof(key), "vq%u-interrupts", i);
		kt_check(vg_fdinfo_u64(u->fd, key), "queue %u was not called", i);
	}
	wire(u);
	vf_alive(u);
	/* The next driver gets them anew. */
	vf_again(u);
	vf_alive(u);
	vf_free(u);
	plug_as_it_was();
}

static void none(long arg)
{
	char cmd[512], line[256];
	bool said = false;
	FILE *f;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	plug_with(0);
	kt_sys(vf_put("selftests: no vectors\n", "/dev/kmsg"));
	snprintf(cmd, sizeof(cmd), "%s %s", getenv("SHUNT_TEST_BIND"), vf_bdf());
	kt_check(system(cmd), "a function without interrupts is taken");
	kt_check(access(vg_path(), F_OK), "a function without interrupts has a node");
	f = popen("dmesg | sed '1,/selftests: no vectors/d'", "r");
	kt_check(f, "dmesg: %m");
	while (fgets(line, sizeof(line), f))
		said |= strstr(line, vf_bdf()) && strstr(line, "refused: it has no MSI-X");
	pclose(f);
	kt_check(said, "the log does not say why");
	plug_as_it_was();
}

static const struct kt_case cases[] = {
	{ "all queues share one vector", shared, 2, 0, VG_ON_ONCE },
	{ "some have none left", shared, 3, 0, VG_ON_ONCE },
	{ "one vector for everything", shared, 1, 0, VG_ON_ONCE },
	{ "none at all", none, 0, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
