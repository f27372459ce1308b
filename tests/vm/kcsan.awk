# SPDX-License-Identifier: MIT OR GPL-2.0
# A kernel log without the data races that are none of our business. The rule: a race is ours if a function of khttpd
# is in either of its stacks, be it that our code or a function called by it touches the memory. What the kernel
# does alone, in interrupts or in other programs' system calls, it also does without us.
# A report goes from one line of "====" to the next; an unfinished one stays.

function flush(i) {
	for (i = 0; i < n; i++)
		print held[i]
	n = 0
	racing = ours = 0
}

/==========\r?$/ {
	if (!racing) { # the first line of this report, or the last one of another kind
		flush()
		held[n++] = $0
	} else {
		if (ours) {
			flush()
			print
		}
		n = racing = ours = 0
	}
	next
}
n == 1 && !racing && /BUG: KCSAN: / {
	racing = 1
}
!n {
	print
	next
}
{
	held[n++] = $0
	if (!racing)
		flush()
	else if (/ \[khttpd\]\r?$/)
		ours = 1
}
END {
	flush()
}
