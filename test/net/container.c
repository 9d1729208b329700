// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * container.c - Runs a program with a filter of system calls that refuses what
 * container engines refuse by default: namespaces, mounts and keys.
 *
 *	container COMMAND...
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr	442
#endif

/* Fail with @error if the call has this number, else go on. */
#define FAIL(number, error)						\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),		\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		FAIL(SYS_unshare, EPERM), FAIL(SYS_setns, EPERM),
		FAIL(SYS_mount, EPERM), FAIL(SYS_umount2, EPERM),
		FAIL(SYS_pivot_root, EPERM), FAIL(SYS_open_tree, EPERM),
		FAIL(SYS_move_mount, EPERM), FAIL(SYS_fsopen, EPERM),
		FAIL(SYS_fsmount, EPERM), FAIL(SYS_mount_setattr, EPERM),
		FAIL(SYS_keyctl, EPERM), FAIL(SYS_ptrace, EPERM),
		FAIL(SYS_clone3, ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {
		sizeof(code) / sizeof(code[0]), code
	};

	if (argc < 2)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
		perror("container");
		return 2;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 2;
}
