#include "core/error.h"
#include "core/option.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct state {
	double rate;
	long iterations;
	bool adaptive;
	int kernel;
	const char *file;
};

static const char *const kernels[] = { "hmc", "rwm", NULL };

static const struct option table[] = {
	{ "rate", OPTION_REAL, offsetof(struct state, rate), "5e-4", 0, 1, "", "learning rate",
		NULL },
	{ "iterations", OPTION_INT, offsetof(struct state, iterations), "300", 0, 1e9, "", "length",
		NULL },
	{ "adaptive", OPTION_BOOL, offsetof(struct state, adaptive), "false", 0, 0, "", "adapt",
		NULL },
	{ "kernel", OPTION_CHOICE, offsetof(struct state, kernel), "rwm", 0, 0, "", "moves",
		kernels },
	{ "file", OPTION_TEXT, offsetof(struct state, file), "x.csv", 0, 0, "", "data", NULL },
	{ 0 },
};

struct fixture {
	struct arena *a;
	struct state s;
};

static int setup(void **p)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->a = arena_new();
	option_defaults(table, &f->s, f->a);
	*p = f;
	return 0;
}

static int teardown(void **p)
{
	struct fixture *f = *p;

	arena_free(f->a);
	free(f);
	return 0;
}

static int set(struct fixture *f, const char *key, const char *value)
{
	return option_set(table, &f->s, "method toy", key, value, f->a);
}

static void defaults_are_written(void **p)
{
	struct fixture *f = *p;

	assert_true(f->s.rate == 5e-4);
	assert_int_equal(f->s.iterations, 300);
	assert_false(f->s.adaptive);
	assert_int_equal(f->s.kernel, 1);
	assert_string_equal(f->s.file, "x.csv");
	option_defaults(NULL, &f->s, f->a);
}

static void good_values_are_set(void **p)
{
	struct fixture *f = *p;

	assert_int_equal(set(f, "rate", "0.25"), OK);
	assert_int_equal(set(f, "iterations", "1000000000"), OK);
	assert_int_equal(set(f, "adaptive", "Yes"), OK);
	assert_int_equal(set(f, "kernel", "HMC"), OK);
	assert_int_equal(set(f, "file", "a b"), OK);
	assert_true(f->s.rate == 0.25);
	assert_int_equal(f->s.iterations, 1000000000);
	assert_true(f->s.adaptive);
	assert_int_equal(f->s.kernel, 0);
	assert_string_equal(f->s.file, "a b");
}

static void bad_values_are_refused_and_change_nothing(void **p)
{
	static const struct {
		const char *key, *value;
		int code;
		const char *in_text;
	} cases[] = {
		{ "rate", "1.5", ERR_RANGE, "a number from 0 to 1" },
		{ "rate", "nan", ERR_RANGE, "a number from 0 to 1" },
		{ "rate", "-inf", ERR_RANGE, "a number from 0 to 1" },
		{ "rate", "", ERR_PARSE, "a number from 0 to 1" },
		{ "rate", "0.1x", ERR_PARSE, "0.1x" },
		{ "iterations", "-1", ERR_RANGE, "an integer from 0 to 1000000000" },
		{ "iterations", "99999999999999999999", ERR_RANGE, "integer" },
		{ "iterations", "10.5", ERR_PARSE, "integer" },
		{ "adaptive", "maybe", ERR_PARSE, "true or false" },
		{ "file", "", ERR_PARSE, "the name of a file" },
		{ "file", "-", ERR_PARSE, "the name of a file" },
		{ "kernel", "mala", ERR_PARSE, "one of hmc, rwm" },
		{ "itrations", "10", ERR_NAME, "the nearest is \"iterations\"" },
		{ "zzz", "10", ERR_NAME, "no option \"zzz\"" },
	};
	struct fixture *f = *p;
	struct state before = f->s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(set(f, cases[i].key, cases[i].value), cases[i].code);
		assert_non_null(strstr(error_text(), cases[i].in_text));
		assert_non_null(strstr(error_text(), "method toy"));
	}
	assert_memory_equal(&before, &f->s, sizeof(before));
	assert_int_equal(option_set(NULL, &f->s, "target toy", "a", "1", f->a), ERR_NAME);
}

static void texts_read_back(void **p)
{
	static const double values[] = { 0.1, 1.0 / 3, 5e-4, 1e-300, 1, 0x1.fffffffffffffp-1 };
	struct fixture *f = *p;

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		f->s.rate = values[i];
		const char *text = option_text(&table[0], &f->s, f->a);
		f->s.rate = (double)NAN;
		assert_int_equal(set(f, "rate", text), OK);
		assert_true(f->s.rate == values[i]);
	}
	f->s.rate = 0.1;
	assert_string_equal(option_text(&table[0], &f->s, f->a), "0.1");
	assert_string_equal(option_text(&table[1], &f->s, f->a), "300");
	assert_string_equal(option_text(&table[2], &f->s, f->a), "false");
	assert_string_equal(option_text(&table[3], &f->s, f->a), "rwm");
	assert_string_equal(option_text(&table[4], &f->s, f->a), "x.csv");
}

static void nearest_names(void **p)
{
	static const char *const names[] = { "funnel", "gaussian", "gmm40_2d", "gmm40_50d", "gmm9",
		"ionosphere", NULL };
	(void)p;

	assert_string_equal(option_nearest("funel", names), "funnel");
	assert_string_equal(option_nearest("fnunel", names), "funnel");
	assert_string_equal(option_nearest("GMM40_50D", names), "gmm40_50d");
	assert_string_equal(option_nearest("gmm40", names), "gmm40_2d");
	assert_string_equal(option_nearest("ion", names), "ionosphere");
	assert_string_equal(option_nearest("gauss", names), "gaussian");
	assert_null(option_nearest("quite different", names));
	assert_null(option_nearest("", names));
	assert_null(option_nearest("x", (const char *const[]){ NULL }));
}

static void printed_table_has_every_option(void **p)
{
	char *text = NULL;
	size_t size = 0;
	(void)p;

	FILE *out = open_memstream(&text, &size);
	option_print(table, NULL, out);
	fclose(out);
	for (const struct option *o = table; o->key != NULL; o++) {
		assert_non_null(strstr(text, o->key));
		assert_non_null(strstr(text, o->value));
		assert_non_null(strstr(text, o->help));
	}
	assert_non_null(strstr(text, "one of hmc, rwm"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults_are_written, setup, teardown),
		cmocka_unit_test_setup_teardown(good_values_are_set, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_values_are_refused_and_change_nothing, setup,
			teardown),
		cmocka_unit_test_setup_teardown(texts_read_back, setup, teardown),
		cmocka_unit_test(nearest_names),
		cmocka_unit_test(printed_table_has_every_option),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
