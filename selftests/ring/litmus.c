// SPDX-License-Identifier: GPL-2.0-only
/*
 * litmus.c - runs each case of litmus_cases.c in every order that there is
 *
 * A run makes choices: choose(). The list of choices made is changed at its end,
 * as an odometer, until all were had; so the number of runs is finite, always the
 * same, and a bad one can be found again.
 */
#include "litmus.h"

#define CHOICES 200
#define WRITES	64
#define LOADS	64
#define MOST	8 /* bytes at once */

static unsigned int without; /* barriers that are left out */
struct layout layout;

/* ---- choices ---- */

static struct {
	u32 took, of;
} path[CHOICES];
static u32 depth, length;

/* One of @of numbers from 0 on; a later run gets the others. */
static u32 choose(u32 of)
{
	if (of == 1)
		return 0;
	if (depth == length) {
		if (length == CHOICES) {
			printf("Bail out! too many choices in one run\n");
			exit(1);
		}
		path[length].took = 0;
		path[length++].of = of;
	}
	return path[depth++].took;
}

/* The next run; false: there is none. */
static bool next_run(void)
{
	depth = 0;
	while (length && path[length - 1].took + 1 == path[length - 1].of)
		length--;
	if (length)
		path[length - 1].took++;
	return length;
}

/* ---- memory, and how it became what it is ---- */

static u8 memory[RING_PARTS][MEMORY];

struct write {
	enum ring_part part;
	u32 off, len, group; /* group: number of smp_wmb() before it */
	u8 bytes[MOST];
};

static u8 initial[RING_PARTS][MEMORY];
static struct write history[WRITES]; /* what got into memory, in that order */
static u32 now;			     /* how many */
static struct write buffer[WRITES];  /* stores of the device that did not */
static u32 nr_buffer, group;
static u32 seen, view; /* when loads were made; when they are to be made at least */

/* Loads of a place are in order among themselves. */
static struct {
	enum ring_part part;
	u32 off, at;
} loads[LOADS];
static u32 nr_loads;
static bool alone; /* nobody is in between, and nothing waits */

static void apply(const struct write *w, u8 to[RING_PARTS][MEMORY])
{
	memcpy(to[w->part] + w->off, w->bytes, w->len);
}

static void commit(const struct write *w)
{
	if (now == WRITES) {
		printf("Bail out! too many writes in one run\n");
		exit(1);
	}
	history[now++] = *w;
	apply(w, memory);
}

static bool overlap(const struct write *w, enum ring_part part, u32 off, u32 len)
{
	return w->part == part && w->off < off + len && off < w->off + w->len;
}

/* Whether the store at @i of the buffer may get into memory now. */
static bool may_leave(u32 i)
{
	u32 j;

	for (j = 0; j < i; j++)
		if (buffer[j].group < buffer[i].group ||
		    overlap(&buffer[j], buffer[i].part, buffer[i].off, buffer[i].len))
			return false;
	return true;
}

static void leave(u32 i)
{
	commit(&buffer[i]);
	memmove(buffer + i, buffer + i + 1, (--nr_buffer - i) * sizeof(*buffer));
}

/* ---- a ring that is mapped ---- */

/* What the device has before it. Nothing that is in memory looks like POISON. */
#define POISON 0xa5
static u8 mapped[RING_PARTS][MEMORY], nothing[RING_PARTS][MEMORY];

static void put_off(enum ring_part part, u32 off, const void *from, u32 len)
{
	struct write *w;

	if (len > MOST || nr_buffer == WRITES)
		abort();
	w = &buffer[nr_buffer++];
	w->part = part;
	w->off = off;
	w->len = len;
	w->group = group;
	memcpy(w->bytes, from, len);
}

/* Put off what was stored without WRITE_ONCE(), in pieces of up to 8 bytes. */
static void find_stores(void)
{
	u32 part, off, len;

	for (part = 0; layout.mapped && part < RING_PARTS; part++) {
		if (!memcmp(mapped[part], nothing[part], MEMORY))
			continue;
		for (off = 0; off < MEMORY; off += len ? len : 1) {
			for (len = 0; off + len < MEMORY && len < MOST; len++)
				if (mapped[part][off + len] == POISON)
					break;
			if (!len)
				continue;
			if (alone)
				memcpy(memory[part] + off, mapped[part] + off, len);
			else
				put_off(part, off, mapped[part] + off, len);
		}
		memset(mapped[part], POISON, MEMORY);
	}
}

/* ---- the driver ---- */

static const struct litmus *this;
static u32 step;
static bool driver_done;

static void driver_step(void)
{
	driver_done = !this->driver(step++);
}

u64 driver_load(enum ring_part part, u32 off, u32 len)
{
	u64 val = 0;

	memcpy(&val, memory[part] + off, len);
	return val;
}

void driver_store(enum ring_part part, u32 off, u32 len, u64 val)
{
	struct write w = { .part = part, .off = off, .len = len };

	memcpy(w.bytes, &val, len);
	if (alone)
		apply(&w, memory);
	else
		commit(&w);
}

/* ---- the device ---- */

/* What may happen before the device's next access; @end: all that is left. */
static void meanwhile(bool end)
{
	u32 i, nr, may[WRITES], took;

	for (;;) {
		for (nr = 0, i = 0; i < nr_buffer; i++)
			if (may_leave(i))
				may[nr++] = i;
		took = !end + !driver_done + nr;
		if (!took)
			return;
		took = choose(took);
		if (!end && !took--)
			return;
		if (!driver_done && !took--)
			driver_step();
		else
			leave(may[took]);
	}
}

/* The first moment at which a load of this place can be made. */
static u32 earliest(enum ring_part part, u32 off, u32 len)
{
	u32 i, at = view;

	for (i = 0; i < nr_loads; i++)
		if (loads[i].part == part && loads[i].off < off + len &&
		    off < loads[i].off + MOST && loads[i].at > at)
			at = loads[i].at;
	return at;
}

/* The bytes of @w that are in @len from @off on. */
static void overlay(const struct write *w, enum ring_part part, u32 off, u8 *to, u32 len)
{
	u32 i;

	if (!overlap(w, part, off, len))
		return;
	for (i = 0; i < w->len; i++)
		if (w->off + i >= off && w->off + i < off + len)
			to[w->off + i - off] = w->bytes[i];
}

static void load(enum ring_part part, u32 off, u8 *to, u32 len)
{
	u32 i, nr = 0, at[WRITES + 1], first = earliest(part, off, len);
	u8 values[WRITES + 1][MOST], then[MOST];

	/* Each value that was there, and when that was for the first time. */
	memcpy(then, initial[part] + off, len);
	at[0] = first;
	for (i = 0; i <= now; i++) {
		if (i)
			overlay(&history[i - 1], part, off, then, len);
		if (i < first || (nr && !memcmp(values[nr - 1], then, len)))
			continue;
		at[nr] = i;
		memcpy(values[nr++], then, len);
	}
	i = nr - 1 - choose(nr); /* as it is now, first */
	memcpy(to, values[i], len);
	if (at[i] > seen)
		seen = at[i];
	if (nr_loads < LOADS) {
		loads[nr_loads].part = part;
		loads[nr_loads].off = off;
		loads[nr_loads++].at = at[i];
	}
	/* What it stored itself is what it sees. */
	for (i = 0; i < nr_buffer; i++)
		overlay(&buffer[i], part, off, to, len);
}

static void device_load(enum ring_part part, u32 off, void *to, u32 len)
{
	u32 done, piece;

	find_stores();
	if (alone) {
		memcpy(to, memory[part] + off, len);
		return;
	}
	meanwhile(false);
	for (done = 0; done < len; done += piece) {
		piece = min(len - done, (u32)MOST);
		load(part, off + done, (u8 *)to + done, piece);
	}
}

static void device_store(enum ring_part part, u32 off, const void *from, u32 len)
{
	find_stores();
	if (alone) {
		memcpy(memory[part] + off, from, len);
		return;
	}
	meanwhile(false);
	put_off(part, off, from, len);
}

u64 device_reads(enum ring_part part, u32 off)
{
	u64 val;

	device_load(part, off, &val, sizeof(val));
	return val;
}

void device_writes(enum ring_part part, u32 off, u64 val)
{
	device_store(part, off, &val, sizeof(val));
}

void litmus_load(const void *from, void *to, unsigned int len)
{
	u32 at = (const u8 *)from - mapped[0];

	device_load(at / MEMORY, at % MEMORY, to, len);
}

void litmus_store(void *to, const void *from, unsigned int len)
{
	u32 at = (u8 *)to - mapped[0];

	device_store(at / MEMORY, at % MEMORY, from, len);
}

int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to, u32 len)
{
	(void)r;
	device_load(part, off, to, len);
	return 0;
}

int ring_env_write(struct ring *r, enum ring_part part, u32 off, const void *from, u32 len)
{
	(void)r;
	device_store(part, off, from, len);
	return 0;
}

int ring_env_table(struct ring *r, u64 addr, void *to, u32 len)
{
	(void)r;
	(void)addr;
	memset(to, 0, len);
	return -EFAULT;
}

int ring_env_wrote(struct ring *r, enum ring_part part, u32 off, u32 len)
{
	(void)r;
	(void)part;
	(void)off;
	(void)len;
	return 0;
}

void shim_wmb(void)
{
	find_stores();
	if (!(without & WITHOUT_WMB))
		group++;
}

void shim_rmb(void)
{
	if (!(without & WITHOUT_RMB))
		view = seen;
}

void shim_mb(void)
{
	u32 i;

	find_stores();
	if (alone || without & WITHOUT_MB)
		return;
	meanwhile(false);
	while (nr_buffer) {
		for (i = 0; !may_leave(i); i++)
			;
		leave(i);
	}
	view = now;
}

/* ---- one case, all runs ---- */

static void start(struct ring *r)
{
	u32 i;

	memset(r, 0, sizeof(*r));
	memset(memory, 0, sizeof(memory));
	r->num = 4;
	r->packed = layout.packed;
	r->event_idx = layout.event_idx;
	r->in_order = layout.in_order;
	r->little_endian = true;
	memset(mapped, POISON, sizeof(mapped));
	for (i = 0; i < RING_PARTS; i++) {
		if (ring_part_size(r, i, r->num) > MEMORY)
			abort();
		if (layout.mapped)
			r->map[i] = mapped[i];
	}
	alone = true;
	this->prepare(r);
	find_stores();
	alone = false;
	memcpy(initial, memory, sizeof(initial));
	now = nr_buffer = group = seen = view = nr_loads = step = 0;
	driver_done = false;
}

/* Return: the number of runs until it was broken, or 0: never; *runs: all. */
static u64 explore(u64 *runs)
{
	struct ring r;

	*runs = 0;
	length = 0;
	depth = 0;
	do {
		start(&r);
		this->device(&r);
		find_stores();
		meanwhile(true);
		++*runs;
		if (this->broken())
			return *runs;
	} while (next_run());
	return 0;
}

int main(void)
{
	static const struct {
		unsigned int bits;
		const char *name;
	} kinds[] = {
		{ ALL_BARRIERS, "with all barriers" },
		{ WITHOUT_MB, "without smp_mb()" },
		{ WITHOUT_RMB, "without smp_rmb()" },
		{ WITHOUT_WMB, "without smp_wmb()" },
	};
	u32 i, kind, mask, cases = 0, failures = 0;
	u64 runs, broken;

	memset(nothing, POISON, sizeof(nothing));
	printf("TAP version 13\n");
	for (i = 0; i < nr_litmuses; i++) {
		this = &litmuses[i];
		for (mask = 0; mask < 16; mask++) {
			layout = (struct layout){ mask & 1, mask & 2, mask & 4, mask & 8 };
			/* In order, only a push of many is different. */
			if (layout.in_order && !this->many)
				continue;
			for (kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
				bool bad;

				without = kinds[kind].bits;
				if (without && !(without & this->barriers))
					continue;
				broken = explore(&runs);
				bad = !broken != !without;
				cases++;
				failures += bad;
				printf("%sok %u litmus: %s, %s%s%s%s, %s: %s %llu runs\n",
				       bad ? "not " : "", cases, this->name,
				       layout.packed ? "packed" : "split",
				       layout.event_idx ? " event_idx" : "",
				       layout.in_order ? " in_order" : "",
				       layout.mapped ? " mapped" : " user", kinds[kind].name,
				       broken ? "broken after" : "holds in",
				       (unsigned long long)runs);
			}
		}
	}
	printf("1..%u\n", cases);
	printf("%u passed, %u failed, 0 skipped\n", cases - failures, failures);
	return failures || !cases;
}
