# SPDX-License-Identifier: AGPL-3.0-or-later
# Prints the declared system calls (see syscalls.py) as lines "GROUP NAME".

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
END {
	n = split(libc, calls, " ")
	group = "run"
	for (i = 1; i <= n; i++) {
		if (calls[i] ~ /:$/)
			group = substr(calls[i], 1, length(calls[i]) - 1)
		else
			found[group " " calls[i]] = 1
	}
	for (entry in found)
		print entry
}
