#!/bin/sh
# The guides for plug-ins, followed to the letter in a copy of the source: the `cp` line of each README
# must be all it takes for a toy to be built, listed, run in a grid and held against the contract;
# deleted, it must leave nothing behind. Ends with the line `N passed, N failed`.
set -u

: "${BUILD:=build/release}" "${MAKE:=make}"
stride=$BUILD/stride
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

# sources: the files as they are here, committed or not; not what was made from them.
sources() {
	git ls-files --cached --others --exclude-standard 2>/dev/null ||
		find . -type f ! -path './build/*' ! -path './results/*'
}

# A copy of them, and of their objects, so that only the toys are compiled.
sources | while read -r file; do
	[ ! -e "$file" ] || echo "$file"
done | tar -cf - -T - | tar -C "$copy" -xf - || exit 1
mkdir -p "$copy/$BUILD" && cp -Rp "$BUILD/." "$copy/$BUILD/" || exit 1
cd "$copy" || exit 1

# check WHAT COMMAND...: count it, and show what it printed when it fails.
check() {
	what=$1
	shift
	if "$@" >check.log 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $what"
		tail -n 30 check.log | sed 's/^/    /'
	fi
}

not() {
	! "$@"
}

# guide FOLDER: the line of its README that copies the template.
guide() {
	sed -n "s|.*\(cp $1/TEMPLATE $1/[a-z0-9_]*\.c\).*|\1|p" "$1/README.md" | head -n 1
}

# toy FOLDER: the name that its README gives the copy.
toy() {
	basename "$(guide "$1" | cut -d ' ' -f 3)" .c
}

# build TARGET...
build() {
	$MAKE --no-print-directory BUILD="$BUILD" WERROR=1 "$@"
}

listed() {
	"$stride" list "$1" | grep -Eq "^ *$2( |\$)"
}

# contract FOLDER: its test program.
contract() {
	"$BUILD/tests/test_$1"
}

# contract_sees FOLDER NAME: a toy without a title must not pass.
contract_sees() {
	cp "$1/$2.c" keep.c
	sed 's/\(\.title = \)"[^"]*"/\1""/' keep.c >"$1/$2.c"
	build "$BUILD/tests/test_$1" && ! contract "$1" 2>&1
	caught=$?
	mv keep.c "$1/$2.c"
	return $caught
}

# grid: the toys in a grid, also beside what was there before.
grid() {
	cat >toys.yaml <<-END
		name: toys
		seeds: [0]
		steps: [1, 2]
		samples: 100
		floor_draws: 2
		metrics: [$(toy metrics), mmd_u]
		methods:
		  - name: exact
		  - name: $(toy methods)
		targets:
		  - name: gaussian
		  - name: $(toy targets)
	END
	"$stride" run toys.yaml --out toys
}

# recorded: every cell of that grid ended well, and the toys are in the records.
recorded() {
	[ "$(cat toys/cells/*.json | grep -c '"state": *"ok"')" = 4 ] &&
		grep -q "\"method\": *\"$(toy methods)\"" toys/cells/*.json &&
		grep -q "\"target\": *\"$(toy targets)\"" toys/cells/*.json &&
		grep -q "\"$(toy metrics)\": *{" toys/cells/*.json
}

# trace NAME: the program, its library or its build folder still know it.
trace() {
	nm "$stride" "$BUILD/libstride.a" 2>/dev/null | grep -w "\(target\|target_f32\|method\|metric\)_$1" ||
		find "$BUILD/targets" "$BUILD/methods" "$BUILD/metrics" -name "$1.*" | grep .
}

folders="targets methods metrics"
for folder in $folders; do
	check "$folder/README.md says how to copy the template" test -n "$(guide $folder)"
	check "$folder: follow the guide" $(guide $folder)
done
check "build with the toys" build all
for folder in $folders; do
	check "$folder: listed" listed $folder "$(toy $folder)"
	check "$folder: shown" "$stride" show "$(toy $folder)"
	check "$folder: test program" build "$BUILD/tests/test_$folder"
	check "$folder: keeps the contract" contract $folder
	check "$folder: checked by the contract" contract_sees $folder "$(toy $folder)"
done
check "build once more" build all
check "run in a grid" grid
check "recorded" recorded
for folder in $folders; do
	check "$folder: traced while it is there" trace "$(toy $folder)"
	rm -f "$folder/$(toy $folder).c"
done
check "build without the toys" build all
for folder in $folders; do
	check "$folder: no longer listed" not listed $folder "$(toy $folder)"
	check "$folder: without a trace" not trace "$(toy $folder)"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
