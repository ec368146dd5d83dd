#include "support.h"

#include "run/clock.h"

#include <sys/time.h>
#include <time.h>

/* kill -9 at a random moment, ten times, then resume: the records equal those of an undisturbed
 * run. The grid is the smoke grid's kind, each method and several targets, cut to seconds. */

enum { KILLS = 10 };

static size_t count_files(const struct folder *f, const char *name, const char *ending)
{
	char command[PATH_LENGTH];
	size_t n = 0;

	snprintf(command, sizeof(command), "ls -A %s 2>/dev/null | grep -c '%s$'",
		in_folder(f, name), ending);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%zu", &n), 1);
	pclose(p);
	return n;
}

#define GRID                                                                         \
	"configs/smoke.yaml --jobs 2 --no-report --set samples=100 --set seeds=0,1 " \
	"--set checkpoint_seconds=0 "                                                \
	"--only :funnel --only :gmm40_2d --only :gmm9 --only :many_well_5 --only :ionosphere"

static void killed_runs_resume_to_the_same_records(void **state)
{
	const struct folder *f = *state;
	size_t before = 0, progressed = 0;
	double start = clock_seconds();

	assert_int_equal(stride(f, "run " GRID " --out %s/undisturbed"), EXIT_DONE);
	double whole = clock_seconds() - start;

	/* The moments differ from run to run: the test must hold for any. */
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u, whole run %.1f s\n", seed, whole);
	for (int i = 0; i < KILLS || (progressed < 2 && i < 10 * KILLS); i++) {
		/* Up to a fifth of the whole each time, more when that is too short on a busy
		 * machine: some kills find the grid half done. */
		double wait = 0.2 * whole * (1 + i / KILLS) * rand_r(&seed) / RAND_MAX;
		pid_t child = start_stride(f, "run " GRID " --out %s/killed");
		usleep((useconds_t)(1e6 * wait));
		kill(child, SIGKILL);
		wait_child(child);
		size_t now = count_files(f, "killed/cells", ".json");
		progressed += now > before;
		before = now;
	}
	assert_true(progressed > 1);
	assert_int_equal(stride(f, "run " GRID " --out %s/killed"), EXIT_DONE);
	assert_int_equal(count_files(f, "killed/cells", ".partial"), 0);
	assert_int_equal(count_files(f, "killed/floors", ".partial"), 0);
	assert_int_equal(count_files(f, "killed/checkpoints", ".partial"), 0);
	assert_true(same_results(f, "undisturbed", "killed"));
}

#define TRAINING                                                                        \
	"configs/smoke.yaml --jobs 2 --no-report --set samples=100 --only osds:funnel " \
	"--set osds.iterations=200 --set checkpoint_seconds=0.01 "

/* kill -9 in the middle of a training, until three runs have had a part in it. */
static void a_killed_training_goes_on(void **state)
{
	const struct folder *f = *state;
	int parts = 0;

	assert_int_equal(stride(f, "run " TRAINING "--out %s/undisturbed"), EXIT_DONE);
	while (parts < 3 && count_files(f, "killed/cells", ".json") == 0) {
		char before[PATH_LENGTH] = "";
		pid_t child = start_stride(f, "run " TRAINING "--out %s/killed");
		/* Two checkpoints of this run: each is another file. */
		for (int seen = 0; seen < 3 && count_files(f, "killed/cells", ".json") == 0;) {
			char now[PATH_LENGTH] = "", command[PATH_LENGTH];
			snprintf(command, sizeof(command), "ls -i %s 2>/dev/null | grep 'ckpt$'",
				in_folder(f, "killed/checkpoints"));
			FILE *p = popen(command, "r");
			if (fgets(now, sizeof(now), p) != NULL && strcmp(now, before) != 0) {
				seen++;
				strcpy(before, now);
			}
			pclose(p);
		}
		kill(child, SIGKILL);
		wait_child(child);
		parts++;
	}
	assert_int_equal(parts, 3);
	assert_int_equal(stride(f, "run " TRAINING "--out %s/killed"), EXIT_DONE);
	assert_true(output_has(f, "out", "1 went on from a checkpoint"));
	assert_true(same_results(f, "undisturbed", "killed"));
}

/* Ctrl-C loses nothing, however rarely checkpoints are written. */
static void an_interrupted_training_goes_on(void **state)
{
	const struct folder *f = *state;

	assert_int_equal(stride(f, "run " TRAINING "--out %s/undisturbed"), EXIT_DONE);
	write_file(f, "err", "");
	pid_t child =
		start_stride(f, "run " TRAINING "--set checkpoint_seconds=1000 --out %s/stopped");
	while (!output_has_quietly(f, "err", "start osds"))
		usleep(1000);
	usleep(50000);
	kill(child, SIGINT);
	assert_int_equal(wait_child(child), EXIT_INTERRUPTED);
	assert_int_equal(count_files(f, "stopped/checkpoints", ".ckpt"), 1);
	assert_int_equal(stride(f, "run " TRAINING "--out %s/stopped"), EXIT_DONE);
	assert_true(output_has(f, "out", "1 went on from a checkpoint"));
	assert_true(same_results(f, "undisturbed", "stopped"));

	/* Other samples: the training is there. */
	assert_int_equal(stride(f, "run " TRAINING "--set samples=120 --out %s/stopped"),
		EXIT_DONE);
	assert_true(output_has(f, "out", "0 went on from a checkpoint, 1 had been trained"));
}

/* Clips that a schedule has loosened are loose for a run that finds the training complete, too. */
#define LOOSENED                                                                  \
	"configs/smoke.yaml --jobs 1 --no-report --set floor_draws=0 "            \
	"--only dis:funnel --set dis.preset=scds-paper --set dis.iterations=201 " \
	"--set dis.batch=8 --set dis.steps=2 --set dis.control_clip=0.01 --set steps=2 "

static void clips_of_a_complete_training_are_its_last(void **state)
{
	const struct folder *f = *state;
	char command[PATH_LENGTH];

	assert_int_equal(stride(f, "run " LOOSENED "--set samples=120 --out %s/once"), EXIT_DONE);
	assert_int_equal(stride(f, "run " LOOSENED "--set samples=100 --out %s/again"), EXIT_DONE);
	snprintf(command, sizeof(command), "rm -r %s", in_folder(f, "again/cells"));
	assert_int_equal(system(command), 0);
	assert_int_equal(stride(f, "run " LOOSENED "--set samples=120 --out %s/again"), EXIT_DONE);
	assert_true(output_has(f, "out", "1 had been trained"));
	assert_true(same_results(f, "once", "again"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_runs_resume_to_the_same_records,
			folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(a_killed_training_goes_on, folder_setup,
			folder_teardown),
		cmocka_unit_test_setup_teardown(an_interrupted_training_goes_on, folder_setup,
			folder_teardown),
		cmocka_unit_test_setup_teardown(clips_of_a_complete_training_are_its_last,
			folder_setup, folder_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
