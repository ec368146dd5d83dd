/* CDDS: iterations of its training against the same written out in double without the engine: the teacher's
 * flow, the draw of levels, losses, updates. The random numbers are the same. */
#include "methods.h"
#include "run/curve.h"

#include <stdlib.h>

/* A teacher long enough trained that its parameters are not their average. */
enum { DIM = 2, WIDTH = 4, STEPS = 16, LEVELS = 5, ROWS = 8, SEED = 5 };

#define TEACHER "batch=8,steps=16,width=4"
#define CELL \
	TEACHER ",teacher_iterations=60,levels=5,iterations=1000,clip_element=0,scale_loss=true"

/* Steps from the prior: 16 i/4. */
static const size_t place[LEVELS] = { 0, 4, 8, 12, 16 };

/* --- the networks, from their flat parameters ---------------------------------------------------- */

/* y = x W + b, W [in][out]; the parameters behind them. */
static const double *affine_map(const double *p, size_t in, size_t out, const double *x, double *y)
{
	for (size_t j = 0; j < out; j++) {
		y[j] = p[in * out + j];
		for (size_t i = 0; i < in; i++)
			y[j] += x[i] * p[i * out + j];
	}
	return p + in * out + out;
}

static void gelu(size_t n, double *x)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= 0.5 * (1 + erf(x[i] / sqrt(2)));
}

/* Sines and cosines of t at frequencies from 0.1 to 100, then a layer and `more` that follow a GELU, the
 * last with `out` results. */
static const double *embedding(const double *p, size_t more, size_t out, double t, double *y)
{
	double x[2 * WIDTH], h[WIDTH];

	for (size_t j = 0; j < WIDTH; j++) {
		double angle = (0.1 + (double)j * 99.9 / (WIDTH - 1)) * t + p[j];
		x[j] = sin(angle);
		x[WIDTH + j] = cos(angle);
	}
	p = affine_map(p + WIDTH, 2 * WIDTH, WIDTH, x, h);
	gelu(WIDTH, h);
	for (size_t l = 1; l < more; l++) {
		p = affine_map(p, WIDTH, WIDTH, h, x);
		gelu(WIDTH, x);
		memcpy(h, x, sizeof(h));
	}
	return affine_map(p, WIDTH, out, h, y);
}

static const double *network(const double *p, double t, const double *x, double *y)
{
	double h[WIDTH], next[WIDTH], time[WIDTH];

	p = affine_map(p, DIM, WIDTH, x, h);
	p = embedding(p, 1, WIDTH, t, time);
	for (size_t j = 0; j < WIDTH; j++)
		h[j] += time[j];
	for (int l = 0; l < 2; l++) {
		gelu(WIDTH, h);
		p = affine_map(p, WIDTH, WIDTH, h, next);
		memcpy(h, next, sizeof(h));
	}
	gelu(WIDTH, h);
	return affine_map(p, WIDTH, DIM, h, y);
}

/* --- an iteration -------------------------------------------------------------------------------- */

struct replay {
	const struct trial *t;
	bool per_row;
	double clip; /* the first */
	size_t n;    /* the student's parameters */
	double *teacher;
	double x[2][ROWS][DIM]; /* x_i and x_{i+1} of each row */
	double level[2][ROWS];
};

static double clipped(double x, double bound)
{
	return fmin(fmax(x, -bound), bound);
}

/* A step of the teacher's flow, the k-th of STEPS. */
static void flow_step(const struct replay *r, size_t k, double bound, double x[DIM])
{
	double t = (double)k / STEPS, beta = 10 - 9.9 * t, sigma = sqrt(beta);
	double u[DIM], score[DIM], log_rho, scale;

	density_eval(r->t->target, 1, x, &log_rho, score);
	embedding(network(r->teacher, t, x, u), 3, 1, t, &scale);
	for (size_t j = 0; j < DIM; j++) {
		double feature = clipped(t * score[j] - (1 - t) * x[j], bound);
		double control = clipped(u[j], bound) + sigma * feature * clipped(scale, bound);
		x[j] += (beta * x[j] / 2 + sigma * control / 2) / STEPS;
	}
}

static int falling(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/* The iteration's prior states, levels, and states at these. */
static void draw(struct replay *r, long it)
{
	const struct rng levels = { SEED, RNG_LEVEL, (uint32_t)it };
	const struct rng prior = { SEED, RNG_PRIOR, (uint32_t)it };
	double bound = r->clip * (it >= 400 ? 25 : it >= 200 ? 5 : 1);
	real z[DIM * ROWS];
	uint64_t drawn[ROWS];

	rng_truncated_normal(prior, 0, 0, ROWS, DIM, 3.8905918864131203, z);
	for (size_t row = 0; row < ROWS; row++)
		drawn[row] = rng_below(levels, 0, r->per_row ? row : 0, 0, LEVELS - 1);
	qsort(drawn, ROWS, sizeof(*drawn), falling);
	for (size_t row = 0; row < ROWS; row++) {
		size_t i = (size_t)drawn[row];
		double x[DIM];
		for (size_t j = 0; j < DIM; j++)
			x[j] = (double)z[j * ROWS + row];
		for (size_t k = 0; k < place[i]; k++)
			flow_step(r, k, bound, x);
		memcpy(r->x[0][row], x, sizeof(x));
		for (size_t k = place[i]; k < place[i + 1]; k++)
			flow_step(r, k, bound, x);
		memcpy(r->x[1][row], x, sizeof(x));
		for (size_t j = 0; j < 2; j++)
			r->level[j][row] = 1 - (double)place[i + j] / STEPS;
	}
}

static void map(const double *theta, double level, const double *x, double *y)
{
	double total = level * level + 0.25, skip = 0.25 / total, out = level / 2 / sqrt(total);

	network(theta, level, x, y);
	for (size_t j = 0; j < DIM; j++)
		y[j] = skip * x[j] + out * y[j];
}

/* The loss, divided by the dimension, of the student theta with the target that `fixed` has. */
static double loss_of(const struct replay *r, const double *theta, const double *fixed)
{
	double sum = 0, student[DIM], target[DIM];

	for (size_t row = 0; row < ROWS; row++) {
		map(theta, r->level[0][row], r->x[0][row], student);
		map(fixed, r->level[1][row], r->x[1][row], target);
		for (size_t j = 0; j < DIM; j++)
			sum += (student[j] - target[j]) * (student[j] - target[j]);
	}
	return sum / (ROWS * DIM) / DIM;
}

static double *doubles(const struct trial *t, const real *x, size_t n)
{
	double *y = ARENA_NEW(t->cell.arena, n, double);

	for (size_t i = 0; i < n; i++)
		y[i] = (double)x[i];
	return y;
}

static struct replay start(const char *more, bool per_row, double clip)
{
	const struct setting settings[] = { { "preset", "scds-paper" }, { "iterations", "60" },
		{ "batch", "8" }, { "steps", "16" }, { "width", "4" } };
	char text[256];
	struct trained teacher;
	size_t n;

	snprintf(text, sizeof(text), CELL ",%s,per_row=%s,control_clip=%g", more,
		per_row ? "true" : "false", clip);
	struct replay r = { .t = trial_start("cdds", "gmm9", "", text, SEED),
		.per_row = per_row,
		.clip = clip };
	struct cell cell = r.t->cell;
	assert_int_equal(cell_trained(&cell, "dis", settings, 5, &teacher), OK);
	const real *theta = teacher.method->params(teacher.state, &n);
	r.teacher = doubles(r.t, theta, n);
	/* The student is the teacher's base network. */
	assert_memory_equal(r.t->method->params(r.t->state, &r.n), theta, r.n * sizeof(real));
	return r;
}

/* The loss that an iteration reports. */
static double iterate(struct replay *r, long it)
{
	struct trial *t = (struct trial *)r->t;

	assert_int_equal(t->method->train(t->state, &t->cell, it), OK);
	return t->cell.curves->value[t->cell.curves->n - 1];
}

/* Nothing is learned, so that the losses of all iterations can be compared: levels, prior, flow, clips and
 * their schedule, eqs. 1 to 3. The networks' largest angle, 100 t, is off by 100 units of the last place;
 * a path that passes between two modes enlarges rounding a thousandfold. */
static void check_losses(bool per_row)
{
	struct replay r = start("rate=0", per_row, 0.5);
	size_t seen[LEVELS] = { 0 };

	for (long it = 0; it < 500; it++) {
		double got = iterate(&r, it), want;
		draw(&r, it);
		want = loss_of(&r, r.teacher, r.teacher);
		if (!(fabs(got - want) <= 1e4 * (double)REAL_EPS * (want + 0.01)))
			fail_msg("iteration %ld: loss %.9g, replayed %.9g", it, got, want);
		for (size_t row = 0; row < ROWS; row++)
			seen[(size_t)(LEVELS - 1 - 4 * r.level[0][row])]++;
	}
	/* Each of the four pairs with a quarter of the draws: 6 standard deviations of 500 batches. */
	for (size_t i = 0; i + 1 < LEVELS; i++)
		assert_true(fabs((double)seen[i] / (500 * ROWS) - 0.25) < 6 * sqrt(0.1875 / 500));
	assert_int_equal(seen[LEVELS - 1], 0);
	trial_free((struct trial *)r.t);
}

static void losses_are_the_written_out_ones(void **state)
{
	(void)state;
	check_losses(false);
	check_losses(true);
}

/* --- updates ------------------------------------------------------------------------------------- */

/* Gradient by central differences, the target held. */
static void differentiate(const struct replay *r, double *theta, const double *fixed, double *g)
{
	const double h = 1e-5;

	for (size_t i = 0; i < r->n; i++) {
		double at = theta[i];
		theta[i] = at + h;
		double up = loss_of(r, theta, fixed);
		theta[i] = at - h;
		g[i] = (up - loss_of(r, theta, fixed)) / (2 * h);
		theta[i] = at;
	}
}

/* Clip to the norm, L2, Adam. An error of e in every gradient moves m/sqrt(v) by e (1 + |m|/sqrt(v))/
 * sqrt(v) at most: `slack`, which adds up. */
struct adam_replay {
	double *m, *v, *slack;
	double rate, clip, l2, error;
};

static void update(struct adam_replay *a, size_t n, long it, double *theta, const double *g)
{
	double square = 0;
	double c1 = 1 - pow(0.9, (double)(it + 1)), c2 = 1 - pow(0.999, (double)(it + 1));

	for (size_t i = 0; i < n; i++)
		square += g[i] * g[i];
	double norm = sqrt(square), factor = fmin(1, a->clip / (norm + 1e-6));
	for (size_t i = 0; i < n; i++) {
		double d = factor * g[i] + a->l2 * theta[i];
		a->m[i] = 0.9 * a->m[i] + 0.1 * d;
		a->v[i] = 0.999 * a->v[i] + 0.001 * d * d;
		double m = a->m[i] / c1, root = sqrt(a->v[i] / c2) + 1e-8;
		theta[i] -= a->rate * m / root;
		a->slack[i] += a->rate * a->error * factor * norm * (1 + fabs(m) / root) / root;
	}
}

/* Central differences are good to h^2 = 1e-10 and rounding over h; the engine's gradients to the angles'
 * 100 units. What is compared must be sharp: known to a fiftieth of a step for most parameters. */
static void check_updates(bool per_row)
{
	struct replay r = start("rate=0.005,clip_norm=0.2,l2=0.01", per_row, 1e4);
	struct trial *t = (struct trial *)r.t;
	double *room = ARENA_NEW(t->cell.arena, 5 * r.n, double), *g = room + 3 * r.n;
	double *fixed = room + 4 * r.n;
	struct adam_replay a = { room, room + r.n, room + 2 * r.n, 0.005, 0.2, 0.01,
		100 * (double)REAL_EPS + 1e-8 };
	size_t sharp = 0;

	memset(room, 0, 5 * r.n * sizeof(double));
	real *params = t->method->params(t->state, &r.n);
	double *theta = doubles(t, params, r.n);
	for (long it = 0; it < 5; it++) {
		iterate(&r, it);
		draw(&r, it);
		memcpy(fixed, theta, r.n * sizeof(double));
		differentiate(&r, theta, fixed, g);
		update(&a, r.n, it, theta, g);
	}
	for (size_t i = 0; i < r.n; i++) {
		double bound = a.slack[i] + 10 * (double)REAL_EPS * (1 + fabs(theta[i]));
		if (!(fabs((double)params[i] - theta[i]) <= bound))
			fail_msg("parameter %zu of %zu: %.9g, replayed %.9g, bound %.2g", i, r.n,
				(double)params[i], theta[i], bound);
		sharp += bound < 0.02 * 0.005;
	}
	assert_true(4 * sharp > 3 * r.n);
	trial_free(t);
}

static void updates_are_the_written_out_ones(void **state)
{
	(void)state;
	check_updates(false);
	check_updates(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_are_the_written_out_ones),
		cmocka_unit_test(updates_are_the_written_out_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
