/* The second run of SMC's pass "frozen" takes ladder, step sizes and masses from the first. What it would
 * gain a bias of by tuning again is too small for a test of means, with four particles even; so this
 * looks inside. Without resampling, particles know of each other through what is tuned alone. */
#include "stride.h"

#undef METHOD
#define METHOD(id) struct method second_##id
extern const struct method second_smc, second_ais;
#include "../methods/smc.c"

#include "methods.h"

enum { DIM = 5, FEW = 64, MANY = 128, FIRST = 7, SECOND = 2 };

/* Positions [n][DIM] at the end of a run along the ladder. */
static double *end_of_run(struct trial *t, const struct plan *plan, size_t n, struct rung **ladder)
{
	struct particles *p = particles_new(t->cell.arena, t->target, n, 1);
	double *x = ARENA_NEW(t->cell.arena, n * DIM, double);

	assert_int_equal(run(t->state, *plan, &t->cell, p, SECOND, ladder), OK);
	particles_positions(p, x);
	return x;
}

static void test_tuned_once(void **unused)
{
	struct trial *t =
		trial_start("smc", "gaussian", "mean=1.5,std=0.6,dim=5", "threshold=0", 3);
	const struct plan plan = make_plan(t->state, FROZEN);
	const size_t bytes = FEW * DIM * sizeof(double);
	struct rung *first = NULL, *own[2] = { NULL, NULL };
	struct particles *p = particles_new(t->cell.arena, t->target, FEW, 1);

	(void)unused;
	assert_true(plan.adapt && plan.ladder);
	assert_int_equal(run(t->state, plan, &t->cell, p, FIRST, &first), OK);
	assert_memory_equal(end_of_run(t, &plan, FEW, &first), end_of_run(t, &plan, MANY, &first),
		bytes);
	/* Each tuned by itself they part, so that the above says something. */
	assert_memory_not_equal(end_of_run(t, &plan, FEW, &own[0]),
		end_of_run(t, &plan, MANY, &own[1]), bytes);
	trial_free(t);
}

/* The method's pass is these two runs: its weights are those of the second. */
static void test_pass(void **unused)
{
	struct trial *t =
		trial_start("smc", "gaussian", "mean=1.5,std=0.6,dim=5", "threshold=0", 3);
	const struct plan plan = make_plan(t->state, FROZEN);
	struct particles *p = particles_new(t->cell.arena, t->target, FEW, 1);
	struct draws *d = draws_new(t, FEW, true);
	struct rung *ladder = NULL;
	double log_w[FEW];

	(void)unused;
	assert_int_equal(
		t->method->sample(t->state, &t->cell, trial_pass(t, "frozen"), 0, SECOND, d), OK);
	uint64_t evaluations = t->cell.counts.target;
	assert_int_equal(run(t->state, plan, &t->cell, p, ~(uint32_t)SECOND, &ladder), OK);
	assert_int_equal(run(t->state, plan, &t->cell, p, SECOND, &ladder), OK);
	particles_log_weights(p, log_w);
	assert_memory_equal(log_w, d->log_w, sizeof(log_w));
	assert_int_equal(p->evaluations, evaluations);
	trial_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tuned_once),
		cmocka_unit_test(test_pass),
	};

	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
