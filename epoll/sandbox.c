// SPDX-License-Identifier: MIT OR GPL-2.0
/* System calls that the program needs once it has started; all others are refused. */
#include "sandbox.h"

#include <err.h>
#include <errno.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/*
 * Which calls a function of the C library makes is its own affair, and changes: so both names are
 * here where there are two. SCMP_SYS() matches nothing where there is no such call.
 */
static const int serving[] = {
	/* server.c */
	SCMP_SYS(accept4),
	SCMP_SYS(close),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64),
	SCMP_SYS(read),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendfile),
	SCMP_SYS(sendfile64),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* memory and threads */
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(futex),
	SCMP_SYS(futex_time64),
	SCMP_SYS(getrandom),
	SCMP_SYS(sched_yield),
	/* where no page of the kernel's tells the time */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	/* signals, abort() and the end */
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef SANITIZED
	SCMP_SYS(sigaltstack),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
#endif
};

/* What else the program needs: a site that was read for it, the log, threads */
static const int program[] = {
	SCMP_SYS(dup),
	SCMP_SYS(fstat),
	SCMP_SYS(fstat64),
	SCMP_SYS(fstatat64),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(recvmsg),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_nanosleep_time64),
	SCMP_SYS(nanosleep),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(set_robust_list),
	/* sandbox_worker() */
	SCMP_SYS(seccomp),
#ifdef SANITIZED
	/* to stop all threads and look for lost memory, and to report what was found */
	SCMP_SYS(clone),
	SCMP_SYS(fcntl),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents),
	SCMP_SYS(getdents64),
	SCMP_SYS(getppid),
	SCMP_SYS(ioctl),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64),
	SCMP_SYS(prctl),
	SCMP_SYS(ptrace),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(stat),
	SCMP_SYS(wait4),
#endif
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int error = 0;

	while (!error && n--)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[n], 0);
	return error;
}

/* Only with this value of an argument, or of the bits of @mask in it */
static int allow_if(scmp_filter_ctx filter, int call, unsigned int arg, scmp_datum_t mask,
		    scmp_datum_t value)
{
	struct scmp_arg_cmp only = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value);

	/* The numbers of calls that this processor's Linux does not have are negative */
	return call < 0 ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, only);
}

#define WHOLE (~(scmp_datum_t)0)

/* What else serving needs, in no other form */
static int allow_serving(scmp_filter_ctx filter)
{
	int error = allow(filter, serving, sizeof(serving) / sizeof(*serving));

	/* malloc() */
	if (!error)
		error = allow_if(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	if (!error)
		error = allow_if(filter, SCMP_SYS(mmap2), 2, PROT_EXEC, 0);
	if (!error)
		error = allow_if(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	/* abort() */
	if (!error)
		error = allow_if(filter, SCMP_SYS(tgkill), 0, WHOLE, getpid());
	if (!error)
		error = allow_if(filter, SCMP_SYS(ioctl), 1, WHOLE, SIOCOUTQ);
	if (error)
		return error;
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
				SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET), SCMP_A2(SCMP_CMP_EQ, SO_LINGER));
}

static int allow_program(scmp_filter_ctx filter)
{
	/* The argument that has the flags of clone() */
	unsigned int flags = seccomp_arch_native() == SCMP_ARCH_S390X;
	int error = allow(filter, program, sizeof(program) / sizeof(*program));

	if (!error)
		error = allow_if(filter, SCMP_SYS(prctl), 0, WHOLE, PR_SET_NO_NEW_PRIVS);
	/* Threads, no processes. No filter sees the flags of clone3(): clone() does as well */
	if (!error)
		error = allow_if(filter, SCMP_SYS(clone), flags, CLONE_THREAD, CLONE_THREAD);
	return error;
}

/* Calls that the C library can do without, and does: they kill nobody. */
static int refuse(scmp_filter_ctx filter, bool worker)
{
	static const int calls[] = { SCMP_SYS(clone3), SCMP_SYS(open), SCMP_SYS(openat),
				     SCMP_SYS(sched_getaffinity) };
	int error = 0;
	size_t i;

	/* free() reads /proc/sys/vm/overcommit_memory, malloc() counts the processors */
	for (i = 0; !error && i < (worker ? 4 : 1); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), calls[i], 0);
	return error;
}

static int fill(scmp_filter_ctx filter, enum sandbox sandbox, bool worker)
{
	int error;

	/*
	 * Nothing that is not trusted runs here: keep the processor's store bypass. And find a call
	 * in a tree: the filter runs each time, where the kernel does not know the answer by heart.
	 */
	error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!error)
		error = allow_serving(filter);
	if (!error && !worker)
		error = allow_program(filter);
	if (!error && sandbox == SANDBOX_KILL)
		error = refuse(filter, worker);
	return error;
}

static bool enter(enum sandbox sandbox, bool worker)
{
	scmp_filter_ctx filter;
	int error = -ENOMEM;

	if (sandbox == SANDBOX_OFF)
		return true;
	filter = seccomp_init(sandbox == SANDBOX_KILL ? SCMP_ACT_KILL_PROCESS :
							SCMP_ACT_ERRNO(ENOSYS));
	if (filter)
		error = fill(filter, sandbox, worker);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	if (!error)
		return true;
	warnx("cannot install the filter of system calls: %s; --seccomp=off does without it",
	      strerror(-error));
	return false;
}

bool sandbox_program(enum sandbox sandbox)
{
	return enter(sandbox, false);
}

bool sandbox_worker(enum sandbox sandbox)
{
	return enter(sandbox, true);
}
