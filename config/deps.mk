# Flags of the libraries. pkg-config is asked for OpenBLAS and libpng, which some systems keep in a
# folder of their own; the others are where the compiler looks. Without pkg-config the plain names do.
DEPS_CFLAGS := $(shell pkg-config --cflags openblas 2>/dev/null) \
	$(shell pkg-config --cflags libpng 2>/dev/null)
DEPS_LIBS := -llapacke $(or $(shell pkg-config --libs openblas 2>/dev/null),-lopenblas) \
	-lgsl -lcyaml -lyaml -ljansson $(or $(shell pkg-config --libs libpng 2>/dev/null),-lpng)
CMOCKA_LIBS := -lcmocka
