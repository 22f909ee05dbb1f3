// SPDX-License-Identifier: GPL-2.0-only
/*
 * disk - what a guest does with a disk: writes that can be told from each other afterwards
 *
 *	disk fill DEVICE MIB SEED	write MIB from the beginning
 *	disk check DEVICE MIB SEED	see that it is what `fill` wrote
 *	disk load DEVICE MIB THREADS	random writes and reads of that area until SIGUSR1, a
 *					request a thread at a time, every read checked; then
 *					check it all
 *	disk reads DEVICE MIB COUNT	COUNT random reads
 *	disk rate DEVICE MIB THREADS	random reads until SIGUSR1, a request a thread at a time
 *
 * All by direct I/O, so that each call is a request. A block of 4 KiB says in each of its words
 * which block it is and which version: a version that was acknowledged may not go back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	    4096
#define WORDS	    (BLOCK / sizeof(uint64_t))
#define CHUNK	    (1 << 20)
#define THREADS_MAX 128
#define AT_WORK_MS  500

static int fd;
static uint64_t block_count;
static volatile sig_atomic_t ending;
static atomic_uint_fast64_t writes, reads;

/* Version of each block that was acknowledged last; one thread at a time has a block. */
static uint32_t *versions;
static atomic_flag *taken;

static void die(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *aligned(size_t size)
{
	void *buffer;

	if (posix_memalign(&buffer, BLOCK, size))
		die("memory");
	return buffer;
}

static uint64_t word(uint64_t block, uint32_t version, unsigned int at)
{
	return (block << 32 | version) * 0x9e3779b97f4a7c15u + at;
}

static void make(uint64_t *buffer, uint64_t block, uint32_t version)
{
	for (unsigned int i = 0; i < WORDS; i++)
		buffer[i] = word(block, version, i);
}

static void compare(const uint64_t *buffer, uint64_t block, uint32_t version)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		if (buffer[i] == word(block, version, i))
			continue;
		printf("failed: block %" PRIu64 " version %" PRIu32 " word %u: %#" PRIx64
		       " instead of %#" PRIx64 "\n",
		       block, version, i, buffer[i], word(block, version, i));
		exit(1);
	}
}

static void transfer(bool write, void *buffer, size_t size, uint64_t offset)
{
	ssize_t done = write ? pwrite(fd, buffer, size, (off_t)offset) :
			       pread(fd, buffer, size, (off_t)offset);

	if (done != (ssize_t)size)
		die(write ? "write" : "read");
}

static void whole(bool write, uint32_t seed)
{
	uint64_t *buffer = aligned(CHUNK);

	for (uint64_t first = 0; first < block_count; first += CHUNK / BLOCK) {
		if (!write)
			transfer(false, buffer, CHUNK, first * BLOCK);
		for (uint64_t i = 0; i < CHUNK / BLOCK; i++) {
			if (write)
				make(buffer + i * WORDS, first + i, seed);
			else
				compare(buffer + i * WORDS, first + i, seed);
		}
		if (write)
			transfer(true, buffer, CHUNK, first * BLOCK);
	}
	if (write && fsync(fd))
		die("fsync");
	free(buffer);
}

static void *worker(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	uint64_t *buffer = aligned(BLOCK);

	while (!ending) {
		uint64_t block = (uint64_t)rand_r(&seed) % block_count;

		if (atomic_flag_test_and_set(&taken[block]))
			continue;
		if (rand_r(&seed) & 1) {
			make(buffer, block, versions[block] + 1);
			transfer(true, buffer, BLOCK, block * BLOCK);
			versions[block]++;
			atomic_fetch_add(&writes, 1);
		} else {
			transfer(false, buffer, BLOCK, block * BLOCK);
			compare(buffer, block, versions[block]);
			atomic_fetch_add(&reads, 1);
		}
		atomic_flag_clear(&taken[block]);
	}
	free(buffer);
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

/* Begin @count threads, which end at SIGUSR1. */
static void start(pthread_t *threads, unsigned int count, void *(*run)(void *))
{
	const struct sigaction action = { .sa_handler = on_signal };

	if (!count || count > THREADS_MAX)
		die("threads");
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1)))
			die("thread");
}

static void join(const pthread_t *threads, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void load(unsigned int count)
{
	pthread_t threads[THREADS_MAX];
	uint64_t *buffer = aligned(BLOCK);

	versions = calloc(block_count, sizeof(*versions));
	taken = calloc(block_count, sizeof(*taken));
	if (!versions || !taken)
		die("memory");
	whole(true, 0);
	start(threads, count, worker);
	while (!ending) {
		printf("writes=%" PRIuFAST64 " reads=%" PRIuFAST64 "\n", writes, reads);
		fflush(stdout);
		usleep(AT_WORK_MS * 1000);
	}
	join(threads, count);
	for (uint64_t block = 0; block < block_count; block++) {
		transfer(false, buffer, BLOCK, block * BLOCK);
		compare(buffer, block, versions[block]);
	}
	free(buffer);
}

static void random_reads(uint64_t count, unsigned int seed)
{
	uint64_t *buffer = aligned(BLOCK);

	for (; count && !ending; count--)
		transfer(false, buffer, BLOCK, (uint64_t)rand_r(&seed) % block_count * BLOCK);
	free(buffer);
}

static void *reader(void *arg)
{
	random_reads(UINT64_MAX, (unsigned int)(uintptr_t)arg);
	return NULL;
}

static void rate(unsigned int count)
{
	pthread_t threads[THREADS_MAX];

	start(threads, count, reader);
	join(threads, count);
}

int main(int argc, char **argv)
{
	unsigned long mib, number;

	if (argc != 5) {
		fprintf(stderr, "usage: disk fill|check|load|reads|rate DEVICE MIB NUMBER\n");
		return 2;
	}
	fd = open(argv[2], O_RDWR | O_DIRECT);
	if (fd < 0 && errno == EROFS)
		fd = open(argv[2], O_RDONLY | O_DIRECT);
	if (fd < 0)
		die(argv[2]);
	mib = strtoul(argv[3], NULL, 10);
	number = strtoul(argv[4], NULL, 10);
	block_count = mib * (CHUNK / BLOCK);
	if (!block_count)
		die("size");
	if (!strcmp(argv[1], "fill"))
		whole(true, (uint32_t)number);
	else if (!strcmp(argv[1], "check"))
		whole(false, (uint32_t)number);
	else if (!strcmp(argv[1], "load"))
		load((unsigned int)number);
	else if (!strcmp(argv[1], "rate"))
		rate((unsigned int)number);
	else
		random_reads(number, 1);
	printf("ok writes=%" PRIuFAST64 " reads=%" PRIuFAST64 "\n", writes, reads);
	return 0;
}
