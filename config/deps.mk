# Flags of the libraries. pkg-config is asked for OpenBLAS alone, which some systems keep in a folder
# of its own; the others are where the compiler looks. Without pkg-config the plain names do.
DEPS_CFLAGS := $(shell pkg-config --cflags openblas 2>/dev/null)
DEPS_LIBS := -llapacke $(or $(shell pkg-config --libs openblas 2>/dev/null),-lopenblas) \
	-lgsl -lcyaml -lyaml -ljansson -lpng
CMOCKA_LIBS := -lcmocka
