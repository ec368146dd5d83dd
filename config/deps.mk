# Flags of the libraries: pkg-config where it knows them, the plain names otherwise.
PKGS := openblas lapacke gsl libcyaml jansson
pkg = $(shell pkg-config --$(2) $(1) 2>/dev/null || echo "$(3)")
DEPS_CFLAGS := $(call pkg,openblas,cflags,) $(call pkg,gsl,cflags,) $(call pkg,libcyaml,cflags,) $(call pkg,jansson,cflags,)
DEPS_LIBS := $(call pkg,lapacke,libs,-llapacke) $(call pkg,openblas,libs,-lopenblas) -lgsl \
	$(call pkg,libcyaml,libs,-lcyaml -lyaml) $(call pkg,jansson,libs,-ljansson)
CMOCKA_LIBS := $(call pkg,cmocka,libs,-lcmocka)
