#!/bin/sh
# Runs a command in a clone of this checkout on a bare machine: a minimal Debian or Ubuntu in which only
# git, make and a C compiler were installed. Wants root, debootstrap and the network.
#
#     tests/bare.sh [SUITE] COMMAND      SUITE: bookworm (Debian 12) unless given; noble (Ubuntu 24.04) ...
#
# For example `tests/bare.sh 'make bench && make bench'` or `tests/bare.sh .ci/run`. Commits are cloned, so
# what is not committed is not there. The bare system is kept in build/bare/SUITE.tar.
set -eu

[ $# = 2 ] || set -- bookworm "$@"
suite=$1 command=$2
base=$PWD/build/bare
tar=$base/$suite.tar
system=$base/$suite.$$

case $suite in
jammy | noble) mirror=http://archive.ubuntu.com/ubuntu components=main,universe ;;
*) mirror=http://deb.debian.org/debian components=main ;;
esac

leave() {
	umount "$system/proc" "$system/dev" 2>/dev/null || true
	rm -rf --one-file-system "$system"
}
trap leave EXIT
trap 'exit 130' INT TERM
mkdir -p "$system"

if [ ! -e "$tar" ]; then
	echo "making a bare $suite"
	debootstrap --variant=minbase --components=$components --include=git,make,gcc,ca-certificates \
		"$suite" "$system" "$mirror" >"$base/$suite.log" 2>&1 || {
		tail "$base/$suite.log" >&2
		exit 1
	}
	tar -C "$system" -cf "$tar.new" . && mv "$tar.new" "$tar"
else
	tar -C "$system" -xf "$tar"
fi

cp -L /etc/resolv.conf "$system/etc/"
mount -t proc proc "$system/proc"
mount --bind /dev "$system/dev"
git clone -q . "$system/root/stride"
env -i HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	chroot "$system" sh -c "cd /root/stride && $command" </dev/null
