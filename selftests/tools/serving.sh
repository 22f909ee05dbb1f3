# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of 'shunt net serve' and 'shunt disk serve' have in common; after ktap.sh.

# serve OBJECT ARGUMENTS...: begin to serve at $WORK/s; $pid. It is in its jail when this returns.
serve() {
	"$SHUNT" "$1" serve --socket-path "$WORK/s" "${@:2}" >"$WORK/out" 2>"$WORK/err" &
	pid=$!
	wait_for grep -q '^Seccomp:[[:space:]]*2' "/proc/$pid/status"
}

# ends SIGNAL: it ends by it, with status 0, and has said nothing.
ends() {
	kill "-$1" "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 0 ] || fail "exit code $code by SIG$1: $(cat "$WORK/err")"
	cat "$WORK/out" "$WORK/err" >"$WORK/said"
	[ ! -s "$WORK/said" ] || fail "said: $(cat "$WORK/said")"
}

# field NAME: its value in the JSON object on standard input.
field() {
	python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}
