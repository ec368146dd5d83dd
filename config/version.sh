#!/bin/sh
# Writes what was built: commit, compiler (CC), flags (FLAGS), variant (VARIANT).
set -eu
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
dirty=0
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || dirty=1
compiler=$($CC --version | head -n 1)
cat <<EOF
#include "core/version.h"
const struct version version = {
	.commit = "$commit",
	.dirty = $dirty,
	.compiler = "$compiler",
	.flags = "$FLAGS",
	.variant = "$VARIANT",
};
EOF
