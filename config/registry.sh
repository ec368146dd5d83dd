#!/bin/sh
# Writes the table of plug-ins from the lines `const TARGET(id) = {` (METHOD, METRIC) of the files
# named: registry.sh FILE... A file without such a line would be built and never found: an error.
set -eu

# ids FOLDER MACRO FILE...: every id defined, sorted; PLUGIN stands for the file's name.
ids() {
	folder=$1 macro=$2
	shift 2
	for file; do
		case $file in
		"$folder"/*) ;;
		*) continue ;;
		esac
		sed -n "s/^const $macro(\([A-Za-z0-9_]*\)) = {.*/\1/p" "$file" |
			sed "s/^PLUGIN\$/$(basename "$file" .c)/"
	done | LC_ALL=C sort
}

# table TYPE NAME PREFIX: the table of the ids on standard input.
table() {
	ids=$(cat)
	for id in $ids; do
		echo "extern const struct $1 $3$id;"
	done
	echo "const struct $1 *const $2[] = {"
	for id in $ids; do
		echo "	&$3$id,"
	done
	echo "	NULL };"
}

for file; do
	if ! grep -Eq '^const (TARGET|METHOD|METRIC)\([A-Za-z0-9_]+\) = \{' "$file"; then
		folder=${file%/*}
		echo "$file:1: defines no plug-in; expected a line that starts" \
			"\`const $(echo "${folder%s}" | tr a-z A-Z)(PLUGIN) = {'" >&2
		exit 1
	fi
done

echo '/* Generated from the plug-in folders. */'
echo '#include "stride.h"'
ids targets TARGET "$@" | table target targets target_
ids targets TARGET "$@" | table target_f32 targets_f32 target_f32_
ids methods METHOD "$@" | table method methods method_
ids metrics METRIC "$@" | table metric metrics metric_
