/* The neural implicit sampler: its gradients against a network written out here, what training does to a
 * Gaussian, weights of a bijection, checkpoints. */
#include "core/stats.h"
#include "methods.h"
#include "run/reports.h"

#include <cblas.h>

/* Small networks; a unit of length that is not 1. */
#define SMALL "width=16,layers=3,batch=128,scale=1.7,sigma=0.2"
enum { WIDTH = 16, LAYERS = 3, WIDEST = 16 };

static struct trial *small_trial(uint64_t seed)
{
	return trial_start("nis", "gaussian2d", "", SMALL, seed);
}

/* --- gradients -------------------------------------------------------------------------------- */

/* The network in double, parameters [in][out] then bias a layer. */
static void by_hand(size_t dim, const double *theta, const double *in, double *out)
{
	double h[WIDEST], next[WIDEST];
	size_t cols = dim;

	memcpy(h, in, dim * sizeof(double));
	for (size_t l = 0; l < LAYERS; l++) {
		size_t wide = l + 1 < LAYERS ? WIDTH : dim;
		for (size_t j = 0; j < wide; j++) {
			next[j] = theta[cols * wide + j];
			for (size_t i = 0; i < cols; i++)
				next[j] += h[i] * theta[i * wide + j];
		}
		for (size_t j = 0; j < wide; j++)
			h[j] = l + 1 < LAYERS ? next[j] * 0.5 * (1 + erf(next[j] / sqrt(2)))
					      : next[j];
		theta += (cols + 1) * wide;
		cols = wide;
	}
	memcpy(out, h, dim * sizeof(double));
}

/* Everything that the two losses are made of: rows of latent vectors and noise as the graph drew them,
 * both networks' parameters. */
struct losses {
	struct trial *t;
	size_t rows, dim, n;
	real *theta, *phi;
	double *theta64, *phi64;
	double *latent, *noise;
	double scale, sigma;
};

static void losses_prepare(struct losses *s)
{
	struct mlp net;

	*s = (struct losses){ .t = small_trial(21), .rows = 70, .scale = 1.7, .sigma = 0.2 };
	struct arena *a = s->t->cell.arena;
	s->dim = s->t->cell.dim;
	s->theta = s->t->method->params(s->t->state, &s->n);
	mlp_layout(&net, s->dim, WIDTH, LAYERS, s->dim);
	assert_int_equal(net.n_params, s->n);
	s->phi = ARENA_NEW(a, s->n, real);
	mlp_init(&net, 77, 5, s->phi);
	s->theta64 = ARENA_NEW(a, 2 * s->n, double);
	s->phi64 = s->theta64 + s->n;
	for (size_t j = 0; j < s->n; j++) { /* nets that bend */
		s->theta[j] *= 3;
		s->phi[j] *= 3;
		s->theta64[j] = (double)s->theta[j];
		s->phi64[j] = (double)s->phi[j];
	}
	s->latent = ARENA_NEW(a, s->rows * s->dim, double);
	s->noise = ARENA_NEW(a, s->rows * s->dim, double);
}

/* The graph's loss and its gradient with respect to params0; fills in latent and noise. */
static double engine_gradient(struct losses *s, const char *what, const real *params0,
	const real *params1, real *grad)
{
	struct arena *a = s->t->cell.arena;
	struct graph *g = s->t->method->graph(s->t->state, &s->t->cell, what, 0, a);
	const struct capture captures[] = { { "latent", s->latent, NULL, NULL },
		{ "noise", s->noise, NULL, NULL } };
	const struct graph_args args = { .rows = s->rows,
		.seed = 6,
		.params = { params0, params1 },
		.captures = captures,
		.n_captures = strcmp(what, "loss") == 0 ? 1 : 2 };

	return graph_gradient(g, &args, s->n, grad);
}

/* Eq. 2 by hand. */
static double score_loss(const struct losses *s)
{
	double y[2], at[2], out[2], total = 0;

	for (size_t i = 0; i < s->rows; i++) {
		by_hand(s->dim, s->theta64, s->latent + i * s->dim, y);
		for (size_t k = 0; k < s->dim; k++)
			at[k] = y[k] + s->sigma * s->noise[i * s->dim + k];
		by_hand(s->dim, s->phi64, at, out);
		for (size_t k = 0; k < s->dim; k++)
			total += 0.5 * pow(s->sigma * out[k] + s->noise[i * s->dim + k], 2);
	}
	return total / (double)s->rows;
}

/* S_phi(y) - c grad log rho(x) at the present theta, [rows][dim]. */
static void gaps_by_hand(const struct losses *s, double *gap)
{
	double y[2], x[2], out[2], log_rho, grad[2];

	for (size_t i = 0; i < s->rows; i++) {
		by_hand(s->dim, s->theta64, s->latent + i * s->dim, y);
		for (size_t k = 0; k < s->dim; k++)
			x[k] = s->scale * y[k];
		density_eval(s->t->target, 1, x, &log_rho, grad);
		by_hand(s->dim, s->phi64, y, out);
		for (size_t k = 0; k < s->dim; k++)
			gap[i * s->dim + k] = out[k] - s->scale * grad[k];
	}
}

/* <gap, y>, the gap being constant. */
static double sampler_loss(const struct losses *s, const double *gap)
{
	double y[2], total = 0;

	for (size_t i = 0; i < s->rows; i++) {
		by_hand(s->dim, s->theta64, s->latent + i * s->dim, y);
		for (size_t k = 0; k < s->dim; k++)
			total += gap[i * s->dim + k] * y[k];
	}
	return total / (double)s->rows;
}

/* Central differences in double are right to 1e-8; the engine's gradient is a sum of rows and of
 * products through three layers in real, 100 roundings of terms as large as the largest entry. */
static void check_gradient(const struct losses *s, const real *grad, double *params,
	double (*loss)(const struct losses *s, const double *gap), const double *gap)
{
	double largest = 0;
	const double h = 1e-5;

	for (size_t j = 0; j < s->n; j++)
		largest = fmax(largest, fabs((double)grad[j]));
	const double tolerance = largest * (1e-8 + 100 * (double)REAL_EPS);
	for (size_t j = 0; j < s->n; j++) {
		double keep = params[j];
		params[j] = keep + h;
		double up = loss(s, gap);
		params[j] = keep - h;
		double down = loss(s, gap);
		params[j] = keep;
		double want = (up - down) / (2 * h);
		if (!(fabs((double)grad[j] - want) <= tolerance))
			fail_msg("entry %zu: %.9g, by hand %.9g, tolerance %.2g", j,
				(double)grad[j], want, tolerance);
	}
}

static double score_loss_of(const struct losses *s, const double *gap)
{
	(void)gap;
	return score_loss(s);
}

static void test_sampler_gradient(void **state)
{
	struct losses s;

	(void)state;
	losses_prepare(&s);
	real *grad = ARENA_NEW(s.t->cell.arena, s.n, real);
	double *gap = ARENA_NEW(s.t->cell.arena, s.rows * s.dim, double);
	double loss = engine_gradient(&s, "loss", s.theta, s.phi, grad);
	gaps_by_hand(&s, gap);
	assert_true(fabs(loss - sampler_loss(&s, gap)) <= 100 * (double)REAL_EPS * fabs(loss));
	check_gradient(&s, grad, s.theta64, sampler_loss, gap);
	trial_free(s.t);
}

static void test_score_gradient(void **state)
{
	struct losses s;

	(void)state;
	losses_prepare(&s);
	real *grad = ARENA_NEW(s.t->cell.arena, s.n, real);
	double loss = engine_gradient(&s, "score_loss", s.phi, s.theta, grad);
	assert_true(fabs(loss - score_loss(&s)) <= 100 * (double)REAL_EPS * loss);
	check_gradient(&s, grad, s.phi64, score_loss_of, NULL);
	trial_free(s.t);
}

/* --- training --------------------------------------------------------------------------------- */

enum { MANY = 8192, DIM = 2 };

static void train(struct trial *t, long from, long to)
{
	for (long it = from; it < to; it++)
		assert_int_equal(t->method->train(t->state, &t->cell, it), OK);
}

static struct draws *draw(struct trial *t, const char *pass, size_t n)
{
	struct draws *d = draws_new(t, n, strcmp(pass, "samples") != 0);

	assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, pass), 0, 0, d), OK);
	return d;
}

/* Mean and standard deviation of coordinate k. */
static void moments_of(const struct draws *d, size_t k, double *mean, double *sd)
{
	double square = 0;

	*mean = 0;
	for (size_t i = 0; i < d->n; i++)
		*mean += d->x[i * DIM + k] / (double)d->n;
	for (size_t i = 0; i < d->n; i++)
		square += pow(d->x[i * DIM + k] - *mean, 2) / (double)d->n;
	*sd = sqrt(square);
}

/* A Gaussian off the origin with correlated coordinates of different widths. KL to it is -E[log w] where
 * the learnt map has no folds: 0.003 to 0.021 nats with six seeds; one with its mean at 0, or of one width in
 * all directions, is 0.4 away or more. A normal law at this KL is off by sqrt(2 KL) standard deviations at
 * most in its mean, and by a factor of exp(sqrt(KL)) in its width; MANY samples add 5 standard errors. */
static void test_training_reaches_a_gaussian(void **state)
{
	const double kl = 0.06, away = sqrt(2 * kl) + 5 / sqrt(MANY),
		     wider = sqrt(kl) + 5 / sqrt(2 * MANY);
	struct trial *t = trial_start("nis", "gaussian2d", "",
		"width=32,layers=3,batch=256,rate=4e-4,score_rate=2e-3", 3);
	struct reports reports = { 0 };
	double mean[DIM], sd[DIM];

	(void)state;
	train(t, 0, 3000);
	t->cell.reports = &reports;
	const struct draws *d = draw(t, "weighted", MANY);
	double elbo = 0;
	for (size_t i = 0; i < MANY; i++)
		elbo += d->log_w[i] / MANY;
	assert_int_equal(reports.n, 1);
	assert_string_equal(reports.of[0].name, "fold fraction");
	assert_true(reports.of[0].value < 0.001);
	assert_true(elbo > -kl && elbo < 0.01);
	assert_true(density_moments(t->target, mean, sd));
	for (size_t k = 0; k < DIM; k++) {
		double m, s;
		moments_of(d, k, &m, &s);
		assert_true(fabs(m - mean[k]) < away * sd[k]);
		assert_true(fabs(log(s / sd[k])) < wider);
	}
	trial_free(t);
}

/* --- weights ---------------------------------------------------------------------------------- */

/* One layer is an affine map, a bijection: E[w] = 1 on a normalised target, however far training is. */
static void test_bijection_has_exact_weights(void **state)
{
	struct trial *t = trial_start("nis", "gaussian2d", "",
		"layers=1,batch=128,scale=1.7,rate=2e-3,score_rate=2e-2", 8);
	struct weight_stats s;

	(void)state;
	train(t, 0, 300);
	const struct draws *d = draw(t, "weighted", MANY);
	stats_weights(d->log_w, MANY, 1, &s);
	assert_true(s.ess > 0.2 && s.ess < 0.999); /* enough to judge by, and something to judge */
	assert_true(fabs(s.log_mean) < 5 * s.log_mean_se);
	assert_true(d->no_forward);
	trial_free(t);
}

/* The determinant of dx/dz at z by differences of the network written out above: right to 1e-9. */
static double det_by_hand(const struct losses *s, const double *z)
{
	double j[2][2];
	const double h = 1e-5;

	for (size_t k = 0; k < 2; k++) {
		double up[2], down[2], at[2] = { z[0], z[1] };
		at[k] = z[k] + h;
		by_hand(2, s->theta64, at, up);
		at[k] = z[k] - h;
		by_hand(2, s->theta64, at, down);
		for (size_t r = 0; r < 2; r++)
			j[r][k] = s->scale * (up[r] - down[r]) / (2 * h);
	}
	return j[0][0] * j[1][1] - j[0][1] * j[1][0];
}

/* Eq. 4 row by row on a map with folds, and their share. The engine's columns have errors of 100
 * roundings of entries of order 10, the determinant 100 times that, which decides where it is small. */
static void test_weights_by_hand(void **state)
{
	struct losses s;
	struct reports reports = { 0 };

	(void)state;
	losses_prepare(&s);
	struct trial *t = s.t;
	struct graph *g = t->method->graph(t->state, &t->cell, "samples", 0, t->cell.arena);
	double *z = ARENA_NEW(t->cell.arena, MANY * DIM, double);
	const struct capture capture = { "latent", z, NULL, NULL };
	const struct graph_args args = { .rows = MANY,
		.seed = t->cell.seed,
		.params = { s.theta },
		.captures = &capture,
		.n_captures = 1 };
	graph_forward(g, &args);
	t->cell.reports = &reports;
	const struct draws *d = draw(t, "weighted", MANY);

	const double unsure = 1e4 * (double)REAL_EPS;
	size_t negative = 0, skipped = 0;
	for (size_t i = 0; i < MANY; i++) {
		const double *zi = z + i * DIM, det = det_by_hand(&s, zi);
		double y[DIM], x[DIM], log_rho;
		negative += det < 0;
		if (fabs(det) < 10 * unsure) {
			skipped++;
			continue;
		}
		by_hand(DIM, s.theta64, zi, y);
		for (size_t k = 0; k < DIM; k++) {
			x[k] = s.scale * y[k];
			assert_true(fabs(d->x[i * DIM + k] - x[k]) < 1e3 * (double)REAL_EPS);
		}
		density_eval(t->target, 1, x, &log_rho, NULL);
		double want = log_rho + (zi[0] * zi[0] + zi[1] * zi[1]) / 2 + log(2 * M_PI) +
			      log(fabs(det));
		assert_true(fabs(d->log_w[i] - want) <
			    1e3 * (double)REAL_EPS * (1 + fabs(log_rho)) + unsure / fabs(det));
	}
	double share = (double)negative / MANY;
	share = fmin(share, 1 - share);
	assert_true(share > 0.01 && skipped < MANY / 20);
	assert_true(fabs(reports.of[0].value - share) <= (double)skipped / MANY);
	trial_free(t);
}

/* Beyond 100 dimensions there are samples, but no weights. */
static void test_no_weights_in_many_dimensions(void **state)
{
	struct trial *t = trial_start("nis", "gaussian", "dim=101", "width=8,layers=2", 1);
	struct draws *d = draws_new(t, 10, true);

	(void)state;
	assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, "weighted"), 0, 0, d),
		ERR_UNSUP);
	assert_non_null(strstr(error_text(), "at most 100 dimensions, not 101"));
	assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, "samples"), 0, 0, d),
		OK);
	trial_free(t);
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static struct checkpoint *kept(struct trial *t)
{
	struct checkpoint *k = checkpoint_new(false, t->cell.arena);

	t->method->keep(t->state, k);
	return k;
}

/* Put back into a state fresh from init, training goes on as if it had not been left. */
static void test_checkpoint(void **state)
{
	struct trial *whole = small_trial(5), *first = small_trial(5), *second = small_trial(5);
	FILE *f = tmpfile();

	(void)state;
	train(whole, 0, 7);
	train(first, 0, 4);
	checkpoint_write(kept(first), f);
	rewind(f);
	assert_int_equal(checkpoint_read(kept(second), f), OK);
	fclose(f);
	train(second, 4, 7);
	const struct draws *a = draw(whole, "samples", 50), *b = draw(second, "samples", 50);
	assert_memory_equal(a->x, b->x, 50 * DIM * sizeof(double));
	trial_free(whole);
	trial_free(first);
	trial_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sampler_gradient),
		cmocka_unit_test(test_score_gradient),
		cmocka_unit_test(test_training_reaches_a_gaussian),
		cmocka_unit_test(test_bijection_has_exact_weights),
		cmocka_unit_test(test_weights_by_hand),
		cmocka_unit_test(test_no_weights_in_many_dimensions),
		cmocka_unit_test(test_checkpoint),
	};

	openblas_set_num_threads(1);
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
