// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt pci bind' and 'shunt pci release': a device for VMMs, and back for the host.
 *
 * How it goes from one driver to another, lib/pcibind.c tells.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cmd.h"
#include "lib/pcibind.h"
#include "lib/pcipersist.h"
#include "out.h"
#include "pci.h"

/* What the command line asks for. */
struct bind_wish {
	struct pci_wish device;
	const char *owner;
	bool persist;
	unsigned int wait;
	char rule[SYSFS_PATH_MAX];
	const struct sysfs *sysfs;
	struct context context;
};

static enum status take_driver(struct bind_wish *wish, const char *word, struct failure *why)
{
	/* As the node's directory is called, or as the driver is. */
	if (!strcmp(word, "shunt-vfio") || !strcmp(word, PCI_DRIVER_SHUNT))
		wish->device.driver = PCI_DRIVER_SHUNT;
	else if (!strcmp(word, PCI_DRIVER_VFIO))
		wish->device.driver = PCI_DRIVER_VFIO;
	else
		return failed(why, ST_USAGE, "--driver: '%s' is neither vfio-pci nor shunt-vfio",
			      word);
	return ST_OK;
}

static enum status take_option(void *self, int option, const char *argument, struct failure *why)
{
	struct bind_wish *wish = self;

	switch (option) {
	case 'd':
		return take_driver(wish, argument, why);
	case 'o':
		wish->owner = argument;
		return args_user("--owner", argument, &wish->device.owner, &wish->device.group,
				 why);
	case 'w':
		return pci_take_wait(argument, &wish->wait, why);
	case 's':
		wish->persist = true;
		return ST_OK;
	case 'p':
		wish->context.pretty = true;
		return ST_OK;
	default:
		wish->context.json = true;
		return ST_OK;
	}
}

enum status pci_take_device(const char *verb, int argc, char **argv, char address[PCI_ADDRESS_MAX],
			    struct failure *why)
{
	if (argc < 2 || argv[1][0] == '-')
		return failed(why, ST_USAGE, "%s: a device comes first, such as 0000:01:00.0",
			      verb);
	return pci_parse(argv[1], address, why);
}

int pci_complain(const char *address, const struct failure *why)
{
	const char *help = pci_help(why->status);
	struct failure whole;

	/* What is wrong with the command line is of no device. */
	if (why->status == ST_USAGE || why->status == ST_NUMBER || why->status == ST_PCI_ABSENT)
		return complain(why);
	failed(&whole, why->status, "%s: %.350s%s%s", address, why->text, help ? ": " : "",
	       help ? help : "");
	return complain(&whole);
}

enum status pci_take_number(const char *what, const char *text, unsigned int most,
			    unsigned int *number, struct failure *why)
{
	enum status status;

	if (!strcmp(text, "0")) {
		*number = 0;
		return ST_OK;
	}
	status = args_number(what, text, number, why);
	if (!status && *number > most)
		status = failed(why, ST_NUMBER, "%s: %s is more than %u", what, text, most);
	return status;
}

/* Longer nobody waits on purpose. */
#define WAIT_MAX_S 86400

enum status pci_take_wait(const char *text, unsigned int *seconds, struct failure *why)
{
	return pci_take_number("--wait", text, WAIT_MAX_S, seconds, why);
}

static void say_waiting(void)
{
	fputs("shunt: another shunt pci is at work: waiting for it\n", stderr);
}

enum status pci_begin(const struct sysfs *sysfs, unsigned int seconds, int *lock,
		      struct failure *why)
{
	return pci_lock(sysfs, seconds, say_waiting, lock, why);
}

static struct json_object *text_or_null(const char *text)
{
	return text && *text ? json_object_new_string(text) : NULL;
}

static void print_json(const struct pci_result *result, const struct bind_wish *wish,
		       const char *rule)
{
	struct json_object *json = json_object_new_object();
	int group = result->device.group;

	json_object_object_add(json, "device", text_or_null(result->device.address));
	json_object_object_add(json, "driver", text_or_null(result->device.driver));
	json_object_object_add(json, "driver_before", text_or_null(result->before));
	json_object_object_add(json, "iommu_group",
			       group == PCI_NO_GROUP ? NULL : json_object_new_int(group));
	json_object_object_add(json, "node", text_or_null(result->node));
	json_object_object_add(json, "owner", text_or_null(wish->owner));
	json_object_object_add(json, "rule", text_or_null(rule));
	json_print(json, wish->context.pretty);
}

/* The last step of pci_bind(): what could not be made to last is not wanted for now either. */
static enum status persist(void *self, const struct pci_result *result, struct failure *why)
{
	char command[SYSFS_PATH_MAX], path[SYSFS_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", command, sizeof(command) - 1);
	struct bind_wish *wish = self;

	if (length < 0)
		return failed(why, ST_PCI_PERSIST, "/proc/self/exe: %s", strerror(errno));
	command[length] = '\0';
	pci_persist_path(path, result->device.address);
	snprintf(wish->rule, sizeof(wish->rule), "/%.380s", path);
	return pci_persist_write(wish->sysfs, &result->device, wish->device.driver, command,
				 wish->owner, why);
}

static void report_bind(const struct pci_result *result, const struct bind_wish *wish)
{
	if (wish->context.json) {
		print_json(result, wish, wish->rule);
		return;
	}
	printf("%s: %s has it, %s%s%s%s\n", result->device.address, result->device.driver,
	       result->node, wish->owner ? " is for " : "", wish->owner ? wish->owner : "",
	       strcmp(result->before, result->device.driver) ? "" : ", as before");
	if (*wish->rule)
		printf("at boot: %s\n", wish->rule);
}

int pci_bind_verb(const struct context *context, int argc, char **argv)
{
	static const struct option options[] = {
		{ "driver", required_argument, NULL, 'd' },
		{ "owner", required_argument, NULL, 'o' },
		{ "persist", no_argument, NULL, 's' },
		{ "wait", required_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },
		{ 0 },
	};
	struct bind_wish wish = {
		.device = { .driver = PCI_DRIVER_VFIO, .owner = (uid_t)-1, .group = (gid_t)-1 },
		.wait = PCI_LOCK_S,
		.context = *context,
	};
	char address[PCI_ADDRESS_MAX] = "";
	struct sysfs sysfs = { -1 };
	struct pci_result result;
	struct failure why;
	enum status status;
	int lock = -1;

	status = pci_take_device("pci bind", argc, argv, address, &why);
	if (!status)
		status = args_options("pci bind", argc - 1, argv + 1, options, take_option, &wish,
				      &why);
	/* Of the user's own group nobody has spoken. */
	if (wish.owner && !strchr(wish.owner, ':'))
		wish.device.group = (gid_t)-1;
	wish.sysfs = &sysfs;
	wish.device.last = wish.persist ? persist : NULL;
	wish.device.self = &wish;
	if (!status)
		status = sysfs_open("/", &sysfs, &why);
	if (!status)
		status = pci_begin(&sysfs, wish.wait, &lock, &why);
	if (!status)
		status = pci_bind(&sysfs, address, &wish.device, &result, &why);
	if (lock >= 0)
		close(lock);
	sysfs_close(&sysfs);
	if (status)
		return pci_complain(address, &why);
	report_bind(&result, &wish);
	return 0;
}

static void report_release(const struct pci_result *result, const struct bind_wish *wish,
			   const char *rule)
{
	const char *driver = result->device.driver;

	if (wish->context.json) {
		print_json(result, wish, rule);
		return;
	}
	printf("%s: %s\n", result->device.address, driver[0] ? driver : "no driver");
	if (*rule)
		printf("removed: %s\n", rule);
}

int pci_release_verb(const struct context *context, int argc, char **argv)
{
	static const struct option options[] = {
		{ "wait", required_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },
		{ 0 },
	};
	char address[PCI_ADDRESS_MAX] = "", rule[SYSFS_PATH_MAX] = "", path[SYSFS_PATH_MAX];
	struct bind_wish wish = { .context = *context, .wait = PCI_LOCK_S };
	struct sysfs sysfs = { -1 };
	struct failure why, no_rule;
	struct pci_result result;
	enum status status;
	bool removed;
	int lock = -1;

	status = pci_take_device("pci release", argc, argv, address, &why);
	if (!status)
		status = args_options("pci release", argc - 1, argv + 1, options, take_option,
				      &wish, &why);
	if (!status)
		status = sysfs_open("/", &sysfs, &why);
	if (!status)
		status = pci_begin(&sysfs, wish.wait, &lock, &why);
	if (!status)
		status = pci_release(&sysfs, address, &result, &why);
	/* The rule goes as well, also that of a device which is not there, or was not given. */
	if (!status || status == ST_PCI_NOT_BOUND || status == ST_PCI_ABSENT) {
		if (pci_persist_remove(&sysfs, address, &removed, &no_rule)) {
			why = no_rule;
			status = no_rule.status;
		} else if (removed) {
			pci_persist_path(path, address);
			snprintf(rule, sizeof(rule), "/%.380s", path);
			status = ST_OK;
		}
	}
	if (lock >= 0)
		close(lock);
	sysfs_close(&sysfs);
	if (status)
		return pci_complain(address, &why);
	report_release(&result, &wish, rule);
	return 0;
}
