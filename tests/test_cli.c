#include "support.h"

#include <sys/resource.h>

static const char grid[] =
	"seeds: [0]\nsteps: [1, 4]\nsamples: 50\nfloor_draws: 2\n"
	"methods: [{ name: exact }]\ntargets: [{ name: gaussian }, { name: gmm9 }]\n";

/* --- bad input: one clear line, exit code 2 --------------------------------------------------- */

static void bad_input_is_one_line_and_exit_2(void **state)
{
	static const struct {
		const char *words, *error;
	} cases[] = {
		{ "rnu", "unknown command \"rnu\"; did you mean run" },
		{ "zzzzzz", "unknown command \"zzzzzz\"; see stride --help" },
		{ "run", "takes CONFIG" },
		{ "run a b", "\"b\" is too much" },
		{ "run %s/none.yaml", "none.yaml: cannot be opened" },
		{ "run %s/grid.yaml --ouy x", "did you mean --out?" },
		{ "run %s/grid.yaml -q", "unknown option \"-q\"" },
		{ "run %s/grid.yaml --out", "its value is missing" },
		{ "run %s/grid.yaml --dry-run=yes", "takes no value" },
		{ "run %s/grid.yaml --jobs 0", "a number from 1" },
		{ "run %s/grid.yaml --jobs many", "a whole number" },
		{ "run %s/grid.yaml --shard 3/2", "K from 1 to N" },
		{ "run %s/grid.yaml --shard 1", "K/N" },
		{ "run %s/grid.yaml --only exact", "METHOD:TARGET" },
		{ "run %s/grid.yaml --only exat:", "did you mean \"exact\"" },
		{ "run %s/grid.yaml --set steps=0", "--set steps=0: " },
		{ "run %s/grid.yaml --set gaussian.dmi=3", "\"dim\"" },
		{ "run %s/grid.yaml --out %s/file", "give another directory with --out" },
		{ "run %s/grid.yaml --out %s/file/results", "give another with --out" },
		{ "run %s/method.yaml",
			"method.yaml:2: unknown method \"osdz\"; did you mean \"osds\"?" },
		{ "run %s/target.yaml",
			"target.yaml:3: unknown target \"funel\"; did you mean \"funnel\"?" },
		{ "run %s/key.yaml",
			"key.yaml:4: unknown key \"metric\"; did you mean \"metrics\"?" },
		{ "run %s/metric.yaml",
			"metric.yaml:4: unknown metric \"elbow\"; did you mean \"elbo\"?" },
		{ "run %s/option.yaml", "option.yaml:2: method osds has no option \"iteration\"; "
					"the nearest is \"iterations\"" },
		{ "run %s/range.yaml",
			"range.yaml:2: method osds: option \"batch\" is \"-1\"; it takes "
			"an integer from 1" },
		{ "run %s/steps.yaml", "steps.yaml:1: method osds: steps 3 does not divide the 128 "
				       "steps of training" },
		{ "report %s/nowhere", "nowhere" },
		{ "list method", "it takes methods, targets or metrics" },
		{ "show funel", "did you mean funnel" },
		{ "info now", "\"now\" is too much" },
		{ "draw gaussian", "give -n N" },
		{ "draw gaussian -n x", "a whole number" },
		{ "draw gaussian -n 99999999999999999", "it takes 1 to 100000000 in 2 dimensions" },
		{ "draw ionosphere -n 2", "no exact sampler" },
		{ "draw gaussian -n 2 --set dim", "OPTION=VALUE" },
		{ "draw gaussian -n 2 --set dmi=3", "the nearest is \"dim\"" },
		{ "logp funel %s/two.csv", "did you mean \"funnel\"" },
		{ "logp funnel %s/two.csv", "two.csv:2: 2 columns; target funnel takes 10" },
		{ "logp gaussian %s/none.csv", "none.csv: cannot be opened" },
		{ "logp gaussian %s/word.csv", "word.csv:3: field 2 is \"two\"" },
		{ "logp gaussian %s/short.csv", "short.csv:3: 1 field" },
		{ "logp gaussian --hvp %s/word.csv %s/two.csv", "word.csv:3:" },
		{ "logp gaussian --hvp %s/three.csv %s/two.csv",
			"three.csv:4: 3 rows; the points have 2" },
	};
	const struct folder *f = *state;

	write_file(f, "grid.yaml", grid);
	write_file(f, "file", "");
	write_file(f, "method.yaml",
		"steps: [1]\nmethods: [{ name: osdz }]\ntargets: [{ name: gmm9 }]\n");
	write_file(f, "target.yaml",
		"steps: [1]\nmethods: [{ name: smc }]\ntargets: [{ name: funel }]\n");
#define GOOD "steps: [1]\nmethods: [{ name: smc }]\ntargets: [{ name: gmm9 }]\n"
	write_file(f, "key.yaml", GOOD "metric: [elbo]\n");
	write_file(f, "metric.yaml", GOOD "metrics: [elbow]\n");
#define WITH(steps, options)                                          \
	"steps: " steps "\nmethods: [{ name: osds, options: " options \
	" }]\ntargets: [{ name: gmm9 }]\n"
	write_file(f, "option.yaml", WITH("[1]", "{ iteration: 3 }"));
	write_file(f, "range.yaml", WITH("[1]", "{ batch: -1 }"));
	write_file(f, "steps.yaml", WITH("[1, 3]", "{}"));
	write_file(f, "two.csv", "x1,x2\n1,2\n3,4\n");
	write_file(f, "three.csv", "x1,x2\n1,2\n3,4\n5,6\n");
	write_file(f, "word.csv", "x1,x2\n1,2\n3,two\n");
	write_file(f, "short.csv", "x1,x2\n1,2\n3\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int code = stride(f, cases[i].words);
		if (code != EXIT_INPUT || !error_is_one_line(f) ||
			!output_has(f, "err", cases[i].error))
			fail_msg("\"%s\": exit code %d", cases[i].words, code);
	}
}

/* The data of a target: elsewhere by STRIDE_DATA, and there malformed. */
static void bad_data_files_are_told_with_their_line(void **state)
{
	const struct folder *f = *state;

	write_file(f, "ionosphere.csv", "y,x1\n1,nonsense\n");
	setenv("STRIDE_DATA", f->path, 1);
	write_file(f, "grid.yaml",
		"steps: [1]\nmethods: [{ name: smc }]\ntargets: [{ name: ionosphere }]\n");
	int code = stride(f, "run %s/grid.yaml --out %s/results");
	unsetenv("STRIDE_DATA");
	assert_int_equal(code, EXIT_INPUT);
	assert_true(error_is_one_line(f));
	assert_true(output_has(f, "err", "grid.yaml:3: target ionosphere: "));
	assert_true(output_has(f, "err", "ionosphere.csv:"));
	assert_false(exists(in_folder(f, "results")));
}

static void records_of_another_schema_are_refused(void **state)
{
	const struct folder *f = *state;

	write_file(f, "grid.yaml", grid);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --no-report"), EXIT_DONE);
	write_file(f, "results/cells/0123456789abcdef.json",
		"{\"schema\": 99, \"kind\": \"cell\"}\n");
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results"), EXIT_INPUT);
	assert_true(error_is_one_line(f));
	assert_true(output_has(f, "err", "schema 99, this program writes 1"));
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --dry-run"), EXIT_INPUT);
}

/* A long run holds the directory. */
static const char long_grid[] = "seeds: [0]\nsteps: [1]\nsamples: 50\nfloor_draws: 0\n"
				"methods: [{ name: exact }, { name: pis, options: "
				"{ iterations: 1000000, batch: 64, steps: 8 } }]\n"
				"targets: [{ name: gaussian }]\n";

static pid_t start_long_run(const struct folder *f)
{
	write_file(f, "long.yaml", long_grid);
	pid_t child = start_stride(f, "run %s/long.yaml --out %s/results");
	while (!output_has_quietly(f, "err", "start pis"))
		usleep(10000);
	return child;
}

static void two_runs_at_once_are_refused(void **state)
{
	const struct folder *f = *state;
	struct folder *other;
	void *fresh;

	folder_setup(&fresh);
	other = fresh;
	write_file(other, "grid.yaml", grid);
	pid_t child = start_long_run(f);
	char words[PATH_LENGTH];
	snprintf(words, sizeof(words), "run %%s/grid.yaml --out %s/results", f->path);
	assert_int_equal(stride(other, words), EXIT_INPUT);
	assert_true(error_is_one_line(other));
	assert_true(output_has(other, "err", "another run works in this directory"));
	kill(child, SIGKILL);
	wait_child(child);
	folder_teardown(&fresh);
}

/* --- what it does ------------------------------------------------------------------------------ */

static void ctrl_c_keeps_what_is_done(void **state)
{
	const struct folder *f = *state;
	pid_t child = start_long_run(f);

	while (!output_has_quietly(f, "err", "end   exact"))
		usleep(10000);
	kill(child, SIGINT);
	assert_int_equal(wait_child(child), EXIT_INTERRUPTED);
	assert_true(output_has(f, "err", "stride: interrupted: 1 of 2 cells are kept"));
	assert_int_equal(stride(f, "run %s/long.yaml --out %s/results --dry-run"), EXIT_DONE);
	assert_true(output_has(f, "out", "done"));
	assert_true(output_has(f, "out", "missing"));
	assert_true(output_has(f, "out", "1 to run: about "));
}

static void two_signals_kill(void **state)
{
	const struct folder *f = *state;
	pid_t child = start_long_run(f);

	/* Stopped in between, so that it cannot end by itself. */
	kill(child, SIGSTOP);
	kill(child, SIGINT);
	kill(child, SIGCONT);
	while (!output_has_quietly(f, "err", "stopping"))
		usleep(1000);
	kill(child, SIGINT);
	int code = wait_child(child);
	assert_true(code == 1000 + SIGINT || code == EXIT_INTERRUPTED);
}

static void a_run_makes_records_and_report(void **state)
{
	const struct folder *f = *state;

	write_file(f, "grid.yaml", grid);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --dry-run"), EXIT_DONE);
	assert_true(output_has(f, "out", "2 to run: about "));
	assert_false(exists(in_folder(f, "results")));
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results"), EXIT_DONE);
	assert_true(output_has(f, "out", "2 run now, 0 there before"));
	assert_true(output_has(f, "out", "GMM-9"));
	assert_true(exists(in_folder(f, "results/config.yaml")));
	assert_true(exists(in_folder(f, "results/grid.json")));
	assert_true(exists(in_folder(f, "results/report/report.html")));
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results"), EXIT_DONE);
	assert_true(output_has(f, "out", "0 run now, 2 there before"));
	assert_int_equal(stride(f, "report %s/results --no-figures"), EXIT_DONE);
}

/* Without gnuplot the tables come, and what to install is said. */
static void gnuplot_may_be_missing(void **state)
{
	const struct folder *f = *state;
	char *path = strdup(getenv("PATH"));

	write_file(f, "grid.yaml", grid);
	setenv("PATH", f->path, 1);
	int code = stride(f, "run %s/grid.yaml --out %s/results");
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(code, EXIT_DONE);
	assert_true(output_has(f, "err", "gnuplot"));
	assert_true(exists(in_folder(f, "results/report/report.html")));
}

/* A cell that fails is a record and exit code 1; the others are there. */
static void cells_that_fail_give_exit_1(void **state)
{
	const struct folder *f = *state;

	write_file(f, "grid.yaml",
		"seeds: [0]\nsteps: [1]\nsamples: 50\nfloor_draws: 0\ntimeout_seconds: 0.2\n"
		"methods: [{ name: exact }, { name: pis, options: { iterations: 1000000, steps: 8 "
		"} }]\n"
		"targets: [{ name: gaussian }]\n");
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --no-report"), EXIT_CELLS);
	assert_true(output_has(f, "err",
		"stride: 1 of 2 cells did not end well; the first is pis on gaussian, seed 0: "
		"timeout"));
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --no-report"), EXIT_CELLS);
	assert_true(output_has(f, "out", "0 run now, 2 there before, 1 timeout"));
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --dry-run"), EXIT_DONE);
	assert_true(output_has(f, "out", "timeout"));
}

/* The standard Gaussian: log density, gradient -x, Hessian -1. */
static void logp_prints_density_gradient_and_hessian(void **state)
{
	const struct folder *f = *state;
	double v[5];

	write_file(f, "points.csv", "x1,x2\n1.5,-2\n0,0.25\n");
	write_file(f, "vectors.csv", "x1,x2\n3,4\n5,6\n");
	assert_int_equal(stride(f, "logp gaussian --grad --hvp %s/vectors.csv %s/points.csv"),
		EXIT_DONE);
	char *text = read_file(in_folder(f, "out"));
	assert_int_equal(sscanf(text, "logp,g1,g2,h1,h2\n%lf,%lf,%lf,%lf,%lf\n", v, v + 1, v + 2,
				 v + 3, v + 4),
		5);
	free(text);
	/* Two roundings of numbers of size 5. */
	assert_true(fabs(v[0] - (-log(2 * acos(-1.0)) - 0.5 * (1.5 * 1.5 + 4))) < 1e-14);
	assert_true(v[1] == -1.5 && v[2] == 2 && v[3] == -3 && v[4] == -4);
}

/* Seed and number say which: the first rows of more are the rows of fewer. */
static void draw_is_a_function_of_seed_and_row(void **state)
{
	const struct folder *f = *state;

	assert_int_equal(stride(f, "draw funnel -n 3"), EXIT_DONE);
	char *three = read_file(in_folder(f, "out"));
	assert_int_equal(stride(f, "draw funnel --number=5 --seed 0"), EXIT_DONE);
	char *five = read_file(in_folder(f, "out"));
	assert_int_equal(stride(f, "draw funnel -n5 --seed 1"), EXIT_DONE);
	char *other = read_file(in_folder(f, "out"));
	assert_memory_equal(three, "x1,x2,x3,", 9);
	assert_memory_equal(three, five, strlen(three));
	assert_string_not_equal(five, other);
	free(three);
	free(five);
	free(other);
}

static void everything_listed_can_be_shown(void **state)
{
	const struct folder *f = *state;
	char *text, *rest;

	assert_int_equal(stride(f, "list"), EXIT_DONE);
	text = rest = read_file(in_folder(f, "out"));
	size_t shown = 0;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char name[64], words[128];
		if (sscanf(line, "  %63s", name) != 1 || line[0] != ' ')
			continue;
		snprintf(words, sizeof(words), "show %s", name);
		assert_int_equal(stride(f, words), EXIT_DONE);
		assert_true(output_has(f, "out", name));
		shown++;
	}
	assert_true(shown > 10);
	free(text);
}

static void help_is_there_for_each_command(void **state)
{
	static const char *const commands[] = { "run", "report", "list", "show", "info", "logp",
		"draw" };
	const struct folder *f = *state;

	assert_int_equal(stride(f, "--help"), EXIT_DONE);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		assert_true(output_has(f, "out", commands[i]));
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		char words[64];
		snprintf(words, sizeof(words), "%s --help", commands[i]);
		assert_int_equal(stride(f, words), EXIT_DONE);
		snprintf(words, sizeof(words), "stride %s", commands[i]);
		assert_true(output_has(f, "out", words));
	}
	assert_int_equal(stride(f, "--version"), EXIT_DONE);
	assert_int_equal(stride(f, "info"), EXIT_DONE);
	assert_true(output_has(f, "out", "blas core"));
	assert_int_equal(stride(f, ""), EXIT_INPUT);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(bad_input_is_one_line_and_exit_2),
		IN_FOLDER(bad_data_files_are_told_with_their_line),
		IN_FOLDER(records_of_another_schema_are_refused),
		IN_FOLDER(two_runs_at_once_are_refused),
		IN_FOLDER(ctrl_c_keeps_what_is_done),
		IN_FOLDER(two_signals_kill),
		IN_FOLDER(a_run_makes_records_and_report),
		IN_FOLDER(gnuplot_may_be_missing),
		IN_FOLDER(cells_that_fail_give_exit_1),
		IN_FOLDER(logp_prints_density_gradient_and_hessian),
		IN_FOLDER(draw_is_a_function_of_seed_and_row),
		IN_FOLDER(everything_listed_can_be_shown),
		IN_FOLDER(help_is_there_for_each_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
