#!/bin/sh
# Installs what stride needs and is not there: with apt when this is root or sudo can be used,
# otherwise the list is printed and the exit status is 1. Says and does nothing when all is there.
#
#     deps.sh build|check|ci      CC, CPPFLAGS: the compiler, and where it looks for headers
set -eu

level=${1:-build}
: "${CC:=cc}" "${CPPFLAGS:=}"

# What to look for, and the package that has it; Debian and Ubuntu agree on the names. The pthread
# build of OpenBLAS is the one that stride is measured with; any other build will do.
headers='stdio.h libc6-dev
cblas.h libopenblas-pthread-dev
lapacke.h liblapacke-dev
gsl/gsl_errno.h libgsl-dev
Random123/philox.h librandom123-dev
cyaml/cyaml.h libcyaml-dev
yaml.h libyaml-dev
jansson.h libjansson-dev
cmocka.h libcmocka-dev
png.h libpng-dev
omp.h libomp-dev'

commands_build='gnuplot gnuplot-nox'
commands_check="$commands_build
valgrind valgrind"
commands_ci="$commands_build
clang-format-14 clang-format-14"

case $level in
build) commands=$commands_build ;;
check) commands=$commands_check ;;
ci) commands=$commands_ci ;;
*)
	echo "deps.sh: $level is not one of build, check, ci" >&2
	exit 2
	;;
esac

# preprocesses COMPILER HEADER...: are they found? cblas.h must be OpenBLAS's own.
preprocesses() {
	compiler=$1
	shift
	for header; do
		echo "#include <$header>"
		[ "$header" != cblas.h ] || printf '#ifndef OPENBLAS_SEQUENTIAL\n#error\n#endif\n'
	done | $compiler $CPPFLAGS -fopenmp -E - >/dev/null 2>&1
}

# lacks COMPILER: the packages that it misses. All headers at once first: the usual case.
lacks() {
	command -v "${1%% *}" >/dev/null || echo "${1%% *}" | sed 's/^cc$/gcc/'
	preprocesses "$1" $(echo "$headers" | cut -d ' ' -f 1) || echo "$headers" |
		while read -r header package; do
			preprocesses "$1" "$header" || echo "$package"
		done
}

# missing: the packages of all that is not found, one a line.
missing() {
	lacks "$CC"
	[ "$level" != ci ] || lacks clang
	echo "$commands" | while read -r command package; do
		command -v "$command" >/dev/null || echo "$package"
	done
}

packages=$(missing)
[ -n "$packages" ] || exit 0
packages=$(echo "$packages" | sort -u | tr '\n' ' ')

if ! command -v apt-get >/dev/null; then
	echo "stride: not installed: $packages" >&2
	echo "stride: these are Debian's names; install what your system calls them, then try again" >&2
	exit 1
fi

if [ "$(id -u)" = 0 ]; then
	root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
	root=sudo
else
	echo "stride: not installed, and this is neither root nor is there sudo; ask for" >&2
	echo "    apt-get install --no-install-recommends $packages" >&2
	exit 1
fi

# apt: get, asking nothing and waiting for another apt to end.
apt() {
	$root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get \
		-q -y -o DPkg::Lock::Timeout=300 -o APT::Get::Show-Upgraded=false "$@" </dev/null
}

echo "installing: $packages"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt update && apt install --no-install-recommends $packages; } >"$log" 2>&1; then
	grep '^E:' "$log" | tail -n 3 >&2
	echo "stride: apt-get failed; the packages needed are: $packages" >&2
	exit 1
fi

packages=$(missing | sort -u | tr '\n' ' ')
if [ -n "$packages" ]; then
	echo "stride: installed, and yet not found by $CC: $packages" >&2
	exit 1
fi
