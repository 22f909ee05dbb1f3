// SPDX-License-Identifier: GPL-2.0-only
/*
 * frame.c - frames that prove themselves: every byte follows from a number
 *
 * A plain frame carries its age and length in the destination address, its number and
 * queue in the source address and an experimental ethertype; the rest is a
 * pseudo-random pattern of the number. An IP frame carries the number in the
 * first four bytes of its payload.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vguest.h"

#define MAC_LEN 14

/* One 64-bit word of the pattern: position and number well mixed (splitmix). */
static uint64_t word(uint32_t seq, uint64_t pos)
{
	uint64_t x = ((uint64_t)seq << 32) + pos + 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

void vg_pattern(uint8_t *p, size_t len, size_t off, uint32_t seq)
{
	while (len) {
		uint64_t w = word(seq, off / 8);
		size_t in = off % 8, n = 8 - in < len ? 8 - in : len;

		memcpy(p, (uint8_t *)&w + in, n);
		p += n;
		off += n;
		len -= n;
	}
}

/* Where the pattern and @p differ first; len when nowhere. */
static size_t pattern_diff(const uint8_t *p, size_t len, size_t off, uint32_t seq)
{
	uint8_t want[512];
	size_t at = 0;

	while (at < len) {
		size_t n = len - at < sizeof(want) ? len - at : sizeof(want), i;

		vg_pattern(want, n, off + at, seq);
		if (memcmp(want, p + at, n)) {
			for (i = 0; want[i] == p[at + i]; i++)
				;
			return at + i;
		}
		at += n;
	}
	return len;
}

static uint16_t age;

void vg_frame_new_age(void)
{
	age++;
}

void vg_frame_age_of_process(void)
{
	age = getpid() * 32;
}

static uint8_t ttl(void)
{
	return 0x80 | age >> 9;
}

/* Of an IPv4 frame the age is where nobody on the way looks: TOS and TTL. */
bool vg_frame_of_age(const uint8_t *f)
{
	if (f[12] == 8 && !f[13])
		return f[15] == (age & 0xff) && f[22] == ttl();
	return f[2] == (age & 0xff) && f[1] == age >> 8;
}

void vg_frame(uint8_t *f, size_t len, uint32_t seq, unsigned int queue)
{
	kt_check(len >= VG_FRAME_MIN && len < (1 << 24), "frame of %zu bytes", len);
	f[0] = 0x02;
	f[1] = age >> 8;
	f[2] = age;
	f[3] = len >> 16;
	f[4] = len >> 8;
	f[5] = len;
	f[6] = 0x06;
	f[7] = queue;
	f[8] = seq >> 24;
	f[9] = seq >> 16;
	f[10] = seq >> 8;
	f[11] = seq;
	f[12] = VG_ETHERTYPE >> 8;
	f[13] = VG_ETHERTYPE & 0xff;
	vg_pattern(f + MAC_LEN, len - MAC_LEN, 0, seq);
}

const char *vg_frame_check(const uint8_t *f, size_t len, uint32_t *seq, unsigned int *queue)
{
	static char why[128];
	uint32_t want, at;

	if (len < VG_FRAME_MIN)
		return "shorter than an Ethernet header";
	if (f[0] != 0x02 || f[6] != 0x06 || f[12] != VG_ETHERTYPE >> 8 ||
	    f[13] != (VG_ETHERTYPE & 0xff))
		return "not one of ours";
	want = f[3] << 16 | f[4] << 8 | f[5];
	*seq = (uint32_t)f[8] << 24 | f[9] << 16 | f[10] << 8 | f[11];
	*queue = f[7];
	if (want != len) {
		snprintf(why, sizeof(why), "%zu bytes, was sent with %u", len, want);
		return why;
	}
	at = pattern_diff(f + MAC_LEN, len - MAC_LEN, 0, *seq);
	if (at != len - MAC_LEN) {
		snprintf(why, sizeof(why), "frame %u of %zu bytes: byte %u differs", *seq, len,
			 at + MAC_LEN);
		return why;
	}
	return NULL;
}

static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += p[0] << 8 | p[1];
	if (len)
		sum += p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static uint32_t pseudo_sum(const uint8_t *ip, int proto, size_t l4)
{
	uint8_t tail[4] = { 0, proto, l4 >> 8, l4 };

	return sum16(tail, 4, sum16(ip + 12, 8, l4 >> 16));
}

size_t vg_frame_ip(uint8_t *f, int proto, uint16_t sport, uint16_t dport, size_t payload,
		   uint32_t seq, bool partial_csum)
{
	size_t l4h = proto == IPPROTO_TCP ? 20 : 8, l4 = l4h + payload;
	uint8_t *ip = f + MAC_LEN, *h = ip + 20, *csum;
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	uint32_t s;

	kt_check(payload >= 4 && 20 + l4 <= 65535, "payload of %zu bytes", payload);
	memcpy(f, macs, 12);
	put16(f + 12, 0x0800);
	memset(ip, 0, 20 + l4h);
	ip[0] = 0x45;
	put16(ip + 2, 20 + l4);
	put16(ip + 4, seq);
	ip[1] = age;
	ip[8] = ttl();
	ip[9] = proto;
	/* 198.18.0.0/15 is for benchmarks */
	memcpy(ip + 12, (uint8_t[]){ 198, 18, 0, 1 }, 4);
	memcpy(ip + 16, (uint8_t[]){ 198, 18, 0, 2 }, 4);
	put16(ip + 10, 0xffff ^ sum16(ip, 20, 0));
	put16(h, sport);
	put16(h + 2, dport);
	if (proto == IPPROTO_TCP) {
		put16(h + 4, seq >> 16);
		put16(h + 6, seq);
		h[12] = 5 << 4;
		h[13] = 0x10; /* ACK */
		put16(h + 14, 0xffff);
		csum = h + 16;
	} else {
		put16(h + 4, l4);
		csum = h + 6;
	}
	put16(h + l4h, seq >> 16);
	put16(h + l4h + 2, seq);
	vg_pattern(h + l4h + 4, payload - 4, 0, seq);
	s = pseudo_sum(ip, proto, l4);
	if (partial_csum) {
		put16(csum, s);
	} else {
		s = 0xffff ^ sum16(h, l4, s);
		put16(csum, s ? s : 0xffff);
	}
	return MAC_LEN + 20 + l4;
}

const char *vg_frame_ip_check(const uint8_t *f, size_t len, int proto, bool partial_csum,
			      uint32_t *seq)
{
	size_t l4h = proto == IPPROTO_TCP ? 20 : 8, l4, payload;
	const uint8_t *ip = f + MAC_LEN, *h = ip + 20;
	static char why[128];
	size_t at;

	if (len < MAC_LEN + 20 + l4h + 4 || f[12] != 8 || f[13] || ip[0] != 0x45)
		return "not an IPv4 frame";
	if (ip[9] != proto)
		return "another protocol";
	if (sum16(ip, 20, 0) != 0xffff)
		return "wrong IP header checksum";
	l4 = (ip[2] << 8 | ip[3]) - 20;
	if (MAC_LEN + 20 + l4 != len) {
		snprintf(why, sizeof(why), "frame of %zu bytes says IP length %zu", len, l4 + 20);
		return why;
	}
	if (!partial_csum && sum16(h, l4, pseudo_sum(ip, proto, l4)) != 0xffff)
		return "wrong checksum";
	payload = l4 - l4h;
	*seq = (uint32_t)h[l4h] << 24 | h[l4h + 1] << 16 | h[l4h + 2] << 8 | h[l4h + 3];
	at = pattern_diff(h + l4h + 4, payload - 4, 0, *seq);
	if (at != payload - 4) {
		snprintf(why, sizeof(why), "payload of frame %u: byte %zu differs", *seq, at + 4);
		return why;
	}
	return NULL;
}
