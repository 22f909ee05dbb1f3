// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt disk serve': a vhost-user disk whose data path is in the kernel.
 *
 * DOC: Theory of Operation
 *
 * In this order: the command line, the vhost device, the disk, the socket, ownership of the device,
 * the jail (door/jail.c), and only then the first byte of a front end (door/serve.c). serving.c has
 * what is not the disk's; who has the disk when, door/blk.c tells.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "args.h"
#include "cmd.h"
#include "door/blk.h"
#include "door/jail.h"
#include "lib/disk.h"
#include "serving.h"
#include "uapi/shunt.h"

/* What the command line asks for. */
struct serve_wish {
	struct disk_wish disk;
	bool config_wce;
	struct serving_wish serving;
};

static enum status take_option(void *self, int option, const char *argument, struct failure *why)
{
	struct serve_wish *wish = self;

	switch (option) {
	case 'b':
		wish->disk.path = argument;
		return ST_OK;
	case 'r':
		wish->disk.read_only = true;
		return ST_OK;
	case 'i':
		wish->disk.incoming = true;
		return ST_OK;
	case 'n':
		wish->disk.serial = argument;
		return ST_OK;
	case 'c':
		wish->config_wce = true;
		return ST_OK;
	case 'q':
		return args_number("--queues", argument, &wish->disk.queues, why);
	case 'd':
		wish->disk.device = argument;
		return ST_OK;
	default:
		return serving_wish_option(&wish->serving, option, argument, why);
	}
}

static enum status parse_options(int argc, char **argv, struct serve_wish *wish,
				 struct failure *why)
{
	static const struct option options[] = {
		SERVING_WISH_OPTIONS,
		{ "blk-file", required_argument, NULL, 'b' },
		{ "read-only", no_argument, NULL, 'r' },
		{ "incoming", no_argument, NULL, 'i' },
		{ "serial", required_argument, NULL, 'n' },
		{ "config-wce", no_argument, NULL, 'c' },
		{ "queues", required_argument, NULL, 'q' },
		{ "device", required_argument, NULL, 'd' },
		{ 0 },
	};
	enum status status =
		args_options("disk serve", argc, argv, options, take_option, wish, why);

	if (status)
		return status;
	if (!wish->disk.path)
		return failed(why, ST_USAGE, "disk serve: --blk-file is needed");
	return serving_wish_check(&wish->serving, "disk serve", why);
}

static void waiting(const char *path)
{
	fprintf(stderr, "shunt: %s: waiting for another process to let go of it\n", path);
}

/* With all that is needed open: lock up, and serve. */
static enum status run(const struct disk *disk, const struct serve_wish *wish,
		       const struct serving *serving, struct failure *why)
{
	/* The last one is for a write cache that can be switched. */
	static const unsigned long ioctls[] = { JAIL_VHOST_IOCTLS,    VHOST_BLK_SET_BACKEND,
						SHUNT_BLK_GET_CONFIG, SHUNT_BLK_SET_CONFIG_CALL,
						SHUNT_BLK_SET_PLACES, SHUNT_BLK_SET_WCE };
	const size_t ioctl_count = sizeof(ioctls) / sizeof(ioctls[0]) - !wish->config_wce;
	struct door_blk blk = { .disk = disk->file, .read_only = wish->disk.read_only };
	static struct door door;
	enum status status;

	door.backend = &door_blk_backend;
	door.self = &blk;
	door.kernel = &kernel_real;
	door.files = &disk->vhost;
	door.file_count = 1;
	door.ring_count = wish->disk.queues;
	door.writable = wish->config_wce ? DOOR_BLK_WRITABLE : 0;
	door.slots = serving_slots(disk->vhost);
	door.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (door.event < 0)
		return failed(why, ST_SYSTEM, "eventfd: %s", strerror(errno));
	serving_room(&door);
	status = door_init(&door, why);
	if (status)
		return status;
	status = serving_run(serving, &door, ioctls, ioctl_count, why);
	door_end(&door);
	return status;
}

int disk_serve(const struct context *context, int argc, char **argv)
{
	static const char *const features[] = { "blk-file", "read-only", NULL };
	struct serve_wish wish = {
		.disk = { .device = DISK_DEVICE_DEFAULT, .queues = 1 },
		.serving = { .mode = SERVING_MODE },
	};
	struct disk disk = { -1, -1 };
	struct serving serving;
	struct failure why;
	enum status status;

	if (serving_wants_capabilities(argc, argv))
		return serving_print_capabilities("block", features);
	status = serving_refuse_json(context, "disk serve", &why);
	if (!status)
		status = parse_options(argc, argv, &wish, &why);
	if (!status)
		status = serving_prepare(&wish.serving, &serving, &why);
	if (!status)
		status = disk_open(&wish.disk, &disk, waiting, &why);
	if (!status)
		status = serving_open(&wish.serving, &serving, &why);
	if (!status)
		status = run(&disk, &wish, &serving, &why);
	disk_close(&disk);
	return status ? complain(&why) : 0;
}
