/* Parareal sampling: against the flow one step after another, the recurrence written out here, and a
 * linear flow whose rounds are known; evaluations; stopping. */
#include "methods.h"
#include "run/reports.h"

#include <cblas.h>

/* 16 steps in 4 blocks; a row more than two of the engine's chunks have. */
enum { N = 129, STEPS = 16, BLOCKS = 4, LENGTH = STEPS / BLOCKS };

#define SHORT "iterations=60,batch=128,steps=16"
static const char *const flows[] = { "osds", "scds", "dis" };
enum { FLOWS = sizeof(flows) / sizeof(flows[0]) };

static struct trial *start(const char *flow, const char *target, const char *more)
{
	char settings[128];

	snprintf(settings, sizeof(settings), SHORT ",flow=%s%s%s", flow, *more != '\0' ? "," : "",
		more);
	return trial_start("srds", target, "", settings, 11);
}

/* The flow that the trial has, trained alike. */
static struct trained flow_of(struct trial *t, const char *flow)
{
	const struct setting settings[] = { { "iterations", "60" }, { "batch", "128" },
		{ "steps", "16" } };
	struct trained out;

	assert_int_equal(cell_trained(&t->cell, flow, settings, 3, &out), OK);
	return out;
}

static struct draws *draw(struct trial *t, size_t steps)
{
	struct draws *d = draws_new(t, N, false);

	assert_int_equal(t->method->sample(t->state, &t->cell, t->method->passes, steps, 3, d), OK);
	return d;
}

/* The flow's own samples. */
static const double *serial(struct trial *t, const char *flow, size_t steps)
{
	struct trained f = flow_of(t, flow);
	const struct trial own = { .method = f.method, .state = f.state };
	struct draws *d = draws_new(t, N, strcmp(flow, "dis") != 0);

	assert_int_equal(f.method->sample(f.state, &t->cell, trial_pass(&own, "ode"), steps, 3, d),
		OK);
	return d->x;
}

static double reported(const struct reports *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->of[i].name, name) == 0)
			return r->of[i].value;
	fail_msg("\"%s\" is not reported", name);
	return 0;
}

static double largest_gap(const double *a, const double *b, size_t n)
{
	double largest = 0;

	for (size_t i = 0; i < n; i++)
		if (!(fabs(a[i] - b[i]) <= largest))
			largest = fabs(a[i] - b[i]);
	return largest;
}

/* --- as many rounds as blocks ------------------------------------------------------------------ */

/* The same bits as the flow one step after another, for every flow and number of blocks. */
static void check_serial(const char *flow, const char *blocks)
{
	char more[64];
	snprintf(more, sizeof(more), "tol=0,blocks=%s", blocks);
	struct trial *t = start(flow, "gmm40_2d", more);
	const double *want = serial(t, flow, STEPS);
	const struct draws *d = draw(t, STEPS);

	for (size_t j = 0; j < N * 2; j++)
		if (memcmp(&d->x[j], &want[j], sizeof(double)) != 0)
			fail_msg("%s, %s blocks: x[%zu] is %.9g, of the flow %.9g", flow, blocks, j,
				d->x[j], want[j]);
	trial_free(t);
}

static void test_all_rounds_are_the_flow(void **state)
{
	static const char *const blocks[] = { "1", "2", "4", "8", "16" };

	(void)state;
	for (size_t i = 0; i < FLOWS; i++)
		for (size_t j = 0; j < sizeof(blocks) / sizeof(blocks[0]); j++)
			check_serial(flows[i], blocks[j]);
}

/* --- the recurrence ---------------------------------------------------------------------------- */

/* n of k steps from step `first` on; from NULL: the prior, which goes to x0. */
static void run(struct trial *t, struct trained f, size_t k, size_t first, size_t n,
	const double *from, double *x0, double *to)
{
	const struct binding in = { "start", NULL, from };
	const struct capture out[] = { { "end", to, NULL, NULL }, { "start", x0, NULL, NULL } };
	struct graph_args args = { .rows = N,
		.seed = t->cell.seed,
		.epoch = 3,
		.inputs = &in,
		.n_inputs = from != NULL,
		.captures = out,
		.n_captures = x0 != NULL ? 2 : 1 };
	struct graph *g =
		f.method->flow(f.state, &t->cell, k, first, n, &args.params[0], t->cell.arena);

	graph_forward(g, &args);
}

/* x_P after `rounds` rounds of eq. 2 as it stands: every block in every round, nothing left out. */
static void by_hand(struct trial *t, struct trained f, size_t rounds, double *out)
{
	size_t size = N * t->cell.dim;
	double *x[2][BLOCKS + 1], *fine = ARENA_NEW(t->cell.arena, 3 * size, double);
	double *before = fine + size, *now = before + size;

	for (size_t p = 0; p <= BLOCKS; p++) {
		x[0][p] = ARENA_NEW(t->cell.arena, size, double);
		x[1][p] = ARENA_NEW(t->cell.arena, size, double);
	}
	for (size_t p = 0; p < BLOCKS; p++)
		run(t, f, BLOCKS, p, 1, p > 0 ? x[0][p] : NULL, p == 0 ? x[0][0] : NULL,
			x[0][p + 1]);
	for (size_t r = 1; r <= rounds; r++) {
		double **old = x[(r - 1) % 2], **new = x[r % 2];
		memcpy(new[0], old[0], size * sizeof(double));
		for (size_t p = 0; p < BLOCKS; p++) {
			run(t, f, STEPS, p * LENGTH, LENGTH, p > 0 ? old[p] : NULL, NULL, fine);
			run(t, f, BLOCKS, p, 1, p > 0 ? old[p] : NULL, NULL, before);
			run(t, f, BLOCKS, p, 1, p > 0 ? new[p] : NULL, NULL, now);
			for (size_t j = 0; j < size; j++)
				new[p + 1][j] = fine[j] + now[j] - before[j];
		}
	}
	memcpy(out, x[rounds % 2][BLOCKS], size * sizeof(double));
}

/* The two differ by roundings of the sum in eq. 2, at three blocks, which the blocks behind stretch as they
 * do any difference. By how much is not known of a trained flow; 100 is allowed, and 13 roundings of the
 * largest state are seen. What is left out of eq. 2 shows as a part of the state itself. */
static void check_rounds(const char *flow, size_t rounds)
{
	char more[64];
	snprintf(more, sizeof(more), "tol=0,rounds=%zu", rounds);
	struct trial *t = start(flow, "funnel", more);
	size_t size = N * t->cell.dim;
	double *want = ARENA_NEW(t->cell.arena, size, double), largest = 0;
	const struct draws *d = draw(t, STEPS);

	by_hand(t, flow_of(t, flow), rounds, want);
	for (size_t j = 0; j < size; j++)
		largest = fmax(largest, fabs(want[j]));
	print_message("%s, %zu rounds: largest gap %g of %g\n", flow, rounds,
		largest_gap(d->x, want, size), largest);
	assert_true(largest_gap(d->x, want, size) <= 100 * 3 * (double)REAL_EPS * largest);
	trial_free(t);
}

static void test_rounds_by_hand(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLOWS; i++) {
		check_rounds(flows[i], 1);
		check_rounds(flows[i], 2);
		check_rounds(flows[i], 3);
	}
}

/* --- a linear flow ------------------------------------------------------------------------------ */

/* Without a control (parameters 0) a step of OSDS's flow multiplies by 1 + beta d/2. */
static double stretch(size_t k, size_t first, size_t n)
{
	double product = 1;

	for (size_t i = first; i < first + n; i++)
		product *=
			1 + schedule_cosine((double)(k - i) / (double)k, 0.01, 10) / 2 / (double)k;
	return product;
}

/* After r rounds of eq. 2 with linear maps x_P is x_0 times the product of G_p + (F_p - G_p) over blocks
 * less the terms with more than r factors F_p - G_p. */
static double truncated(size_t r)
{
	double sum = 0;

	for (unsigned set = 0; set < 1u << BLOCKS; set++) {
		double term = 1;
		size_t fine = 0;
		for (size_t p = 0; p < BLOCKS; p++) {
			double g = stretch(BLOCKS, p, 1);
			bool take = (set >> p & 1) != 0;
			term *= take ? stretch(STEPS, p * LENGTH, LENGTH) - g : g;
			fine += take;
		}
		sum += fine <= r ? term : 0;
	}
	return sum;
}

/* A step is 3 roundings, and 20 steps a path: 60 roundings of x_P, and as many of what cancels. */
static void check_linear(size_t r)
{
	char more[64];
	snprintf(more, sizeof(more), "tol=0,rounds=%zu", r);
	struct trial *t = start("osds", "gaussian2d", more);
	double *x0 = ARENA_NEW(t->cell.arena, 2 * N * 2, double), *unused = x0 + N * 2;
	size_t n;
	real *theta = t->method->params(t->state, &n);

	memset(theta, 0, n * sizeof(real));
	run(t, flow_of(t, "osds"), STEPS, 0, 1, NULL, x0, unused);
	const struct draws *d = draw(t, STEPS);
	for (size_t j = 0; j < N * 2; j++)
		assert_true(fabs(d->x[j] - truncated(r) * x0[j]) <=
			    120 * (double)REAL_EPS * fabs(truncated(BLOCKS) * x0[j]));
	trial_free(t);
}

static void test_linear_flow(void **state)
{
	(void)state;
	/* Rounds can be told apart by more than the tolerance, but for the last: 1e-6. */
	for (size_t r = 1; r < BLOCKS; r++)
		assert_true(fabs(truncated(r) - truncated(r - 1)) > 1e-4 * fabs(truncated(BLOCKS)));
	assert_true(fabs(truncated(BLOCKS) - stretch(STEPS, 0, STEPS)) < 1e-12 * truncated(BLOCKS));
	for (size_t r = 1; r <= BLOCKS; r++)
		check_linear(r);
}

/* --- stopping and counts ------------------------------------------------------------------------ */

/* Reports and counts of a draw. */
struct cost {
	double rounds, most, all, chain;
	uint64_t network;
};

static struct cost cost_of(const char *flow, const char *more, size_t steps)
{
	struct trial *t = start(flow, "gmm40_2d", more);
	struct reports r = { 0 };

	t->cell.reports = &r;
	uint64_t before = t->cell.counts.network;
	draw(t, steps);
	struct cost c = { reported(&r, "rounds"), reported(&r, "most rounds"),
		reported(&r, "evaluations"), reported(&r, "serial evaluations"),
		t->cell.counts.network - before };
	assert_true(fabs(c.all * N - (double)c.network) < 1e-6 * c.all * N);
	trial_free(t);
	return c;
}

/* Evaluations in all of a sample that takes so many rounds. */
static size_t all_of(size_t blocks, size_t length, size_t rounds)
{
	size_t sum = blocks;

	for (size_t r = 1; r <= rounds; r++)
		sum += (blocks - r + 1) * length + blocks - r;
	return sum;
}

/* The largest tolerance stops after the first round; without one, rounds=2 stops after the second. */
static void test_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLOWS; i++) {
		struct cost one = cost_of(flows[i], "tol=1e9", STEPS);
		assert_true(one.rounds == 1 && one.most == 1);
		assert_int_equal(one.network, N * all_of(BLOCKS, LENGTH, 1));
		assert_true(fabs(one.chain - (BLOCKS + LENGTH - 1)) < 1e-9);

		struct cost two = cost_of(flows[i], "tol=0,rounds=2", STEPS);
		assert_true(two.rounds == 2 && two.most == 2);
		assert_int_equal(two.network, N * all_of(BLOCKS, LENGTH, 2));
		assert_true(fabs(two.chain - (BLOCKS + 2 * (LENGTH - 1))) < 1e-9);

		/* Blocks of one step are the flow. */
		struct cost none = cost_of(flows[i], "blocks=8", 8);
		assert_true(none.most == 0 && none.chain == 8);
		assert_int_equal(none.network, N * 8);
	}
	/* One block: the whole flow after one step that was for nothing. */
	struct cost whole = cost_of("osds", "blocks=1", STEPS);
	assert_true(whole.most == 1 && whole.chain == STEPS);
	assert_int_equal(whole.network, N * (STEPS + 1));
}

/* The divisor nearest to the root: 2 of 8, 4 of 32; of 7, which has no other, 1. */
static void test_default_blocks(void **state)
{
	(void)state;
	assert_int_equal(cost_of("dis", "tol=1e9", 8).network, N * all_of(2, 4, 1));
	assert_int_equal(cost_of("dis", "tol=1e9", 32).network, N * all_of(4, 8, 1));
	assert_int_equal(cost_of("dis", "tol=1e9", 7).network, N * all_of(1, 7, 1));
	assert_int_equal(cost_of("dis", "tol=1e9", 1).network, N);
}

/* A larger tolerance takes no more rounds of any sample, and so in the mean; the smallest comes nearest to
 * the flow. Every sample stops by itself: it is one of the iterates, whatever others do. */
static void test_tolerance(void **state)
{
	static const char *const tols[] = { "tol=0", "tol=1e-3", "tol=0.1", "tol=10" };
	double rounds = BLOCKS + 1, gap = 0;
	size_t fewer = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(tols) / sizeof(tols[0]); i++) {
		struct trial *t = start("osds", "gaussian2d", tols[i]);
		struct reports r = { 0 };
		t->cell.reports = &r;
		const struct draws *d = draw(t, STEPS);
		double mean = reported(&r, "rounds"), away = 0;
		const double *flow = serial(t, "osds", STEPS);
		for (size_t j = 0; j < N * 2; j++)
			away += fabs(d->x[j] - flow[j]) / (N * 2);
		print_message("%s: %g rounds, %g away\n", tols[i], mean, away);
		assert_true(mean <= rounds && away >= gap);
		fewer += mean < rounds;
		rounds = mean;
		gap = away;
		trial_free(t);
	}
	assert_true(fewer >= 3); /* they are told apart */
	assert_true(rounds < BLOCKS && gap > 0);
}

/* The change of the last round as tol has it: samples that stopped in round r are those of rounds=r, had
 * moved by tol at most since those of r - 1, and by more in every round before. */
static void test_samples_stop_by_themselves(void **state)
{
	const double tol = 0.5;
	const double *at[BLOCKS + 1];
	struct trial *t[BLOCKS + 2];
	size_t stopped[BLOCKS + 1] = { 0 };

	(void)state;
	for (size_t r = 1; r <= BLOCKS; r++) {
		char more[64];
		snprintf(more, sizeof(more), "tol=0,rounds=%zu", r);
		t[r] = start("osds", "gaussian2d", more);
		at[r] = draw(t[r], STEPS)->x;
	}
	at[0] = serial(t[1], "osds", BLOCKS); /* eq. 1 */
	t[0] = start("osds", "gaussian2d", "tol=0.5");
	const double *x = draw(t[0], STEPS)->x;
	for (size_t i = 0; i < N; i++) {
		size_t r = 1;
		for (; r < BLOCKS; r++) {
			double a = at[r][2 * i] - at[r - 1][2 * i];
			double b = at[r][2 * i + 1] - at[r - 1][2 * i + 1];
			if (sqrt((a * a + b * b) / 2) <= tol)
				break;
		}
		stopped[r]++;
		assert_memory_equal(x + 2 * i, at[r] + 2 * i, 2 * sizeof(double));
	}
	size_t used = 0;
	for (size_t r = 1; r <= BLOCKS; r++)
		used += stopped[r] > 0;
	assert_true(used >= 2);
	for (size_t r = 0; r <= BLOCKS; r++)
		trial_free(t[r]);
}

/* --- options ------------------------------------------------------------------------------------ */

static int check(const char *settings, size_t steps)
{
	struct trial *t = trial_new("srds", "gaussian2d", "", settings, 1);
	int code = t->method->check_steps(t->state, steps);

	trial_free(t);
	return code;
}

static void test_steps(void **state)
{
	(void)state;
	assert_int_equal(check("flow=osds", 128), OK);
	assert_int_equal(check("flow=scds", 24), ERR_RANGE);
	assert_non_null(strstr(error_text(), "24"));
	assert_int_equal(check("flow=dis", 24), OK);
	assert_int_equal(check("flow=dis", 0), ERR_RANGE);
	assert_int_equal(check("flow=dis,blocks=5", 24), ERR_UNSUP);
	assert_non_null(strstr(error_text(), "5 blocks do not divide 24 steps"));
}

/* Left alone, the flow is trained as in a grid that has it: with its own defaults. */
static void test_own_defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLOWS; i++) {
		const struct option *o = method_find(flows[i])->options;
		const struct option *own = method_find("srds")->options;
		while (strcmp(o->key, "steps") != 0)
			o++;
		while (strcmp(own->key, "steps") != 0)
			own++;
		assert_string_equal(o->value, own->value);
		for (const struct preset *p = method_find(flows[i])->presets; p->settings != NULL;
			p++)
			assert_true(strncmp(p->settings, "steps=", 6) != 0 &&
				    strstr(p->settings, ",steps=") == NULL);
	}
}

static void test_variants(void **state)
{
	(void)state;
	struct trial *t = trial_new("srds", "gaussian2d", "",
		"flow=osds,preset=scds-paper,iterations=1,batch=64,steps=16", 1);
	assert_int_equal(t->method->init(t->state, &t->cell), ERR_NAME);
	assert_non_null(strstr(error_text(), "preset"));
	trial_free(t);
	for (size_t i = 0; i < 2; i++) {
		t = trial_start("srds", "gaussian2d", "",
			i == 0 ? "flow=dis,preset=scds-paper,iterations=1,batch=64,steps=16"
			       : "flow=dis,preset=beyond-elbos,iterations=1,batch=64,steps=16",
			1);
		draw(t, STEPS);
		trial_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_rounds_are_the_flow),
		cmocka_unit_test(test_rounds_by_hand),
		cmocka_unit_test(test_linear_flow),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_default_blocks),
		cmocka_unit_test(test_tolerance),
		cmocka_unit_test(test_samples_stop_by_themselves),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_own_defaults),
		cmocka_unit_test(test_variants),
	};

	openblas_set_num_threads(1);
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
