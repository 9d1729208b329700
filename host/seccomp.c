// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * seccomp.c - Filters of system calls (seccomp(2)). The kernel kills passt if
 * it makes any other call than those that its files declare ("syscalls:"), or
 * one with other arguments than those in the tables below.
 *
 * A filter is a program in classic BPF. It first checks the architecture. Then
 * come the calls, one after the other. The kernel runs the program only for
 * calls whose arguments are checked: of all others, it has a list (since Linux
 * 5.11).
 */
/* syscalls: start: seccomp */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/paths.h"
#include "host/seccomp.h"
#include "util.h"

#if !defined(__GLIBC__)
#define ARCH	0		/* another libc makes other calls */
#define NR_END	UINT32_MAX
#elif defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#define NR_END	0x40000000	/* from here on, calls of the x32 ABI */
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#define NR_END	UINT32_MAX
#else
#define ARCH	0		/* there is no filter for it */
#define NR_END	UINT32_MAX
#endif

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW	4
#endif
#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF	42
#endif

#define INSNS_MAX	1024	/* instructions of a filter */
#define CONDS_MAX	3	/* conditions of a rule */
#define BELOW_MARGIN	0x100	/* upper half of 1 TiB */

extern char _end[];		/* end of the program's image: end(3) */

/* Where a condition finds what it compares. */
enum cond_type {
	COND_NONE,	/* there is no further condition */
	COND_EQ,	/* the lower 32 bits of an argument, and @mask */
	COND_EQ64,	/* all of an argument */
	COND_ABOVE,	/* an argument is an address above our image */
	COND_BELOW,	/* an argument and the next one are address and length
			 * of memory far below our image */
};

/**
 * struct cond - Condition on one argument of a call
 * @type:	how to compare
 * @arg:	number of the argument, from 0
 * @mask:	bits that are compared (COND_EQ)
 * @value:	what the argument must be
 */
struct cond {
	enum cond_type type;
	unsigned int arg;
	uint32_t mask;
	uint64_t value;
};

/**
 * struct call_rule - Arguments with which a call is permitted
 * @nr:		number of the call
 * @cond:	conditions, all of which must hold
 */
struct call_rule {
	int nr;
	struct cond cond[CONDS_MAX];
};

/**
 * struct filter - A filter that is being made
 * @insn, @n:	its program
 */
struct filter {
	struct sock_filter insn[INSNS_MAX];
	unsigned int n;
};

static const struct declared_call {
	int nr;
	unsigned int group;
} declared[] = {
#include <calls.h>	/* made by the Makefile */
};

#define IS(number, what) \
	{ .type = COND_EQ, .arg = number, .mask = UINT32_MAX, .value = what }
#define WITHOUT(number, bits) \
	{ .type = COND_EQ, .arg = number, .mask = bits, .value = 0 }
#define ZERO(number)	{ .type = COND_EQ64, .arg = number }
#define ABOVE(number)	{ .type = COND_ABOVE, .arg = number }
#define BELOW(number)	{ .type = COND_BELOW, .arg = number }

#define TYPE_MASK	((uint32_t)~(SOCK_NONBLOCK | SOCK_CLOEXEC))
#define SOCKET(family, kind, proto) \
	{ __NR_socket, { IS(0, family), \
			 { .type = COND_EQ, .arg = 1, .mask = TYPE_MASK, \
			   .value = kind }, IS(2, proto) } }
#define SOCKETS(family, ping) \
	SOCKET(family, SOCK_STREAM, 0), SOCKET(family, SOCK_DGRAM, 0), \
	SOCKET(family, SOCK_STREAM, IPPROTO_TCP), \
	SOCKET(family, SOCK_DGRAM, IPPROTO_UDP), \
	SOCKET(family, SOCK_DGRAM, ping)
#define SET(level, name) { __NR_setsockopt, { IS(1, level), IS(2, name) } }

/* Arguments that are permitted while the event loop runs. A call that is not
 * here may have any. */
static const struct call_rule run_rules[] = {
	SOCKETS(AF_INET, IPPROTO_ICMP), SOCKETS(AF_INET6, IPPROTO_ICMPV6),
	SET(SOL_SOCKET, SO_ATTACH_FILTER), SET(SOL_SOCKET, SO_BINDTODEVICE),
	SET(SOL_SOCKET, SO_BROADCAST), SET(SOL_SOCKET, SO_KEEPALIVE),
	SET(SOL_SOCKET, SO_LINGER), SET(SOL_SOCKET, SO_OOBINLINE),
	SET(SOL_SOCKET, SO_PEEK_OFF), SET(SOL_SOCKET, SO_RCVBUF),
	SET(SOL_SOCKET, SO_REUSEADDR), SET(SOL_SOCKET, SO_REUSEPORT),
	SET(SOL_SOCKET, SO_SNDBUF),
	SET(IPPROTO_IP, IP_ADD_MEMBERSHIP),
	SET(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
	SET(IPPROTO_IP, IP_FREEBIND), SET(IPPROTO_IP, IP_MTU_DISCOVER),
	SET(IPPROTO_IP, IP_MULTICAST_ALL), SET(IPPROTO_IP, IP_MULTICAST_IF),
	SET(IPPROTO_IP, IP_MULTICAST_LOOP), SET(IPPROTO_IP, IP_PKTINFO),
	SET(IPPROTO_IP, IP_RECVERR), SET(IPPROTO_IP, IP_RECVTOS),
	SET(IPPROTO_IP, IP_RECVTTL), SET(IPPROTO_IP, IP_TOS),
	SET(IPPROTO_IP, IP_TTL),
	SET(IPPROTO_IPV6, IPV6_DONTFRAG), SET(IPPROTO_IPV6, IPV6_JOIN_GROUP),
	SET(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	SET(IPPROTO_IPV6, IPV6_MULTICAST_ALL),
	SET(IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
	SET(IPPROTO_IPV6, IPV6_RECVERR), SET(IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
	SET(IPPROTO_IPV6, IPV6_RECVPKTINFO), SET(IPPROTO_IPV6, IPV6_RECVTCLASS),
	SET(IPPROTO_IPV6, IPV6_TCLASS), SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	SET(IPPROTO_IPV6, IPV6_V6ONLY),
	SET(IPPROTO_TCP, TCP_NODELAY), SET(IPPROTO_TCP, TCP_SYNCNT),
	SET(IPPROTO_UDP, UDP_GRO),
	{ __NR_ioctl, { IS(1, SIOCOUTQ) } },
	{ __NR_ioctl, { IS(1, SIOCGIFINDEX) } },
	{ __NR_ioctl, { IS(1, SIOCGIFNAME) } },
	/* No call may change the image of the program, or the paths in it.
	 * Most often, all other memory is above the image. */
	{ __NR_brk, { ZERO(0) } },
	{ __NR_brk, { ABOVE(0) } },
	{ __NR_madvise, { IS(2, MADV_DONTNEED), ABOVE(0) } },
	{ __NR_madvise, { IS(2, MADV_DONTNEED), BELOW(0) } },
	{ __NR_madvise, { IS(2, MADV_HUGEPAGE) } },	/* GLIBC_TUNABLES */
	{ __NR_mmap, { WITHOUT(2, PROT_EXEC), WITHOUT(3, MAP_FIXED) } },
	{ __NR_mmap, { WITHOUT(2, PROT_EXEC), ABOVE(0) } },
	{ __NR_mmap, { WITHOUT(2, PROT_EXEC), BELOW(0) } },
	{ __NR_munmap, { ABOVE(0) } },
	{ __NR_munmap, { BELOW(0) } },
	{ __NR_fcntl, { IS(1, F_GETFL) } },
	{ __NR_fcntl, { IS(1, F_SETFL) } },
};

/* Arguments that are permitted before that. */
static const struct call_rule start_rules[] = {
	{ __NR_mmap, { WITHOUT(2, PROT_EXEC) } },
	{ __NR_mprotect, { WITHOUT(2, PROT_EXEC) } },
};

/* Calls that fail with ENOMEM, unless they are permitted: malloc() makes them
 * when brk() fails, and handles their failure. */
static const int memory_calls[] = { __NR_mmap, __NR_mremap, __NR_munmap };

/* Calls that a sanitizer makes by itself, in a build that has one. */
static const int sanitizer_calls[] = {
#if defined(__SANITIZE_ADDRESS__)
	__NR_clock_nanosleep, __NR_clone, __NR_exit, __NR_fstat, __NR_futex,
	__NR_getdents64, __NR_getpid, __NR_getppid, __NR_getrandom,
	__NR_gettid, __NR_getuid, __NR_kill, __NR_set_tid_address,
	__NR_lseek, __NR_madvise, __NR_mmap, __NR_mprotect, __NR_mremap,
	__NR_munmap, __NR_nanosleep, __NR_newfstatat, __NR_openat, __NR_pipe2,
	__NR_prctl, __NR_prlimit64, __NR_process_vm_readv,
	__NR_ptrace, __NR_readlink, __NR_readlinkat, __NR_rseq,
	__NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn,
	__NR_sched_getaffinity, __NR_sched_yield, __NR_set_robust_list,
	__NR_sigaltstack, __NR_sysinfo, __NR_tgkill, __NR_wait4,
#ifdef __NR_open
	__NR_getdents, __NR_open, __NR_poll,
#endif
#endif
	-1
};

/* put_insn() - Append an instruction. seccomp_install() checks that there was
 * space for all */
static void put_insn(struct filter *f, uint16_t code, uint32_t k,
		     uint8_t jt, uint8_t jf)
{
	if (f->n < INSNS_MAX)
		f->insn[f->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void put_load(struct filter *f, size_t offset)
{
	put_insn(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void put_return(struct filter *f, uint32_t action)
{
	put_insn(f, BPF_RET | BPF_K, action, 0, 0);
}

/* arg_offset() - Offset of one half of an argument. Both architectures store
 * the lower half first */
static size_t arg_offset(unsigned int arg, bool high)
{
	return offsetof(struct seccomp_data, args[arg]) + 4 * high;
}

/* COND_FAILS marks jumps that put_cond() can't know yet: out of the rule. */
#define COND_FAILS	255

/* put_above() - Append the check of COND_ABOVE */
static void put_above(struct filter *f, unsigned int arg)
{
	uint64_t end = (uintptr_t)_end;
	uint32_t low = (uint32_t)end, high = (uint32_t)(end >> 32);

	put_load(f, arg_offset(arg, true));
	put_insn(f, BPF_JMP | BPF_JGT | BPF_K, high, 3, 0);
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, high, 0, COND_FAILS);
	put_load(f, arg_offset(arg, false));
	put_insn(f, BPF_JMP | BPF_JGE | BPF_K, low, 0, COND_FAILS);
}

/* put_below() - Append the check of COND_BELOW. A filter can't add numbers of
 * 64 bits, so it compares the upper halves, with a margin */
static void put_below(struct filter *f, unsigned int arg)
{
	uint32_t high = (uint32_t)((uint64_t)(uintptr_t)_end >> 32);

	put_load(f, arg_offset(arg, true));
	put_insn(f, BPF_JMP | BPF_JGE | BPF_K,
		 high > BELOW_MARGIN ? high - BELOW_MARGIN : 0, COND_FAILS, 0);
	put_load(f, arg_offset(arg + 1, true));
	put_insn(f, BPF_JMP | BPF_JGE | BPF_K, BELOW_MARGIN - 1, COND_FAILS, 0);
}

/* put_cond() - Append the check of a condition, which falls through if the
 * condition holds */
static void put_cond(struct filter *f, const struct cond *c)
{
	if (c->type == COND_ABOVE) {
		put_above(f, c->arg);
		return;
	}
	if (c->type == COND_BELOW) {
		put_below(f, c->arg);
		return;
	}
	put_load(f, arg_offset(c->arg, false));
	if (c->type == COND_EQ && c->mask != UINT32_MAX)
		put_insn(f, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->value, 0,
		 COND_FAILS);
	if (c->type != COND_EQ64)
		return;
	put_load(f, arg_offset(c->arg, true));
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(c->value >> 32), 0,
		 COND_FAILS);
}

/* put_rule() - Append a rule, which falls through if it does not permit the
 * call */
static void put_rule(struct filter *f, const struct call_rule *r)
{
	unsigned int start = f->n, i;

	for (i = 0; i < CONDS_MAX && r->cond[i].type != COND_NONE; i++)
		put_cond(f, &r->cond[i]);
	put_return(f, SECCOMP_RET_ALLOW);
	for (i = start; i < f->n; i++) {
		if (f->insn[i].jt == COND_FAILS)
			f->insn[i].jt = (uint8_t)(f->n - i - 1);
		if (f->insn[i].jf == COND_FAILS)
			f->insn[i].jf = (uint8_t)(f->n - i - 1);
	}
}

/* put_paths() - Append the rules of a call that uses a path. They compare
 * addresses: the memory there can't be changed. Returns their number */
static unsigned int put_paths(struct filter *f, int nr)
{
	struct path_call call[PATH_CALLS];
	unsigned int i, n = paths_calls(call), found = 0;

	for (i = 0; i < n; i++) {
		struct call_rule r = { .nr = nr };
		unsigned int used = 0;

		if (call[i].nr != nr)
			continue;
		r.cond[used++] = (struct cond){
			COND_EQ64, 1, 0, (uintptr_t)call[i].path };
		if (call[i].dir >= 0)
			r.cond[used++] = (struct cond){
				COND_EQ, 0, UINT32_MAX, (uint32_t)call[i].dir };
		if (call[i].how)
			r.cond[used++] = (struct cond){
				COND_EQ64, 2, 0, (uintptr_t)call[i].how };
		else if (call[i].flags)
			r.cond[used++] = (struct cond){
				COND_EQ, 2, UINT32_MAX, call[i].flags };
		put_rule(f, &r);
		found++;
	}
	return found;
}

/* put_args() - Append all rules of a call; returns their number */
static unsigned int put_args(struct filter *f, int nr, bool run)
{
	const struct call_rule *rules = run ? run_rules : start_rules;
	size_t n = run ? ARRAY_SIZE(run_rules) : ARRAY_SIZE(start_rules), i;
	unsigned int found = 0;

	for (i = 0; i < n; i++) {
		if (rules[i].nr == nr) {
			put_rule(f, &rules[i]);
			found++;
		}
	}
	return run ? found + put_paths(f, nr) : found;
}

/* put_call() - Append the check of a call. The accumulator holds the number of
 * the call that is made, and still does so if it is another one */
static void put_call(struct filter *f, int nr, bool run)
{
	unsigned int skip;

	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 1, 0);
	skip = f->n;
	put_insn(f, BPF_JMP | BPF_JA, 0, 0, 0);
	put_return(f, put_args(f, nr, run) ? SECCOMP_RET_KILL_PROCESS :
					     SECCOMP_RET_ALLOW);
	f->insn[skip].k = f->n - skip - 1;
}

static bool is_declared(int nr, unsigned int groups)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(declared); i++) {
		if (declared[i].nr == nr && declared[i].group & groups)
			return true;
	}
	return false;
}

/* put_other_paths() - Append the checks of calls that use a path and that no
 * file declares: before Linux 5.6, openat() takes the place of openat2() */
static void put_other_paths(struct filter *f, unsigned int groups)
{
	struct path_call call[PATH_CALLS];
	unsigned int i, n = paths_calls(call);

	for (i = 0; i < n; i++) {
		if (!is_declared(call[i].nr, groups))
			put_call(f, call[i].nr, true);
	}
}

/* has_rules() - Whether the arguments of a call are checked while the event
 * loop runs. Such calls come first in a filter: for others the kernel seldom
 * runs it */
static bool has_rules(int nr)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(run_rules); i++) {
		if (run_rules[i].nr == nr)
			return true;
	}
	return false;
}

/* is_first() - Whether the call at an index of the table, which is in @groups,
 * is not there at a lower index */
static bool is_first(size_t at, unsigned int groups)
{
	size_t i;

	for (i = 0; i < at; i++) {
		if (declared[i].nr == declared[at].nr &&
		    declared[i].group & groups)
			return false;
	}
	return true;
}

/* make_filter() - Make a filter that permits the calls of some groups */
static void make_filter(struct filter *f, unsigned int groups)
{
	bool run = !(groups & CALLS_START);
	int rules;
	size_t i;

	f->n = 0;
	put_load(f, offsetof(struct seccomp_data, arch));
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	put_return(f, SECCOMP_RET_KILL_PROCESS);
	put_load(f, offsetof(struct seccomp_data, nr));
	put_insn(f, BPF_JMP | BPF_JGE | BPF_K, NR_END, 0, 1);
	put_return(f, SECCOMP_RET_KILL_PROCESS);
	for (i = 0; sanitizer_calls[i] >= 0; i++) {
		put_insn(f, BPF_JMP | BPF_JEQ | BPF_K,
			 (uint32_t)sanitizer_calls[i], 0, 1);
		put_return(f, SECCOMP_RET_ALLOW);
	}
	for (rules = 1; rules >= 0; rules--) {
		for (i = 0; i < ARRAY_SIZE(declared); i++) {
			if (has_rules(declared[i].nr) == rules &&
			    declared[i].group & groups && is_first(i, groups))
				put_call(f, declared[i].nr, run);
		}
	}
	if (run)
		put_other_paths(f, groups);
	for (i = 0; run && i < ARRAY_SIZE(memory_calls); i++) {
		if (is_declared(memory_calls[i], groups))
			continue;
		put_insn(f, BPF_JMP | BPF_JEQ | BPF_K,
			 (uint32_t)memory_calls[i], 0, 1);
		put_return(f, SECCOMP_RET_ERRNO | ENOMEM);
	}
	put_return(f, SECCOMP_RET_KILL_PROCESS);
}

/**
 * seccomp_install() - Let the kernel kill the process if it makes any call that
 *		is not in one of these groups. Filters add up: a call must be
 *		permitted by all
 * @groups:	CALLS_*. With CALLS_START, most arguments are not checked
 *
 * The process must have no_new_privs set.
 *
 * Return: 0, or -errno. -ENOTSUP: there is no filter for this architecture or
 *	   libc
 */
int seccomp_install(unsigned int groups)
{
	static struct filter f;
	struct sock_fprog prog;

	if (!ARCH)
		return -ENOTSUP;
	make_filter(&f, groups);
	prog = (struct sock_fprog){ (unsigned short)f.n, f.insn };
	if (f.n == INSNS_MAX)
		return -E2BIG;
	/* No code of others runs in this process, so it needs no protection
	 * from speculative loads, which costs speed (before Linux 5.16). */
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog))
		return 0;
	if (errno != EINVAL)
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) ?
	       -errno : 0;
}
