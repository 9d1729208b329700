# SPDX-License-Identifier: AGPL-3.0-or-later
# Makes a C header for host/seccomp.c of lines "GROUP NAME". Where the kernel
# lacks a call, another one does its work.

BEGIN {
	instead["dup2"] = "dup3"
	instead["epoll_wait"] = "epoll_pwait"
	instead["lchown"] = "fchownat"
	instead["poll"] = "ppoll"
	instead["readlink"] = "readlinkat"
	instead["unlink"] = "unlinkat"
}

{
	group = "CALLS_" toupper($1)
	printf "#if defined(__NR_%s)\n\t{ __NR_%s, %s },\n", $2, $2, group
	if ($2 in instead)
		printf "#else\n\t{ __NR_%s, %s },\n", instead[$2], group
	print "#endif"
}
