// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_test.c - the ring files of vhost/, compiled in userspace, against a model
 *
 * The model (driver.c, driver_split.c, driver_packed.c) owns a small memory; the
 * subjects are in ring_test_*.c. Everything is done with the ring as plain memory
 * and through ring_env_read() and ring_env_write(), which can also be made to
 * fail at each possible place.
 *
 * Run under ASan and UBSan. The seed of each run is fixed. With an argument, only
 * the subjects that it names: ring_test events log
 */
#include "driver.h"

static const struct subject {
	const char *name;
	void (*run)(void);
} subjects[] = {
	{ "rules", test_rules }, { "events", test_events },   { "order", test_order },
	{ "base", test_base },	 { "log", test_log },	      { "faults", test_faults },
	{ "noise", test_noise }, { "traffic", test_traffic },
};

int main(int argc, char **argv)
{
	u32 i;
	int arg;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	for (i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
		for (arg = 1; arg < argc && strcmp(argv[arg], subjects[i].name); arg++)
			;
		if (argc == 1 || arg < argc)
			subjects[i].run();
	}
	printf("1..%d\n", cases);
	printf("%d passed, %d failed, 0 skipped\n", cases - failures, failures);
	return failures || !cases;
}
