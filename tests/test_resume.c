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
	assert_true(same_results(f, "undisturbed", "killed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_runs_resume_to_the_same_records,
			folder_setup, folder_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
