#!/bin/sh
# Every method on one target, with its metrics and floors, under valgrind. Ends `N passed, N failed`.
set -u

out=build/valgrind/smoke
rm -rf "$out"
# Valgrind shows an older processor than the machine has: OpenBLAS must be told to use that one.
if OPENBLAS_CORETYPE=Haswell valgrind -q --leak-check=full --show-leak-kinds=definite \
	--errors-for-leak-kinds=definite --error-exitcode=99 \
	build/valgrind/stride run configs/smoke.yaml --only :gaussian --no-report --out "$out"; then
	echo "1 passed, 0 failed"
else
	echo "0 passed, 1 failed"
	exit 1
fi
