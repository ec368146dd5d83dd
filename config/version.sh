#!/bin/sh
# Writes what was built: commit, compiler (CC), flags (FLAGS), variant (VARIANT).
set -eu
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
dirty=0
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || dirty=1
# What can change a number: all sources but those that only show. Comments count too: better a
# record called stale that is not than the reverse.
code=$(find harness methods targets metrics -name '*.[ch]' ! -path 'harness/report/*' \
	! -path 'harness/cli/*' ! -path harness/main.c | LC_ALL=C sort | xargs cat |
	sh config/digest.sh |
	cut -c 1-16)
compiler=$($CC --version | head -n 1)
cat <<EOF
#include "core/version.h"
const struct version version = {
	.commit = "$commit",
	.dirty = $dirty,
	.code = "$code",
	.compiler = "$compiler",
	.flags = "$FLAGS",
	.variant = "$VARIANT",
};
EOF
