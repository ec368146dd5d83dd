/* The commands compare and weights: samples and log weights that any program made. */
#include "support.h"

#include "stride.h"

#include <sys/resource.h>

/* A .npy of float64, [rows][cols] by rows. */
static void write_npy(const struct folder *f, const char *name, const double *x, size_t rows,
	size_t cols)
{
	enum { HEADER = 118 };
	char text[HEADER];
	FILE *file = fopen(in_folder(f, name), "wb");

	assert_non_null(file);
	snprintf(text, sizeof(text),
		"{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, cols);
	fwrite("\x93NUMPY\1\0\x76\0", 1, 10, file);
	fprintf(file, "%-*s\n", HEADER - 1, text);
	fwrite(x, sizeof(*x), rows * cols, file);
	assert_int_equal(fclose(file), 0);
}

static void write_csv(const struct folder *f, const char *name, const double *x, size_t rows,
	size_t cols)
{
	FILE *file = fopen(in_folder(f, name), "w");

	assert_non_null(file);
	for (size_t i = 0; i < rows * cols; i++)
		fprintf(file, "%.17g%s", x[i], (i + 1) % cols == 0 ? "\n" : ",");
	assert_int_equal(fclose(file), 0);
}

/* FOLDER/NAME, 2-D normal points with this mean of the first coordinate, their numbers from `seed`. */
static void write_normal(const struct folder *f, const char *name, size_t n, double mean,
	uint64_t seed)
{
	double *x = malloc(2 * n * sizeof(*x));

	assert_non_null(x);
	for (size_t i = 0; i < 2 * n; i++)
		x[i] = rng_gauss((struct rng){ seed, RNG_TEST, 0 }, 0, i, 0) +
		       (i % 2 == 0 ? mean : 0);
	if (strstr(name, ".npy") != NULL)
		write_npy(f, name, x, n, 2);
	else
		write_csv(f, name, x, n, 2);
	free(x);
}

/* The document that the command printed; the caller's. */
static json_t *printed(const struct folder *f)
{
	json_error_t e;
	json_t *document = json_load_file(in_folder(f, "out"), 0, &e);

	if (document == NULL)
		fail_msg("%s", e.text);
	return document;
}

static double number_of(const json_t *document, const char *metric, const char *key)
{
	return record_number_of(json_object_get(
		json_object_get(json_object_get(document, "metrics"), metric), key));
}

/* metrics/METRIC/KEY of the JSON that the command prints. */
static double result(const struct folder *f, const char *words, const char *metric, const char *key)
{
	assert_int_equal(stride(f, words), EXIT_DONE);
	json_t *document = printed(f);
	double x = number_of(document, metric, key);
	json_decref(document);
	return x;
}

/* --- compare ---------------------------------------------------------------------------------- */

/* CSV, .npy and standard input hold the same numbers. */
static void either_kind_of_file_gives_the_same(void **state)
{
	const struct folder *f = *state;
	static const char words[] =
		"compare %s/x.csv %s/y.csv --metrics mmd_u,mmd_osds --json -j 1";

	write_normal(f, "x.csv", 60, 0.7, 1);
	write_normal(f, "x.npy", 60, 0.7, 1);
	write_normal(f, "y.csv", 45, 0, 2);
	write_normal(f, "y.npy", 45, 0, 2);
	double value = result(f, words, "mmd_u", "value");
	assert_true(value > 0.01);
	assert_true(result(f, "compare %s/x.npy %s/y.csv --metrics mmd_u --json -j 2", "mmd_u",
			    "value") == value);
	assert_true(result(f, "compare %s/x.npy %s/y.npy --metrics mmd_u --json", "mmd_u",
			    "value") == value);
	json_t *document = printed(f);
	assert_int_equal(json_integer_value(json_object_get(document, "n")), 60);
	assert_int_equal(json_integer_value(json_object_get(document, "n_reference")), 45);
	assert_true(json_is_null(json_object_get(
		json_object_get(json_object_get(document, "metrics"), "mmd_u"), "floor")));
	assert_true(json_array_size(json_object_get(document, "notes")) > 0);
	json_decref(document);
}

static const char to_target[] =
	"compare %s/x.csv --target gaussian --metrics mmd_u,mmd_osds --cache %s/cache --json";

/* With a target: its reference set is the grid's, floors are there, and kept. */
static void a_target_gives_reference_and_floors(void **state)
{
	const struct folder *f = *state;

	write_normal(f, "x.csv", 80, 2, 1);
	double value = result(f, to_target, "mmd_u", "value");
	json_t *document = printed(f);
	double mean = number_of(document, "mmd_u", "floor");
	assert_true(isfinite(mean) && mean <= number_of(document, "mmd_u", "floor_q95"));
	assert_true(value > number_of(document, "mmd_u", "floor_q95")); /* a shift by 2 is seen */
	assert_true(number_of(document, "mmd_osds", "floor") > 0);
	json_decref(document);

	/* Again from the cache: a changed record shows that it is read. */
	char command[PATH_LENGTH];
	snprintf(command, sizeof(command),
		"ls %s/cache/gaussian/floors/*.json | wc -l >%s/count && "
		"sed -i '/\"values\"/,/]/ s/^ *-*[0-9].*[0-9]/7.0/' "
		"%s/cache/gaussian/floors/*.json",
		f->path, f->path, f->path);
	assert_int_equal(system(command), 0);
	assert_true(output_has(f, "count", "2\n"));
	assert_true(result(f, to_target, "mmd_u", "floor") == 7);
	assert_true(
		result(f, "compare %s/x.csv --target gaussian --metrics mmd_u --json --no-cache",
			"mmd_u", "floor") == mean);
	/* Other numbers of points, draws or options are other floors. */
	assert_true(result(f,
			    "compare %s/x.csv --target gaussian --metrics mmd_u --cache %s/cache "
			    "--json -n 30",
			    "mmd_u", "floor") != 7);
	assert_true(result(f,
			    "compare %s/x.csv --target gaussian --metrics mmd_u --cache %s/cache "
			    "--json --floor-draws 3",
			    "mmd_u", "floor") != 7);
	assert_true(result(f,
			    "compare %s/x.csv --target gaussian --metrics mmd_u --cache %s/cache "
			    "--json --set gaussian.std=2",
			    "mmd_u", "floor") != 7);

	/* The value is that of a comparison with the set that draw writes. */
	assert_int_equal(stride(f, "draw gaussian -n 80"), EXIT_DONE);
	assert_int_equal(rename(in_folder(f, "out"), in_folder(f, "reference.csv")), 0);
	assert_true(result(f, "compare %s/x.csv %s/reference.csv --metrics mmd_u --json", "mmd_u",
			    "value") == value);
	assert_int_equal(stride(f, "compare %s/reference.csv --target gaussian --metrics mmd_u "
				   "--floor-draws 0"),
		EXIT_DONE);
	assert_true(output_has(f, "out", "the samples are the reference set itself"));
}

/* A cache that cannot be used costs the cache. */
static void a_bad_cache_is_told(void **state)
{
	const struct folder *f = *state;

	write_normal(f, "x.csv", 20, 0, 1);
	write_file(f, "cache", "");
	assert_true(isfinite(result(f, to_target, "mmd_u", "floor")));
	assert_true(output_has(f, "out", "noise floors are not kept"));
}

/* In a table on the terminal; what does not apply is named. */
static void the_table_says_what_is_left_out(void **state)
{
	const struct folder *f = *state;

	write_normal(f, "x.csv", 20, 0, 1);
	assert_int_equal(stride(f, "compare %s/x.csv %s/x.csv --metrics mmd_u,emc,elbo"),
		EXIT_DONE);
	assert_true(output_has(f, "out", "20 samples of 2 dimensions, against 20 of"));
	assert_true(output_has(f, "out", "metric"));
	assert_true(output_has(f, "out", "for lack of a target that stride has: emc"));
	assert_true(output_has(f, "out", "for lack of log weights: elbo"));
	assert_int_equal(stride(f, "compare %s/x.csv --target gmm9 --metrics emc --floor-draws 2 "
				   "--no-cache"),
		EXIT_DONE);
	assert_true(output_has(f, "out", "floor q95"));
}

static void bad_samples_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *words, *error;
	} cases[] = {
		{ "compare %s/nan.csv %s/two.csv",
			"nan.csv:3: column 2 is nan, and 2 of 3 rows are not finite" },
		{ "compare %s/two.csv %s/nan.csv", "nan.csv:3: column 2 is nan" },
		{ "compare %s/inf.npy %s/two.csv", "inf.npy: row 2: column 1 is -inf, and 1 of 2" },
		{ "compare %s/empty.csv %s/two.csv", "empty.csv:1: no numbers" },
		{ "compare %s/none.csv %s/two.csv", "none.csv: cannot be opened" },
		{ "compare %s/two.csv %s/three.csv", "three.csv:1: 3 columns; " },
		{ "compare %s/two.csv --target funnel",
			"two.csv:2: 2 columns; target funnel takes 10" },
		{ "compare %s/two.csv --target funel", "did you mean \"funnel\"" },
		{ "compare %s/two.csv --target gaussian --set gaussian.dmi=3",
			"the nearest is \"dim\"" },
		{ "compare %s/two.csv --target gaussian --set gaussian.std=x",
			"--set gaussian.std=x: " },
		{ "compare %s/two.csv --set gaussian.std=2 %s/two.csv", "name it by --target" },
		{ "compare %s/two.csv", "stride compare takes SAMPLES REFERENCE, or" },
		{ "compare %s/two.csv %s/two.csv -n 3", "-n is of one drawn from --target" },
		{ "compare - -", "cannot come from standard input" },
		{ "compare %s/two.csv %s/two.csv --metrics mmd_v", "did you mean \"mmd_u\"" },
		{ "compare %s/two.csv --target gaussian -n 99999999999999",
			"it takes 1 to 100000000" },
		{ "compare %s/two.csv %s/two.csv --metrics elbo",
			"none of these metrics can be had; the last one needs log weights" },
		{ "weights %s/two.csv", "none called log_w" },
		{ "weights %s/nan.csv --columns log_w", "has a header" },
		{ "weights %s/three.csv --columns running,terminal", "3 columns and 2 names" },
		{ "weights %s/w.csv --log-z 1,-2", "it takes VALUE or VALUE,SE" },
		{ "weights %s/w.csv --log-z x", "it takes VALUE or VALUE,SE" },
		{ "weights %s/w.csv --log-z 1,", "it takes VALUE or VALUE,SE" },
		{ "weights %s/w.csv --metrics eubo",
			"needs log weights of paths from exact samples" },
	};
	const struct folder *f = *state;
	const double inf[] = { 1, 2, -HUGE_VAL, 4 };

	write_file(f, "two.csv", "x1,x2\n1,2\n3,4\n");
	write_file(f, "three.csv", "1,2,3\n");
	write_file(f, "nan.csv", "a,b\n1,2\n3,nan\ninf,nan\n");
	write_file(f, "empty.csv", "");
	write_file(f, "w.csv", "-1\n-2\n");
	write_npy(f, "inf.npy", inf, 2, 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int code = stride(f, cases[i].words);
		if (code != EXIT_INPUT || !error_is_one_line(f) ||
			!output_has(f, "err", cases[i].error))
			fail_msg("\"%s\": exit code %d", cases[i].words, code);
	}
}

/* One point, points that are all the same: whatever there is of metrics has a number or says why not. */
static void degenerate_samples_give_numbers_or_reasons(void **state)
{
	static const char *const words[] = {
		"compare %s/one.csv --target gaussian --floor-draws 2 --no-cache --json",
		"compare %s/same.csv --target gaussian --floor-draws 2 --no-cache --json",
		"compare %s/same.csv %s/same.csv --json",
		"compare %s/one.csv %s/same.csv --json",
		"compare %s/same.csv %s/one.csv --json",
		"compare %s/huge.csv %s/same.csv --json",
	};
	const struct folder *f = *state;

	write_file(f, "one.csv", "0.3,-0.4\n");
	write_file(f, "same.csv", "1,2\n1,2\n1,2\n1,2\n1,2\n");
	write_file(f, "huge.csv", "1e300,2\n-1e300,5\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int code = stride(f, words[i]);
		if (code != EXIT_DONE && code != EXIT_CELLS)
			fail_msg("\"%s\": exit code %d", words[i], code);
		json_t *document = printed(f);
		bool undefined = json_object_size(json_object_get(document, "failed_metrics")) > 0;
		const char *id;
		json_t *one;
		json_object_foreach(json_object_get(document, "metrics"), id, one) undefined =
			undefined || isnan(number_of(document, id, "value"));
		assert_int_equal(undefined, code == EXIT_CELLS);
		json_object_foreach(json_object_get(document, "failed_metrics"), id, one)
			assert_true(strlen(json_string_value(one)) > 10);
		json_decref(document);
	}
}

/* A million rows as text take little more than their numbers. */
static void a_million_rows_take_bounded_memory(void **state)
{
	const struct folder *f = *state;
	char command[PATH_LENGTH];

	snprintf(command, sizeof(command),
		"awk 'BEGIN { srand(1); for (i = 0; i < 1000000; i++) print rand() \",\" rand() }' "
		">%s/many.csv",
		f->path);
	assert_int_equal(system(command), 0);
	/* Refused before it is scored, so that the time is that of reading. */
	FILE *end = fopen(in_folder(f, "many.csv"), "a");
	fputs("nan,1\n", end);
	fclose(end);
	assert_int_equal(stride(f, "compare %s/many.csv --target gaussian"), EXIT_INPUT);
	assert_true(output_has(f, "err", "many.csv:1000001: column 1 is nan, and 1 of 1000001"));
	struct rusage use;
	getrusage(RUSAGE_CHILDREN, &use);
	/* 16 MB of points and 8 MB of line numbers, each twice while they grow by doubling and once more as a
	 * copy, and the program: half as much again. A sanitizer keeps what was freed. */
#ifdef STRIDE_POISON
	const uintmax_t most = (uintmax_t)1024 * 1024;
#else
	const uintmax_t most = (uintmax_t)150 * 1024;
#endif
	assert_in_range(use.ru_maxrss, 0, most);
}

/* What would take the pairs of a million points is left out, and is there when it is named. */
static void all_pairs_of_many_points_are_for_who_asks(void **state)
{
	const struct folder *f = *state;
	double energy;

	write_normal(f, "many.npy", 20001, 0, 1);
	write_normal(f, "few.csv", 40, 1, 2);
	assert_int_equal(stride(f, "compare %s/many.npy %s/few.csv --json"), EXIT_DONE);
	json_t *document = printed(f);
	const json_t *left = json_object_get(document, "not_applicable");
	static const char *const pairs[] = { "energy", "mmd_osds", "mmd_u", "sinkhorn",
		"sinkhorn_osds", "sinkhorn_scds", "w1", "w2" };
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *why = json_string_value(json_object_get(left, pairs[i]));
		assert_non_null(why);
		assert_non_null(strstr(why, "20000 points"));
	}
	assert_true(number_of(document, "sliced_w2", "value") > 0);
	json_decref(document);
	energy = result(f, "compare %s/many.npy %s/few.csv --json --metrics energy", "energy",
		"value");
	assert_true(energy > 0);
	/* The larger set may be either. */
	assert_int_equal(stride(f, "compare %s/few.csv %s/many.npy --json"), EXIT_DONE);
	document = printed(f);
	assert_true(isnan(number_of(document, "energy", "value")));
	json_decref(document);
}

/* A name need not be UTF-8, and JSON has to be. */
static void json_is_valid_for_any_name(void **state)
{
	const struct folder *f = *state;

	write_file(f, "caf\xe9.csv", "1,2\n3,4\n0,1\n");
	write_file(f, "w\xe9.csv", "-1\n-2\n");
	assert_true(result(f, "compare %s/caf\xe9.csv %s/caf\xe9.csv --metrics energy --json",
			    "energy", "value") < 1e-12);
	json_t *document = printed(f);
	assert_non_null(
		strstr(json_string_value(json_object_get(document, "samples")), "/caf?.csv"));
	json_decref(document);
	assert_true(
		result(f, "weights %s/w\xe9.csv --metrics elbo --json", "elbo", "value") == -1.5);
}

/* --- weights ---------------------------------------------------------------------------------- */

/* Few numbers, which is too few for some metrics. log of the mean of exp(-1), exp(-2), exp(-3), exp(-4), and the mean of the four. */
static void weights_are_scored(void **state)
{
	const struct folder *f = *state;
	const double log_w[] = { -1, -2, -3, -4 };
	double mean = (exp(-1) + exp(-2) + exp(-3) + exp(-4)) / 4;

	write_csv(f, "w.csv", log_w, 4, 1);
	write_npy(f, "w.npy", log_w, 4, 1);
	write_file(f, "costs.csv",
		"terminal,x,running,stochastic\n0,9,1,0\n1,9,1,0\n3,9,1,-1\n"
		"2,9,2,0\n");
	write_file(f, "both.csv", "log_w_forward,log_w\n1,-1\n2,-2\n3,-3\n4,-4\n");
	static const char *const words[] = { "weights %s/w.csv --metrics logz_rev,elbo,eubo --json",
		"weights %s/w.npy --metrics logz_rev,elbo,eubo --json",
		"weights %s/costs.csv --metrics logz_rev,elbo,eubo --json",
		"weights %s/both.csv --metrics logz_rev,elbo,eubo --json" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		/* Four additions and a logarithm, each rounded once. */
		assert_true(fabs(result(f, words[i], "logz_rev", "value") - log(mean)) < 1e-14);
		assert_true(result(f, words[i], "elbo", "value") == -2.5);
	}
	assert_true(result(f, words[3], "eubo", "value") == 2.5);
	assert_true(fabs(result(f, "weights %s/w.csv --log-z -1.5,0.25 --metrics delta_logz --json",
				 "delta_logz", "value") -
			    log(mean) - 1.5) < 1e-14);
	double se =
		result(f, "weights %s/w.csv --metrics logz_rev,elbo,eubo --json", "logz_rev", "se");
	assert_true(fabs(result(f, "weights %s/w.csv --log-z -1.5,0.25 --metrics delta_logz --json",
				 "delta_logz", "se") -
			    hypot(se, 0.25)) < 1e-14);
	assert_true(result(f, "weights %s/w.csv --detflow --metrics elbo_df --json", "elbo_df",
			    "value") == -2.5);
	assert_int_equal(stride(f, "weights %s/costs.csv --metrics elbo"), EXIT_DONE);
	assert_true(output_has(f, "out", "4 log weights; 0 -inf, 0 NaN, 0 +inf"));
}

static void weights_that_are_no_numbers_are_told(void **state)
{
	const struct folder *f = *state;

	write_file(f, "zero.csv", "-inf\n-inf\n");
	write_file(f, "some.csv", "-1\n-inf\n-2\n");
	write_file(f, "bad.csv", "log_w\n-1\nnan\ninf\nnan\n");
	assert_int_equal(stride(f, "weights %s/zero.csv"), EXIT_CELLS);
	assert_true(output_has(f, "out", "2 -inf, 0 NaN, 0 +inf"));
	assert_true(output_has(f, "out", "all weights are 0"));
	assert_int_equal(stride(f, "weights %s/some.csv --metrics logz_rev,elbo,ess_rev"),
		EXIT_DONE);
	assert_true(output_has(f, "out", "1 -inf"));
	assert_int_equal(stride(f, "weights %s/bad.csv --json"), EXIT_CELLS);
	json_t *document = printed(f);
	assert_true(isnan(number_of(document, "logz_rev", "value")));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(document, "log_w"), "nan")), 2);
	json_decref(document);
	assert_true(output_has(f, "out", "2 of 4 log_w are NaN and 1 +inf"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		/* First: it looks at the memory of all children so far. */
		TEST(a_million_rows_take_bounded_memory),
		TEST(either_kind_of_file_gives_the_same),
		TEST(a_target_gives_reference_and_floors),
		TEST(a_bad_cache_is_told),
		TEST(the_table_says_what_is_left_out),
		TEST(bad_samples_are_refused_with_their_place),
		TEST(degenerate_samples_give_numbers_or_reasons),
		TEST(all_pairs_of_many_points_are_for_who_asks),
		TEST(json_is_valid_for_any_name),
		TEST(weights_are_scored),
		TEST(weights_that_are_no_numbers_are_told),
	};

	return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
