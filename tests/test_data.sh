#!/bin/sh
# The headers of targets/data/*.csv: each says how many rows and columns there are, names source and
# licence, and has the SHA-256 of the lines below it. A table without one of these must be refused.
# No network.
# Ends with the line `N passed, N failed`. What a table is derived from is checked by `make data`.
set -u
export LC_ALL=C

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

# complaint FILE: what its header lacks; nothing when it is as it should be.
complaint() {
	said=$(sed -n '/^#/s/^# *//p' "$1" | tr '\n' ' ')
	found=$(sed '/^#/d' "$1" | sh config/digest.sh)
	size=$(sed '/^#/d' "$1" | awk -F , '
		NR == 1 { cols = NF }
		NF != cols { bad = 1 }
		END { printf "%d row%s of %s columns", NR - 1, NR == 2 ? "" : "s", bad ? "unequal" : cols }')
	case $said in
	*": $size. "*) ;;
	*) echo "does not say \"$size\"" ;;
	esac
	case $said in
	*" Source: "*) ;;
	*) echo "names no source" ;;
	esac
	case $said in
	*" Licence: "* | *", licence "*) ;;
	*) echo "names no licence" ;;
	esac
	case $said in
	*"SHA-256 of the lines below these: $found. ") ;;
	*) echo "does not end with the SHA-256 of the lines below, $found" ;;
	esac
}

# check WHAT TRUE-IF-EMPTY
check() {
	if [ -z "$2" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1: $2"
	fi
}

# refused FILE WHAT: as bad as it was made, it must be complained of by these words alone.
refused() {
	case $(complaint "$1") in
	*"$2"*) check "$1" "" ;;
	*) check "$2" "not seen" ;;
	esac
}

for table in targets/data/*.csv; do
	check "$table" "$(complaint "$table")"
	check "$table is listed in targets/data/README.md" \
		"$(grep -Fq "\`$(basename "$table")\`" targets/data/README.md || echo no)"
done

good=targets/data/seeds.csv
sed 's/^10,39/10,38/' $good >"$copy/digit.csv"
refused "$copy/digit.csv" SHA-256
sed '$d' $good >"$copy/row.csv"
refused "$copy/row.csv" '"20 rows of 4 columns"'
sed 's/Source:/From:/' $good >"$copy/source.csv"
refused "$copy/source.csv" "no source"
sed 's/Licence/Terms/' $good >"$copy/licence.csv"
refused "$copy/licence.csv" "no licence"
sed '/^#/d' $good >"$copy/bare.csv"
refused "$copy/bare.csv" SHA-256

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
