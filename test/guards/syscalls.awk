# SPDX-License-Identifier: AGPL-3.0-or-later
# Prints the declared system calls (see syscalls.py) as lines "GROUP NAME", or
# for -v header=1 as a C header for host/seccomp.c.

/^\/\* syscalls: / { inside = 1; group = "run" }
inside {
	last = /\*\//
	for (i = 1; i <= NF; i++) {
		word = $i
		if (word ~ /^[a-z]+:$/ && word != "syscalls:")
			group = substr(word, 1, length(word) - 1)
		else if (word ~ /^[a-z_0-9]+;?$/) {
			sub(/;$/, "", word)
			found[group " " word] = 1
		}
	}
	inside = !last
}
# Prints one entry of the C header. Where the kernel lacks a call, another one
# does its work.
function entry_of(group, name) {
	printf "#if defined(__NR_%s)\n\t{ __NR_%s, CALLS_%s },\n", name, name,
	       group
	if (name in instead)
		printf "#else\n\t{ __NR_%s, CALLS_%s },\n", instead[name], group
	print "#endif"
}

BEGIN {
	instead["dup2"] = "dup3"
	instead["epoll_wait"] = "epoll_pwait"
	instead["lchown"] = "fchownat"
	instead["poll"] = "ppoll"
	instead["readlink"] = "readlinkat"
	instead["unlink"] = "unlinkat"
}

END {
	n = split(libc, calls, " ")
	group = "run"
	for (i = 1; i <= n; i++) {
		if (calls[i] ~ /:$/)
			group = substr(calls[i], 1, length(calls[i]) - 1)
		else
			found[group " " calls[i]] = 1
	}
	for (entry in found) {
		split(entry, part, " ")
		if (header)
			entry_of(toupper(part[1]), part[2])
		else
			print entry
	}
}
