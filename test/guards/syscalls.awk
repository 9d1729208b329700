# SPDX-License-Identifier: AGPL-3.0-or-later
# Prints the declared system calls (see syscalls.py) as lines "start NAME" and
# "run NAME".

/^\/\* syscalls: / { inside = 1; group = "run" }
inside {
	last = /\*\//
	for (i = 1; i <= NF; i++) {
		word = $i
		gsub(/[;:]$/, "", word)
		if (word == "start" || word == "run")
			group = word
		else if (word ~ /^[a-z_0-9]+$/ && word != "syscalls")
			print group, word
	}
	inside = !last
}
END {
	n = split(libc, calls, " ")
	for (i = 1; i <= n; i++)
		print "run", calls[i]
}
