/* SPDX-License-Identifier: GPL-2.0-only */
/* What the verbs of 'shunt pci' have in common. */
#ifndef SHUNT_PCI_CMD_H
#define SHUNT_PCI_CMD_H

#include "lib/pci.h"

/**
 * pci_take_device() - take the device that a verb is about
 * @verb: object and verb, for what is said
 * @argc: words of the command line; argv[0] is the verb
 * @argv: the words; the first behind the verb is the device
 * @address: receives it
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_USAGE.
 */
enum status pci_take_device(const char *verb, int argc, char **argv, char address[PCI_ADDRESS_MAX],
			    struct failure *why);

/**
 * pci_take_number() - as args_number(), but from 0
 * @what: what it is, for what is said
 * @text: what somebody typed
 * @most: what it can be at most
 * @number: receives it
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_NUMBER.
 */
enum status pci_take_number(const char *what, const char *text, unsigned int most,
			    unsigned int *number, struct failure *why);

/**
 * pci_take_wait() - take the argument of --wait
 * @text: what somebody typed
 * @seconds: receives it; for pci_begin()
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_NUMBER.
 */
enum status pci_take_wait(const char *text, unsigned int *seconds, struct failure *why);

/**
 * pci_begin() - begin to change devices, alone: pci_lock()
 * @sysfs: where
 * @seconds: to wait for another process of this command, which is said on stderr
 * @lock: receives what is to be closed at the end, or -1
 * @why: filled in on failure
 *
 * Return: what pci_lock() does.
 */
enum status pci_begin(const struct sysfs *sysfs, unsigned int seconds, int *lock,
		      struct failure *why);

/**
 * pci_complain() - as complain(), with the device, and with what would help
 * @address: the device
 * @why: the failure, whose text does not name it
 *
 * Return: its exit code.
 */
int pci_complain(const char *address, const struct failure *why);

#endif
