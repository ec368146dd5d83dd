/* Controlled Monte Carlo diffusions and their cases: gradients of both losses against differences, a
 * control that is known to be optimal, and weights against exact samples where weights are uneven. */
#include "core/stats.h"
#include "methods.h"
#include "run/controlled.h"

#include <cblas.h>

static const char *const methods_here[] = { "cmcd", "mcd", "ula_bridge" };
enum { N_METHODS = sizeof(methods_here) / sizeof(methods_here[0]) };

static double gauss(uint64_t i, uint32_t column)
{
	return rng_gauss((struct rng){ .seed = 17, .purpose = RNG_TEST }, 0, i, column);
}

/* --- gradients -------------------------------------------------------------------------------- */

enum { ROWS = 70, STEPS = 4, DIM = 10 };

/* Numbers of a run that differences are taken of. */
struct gradient {
	struct trial *trial;
	struct graph *loss, *paths;
	real *theta, *grad, *scratch;
	size_t n;
	double prior[ROWS * DIM], noise[ROWS * STEPS * DIM];
};

static void set_zero(real *theta, struct slice s)
{
	memset(theta + s.offset, 0, s.rows * s.cols * sizeof(real));
}

/* A target without symmetry, and parameters away from where training starts, where the last kernel of
 * the trunk is nothing. The factor on the score that the network sees is 0: differences would see what
 * moves that score, which is constant by definition. Its own gradient is that score all the same. */
static struct gradient *gradient_of(const char *method, const char *loss)
{
	char settings[128];
	snprintf(settings, sizeof(settings),
		"steps=%d,loss=%s,sigma0=0.9,sigma_min=0.6,sigma_max=1.3", STEPS, loss);
	struct trial *t = trial_start(method, "funnel", "", settings, 5);
	struct gradient *q = ARENA_NEW(t->cell.arena, 1, struct gradient);

	assert_int_equal(t->cell.dim, DIM);
	q->trial = t;
	q->theta = t->method->params(t->state, &q->n);
	q->grad = ARENA_NEW(t->cell.arena, q->n, real);
	q->scratch = ARENA_NEW(t->cell.arena, q->n, real);
	for (size_t i = 0; i < q->n; i++)
		q->theta[i] += (real)(0.05 * gauss(i, 0));
	const struct controlled *base = t->state;
	set_zero(q->theta, base->net.grad_net[6]);
	set_zero(q->theta, base->net.grad_net[7]);
	for (size_t i = 0; i < ROWS * DIM; i++)
		q->prior[i] = gauss(i, 1);
	for (size_t i = 0; i < ROWS * STEPS * DIM; i++)
		q->noise[i] = gauss(i, 2);
	q->loss = t->method->graph(t->state, &t->cell, "loss", STEPS, t->cell.arena);
	q->paths = t->method->graph(t->state, &t->cell, "sde", STEPS, t->cell.arena);
	return q;
}

static double loss_of(struct gradient *q, real *grad)
{
	const struct tape tapes[] = { { "prior", q->prior }, { "noise", q->noise } };
	const struct graph_args args = { .rows = ROWS,
		.params = { q->theta },
		.tapes = tapes,
		.n_tapes = 2 };

	return graph_gradient(q->loss, &args, q->n, grad);
}

/* The parameters to look at: annealing and coefficient, which are the last, and a spread of the
 * network's, some of each of its 19 slices but one that has a few numbers. */
static bool chosen(const struct gradient *q, size_t j)
{
	return j + STEPS + 1 >= q->n || j % 101 == 7;
}

/* As in test_graph.c: both errors of a central difference are eps^(2/3) at h = eps^(1/3). */
static void check_difference(const struct gradient *q, size_t j, double up, double down,
	double width)
{
	double expected = (up - down) / width, error = 200 * pow((double)REAL_EPS, 2. / 3);

	if (!(fabs(expected - (double)q->grad[j]) <= error * (1 + fabs(up) + fabs(expected))))
		fail_msg("%s: gradient %zu of %zu is %.12g, differences give %.12g",
			q->trial->method->name, j, q->n, (double)q->grad[j], expected);
}

static void test_gradient_kl(void **unused)
{
	const double h = pow((double)REAL_EPS, 1. / 3);

	(void)unused;
	for (size_t i = 0; i < N_METHODS; i++) {
		struct gradient *q = gradient_of(methods_here[i], "kl");
		size_t alive = 0;
		loss_of(q, q->grad);
		for (size_t j = 0; j < q->n; j++) {
			if (!chosen(q, j))
				continue;
			real keep = q->theta[j];
			q->theta[j] = (real)((double)keep + h);
			double high = (double)q->theta[j], up = loss_of(q, q->scratch);
			q->theta[j] = (real)((double)keep - h);
			double width = high - (double)q->theta[j], down = loss_of(q, q->scratch);
			q->theta[j] = keep;
			check_difference(q, j, up, down, width);
			alive += q->grad[j] != 0;
		}
		assert_true(alive > STEPS && (i == N_METHODS - 1 || alive > 150));
		trial_free(q->trial);
	}
}

/* What one run of the paths gives. */
struct path {
	double x[ROWS * STEPS * DIM], drift[ROWS * STEPS * DIM], end[ROWS * DIM], rnd[ROWS];
};

static void run_paths(struct gradient *q, const double *noise, struct path *out)
{
	const struct tape tapes[] = { { "prior", q->prior }, { "noise", noise } };
	const struct capture captures[] = { { "x", out->x, NULL, NULL },
		{ "drift", out->drift, NULL, NULL }, { "end", out->end, NULL, NULL },
		{ "rnd", out->rnd, NULL, NULL } };
	const struct graph_args args = { .rows = ROWS,
		.params = { q->theta },
		.tapes = tapes,
		.n_tapes = 2,
		.captures = captures,
		.n_captures = 4 };

	graph_forward(q->paths, &args);
}

/* The variance of the cost along the path that the noise gave with other parameters. The paths of
 * evaluation carry no stop(): step by step, the noise becomes the one that makes the given move. */
static double variance_along(struct gradient *q, const struct path *given)
{
	static struct path now;
	static double noise[ROWS * STEPS * DIM];
	double coefficient = log1p(exp((double)q->theta[q->n - 1])), variance = 0, mean = 0;

	memcpy(noise, q->noise, sizeof(noise));
	for (size_t j = 0; j < STEPS; j++) {
		double t = 1 - (double)j / STEPS;
		double a = sqrt(0.5 / STEPS) * schedule_cosine(t, 0.6, 1.3) * coefficient;
		run_paths(q, noise, &now);
		for (size_t r = 0; r < ROWS; r++)
			for (size_t k = 0; k < DIM; k++) {
				size_t at = (r * STEPS + j) * DIM + k;
				double next = j + 1 < STEPS ? given->x[at + DIM]
							    : given->end[r * DIM + k];
				noise[at] = (next - given->x[at]) / (2 * a) - a * now.drift[at];
			}
	}
	run_paths(q, noise, &now);
	for (size_t r = 0; r < ROWS; r++)
		mean += now.rnd[r] / ROWS;
	for (size_t r = 0; r < ROWS; r++)
		variance += (now.rnd[r] - mean) * (now.rnd[r] - mean) / (ROWS - 1);
	return variance;
}

/* In double alone: the noise is the difference of two states over a small number. */
static void test_gradient_lv(void **unused)
{
	static struct path given;
	const double h = pow((double)REAL_EPS, 1. / 3);

	(void)unused;
	for (size_t i = 0; i < N_METHODS && sizeof(real) == sizeof(double); i++) {
		struct gradient *q = gradient_of(methods_here[i], "lv");
		double loss = loss_of(q, q->grad);
		run_paths(q, q->noise, &given);
		double same = variance_along(q, &given);
		assert_true(fabs(same / loss - 1) < 1e-9);
		for (size_t j = 0; j < q->n; j++) {
			if (!chosen(q, j))
				continue;
			real keep = q->theta[j];
			q->theta[j] = (real)((double)keep + h);
			double high = (double)q->theta[j], up = variance_along(q, &given);
			q->theta[j] = (real)((double)keep - h);
			double width = high - (double)q->theta[j];
			double down = variance_along(q, &given);
			q->theta[j] = keep;
			check_difference(q, j, up, down, width);
		}
		trial_free(q->trial);
	}
}

/* --- schedules -------------------------------------------------------------------------------- */

/* At the start beta is (k + 1)/N and sigma the cosine; with fewer steps than in training beta is what
 * training had at the same times, with more the line between. ULA's drift from a state that is known
 * shows beta, and the move shows a. */
static void test_annealing(void **unused)
{
	static const size_t counts[] = { 2, 4, 8, 24 };

	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		size_t k = counts[i];
		struct trial *t = trial_start("ula_bridge", "gaussian", "mean=3,std=0.5,dim=1",
			"steps=8,sigma0=2,sigma_min=0.3,sigma_max=0.9", 1);
		size_t n;
		real *theta = t->method->params(t->state, &n);
		double share[8], reached[9] = { 0 }, prior[1] = { 0.4 }, noise[24], x[24],
				 drift[24], end[1];
		for (size_t j = 0; j < 8; j++) {
			theta[j] = (real)(1 + gauss(j, 3));
			share[j] = log1p(exp((double)theta[j]));
			reached[j + 1] = reached[j] + share[j];
		}
		for (size_t j = 0; j < k; j++)
			noise[j] = gauss(j, 4);
		const struct tape tapes[] = { { "prior", prior }, { "noise", noise } };
		const struct capture captures[] = { { "x", x, NULL, NULL },
			{ "drift", drift, NULL, NULL }, { "end", end, NULL, NULL } };
		const struct graph_args args = { .rows = 1,
			.params = { theta },
			.tapes = tapes,
			.n_tapes = 2,
			.captures = captures,
			.n_captures = 3 };
		graph_forward(t->method->graph(t->state, &t->cell, "sde", k, t->cell.arena), &args);
		for (size_t j = 0; j < k; j++) {
			double time = (double)(j + 1) * 8 / (double)k;
			size_t whole_shares = (size_t)time < 8 ? (size_t)time : 7;
			double beta = (reached[whole_shares] +
					      (time - (double)whole_shares) * share[whole_shares]) /
				      reached[8];
			double s = beta * (3 - x[j]) / 0.25 - (1 - beta) * x[j] / 4;
			double sigma =
				schedule_cosine(1 - (double)j / (double)k, 0.3, 0.9); /* c = 1 */
			double dt = 1 / (double)k;
			double next =
				x[j] + sigma * sigma * s * dt + sigma * sqrt(2 * dt) * noise[j];
			double got = j + 1 < k ? x[j + 1] : end[0];
			/* A dozen roundings of numbers up to 20. */
			assert_true(fabs(drift[j] - s) <= 12 * 20 * (double)REAL_EPS);
			assert_true(fabs(got - next) <= 12 * 20 * (double)REAL_EPS);
		}
		trial_free(t);
	}
}

/* u(x, code, feature) of the network, x and feature [n][2]. */
static void network_at(struct trial *t, real *theta, double code, size_t n, const double *x,
	const double *feature, double *u)
{
	const struct controlled *base = t->state;
	struct arena_mark mark = arena_mark(t->cell.arena);
	struct graph *g = graph_new(t->cell.arena, NULL, NULL);
	struct var time = by_step(g, 1, 1, &code);

	label(control(&base->net, 0, input(g, "x", 2), time, time, input(g, "feature", 2)), "u");
	const struct binding in[] = { { "x", NULL, x }, { "feature", NULL, feature } };
	const struct capture out = { "u", u, NULL, NULL };
	const struct graph_args args = { .rows = n,
		.params = { theta },
		.inputs = in,
		.n_inputs = 2,
		.captures = &out,
		.n_captures = 1 };
	graph_forward(g, &args);
	arena_release(t->cell.arena, mark);
}

/* The drift of step j from the prior has u(x, j), with a plus; that of the backward kernel of the same
 * step has u(x, j + 1), with a minus, and the same beta; with other step counts than in training the codes
 * stretch. What leaves x is labelled in both passes. */
static void test_network_in_drifts(void **unused)
{
	enum { N = 20, K = 6, OF = 4 };
	struct trial *t =
		trial_start("cmcd", "gaussian", "mean=0.7,std=0.6,dim=2", "steps=4,sigma0=1.5", 3);
	static double x[N * K * 2], drift[N * K * 2], here[N * 2], feature[N * 2], u[N * 2];
	size_t n_params;
	real *theta = t->method->params(t->state, &n_params);

	(void)unused;
	for (size_t i = 0; i + OF + 1 < n_params; i++)
		theta[i] += (real)(0.05 * gauss(i, 5));
	for (size_t i = 0; i < 2 * N; i++)
		here[i] = gauss(i, 6);
	for (size_t back = 0; back < 2; back++) {
		const struct binding in = { "x_exact", NULL, here };
		const struct capture captures[] = { { "x", x, NULL, NULL },
			{ "drift", drift, NULL, NULL } };
		const struct graph_args args = { .rows = N,
			.params = { theta },
			.inputs = &in,
			.n_inputs = back,
			.captures = captures,
			.n_captures = 2 };
		graph_forward(t->method->graph(t->state, &t->cell, back ? "sde_forward" : "sde", K,
				      t->cell.arena),
			&args);
		for (size_t i = 0; i < K; i++) {
			size_t j = back ? K - 1 - i : i;
			double beta = (double)(j + 1) / K, code = (double)(j + back) * OF / K;
			double state[N * 2];
			for (size_t r = 0; r < N * 2; r++) {
				state[r] = x[r / 2 * K * 2 + i * 2 + r % 2];
				feature[r] = beta * (0.7 - state[r]) / 0.36 -
					     (1 - beta) * state[r] / 2.25;
			}
			network_at(t, theta, code, N, state, feature, u);
			for (size_t r = 0; r < N * 2; r++) {
				double got = drift[r / 2 * K * 2 + i * 2 + r % 2];
				double expected = feature[r] + (back ? -u[r] : u[r]);
				/* Features of time at frequencies up to 100 rounded to float: codes
				 * are up to 4, so angles err by 4 * 100 * eps. */
				assert_true(fabs(got - expected) <= 1000 * (double)REAL_EPS);
				assert_true(fabs(u[r]) > 0);
			}
		}
	}
	trial_free(t);
}

/* --- a control that is known ------------------------------------------------------------------ */

/* Target N(mean, sd^2), prior N(0, 1.5^2), sigma between 1.2 and 0.6, beta the time. */
static const double MEAN = 0.7, SD = 0.6, SIGMA0 = 1.5, SIGMA_MIN = 1.2, SIGMA_MAX = 2.4;
#define GAUSSIAN "mean=0.7,std=0.6,dim=2"
#define KNOWN "steps=8,sigma0=1.5,sigma_min=1.2,sigma_max=2.4"

static double sigma_at(double time)
{
	return schedule_cosine(1 - time, SIGMA_MIN, SIGMA_MAX);
}

/* Precision and mean of the annealed density: its score is precision (mean - x). */
static double precision_at(double beta)
{
	return beta / (SD * SD) + (1 - beta) / (SIGMA0 * SIGMA0);
}

static double mean_at(double beta)
{
	return beta * MEAN / (SD * SD) / precision_at(beta);
}

enum { MOST_STEPS = 1024, MANY = 16384 };

/* The optimal control of CMCD moves the annealed densities into each other: by the continuity equation
 * sigma^2 u is the velocity of x = mean + z / sqrt(precision), z held constant. With beta = t,
 * d mean = MEAN / (SD SIGMA0 precision)^2 and d log(precision) = (1/SD^2 - 1/SIGMA0^2)/precision. */
static struct var transport(const void *context, struct var x, const double *t, size_t k)
{
	double slope[MOST_STEPS], shift[MOST_STEPS];

	(void)context;
	for (size_t i = 0; i < k; i++) {
		double time = 1 - t[i];
		double p = precision_at(time), square = sigma_at(time) * sigma_at(time);
		double drift_of_mean = MEAN / (SD * SD * SIGMA0 * SIGMA0 * p * p);
		double shrink = 0.5 * (1 / (SD * SD) - 1 / (SIGMA0 * SIGMA0)) / p;
		slope[i] = -shrink / square;
		shift[i] = (drift_of_mean + shrink * mean_at(time)) / square;
	}
	return affine(x, k, slope, shift);
}

/* Mean and variance of the chain that MCD makes, at its k + 1 states. */
struct chain {
	double mean[MOST_STEPS + 1], variance[MOST_STEPS + 1];
};

static void langevin_chain(size_t k, struct chain *c)
{
	c->mean[0] = 0;
	c->variance[0] = SIGMA0 * SIGMA0;
	for (size_t j = 0; j < k; j++) {
		double beta = (double)(j + 1) / (double)k, sigma = sigma_at((double)j / (double)k);
		double step = sigma * sigma / (double)k, pull = step * precision_at(beta);
		c->mean[j + 1] = c->mean[j] + pull * (mean_at(beta) - c->mean[j]);
		c->variance[j + 1] = c->variance[j] * (1 - pull) * (1 - pull) + 2 * step;
	}
}

/* The optimal control of MCD reverses the chain: the drift of the reversal is -f + 2 sigma^2 grad log p,
 * with the chain's own density p and f = sigma^2 grad log pi, so u = 2 (grad log pi - grad log p). */
static struct var reversal(const void *context, struct var x, const double *t, size_t k)
{
	double slope[MOST_STEPS], shift[MOST_STEPS];
	static struct chain c;

	(void)context;
	langevin_chain(k, &c);
	for (size_t i = 0; i < k; i++) {
		double time = 1 - t[i];
		size_t at = (size_t)(time * (double)k + 0.5);
		double p = precision_at(time), own = 1 / c.variance[at];
		slope[i] = -2 * (p - own);
		shift[i] = 2 * (p * mean_at(time) - own * c.mean[at]);
	}
	return affine(x, k, slope, shift);
}

/* log density of N(mean, variance I) at x [2]. */
static double gaussian_at(const double *x, double mean, double variance)
{
	double total = 0;

	for (size_t k = 0; k < 2; k++)
		total -= (x[k] - mean) * (x[k] - mean) / (2 * variance) +
			 0.5 * log(2 * 3.14159265358979324 * variance);
	return total;
}

/* Log weights of a known control: mean and variance, and of the weights. MCD does not arrive at the
 * target: what its optimal control leaves is the density of where it arrives, p, and w p/rho is 1. */
struct outcome {
	double mean, variance;
	struct weight_stats weights;
};

static struct outcome outcome_of(double *log_w, const double *x, bool arrives, size_t k, int sign)
{
	static struct chain c;
	struct outcome o = { 0, 0, { 0 } };

	langevin_chain(k, &c);
	for (size_t i = 0; i < MANY && !arrives; i++)
		log_w[i] += gaussian_at(x + 2 * i, c.mean[k], c.variance[k]) -
			    gaussian_at(x + 2 * i, MEAN, SD * SD);
	for (size_t i = 0; i < MANY; i++)
		o.mean += log_w[i] / MANY;
	for (size_t i = 0; i < MANY; i++)
		o.variance += (log_w[i] - o.mean) * (log_w[i] - o.mean) / (MANY - 1);
	stats_weights(log_w, MANY, sign, &o.weights);
	return o;
}

/* Both ways, ahead and back. */
static void run_known(bool is_mcd, size_t k, struct outcome out[2])
{
	struct trial *t = trial_start(is_mcd ? "mcd" : "cmcd", "gaussian", GAUSSIAN, KNOWN, 4);
	struct oracle *oracle = t->state;
	struct draws *d = draws_new(t, MANY, true);

	oracle->control = is_mcd ? reversal : transport;
	assert_int_equal(t->method->sample(t->state, &t->cell, t->method->passes, k, 0, d), OK);
	out[0] = outcome_of(d->log_w, d->x, !is_mcd, k, 1);
	out[1] = outcome_of(d->log_w_forward, d->x_exact, !is_mcd, k, -1);
	trial_free(t);
}

/* Errors of a step are of order dt and independent: the variance of log w falls as 1/k, its mean is
 * minus half of it (plus half of it from exact samples), the mean weight is Z = 1. The next order, 29/k
 * of the variance for CMCD at most (measured from k = 64 to 256), is 0.11 of it at k = 256; variances
 * from so many draws have relative standard errors of sqrt(2/MANY) = 0.011, of which 5 for two of them
 * are 0.08. With a sign wrong the variance does not fall at all. */
static void test_optimal_control(void **unused)
{
	(void)unused;
	for (int is_mcd = 0; is_mcd < 2; is_mcd++) {
		struct outcome few[2], many[2];
		run_known(is_mcd, MOST_STEPS / 4, few);
		run_known(is_mcd, MOST_STEPS, many);
		for (int back = 0; back < 2; back++) {
			const struct outcome *o = &many[back];
			double half = (back ? 0.5 : -0.5) * o->variance;
			double error = 5 * sqrt(o->variance / MANY);
			double ratio = few[back].variance / o->variance / 4;
			assert_true(ratio > 1 - 0.08 && ratio < 1 + 0.11 + 0.08);
			assert_true(o->variance < 0.01);
			/* The third cumulant is of the order of the variance's 3/2. */
			assert_true(fabs(o->mean - half) < error + pow(o->variance, 1.5));
			assert_true(fabs(o->weights.log_mean) < 5 * o->weights.log_mean_se);
		}
	}
}

/* --- weights where they are uneven ------------------------------------------------------------ */

static void test_weights(void **unused)
{
	static const char *const setups[][3] = {
		{ "gaussian", "mean=0.4,std=0.7,dim=3", "sigma_max=3" },
		{ "gmm9", "", "sigma0=4,sigma_max=12" },
		{ "funnel", "", "sigma_max=4" },
	};
	static const char *const losses[] = { "kl", "lv" };

	(void)unused;
	for (size_t i = 0; i < N_METHODS; i++)
		for (size_t j = 0; j < 3; j++) {
			char settings[128];
			snprintf(settings, sizeof(settings), "steps=16,batch=128,loss=%s,%s",
				losses[(i + j) % 2], setups[j][2]);
			struct trial *t = trial_start(methods_here[i], setups[j][0], setups[j][1],
				settings, 9);
			/* A fifth of the largest value is where the check says something. */
			assert_true(check_balance(t, t->method->passes, 48, 0) > 0.1);
			for (long it = 0; it < 30; it++)
				assert_int_equal(t->method->train(t->state, &t->cell, it), OK);
			check_balance(t, t->method->passes, 1, 0);
			check_balance(t, t->method->passes, 16, 1);
			assert_true(check_balance(t, t->method->passes, 48, 2) > 0.1);
			trial_free(t);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradient_kl),
		cmocka_unit_test(test_gradient_lv),
		cmocka_unit_test(test_annealing),
		cmocka_unit_test(test_network_in_drifts),
		cmocka_unit_test(test_optimal_control),
		cmocka_unit_test(test_weights),
	};

	openblas_set_num_threads(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
