// SPDX-License-Identifier: GPL-2.0-only
/*
 * tap.c - the host's side: namespaces, TAPs, packet sockets, veth, macvtap
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* Not there in a kernel without IPv6: then there is nothing to turn off. */
	if (fd < 0)
		return;
	kt_sys(write(fd, text, strlen(text)));
	close(fd);
}

void vg_netns(void)
{
	static bool done;

	if (done)
		return;
	kt_sys(unshare(CLONE_NEWNET));
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	done = true;
}

/* ioctl on a throwaway socket, for what netdevice(7) has no better way. */
static int if_ioctl(unsigned long req, struct ifreq *ifr)
{
	int s = kt_sys(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), r, e;

	r = ioctl(s, req, ifr);
	e = errno;
	close(s);
	errno = e;
	return r;
}

static void if_name(struct ifreq *ifr, const char *name)
{
	memset(ifr, 0, sizeof(*ifr));
	snprintf(ifr->ifr_name, IFNAMSIZ, "%s", name);
}

void vg_link_up(const char *name, bool up)
{
	struct ifreq ifr;

	if_name(&ifr, name);
	kt_sys(if_ioctl(SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags = up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP;
	kt_sys(if_ioctl(SIOCSIFFLAGS, &ifr));
}

void vg_link_mtu(const char *name, int mtu)
{
	struct ifreq ifr;

	if_name(&ifr, name);
	ifr.ifr_mtu = mtu;
	kt_sys(if_ioctl(SIOCSIFMTU, &ifr));
}

int vg_tap(const char *name, unsigned int flags, int hdr_len, unsigned int offloads)
{
	struct ifreq ifr;
	int fd = kt_sys(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));

	if_name(&ifr, name);
	ifr.ifr_flags = flags | IFF_TAP | IFF_NO_PI;
	kt_sys(ioctl(fd, TUNSETIFF, &ifr));
	if (flags & IFF_VNET_HDR)
		kt_sys(ioctl(fd, TUNSETVNETHDRSZ, &hdr_len));
	kt_sys(ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads));
	return fd;
}

static int packet_socket(const char *name, bool vnet)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	/* Protocol 0: nothing comes in before it is bound to its interface. */
	int s = kt_sys(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	int one = 1, big = 64 << 20;

	kt_check(a.sll_ifindex, "no interface %s", name);
	kt_sys(setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	if (vnet)
		kt_sys(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)));
	kt_sys(setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)));
	kt_sys(setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big)));
	kt_sys(bind(s, (struct sockaddr *)&a, sizeof(a)));
	return s;
}

int vg_packet(const char *name)
{
	return packet_socket(name, true);
}

int vg_packet_plain(const char *name)
{
	return packet_socket(name, false);
}

/* Run iproute2 and skip the case when it says that the kernel cannot do this. */
static void ip(const char *fmt, const char *a, const char *b)
{
	char cmd[256], args[200];

	snprintf(args, sizeof(args), fmt, a, b);
	snprintf(cmd, sizeof(cmd), "ip %s 2>/dev/null", args);
	if (system(cmd))
		kt_skip("this kernel or machine cannot do: ip %s", args);
}

void vg_veth(const char *a, const char *b)
{
	ip("link add %s type veth peer name %s", a, b);
	vg_link_up(a, true);
	vg_link_up(b, true);
}

/* The device number of a macvtap's character device, from sysfs of this namespace. */
static dev_t macvtap_dev(const char *name)
{
	char path[128], line[32];
	unsigned int maj, min;
	dev_t dev = 0;
	glob_t g;
	FILE *f;

	/* /sys shows the interfaces of the namespace it was mounted in. */
	kt_sys(unshare(CLONE_NEWNS));
	kt_sys(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	kt_sys(mount("sysfs", "/sys", "sysfs", 0, NULL));
	snprintf(path, sizeof(path), "/sys/class/net/%s/tap*/dev", name);
	if (glob(path, 0, NULL, &g) || !g.gl_pathc) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/macvtap/tap*/dev", name);
		kt_check(!glob(path, 0, NULL, &g) && g.gl_pathc, "no tap device of %s", name);
	}
	f = fopen(g.gl_pathv[0], "r");
	if (f && fgets(line, sizeof(line), f) && sscanf(line, "%u:%u", &maj, &min) == 2)
		dev = makedev(maj, min);
	if (f)
		fclose(f);
	globfree(&g);
	kt_check(dev, "cannot read the device number of %s", name);
	return dev;
}

int vg_macvtap(const char *lower, const char *name, int hdr_len)
{
	struct ifreq ifr;
	char node[64];
	int fd;

	ip("link add link %s name %s type macvtap mode passthru", lower, name);
	vg_link_up(name, true);
	snprintf(node, sizeof(node), "/tmp/vguest-macvtap-%d", getpid());
	kt_sys(mknod(node, S_IFCHR | 0600, macvtap_dev(name)));
	fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	unlink(node);
	kt_check(fd >= 0, "open of the macvtap: %m");
	if_name(&ifr, name);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	kt_sys(ioctl(fd, TUNSETIFF, &ifr));
	kt_sys(ioctl(fd, TUNSETVNETHDRSZ, &hdr_len));
	return fd;
}
