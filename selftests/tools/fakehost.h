/* SPDX-License-Identifier: GPL-2.0-only */
/* A host that is made up: its files of sysfs and proc, in a directory of each case's own. */
#ifndef SHUNT_FAKEHOST_H
#define SHUNT_FAKEHOST_H

#include "ktap.h"
#include "pcijudge.h"

/**
 * NIC - the device that all is about
 */
#define NIC "0000:01:00.0"

/**
 * fake_base - directory that all hosts are in
 */
extern char fake_base[];

/**
 * root - directory of the host that begin() made
 */
extern char root[64];

/**
 * sysfs - it, for what is tested
 */
extern struct sysfs sysfs;

/**
 * why - the newest failure of what is tested
 */
extern struct failure why;

/**
 * begin() - make a host with a device that can be given away, which nobody uses
 */
void begin(void);

/**
 * put() - make a file, and the directories above it
 * @path: below the root
 * @text: what is in it
 */
void put(const char *path, const char *text);

/**
 * link_to() - make a symbolic link, and the directories above it
 * @path: below the root
 * @target: what it says
 */
void link_to(const char *path, const char *target);

/**
 * make_device() - make a PCI device that can be given away
 * @address: its
 * @class: as sysfs has it
 * @group: of the IOMMU, or NULL
 */
void make_device(const char *address, const char *class, const char *group);

/**
 * make_disk() - have a disk hang on the NIC
 * @below: directory, below the NIC's
 * @name: its name
 * @number: major:minor
 */
void make_disk(const char *below, const char *name, const char *number);

/**
 * is() - compare
 * @got: what there is, or NULL
 * @want: what there should be
 */
void is(const char *got, const char *want);

/**
 * judge() - pci_judge() on the NIC as it is now, for vfio-pci
 *
 * Return: what it does; why has the reason.
 */
enum status judge(void);

/**
 * judged() - see that judge() says so
 * @want: the status
 * @text: to be found in the reason; NULL: nothing
 */
void judged(enum status want, const char *text);

/**
 * fake_main() - what main() returns: kt_main(), and hosts come and go
 * @argc: its
 * @argv: its
 * @cases: the program's
 * @count: how many
 */
int fake_main(int argc, char **argv, const struct kt_case *cases, size_t count);

#endif
