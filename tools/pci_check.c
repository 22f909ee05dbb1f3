// SPDX-License-Identifier: GPL-2.0-only
/* 'shunt pci check': what passing devices through needs of a host, and what to do about it. */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "args.h"
#include "cmd.h"
#include "lib/module.h"
#include "lib/pcijudge.h"
#include "out.h"

/* A VMM that may lock less cannot have a guest worth mentioning. */
#define MEMLOCK_MIB_LEAST 1024

/**
 * enum verdict - what a check finds
 * @GOOD: as it should be
 * @WARNING: works, but for something
 * @MISSING: no device can be passed through
 */
enum verdict { GOOD, WARNING, MISSING };

static const char *const verdict_names[] = { "ok", "warning", "missing" };

/**
 * struct finding - what was found
 * @verdict: how bad it is
 * @text: what it is
 * @remedy: what to do; NULL: nothing
 */
struct finding {
	enum verdict verdict;
	char text[256];
	const char *remedy;
};

static void found(struct finding *finding, enum verdict verdict, const char *remedy,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

static void found(struct finding *finding, enum verdict verdict, const char *remedy,
		  const char *format, ...)
{
	va_list args;

	finding->verdict = verdict;
	finding->remedy = remedy;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* Whether a text has a word, blanks being between. */
static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length)
		if ((at == text || strchr(" \t\n", at[-1])) && strchr(" \t\n", at[length]))
			return true;
	return false;
}

static void check_iommu(const struct sysfs *sysfs, struct finding *finding)
{
	int iommus = sysfs_each(sysfs, "sys/class/iommu", NULL, NULL);
	int groups = sysfs_each(sysfs, "sys/kernel/iommu_groups", NULL, NULL);

	if (iommus > 0 && groups > 0)
		found(finding, GOOD, NULL, "%d with %d groups", iommus, groups);
	else
		found(finding, MISSING,
		      "switch VT-d or AMD-Vi on in the firmware, and boot with intel_iommu=on "
		      "(AMD's is on by itself)",
		      "the kernel uses none");
}

static void check_remapping(const struct sysfs *sysfs, struct finding *finding)
{
	struct pci_facts facts;

	pci_facts_read(sysfs, &facts);
	if (facts.remaps)
		found(finding, GOOD, NULL, "on");
	else if (facts.vfio_unsafe)
		found(finding, WARNING, "unload vfio_iommu_type1 and load it without the parameter",
		      "off, and vfio_iommu_type1 allows unsafe interrupts: a guest may send any "
		      "to the host");
	else
		found(finding, MISSING,
		      "switch interrupt remapping (x2APIC) on in the firmware; no intremap=off",
		      "off: a guest's device could send any interrupt to the host");
}

static void check_kvm(const struct sysfs *sysfs, struct finding *finding)
{
	char text[16384];

	if (sysfs_exists(sysfs, "dev/kvm")) {
		found(finding, GOOD, NULL, "/dev/kvm");
		return;
	}
	sysfs_read(sysfs, "proc/cpuinfo", text, sizeof(text));
	if (has_word(text, "vmx"))
		found(finding, MISSING, "modprobe kvm_intel", "no /dev/kvm");
	else if (has_word(text, "svm"))
		found(finding, MISSING, "modprobe kvm_amd", "no /dev/kvm");
	else
		found(finding, MISSING, "switch VT-x or SVM on in the firmware",
		      "the processor has no virtualization");
}

static void check_module(const char *name, enum verdict absent, const char *remedy,
			 struct finding *finding)
{
	switch (module_state(name)) {
	case MODULE_LOADED:
		found(finding, GOOD, NULL, "in the kernel");
		break;
	case MODULE_LOADABLE:
		found(finding, GOOD, NULL, "a module, loaded when it is needed");
		break;
	default:
		found(finding, absent, remedy, "there is no module %s", name);
		break;
	}
}

static void check_vfio(const struct sysfs *sysfs, struct finding *finding)
{
	(void)sysfs;
	check_module("vfio-pci", MISSING, "a kernel with CONFIG_VFIO_PCI", finding);
}

static void check_container(const struct sysfs *sysfs, struct finding *finding)
{
	(void)sysfs;
	check_module("vfio_iommu_type1", MISSING, "a kernel with CONFIG_VFIO_IOMMU_TYPE1", finding);
	if (finding->verdict == MISSING && module_state("iommufd") != MODULE_ABSENT)
		found(finding, WARNING, "a kernel with CONFIG_VFIO_IOMMU_TYPE1",
		      "iommufd only: VMMs that know no other than containers find none");
}

static void check_shunt(const struct sysfs *sysfs, struct finding *finding)
{
	(void)sysfs;
	check_module("shunt_vfio", WARNING, "make install, for --driver shunt-vfio", finding);
}

static void check_memlock(const struct sysfs *sysfs, struct finding *finding)
{
	struct rlimit limit;

	(void)sysfs;
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		limit.rlim_max = 0;
	if (limit.rlim_max == RLIM_INFINITY)
		found(finding, GOOD, NULL, "no limit for processes that are started here");
	else
		found(finding, limit.rlim_max >> 20 < MEMLOCK_MIB_LEAST ? WARNING : GOOD,
		      "more than the guest's memory, by LimitMEMLOCK= of the VMM's unit, libvirt's "
		      "<hard_limit> or limits.conf",
		      "%llu MiB for processes that are started here; a VMM locks all of its "
		      "guest's memory",
		      (unsigned long long)limit.rlim_max >> 20);
}

/**
 * struct pages - huge pages of all sizes
 * @sysfs: where
 * @text: so many of such a size, and so on
 * @used: bytes of @text
 */
struct pages {
	const struct sysfs *sysfs;
	char text[128];
	size_t used;
};

static bool count_pages(void *self, const char *path, const char *name)
{
	struct pages *pages = self;
	char file[SYSFS_PATH_MAX];
	unsigned int kib;
	long total, left;

	if (sscanf(name, "hugepages-%ukB", &kib) != 1)
		return true;
	sysfs_path(file, "%s/%s/nr_hugepages", path, name);
	total = sysfs_number(pages->sysfs, file, 0);
	sysfs_path(file, "%s/%s/free_hugepages", path, name);
	left = sysfs_number(pages->sysfs, file, 0);
	if (total && pages->used < sizeof(pages->text))
		pages->used += (size_t)snprintf(pages->text + pages->used,
						sizeof(pages->text) - pages->used,
						"%s%ld of %ld of %u MiB free",
						pages->used ? ", " : "", left, total, kib >> 10);
	return true;
}

static void check_pages(const struct sysfs *sysfs, struct finding *finding)
{
	struct pages pages = { .sysfs = sysfs };
	char text[64];

	sysfs_each(sysfs, "sys/kernel/mm/hugepages", count_pages, &pages);
	sysfs_read(sysfs, "sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	if (pages.used)
		found(finding, GOOD, NULL, "%s", pages.text);
	else if (strstr(text, "[always]") || strstr(text, "[madvise]"))
		found(finding, GOOD, NULL, "none reserved; the kernel makes some as it can");
	else
		found(finding, WARNING, "reserve some: vm.nr_hugepages, or hugepagesz= at boot",
		      "none: the IOMMU maps guests by 4 KiB");
}

static void check_words(const struct sysfs *sysfs, struct finding *finding)
{
	static const struct {
		const char *word;
		const char *remedy;
	} bad[] = {
		{ "iommu=off", "boot without it" },
		{ "intel_iommu=off", "boot with intel_iommu=on instead" },
		{ "amd_iommu=off", "boot without it" },
		{ "intremap=off", "boot without it" },
		{ "nointremap", "boot without it" },
		{ "intremap=nosid", "boot without it: devices could send each other's interrupts" },
		{ "noapic", "boot without it: interrupts are not remapped" },
		{ "vfio.enable_unsafe_noiommu_mode=1", "boot without it: no protection at all" },
		{ "vfio_iommu_type1.allow_unsafe_interrupts=1", "boot without it" },
	};
	char text[4096];

	sysfs_read(sysfs, "proc/cmdline", text, sizeof(text));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (has_word(text, bad[i].word)) {
			found(finding, WARNING, bad[i].remedy, "%s", bad[i].word);
			return;
		}
	if (strstr(text, "pcie_acs_override"))
		found(finding, WARNING, "boot without it",
		      "pcie_acs_override: devices of different groups may reach each other");
	else
		found(finding, GOOD, NULL, "%s",
		      has_word(text, "intel_iommu=on") ? "intel_iommu=on" :
							 "nothing that is in the way");
}

/* What the kernel was made with. A distribution has it beside the kernel. */
static void check_options(const struct sysfs *sysfs, struct finding *finding)
{
	static const char *const options[] = {
		"CONFIG_IOMMU_SUPPORT", "CONFIG_IRQ_REMAP", "CONFIG_VFIO", "CONFIG_VFIO_PCI", NULL,
	};
	static char text[1 << 20];
	char path[SYSFS_PATH_MAX], line[64];
	struct utsname name;

	uname(&name);
	sysfs_path(path, "boot/config-%s", name.release);
	if (!sysfs_read(sysfs, path, text, sizeof(text))) {
		found(finding, GOOD, NULL, "/%s is not there to be looked at", path);
		return;
	}
	for (int i = 0; options[i]; i++) {
		bool set;

		snprintf(line, sizeof(line), "%s=y", options[i]);
		set = has_word(text, line);
		snprintf(line, sizeof(line), "%s=m", options[i]);
		if (!set && !has_word(text, line)) {
			found(finding, WARNING, "another kernel", "%s is not set", options[i]);
			return;
		}
	}
	found(finding, GOOD, NULL, "/%s has all", path);
}

static const struct check {
	const char *name;
	void (*look)(const struct sysfs *sysfs, struct finding *finding);
} checks[] = {
	{ "iommu", check_iommu },
	{ "interrupt-remapping", check_remapping },
	{ "kvm", check_kvm },
	{ "vfio-pci", check_vfio },
	{ "vfio-container", check_container },
	{ "shunt_vfio", check_shunt },
	{ "memlock", check_memlock },
	{ "huge-pages", check_pages },
	{ "boot-words", check_words },
	{ "kernel-options", check_options },
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static void print_findings(const struct finding *findings, bool possible, bool pretty)
{
	struct json_object *json = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < CHECKS; i++) {
		struct json_object *one = json_object_new_object();
		const char *remedy = findings[i].remedy;

		json_object_object_add(one, "check", json_object_new_string(checks[i].name));
		json_object_object_add(one, "verdict",
				       json_object_new_string(verdict_names[findings[i].verdict]));
		json_object_object_add(one, "found", json_object_new_string(findings[i].text));
		json_object_object_add(
			one, "remedy",
			remedy && findings[i].verdict ? json_object_new_string(remedy) : NULL);
		json_object_array_add(list, one);
	}
	json_object_object_add(json, "possible", json_object_new_boolean(possible));
	json_object_object_add(json, "checks", list);
	json_print(json, pretty);
}

static enum status print_table(const struct finding *findings, struct failure *why)
{
	static const struct column columns[] = {
		{ "CHECK", false },
		{ "VERDICT", false },
		{ "FOUND", false },
		{ "REMEDY", false },
	};
	struct table table = { .columns = columns, .column_count = 4 };

	for (size_t i = 0; i < CHECKS; i++) {
		table_add(&table, checks[i].name);
		table_add(&table, verdict_names[findings[i].verdict]);
		table_add(&table, findings[i].text);
		table_add(&table, findings[i].verdict ? findings[i].remedy : NULL);
	}
	return table_print(&table) ? ST_OK : failed(why, ST_SYSTEM, "out of memory");
}

int pci_check(const struct context *global, int argc, char **argv)
{
	struct finding findings[CHECKS] = { 0 };
	struct context context = *global;
	struct sysfs sysfs = { -1 };
	char missing[256] = "";
	struct failure why;
	enum status status;
	size_t used = 0;

	status = args_output("pci check", argc, argv, &context, &why);
	if (!status)
		status = sysfs_open("/", &sysfs, &why);
	if (status)
		return complain(&why);
	for (size_t i = 0; i < CHECKS; i++) {
		checks[i].look(&sysfs, &findings[i]);
		if (findings[i].verdict == MISSING)
			used += (size_t)snprintf(missing + used, sizeof(missing) - used, "%s%s",
						 used ? ", " : "", checks[i].name);
	}
	sysfs_close(&sysfs);
	if (context.json)
		print_findings(findings, !used, context.pretty);
	else
		status = print_table(findings, &why);
	if (!status && used)
		status = failed(&why, ST_PCI_HOST, "no device can be passed through without: %s",
				missing);
	return status ? complain(&why) : 0;
}
