#!/bin/sh
# Runs test programs and scripts, one line each, the output of those that fail, and the sum.
#
#     run.sh FILE...      UNDER=valgrind runs the programs under valgrind
#
# A program prints cmocka's summary; a script ends with a line `N passed, N failed`.
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

# run FILE: a test under a limit of time, where the system has one.
run() {
	case $1 in
	*.sh) set -- sh "$@" ;;
	*) [ -z "${UNDER:-}" ] || set -- valgrind -q --leak-check=full --show-leak-kinds=definite \
		--errors-for-leak-kinds=definite --error-exitcode=1 "$@" ;;
	esac
	if command -v timeout >/dev/null; then
		set -- timeout 600 "$@"
	fi
	"$@" </dev/null >"$log" 2>&1
}

# count WORD: the sum of cmocka's lines `[  WORD  ] N test(s)`, or the number before WORD on the
# script's last line.
count() {
	case $test in
	*.sh) tail -n 1 "$log" | sed -n "s/^\(.* \)*\([0-9]*\) $1.*/\2/p" ;;
	*) awk -v word="$(echo "$1" | tr a-z A-Z)" \
		'$1 == "[" && $2 == word && $5 ~ /^test/ { n += $4 } END { print n + 0 }' "$log" ;;
	esac
}

for test; do
	start=$(date +%s)
	run "$test"
	status=$?
	good=$(count passed)
	bad=$(count failed)
	: "${good:=0}" "${bad:=0}"
	# A test that died, or ran nothing, has failed at least once.
	if [ "$bad" = 0 ] && { [ $status != 0 ] || [ "$good" = 0 ]; }; then
		bad=1
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	name=$(basename "$test")
	seconds=$(($(date +%s) - start))
	if [ "$bad" = 0 ]; then
		printf '  ok      %-24s %4d passed %17s %3d s\n' "$name" "$good" '' "$seconds"
	else
		printf '  FAILED  %-24s %4d passed, %3d failed (exit %d) %3d s\n' \
			"$name" "$good" "$bad" "$status" "$seconds"
		sed 's/^/    | /' "$log"
	fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
