// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the parts of the command 'shunt' that need no kernel: parsers and tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdinfo.h"
#include "feature.h"
#include "ktap.h"
#include "status.h"
#include "subst.h"
#include "tap.h"

static void is(const char *got, const char *want)
{
	kt_check(got && !strcmp(got, want), "'%s' instead of '%s'", got ? got : "(none)", want);
}

static void fdinfo_of_device(long arg)
{
	static const char text[] = "pos:\t0\nflags:\t02\nmnt_id:\t21\nino:\t9\n"
				   "shunt-device:\tnet\nshunt-id:\t18446744073709551615\n"
				   "shunt-owner:\t77\nshunt-features:\t0x100000000\n"
				   "vq0-role:\trx\nvq0-packets:\t5\n"
				   "vq1-role:\ttx\nvq1-new-thing:\tsome words\n";
	struct fdinfo info;

	(void)arg;
	kt_check(fdinfo_parse(text, &info), "no memory");
	kt_check(info.is_shunt && !info.tap[0], "not recognised");
	is(fields_get(&info.device, "device"), "net");
	is(fields_get(&info.device, "id"), "18446744073709551615");
	kt_check(!fields_get(&info.device, "pos"), "a line of another kind was taken");
	kt_check(info.device.count == 4, "%zu fields", info.device.count);
	kt_check(info.ring_count == 2, "%zu rings", info.ring_count);
	kt_check(info.rings[1].index == 1, "index %u", info.rings[1].index);
	is(fields_get(&info.rings[0].fields, "packets"), "5");
	is(fields_get(&info.rings[1].fields, "new-thing"), "some words");
	fdinfo_free(&info);
}

static void fdinfo_of_tap(long arg)
{
	struct fdinfo info;

	(void)arg;
	kt_check(fdinfo_parse("pos:\t0\niff:\tvnet3\n", &info), "no memory");
	kt_check(!info.is_shunt, "taken for a device");
	is(info.tap, "vnet3");
	fdinfo_free(&info);
	/* Not attached yet: the kernel gives no name. */
	kt_check(fdinfo_parse("pos:\t0\niff:\t\n", &info), "no memory");
	is(info.tap, "");
	fdinfo_free(&info);
}

static void fdinfo_of_nonsense(long arg)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		":",
		":\t:\n",
		"iff",
		"iff:\tname-that-is-far-too-long\n",
		"vq:\tx\nvq-:\tx\nvq0:\tx\nvq0-:\tx\nvqx-y:\tz\nvq0x-y:\tz\n",
		"vq99999999999999999999-role:\trx\n",
		"vq64-role:\trx\n",
		"shunt-:\tx\n",
		"shunt",
	};
	struct fdinfo info;

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		kt_check(fdinfo_parse(texts[i], &info), "no memory");
		kt_check(!info.is_shunt && !info.tap[0] && !info.ring_count, "'%s' made sense",
			 texts[i]);
		fdinfo_free(&info);
	}
	/* A text cut off anywhere must not be read beyond its end. */
	for (size_t length = 0; length < 40; length++) {
		char *cut = strndup("shunt-id:\t1\nvq0-role:\trx\nvq1-role:\ttx\n", length);

		kt_check(cut && fdinfo_parse(cut, &info), "no memory");
		fdinfo_free(&info);
		free(cut);
	}
}

static void substitution(long arg)
{
	static const struct subst_word words[] = {
		{ "FDS", "3:4", NULL },
		{ "ME", "%FDS%", NULL },
		{ "NOT", NULL, "is not to be had" },
	};
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "%FDS%", "3:4" },
		{ "fds=%FDS%,x=%FDS%", "fds=3:4,x=3:4" },
		{ "%FDS", "%FDS" },
		{ "%", "%" },
		{ "%%", "%%" },
		{ "100%", "100%" },
		{ "%%FDS%%", "%3:4%" },
		{ "%fds%", "%fds%" },
		{ "%OTHER%", "%OTHER%" },
		{ "%ME%", "%FDS%" },
		{ "%FDS%FDS%", "3:4FDS%" },
	};
	struct failure why;
	char *text;

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		kt_check(!subst_expand(pairs[i][0], words, ARRAY_SIZE(words), &text, &why),
			 "%s: %s", pairs[i][0], why.text);
		is(text, pairs[i][1]);
		free(text);
	}
	kt_check(subst_expand("a%NOT%b", words, ARRAY_SIZE(words), &text, &why) == ST_USAGE,
		 "a word without meaning was taken");
	is(why.text, "%NOT% is not to be had");
	kt_check(!text, "text on failure");
}

static void features(long arg)
{
	char name[FEATURE_NAME_MAX], list[2048], tiny[8];
	struct failure why;
	uint64_t mask;

	(void)arg;
	for (unsigned int bit = 0; bit < 64; bit++) {
		feature_name(bit, name);
		kt_check(!feature_parse(name, &mask, &why), "%s", why.text);
		kt_check(mask == 1ULL << bit, "%s is %#llx", name, (unsigned long long)mask);
	}
	feature_list(~0ULL, list, sizeof(list));
	kt_check(!feature_parse(list, &mask, &why), "%s", why.text);
	kt_check(mask == ~0ULL, "all features are %#llx", (unsigned long long)mask);
	feature_list(~0ULL, tiny, sizeof(tiny));
	kt_check(strlen(tiny) < sizeof(tiny), "overrun");
	feature_list(0, list, sizeof(list));
	is(list, "");
	kt_check(feature_parse("", &mask, &why) == ST_USAGE, "empty list");
	kt_check(feature_parse("version-1,", &mask, &why) == ST_USAGE, "empty name");
	kt_check(feature_parse("version", &mask, &why) == ST_USAGE, "beginning of a name");
	kt_check(feature_parse("bit-64", &mask, &why) == ST_USAGE, "bit 64");
}

static void names(long arg)
{
	static const char *const good[] = { "a",   "tap0",     "vm-1.net_2", "fifteen-letters",
					    "...", "@!#$^&*()" };
	static const char *const bad[] = { "",
					   ".",
					   "..",
					   "a/b",
					   "a:b",
					   "tap%d",
					   "a b",
					   "a\tb",
					   "a\033b",
					   "caf\303\251",
					   "sixteen--letters",
					   "\177" };
	struct failure why;

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		kt_check(!tap_check_name(good[i], &why), "%s", why.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		kt_check(tap_check_name(bad[i], &why) == ST_NAME, "'%s' was taken", bad[i]);
}

static void statuses(long arg)
{
	(void)arg;
	for (int i = 0; i < ST_COUNT; i++) {
		int code = status_table[i].exit_code;

		kt_check(status_table[i].name && status_table[i].meaning, "status %d", i);
		kt_check(i == ST_OK ? code == 0 :
				      (code >= 100 && code <= 127) || (code >= 200 && code <= 255),
			 "code %d", code);
		for (int j = 0; j < i; j++)
			kt_check(status_table[j].exit_code != code, "code %d twice", code);
	}
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = {
		{ .name = "fdinfo of a device is taken apart", .run = fdinfo_of_device },
		{ .name = "fdinfo of a TAP gives its name", .run = fdinfo_of_tap },
		{ .name = "fdinfo of another form is passed over", .run = fdinfo_of_nonsense },
		{ .name = "words in arguments are replaced, once", .run = substitution },
		{ .name = "feature names and bits agree both ways", .run = features },
		{ .name = "interface names are checked", .run = names },
		{ .name = "every status has an exit code of its own", .run = statuses },
	};

	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
