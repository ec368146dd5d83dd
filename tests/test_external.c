/* The method `external`: samples that files hold or commands write, in a grid. Commands are of sh and awk;
 * the example with NumPy runs where there is NumPy. */
#include "support.h"

#include "run/external.h"

#include <jansson.h>

/* A grid in FOLDER/grid.yaml with these options of external; %s in them is the folder. */
static void write_grid(const struct folder *f, const char *keys, const char *options)
{
	char text[4096] = "";
	size_t used = (size_t)snprintf(text, sizeof(text),
		"seeds: [0]\nsteps: [2, 3]\nsamples: 4\nfloor_draws: 0\nmetrics: [mmd_u, ess_rev, "
		"elbo]\ntargets: [{ name: gaussian }]\n%smethods:\n  - name: external\n    "
		"options:\n",
		keys);

	for (const char *s = options; *s != '\0'; s++) {
		if (s[0] == '%' && s[1] == 's') {
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", f->path);
			s++;
		} else {
			text[used++] = *s;
			text[used] = '\0';
		}
	}
	write_file(f, "grid.yaml", text);
}

static int run_grid(const struct folder *f)
{
	return stride(f, "run %s/grid.yaml --out %s/results --no-report");
}

/* Is this in a record of a cell? All of them are gathered in FOLDER/records. */
static bool records_have(const struct folder *f, const char *what)
{
	char command[PATH_LENGTH];

	snprintf(command, sizeof(command), "cat %s/results/cells/*.json >%s/records", f->path,
		f->path);
	assert_int_equal(system(command), 0);
	return output_has(f, "records", what);
}

static void files_are_read_and_their_contents_are_in_the_key(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "", "      samples: \"%s/{target}-{n}-{dim}-{steps}-{seed}-{repeat}.csv\"\n");
	write_file(f, "gaussian-4-2-2-0-0.csv", "1,2\n3,4.5\n-1,0\n0,1\n");
	write_file(f, "gaussian-4-2-3-0-0.csv", "x,y\n1,2\n3,4\n-1,0.25\n0,1\n");
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(output_has(f, "out", "1 run now, 0 there before"));
	assert_true(records_have(f, "\"mmd_u\""));
	assert_true(records_have(f, "\"target_evaluations\": null"));
	assert_true(records_have(f, "\"train_network_evaluations\": null"));
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(output_has(f, "out", "0 run now, 1 there before"));
	write_file(f, "gaussian-4-2-3-0-0.csv", "1,2\n3,4\n-1,0.5\n0,1\n");
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(output_has(f, "out", "1 run now, 0 there before"));
}

/* FOLDER/NAME as JSON, the caller's. */
static json_t *json_in(const struct folder *f, const char *name)
{
	json_error_t e;
	json_t *document = json_load_file(in_folder(f, name), 0, &e);

	if (document == NULL)
		fail_msg("%s: %s", name, e.text);
	return document;
}

/* The same file by stride compare and by a cell: the same numbers to the bit, floors too. */
static void a_cell_scores_as_compare_does(void **state)
{
	static const char ids[] = "energy,mmd_u,sliced_w2,w2,c2st,ksd,moments,sinkhorn";
	const struct folder *f = *state;
	char text[1024];
	FILE *file = fopen(in_folder(f, "x.csv"), "w");

	for (size_t i = 0; i < 40; i++)
		fprintf(file, "%.17g,%.17g\n", 1.3 * sin((double)(i * i)) + 0.4,
			cos(3.7 * (double)i));
	assert_int_equal(fclose(file), 0);
	snprintf(text, sizeof(text),
		"seeds: [0]\nsteps: [1]\nsamples: 40\nfloor_draws: 3\nmetrics: [%s]\n"
		"targets: [{ name: gaussian, options: { std: 1.5 } }]\nmethods:\n"
		"  - { name: external, options: { samples: %s/x.csv, step_axis: false } }\n",
		ids, f->path);
	write_file(f, "grid.yaml", text);
	assert_int_equal(run_grid(f), EXIT_DONE);
	snprintf(text, sizeof(text),
		"compare %%s/x.csv --target gaussian --set gaussian.std=1.5 --no-cache "
		"--floor-draws 3 --json --metrics %s",
		ids);
	assert_int_equal(stride(f, text), EXIT_DONE);
	json_t *compared = json_in(f, "out");
	assert_true(records_have(f, "\"results\""));
	json_t *cell = json_in(f, "records");
	snprintf(text, sizeof(text), "cat %s/results/floors/*.json >%s/floor", f->path, f->path);
	assert_int_equal(system(text), 0);
	json_t *floor = json_in(f, "floor");
	const json_t *scores =
		json_object_get(json_array_get(json_object_get(cell, "results"), 0), "metrics");
	const json_t *of_compare = json_object_get(compared, "metrics");
	const char *id;
	json_t *one;
	assert_int_equal(json_object_size(of_compare), 8);
	json_object_foreach((json_t *)of_compare, id, one)
	{
		const json_t *other = json_object_get(scores, id);
		const json_t *exact = json_object_get(json_object_get(floor, "metrics"), id);
		if (!json_equal(json_object_get(one, "value"), json_object_get(other, "value")) ||
			!json_equal(json_object_get(one, "se"), json_object_get(other, "se")) ||
			!json_equal(json_object_get(one, "floor"),
				json_object_get(exact, "mean")) ||
			!json_equal(json_object_get(one, "floor_q95"),
				json_object_get(exact, "q95")))
			fail_msg("%s", id);
	}
	json_decref(compared);
	json_decref(cell);
	json_decref(floor);
}

/* The mean of these log weights is -2.5, that of minus the costs -5. */
static void weights_come_from_files(void **state)
{
	const struct folder *f = *state;

	write_file(f, "x.csv", "1,2\n3,4.5\n-1,0\n0,1\n");
	write_file(f, "w.csv", "-1\n-2\n-3\n-4\n");
	write_file(f, "costs.csv", "terminal,running,stochastic\n1,2,-1\n2,2,0\n2,2,2\n6,4,-2\n");
	write_grid(f, "",
		"      samples: \"%s/x.csv\"\n      step_axis: false\n"
		"      weights: biased\n      log_w: \"%s/w.csv\"\n");
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(records_have(f, "\"value\": -2.5,"));
	assert_true(records_have(f, "\"weights\": \"biased\""));
	assert_false(output_has_quietly(f, "records", "\"steps\": 3"));
	write_grid(f, "",
		"      samples: \"%s/x.csv\"\n      step_axis: false\n"
		"      weights: exact\n      log_w: \"%s/costs.csv\"\n");
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(records_have(f, "\"weights\": \"exact\""));
	assert_true(records_have(f, "\"value\": -5.0,"));
}

/* Placeholders and environment say the same; what the command prints is in nobody's way. */
static void commands_get_what_is_asked_for(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "repeats: 2\n",
		"      weights: exact\n      command: |\n"
		"        echo \"{target} {n} {dim} {steps} {seed} {repeat} {script} {a} {out}\" "
		">>%s/said\n"
		"        echo \"$STRIDE_TARGET $STRIDE_N $STRIDE_DIM $STRIDE_STEPS $STRIDE_SEED"
		" $STRIDE_REPEAT $STRIDE_SCRIPT {a} $STRIDE_OUT\" >>%s/heard\n"
		"        echo noise; echo noise >&2\n"
		"        printf '1,2\\n3,4\\n5,{steps}\\n7,{repeat}\\n' >{out}/samples.csv\n"
		"        printf 'log_w\\n-1\\n-1\\n0\\n-inf\\n' >$STRIDE_OUT/log_w.csv\n"
		"      script: %s/tool\n");
	write_file(f, "tool", "version 1\n");
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(same_file(in_folder(f, "said"), in_folder(f, "heard")));
	char *said = read_file(in_folder(f, "said"));
	assert_non_null(strstr(said, "gaussian 4 2 2 0 0 "));
	assert_non_null(strstr(said, "gaussian 4 2 3 0 1 "));
	assert_non_null(strstr(said, "/tool {a} "));
	/* Its folder is gone: the last word of the first line. */
	said[strcspn(said, "\n")] = '\0';
	assert_false(exists(strrchr(said, ' ') + 1));
	free(said);
	assert_false(output_has_quietly(f, "out", "noise"));
	assert_true(records_have(f, "\"elbo\""));
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(output_has(f, "out", "0 run now"));
	write_file(f, "tool", "version 2\n");
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(output_has(f, "out", "1 run now"));
}

#define PRINT "printf '1,2\\n3,4\\n5,6\\n7,8\\n' >{out}/samples.csv"
#define COMMAND(text) "      command: |\n        " text "\n"

/* What goes wrong is a state of the cell, whose message says what and what would be right. */
static void failures_are_told(void **state)
{
	static const struct {
		const char *options, *message;
	} cases[] = {
		{ COMMAND("echo first; echo the  reason >&2; exit 3"),
			"ended with exit status 3: first the reason" },
		{ COMMAND("exit 4"), "exit status 4, and printed nothing" },
		{ COMMAND("printf 'caf\\351' >&2; exit 5"), "exit status 5: caf" },
		{ COMMAND("kill -9 $$"), "was killed by signal 9" },
		{ COMMAND("no_such_program_anywhere"), "exit status 127: " },
		{ COMMAND("true"), "neither samples.npy nor samples.csv" },
		{ COMMAND(PRINT "; cp {out}/samples.csv {out}/samples.npy"),
			"both samples.npy and samples.csv" },
		{ COMMAND("echo 1,2 >{out}/samples.csv"),
			"1 rows of 2 columns; 4 samples in 2 dimensions are expected" },
		{ COMMAND("printf '1\\n2\\n3\\n4\\n' >{out}/samples.csv"), "4 rows of 1 columns" },
		{ COMMAND("echo nonsense >{out}/samples.npy"), "does not begin as a .npy file" },
		{ COMMAND("printf '1,2\\n3,x\\n' >{out}/samples.csv"), "samples.csv:2: field 2" },
		{ COMMAND(PRINT) "      weights: exact\n", "neither log_w.npy nor log_w.csv" },
		{ COMMAND(PRINT "; echo 1 >{out}/log_w.csv") "      weights: exact\n",
			"1 rows; 4 are expected, one a sample" },
		{ "      samples: \"%s/nowhere.csv\"\n      step_axis: false\n",
			"nowhere.csv: cannot be opened" },
	};
	const struct folder *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_grid(f, "", cases[i].options);
		assert_int_equal(run_grid(f), EXIT_CELLS);
		if (!output_has(f, "err", cases[i].message))
			fail_msg("case %zu", i);
	}
	assert_true(records_have(f, "exit status 5: caf?")); /* a byte that is no UTF-8 */
}

static void samples_that_are_not_finite_are_counted(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "", COMMAND("printf '1,2\\nnan,4\\n5,6\\n7,-inf\\n' >{out}/samples.csv"));
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(records_have(f, "2 of 4 samples are not finite"));
	assert_true(records_have(f, "\"nonfinite\": 2"));
}

static void options_are_checked_before_anything_runs(void **state)
{
	static const struct {
		const char *keys, *options, *error;
		int code;
	} cases[] = {
		{ "", "      label: empty\n", "neither samples nor command is set", EXIT_INPUT },
		{ "", "      samples: x.csv\n" COMMAND("true"), "both samples and command",
			EXIT_INPUT },
		{ "", "      samples: x.csv\n", "put {steps} into it", EXIT_INPUT },
		{ "", "      samples: x{steps}.csv\n      weights: exact\n",
			"log_w names their file", EXIT_INPUT },
		{ "", "      samples: x{steps}.csv\n      log_w: w.csv\n",
			"weights says what they are", EXIT_INPUT },
		{ "", COMMAND("true") "      log_w: w.csv\n", "log_w is set without samples",
			EXIT_INPUT },
		{ "", COMMAND("true") "  - name: external\n    options:\n" COMMAND("true"),
			"stands twice", EXIT_INPUT },
		{ "",
			COMMAND("true") "  - name: external\n    options:\n      step_axis: "
					"yes\n" COMMAND("true"),
			"stands twice", EXIT_INPUT },
		{ "seeds: [0, 5]\n", "", "stands here twice", EXIT_INPUT },
		{ "repeats: 2\n", "      samples: \"%s/x{steps}.csv\"\n", "put {repeat} into it",
			EXIT_CELLS },
	};
	const struct folder *f = *state;

	write_file(f, "x2.csv", "1,2\n3,4.5\n-1,0\n0,1\n");
	write_file(f, "x3.csv", "1,2\n3,4.5\n-1,0\n0,1\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_grid(f, cases[i].keys, cases[i].options);
		int code = run_grid(f);
		if (code != cases[i].code || !output_has(f, "err", cases[i].error))
			fail_msg("case %zu: exit code %d", i, code);
	}
	write_grid(f, "", "      samples: \"%s/x{steps}.csv\"\n");
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results --no-report --set seeds=3"),
		EXIT_CELLS);
	assert_true(output_has(f, "err", "put {seed} into it"));
}

/* The command's child would leave a file, had it not been ended with its parent. */
static void a_timeout_ends_all_that_the_command_started(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "timeout_seconds: 0.3\n",
		COMMAND("(sleep 2; touch %s/survived) & touch %s/started; sleep 60"));
	assert_int_equal(run_grid(f), EXIT_CELLS);
	assert_true(exists(in_folder(f, "started")));
	assert_true(records_have(f, "\"state\": \"timeout\""));
	assert_true(records_have(f, "not done after 0.3 s"));
	sleep(3);
	assert_false(exists(in_folder(f, "survived")));
}

/* What it left behind in the background ends with it, and nobody waits for that. */
static void what_is_left_behind_is_ended(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "timeout_seconds: 20\n",
		COMMAND("(sleep 2; touch %s/survived; sleep 60) & " PRINT));
	assert_int_equal(run_grid(f), EXIT_DONE);
	sleep(3);
	assert_false(exists(in_folder(f, "survived")));
}

static void an_interruption_ends_the_command(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "", COMMAND("echo $$ >%s/pid.new; mv %s/pid.new %s/pid; sleep 60"));
	pid_t child = start_stride(f, "run %s/grid.yaml --out %s/results --no-report");
	while (!exists(in_folder(f, "pid")))
		usleep(10000);
	kill(child, SIGINT);
	assert_int_equal(wait_child(child), EXIT_INTERRUPTED);
	char *pid = read_file(in_folder(f, "pid"));
	assert_int_equal(kill((pid_t)atoi(pid), 0), -1);
	free(pid);
	/* Nothing is on record, and the next run begins it anew. */
	write_grid(f, "", COMMAND(PRINT));
	assert_int_equal(run_grid(f), EXIT_DONE);
	assert_true(output_has(f, "out", "1 run now"));
}

/* Whatever ends stride ends the command and its children. */
static void a_killed_run_leaves_nothing(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "",
		COMMAND("sleep 60 & echo $! >%s/pid.new; mv %s/pid.new %s/pid; sleep 60"));
	pid_t child = start_stride(f, "run %s/grid.yaml --out %s/results --no-report");
	while (!exists(in_folder(f, "pid")))
		usleep(10000);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	char *pid = read_file(in_folder(f, "pid"));
	char command[PATH_LENGTH];
	/* Ended, or a zombie that nobody has reaped; ten seconds for it. */
	snprintf(command, sizeof(command),
		"for i in $(seq 100); do grep -q '^State:.[^ZX]' /proc/%d/status 2>/dev/null || "
		"exit 0; sleep 0.1; done; exit 1",
		atoi(pid));
	assert_int_equal(system(command), 0);
	free(pid);
}

static void labels_tell_several_apart(void **state)
{
	const struct folder *f = *state;

	write_grid(f, "",
		"      label: one program\n" COMMAND(PRINT) "  - name: external\n    options:\n"
							    "      label: another\n" COMMAND(
								    PRINT));
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/results"), EXIT_DONE);
	assert_true(output_has(f, "out", "one program (samples)"));
	assert_true(output_has(f, "out", "another (samples)"));
	assert_true(output_has(f, "err", "one program on gaussian, seed 0"));
	assert_false(output_has_quietly(f, "out", "command="));
}

static void placeholders(void **state)
{
	const struct external_call call = { .target = "funnel",
		.n = 7,
		.dim = 3,
		.steps = 16,
		.seed = 18446744073709551615u,
		.repeat = 2 };
	struct arena *a = arena_new();

	(void)state;
	assert_string_equal(external_expand("{target}/{n}x{dim}-{steps}.{repeat}", &call, a),
		"funnel/7x3-16.2");
	assert_string_equal(external_expand("{seed}{", &call, a), "18446744073709551615{");
	/* What is no placeholder, or has no value here, stays. */
	assert_string_equal(external_expand("${N} {out} {} {{n}} {nn} {print}", &call, a),
		"${N} {out} {} {7} {nn} {print}");
	assert_string_equal(external_expand("", &call, a), "");
	arena_free(a);
}

/* The example of the documentation, where there is NumPy. */
static void the_example_runs(void **state)
{
	const struct folder *f = *state;

	if (system("python3 -c 'import numpy' 2>/dev/null") != 0) {
		print_message("skipped: no python3 with numpy here\n");
		skip();
	}
	assert_int_equal(stride(f, "run configs/external.yaml --out %s/results --set "
				   "samples=100 --set floor_draws=2"),
		EXIT_DONE);
	assert_true(output_has(f, "out", "Langevin (NumPy) (samples)"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		TEST(files_are_read_and_their_contents_are_in_the_key),
		TEST(a_cell_scores_as_compare_does),
		TEST(weights_come_from_files),
		TEST(commands_get_what_is_asked_for),
		TEST(failures_are_told),
		TEST(samples_that_are_not_finite_are_counted),
		TEST(options_are_checked_before_anything_runs),
		TEST(a_timeout_ends_all_that_the_command_started),
		TEST(what_is_left_behind_is_ended),
		TEST(an_interruption_ends_the_command),
		TEST(a_killed_run_leaves_nothing),
		TEST(labels_tell_several_apart),
		TEST(placeholders),
		TEST(the_example_runs),
	};

	return cmocka_run_group_tests_name("external", tests, NULL, NULL);
}
