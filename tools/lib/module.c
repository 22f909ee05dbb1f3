// SPDX-License-Identifier: GPL-2.0-only
/* Modules of the running kernel. */
#include <errno.h>
#include <libkmod.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "module.h"

/* Calls a function for what a name or an alias stands for; returns how many that was. */
static int each(const char *name, void (*call)(void *self, struct kmod_module *module), void *self)
{
	struct kmod_ctx *kmod = kmod_new(NULL, NULL);
	struct kmod_list *list = NULL, *item;
	int count = 0;

	if (!kmod)
		return 0;
	kmod_set_log_priority(kmod, 0);
	if (!kmod_module_new_from_lookup(kmod, name, &list)) {
		kmod_list_foreach(item, list)
		{
			struct kmod_module *module = kmod_module_get_module(item);

			call(self, module);
			kmod_module_unref(module);
			count++;
		}
	}
	kmod_module_unref_list(list);
	kmod_unref(kmod);
	return count;
}

static void look(void *self, struct kmod_module *module)
{
	int state = kmod_module_get_initstate(module);

	if (state == KMOD_MODULE_LIVE || state == KMOD_MODULE_BUILTIN)
		*(enum module_state *)self = MODULE_LOADED;
	else if (kmod_module_get_path(module))
		*(enum module_state *)self = MODULE_LOADABLE;
}

/* One that was loaded from a file of its own is in no index. */
static bool is_in_kernel(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	for (char *c = path; *c; c++)
		if (*c == '-')
			*c = '_';
	return !access(path, F_OK);
}

enum module_state module_state(const char *name)
{
	enum module_state state = MODULE_ABSENT;

	each(name, look, &state);
	return is_in_kernel(name) ? MODULE_LOADED : state;
}

static void load(void *self, struct kmod_module *module)
{
	int error = kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);

	if (error < 0)
		*(int *)self = -error;
}

enum status module_load(const char *name, struct failure *why)
{
	int error = 0;

	if (!each(name, load, &error))
		return failed(why, ST_PCI_NO_DRIVER, "there is no module %s", name);
	if (error == EPERM)
		return failed(why, ST_PRIVILEGE, "module %s: %s", name, strerror(error));
	if (error)
		return failed(why, ST_PCI_NO_DRIVER, "module %s does not load: %s", name,
			      strerror(error));
	return ST_OK;
}

static void load_unless_blacklisted(void *self, struct kmod_module *module)
{
	(void)self;
	kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST, NULL, NULL, NULL, NULL);
}

void module_load_for(const char *alias)
{
	each(alias, load_unless_blacklisted, NULL);
}
