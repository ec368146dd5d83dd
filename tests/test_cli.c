#include "support.h"

#include "run/reference.h"
#include "stride.h"

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
		{ "rnu", "unknown command \"rnu\"; did you mean \"run\"?" },
		{ "zzzzzz", "unknown command \"zzzzzz\"; see stride --help" },
		{ "run", "takes CONFIG" },
		{ "run a b", "\"b\" is too much" },
		{ "run %s/none.yaml", "none.yaml: cannot be opened" },
		{ "run %s/grid.yaml --ouy x", "unknown option \"--ouy\"; did you mean \"--out\"?" },
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
		{ "run %s/grid.yaml --out %s/file", "not a folder; give another with --out" },
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
		{ "list method", "stride: list method: it takes methods, targets or metrics" },
		{ "list target", "stride: list target: it takes" },
		{ "show zzzzzzzzzz", "\"zzzzzzzzzz\"; see stride list" },
		{ "show funel",
			"stride: no method, target or metric \"funel\"; did you mean \"funnel\"?" },
		{ "info now", "\"now\" is too much" },
		{ "draw gaussian", "stride: how many? give -n N" },
		{ "draw gaussian -n x", "a whole number" },
		{ "draw gaussian -n 1 --seed 9223372036854775808", "below 2^63" },
		{ "draw gaussian -n 99999999999999999",
			"stride: -n 99999999999999999; it takes 1 to 100000000 in 2 dimensions" },
		{ "draw ionosphere -n 2", "no exact sampler" },
		{ "draw gaussian -n 2 --set dim", "--set dim: it takes TARGET.OPTION=VALUE" },
		{ "draw gaussian -n 2 --set =3", "it takes TARGET.OPTION=VALUE" },
		{ "draw gaussian -n 2 --set dim=3", "TARGET.OPTION=VALUE: --set gaussian.dim=3" },
		{ "draw gaussian -n 2 --set gaussian.dmi=3", "the nearest is \"dim\"" },
		{ "draw gaussian -n 2 --set gaussian.dim=x", "\"dim\" is \"x\"; it takes" },
		{ "logp funnel --set clip=2.5 %s/two.csv", "--set funnel.clip=2.5" },
		{ "logp funnel --set gmm9.clip=30 %s/two.csv",
			"--set gmm9.clip=30: the target is funnel: --set funnel.clip=30" },
		{ "logp gmm9 --set gmm9.clip=30 %s/two.csv", "has no option \"clip\"" },
		{ "logp ionosphere --set ionosphere.data=%s/word.csv %s/two.csv", "word.csv:" },
		{ "logp ionosphere --set ionosphere.data= %s/two.csv",
			"target ionosphere: option \"data\" is \"\"; it takes the name of a file" },
		{ "logp ionosphere --set ionosphere.data=- %s/two.csv",
			"target ionosphere: option \"data\" is \"-\"; it takes the name of a "
			"file" },
		{ "show gmm40_2d --set gmm40_2d.means=-", "option \"means\" is \"-\"" },
		{ "show image --set image.picture=-", "option \"picture\" is \"-\"" },
		{ "run %s/nofile.yaml",
			"nofile.yaml:3: target ionosphere: option \"data\" is \"\"" },
		{ "show funnel --set clip=30", "--set funnel.clip=30" },
		{ "show osds --set osds.iterations=3", "osds is a method" },
		{ "show elbo --set elbo.n=3", "elbo is a metric" },
		{ "plot-target funel", "did you mean \"funnel\"" },
		{ "plot-target", "takes TARGET" },
		{ "plot-target gaussian --set dim=1", "--set gaussian.dim=1" },
		{ "plot-target gaussian -n 20001", "stride: -n 20001; it takes 1 to 20000" },
		{ "plot-target gaussian --out %s/file", "the folder cannot be made" },
		{ "references funel --out %s/records", "did you mean \"funnel\"" },
		{ "references funnel --out %s/records", "target funnel needs no reference" },
		{ "references planar_robot --repeats 0", "--repeats 0: it takes a number from 1" },
		{ "references planar_robot --repeats 1001 --out %s/records",
			"--repeats 1001: it takes" },
		{ "references planar_robot --out %s/file", "not a folder" },
		{ "references planar_robot --out %s/file/records", "/file" },
		{ "logp funel %s/two.csv", "did you mean \"funnel\"" },
		{ "logp funnel %s/two.csv", "two.csv:2: 2 columns; target funnel takes 10" },
		{ "logp gaussian %s/none.csv", "none.csv: cannot be opened" },
		{ "logp gaussian %s/word.csv", "word.csv:3: field 2 is \"two\"" },
		{ "logp gaussian %s/short.csv", "short.csv:3: 1 field" },
		{ "logp gaussian --hvp %s/word.csv %s/two.csv", "word.csv:3:" },
		{ "logp gaussian --hvp - -",
			"--hvp -: the points come from standard input already" },
		{ "logp gaussian --hvp -", "give the name of a file for one of the two" },
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
	write_file(f, "nofile.yaml",
		"steps: [1]\nmethods: [{ name: smc }]\n"
		"targets: [{ name: ionosphere, options: { data: '' } }]\n");
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
	assert_true(output_has(f, "out", "0 % trained"));
	assert_true(output_has(f, "out", "1 to run: about "));
	assert_true(output_has(f, "out", "1 of them go on from checkpoints"));
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

/* Characters before a place of a line. */
static size_t column_of(const char *line, const char *place)
{
	size_t n = 0;

	for (; line < place; line++)
		n += ((unsigned char)*line & 0xc0) != 0x80;
	return n;
}

static void targets_are_listed_in_columns(void **state)
{
	const struct folder *f = *state;
	size_t i = 0;

	assert_int_equal(stride(f, "list targets"), EXIT_DONE);
	char *text = read_file(in_folder(f, "out")), *rest = text;
	char *head = strsep(&rest, "\n");
	const size_t sampler = column_of(head, strstr(head, "sampler"));
	assert_memory_equal(head, "id ", 3);
	assert_non_null(strstr(head, "log Z"));
	assert_non_null(strstr(head, "paper"));
	for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; i++) {
		char id[64];
		size_t dim;
		const char *said = strstr(line, targets[i]->draw != NULL ? "  yes " : "  no ");
		assert_int_equal(sscanf(line, "%63s %zu", id, &dim), 2);
		assert_string_equal(id, targets[i]->name);
		assert_true(dim >= 1);
		assert_non_null(said);
		assert_int_equal(column_of(line, said + 2), sampler);
		assert_in_range(column_of(line, line + strlen(line)), sampler, 110);
	}
	assert_null(targets[i]);
	assert_true(output_has(f, "out", "0 exact"));
	free(text);
}

/* At 0, in its dimension, and improper ones among them: a density needs no Z. */
static void every_target_listed_has_a_density(void **state)
{
	const struct folder *f = *state;
	size_t improper = 0;

	assert_int_equal(stride(f, "list targets"), EXIT_DONE);
	char *text = read_file(in_folder(f, "out")), *rest = text;
	strsep(&rest, "\n");
	for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
		char id[64], words[128];
		size_t dim, commas = 0;
		assert_int_equal(sscanf(line, "%63s %zu", id, &dim), 2);
		FILE *points = fopen(in_folder(f, "points.csv"), "w");
		for (size_t k = 0; k < dim; k++)
			fputs(k > 0 ? ",0" : "0", points);
		fputc('\n', points);
		fclose(points);
		snprintf(words, sizeof(words), "logp %s --grad %%s/points.csv", id);
		assert_int_equal(stride(f, words), EXIT_DONE);
		char *out = read_file(in_folder(f, "out"));
		assert_memory_equal(out, "logp,g1", 7);
		for (const char *c = out; *c != '\0'; c++)
			commas += *c == ',';
		assert_int_equal(commas, 2 * dim);
		free(out);
		if (strstr(line, "infinite") == NULL)
			continue;
		improper++;
		snprintf(words, sizeof(words), "show %s", id);
		assert_int_equal(stride(f, words), EXIT_DONE);
		assert_true(output_has(f, "out", "log Z          infinite (improper)\n"));
		assert_true(output_has(f, "out", "log Z source"));
	}
	assert_true(improper > 0);
	free(text);
}

static void show_has_what_is_known_of_a_target(void **state)
{
	static const struct {
		const char *words, *line;
	} cases[] = {
		{ "show funnel", "target funnel: Funnel\n" },
		{ "show funnel", "dimension      10\n" },
		{ "show funnel", "log Z          0 exact\n" },
		{ "show funnel", "exact sampler  yes\n" },
		{ "show funnel", "Hessian v      yes\n" },
		{ "show funnel", "proposal       " },
		{ "show funnel", "cdf            " },
		{ "show funnel", "modes          not defined\n" },
		{ "show funnel", "               x10                   0      9.487735836\n" },
		{ "show funnel", "plot window    x1 -10 to 5, x2 -5 to 5\n" },
		{ "show funnel", "  clip  0  " },
		{ "show funnel --set funnel.clip=30", "  clip  30  " },
		{ "show funnel --set funnel.clip=30",
			"x10                   0          unknown\n" },
		{ "show gaussian --set gaussian.dim=3", "dimension      3\n" },
		{ "show gaussian --set gaussian.dim=11", "(6 more: --all)\n" },
		{ "show gaussian --set gaussian.dim=11 --all", "               x11  " },
		{ "show gmm9", "modes          9\nmode weights   0.111111 0.111111" },
		{ "show gmm40_50d", "(35 more: --all)\n" },
		{ "show ionosphere", "ionosphere.csv (option data)\n" },
		{ "show ionosphere", "licence CC BY 4.0" },
		{ "show many_well_5", "quadrature, error" },
	};
	const struct folder *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(stride(f, cases[i].words), EXIT_DONE);
		assert_true(output_has(f, "out", cases[i].line));
	}
	assert_int_equal(stride(f, "show gmm40_50d --all"), EXIT_DONE);
	assert_false(output_has_quietly(f, "out", "more: --all"));
	for (size_t i = 0; targets[i] != NULL; i++) {
		char words[128], line[128];
		if (targets[i]->data == NULL)
			continue;
		snprintf(words, sizeof(words), "show %s", targets[i]->name);
		snprintf(line, sizeof(line), "%s\n", targets[i]->data);
		assert_int_equal(stride(f, words), EXIT_DONE);
		assert_true(output_has(f, "out", "\ndata file      /"));
		assert_true(output_has(f, "out", line));
		assert_true(output_has(f, "out", "SHA-256 of the lines below these"));
	}
	for (size_t i = 0; targets[i] != NULL; i++) {
		char words[128];
		if (targets[i]->note == NULL)
			continue;
		snprintf(words, sizeof(words), "show %s", targets[i]->name);
		assert_int_equal(stride(f, words), EXIT_DONE);
		snprintf(words, sizeof(words), "note           %.20s", targets[i]->note);
		assert_true(output_has(f, "out", words));
	}
}

/* Two runs of each of two ways, c - e and c + e: mean c, standard error e. */
static int make_record(void *context)
{
	static const struct {
		const char *way;
		double log_z, log_z_se, mean, mean_se, sd, sd_se;
	} ways[] = { { "smc", -10, 0.012, 1.99, 0.023, 0.53, 0.012 },
		{ "importance", -10.011, 0.0011, 2, 0.0011, 0.5, 0.012 } };
	struct arena *a = arena_new();
	struct density *d;

	if (density_new(&d, "planar_robot", NULL, 0, a) != OK)
		return 1;
	const size_t dim = density_dim(d);
	struct reference *r = reference_new(d, a);
	double *mean = arena_alloc(a, dim, sizeof(*mean)), *sd = arena_alloc(a, dim, sizeof(*sd));
	for (size_t i = 0; i < 4; i++) {
		const double sign = i % 2 == 0 ? -1 : 1;
		for (size_t k = 0; k < dim; k++) {
			mean[k] = ways[i / 2].mean + sign * ways[i / 2].mean_se;
			sd[k] = ways[i / 2].sd + sign * ways[i / 2].sd_se;
		}
		reference_add(r, ways[i / 2].way, "a way",
			ways[i / 2].log_z + sign * ways[i / 2].log_z_se, mean, sd, 1, a);
	}
	int code = reference_save(r, "planar_robot", context);
	arena_free(a);
	return code;
}

/* What is estimated has the digits of its error, and says by what. */
/* Sets the "key=value" of a note, if that is what it is about. */
static void try_setting(const struct method *m, const char *about)
{
	struct arena *a = arena_new();
	char *key = arena_strdup(a, about), *value = strchr(key, '=');

	if (value != NULL) {
		void *state = arena_alloc(a, 1, m->state_size);
		*value++ = '\0';
		option_defaults(m->options, state, a);
		assert_int_equal(option_set(m->options, state, m->name, key, value, a), OK);
	}
	arena_free(a);
}

static void show_says_what_published_code_does_wrong(void **state)
{
	static const struct {
		const char *words, *about, *text;
	} cases[] = {
		{ "show dis", "  published_sign=true     scds-paper-fb: ", "wrong sign" },
		{ "show dis", "  published_forward=true  ", "generation's mean" },
		{ "show dis", "  pass line               ", "exact only as" },
		{ "show pis", "  published_forward=true  ", "loses the exact" },
		{ "show dds", "  published_forward=true  ", "takes u before" },
		{ "show scds", "  control_clip=10         ", "by 1e4" },
		{ "show cdds", "  per_row=false           ", "one level for the whole batch" },
		{ "show cdds", "  teacher                 ", "teacher_iterations" },
		{ "show cmcd", "  score_clip=0            ", "overflows" },
	};
	const struct folder *f = *state;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(stride(f, cases[i].words), EXIT_DONE);
		assert_true(output_has(f, "out", cases[i].about));
		assert_true(output_has(f, "out", cases[i].text));
	}
	for (size_t i = 0; methods[i] != NULL; i++) {
		char words[128];
		snprintf(words, sizeof(words), "show %s", methods[i]->name);
		assert_int_equal(stride(f, words), EXIT_DONE);
		assert_int_equal(output_has_quietly(f, "out", "\nnotes\n"),
			methods[i]->notes != NULL);
		for (const struct note *note = methods[i]->notes; note != NULL && note->text;
			note++, n++) {
			snprintf(words, sizeof(words), "  %-24s%.20s", note->about, note->text);
			assert_true(output_has(f, "out", words));
			try_setting(methods[i], note->about);
		}
	}
	assert_true(n > sizeof(cases) / sizeof(*cases));
}

static void show_tells_estimates_from_exact_numbers(void **state)
{
	static const char *const lines[] = {
		"\nlog Z          -10.0109 ± 0.0011 estimate\n",
		"\nlog Z ways     smc: -10.000 ± 0.012, 2 runs\n"
		"               importance: -10.0110 ± 0.0011, 2 runs\n"
		"               0.9 joint standard errors apart\n",
		"\nmoments        estimated, ways together: ",
		"\n               x1             2.0000 ± 0.0011           0.515 ± 0.015\n",
	};
	const struct folder *f = *state;

	assert_int_equal(run_child(f, make_record, (void *)in_folder(f, "planar_robot.json")), 0);
	setenv("STRIDE_REFERENCES", f->path, 1);
	int code = stride(f, "show planar_robot");
	unsetenv("STRIDE_REFERENCES");
	assert_int_equal(code, EXIT_DONE);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_true(output_has(f, "out", lines[i]));
	setenv("STRIDE_REFERENCES", "/nonexistent", 1);
	code = stride(f, "show planar_robot");
	unsetenv("STRIDE_REFERENCES");
	assert_int_equal(code, EXIT_DONE);
	assert_true(output_has(f, "out", "log Z          unknown\n"));
	assert_true(output_has(f, "out", "moments        unknown\n"));
	assert_false(output_has_quietly(f, "out", "log Z ways"));
}

/* The options reach the density: a Gaussian of standard deviation 2 in three dimensions. */
static void sets_change_the_density(void **state)
{
	const struct folder *f = *state;
	double v;

	write_file(f, "points.csv", "2,-2,4\n");
	assert_int_equal(
		stride(f, "logp gaussian --set gaussian.std=2 --set gaussian.dim=3 %s/points.csv"),
		EXIT_DONE);
	char *text = read_file(in_folder(f, "out"));
	assert_int_equal(sscanf(text, "logp\n%lf\n", &v), 1);
	free(text);
	/* A few roundings of numbers of size 10. */
	assert_true(fabs(v - (-3 - 3 * log(2) - 1.5 * log(2 * acos(-1.0)))) < 1e-14);
}

static void plot_target_draws_three_files(void **state)
{
	static const struct {
		const char *words, *name, *caption;
	} cases[] = {
		{ "plot-target gaussian --set gaussian.dim=1", "target-gaussian", "Bars: 10000" },
		{ "plot-target gmm9 -n 50 --seed 3", "target-gmm9", "Points: 50 exact samples" },
		{ "plot-target many_well_5 -n 50", "target-many_well_5", "kernel estimate" },
		{ "plot-target ionosphere", "target-ionosphere", "No exact sampler is known." },
	};
	static const char *const endings[] = { "svg", "pdf", "png" };
	const struct folder *f = *state;

	if (system("gnuplot --version > /dev/null 2>&1") != 0)
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char words[128], path[128];
		snprintf(words, sizeof(words), "%s --out %%s/a/b", cases[i].words);
		assert_int_equal(stride(f, words), EXIT_DONE);
		char *said = read_file(in_folder(f, "err"));
		assert_string_equal(said, ""); /* gnuplot has nothing to say */
		free(said);
		for (size_t k = 0; k < 3; k++) {
			snprintf(path, sizeof(path), "a/b/%s.%s", cases[i].name, endings[k]);
			assert_true(output_has(f, "out", path));
			assert_true(exists(in_folder(f, path)));
		}
		snprintf(path, sizeof(path), "a/b/data/%s.par", cases[i].name);
		assert_true(output_has(f, path, cases[i].caption));
		assert_true(output_has(f, path, "-D. log Z "));
	}
}

static void plot_target_needs_gnuplot(void **state)
{
	const struct folder *f = *state;
	char *path = strdup(getenv("PATH"));

	setenv("PATH", f->path, 1);
	int code = stride(f, "plot-target gmm9 --out %s/plots");
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(code, EXIT_INPUT);
	assert_true(error_is_one_line(f));
	assert_true(output_has(f, "err", "apt install gnuplot-nox"));
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
		"draw", "plot-target", "references" };
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
		IN_FOLDER(targets_are_listed_in_columns),
		IN_FOLDER(every_target_listed_has_a_density),
		IN_FOLDER(show_has_what_is_known_of_a_target),
		IN_FOLDER(show_says_what_published_code_does_wrong),
		IN_FOLDER(show_tells_estimates_from_exact_numbers),
		IN_FOLDER(sets_change_the_density),
		IN_FOLDER(plot_target_draws_three_files),
		IN_FOLDER(plot_target_needs_gnuplot),
		IN_FOLDER(everything_listed_can_be_shown),
		IN_FOLDER(help_is_there_for_each_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
