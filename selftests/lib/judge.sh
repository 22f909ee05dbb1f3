# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# For scripts that run test programs in a VM and judge them, to be sourced: by what they
# say, and by what the kernel says meanwhile. Sets passed, failed, skipped; and kmemleak,
# its file where the kernel looks for leaks, else empty.

passed=0 failed=0 skipped=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
# shellcheck source=selftests/lib/program.sh
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# What a report of the kernel looks like.
report='WARNING:|BUG:|BUG at|Oops|general protection fault|KASAN|UBSAN|KFENCE'
report+='|circular locking|recursive locking|inconsistent lock|suspicious RCU'
report+='|held lock freed|still has locks held|bad unlock balance|sleeping function'
report+='|scheduling while atomic|blocked for more than|soft lockup|hard LOCKUP'
report+='|rcu: INFO|self-detected stall|refcount_t:|list_(add|del) corruption'
report+='|unable to handle|stack-protector|Kernel panic|page allocation failure'
report+='|unreferenced object|kernel memory leak|Bad page|Bad rss'

mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug 2>/dev/null
mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing 2>/dev/null
kmemleak=/sys/kernel/debug/kmemleak
[ -w "$kmemleak" ] || kmemleak=

# A kernel with all its checks on is several times slower.
if [ -n "$kmemleak" ]; then
	export SHUNT_TEST_SCALE=${SHUNT_TEST_SCALE:-15} SHUNT_TEST_SLOW=${SHUNT_TEST_SLOW:-4}
fi
slow=${SHUNT_TEST_SLOW:-1}

mark() {
	echo "<6>selftests: $1" >/dev/kmsg
}

# The kernel's reports since the mark $1.
reports_since() {
	dmesg | awk -v m="selftests: $1" 'index($0, m) { on = 1; n = 0 } on { l[n++] = $0 }
		END { for (i = 1; i < n; i++) print l[i] }' | grep -E "$report"
}

# judge NAME PROGRAM: one program; it ends by itself, or after 1000 s of a usual kernel
judge() {
	local rc='' plan ok notok skip lost began=$SECONDS

	echo "# ---- $1"
	mark "begin $1"
	run_program $((1000 * slow)) "$out" "$2"
	echo "# $((SECONDS - began)) s"
	plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out" | head -n 1)
	ok=$(grep -c '^ok ' "$out")
	skip=$(grep -c '^ok .* # SKIP' "$out")
	notok=$(grep -c '^not ok ' "$out")
	lost=$((${plan:-1} - ok - notok))
	if [ "$lost" -gt 0 ]; then
		echo "not ok - $1: $lost of ${plan:-?} cases gave no result (status $rc)"
		notok=$((notok + lost))
	elif [ "$notok" -eq 0 ] && [ "$rc" != 0 ] && [ "$rc" != 4 ]; then
		echo "not ok - $1: status $rc"
		notok=1
	fi
	if reports_since "begin $1"; then
		echo "not ok - $1: the kernel reported trouble while it ran"
		notok=$((notok + 1))
	fi
	passed=$((passed + ok - skip))
	failed=$((failed + notok))
	skipped=$((skipped + skip))
}

# Leaks show only in a second scan, when what was merely in passing is gone.
leaks() {
	[ -n "$kmemleak" ] || return 0
	sleep 6
	echo scan >"$kmemleak"
	sleep 6
	echo scan >"$kmemleak"
	cat "$kmemleak" >"$out"
	if [ -s "$out" ]; then
		cat "$out"
		echo "not ok - $1: the kernel leaked memory"
		failed=$((failed + 1))
	else
		echo "ok - $1: no kernel memory leaked"
		passed=$((passed + 1))
	fi
	echo clear >"$kmemleak"
}
