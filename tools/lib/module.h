/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel modules, by libkmod: what is there, and loading. */
#ifndef SHUNT_MODULE_H
#define SHUNT_MODULE_H

#include "status.h"

/**
 * enum module_state - where a module is
 * @MODULE_ABSENT: not on this host
 * @MODULE_LOADABLE: installed, and not loaded
 * @MODULE_LOADED: in the kernel, loaded or built in
 */
enum module_state { MODULE_ABSENT, MODULE_LOADABLE, MODULE_LOADED };

/**
 * module_state() - where a module is
 * @name: its name, with - or _
 */
enum module_state module_state(const char *name);

/**
 * module_load() - load a module, with all that it needs
 * @name: its name; one that is loaded already, or built in, is no error
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PCI_NO_DRIVER or ST_PRIVILEGE.
 */
enum status module_load(const char *name, struct failure *why);

/**
 * module_load_for() - load what a device wants, as far as it is there and not blacklisted
 * @alias: the device's modalias
 */
void module_load_for(const char *alias);

#endif
