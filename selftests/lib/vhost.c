// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost.c - the VMM's side: the ioctls of a vhost device, and its fdinfo
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

const char *vg_path(void)
{
	const char *p = getenv("SHUNT_DEV");

	return p && *p ? p : "/dev/shunt-net";
}

bool vg_is_shunt(void)
{
	return strcmp(vg_path(), "/dev/vhost-net") || getenv("SHUNT_STAND_IN");
}

void vg_need_shunt(void)
{
	if (!vg_is_shunt())
		kt_skip("a matter of shunt's own: the device is stock's");
}

int vg_open(void)
{
	int fd = open(vg_path(), O_RDWR | O_CLOEXEC);

	kt_check(fd >= 0, "open %s: %m", vg_path());
	return fd;
}

uint64_t vg_features(int fd)
{
	uint64_t f = 0;

	kt_sys(ioctl(fd, VHOST_GET_FEATURES, &f));
	return f;
}

int vg_set_features(int fd, uint64_t features)
{
	return ioctl(fd, VHOST_SET_FEATURES, &features);
}

int vg_set_mem_raw(int fd, const struct vhost_memory_region *r, uint32_t n, uint32_t padding)
{
	struct vhost_memory *m = calloc(1, sizeof(*m) + n * sizeof(*r));
	int ret, e;

	kt_check(m, "no memory");
	m->nregions = n;
	m->padding = padding;
	if (n)
		memcpy(m->regions, r, n * sizeof(*r));
	ret = ioctl(fd, VHOST_SET_MEM_TABLE, m);
	e = errno;
	free(m);
	errno = e;
	return ret;
}

int vg_set_mem(int fd, const struct vg_mem *m)
{
	struct vhost_memory_region *r = calloc(m->n, sizeof(*r));
	unsigned int i;
	int ret, e;

	kt_check(r, "no memory");
	for (i = 0; i < m->n; i++) {
		r[i].guest_phys_addr = m->r[i].gpa;
		r[i].memory_size = m->r[i].size;
		r[i].userspace_addr = (uintptr_t)m->r[i].va;
	}
	ret = vg_set_mem_raw(fd, r, m->n, 0);
	e = errno;
	free(r);
	errno = e;
	return ret;
}

int vg_vring_state(int fd, unsigned long req, unsigned int index, unsigned int num)
{
	struct vhost_vring_state s = { .index = index, .num = num };

	return ioctl(fd, req, &s);
}

int vg_vring_file(int fd, unsigned long req, unsigned int index, int file)
{
	struct vhost_vring_file f = { .index = index, .fd = file };

	return ioctl(fd, req, &f);
}

int vg_vring_addr(int fd, unsigned int index, unsigned int flags, uint64_t desc, uint64_t avail,
		  uint64_t used, uint64_t log)
{
	struct vhost_vring_addr a = {
		.index = index,
		.flags = flags,
		.desc_user_addr = desc,
		.avail_user_addr = avail,
		.used_user_addr = used,
		.log_guest_addr = log,
	};

	return ioctl(fd, VHOST_SET_VRING_ADDR, &a);
}

unsigned int vg_get_base(int fd, unsigned int index)
{
	struct vhost_vring_state s = { .index = index };

	kt_sys(ioctl(fd, VHOST_GET_VRING_BASE, &s));
	kt_check(s.index == index, "GET_VRING_BASE changed the index to %u", s.index);
	return s.num;
}

bool vg_fdinfo(int fd, const char *key, char *val, size_t size)
{
	char path[64], line[256];
	size_t n = strlen(key);
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	kt_check(f, "%s: %m", path);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, n) || line[n] != ':')
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(val, size, "%s", line + n + 1 + strspn(line + n + 1, " \t"));
		found = true;
		break;
	}
	fclose(f);
	return found;
}

uint64_t vg_fdinfo_u64(int fd, const char *key)
{
	char val[128], *end;
	uint64_t v;

	kt_check(vg_fdinfo(fd, key, val, sizeof(val)), "fdinfo has no key %s", key);
	v = strtoull(val, &end, 0);
	kt_check(end != val && !*end, "fdinfo %s: '%s' is not a number", key, val);
	return v;
}
