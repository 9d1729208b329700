// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * trycall.c - Lets a running passt make system calls that it does not make by
 * itself, as an attacker in the process would. It starts passt, waits until it
 * runs its event loop in the sandbox, stops it by ptrace(2), and sets its
 * registers. If the kernel kills passt, it starts another one.
 *
 * Usage: trycall CALLS COMMAND...
 *
 * CALLS is a file with lines "NR ARG ARG ...". An argument is a number, "image"
 * for the address of the program's image, or '=' and a string that is put in
 * passt's memory. For each line, the result is
 * printed: the number that the call returned, "killed", or "exited".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS	6
#define STEP_US	1000
#define TRIES	5000
#define BELOW	4096	/* bytes below the stack pointer where strings go */

static char **command;
static pid_t pid;
static struct user_regs_struct before;

static void fail(const char *what)
{
	fprintf(stderr, "trycall: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* waits_in_loop() - Whether passt has both filters and is in epoll_wait() */
static int waits_in_loop(void)
{
	char path[64], line[256];
	int found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		found |= !strcmp(line, "Seccomp_filters:\t2\n");
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	f = fopen(path, "r");
	found &= f && fgets(line, sizeof(line), f) &&
		 atoi(line) == SYS_epoll_wait;
	if (f)
		fclose(f);
	return found;
}

/* stops_in_loop() - Stop passt, and tell whether it waits in epoll_wait() */
static int stops_in_loop(void)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) ||
	    ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_GETREGS, pid, 0, &before))
		fail(command[0]);
	return before.orig_rax == SYS_epoll_wait;
}

/* begin() - Start passt, and stop it in its event loop */
static void begin(void)
{
	int i;

	do {
		if (pid) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		pid = fork();
		if (!pid) {
			execv(command[0], command);
			_exit(127);
		}
		for (i = 0; i < TRIES && !waits_in_loop(); i++)
			usleep(STEP_US);
		if (i == TRIES)
			fail(command[0]);
	} while (!stops_in_loop());
}

/* put_string() - Put a string in passt's memory, and return its address */
static uint64_t put_string(const char *s, uint64_t at)
{
	struct iovec from = { (void *)(uintptr_t)s, strlen(s) + 1 };
	struct iovec to = { (void *)(uintptr_t)at, from.iov_len };

	if (process_vm_writev(pid, &from, 1, &to, 1, 0) < 0)
		fail("process_vm_writev");
	return at;
}

/* find_image() - Find the address of the program's image: its memory comes
 * first */
static uint64_t find_image(void)
{
	char path[64];
	unsigned long long at = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llx", &at) != 1)
		fail(path);
	fclose(f);
	return at;
}

/* step() - Let passt go on to the next entry into or return from a system
 * call; returns 0 when it has ended */
static int step(int *status)
{
	if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || waitpid(pid, status, 0) < 0)
		fail("ptrace");
	return WIFSTOPPED(*status);
}

/* call() - Let passt make one call; returns 0 if it has ended then, and else
 * sets @regs to its registers afterwards */
static int call(uint64_t nr, const uint64_t arg[ARGS],
		struct user_regs_struct *regs, int *status)
{
	*regs = before;
	regs->rax = nr;
	regs->orig_rax = (unsigned long long)-1;
	regs->rip -= 2;		/* the instruction by which it came to wait */
	regs->rdi = arg[0];
	regs->rsi = arg[1];
	regs->rdx = arg[2];
	regs->r10 = arg[3];
	regs->r8 = arg[4];
	regs->r9 = arg[5];
	if (ptrace(PTRACE_SETREGS, pid, 0, regs))
		fail("PTRACE_SETREGS");
	if (!step(status) || !step(status))
		return 0;
	if (ptrace(PTRACE_GETREGS, pid, 0, regs))
		fail("PTRACE_GETREGS");
	return 1;
}

/* try() - Let passt make one call, and print the result. A call that is not
 * permitted returns, too, but passt is dead before it makes another one */
static void try(uint64_t nr, const uint64_t arg[ARGS])
{
	static const uint64_t no_file[ARGS] = { (uint64_t)-1 };
	struct user_regs_struct regs, next;
	int status;

	if (call(nr, arg, &regs, &status) &&
	    call(SYS_close, no_file, &next, &status)) {
		printf("%lld\n", (long long)regs.rax);
		return;
	}
	puts(WIFEXITED(status) ? "exited" :
	     WTERMSIG(status) == SIGSYS ? "killed" : "other signal");
	pid = 0;
}

int main(int argc, char **argv)
{
	FILE *calls = argc > 2 ? fopen(argv[1], "r") : NULL;
	char line[1024], *word;
	uint64_t nr, arg[ARGS], at;
	unsigned int i;

	if (!calls)
		fail("usage: trycall CALLS COMMAND...");
	command = argv + 2;
	while (fgets(line, sizeof(line), calls)) {
		if (!pid)
			begin();
		line[strcspn(line, "\n")] = '\0';
		nr = strtoull(strtok(line, " "), NULL, 0);
		memset(arg, 0, sizeof(arg));
		at = before.rsp - BELOW;
		for (i = 0; i < ARGS && (word = strtok(NULL, " ")); i++) {
			arg[i] = *word == '=' ? put_string(word + 1, at) :
				 !strcmp(word, "image") ? find_image() :
				 strtoull(word, NULL, 0);
			at -= 256;
		}
		try(nr, arg);
		fflush(stdout);
	}
	if (pid)
		kill(pid, SIGKILL);
	return 0;
}
