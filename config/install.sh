#!/bin/sh
# Installs the program, its data and its manual: install.sh BUILD PREFIX. The program looks for
# data and plots in ../share/stride of its own folder.
set -eu

build=$1 prefix=$2

# put MODE FOLDER FILE...: copies of the files in a folder of the prefix.
put() {
	mode=$1 folder=$prefix/$2
	shift 2
	mkdir -p "$folder"
	install -m "$mode" "$@" "$folder"
}

put 755 bin "$build/stride"
put 644 share/man/man1 "$build/stride.1"
put 644 share/stride/data targets/data/*
put 644 share/stride/plots plots/*.gp
put 644 share/stride/configs configs/*.yaml
put 644 share/stride/configs/papers configs/papers/*.csv configs/papers/*.yaml
set -- targets/references/*.json
[ ! -e "$1" ] || put 644 share/stride/references "$@"
