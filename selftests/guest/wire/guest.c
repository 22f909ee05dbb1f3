// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only the guest's side needs: memory that is watched over a migration,
 * and the network driver's queues and counters.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define PAGE	 4096u
#define WORDS	 (PAGE / sizeof(uint64_t))
#define BURST	 64    /* pages rewritten in one go */
#define BURST_US 10000 /* pause between two of them */
#define HOT	 512   /* pages among which they are chosen */
#define HOT_STEP 4     /* pages that this window moves on after a burst */

static volatile sig_atomic_t stop;

static void on_usr1(int sig)
{
	(void)sig;
	stop = 1;
}

static void page_write(uint64_t *page, uint64_t no, uint64_t generation)
{
	for (size_t i = 0; i < WORDS; i++)
		page[i] = (no << 40) ^ (generation << 16) ^ i;
}

static int page_wrong(const uint64_t *page, uint64_t no, uint64_t generation)
{
	for (size_t i = 0; i < WORDS; i++)
		if (page[i] != ((no << 40) ^ (generation << 16) ^ i))
			return 1;
	return 0;
}

/*
 * Every page holds its own number and the generation it was last written in,
 * which is kept apart.  A page is checked before it is rewritten, and all are
 * checked at the end: one that went missing on the way shows.  The rewrites
 * move slowly through the memory, so that one pass of a migration over what
 * has changed is short, and never finds nothing.
 */
int cmd_mem(int argc, char **argv)
{
	uint64_t pages, rewrites = 0, at = 12345, base = 0;
	struct sigaction sa = { .sa_handler = on_usr1 };
	uint32_t *generation;
	uint64_t *mem;

	errno = 0;
	if (argc != 2)
		die("mem: MIB wanted");
	pages = strtoull(argv[1], NULL, 10) * (1048576 / PAGE);
	if (!pages)
		die("mem: MIB wanted");
	mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	generation = calloc(pages, sizeof(*generation));
	if (mem == MAP_FAILED || !generation)
		die("memory");
	sigaction(SIGUSR1, &sa, NULL);
	for (uint64_t no = 0; no < pages; no++)
		page_write(mem + no * WORDS, no, 0);
	printf("ready pages=%llu\n", (unsigned long long)pages);
	while (!stop) {
		for (int i = 0; i < BURST && !stop; i++) {
			uint64_t no;

			at = at * 6364136223846793005ull + 1442695040888963407ull;
			no = (base + (at >> 33) % HOT) % pages;
			if (page_wrong(mem + no * WORDS, no, generation[no]))
				goto wrong;
			page_write(mem + no * WORDS, no, ++generation[no]);
			rewrites++;
		}
		base += HOT_STEP;
		usleep(BURST_US);
	}
	for (uint64_t no = 0; no < pages; no++)
		if (page_wrong(mem + no * WORDS, no, generation[no]))
			goto wrong;
	printf("ok pages=%llu rewrites=%llu\n", (unsigned long long)pages,
	       (unsigned long long)rewrites);
	return 0;
wrong:
	printf("failed: a page does not hold what was written to it\n");
	return 1;
}

static int ethtool(const char *dev, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0 || strlen(dev) >= IFNAMSIZ)
		die("device name");
	strcpy(ifr.ifr_name, dev);
	ret = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return ret;
}

int cmd_queues(int argc, char **argv)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };

	errno = 0;
	if (argc != 3)
		die("queues: DEVICE N wanted");
	if (ethtool(argv[1], &ch))
		die("read the queue count");
	ch.cmd = ETHTOOL_SCHANNELS;
	ch.combined_count = atoi(argv[2]);
	if (ethtool(argv[1], &ch))
		die("set the queue count");
	ch.cmd = ETHTOOL_GCHANNELS;
	if (ethtool(argv[1], &ch))
		die("read the queue count");
	printf("ok queues=%u max=%u\n", ch.combined_count, ch.max_combined);
	return 0;
}

int cmd_stats(int argc, char **argv)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} set = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_STATS } };
	struct ethtool_gstrings *names;
	struct ethtool_stats *values;

	errno = 0;
	if (argc != 2)
		die("stats: DEVICE wanted");
	if (ethtool(argv[1], &set))
		die("number of counters");
	names = calloc(1, sizeof(*names) + set.count * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + set.count * sizeof(uint64_t));
	if (!names || !values)
		die("memory");
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = set.count;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = set.count;
	if (ethtool(argv[1], names) || ethtool(argv[1], values))
		die("read the counters");
	printf("ok");
	for (uint32_t i = 0; i < set.count; i++)
		printf(" %.*s=%llu", ETH_GSTRING_LEN, (char *)names->data + i * ETH_GSTRING_LEN,
		       (unsigned long long)values->data[i]);
	printf("\n");
	return 0;
}
