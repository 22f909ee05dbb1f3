// SPDX-License-Identifier: GPL-2.0-only
/*
 * threads.c - the ring between two threads, with its own barriers
 *
 * One thread is a driver (threads_driver.c), the other a device that does what a
 * queue's worker does: suppress kicks, fetch, return, signal, ask for kicks, look
 * once more, sleep. Each sleeps only when the other one will wake it; a wake-up
 * that is lost shows as work that nobody does, and fails the run.
 *
 * The same source is two programs:
 *
 * ring_threads       the barriers are the processor's. It shows what this processor can
 *               do wrong, and lost wake-ups above all: x86, too, loads before it
 *               stores. It does not show what only weaker processors do.
 * ring_threads_tsan  the barriers are those of ThreadSanitizer's model, and plain memory
 *               that both sides touch without order between them is a report, on
 *               any processor. A smp_rmb() acquires what the load before it found
 *               and a smp_wmb() makes a release of the next WRITE_ONCE(): the first
 *               is less than a fence does, so nothing is hidden by it; with the
 *               second, stores between the barrier and the WRITE_ONCE() would pass
 *               as ordered: there are none. A smp_mb() is both, and a fence: that
 *               it keeps a store before a load is not in the model, and so is seen
 *               by stalls only.
 *
 * What neither can show, litmus.c does: all orders, and weak ones. A run takes
 * --seconds for each set-up, however many requests that makes.
 *
 * With --without mb, rmb or wmb the ring's barriers of this kind do nothing, and
 * the run is to fail: that is how we know that it looks (./races).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"

#if TSAN
#include <sanitizer/tsan_interface.h>
#endif
#define fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#define SPINS 400 /* looks at a bell before sleeping */

/* ---- barriers ---- */

__thread const volatile void *shim_loaded;
__thread int shim_release;
static bool no_mb, no_rmb, no_wmb;

void acquire_word(const volatile void *in)
{
#if TSAN
	char *word = (char *)((unsigned long)in & ~7ul);
	u32 i;

	for (i = 0; word && i < 8; i += 2)
		__tsan_acquire(word + i);
#else
	(void)in;
#endif
}

void shim_rmb(void)
{
	if (no_rmb)
		return;
	acquire_word(shim_loaded);
	if (!TSAN)
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

void shim_wmb(void)
{
	if (no_wmb)
		return;
	shim_release = TSAN;
	if (!TSAN)
		__atomic_thread_fence(__ATOMIC_RELEASE);
}

void shim_mb(void)
{
	__asm__ volatile("" ::: "memory");
	if (no_mb)
		return;
	shim_rmb();
	shim_release = TSAN && !no_wmb;
	fence();
}

void driver_mb(void)
{
	fence();
}

/* Called by ThreadSanitizer for each report. */
void __tsan_on_report(void *report);
static u32 reports;

void __tsan_on_report(void *report)
{
	(void)report;
	__atomic_fetch_add(&reports, 1, __ATOMIC_RELAXED);
}

/* ---- bells ---- */

static long futex(u32 *at, int op, u32 val, const struct timespec *limit)
{
	return syscall(SYS_futex, at, op, val, limit, NULL, 0);
}

void ring_bell(struct bell *b)
{
	__atomic_fetch_add(&b->rung, 1, __ATOMIC_RELAXED);
	fence();
	if (LOAD(&b->asleep))
		futex(&b->rung, FUTEX_WAKE_PRIVATE, 1, NULL);
}

void fail(struct world *w, const char *what)
{
	if (!__atomic_exchange_n(&w->failed, true, __ATOMIC_RELAXED))
		printf("# %s\n", what);
	ring_bell(&w->to_device);
	ring_bell(&w->to_driver);
}

bool wait_for(struct world *w, struct bell *b, bool (*missed)(struct world *w), const char *who)
{
	const struct timespec limit = { .tv_nsec = 300 * 1000 * 1000 };
	u32 stalls = 0, limits = 0, spins, rung;

	b->waits++;
	for (spins = 0; spins < SPINS && LOAD(&b->rung) == b->heard; spins++)
		;
	STORE(&b->asleep, true);
	fence();
	while ((rung = LOAD(&b->rung)) == b->heard && !LOAD(&w->failed)) {
		if (!futex(&b->rung, FUTEX_WAIT_PRIVATE, rung, &limit) || errno != ETIMEDOUT)
			continue;
		/* Something to do, and nobody said so: twice, it may just be coming. */
		stalls = missed(w) ? stalls + 1 : 0;
		if (stalls == 3 || ++limits == 100) {
			char what[80];

			snprintf(what, sizeof(what), "the %s %s", who,
				 stalls == 3 ? "sleeps, and there is work" : "waits in vain");
			fail(w, what);
		}
	}
	STORE(&b->asleep, false);
	b->heard = rung;
	return !LOAD(&w->failed);
}

double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

u32 any(u64 *seed, u32 below)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(*seed >> 33) % below;
}

static cpu_set_t cpus; /* those of the whole program */

void take_cpu(u32 nth)
{
	cpu_set_t one;
	u32 cpu;

	if (CPU_COUNT(&cpus) < 2)
		return;
	for (cpu = 0; !CPU_ISSET(cpu, &cpus) || nth--; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

void pause_a_bit(u64 *seed)
{
	u32 i = any(seed, 4) ? any(seed, 64) : any(seed, 1024);

	while (i--)
		__asm__ volatile("");
}

/* ---- the device ---- */

int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to, u32 len)
{
	(void)r, (void)part, (void)off, (void)to, (void)len;
	return -EFAULT; /* the ring is plain memory */
}

int ring_env_write(struct ring *r, enum ring_part part, u32 off, const void *from, u32 len)
{
	(void)r, (void)part, (void)off, (void)from, (void)len;
	return -EFAULT;
}

int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	(void)r, (void)addr, (void)to, (void)len;
	return -EFAULT;
}

int ring_env_wrote(struct ring *r, enum ring_part part, u32 off, u32 len)
{
	(void)r, (void)part, (void)off, (void)len;
	return -EFAULT;
}

static bool device_missed(struct world *w)
{
	return ring_pending(&w->ring) > 0;
}

/* Answer what was fetched. Request number @at has that number in it. */
static bool serve(struct world *w, const struct ring_batch *b, struct ring_done *done, u64 at)
{
	u32 i;

	for (i = 0; i < b->nr_req; i++) {
		const struct ring_req *req = &b->req[i];
		const struct ring_seg *seg = &b->seg[req->seg];
		struct buffer *buffer;

		if (req->out + req->in == 0 || seg->addr >= NUM_MAX || seg->len != (u32)(at + i)) {
			fail(w, "the device fetched what was not offered");
			return false;
		}
		buffer = &w->buffers[seg->addr];
		if (buffer->question != at + i) {
			fail(w, "the device read what was there before");
			return false;
		}
		buffer->answer = ANSWER(at + i);
		done[i] = (struct ring_done){ .id = req->id,
					      .slots = req->slots,
					      .len = (u32)ANSWER(at + i),
					      .whole = true };
	}
	return true;
}

static void run_device(struct world *w)
{
	struct ring_done done[16];
	struct ring_req req[16];
	struct ring_seg seg[64];
	struct ring_batch b = { .req = req, .seg = seg, .max_req = 16, .max_seg = 64 };
	u64 seed = 7, served = 0;
	int n, signal, more = 1;

	while (!LOAD(&w->over) && !LOAD(&w->failed)) {
		if (any(&seed, 2) && ring_suppress(&w->ring))
			fail(w, "ring_suppress() failed");
		while ((n = ring_fetch(&w->ring, &b, 1 + any(&seed, 16))) > 0) {
			if (b.err || !serve(w, &b, done, served))
				return;
			if (ring_push(&w->ring, done, n))
				fail(w, "ring_push() failed");
			served += n;
			signal = ring_need_signal(&w->ring);
			if (signal < 0)
				fail(w, "ring_need_signal() failed");
			if (signal > 0)
				ring_bell(&w->to_driver);
		}
		if (n < 0)
			fail(w, "ring_fetch() failed");
		if (any(&seed, 2))
			pause_a_bit(&seed);
		more = ring_unsuppress(&w->ring);
		if (more < 0)
			fail(w, "ring_unsuppress() failed");
		if (!more && !wait_for(w, &w->to_device, device_missed, "device"))
			return;
	}
}

/* ---- runs ---- */

static bool run(const struct mode *mode, double seconds, u64 *requests, u64 *waits)
{
	struct world *w = aligned_alloc(64, sizeof(*w) + 64 - sizeof(*w) % 64);
	u32 i, before = LOAD(&reports);
	pthread_t driver;
	bool ok;

	memset(w, 0, sizeof(*w));
	w->mode = *mode;
	w->until = seconds_now() + seconds;
	w->ring.num = mode->num;
	w->ring.packed = mode->packed;
	w->ring.event_idx = mode->event_idx;
	w->ring.in_order = mode->in_order;
	w->ring.little_endian = true;
	for (i = 0; i < RING_PARTS; i++) {
		w->part[i] = aligned_alloc(4096, 4096);
		memset(w->part[i], 0, 4096);
		w->ring.map[i] = w->part[i];
	}
	ring_set_base(&w->ring, mode->packed ? 0x80008000 : 0);
	if (ring_start(&w->ring))
		fail(w, "ring_start() failed");
	driver_reset(w);
	if (pthread_create(&driver, NULL, run_driver, w))
		abort();
	run_device(w);
	pthread_join(driver, NULL);
	ok = !w->failed && before == LOAD(&reports);
	*requests = w->requests;
	*waits = w->to_device.waits + w->to_driver.waits;
	for (i = 0; i < RING_PARTS; i++)
		free(w->part[i]);
	free(w);
	return ok;
}

int main(int argc, char **argv)
{
	static const u32 sizes[] = { 2, 4, 16, 64 };
	double seconds = TSAN ? 0.1 : 0.2;
	u64 requests, waits;
	u32 i, mask, cases = 0, failures = 0;
	int arg;

	for (arg = 1; arg + 1 < argc; arg += 2) {
		if (!strcmp(argv[arg], "--without")) {
			no_mb |= !strcmp(argv[arg + 1], "mb");
			no_rmb |= !strcmp(argv[arg + 1], "rmb");
			no_wmb |= !strcmp(argv[arg + 1], "wmb");
		} else if (!strcmp(argv[arg], "--seconds")) {
			seconds = strtod(argv[arg + 1], NULL);
		} else {
			break;
		}
	}
	if (arg != argc) {
		fprintf(stderr, "usage: ring_threads [--without mb|rmb|wmb] [--seconds S]\n");
		return 2;
	}
	sched_getaffinity(0, sizeof(cpus), &cpus);
	take_cpu(0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (mask = 0; mask < 8; mask++) {
			const struct mode mode = {
				.num = sizes[i] + (mask & 1 && sizes[i] < NUM_MAX),
				.packed = mask & 1,
				.event_idx = mask & 2,
				.in_order = mask & 4,
			};
			bool ok = run(&mode, seconds, &requests, &waits);

			cases++;
			failures += !ok;
			printf("%sok %u threads: %s num=%u%s%s, %llu requests, %llu waits\n",
			       ok ? "" : "not ", cases, mode.packed ? "packed" : "split", mode.num,
			       mode.event_idx ? " event_idx" : "", mode.in_order ? " in_order" : "",
			       (unsigned long long)requests, (unsigned long long)waits);
		}
	}
	printf("1..%u\n", cases);
	printf("%u passed, %u failed, 0 skipped\n", cases - failures, failures);
	return failures != 0;
}
