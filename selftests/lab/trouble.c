// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel module that makes trouble on purpose: each kind is one that the lab
 * has to notice in the kernel log. Used by selftests/lab/run only; never load it
 * on a machine that matters.
 *
 *   insmod trouble.ko kind=warn|leak|lockdep|atomic|kasan|ubsan|oops
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *kind = "warn";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "what kind of trouble to make");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

/* Two locks in both orders: no deadlock happens, lockdep sees that one could. */
static void make_lock_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

/* An object that nobody points at any more. */
static void leak(void)
{
	void *object = kmalloc(777, GFP_KERNEL);

	pr_info("trouble: leaked an object%s\n", object ? "" : " (not even that)");
	OPTIMIZER_HIDE_VAR(object);
}

/* A byte read beyond the end of an allocation. */
static void read_beyond(void)
{
	char *object = kzalloc(100, GFP_KERNEL);
	int beyond = 100;

	if (!object)
		return;
	OPTIMIZER_HIDE_VAR(beyond);
	pr_info("trouble: %d\n", READ_ONCE(object[beyond]));
	kfree(object);
}

static void sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void shift_too_far(void)
{
	int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("trouble: %d\n", 1 << by);
}

static void dereference_nothing(void)
{
	int *nothing = NULL;

	OPTIMIZER_HIDE_VAR(nothing);
	WRITE_ONCE(*nothing, 1);
}

static int __init trouble_init(void)
{
	if (!strcmp(kind, "warn"))
		WARN(1, "trouble: on purpose\n");
	else if (!strcmp(kind, "leak"))
		leak();
	else if (!strcmp(kind, "lockdep"))
		make_lock_inversion();
	else if (!strcmp(kind, "atomic"))
		sleep_in_atomic();
	else if (!strcmp(kind, "kasan"))
		read_beyond();
	else if (!strcmp(kind, "ubsan"))
		shift_too_far();
	else if (!strcmp(kind, "oops"))
		dereference_nothing();
	else
		return -EINVAL;
	return 0;
}
module_init(trouble_init);

static void __exit trouble_exit(void)
{
}
module_exit(trouble_exit);

MODULE_DESCRIPTION("Trouble on purpose, for testing the lab");
MODULE_LICENSE("GPL");
