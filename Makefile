# stride: `make help` lists what there is to make.
#
# VARIANT=release|double|asan|valgrind   what to build, in build/VARIANT
# CC=clang, ARCH=-march=x86-64-v3        another compiler, another machine
# CFLAGS, CPPFLAGS, LDFLAGS, LDLIBS      yours, added after the project's
# V=1 shows the commands, WERROR=1 makes warnings errors

VARIANT ?= release
BUILD ?= build/$(VARIANT)
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC := cc
endif
Q := $(if $(V),,@)

include config/deps.mk

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wvla
# clang's -Wdouble-promotion takes NAN and INFINITY for a promotion; gcc checks the rest. A loop that
# clang does not vectorise is slower, not wrong.
ifneq ($(findstring clang,$(CC)),)
WARN += -Wno-pass-failed
else
WARN += -Wdouble-promotion
endif
ARCH ?= -march=native
SANITIZE := -fsanitize=address,undefined
# Fused multiply-adds round once instead of twice; -std=c17 alone would turn them off.
OPT_release := -O3 $(ARCH) -ffp-contract=fast -g -DNDEBUG
OPT_double := -O2 $(ARCH) -g -DSTRIDE_DOUBLE
OPT_asan := -O1 -g $(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -DSTRIDE_POISON
# Valgrind 3.19 does not know AVX-512, so the instructions of this machine may be too new for it.
OPT_valgrind := -O1 -g
OPT := $(OPT_$(VARIANT))
ifeq ($(OPT),)
$(error VARIANT=$(VARIANT) is not one of release, double, asan, valgrind)
endif

ALL_CPPFLAGS = -Iharness $(DEPS_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE $(OPT) -fno-math-errno -fno-trapping-math $(WARN) -fopenmp $(CFLAGS)
ALL_LDFLAGS = -fopenmp $(if $(filter asan,$(VARIANT)),$(SANITIZE)) $(LDFLAGS)
ALL_LDLIBS = $(DEPS_LIBS) -lm $(LDLIBS)

# The folders are the registry of plug-ins.

HARNESS := $(filter-out harness/main.c,$(sort $(wildcard harness/*.c harness/*/*.c)))
TARGETS := $(sort $(wildcard targets/*.c))
PLUGINS := $(TARGETS) $(sort $(wildcard methods/*.c)) $(sort $(wildcard metrics/*.c))
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(HARNESS) $(PLUGINS)) \
	$(patsubst %.c,$(BUILD)/%.f32.o,$(TARGETS)) $(BUILD)/registry.o $(BUILD)/version.o

TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/test_*.c)))
TEST_SCRIPTS := $(sort $(wildcard tests/test_*.sh))
GOLDEN_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/golden*.c)))

# Builds on all cores unless -j says otherwise, through a make that sees what `deps` installed.
AGAIN = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))

.PHONY: all
all: $(BUILD)/stride ## build the program, build/release/stride

# Not into results/quick: that has the committed records that REPORT.md is made from.
.PHONY: bench
bench: deps ## set up, build, run configs/quick.yaml, print the leaderboard
	$(Q)$(AGAIN) all
	$(Q)$(BUILD)/stride run configs/quick.yaml --out results/bench

.PHONY: test
test: deps ## set up, build, run the tests
	$(Q)$(AGAIN) all test-programs
	$(Q)BUILD="$(BUILD)" MAKE="$(MAKE)" sh tests/run.sh $(TEST_PROGRAMS) $(TEST_SCRIPTS)

# Parsers, numbers and files: what is quick enough 30 times slower. The engine is in memcheck.sh.
VALGRIND_TESTS ?= $(addprefix build/valgrind/tests/test_,config csv mcmc option rng stats store)

.PHONY: check
check: ## the tests in release, double and ASan+UBSan builds, some under valgrind
	$(Q)CC="$(CC)" CPPFLAGS="$(ALL_CPPFLAGS)" sh config/deps.sh check
	$(Q)$(AGAIN) test VARIANT=release
	$(Q)$(AGAIN) test VARIANT=double
	$(Q)$(AGAIN) test VARIANT=asan
	$(Q)$(AGAIN) all $(VALGRIND_TESTS) VARIANT=valgrind
	$(Q)UNDER=valgrind sh tests/run.sh $(VALGRIND_TESTS) tests/memcheck.sh

.PHONY: perf
perf: deps ## measure the speed of the engine: a table, build/perf.json
	$(Q)$(AGAIN) $(BUILD)/perf
	$(Q)$(BUILD)/perf

.PHONY: golden
golden: deps ## compare with every fixture set below GOLDEN=DIR; STRICT=1: unknown kinds fail
	$(Q)$(AGAIN) golden-programs VARIANT=double
	$(Q)$(AGAIN) golden-programs VARIANT=release
	$(Q)GOLDEN="$(GOLDEN)" STRICT="$(STRICT)" sh tests/golden.sh

.PHONY: references
references: all ## estimate log Z and moments of targets where not known (hours; resumable)
	$(Q)$(BUILD)/stride references

.PHONY: report
report: all ## make REPORT.md again from the committed records, results/quick and results/papers
	$(Q)$(BUILD)/stride report results/quick --top REPORT.md \
		$(if $(wildcard results/papers/cells/*.json),--papers results/papers)

# The one target that needs the network.
.PHONY: data
data: ## derive the tables of targets/data from their packages (network), compare
	$(Q)sh config/data.sh

.PHONY: deps
deps: ## install what is missing (apt), or say what it is
	$(Q)CC="$(CC)" CPPFLAGS="$(ALL_CPPFLAGS)" sh config/deps.sh build

.PHONY: install
install: all $(BUILD)/stride.1 ## install below PREFIX (/usr/local); DESTDIR is put before it
	$(Q)sh config/install.sh $(BUILD) "$(DESTDIR)$(PREFIX)"

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -rf "$(DESTDIR)$(PREFIX)/bin/stride" "$(DESTDIR)$(PREFIX)/share/stride" \
		"$(DESTDIR)$(PREFIX)/share/man/man1/stride.1"

.PHONY: format
format: ## lay the C files out as .clang-format says
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format-14 -i

.PHONY: clean
clean: ## delete everything generated by the build
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

# --- how things are built ---------------------------------------------------------------------

$(BUILD)/stride: $(BUILD)/harness/main.o $(BUILD)/libstride.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

$(BUILD)/stride.1: $(BUILD)/stride config/manual.sh
	$(Q)sh config/manual.sh $< >$@.new && mv $@.new $@

$(BUILD)/libstride.a: $(OBJECTS) $(BUILD)/objects.list
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) qcs $@ $(OBJECTS)

# Rewritten when the set of objects changes, so that a deleted file leaves the library, and the
# build folder: a file that comes back with an old date is compiled again.
$(BUILD)/objects.list: FORCE
	@mkdir -p $(@D) && printf '%s\n' $(OBJECTS) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else \
		if [ -e $@ ]; then grep -Fvx -f $@.new $@ | while read -r gone; do \
			rm -f "$$gone" "$${gone%o}d"; done; fi; \
		mv $@.new $@; fi

# Rewritten when the flags change, so that all is compiled anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D) && echo '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(ALL_LDLIBS)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
.PHONY: FORCE

COMPILE = $(CC) $(ALL_CPPFLAGS) -MMD -MP $(ALL_CFLAGS) $(if $(WERROR),-Werror)
PLUGIN = -DPLUGIN=$(basename $(notdir $<))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(COMPILE) $(PLUGIN) -c -o $@ $<

$(BUILD)/%.f32.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC      $< (float)"
	$(Q)$(COMPILE) $(PLUGIN) -DSTRIDE_TARGET_F32 -c -o $@ $<

$(BUILD)/%.o: $(BUILD)/%.c $(BUILD)/flags
	$(Q)$(COMPILE) -c -o $@ $<

$(BUILD)/registry.c: config/registry.sh $(PLUGINS) $(BUILD)/objects.list
	@echo "  GEN     $@"
	$(Q)sh config/registry.sh $(PLUGINS) >$@.new && mv $@.new $@

# What was built, for `stride info` and the records.
$(BUILD)/version.c: FORCE
	@mkdir -p $(@D)
	$(Q)CC="$(CC)" FLAGS="$(ALL_CFLAGS)" VARIANT="$(VARIANT)" sh config/version.sh >$@.new
	$(Q)if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.PHONY: test-programs golden-programs
test-programs: $(TEST_PROGRAMS) golden-programs
golden-programs: $(BUILD)/tests/golden

$(BUILD)/tests/golden: $(GOLDEN_OBJECTS) $(BUILD)/libstride.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libstride.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS) $(CMOCKA_LIBS)

$(BUILD)/perf: $(BUILD)/tests/perf.o $(BUILD)/tests/perf_loop.o $(BUILD)/libstride.a
	@echo "  LD      $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
