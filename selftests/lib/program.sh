# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# For scripts that run test programs, to be sourced.

# run_program LIMIT OUT PROGRAM: run it in a session of its own, of which nothing is left. Its
# output goes to standard output and to the file OUT, its status to $rc. A program ends
# its cases in time by itself; LIMIT, in seconds, is for one that does not.
run_program() {
	local limit=$1 session pid

	rc=
	: >"$2"
	setsid timeout -k 10 "$limit" "$3" >"$2" 2>&1 &
	session=$!
	timeout $((limit + 30)) tail -n +1 -s 0.1 -f --pid=$session "$2"
	# What a case forked and forgot would go on, and the kernel may hold some of it.
	if pkill -KILL -s $session; then
		sleep 2
		for pid in $(pgrep -s $session); do
			echo "# cannot be killed: $(cat "/proc/$pid/"{comm,stack} | tr '\n' ' ')"
			rc=unkillable
		done
	fi
	if [ -z "$rc" ]; then
		wait $session
		rc=$?
	fi
}
