// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * seccomp.c - Filters of system calls (seccomp(2)). The kernel kills passt if
 * it makes any other call than those that its files declare ("syscalls:"), or
 * one with other arguments than those in the tables below.
 *
 * A filter is a program in classic BPF. It first checks the architecture. Then
 * it searches for the number of the call, by halves, and compares its
 * arguments. The kernel runs the program only for calls whose arguments are
 * checked: of all others, it has a list (since Linux 5.11).
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
#elif defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#else
#define ARCH	0		/* there is no filter for it */
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
	SOCKET(family, SOCK_STREAM, 0), \
	SOCKET(family, SOCK_STREAM, IPPROTO_TCP), \
	SOCKET(family, SOCK_DGRAM, 0), \
	SOCKET(family, SOCK_DGRAM, IPPROTO_UDP), \
	SOCKET(family, SOCK_DGRAM, ping)
#define SET(level, name) { __NR_setsockopt, { IS(1, level), IS(2, name) } }

/* Arguments that are permitted while the event loop runs. A call that is not
 * here may have any. Rules of one call are neighbours, and so are those of them
 * that begin with the same conditions: see put_rules(). */
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
	/* No call may change memory of the program's image, which contains the
	 * paths of host/paths.c. Most often, all other memory is above the
	 * image, so ABOVE comes first. */
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

#define BY_RULES	UINT32_MAX

/* struct call - A call, and the value that a filter returns for it. BY_RULES:
 * the call is permitted if one of its rules permits it, or if it has no rule */
struct call {
	int nr;
	uint32_t action;
};

#define CALLS_MAX	(ARRAY_SIZE(declared) + ARRAY_SIZE(sanitizer_calls) + \
			 ARRAY_SIZE(memory_calls) + PATH_CALLS)

/* struct calls - Calls of a filter, in order of their numbers */
struct calls {
	struct call call[CALLS_MAX];
	unsigned int n;
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

/* put_jump_unless() - Append a comparison of the accumulator with @k, which
 * falls through if it holds. Return which jump land_jump() has to complete */
static unsigned int put_jump_unless(struct filter *f, uint16_t compare,
				    uint32_t k)
{
	put_insn(f, BPF_JMP | BPF_K | compare, k, 1, 0);
	put_insn(f, BPF_JMP | BPF_JA, 0, 0, 0);
	return f->n - 1;
}

/* land_jump() - Let a jump lead to the next instruction */
static void land_jump(struct filter *f, unsigned int jump)
{
	f->insn[jump].k = f->n - jump - 1;
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

/* put_masked() - Load what COND_EQ compares, or the lower half of what
 * COND_EQ64 compares */
static void put_masked(struct filter *f, const struct cond *c)
{
	put_load(f, arg_offset(c->arg, false));
	if (c->type == COND_EQ && c->mask != UINT32_MAX)
		put_insn(f, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
}

/* has_cond() - Whether a rule has a condition number @i */
static bool has_cond(const struct call_rule *r, unsigned int i)
{
	return i < CONDS_MAX && r->cond[i].type != COND_NONE;
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
	put_masked(f, c);
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->value, 0,
		 COND_FAILS);
	if (c->type != COND_EQ64)
		return;
	put_load(f, arg_offset(c->arg, true));
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(c->value >> 32), 0,
		 COND_FAILS);
}

/* put_rule() - Append the conditions of a rule from number @depth on. They fall
 * through if the rule does not permit the call */
static void put_rule(struct filter *f, const struct call_rule *r,
		     unsigned int depth)
{
	unsigned int start = f->n, i;

	for (i = depth; has_cond(r, i); i++)
		put_cond(f, &r->cond[i]);
	put_return(f, SECCOMP_RET_ALLOW);
	for (i = start; i < f->n; i++) {
		if (f->insn[i].jt == COND_FAILS)
			f->insn[i].jt = (uint8_t)(f->n - i - 1);
		if (f->insn[i].jf == COND_FAILS)
			f->insn[i].jf = (uint8_t)(f->n - i - 1);
	}
}

/* count_same() - Count the rules at the start of @r whose condition number
 * @depth looks at the same bits of the same argument; with @value, only those
 * that want the same value in them */
static unsigned int count_same(const struct call_rule *r, unsigned int n,
			       unsigned int depth, bool value)
{
	const struct cond *first = &r->cond[depth], *c;
	unsigned int i;

	for (i = 0; i < n && has_cond(&r[i], depth); i++) {
		c = &r[i].cond[depth];
		if (c->type != COND_EQ || c->arg != first->arg ||
		    c->mask != first->mask ||
		    (value && c->value != first->value))
			break;
	}
	return i;
}

/**
 * put_rules() - Append rules of a call, which permit it, or kill the process
 * @r, @n:	rules; those that begin with the same conditions are neighbours
 * @depth:	number of the condition to begin with
 *
 * If a condition of all rules compares the same argument, the program loads it
 * once, and then compares it with one value after the other.
 */
static void put_rules(struct filter *f, const struct call_rule *r,
		      unsigned int n, unsigned int depth)
{
	unsigned int i, same, jump;

	if (count_same(r, n, depth, false) < n) {
		for (i = 0; i < n; i++)
			put_rule(f, &r[i], depth);
		put_return(f, SECCOMP_RET_KILL_PROCESS);
		return;
	}
	put_masked(f, &r->cond[depth]);
	for (i = 0; i < n; i += same) {
		same = count_same(&r[i], n - i, depth, true);
		jump = put_jump_unless(f, BPF_JEQ,
				       (uint32_t)r[i].cond[depth].value);
		if (has_cond(&r[i], depth + 1))
			put_rules(f, &r[i], same, depth + 1);
		else
			put_return(f, SECCOMP_RET_ALLOW);
		land_jump(f, jump);
	}
	put_return(f, SECCOMP_RET_KILL_PROCESS);
}

/* find_path_rules() - Find the rules of a call that uses a path. They compare
 * addresses: the memory there can't be changed. Returns their number */
static unsigned int find_path_rules(struct call_rule *r, int nr)
{
	struct path_call call[PATH_CALLS];
	unsigned int i, n = paths_calls(call), found = 0;
	struct cond *c;

	for (i = 0; i < n; i++) {
		if (call[i].nr != nr)
			continue;
		r[found] = (struct call_rule){ .nr = nr };
		c = r[found++].cond;
		*c++ = (struct cond){ COND_EQ64, 1, 0,
				      (uintptr_t)call[i].path };
		if (call[i].dir >= 0)
			*c++ = (struct cond){ COND_EQ, 0, UINT32_MAX,
					      (uint32_t)call[i].dir };
		if (call[i].how)
			*c = (struct cond){ COND_EQ64, 2, 0,
					    (uintptr_t)call[i].how };
		else if (call[i].flags)
			*c = (struct cond){ COND_EQ, 2, UINT32_MAX,
					    call[i].flags };
	}
	return found;
}

/* find_rules() - Find the rules of a call in the tables. Returns their
 * number */
static unsigned int find_rules(const struct call_rule **r, int nr, bool run)
{
	const struct call_rule *rules = run ? run_rules : start_rules;
	size_t n = run ? ARRAY_SIZE(run_rules) : ARRAY_SIZE(start_rules), i;
	unsigned int found = 0;

	for (i = 0; i < n && !found; i++) {
		*r = &rules[i];
		for (; i < n && rules[i].nr == nr; i++)
			found++;
	}
	return found;
}

/* put_args() - Append the check of a permitted call's arguments */
static void put_args(struct filter *f, int nr, bool run)
{
	struct call_rule paths[PATH_CALLS];
	const struct call_rule *r;
	unsigned int n = find_rules(&r, nr, run);

	if (!n && run) {
		n = find_path_rules(paths, nr);
		r = paths;
	}
	if (n)
		put_rules(f, r, n, 0);
	else
		put_return(f, SECCOMP_RET_ALLOW);
}

/**
 * put_calls() - Append a binary search for the call that is made, whose number
 *		 the accumulator holds
 * @c, @n:	calls of the filter, one or more, in order of their numbers
 */
static void put_calls(struct filter *f, const struct call *c, unsigned int n,
		      bool run)
{
	unsigned int jump;

	if (n == 1) {
		jump = put_jump_unless(f, BPF_JEQ, (uint32_t)c->nr);
		if (c->action == BY_RULES)
			put_args(f, c->nr, run);
		else
			put_return(f, c->action);
		land_jump(f, jump);
		put_return(f, SECCOMP_RET_KILL_PROCESS);
		return;
	}
	jump = put_jump_unless(f, BPF_JGE, (uint32_t)c[n / 2].nr);
	put_calls(f, c + n / 2, n - n / 2, run);
	land_jump(f, jump);
	put_calls(f, c, n / 2, run);
}

/* add_call() - Put a call in its place among the calls of a filter, unless it
 * is there already */
static void add_call(struct calls *l, int nr, uint32_t action)
{
	unsigned int at = l->n, i;

	while (at && l->call[at - 1].nr >= nr)
		at--;
	if (at < l->n && l->call[at].nr == nr)
		return;
	for (i = l->n++; i > at; i--)
		l->call[i] = l->call[i - 1];
	l->call[at] = (struct call){ nr, action };
}

/* list_calls() - List the calls of some groups, and what becomes of them */
static void list_calls(struct calls *l, unsigned int groups, bool run)
{
	struct path_call path[PATH_CALLS];
	size_t i, n;

	l->n = 0;
	for (i = 0; sanitizer_calls[i] >= 0; i++)
		add_call(l, sanitizer_calls[i], SECCOMP_RET_ALLOW);
	for (i = 0; i < ARRAY_SIZE(declared); i++) {
		if (declared[i].group & groups)
			add_call(l, declared[i].nr, BY_RULES);
	}
	if (!run)
		return;
	/* Calls that use a path and that no file declares: before Linux 5.6,
	 * openat() takes the place of openat2(). */
	n = paths_calls(path);
	for (i = 0; i < n; i++)
		add_call(l, path[i].nr, BY_RULES);
	for (i = 0; i < ARRAY_SIZE(memory_calls); i++)
		add_call(l, memory_calls[i], SECCOMP_RET_ERRNO | ENOMEM);
}

/* make_filter() - Make a filter that permits the calls of some groups */
static void make_filter(struct filter *f, unsigned int groups)
{
	bool run = !(groups & CALLS_START);
	struct calls l;

	f->n = 0;
	put_load(f, offsetof(struct seccomp_data, arch));
	put_insn(f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	put_return(f, SECCOMP_RET_KILL_PROCESS);
	put_load(f, offsetof(struct seccomp_data, nr));
	list_calls(&l, groups, run);
	put_calls(f, l.call, l.n, run);
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
