#!/bin/sh
# Writes what was built: commit, compiler (CC), flags (FLAGS), variant (VARIANT).
set -eu
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
dirty=0
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || dirty=1
# What can change a number: all sources but those that only show. Comments count too: better a
# record called stale that is not than the reverse.
digest() {
	LC_ALL=C sort | xargs cat | sh config/digest.sh | cut -c 1-16
}
code=$(find harness methods targets metrics -name '*.[ch]' ! -path 'harness/report/*' \
	! -path 'harness/cli/*' ! -path harness/main.c | digest)
# What can change what a training learns: a new metric makes no checkpoint stale.
training=$(find harness/core harness/mc harness/nn harness/target_*.h harness/run/controlled.* \
	harness/run/density.c harness/run/mapped.h harness/run/reversal.* harness/run/target_math.c \
	harness/run/training.* methods targets -name '*.[ch]' | digest)
compiler=$($CC --version | head -n 1)
cat <<EOF
#include "core/version.h"
const struct version version = {
	.commit = "$commit",
	.dirty = $dirty,
	.code = "$code",
	.training = "$training",
	.compiler = "$compiler",
	.flags = "$FLAGS",
	.variant = "$VARIANT",
};
EOF
