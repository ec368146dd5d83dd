#!/bin/sh
# Derives anew each table of targets/data that comes from a package, and compares it with the one
# that is committed, byte for byte below its header. Packages are downloaded from Debian's or Ubuntu's
# archive and from PyPI into build/data; none is installed, and of R, Java and Python only pip is
# needed. A line a table, at the end `N passed, N failed`; the exit status is 1 when one differs.
#
# The header of a table names the package's file by its SHA-256. Another version of a package will
# do if it has that same file.
set -u
export LC_ALL=C

cd "$(dirname "$0")/.." || exit 1
tables=$PWD/targets/data
digest=$PWD/config/digest.sh
work=$PWD/build/data
passed=0 failed=0
mkdir -p "$work" && cd "$work" || exit 1

# --- packages -----------------------------------------------------------------------------------

# debian PACKAGE: unpacked into a folder of its name.
debian() {
	[ ! -e "$1/done" ] || return 0
	rm -rf "$1" "$1"_*.deb
	apt-get -q -o APT::Sandbox::User=root download "$1" >"$1.log" 2>&1 &&
		dpkg-deb -x "$1"_*.deb "$1" 2>>"$1.log" && touch "$1/done"
}

# pypi PACKAGE VERSION: likewise, from its wheel.
pypi() {
	[ ! -e "$1/done" ] || return 0
	rm -rf "$1" "$1"-*.whl
	pip=$(command -v pip3 || command -v pip || echo "python3 -m pip")
	$pip download -q --disable-pip-version-check --no-deps -d . "$1==$2" >"$1.log" 2>&1 &&
		{ unzip -q -d "$1" "$1"-*.whl || python3 -m zipfile -e "$1"-*.whl "$1"; } 2>>"$1.log" &&
		touch "$1/done"
}

# --- one table from its source: the file on standard input, the table on standard output ------

# rows: the data of an ARFF file.
rows() {
	tr -d '\r' | grep -v -e '^[%@]' -e '^[[:space:]]*$'
}

# names PREFIX N LAST: the line PREFIX1,...,PREFIXN,LAST
names() {
	awk -v prefix="$1" -v n="$2" -v last="$3" \
		'BEGIN { for (i = 1; i <= n; i++) printf "%s%d,", prefix, i; print last }'
}

# Some categories become their rank in a list, others an indicator for each of some. The amount is
# in hundreds, ties to even.
credit() {
	rows | awk -F , -v OFS=, '
	function rank(value, list, from,    i, n, item) {
		n = split(list, item, "|")
		for (i = 1; i <= n; i++)
			if (item[i] == value)
				return i - 1 + from
		return "unknown " value
	}
	function hundreds(amount,    q, r) {
		q = int(amount / 100)
		r = amount - 100 * q
		return r > 50 || (r == 50 && q % 2 == 1) ? q + 1 : q
	}
	BEGIN {
		print "checking,duration,history,amount_hundreds,savings,employment,personal_status," \
			"residence_since,property,age,other_plans,existing_credits,dependents,telephone," \
			"foreign_worker,purpose_new_car,purpose_used_car,other_parties_none," \
			"other_parties_co_applicant,housing_rent,housing_own,job_unemployed," \
			"job_unskilled_resident,job_skilled,label_bad"
	}
	{
		gsub(/\047/, "")
		print rank($1, "<0|0<=X<200|>=200|no checking", 1), $2,
			rank($3, "no credits/all paid|all paid|existing paid|delayed previously|" \
				"critical/other existing credit", 0),
			hundreds($5),
			rank($6, "<100|100<=X<500|500<=X<1000|>=1000|no known savings", 1),
			rank($7, "unemployed|<1|1<=X<4|4<=X<7|>=7", 1),
			rank($9, "male div/sep|female div/dep/mar|male single|male mar/wid", 1), $11,
			rank($12, "real estate|life insurance|car|no known property", 1), $13,
			rank($14, "bank|stores|none", 1), $16, $18, rank($19, "none|yes", 1),
			rank($20, "yes|no", 1), $4 == "new car", $4 == "used car", $10 == "none",
			$10 == "co applicant", $15 == "rent", $15 == "own",
			$17 == "unemp/unskilled non res", $17 == "unskilled resident", $17 == "skilled",
			rank($21, "good|bad", 0)
	}'
}

ionosphere() {
	names V 34 label
	rows | sed 's/,g$/,1/; s/,b$/,0/'
}

# The first line counts and names the classes.
cancer() {
	for part in mean error worst; do
		for feature in radius texture perimeter area smoothness compactness concavity \
			concave_points symmetry fractal_dimension; do
			[ $part = error ] && printf '%s_error,' $feature || printf '%s_%s,' $part $feature
		done
	done
	echo label_benign
	tail -n +2
}

pines() {
	echo x_m,y_m,diameter_cm,height_m
	awk -v OFS=, 'NR > 1 && NF == 4 { print $1, $2, $3, $4 }'
}

# An R serialisation within xz: a column is the words 14 (a vector of doubles) and 208 (its length),
# and 208 doubles with the highest byte first; after the last column two words, then the labels as 1
# (mine) or 2 (rock).
sonar() {
	names V 60 label
	xz -dc | od -An -v -tu1 | awk -v rows=208 -v cols=60 '
	function word(at) {
		return ((byte[at] * 256 + byte[at + 1]) * 256 + byte[at + 2]) * 256 + byte[at + 3]
	}
	function number(at,    high, exponent) {
		high = word(at)
		if (high == 0 && word(at + 4) == 0)
			return 0
		exponent = int(high / 1048576)
		return (1048576 + high % 1048576 + word(at + 4) / 4294967296) * 2 ^ (exponent - 1043)
	}
	{
		for (i = 1; i <= NF; i++)
			byte[n++] = $i
	}
	END {
		for (at = 0; at + 8 <= n && found < cols; at++)
			if (byte[at + 3] == 14 && word(at) == 14 && word(at + 4) == rows) {
				column[++found] = at + 8
				at += 7 + 8 * rows
			}
		for (i = 0; i < rows; i++) {
			for (k = 1; k <= cols; k++)
				printf "%.4f,", number(column[k] + 8 * i)
			print word(column[cols] + 8 * rows + 8 + 4 * i) - 1
		}
	}'
}

# observations NAME ARRAY: the numbers between the brackets of a Python array, rounded to float32
# and printed exactly; a missing one is np.nan.
observations() {
	echo "t,observed,$1"
	awk -v array="$2" '
	function float32(x,    ulp, low) {
		if (x < 0)
			return -float32(-x)
		for (ulp = 1; x < 8388608 * ulp; )
			ulp /= 2
		for (; x >= 16777216 * ulp; )
			ulp *= 2
		x /= ulp
		low = int(x)
		if (x - low > 0.5 || (x - low == 0.5 && low % 2 == 1))
			low++
		return low * ulp
	}
	$0 ~ "^" array " = np.array\\(\\[" { inside = 1; sub(/.*\[/, "") }
	inside {
		last = sub(/\].*/, "")
		count = split($0, item, ",")
		for (i = 1; i <= count; i++) {
			gsub(/[ \t]/, "", item[i])
			if (item[i] == "np.nan")
				printf "%d,0,nan\n", t++
			else if (item[i] != "")
				printf "%d,1,%.17g\n", t++, float32(item[i] + 0)
		}
		if (last)
			exit
	}'
}

brownian() {
	observations y OBSERVED_LOC
}

lorenz() {
	observations x_obs OBSERVED_VALUES
}

# --- comparison ---------------------------------------------------------------------------------

# fails TABLE WHY
fails() {
	failed=$((failed + 1))
	echo "DIFFERS $1: $2"
}

# derive TABLE PACKAGE FILE: FILE is relative to where the package was unpacked.
derive() {
	table=$1 package=$2 file=$2/$3
	wanted=$(sed -n 's/^# //p' "$tables/$table.csv" | tr '\n' ' ' |
		sed 's/.* with SHA-256 \([0-9a-f]\{64\}\).*/\1/')
	if [ ! -e "$package/done" ]; then
		fails "$table" "no package $package: $(tail -n 1 "$package.log")"
	elif [ ! -e "$file" ]; then
		fails "$table" "package $package has no $3"
	elif [ "$(sh "$digest" <"$file")" != "$wanted" ]; then
		fails "$table" "build/data/$file is another file than the header of $table.csv names"
	elif "$table" <"$file" >"$table.csv" &&
		sed '/^#/d' "$tables/$table.csv" | cmp -s - "$table.csv"; then
		passed=$((passed + 1))
		echo "ok      $table: as derived from $package, $(basename "$file")"
	else
		fails "$table" "compare with build/data/$table.csv"
	fi
}

for package in weka python3-sklearn r-cran-mlbench r-cran-spatstat.data; do
	debian $package
done
pypi inference_gym 0.0.5

derive credit weka usr/share/doc/weka/examples/credit-g.arff
derive ionosphere weka usr/share/doc/weka/examples/ionosphere.arff
derive cancer python3-sklearn usr/lib/python3/dist-packages/sklearn/datasets/data/breast_cancer.csv
derive sonar r-cran-mlbench usr/lib/R/site-library/mlbench/data/Sonar.rda
derive pines r-cran-spatstat.data usr/lib/R/site-library/spatstat.data/rawdata/finpines/finpines.txt
derive brownian inference_gym \
	inference_gym/internal/datasets/brownian_motion_missing_middle_observations.py
derive lorenz inference_gym inference_gym/internal/datasets/convection_lorenz_bridge.py
echo "-       seeds: a published table, not from a package"
echo "-       the others: constants drawn by published code, which their headers name"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
