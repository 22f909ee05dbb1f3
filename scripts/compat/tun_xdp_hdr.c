// SPDX-License-Identifier: GPL-2.0-only
/* Probe: a TAP's XDP buffer starts with a struct tun_xdp_hdr (until Linux 7.0). */
#include <linux/if_tun.h>

int probe(const struct tun_xdp_hdr *hdr);
int probe(const struct tun_xdp_hdr *hdr)
{
	return hdr->buflen;
}
