// SPDX-License-Identifier: GPL-2.0-only
/*
 * layout.c - whether a page of doorbells has something else in it, and how long the
 * configuration is: vfio/layout.c, compiled here, on functions that are made up, since the
 * emulator's are all laid out alike; and what the real function's configuration space says
 * agrees with what can be mapped
 */
#include <linux/pci.h>
#include <linux/virtio_pci.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vdpa.h"

#define PAGE_SIZE VG_PAGE

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* ---- what of Linux the file needs: a function's configuration space */

struct pci_dev {
	u8 config[256];
	u8 msix_cap;
	u64 bar[PCI_STD_NUM_BARS]; /* their lengths */
};

#define pci_resource_len(pdev, nr) ((pdev)->bar[nr])

static void read_config(const struct pci_dev *pdev, int at, void *to, size_t len)
{
	kt_check(at >= 0 && at + len <= sizeof(pdev->config), "configuration space at %d", at);
	memcpy(to, pdev->config + at, len);
}

#define pci_read_config_byte(pdev, at, to)  read_config(pdev, at, to, sizeof(u8))
#define pci_read_config_word(pdev, at, to)  read_config(pdev, at, to, sizeof(u16))
#define pci_read_config_dword(pdev, at, to) read_config(pdev, at, to, sizeof(u32))

static int find_from(const struct pci_dev *pdev, u8 pos, u8 id)
{
	unsigned int n;

	for (n = 0; n < 48 && pos >= 0x40; n++, pos = pdev->config[pos + 1] & ~3)
		if (pdev->config[pos] == id)
			return pos;
	return 0;
}

static int pci_find_capability(const struct pci_dev *pdev, u8 id)
{
	return find_from(pdev, pdev->config[PCI_CAPABILITY_LIST] & ~3, id);
}

static int pci_find_next_capability(const struct pci_dev *pdev, u8 pos, u8 id)
{
	return find_from(pdev, pdev->config[pos + 1] & ~3, id);
}

#include "../../vfio/layout.c"

/* ---- functions that are made up */

/* Another capability behind those that there are; the first is at 0x40. */
static u8 add_cap(struct pci_dev *pdev, u8 id, u8 len)
{
	u8 *link = &pdev->config[PCI_CAPABILITY_LIST], pos = 0x40;

	while (*link) {
		u8 at = *link;

		pos = at + (pdev->config[at] == PCI_CAP_ID_MSIX ? 12 : pdev->config[at + 2]);
		link = &pdev->config[at + 1];
	}
	*link = pos;
	pdev->config[pos] = id;
	if (id == PCI_CAP_ID_VNDR)
		pdev->config[pos + 2] = len;
	return pos;
}

static void put32(struct pci_dev *pdev, int at, u32 v)
{
	memcpy(pdev->config + at, &v, sizeof(v));
}

static void add_virtio(struct pci_dev *pdev, u8 type, u8 bar, u64 first, u64 len)
{
	bool far = type == VIRTIO_PCI_CAP_SHARED_MEMORY_CFG;
	u8 pos = add_cap(pdev, PCI_CAP_ID_VNDR, far ? 24 : 16);

	pdev->config[pos + VIRTIO_PCI_CAP_CFG_TYPE] = type;
	pdev->config[pos + VIRTIO_PCI_CAP_BAR] = bar;
	put32(pdev, pos + VIRTIO_PCI_CAP_OFFSET, first);
	put32(pdev, pos + VIRTIO_PCI_CAP_LENGTH, len);
	if (far) {
		put32(pdev, pos + 16, first >> 32);
		put32(pdev, pos + 20, len >> 32);
	}
}

static void add_msix(struct pci_dev *pdev, u16 vectors, u8 bar, u32 table, u8 pba_bar, u32 pba)
{
	u8 pos = add_cap(pdev, PCI_CAP_ID_MSIX, 0);
	u16 flags = vectors - 1;

	memcpy(pdev->config + pos + PCI_MSIX_FLAGS, &flags, sizeof(flags));
	put32(pdev, pos + PCI_MSIX_TABLE, table | bar);
	put32(pdev, pos + PCI_MSIX_PBA, pba | pba_bar);
	pdev->msix_cap = pos;
}

static void is(struct pci_dev *pdev, u8 bar, u64 page, bool taken)
{
	kt_check(svfio_page_taken(pdev, bar, page) == taken, "BAR %u at %#llx is %s", bar,
		 (unsigned long long)page, taken ? "not taken" : "taken");
}

/* As the emulator has it: interrupts in a BAR of their own. */
static void apart(long arg)
{
	struct pci_dev pdev = { 0 };

	(void)arg;
	is(&pdev, 4, 0, false);
	add_msix(&pdev, 6, 1, 0, 1, 0x800);
	add_virtio(&pdev, VIRTIO_PCI_CAP_COMMON_CFG, 4, 0, 0x1000);
	add_virtio(&pdev, VIRTIO_PCI_CAP_ISR_CFG, 4, 0x1000, 0x1000);
	add_virtio(&pdev, VIRTIO_PCI_CAP_DEVICE_CFG, 4, 0x2000, 0x1000);
	add_virtio(&pdev, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 0x3000, 0x400000);
	add_virtio(&pdev, VIRTIO_PCI_CAP_PCI_CFG, 4, 0x3000, 4);
	is(&pdev, 4, 0, true);
	is(&pdev, 4, 0x1000, true);
	is(&pdev, 4, 0x2000, true);
	is(&pdev, 4, 0x3000, false);
	is(&pdev, 4, 0x5000, false);
	is(&pdev, 1, 0, true);
	is(&pdev, 1, 0x1000, false);
}

/* Table and pending bits at each end of the page before, in it, and behind it. */
static void interrupts(long arg)
{
	static const struct {
		u16 vectors;
		u32 table, pba;
		bool taken;
	} at[] = {
		{ 16, 0x3f00, 0x3ef8, false }, /* end where the page begins */
		{ 17, 0x3f00, 0x3ef0, true },  /* the table is one longer */
		{ 64, 0x1000, 0x3ff8, false }, /* so do the bits */
		{ 65, 0x1000, 0x3ff8, true },  /* one more needs another word */
		{ 1, 0x4ff0, 0x1000, true },   /* the last of the page */
		{ 1, 0x1000, 0x4ff8, true },   { 1, 0x5000, 0x5010, false },
		{ 2048, 0, 0x10000, true }, /* all around it */
	};
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct pci_dev pdev = { 0 };

		add_virtio(&pdev, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 0x4000, 0x1000);
		add_msix(&pdev, at[i].vectors, 4, at[i].table, 4, at[i].pba);
		kt_check(svfio_page_taken(&pdev, 4, 0x4000) == at[i].taken, "number %u", i);
		is(&pdev, 2, 0x4000, false);
	}
}

static void structures(long arg)
{
	static const struct {
		u8 type;
		u64 first, len;
		bool taken;
	} at[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, 0x3fc8, 0x38, false },
		{ VIRTIO_PCI_CAP_COMMON_CFG, 0x3fcc, 0x38, true },
		{ VIRTIO_PCI_CAP_ISR_CFG, 0x4fff, 1, true },
		{ VIRTIO_PCI_CAP_ISR_CFG, 0x5000, 1, false },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 0x4800, 0, false },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 0, 0xffffffff, true },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 0xfffffff0, 0xffffffff, false },
		{ 77, 0x4100, 4, true }, /* whatever that is */
		{ VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, 0x100004000ull, 0x1000, false },
		{ VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, 0x1000, 0x100000000ull, true },
		{ VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, ~0ull, 2, true },
		{ VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, ~0ull, ~0ull, true },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, 0x4000, 0x1000, false },
		{ VIRTIO_PCI_CAP_PCI_CFG, 0x4000, 4, false },
	};
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct pci_dev pdev = { 0 };

		add_virtio(&pdev, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 0x4000, 0x1000);
		add_virtio(&pdev, at[i].type, 4, at[i].first, at[i].len);
		kt_check(svfio_page_taken(&pdev, 4, 0x4000) == at[i].taken, "number %u", i);
		is(&pdev, 3, 0x4000, false);
	}
}

static void in_circles(long arg)
{
	struct pci_dev pdev = { 0 };

	(void)arg;
	add_virtio(&pdev, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 0x4000, 0x1000);
	add_virtio(&pdev, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 0x4000, 0x1000);
	pdev.config[pdev.config[PCI_CAPABILITY_LIST] + 16 + 1] = pdev.config[PCI_CAPABILITY_LIST];
	is(&pdev, 4, 0x4000, false);
	pdev.bar[4] = 0x8000;
	kt_check(!svfio_config_len(&pdev, 60), "a configuration that there is not");
}

static void configurations(long arg)
{
	static const struct {
		u64 bar, first, mapped;
		u32 len;
	} at[] = {
		{ 0x4000, 0x2000, 60, 60 },
		{ 0x4000, 0x3ff0, 60, 16 }, /* goes over the end */
		{ 0x4000, 0x4000, 60, 0 },  /* begins there */
		{ 0x4000, 0xfffffff0, 60, 0 },
		{ 0x4000, 0, 0x4000, VG_PAGE }, /* no more than that */
		{ 0, 0x2000, 60, 0 },		/* in no BAR */
	};
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct pci_dev pdev = { .bar = { [4] = at[i].bar, [2] = 0x8000 } };
		u32 len;

		add_virtio(&pdev, VIRTIO_PCI_CAP_COMMON_CFG, 4, 0, 0x38);
		add_virtio(&pdev, VIRTIO_PCI_CAP_DEVICE_CFG, 0, 0, 0x1000);
		add_virtio(&pdev, VIRTIO_PCI_CAP_DEVICE_CFG, 77, 0, 0x1000);
		add_virtio(&pdev, VIRTIO_PCI_CAP_DEVICE_CFG, 4, at[i].first, 0x1000);
		len = svfio_config_len(&pdev, at[i].mapped);
		kt_check(len == at[i].len, "number %u: %u bytes, wanted %u", i, len, at[i].len);
	}
}

/* Of the real one: where its doorbells are is for its notify structure to say. */
static void real(long arg)
{
	struct pci_dev pdev = { 0 };
	char path[128], val[16];
	int fd = vf_open(), pos;
	u32 first = 0;
	u8 type, bar = 0;
	bool page;
	FILE *f;

	(void)arg;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", vf_bdf());
	f = fopen(path, "r");
	kt_check(f && fread(pdev.config, sizeof(pdev.config), 1, f) == 1, "%s: %m", path);
	fclose(f);
	pdev.msix_cap = pci_find_capability(&pdev, PCI_CAP_ID_MSIX);
	kt_check(pdev.msix_cap, "a function without MSI-X");
	for (pos = pci_find_capability(&pdev, PCI_CAP_ID_VNDR); pos;
	     pos = pci_find_next_capability(&pdev, pos, PCI_CAP_ID_VNDR)) {
		pci_read_config_byte(&pdev, pos + VIRTIO_PCI_CAP_CFG_TYPE, &type);
		if (type != VIRTIO_PCI_CAP_NOTIFY_CFG)
			continue;
		pci_read_config_byte(&pdev, pos + VIRTIO_PCI_CAP_BAR, &bar);
		pci_read_config_dword(&pdev, pos + VIRTIO_PCI_CAP_OFFSET, &first);
		break;
	}
	kt_check(pos, "a function without doorbells");
	kt_check(vg_fdinfo(fd, "vq0-doorbell", val, sizeof(val)), "fdinfo has no vq0-doorbell");
	page = !strcmp(val, "page");
	kt_note("BAR %u at %#x: %s", bar, first, val);
	kt_check(!page || !svfio_page_taken(&pdev, bar, first), "not in a page of its own");
	kt_check(page == (mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED),
		 "it is mapped, or is not: %m");
}

static const struct kt_case cases[] = {
	{ "doorbells apart from everything else", apart, 0, 0, VG_ON_ONCE },
	{ "interrupts in the page of a doorbell", interrupts, 0, 0, VG_ON_ONCE },
	{ "structures in the page of a doorbell", structures, 0, 0, VG_ON_ONCE },
	{ "a configuration, and its end", configurations, 0, 0, VG_ON_ONCE },
	{ "capabilities that go in circles", in_circles, 0, 0, VG_ON_ONCE },
	{ "what can be mapped of the real one", real, 0, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
