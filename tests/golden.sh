#!/bin/sh
# Compares with every fixture set below $GOLDEN, in double and in float. Ends `N passed, N failed`;
# the status is non-zero when anything failed or nothing was found.
set -u

if [ -z "${GOLDEN:-}" ]; then
	echo "golden: say which folder: make golden GOLDEN=DIR" >&2
	exit 2
fi
if [ ! -d "$GOLDEN" ]; then
	echo "golden: $GOLDEN: not a folder" >&2
	exit 2
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
for variant in double release; do
	echo "== build/$variant"
	"build/$variant/tests/golden" "$GOLDEN" || [ $? = 1 ] || echo "0 passed, 1 failed (stopped)"
done | tee "$log"
awk '/^[0-9]+ passed, [0-9]+ failed/ { passed += $1; failed += $3 }
	END { printf "== both\n%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$log"
