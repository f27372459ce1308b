// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * For tests: while this module is loaded, chosen calls of one kernel function do not happen and
 * return a value of our choice. For functions that fail_function does not know because they have
 * no ALLOW_ERROR_INJECTION(). Only for functions that are allowed to fail in that way.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/string.h>

static char *function = "";
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "the kernel function");
static long value;
module_param(value, long, 0444);
MODULE_PARM_DESC(value, "what its calls return: a negative errno, or 0 for NULL (0)");
static int skip;
module_param(skip, int, 0444);
MODULE_PARM_DESC(skip, "calls that are let through before (0)");
static int times = 1;
module_param(times, int, 0444);
MODULE_PARM_DESC(times, "calls that fail after those (1)");
static char *comm = "insmod";
module_param(comm, charp, 0444);
MODULE_PARM_DESC(comm, "only calls by tasks whose name begins so (insmod)");

static atomic_t seen;

static int seen_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&seen));
}

static const struct kernel_param_ops seen_ops = { .get = seen_get };
module_param_cb(seen, &seen_ops, NULL, 0444);
MODULE_PARM_DESC(seen, "calls by such tasks until now, those that failed included");

/* Runs in the place of the function, with its arguments and its return address. */
static notrace long stand_in(void)
{
	return value;
}

static int on_call(struct kprobe *probe, struct pt_regs *regs)
{
	int n;

	if (strncmp(current->comm, comm, strlen(comm)))
		return 0;
	n = atomic_inc_return(&seen);
	if (n <= skip || n - skip > times)
		return 0;
	instruction_pointer_set(regs, (unsigned long)stand_in);
	return 1; /* the instruction pointer was changed */
}

NOKPROBE_SYMBOL(on_call);

/* Without this a probe may become a jump, which cannot change where execution goes on. */
static void after_call(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = { .pre_handler = on_call, .post_handler = after_call };

static int __init failcall_init(void)
{
	int err;

	probe.symbol_name = function;
	err = register_kprobe(&probe);
	if (err)
		pr_err("cannot probe %s: error %d\n", function, err);
	return err;
}

static void __exit failcall_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(failcall_init);
module_exit(failcall_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Makes calls of a kernel function fail");
