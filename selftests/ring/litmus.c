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

/* ---- the driver ---- */

static const struct litmus *this;
static u32 step;
static bool driver_done;

static void driver_step(void)
{
	driver_done = !this->driver(step++);
}

u32 driver_load(enum ring_part part, u32 off, u32 len)
{
	u32 val = 0;

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

static void load(enum ring_part part, u32 off, u8 *to, u32 len)
{
	static u8 then[RING_PARTS][MEMORY];
	u32 i, nr = 0, at[WRITES + 1] = { 0 }, first = earliest(part, off, len);
	u8 values[WRITES + 1][MOST];

	/* Each value that was there, and when that was for the first time. */
	memcpy(then, initial, sizeof(then));
	for (i = 0; i <= now; i++) {
		if (i)
			apply(&history[i - 1], then);
		if (i < first || (nr && !memcmp(values[nr - 1], then[part] + off, len)))
			continue;
		at[nr] = i;
		memcpy(values[nr++], then[part] + off, len);
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
	for (i = 0; i < nr_buffer; i++) {
		const struct write *w = &buffer[i];
		u32 j;

		for (j = 0; j < w->len; j++)
			if (w->part == part && w->off + j >= off && w->off + j < off + len)
				to[w->off + j - off] = w->bytes[j];
	}
}

int ring_env_read(struct ring *r, enum ring_part part, u32 off, void *to, u32 len)
{
	u32 done, piece;

	(void)r;
	if (alone) {
		memcpy(to, memory[part] + off, len);
		return 0;
	}
	meanwhile(false);
	for (done = 0; done < len; done += piece) {
		piece = min(len - done, (u32)MOST);
		load(part, off + done, (u8 *)to + done, piece);
	}
	return 0;
}

int ring_env_write(struct ring *r, enum ring_part part, u32 off, const void *from, u32 len)
{
	struct write *w;

	(void)r;
	if (len > MOST || nr_buffer == WRITES)
		abort();
	if (alone) {
		memcpy(memory[part] + off, from, len);
		return 0;
	}
	meanwhile(false);
	w = &buffer[nr_buffer++];
	w->part = part;
	w->off = off;
	w->len = len;
	w->group = group;
	memcpy(w->bytes, from, len);
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
	for (i = 0; i < RING_PARTS; i++)
		if (ring_part_size(r, i, r->num) > MEMORY)
			abort();
	alone = true;
	this->prepare(r);
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

	printf("TAP version 13\n");
	for (i = 0; i < nr_litmuses; i++) {
		this = &litmuses[i];
		for (mask = 0; mask < 8; mask++) {
			layout = (struct layout){ mask & 1, mask & 2, mask & 4 };
			for (kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
				bool bad;

				without = kinds[kind].bits;
				if (without && !(without & this->barriers))
					continue;
				broken = explore(&runs);
				bad = !broken != !without;
				cases++;
				failures += bad;
				printf("%sok %u litmus: %s, %s%s%s, %s: %s %llu runs\n",
				       bad ? "not " : "", cases, this->name,
				       layout.packed ? "packed" : "split",
				       layout.event_idx ? " event_idx" : "",
				       layout.in_order ? " in_order" : "", kinds[kind].name,
				       broken ? "broken after" : "holds in",
				       (unsigned long long)runs);
			}
		}
	}
	printf("1..%u\n", cases);
	printf("%u passed, %u failed, 0 skipped\n", cases - failures, failures);
	return failures || !cases;
}
