// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host itself has by a device, and no node in /dev tells of: file systems of a hypervisor,
 * the console, the screen.
 *
 * Which device a virtio file system or console is by, the kernel does not always show. Where it
 * does not, any may be it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mounts.h"
#include "pciuse.h"

/**
 * struct look - at the mounts, or at the consoles
 * @parts: what may be used
 * @status: what it is used for
 * @why: that in words
 */
struct look {
	const struct pci_parts *parts;
	enum status status;
	struct failure *why;
};

/* Whether a field of mountinfo, where some characters are written \ooo, stands for a text. */
static bool stands_for(const char *field, const char *text)
{
	unsigned int number;

	for (; *field && *text; text++) {
		int length = 1;

		number = (unsigned char)*field;
		if (*field == '\\' && sscanf(field, "\\%3o%n", &number, &length) != 1)
			return false;
		if (number != (unsigned char)*text &&
		    !(*text == '?' && (number < ' ' || number > '~')))
			return false;
		field += length;
	}
	return !*field && !*text;
}

static bool is_share(const struct pci_parts *parts, const struct mount *mount)
{
	if (!strcmp(mount->type, "virtiofs"))
		return parts->virtiofs;
	if (strcmp(mount->type, "9p"))
		return false;
	for (size_t i = 0; i < parts->tags.count; i++)
		if (!parts->tags.list[i][0] || stands_for(mount->source, parts->tags.list[i]))
			return true;
	return false;
}

static bool look_at_mount(void *self, const struct mount *mount)
{
	struct look *look = self;

	if (!is_share(look->parts, mount))
		return true;
	if (mount->needed)
		look->status = failed(look->why, ST_PCI_BOOT,
				      "the host runs from its %s file system: %.200s", mount->type,
				      mount->point);
	else if (!look->status)
		look->status =
			failed(look->why, ST_PCI_MOUNTED, "its %s file system is mounted: %.200s",
			       mount->type, mount->point);
	return !mount->needed;
}

enum status pci_shares_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			    struct failure *why)
{
	struct look look = { .parts = parts, .why = why };
	enum status status;

	if (!parts->virtiofs && !parts->tags.count)
		return ST_OK;
	status = mounts_each(sysfs, look_at_mount, &look, why);
	return status ? status : look.status;
}

static bool look_at_console(void *self, char *line)
{
	struct look *look = self;
	const char *name = proc_field(&line);

	if (names_has(&look->parts->terminals, name))
		look->status = failed(look->why, ST_PCI_CONSOLE,
				      "the host's console %.50s is on it", name);
	else if (look->parts->hypervisor_console && !strncmp(name, "hvc", 3))
		look->status = failed(look->why, ST_PCI_CONSOLE,
				      "the host's console %.50s may be on it", name);
	return !look->status;
}

static enum status consoles_used(const struct sysfs *sysfs, const struct pci_parts *parts,
				 struct failure *why)
{
	struct look look = { .parts = parts, .why = why };
	int error;

	if (!parts->terminals.count && !parts->hypervisor_console)
		return ST_OK;
	error = proc_each_line(sysfs, "proc/consoles", look_at_console, &look);
	return error ? failed(why, ST_SYSTEM, "/proc/consoles: %s", strerror(error)) : look.status;
}

/**
 * struct screen - who writes to screens
 * @sysfs: where
 * @firmware: a frame buffer that the firmware set up, thus on the graphics card it began with
 * @text: the console is text on that card
 * @graphics: the console is on some frame buffer
 */
struct screen {
	const struct sysfs *sysfs;
	bool firmware;
	bool text;
	bool graphics;
};

static bool look_at_frame_buffer(void *self, const char *path, const char *name)
{
	struct screen *screen = self;
	char link[SYSFS_PATH_MAX], target[1024];
	ssize_t length;

	sysfs_path(link, "%s/%s", path, name);
	length = readlinkat(screen->sysfs->root, link, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = '\0';
	screen->firmware |= strstr(target, "/platform/") != NULL;
	return true;
}

static bool look_at_terminal(void *self, const char *path, const char *name)
{
	struct screen *screen = self;
	char file[SYSFS_PATH_MAX], text[64];

	sysfs_path(file, "%s/%s/bind", path, name);
	if (sysfs_number(screen->sysfs, file, 1) == 0)
		return true;
	sysfs_path(file, "%s/%s/name", path, name);
	sysfs_read(screen->sysfs, file, text, sizeof(text));
	screen->text |= strstr(text, "VGA") != NULL;
	screen->graphics |= strstr(text, "frame buffer") != NULL;
	return true;
}

static enum status screen_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			       struct failure *why)
{
	static const char *const classes[] = { "sys/class/graphics", "sys/class/vtconsole" };
	struct screen screen = { .sysfs = sysfs };

	if (!parts->boot_vga && !parts->frame_buffer)
		return ST_OK;
	for (int i = 0; i < 2; i++) {
		int found = sysfs_each(sysfs, classes[i],
				       i ? look_at_terminal : look_at_frame_buffer, &screen);

		/* A kernel without a screen has none of them. */
		if (found < 0 && found != -ENOENT)
			return failed(why, ST_SYSTEM, "/%s: %s", classes[i], strerror(-found));
	}
	if (parts->frame_buffer && (screen.graphics || parts->boot_vga))
		return failed(why, ST_PCI_CONSOLE, "the host's screen is on it");
	if (parts->boot_vga && (screen.firmware || screen.text))
		return failed(why, ST_PCI_CONSOLE, "the screen that the host booted with is on it");
	return ST_OK;
}

enum status pci_consoles_used(const struct sysfs *sysfs, const struct pci_parts *parts,
			      struct failure *why)
{
	enum status status = consoles_used(sysfs, parts, why);

	return status ? status : screen_used(sysfs, parts, why);
}
