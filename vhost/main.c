// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - the module shunt: the core that the back ends share
 *
 * There is nothing to set up: devices come and go with the back ends that
 * call the core, and parameters are with what they limit (memory.c, iotlb.c).
 */
#include <linux/module.h>

static int __init shunt_init(void)
{
	return 0;
}
module_init(shunt_init);

static void __exit shunt_exit(void)
{
}
module_exit(shunt_exit);

MODULE_DESCRIPTION("Shunt: core of in-kernel virtio back ends");
MODULE_LICENSE("GPL");
