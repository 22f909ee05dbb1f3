// SPDX-License-Identifier: GPL-2.0-only
/*
 * door_tap.c - the network device's side of a real TAP, under made-up vhost devices
 *
 * In a network namespace of its own; needs root and /dev/net/tun.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "ktap.h"

#define BIT(n) (1ULL << (n))

static struct front front;
static struct kernel mixed;

/* The TAP is real; what the fake one is told is not of interest. */
static int mixed_control(void *self, int fd, unsigned long request, void *argument)
{
	struct fake *fake = self;

	if (fd >= FAKE_VHOST)
		return fake->kernel.control(fake, fd, request, argument);
	return kernel_real.control(NULL, fd, request, argument);
}

static void make(unsigned int queues)
{
	struct failure why;
	enum status status;

	if (geteuid())
		kt_skip("needs root");
	if (unshare(CLONE_NEWNET))
		kt_skip("no network namespaces");
	status = tap_check_support(queues, &why);
	if (status)
		kt_skip("%s", why.text);
	fake_init(&front.fake);
	mixed = (struct kernel){ mixed_control, kernel_real.peek, kernel_real.inject, NULL,
				 &front.fake };
	kt_check(!tap_create(&front.tap, NULL, queues, &why), "%s", why.text);
	front_plug(&front, queues, &mixed);
}

static void acknowledge(uint64_t features)
{
	front.door.features = features;
	kt_check(!door_net_backend.set_features(&front.door, &front.why), "%s", front.why.text);
}

static void takes_all_that_is_offered(long queues)
{
	int header = 0;

	make((unsigned int)queues);
	kt_check(front.door.offered & BIT(VIRTIO_NET_F_GUEST_TSO4), "no TSO");
	acknowledge(front.door.offered);
	kt_sys(ioctl(front.tap.fds[0], TUNGETVNETHDRSZ, &header));
	kt_check(header == 12, "header of %d", header);
	acknowledge(0);
	kt_sys(ioctl(front.tap.fds[0], TUNGETVNETHDRSZ, &header));
	kt_check(header == 10, "header of %d", header);
	/* One by one, with all that it may lack. */
	for (unsigned int bit = 0; bit < 64; bit++) {
		acknowledge(front.door.offered & ~BIT(bit));
		acknowledge(front.door.offered & (BIT(bit) | BIT(VIRTIO_NET_F_GUEST_CSUM)));
	}
}

static bool in_use(unsigned int queue)
{
	struct ifreq request = { 0 };

	kt_sys(ioctl(front.tap.fds[queue], TUNGETIFF, &request));
	return !(request.ifr_flags & IFF_DETACH_QUEUE);
}

static void uses_queues_as_pairs_come(long arg)
{
	(void)arg;
	make(3);
	kt_check(in_use(0) && !in_use(1) && !in_use(2), "queues at the beginning");
	/* The fake vhost device's own ideas of the TAP do not matter: stop short of it. */
	for (unsigned int round = 0; round < 3; round++) {
		struct ifreq use = { .ifr_flags = IFF_ATTACH_QUEUE };

		kt_sys(kernel_real.control(NULL, front.tap.fds[2], TUNSETQUEUE, &use));
		kt_check(in_use(2), "not attached");
		front.net.bound[2] = 1;
		kt_check(!door_net_backend.bind(&front.door, 4, false, &front.why), "%s",
			 front.why.text);
		kt_check(!in_use(2), "still attached");
	}
}

static void set_up(void)
{
	struct ifreq request = { .ifr_flags = IFF_UP };
	int fd = kt_sys(socket(AF_INET, SOCK_DGRAM, 0));

	memcpy(request.ifr_name, front.tap.name, IFNAMSIZ);
	kt_sys(ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

static void sends_a_RARP_to_the_host(long legacy)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct pollfd poll_fd = { .events = POLLIN };
	uint8_t frame[256];

	make(1);
	poll_fd.fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_RARP));
	if (poll_fd.fd < 0)
		kt_skip("no packet sockets");
	kt_check(door_net_backend.send_rarp(&front.door, mac, &front.why) == ST_SYSTEM,
		 "sent from an interface that is down");
	set_up();
	acknowledge(legacy ? 0 : BIT(VIRTIO_F_VERSION_1));
	kt_check(!door_net_backend.send_rarp(&front.door, mac, &front.why), "%s", front.why.text);
	kt_check(poll(&poll_fd, 1, 2000) > 0, "nothing came");
	kt_check(recv(poll_fd.fd, frame, sizeof(frame), 0) == 60, "another size");
	kt_check(!memcmp(frame + 6, mac, 6) && frame[12] == 0x80 && frame[13] == 0x35, "another");
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "the TAP takes all that is offered",
		  .run = takes_all_that_is_offered,
		  .arg = 1 },
		{ .name = "a TAP with many queues takes it too",
		  .run = takes_all_that_is_offered,
		  .arg = 4 },
		{ .name = "queues are in use while their pair is",
		  .run = uses_queues_as_pairs_come },
		{ .name = "a RARP reaches the host", .run = sends_a_RARP_to_the_host },
		{ .name = "a RARP with a short header reaches the host",
		  .run = sends_a_RARP_to_the_host,
		  .arg = 1 },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
