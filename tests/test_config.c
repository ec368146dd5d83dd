#include "support.h"

#include "run/plan.h"

/* A configuration that is right; tests replace a line of it. */
#define GOOD_STEPS "steps: [1, 4, 16]\n"
#define GOOD_METHODS "methods:\n  - name: exact\n  - { name: smc, options: { leapfrog: 3 } }\n"
#define GOOD_TARGETS "targets: [{ name: gaussian }, { name: funnel, options: { clip: 30 } }]\n"
#define GOOD GOOD_STEPS GOOD_METHODS GOOD_TARGETS

struct loaded {
	struct arena *arena;
	struct config config;
	struct plan plan;
};

static int load_with(struct loaded *l, const struct folder *f, const char *text,
	const char *const *sets, size_t n_sets)
{
	l->arena = arena_new();
	TRY(config_load(&l->config, write_file(f, "test.yaml", text), sets, n_sets, l->arena));
	return plan_make(&l->plan, &l->config, NULL, 0, l->arena);
}

static int load(struct loaded *l, const struct folder *f, const char *text)
{
	return load_with(l, f, text, NULL, 0);
}

static void a_good_file_is_read(void **state)
{
	const struct folder *f = *state;
	struct loaded l;

	assert_int_equal(load(&l, f, "seeds: [3, 1, 3]\nsamples: 50\n" GOOD), OK);
	const struct config *c = &l.config;
	assert_string_equal(c->name, "test");
	assert_int_equal(c->n_seeds, 2);
	assert_int_equal(c->seeds[0], 1);
	assert_int_equal(c->seeds[1], 3);
	assert_int_equal(c->n_steps, 3);
	assert_int_equal(c->steps[2], 16);
	assert_int_equal(c->samples, 50);
	assert_int_equal(c->repeats, 1);
	assert_int_equal(c->floor_draws, 19);
	assert_true(isinf(c->timeout_seconds));
	assert_true(c->checkpoint_seconds == 60);
	assert_true(c->n_metrics > 1);
	assert_int_equal(l.plan.n_cells, 8);
	assert_int_equal(l.plan.targets[1].dim, 10);
	assert_string_equal(l.plan.targets[1].options.settings[0].value, "30");
	arena_free(l.arena);
}

/* Each with the place, what is wrong and what would be right. */
static void bad_files_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *place, *what;
	} cases[] = {
		{ "", ERR_PARSE, ":1: ", "empty" },
		{ "- a\n", ERR_PARSE, ":1: ", "not a mapping" },
		{ "steps: [1\n", ERR_PARSE, ":2: ", "not YAML" },
		{ "a: b: c\n", ERR_PARSE, ":1: ", "not YAML" },
		{ GOOD "sampels: 10\n", ERR_NAME, ":6: ", "did you mean \"samples\"?" },
		{ GOOD "zzzzzzzz: 10\n", ERR_NAME, ":6: ", "the keys here are name, seeds" },
		{ GOOD "steps: [2]\n", ERR_PARSE, ":6: ", "stands here twice" },
		{ GOOD "samples: many\n", ERR_PARSE, ":6: ", "a whole number" },
		{ GOOD "samples: -5\n", ERR_PARSE, ":6: ", "a whole number" },
		{ GOOD "samples: 1\n", ERR_RANGE, ":6: ", "it takes 2 to" },
		{ GOOD "samples: 99999999999999999999999\n", ERR_PARSE, ":6: ", "a whole number" },
		{ GOOD "samples: [3]\n", ERR_PARSE, ":6: ", "it takes one value" },
		{ GOOD "repeats: 0\n", ERR_RANGE, ":6: ", "it takes 1 to" },
		{ GOOD "timeout_seconds: 0\n", ERR_RANGE, ":6: ", "more than 0" },
		{ GOOD "checkpoint_seconds: -1\n", ERR_RANGE, ":6: ", "0 or more" },
		{ GOOD "timeout_seconds: soon\n", ERR_PARSE, ":6: ", "a number" },
		{ GOOD "seeds: []\n", ERR_PARSE, ":6: ", "empty" },
		{ GOOD "seeds: 3\n", ERR_PARSE, ":6: ", "a list" },
		{ GOOD "seeds: [0, 18446744073709551615]\n", ERR_RANGE,
			":6: ", "0 to 9223372036854775807" },
		{ GOOD "seeds:\n  - 0\n  - x\n", ERR_PARSE, ":8: ", "a whole number" },
		{ GOOD "name: a/b\n", ERR_RANGE, ":6: ", "plain file name" },
		{ GOOD "metrics: [mmd_osdss]\n", ERR_NAME, ":6: ", "\"mmd_osds\"" },
		{ GOOD "overrides:\n  - { method: exact, target: funnel }\n", ERR_PARSE,
			":7: ", "no \"options\"" },
		{ GOOD "overrides:\n  - { method: osds_, target: funnel, options: {} }\n", ERR_NAME,
			":7: ", "in this configuration" },
		{ GOOD "overrides:\n  - { method: smc, target: funel, options: {} }\n", ERR_NAME,
			":7: ", "did you mean \"funnel\"" },
		{ GOOD "overrides:\n  - method: smc\n    target: funnel\n    options: { leapfrg: 3 "
		       "}\n",
			ERR_NAME, ":9: ", "\"leapfrog\"" },
		{ GOOD "exclude: [{ method: \"*\", target: \"*\" }]\n", ERR_RANGE, "",
			"no cell is left" },
		{ GOOD "set: [leapfrog=3]\n", ERR_PARSE, ":6: ", "NAME.OPTION=VALUE" },
		{ GOOD_METHODS GOOD_TARGETS, ERR_PARSE, ":1: ", "no \"steps\"" },
		{ GOOD_STEPS GOOD_METHODS, ERR_PARSE, ":1: ", "no \"targets\"" },
		{ GOOD_METHODS GOOD_TARGETS "steps: [0]\n", ERR_RANGE, ":5: ", "it takes 1 to" },
		{ GOOD_STEPS GOOD_TARGETS "methods:\n  - smc\n", ERR_PARSE, ":4: ", "a mapping" },
		{ GOOD_STEPS GOOD_TARGETS "methods:\n  - name: smcc\n", ERR_NAME,
			":4: ", "did you mean \"smc\"" },
		{ GOOD_STEPS GOOD_TARGETS "methods: [{ name: smc }, { name: smc }]\n", ERR_NAME,
			":3: ", "stands twice" },
		{ GOOD_STEPS GOOD_TARGETS "methods: [{ nme: smc }]\n", ERR_NAME,
			":3: ", "\"name\"" },
		{ GOOD_STEPS GOOD_TARGETS "methods: [{ name: smc, options: [1] }]\n", ERR_PARSE,
			":3: ", "a mapping" },
		{ GOOD_STEPS GOOD_TARGETS "methods: [{ name: smc, options: { leapfrog: [1] } }]\n",
			ERR_PARSE, ":3: ", "one value" },
		{ GOOD_STEPS GOOD_TARGETS
			"methods:\n  - name: smc\n    options:\n      leapfrog: 1.5\n",
			ERR_PARSE, ":6: ", "an integer from" },
		{ GOOD_STEPS GOOD_TARGETS
			"methods:\n  - name: smc\n    options:\n      leapfrog: -1\n",
			ERR_RANGE, ":6: ", "an integer from" },
		{ GOOD_STEPS GOOD_TARGETS "methods: [{ name: exact, options: { rate: 1 } }]\n",
			ERR_NAME, ":3: ", "it has none" },
		{ GOOD_STEPS GOOD_METHODS "targets:\n  - name: funel\n", ERR_NAME,
			":6: ", "did you mean \"funnel\"" },
		{ GOOD_TARGETS
			"methods: [{ name: osds, options: { steps: 64 } }]\nsteps: [1, 2, 3]\n",
			ERR_RANGE, ":3: ", "3 does not divide the 64" },
		{ GOOD_TARGETS "methods: [{ name: dds }]\nsteps: [1]\n", ERR_UNSUP,
			":3: ", "2 steps or more" },
		{ GOOD_STEPS GOOD_METHODS "targets: [{ name: gaussian, options: { dim: 0 } }]\n",
			ERR_RANGE, ":5: ", "an integer from 1" },
	};
	const struct folder *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct loaded l;
		char place[PATH_LENGTH];
		int code = load(&l, f, cases[i].text);
		snprintf(place, sizeof(place), "%s%s", in_folder(f, "test.yaml"), cases[i].place);
		if (code != cases[i].code || strncmp(error_text(), place, strlen(place)) != 0 ||
			strstr(error_text(), cases[i].what) == NULL)
			fail_msg("case %zu: code %d, \"%s\", expected %d, \"%s\" ... \"%s\"", i,
				code, error_text(), cases[i].code, place, cases[i].what);
		arena_free(l.arena);
	}
}

static void files_that_cannot_be_read_are_refused(void **state)
{
	const struct folder *f = *state;
	struct arena *a = arena_new();
	struct config c;

	assert_int_equal(config_load(&c, in_folder(f, "none.yaml"), NULL, 0, a), ERR_IO);
	assert_non_null(strstr(error_text(), "none.yaml: cannot be opened"));
	assert_int_equal(config_load(&c, f->path, NULL, 0, a), ERR_IO);
	arena_free(a);
}

static void bad_sets_are_refused(void **state)
{
	static const struct {
		const char *set;
		int code;
		const char *what;
	} cases[] = {
		{ "samples", ERR_PARSE, "KEY=VALUE" },
		{ "=3", ERR_PARSE, "KEY=VALUE" },
		{ "sampels=3", ERR_NAME, "\"samples\"" },
		{ "samples=x", ERR_PARSE, "a whole number" },
		{ "steps=1,0", ERR_RANGE, "1 to" },
		{ "steps=", ERR_PARSE, "empty" },
		{ "methods=smc", ERR_PARSE, "edit the file" },
		{ "metrics=mmd_osdss", ERR_NAME, "\"mmd_osds\"" },
		{ "smd.leapfrog=3", ERR_NAME, "did you mean \"smc\"" },
		{ "smc.leapfrg=3", ERR_NAME, "\"leapfrog\"" },
		{ "smc.leapfrog=x", ERR_PARSE, "an integer" },
		{ "gaussian.dim=0", ERR_RANGE, "an integer from 1" },
	};
	const struct folder *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct loaded l;
		char place[PATH_LENGTH];
		int code = load_with(&l, f, GOOD, &cases[i].set, 1);
		snprintf(place, sizeof(place), "--set %s: ", cases[i].set);
		if (code != cases[i].code || strncmp(error_text(), place, strlen(place)) != 0 ||
			strstr(error_text(), cases[i].what) == NULL)
			fail_msg("case %zu: code %d, \"%s\"", i, code, error_text());
		arena_free(l.arena);
	}
}

static const char *option_of(const struct resolved *r, const char *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->settings[i].key, key) == 0)
			return r->settings[i].value;
	return "none";
}

/* Cells are target by target: cell 3 is smc on funnel, cell 1 smc on gaussian. */
static void later_options_win(void **state)
{
	static const char *const sets[] = { "smc.moves=4", "seeds=0", "funnel.clip=20",
		"smc.moves=5" };
	const struct folder *f = *state;
	struct loaded l;

	assert_int_equal(
		load_with(&l, f,
			GOOD
			"overrides:\n"
			"  - { method: smc, target: funnel, options: { leapfrog: 7, moves: 3 } }\n",
			sets, 4),
		OK);
	assert_string_equal(option_of(&l.plan.cells[1].options, "leapfrog"), "3");
	assert_string_equal(option_of(&l.plan.cells[3].options, "leapfrog"), "7");
	assert_string_equal(option_of(&l.plan.cells[1].options, "moves"), "5");
	assert_string_equal(option_of(&l.plan.cells[3].options, "moves"), "5");
	assert_string_equal(option_of(&l.plan.targets[1].options, "clip"), "20");
	arena_free(l.arena);
}

static void all_keys(const struct folder *f, const char *text, const char *set, char keys[256])
{
	struct loaded l;

	assert_int_equal(load_with(&l, f, text, &set, set != NULL), OK);
	keys[0] = '\0';
	for (size_t i = 0; i < l.plan.n_cells && i < 12; i++) {
		strcat(keys, l.plan.cells[i].key);
		strcat(keys, " ");
	}
	arena_free(l.arena);
}

/* The resolved text is the same run, with every --set in it. */
static void the_resolved_text_is_the_same_run(void **state)
{
	static const char *const sets[] = { "smc.moves=4", "steps=1,2", "samples=77" };
	const struct folder *f = *state;
	struct loaded l;
	char again[256];

	assert_int_equal(load_with(&l, f, GOOD, sets, 3), OK);
	all_keys(f, l.config.text, NULL, again);
	for (size_t i = 0; i < l.plan.n_cells; i++)
		assert_memory_equal(again + 17 * i, l.plan.cells[i].key, 16);
	arena_free(l.arena);
}

/* --- keys ------------------------------------------------------------------------------------- */

#define ONE(steps, rest) \
	"methods: [{ name: smc }]\ntargets: [{ name: funnel }]\nsteps: " steps rest "\n"

static void keys_ignore_order_and_spelling(void **state)
{
	static const char *const same[] = {
		ONE("[1, 2, 4]", "\nseeds: [5]\nsamples: 2000"),
		"samples: 2000 # a comment\nsteps:\n- 4\n- 2\n- 1\n- 2\nseeds:\n  - 5\n"
		"targets:\n- name: \"funnel\"\nmethods:\n- { options: {}, name: smc }\n",
		/* A default written out, in another spelling. */
		ONE("[4, 2, 1]",
			"\nseeds: [5]\nset: [smc.leapfrog=10, smc.step1=1e-1, funnel.clip=0.0]"),
		/* What does not change numbers. */
		ONE("[1, 2, 4]",
			"\nseeds: [5]\nname: other\ntimeout_seconds: 1000\nfloor_draws: 3"),
	};
	const struct folder *f = *state;
	char first[256], key[256];

	all_keys(f, same[0], NULL, first);
	assert_int_equal(strlen(first), 17);
	for (size_t i = 1; i < sizeof(same) / sizeof(*same); i++) {
		all_keys(f, same[i], NULL, key);
		assert_string_equal(key, first);
	}
}

static void keys_see_all_that_changes_numbers(void **state)
{
	static const char *const sets[] = { NULL, "seeds=1", "samples=2001", "repeats=2",
		"metrics=mmd_u", "smc.leapfrog=11", "smc.resampling=systematic", "smc.step1=0.11",
		"funnel.clip=30" };
	enum { N = sizeof(sets) / sizeof(*sets) };
	const struct folder *f = *state;
	char keys[N][256];

	for (size_t i = 0; i < N; i++) {
		all_keys(f, ONE("[1, 2, 4]", ""), sets[i], keys[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(keys[i], keys[j]);
	}
}

/* Numbers of a table count, not what its first lines say of it. */
static void keys_see_what_is_in_files(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} cases[] = { { "# from there\n# and there\n1,2,1\n4,3,0\n", true },
		{ "1,2,1\n4,3.1,0\n", false }, { "1,2,1\n# a remark\n4,3,0\n", false } };
	const struct folder *f = *state;
	const char *text =
		"methods: [{ name: smc }]\ntargets: [{ name: ionosphere }]\nsteps: [1]\n";
	char set[PATH_LENGTH], first[256], key[256];

	snprintf(set, sizeof(set), "ionosphere.data=%.400s",
		write_file(f, "table.csv", "1,2,1\n4,3,0\n"));
	all_keys(f, text, set, first);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_file(f, "table.csv", cases[i].text);
		all_keys(f, text, set, key);
		assert_int_equal(strcmp(key, first) == 0, cases[i].same);
	}
}

/* Steps count for methods that have a step axis, as far as they can do them. */
#define STEPPED(method, steps) \
	"methods: [{ name: " method " }]\ntargets: [{ name: funnel }]\nsteps: " steps "\n"

static void keys_see_the_steps_that_are_taken(void **state)
{
	static const struct {
		const char *one, *two;
		bool same;
	} cases[] = {
		{ STEPPED("osds", "[1, 2]"), STEPPED("osds", "[1, 2, 4]"), false },
		{ STEPPED("osds", "[1, 2]"), STEPPED("osds", "[2, 1]"), true },
		{ STEPPED("dds", "[2, 4]"), STEPPED("dds", "[1, 2, 4]"), true },
		{ STEPPED("smc", "[1, 2]"), STEPPED("smc", "[1, 2, 4]"), true },
	};
	const struct folder *f = *state;
	char one[256], two[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		all_keys(f, cases[i].one, NULL, one);
		all_keys(f, cases[i].two, NULL, two);
		assert_int_equal(strcmp(one, two) == 0, cases[i].same);
	}
}

static void floor_keys_are_of_target_samples_draws_and_metrics(void **state)
{
	static const struct {
		const char *set;
		bool same;
	} cases[] = { { "smc.leapfrog=11", true }, { "seeds=1", true }, { "steps=7", true },
		{ "samples=2001", false }, { "floor_draws=3", false }, { "funnel.clip=30", false },
		{ "metrics=mmd_u", false } };
	const struct folder *f = *state;
	struct loaded first, l;

	assert_int_equal(load(&first, f, ONE("[1]", "")), OK);
	assert_true(first.plan.targets[0].floor);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(load_with(&l, f, ONE("[1]", ""), &cases[i].set, 1), OK);
		bool same =
			strcmp(l.plan.targets[0].floor_key, first.plan.targets[0].floor_key) == 0;
		assert_int_equal(same, cases[i].same);
		arena_free(l.arena);
	}
	arena_free(first.arena);
}

/* --- selections ------------------------------------------------------------------------------- */

static size_t cells_left(const struct folder *f, const char *filter)
{
	struct loaded l;

	assert_int_equal(load(&l, f, GOOD), OK);
	int code = plan_make(&l.plan, &l.config, &filter, 1, l.arena);
	size_t n = code == OK ? l.plan.n_cells : 0;
	arena_free(l.arena);
	return n;
}

static void filters_select_cells(void **state)
{
	const struct folder *f = *state;

	assert_int_equal(cells_left(f, ":"), 4);
	assert_int_equal(cells_left(f, "*:*"), 4);
	assert_int_equal(cells_left(f, "smc:"), 2);
	assert_int_equal(cells_left(f, ":funnel"), 2);
	assert_int_equal(cells_left(f, "smc:funnel"), 1);
	assert_int_equal(cells_left(f, "smc"), 0);
	assert_non_null(strstr(error_text(), "METHOD:TARGET"));
	assert_int_equal(cells_left(f, "smd:"), 0);
	assert_non_null(strstr(error_text(), "did you mean \"smc\""));
	assert_int_equal(cells_left(f, ":funel"), 0);
	assert_non_null(strstr(error_text(), "did you mean \"funnel\""));
}

/* What is not wanted is not checked. */
static void filters_come_before_checks(void **state)
{
	const struct folder *f = *state;
	static const char *const filter = "smc:";
	struct loaded l;

	assert_int_equal(
		load(&l, f, GOOD_TARGETS "methods: [{ name: smc }, { name: osds }]\nsteps: [3]\n"),
		ERR_RANGE);
	assert_int_equal(plan_make(&l.plan, &l.config, &filter, 1, l.arena), OK);
	arena_free(l.arena);
}

static void shards_part_the_grid(void **state)
{
	const struct folder *f = *state;
	size_t total = 0;

	for (size_t k = 1; k <= 3; k++) {
		struct loaded l;
		assert_int_equal(load(&l, f, GOOD), OK);
		const char *whole = l.plan.cells[k - 1].key;
		char first[KEY_SIZE];
		memcpy(first, whole, KEY_SIZE);
		plan_shard(&l.plan, k, 3);
		assert_string_equal(l.plan.cells[0].key, first);
		total += l.plan.n_cells;
		arena_free(l.arena);
	}
	assert_int_equal(total, 4);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_good_file_is_read),
		IN_FOLDER(bad_files_are_refused),
		IN_FOLDER(files_that_cannot_be_read_are_refused),
		IN_FOLDER(bad_sets_are_refused),
		IN_FOLDER(later_options_win),
		IN_FOLDER(the_resolved_text_is_the_same_run),
		IN_FOLDER(keys_ignore_order_and_spelling),
		IN_FOLDER(keys_see_all_that_changes_numbers),
		IN_FOLDER(keys_see_what_is_in_files),
		IN_FOLDER(keys_see_the_steps_that_are_taken),
		IN_FOLDER(floor_keys_are_of_target_samples_draws_and_metrics),
		IN_FOLDER(filters_select_cells),
		IN_FOLDER(filters_come_before_checks),
		IN_FOLDER(shards_part_the_grid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
