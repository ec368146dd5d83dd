/*
 * The Lorenz bridge: 30 states of Lorenz's system with noise, s_t = (x_t, y_t, z_t), whose first
 * coordinate is seen with noise at the first and the last ten steps. With h = 0.02, q = 0.1^2 h,
 *
 *     s_0 ~ N(0, I),  s_{t+1} ~ N(m(s_t), q I),  m(s) = s + h F(s),                            (1)
 *     F(s) = (10 (y - x), x (28 - z) - y, x y - 8 z / 3),   o_t ~ N(x_t, 1) where observed,    (2)
 *     log rho = -|s_0|^2 / 2 - sum_t |r_t|^2 / (2 q) - sum (o_t - x_t)^2 / 2
 *               - (87/2) log(2 pi q) - (23/2) log(2 pi),   r_t = s_{t+1} - m(s_t),             (3)
 *
 * in the order x_0, y_0, z_0, x_1, .. With J = dm/ds, the derivative along s_t of the step that
 * leads there is -r_{t-1} / q, and of the one that leaves is J(s_t)' r_t / q.
 *
 * The proposal for importance sampling. If psi_t(s) = exp(-s' A_t s / 2 + b_t' s) were the
 * likelihood of all observations from t on given s_t = s, then these would be exact samples:
 *
 *     s_0 ~ N(0, I) psi_0,  s_{t+1} ~ N(m(s_t), q I) psi_{t+1},  each a Gaussian.              (4)
 *
 * psi_t is made from psi_{t+1} backwards: that is integrated over the noise,
 *
 *     A~ = A (I + q A)^-1,  b~ = (I + q A)^-1 b,   as a function of m(s),                      (5)
 *
 * with m linear about the mode of rho, and multiplied by the density of o_t. The mode is found by
 * the same recursion, as an iterated extended Kalman smoother. Since eq. 4 itself uses m as it is,
 * the weights vary only as far as psi is not Gaussian. A mixture of eq. 4 with psi to the powers 1,
 * 1/2 and 0, the last of which is the prior, has tails no lighter than those of rho: rho is the
 * prior times a bounded likelihood.
 */
#include "stride.h"
#include "core/series.h"

#define DATA "lorenz.csv"

enum { STEPS = 30, AXES = 3, DIM = STEPS * AXES, SEEN = 20 };

static const double H = 0.02, Q = 0.1 * 0.1 * 0.02;

/* psi_t of eq. 4, to a power. */
struct potential {
	double a[AXES * AXES], b[AXES];
};

/* N(mean, C) as a function of b: mean = C b, C = (P + A)^-1 where P is the precision of the
 * prior. */
struct step {
	double covariance[AXES * AXES], root[AXES * AXES]; /* root: lower Cholesky factor of it */
	double b[AXES];
	double log_det; /* of root */
};

enum { POWERS = 3 };

struct lorenz {
	num o[STEPS], seen[STEPS]; /* o is 0 where seen is 0, which otherwise is 1 */
	struct step step[POWERS][STEPS];
};

/* --- dynamics ---------------------------------------------------------------------------- */

/* m(s) - s */
static inline void drift(num x, num y, num z, num *d)
{
	const num h = (num)H;

	d[0] = 10 * h * (y - x);
	d[1] = h * (x * (28 - z) - y);
	d[2] = h * (x * y - (num)(8.0 / 3) * z);
}

/* J' r */
static inline void pull_back(num x, num y, num z, const num *r, num *out)
{
	const num h = (num)H;

	out[0] = r[0] + h * (-10 * r[0] + (28 - z) * r[1] + y * r[2]);
	out[1] = r[1] + h * (10 * r[0] - r[1] + x * r[2]);
	out[2] = r[2] + h * (-x * r[1] - (num)(8.0 / 3) * r[2]);
}

/* J v */
static inline void push(num x, num y, num z, const num *v, num *out)
{
	const num h = (num)H;

	out[0] = v[0] + 10 * h * (v[1] - v[0]);
	out[1] = v[1] + h * ((28 - z) * v[0] - v[1] - x * v[2]);
	out[2] = v[2] + h * (y * v[0] + x * v[1] - (num)(8.0 / 3) * v[2]);
}

/* --- evaluation -------------------------------------------------------------------------- */

/* |x| up to 1e6 gives r up to 2e10, |r|^2 / q up to 1e25 and a gradient up to 1e19: finite in
 * float. Neighbouring states are subtracted first, which loses nothing where they are close. */
static void eval_block(const void *state, size_t n, size_t count, const num *s, double *log_rho,
	num *grad)
{
	const struct lorenz *l = state;
	const num precision = (num)(1 / Q);
	double constant = -(DIM - AXES) * (LOG_2PI + log(Q)) / 2 - (AXES + SEEN) * LOG_2PI / 2;

	if (log_rho != NULL) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			log_rho[i] = constant - (double)(s[i] * s[i] + s[n + i] * s[n + i] +
							 s[2 * n + i] * s[2 * n + i]) /
							2;
	}
	if (grad != NULL) {
		for (size_t k = 0; k < AXES; k++)
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				grad[k * n + i] = -s[k * n + i];
	}
	for (size_t t = 0; t < STEPS; t++) {
		const num *x = s + AXES * t * n, *y = x + n, *z = y + n;
		num *g = grad != NULL ? grad + AXES * t * n : NULL;
		const num o = l->o[t], seen = l->seen[t];
		if (log_rho != NULL) {
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				log_rho[i] -= (double)(seen * (o - x[i]) * (o - x[i])) / 2;
		}
		if (grad != NULL) {
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				g[i] += seen * (o - x[i]);
		}
		if (t + 1 == STEPS)
			break;
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num d[AXES], r[AXES], back[AXES];
			drift(x[i], y[i], z[i], d);
			for (size_t k = 0; k < AXES; k++)
				r[k] = (z[(1 + k) * n + i] - x[k * n + i]) - d[k];
			if (log_rho != NULL)
				log_rho[i] -= (double)(precision *
						       (r[0] * r[0] + r[1] * r[1] + r[2] * r[2])) /
					      2;
			if (grad != NULL) {
				for (size_t k = 0; k < AXES; k++)
					r[k] *= precision;
				pull_back(x[i], y[i], z[i], r, back);
				for (size_t k = 0; k < AXES; k++) {
					g[k * n + i] += back[k];
					g[(AXES + k) * n + i] = -r[k];
				}
			}
		}
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

/* Along v: dr = v_{t+1} - J v_t, and (dJ)' r of the terms x z and x y of F. */
static void hvp_block(const void *state, size_t n, size_t count, const num *s, const num *v,
	num *hv)
{
	const struct lorenz *l = state;
	const num precision = (num)(1 / Q), h = (num)H;

	for (size_t k = 0; k < AXES; k++)
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			hv[k * n + i] = -v[k * n + i];
	for (size_t t = 0; t < STEPS; t++) {
		const num *x = s + AXES * t * n, *y = x + n, *z = y + n, *vt = v + AXES * t * n;
		num *out = hv + AXES * t * n;
		const num seen = l->seen[t];
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			out[i] -= seen * vt[i] + 0 * x[i]; /* NaN stays */
		if (t + 1 == STEPS)
			break;
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num d[AXES], at[AXES], dm[AXES], r[AXES], dr[AXES], back[AXES];
			for (size_t k = 0; k < AXES; k++)
				at[k] = vt[k * n + i];
			drift(x[i], y[i], z[i], d);
			push(x[i], y[i], z[i], at, dm);
			for (size_t k = 0; k < AXES; k++) {
				r[k] = precision * ((z[(1 + k) * n + i] - x[k * n + i]) - d[k]);
				dr[k] = precision * (vt[(AXES + k) * n + i] - dm[k]);
			}
			pull_back(x[i], y[i], z[i], dr, back);
			back[0] += h * (-at[2] * r[1] + at[1] * r[2]);
			back[1] += h * (at[0] * r[2]);
			back[2] += h * (-at[0] * r[1]);
			for (size_t k = 0; k < AXES; k++) {
				out[k * n + i] += back[k];
				out[(AXES + k) * n + i] = -dr[k];
			}
		}
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

/* --- the proposal: of the instance in double alone --------------------------------------- */

#ifndef STRIDE_TARGET_F32

static const double POWER[POWERS] = { 1, 0.5, 0 }, SHARE[POWERS] = { 0.8, 0.15, 0.05 };

/* Lower Cholesky factor; false where there is none. Matrices are row-major [AXES][AXES]. */
static bool factorise(const double *a, double *l)
{
	for (size_t i = 0; i < AXES; i++)
		for (size_t j = 0; j < AXES; j++) {
			double sum = a[i * AXES + j];
			for (size_t k = 0; k < (i < j ? i : j); k++)
				sum -= l[i * AXES + k] * l[j * AXES + k];
			if (i == j && !(sum > 0))
				return false;
			l[i * AXES + j] = j > i ? 0 : j == i ? sqrt(sum) : sum / l[j * AXES + j];
		}
	return true;
}

/* v = L^-1 v */
static void solve(const double *l, double *v)
{
	for (size_t i = 0; i < AXES; i++) {
		for (size_t k = 0; k < i; k++)
			v[i] -= l[i * AXES + k] * v[k];
		v[i] /= l[i * AXES + i];
	}
}

/* Inverse of a positive definite matrix. */
static bool invert(const double *a, double *out)
{
	double l[AXES * AXES], column[AXES][AXES];

	if (!factorise(a, l))
		return false;
	for (size_t c = 0; c < AXES; c++) { /* of L^-1 */
		for (size_t i = 0; i < AXES; i++)
			column[c][i] = i == c;
		solve(l, column[c]);
	}
	for (size_t i = 0; i < AXES; i++)
		for (size_t j = 0; j < AXES; j++) {
			double sum = 0;
			for (size_t k = 0; k < AXES; k++)
				sum += column[i][k] * column[j][k];
			out[i * AXES + j] = sum;
		}
	return true;
}

static void multiply(const double *a, const double *v, double *out)
{
	for (size_t i = 0; i < AXES; i++, a += AXES)
		out[i] = a[0] * v[0] + a[1] * v[1] + a[2] * v[2];
}

static void next_mean(const double *s, double *m)
{
	drift(s[0], s[1], s[2], m);
	for (size_t k = 0; k < AXES; k++)
		m[k] += s[k];
}

/* Eq. 5 as a function of s, with m linear about s. */
static bool pull_potential(const struct potential *after, const double *s, struct potential *psi)
{
	double noisy[AXES * AXES], shrink[AXES * AXES], a[AXES * AXES];
	double m[AXES], force[AXES], tilt[AXES], back[AXES];

	for (size_t j = 0; j < AXES * AXES; j++)
		noisy[j] = (j % (AXES + 1) == 0) + Q * after->a[j];
	if (!invert(noisy, shrink))
		return false;
	for (size_t j = 0; j < AXES; j++) /* A~ is symmetric, as the factors commute */
		multiply(shrink, after->a + j * AXES, a + j * AXES);
	for (size_t j = 0; j < AXES; j++) { /* row j of J' A~ J */
		double unit[AXES] = { j == 0, j == 1, j == 2 }, column[AXES], row[AXES];
		push(s[0], s[1], s[2], unit, column);
		multiply(a, column, row);
		pull_back(s[0], s[1], s[2], row, psi->a + j * AXES);
	}
	/* b = J' A~ J s - gradient at s, which is J' (A~ m - b~). */
	next_mean(s, m);
	multiply(a, m, force);
	multiply(shrink, after->b, tilt);
	for (size_t k = 0; k < AXES; k++)
		force[k] -= tilt[k];
	pull_back(s[0], s[1], s[2], force, back);
	multiply(psi->a, s, psi->b);
	for (size_t k = 0; k < AXES; k++)
		psi->b[k] -= back[k];
	return true;
}

/* psi_t, t = 0 .. STEPS - 1, with m linear about a path. */
static int expand(const struct lorenz *l, double path[STEPS][AXES], struct potential psi[STEPS])
{
	for (size_t t = STEPS; t-- > 0;) {
		psi[t] = (struct potential){ 0 };
		if (t + 1 < STEPS && !pull_potential(&psi[t + 1], path[t], &psi[t]))
			return fail(ERR_NUMERIC, "the Lorenz bridge has no smoother at step %zu",
				t);
		psi[t].a[0] += l->seen[t];
		psi[t].b[0] += l->seen[t] * l->o[t];
	}
	return OK;
}

/* The Gaussians of eq. 4 with psi to a power. */
static int make_steps(const struct potential psi[STEPS], double power, struct step step[STEPS])
{
	for (size_t t = 0; t < STEPS; t++) {
		double precision[AXES * AXES];
		struct step *s = &step[t];
		for (size_t j = 0; j < AXES * AXES; j++)
			precision[j] = power * psi[t].a[j] + (j % (AXES + 1) > 0 ? 0
								     : t > 0     ? 1 / Q
										 : 1);
		if (!invert(precision, s->covariance) || !factorise(s->covariance, s->root))
			return fail(ERR_NUMERIC, "the Lorenz bridge has no proposal at step %zu",
				t);
		s->log_det = 0;
		for (size_t k = 0; k < AXES; k++) {
			s->b[k] = power * psi[t].b[k];
			s->log_det += log(s->root[k * AXES + k]);
		}
	}
	return OK;
}

/* Mean of step t given the state before. */
static void step_mean(const struct step *s, const double *before, double *mean)
{
	double b[AXES], m[AXES];

	memcpy(b, s->b, sizeof(b));
	if (before != NULL) {
		next_mean(before, m);
		for (size_t k = 0; k < AXES; k++)
			b[k] += m[k] / Q;
	}
	multiply(s->covariance, b, mean);
}

/* Where the search for the mode starts: x as observed, between observations on a line; y and z as
 * the dynamics have them for such an x. */
static void start_path(const struct lorenz *l, double path[STEPS][AXES])
{
	size_t last = 0;

	memset(path, 0, STEPS * sizeof(path[0]));
	for (size_t t = 0; t < STEPS; t++) {
		if (!(l->seen[t] > 0))
			continue;
		for (size_t between = last; between <= t; between++)
			path[between][0] = l->o[last] + (l->o[t] - l->o[last]) *
								(double)(between - last) /
								fmax(1, (double)(t - last));
		last = t;
	}
	for (size_t t = 0; t + 1 < STEPS; t++) {
		double *s = path[t], *next = path[t + 1];
		s[1] = s[0] + (next[0] - s[0]) / (10 * H);
		next[1] = s[1];
		next[2] = s[2] + H * (s[0] * s[1] - 8 * s[2] / 3);
	}
}

/* The mode: eq. 4 without its noise leads from one path to the next, until none moves. */
static int find_mode(const struct lorenz *l, double path[STEPS][AXES], struct potential psi[STEPS])
{
	struct step step[STEPS];
	double moved = HUGE_VAL;

	start_path(l, path);
	for (size_t iteration = 0; iteration < 200 && moved > 1e-9; iteration++) {
		TRY(expand(l, path, psi));
		TRY(make_steps(psi, 1, step));
		moved = 0;
		for (size_t t = 0; t < STEPS; t++) {
			double mean[AXES];
			step_mean(&step[t], t > 0 ? path[t - 1] : NULL, mean);
			for (size_t k = 0; k < AXES; k++) {
				moved = fmax(moved, fabs(mean[k] - path[t][k]));
				path[t][k] = mean[k];
			}
		}
	}
	if (!(moved <= 1e-9))
		return fail(ERR_NUMERIC, "the mode of the Lorenz bridge was not found");
	return OK;
}

static int prepare(struct lorenz *l)
{
	double path[STEPS][AXES];
	struct potential psi[STEPS];

	TRY(find_mode(l, path, psi));
	for (size_t c = 0; c < POWERS; c++)
		TRY(make_steps(psi, POWER[c], l->step[c]));
	return OK;
}

/* Log density of a path under one component. */
static double component(const struct step step[STEPS], const double *x)
{
	double result = -DIM * LOG_2PI / 2;

	for (size_t t = 0; t < STEPS; t++, x += AXES) {
		const struct step *s = &step[t];
		double mean[AXES], v[AXES];
		step_mean(s, t > 0 ? x - AXES : NULL, mean);
		for (size_t k = 0; k < AXES; k++)
			v[k] = x[k] - mean[k];
		solve(s->root, v);
		result -= (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) / 2;
		result -= s->log_det;
	}
	return result;
}

static double propose(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct lorenz *l = state;
	double u = rng_uniform(r, 0, row, 0), log_q[POWERS], top = -HUGE_VAL, sum = 0;
	size_t chosen = 0;

	while (chosen + 1 < POWERS && u >= SHARE[chosen])
		u -= SHARE[chosen++];
	for (size_t t = 0; t < STEPS; t++) {
		const struct step *s = &l->step[chosen][t];
		double *here = x + AXES * t;
		step_mean(s, t > 0 ? here - AXES : NULL, here);
		for (size_t k = 0; k < AXES; k++) {
			double e = rng_gauss(r, 1, row, (uint32_t)(AXES * t + k));
			for (size_t i = k; i < AXES; i++)
				here[i] += s->root[i * AXES + k] * e;
		}
	}
	for (size_t c = 0; c < POWERS; c++) {
		log_q[c] = log(SHARE[c]) + component(l->step[c], x);
		top = fmax(top, log_q[c]);
	}
	for (size_t c = 0; c < POWERS; c++)
		sum += exp(log_q[c] - top);
	return top + log(sum);
}

#endif

/* --- preparation ------------------------------------------------------------------------- */

static int init(void *state, struct arena *a)
{
	struct lorenz *l = state;
	double o[STEPS];
	bool seen[STEPS];

	TRY(series_read(data_path(DATA, a), "x_obs", STEPS, SEEN, o, seen, a));
	for (size_t t = 0; t < STEPS; t++) {
		l->o[t] = (num)o[t];
		l->seen[t] = seen[t];
	}
#ifndef STRIDE_TARGET_F32
	TRY(prepare(l));
#endif
	return OK;
}

static size_t dim(const void *state)
{
	(void)state;
	return DIM;
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -2.2, 1.6, -3, 2 };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Lorenz bridge",
	.paper = "Sountsov et al. 2020, Inference Gym (convection Lorenz bridge); code of OSDS, "
		 "arXiv 2512.05251",
	.note = "The published code computes in float32 whatever is asked.",
	.data = DATA,
	.state_size = sizeof(struct lorenz),
	.init = init,
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.window = window,
#ifndef STRIDE_TARGET_F32
	.propose = propose,
#endif
};
