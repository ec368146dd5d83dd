#!/bin/sh
# Writes the table of plug-ins from the lines `const TARGET(id) = {` (METHOD, METRIC) of the folders.
set -eu

# ids FOLDER MACRO: every id defined, sorted; PLUGIN stands for the file's name.
ids() {
	for file in "$1"/*.c; do
		[ -e "$file" ] || continue
		stem=$(basename "$file" .c)
		sed -n "s/^const $2(\([A-Za-z0-9_]*\)) = {.*/\1/p" "$file" | sed "s/^PLUGIN\$/$stem/"
	done | LC_ALL=C sort
}

# table FOLDER MACRO TYPE NAME PREFIX
table() {
	for id in $(ids "$1" "$2"); do
		echo "extern const struct $3 $5$id;"
	done
	echo "const struct $3 *const $4[] = {"
	for id in $(ids "$1" "$2"); do
		echo "	&$5$id,"
	done
	echo "	NULL };"
}

echo '/* Generated from the plug-in folders. */'
echo '#include "stride.h"'
table targets TARGET target targets target_
table targets TARGET target_f32 targets_f32 target_f32_
table methods METHOD method methods method_
table metrics METRIC metric metrics metric_
