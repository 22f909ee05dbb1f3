# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# KTAP for the shell tests of the command 'shunt': sourced by each of them.
#
# A case is a function called test_SOMETHING; its name, with blanks for the underscores, is the
# case's. It runs in a subshell under set -e, and fails if any of its commands does. Every case is
# also checked to leave the host's interfaces as they were. Skipping: skip REASON.
#
# Environment: SHUNT (the command), SHUNT_DEV (the vhost device), TESTS (the helper programs).

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SHUNT=${SHUNT:-$TOP/build/tools/shunt}
TESTS=${TESTS:-$TOP/build/selftests/tools}
SHUNT_DEV=${SHUNT_DEV:-/dev/shunt-net}
export SHUNT_DEV

# A directory that other users can look into, removed at the end.
WORK=$(mktemp -d)
chmod 755 "$WORK"
trap 'rm -rf "$WORK"' EXIT

# What a case may not change: the interfaces, with MTU. Whether one has a carrier is noticed by the
# kernel some time later, and no matter; as is the order of those whose driver came back.
interfaces() {
	ip -o link show | sed -e 's/^[0-9]*: //' -e 's/ qdisc .*//' \
		-e 's/,LOWER_UP//' -e 's/NO-CARRIER,//' | sort
}

# fail REASON: end the case.
fail() {
	echo "# $*"
	exit 1
}

# skip REASON: end the case as skipped.
skip() {
	echo "$*" >"$WORK/skip"
	exit 4
}

# run COMMAND...: run it; $code, $WORK/out and $WORK/err tell how it went.
run() {
	code=0
	"$@" >"$WORK/out" 2>"$WORK/err" </dev/null || code=$?
}

# refused CODE COMMAND...: it fails with that exit code, one line on stderr and no output.
refused() {
	local want=$1

	shift
	run "$@"
	if [ "$code" -ne "$want" ]; then
		sed 's/^/# /' "$WORK/out" "$WORK/err"
		fail "exit code $code instead of $want: $*"
	fi
	[ "$(wc -l <"$WORK/err")" -eq 1 ] || fail "not one line on stderr: $(cat "$WORK/err")"
	grep -q '^shunt: .' "$WORK/err" || fail "not from shunt: $(cat "$WORK/err")"
	[ ! -s "$WORK/out" ] || fail "output of a refused command: $(cat "$WORK/out")"
}

# works COMMAND...: it succeeds and says nothing on stderr.
works() {
	run "$@"
	if [ "$code" -ne 0 ] || [ -s "$WORK/err" ]; then
		sed 's/^/# /' "$WORK/out" "$WORK/err"
		fail "exit code $code: $*"
	fi
}

# wait_for COMMAND...: until it succeeds; a minute is far more than it ever takes.
wait_for() {
	local _

	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	fail "never came true: $*"
}

run_cases() {
	local name before began number=0 failed=0 passed=0 rc
	local -a names

	mapfile -t names < <(declare -F | sed -n 's/^declare -f test_//p')
	echo "TAP version 13"
	echo "1..${#names[@]}"
	for name in "${names[@]}"; do
		number=$((number + 1))
		before=$(interfaces)
		began=$SECONDS
		(
			set -e
			"test_$name"
		)
		rc=$?
		if [ "$rc" -ne 4 ] && [ "$before" != "$(interfaces)" ]; then
			echo "# interfaces were left changed:"
			diff <(echo "$before") <(interfaces) | sed 's/^/# /'
			rc=1
		fi
		[ $((SECONDS - began)) -lt 10 ] || echo "# took $((SECONDS - began)) s"
		case $rc in
		0)
			passed=$((passed + 1))
			echo "ok $number ${name//_/ }"
			;;
		4)
			echo "ok $number ${name//_/ } # SKIP $(cat "$WORK/skip")"
			;;
		*)
			failed=$((failed + 1))
			echo "not ok $number ${name//_/ }"
			;;
		esac
	done
	[ "$failed" -eq 0 ] || exit 1
	[ "$passed" -gt 0 ] || exit 4
	exit 0
}
