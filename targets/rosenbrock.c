/*
 * Rosenbrock's function in D = 15 dimensions as an energy at temperature 10,
 *
 *     log rho(x) = -1/10 sum_{i < D} [ 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 ] + log 10^5.    (1)
 *
 * It is a Markov chain, so that all of it comes from integrals over one variable. With the factors
 * w(x) = e^{-(1 - x)^2 / 10} and k(x, y) = e^{-10 (y - x^2)^2}, what lies ahead of x_i = x and what
 * lies behind are
 *
 *     C_i(x) = integral k(x, y) w(y) C_{i+1}(y) dy,   C_{D-1} = integral k(x, y) dy,          (2)
 *     A_{i+1}(y) = integral A_i(x) w(x) k(x, y) dx,   A_1 = 1,                                (3)
 *     p(x_i) = A_i w C_i / integral,   Z = 10^5 integral w(x) C_1(x) dx,                      (4)
 *     x_{i+1} | x_i ~ k(x_i, y) w(y) C_{i+1}(y),   x_D | x_{D-1} ~ N(x_{D-1}^2, 1/20).        (5)
 *
 * As a function of y, k w is a Gaussian of precision 20.2 around (10 x^2 + 0.1) / 10.1: C_{D-2} and
 * the step to x_{D-1} are closed forms, the steps before it are that Gaussian thinned by C_{i+1}.
 */
#include "stride.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_expint.h>

/*
 * The functions of eq. 2 to 4 are on a grid. Outside of it p(x_i), i <= D - 2, is below 1e-20 of
 * its largest value. Sums stand for integrals: k is a Gaussian of x^2, so their error is of the
 * order of e^{-(2 pi / STEP)^2 / (160 x^2)}, nothing where p is something.
 */
enum { DIM = 15, TABLES = DIM - 2, NODES = 801, BAND = 401 /* k is below 1e-17 beyond x^2 +- 2 */ };

/* A grid for x_{D-1}, from LOW as well. */
enum { LAST_NODES = 2401 };

struct rosenbrock {
	double log_z, error;
	double mean[DIM], sd[DIM];
	double (*ahead)[NODES]; /* [TABLES]: C_i divided by its largest value */
	double (*mass)[NODES];  /* [TABLES]: p(x_i) STEP */
	double (*below)[NODES]; /* [TABLES]: the integral of p(x_i) up to the node */
	double *last;           /* [LAST_NODES]: p(x_{D-1}) STEP */
};

static size_t dim(const void *state)
{
	(void)state;
	return DIM;
}

/* --- the density ------------------------------------------------------------------------- */

/* |x| up to 1e6 gives r up to 1e12: its square, and x r, are finite in float. */
static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	(void)state;
	for (size_t i = 0; log_rho != NULL && i < n; i++)
		log_rho[i] = log(1e5);
	if (grad != NULL)
		memset(grad, 0, DIM * n * sizeof(*grad));
	for (size_t k = 0; k + 1 < DIM; k++) {
		const num *xk = x + k * n, *next = xk + n;
		if (log_rho != NULL) {
#pragma omp simd
			for (size_t i = 0; i < n; i++) {
				num r = next[i] - xk[i] * xk[i], d = 1 - xk[i];
				log_rho[i] -= (double)(10 * r * r + d * d / 10);
			}
		}
		if (grad != NULL) {
			num *gk = grad + k * n;
#pragma omp simd
			for (size_t i = 0; i < n; i++) {
				num r = next[i] - xk[i] * xk[i];
				gk[i] += 40 * xk[i] * r + (1 - xk[i]) / 5;
				gk[n + i] = -20 * r;
			}
		}
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	(void)state;
	memset(hv, 0, DIM * n * sizeof(*hv));
	for (size_t k = 0; k + 1 < DIM; k++) {
		const num *xk = x + k * n, *vk = v + k * n;
		num *hk = hv + k * n;
#pragma omp simd
		for (size_t i = 0; i < n; i++) {
			num h = 40 * xk[n + i] - 120 * xk[i] * xk[i] - (num)0.2;
			hk[i] += h * vk[i] + 40 * xk[i] * vk[n + i];
			hk[n + i] = 40 * xk[i] * vk[i] - 20 * vk[n + i];
		}
	}
}

/* --- the chain: of the instance in double alone ------------------------------------------ */

#ifndef STRIDE_TARGET_F32

static const double LOW = -3, STEP = 0.01;

static double node(size_t j)
{
	return LOW + STEP * (double)j;
}

static double weight(double x)
{
	return exp(-(1 - x) * (1 - x) / 10);
}

/* x_{i+1} given x_i = x before it is thinned (eq. 5). */
static double step_mean(double x)
{
	return (10 * x * x + 0.1) / 10.1;
}

#define STEP_SD sqrt(1 / 20.2)

/* k(x, y) w(y) STEP on the grid: row x has the nodes y from `from` to before `to`. */
struct kernel {
	size_t from[NODES], to[NODES];
	double value[NODES][BAND];
};

static void kernel_make(struct kernel *k)
{
	double factor[NODES];

	for (size_t i = 0; i < NODES; i++)
		factor[i] = weight(node(i)) * STEP;
	for (size_t j = 0; j < NODES; j++) {
		double square = node(j) * node(j);
		long first = lround((square - LOW) / STEP) - BAND / 2, end = first + BAND;
		k->from[j] = first < 0 ? 0 : first < NODES ? (size_t)first : NODES;
		k->to[j] = end < 0 ? 0 : end < NODES ? (size_t)end : NODES;
		for (size_t i = k->from[j]; i < k->to[j]; i++) {
			double r = node(i) - square;
			k->value[j][i - k->from[j]] = vm_exp(-10 * r * r) * factor[i];
		}
	}
}

/* Eq. 2 on every skip-th node, all of C_i. */
static void look_ahead(const struct kernel *k, size_t skip, double c[TABLES][NODES])
{
	for (size_t j = 0; j < NODES; j++) {
		double r = node(j) * node(j) - 1;
		c[TABLES - 1][j] = M_PI / sqrt(101) * exp(-r * r / 10.1);
	}
	for (size_t t = TABLES - 1; t-- > 0;)
		for (size_t j = 0; j < NODES; j += skip) {
			double sum = 0;
			for (size_t i = (k->from[j] + skip - 1) / skip * skip; i < k->to[j];
				i += skip)
				sum += k->value[j][i - k->from[j]] * c[t + 1][i];
			c[t][j] = sum * (double)skip;
		}
}

/* The last of eq. 4. */
static double total(size_t skip, const double *c)
{
	double sum = 0;

	for (size_t j = 0; j < NODES; j += skip)
		sum += weight(node(j)) * c[j];
	return log(1e5) + log(sum * STEP * (double)skip);
}

/* Eq. 3 times w: what lies behind x_{i+1} from what lies behind x_i. */
static void step_on(const struct kernel *k, const double *behind, double *next)
{
	memset(next, 0, NODES * sizeof(*next));
	for (size_t j = 0; j < NODES; j++)
		for (size_t i = k->from[j]; i < k->to[j]; i++)
			next[i] += behind[j] * k->value[j][i - k->from[j]];
}

/* The integral of a function up to each node: that of the sinc series through its values, which is
 * the function itself where sums are integrals. step[NODES + j] is the integral of the sinc of node
 * 0 up to node j. */
static void integrate(const double *mass, const double *step, double *below)
{
	memset(below, 0, NODES * sizeof(*below));
	for (size_t i = 0; i < NODES; i++)
		for (size_t j = 0; j < NODES; j++)
			below[j] += mass[i] * step[NODES + j - i];
}

static void mean_and_sd(size_t n, const double *mass, double *mean, double *sd)
{
	*mean = *sd = 0;
	for (size_t j = 0; j < n; j++)
		*mean += mass[j] * node(j);
	for (size_t j = 0; j < n; j++)
		*sd += mass[j] * pow(node(j) - *mean, 2);
	*sd = sqrt(*sd);
}

/* x_{D-1} and x_D by the closed forms of their steps. */
static void finish(struct rosenbrock *s)
{
	const double *mass = s->mass[TABLES - 1];
	double square = 0, fourth = 0;

	memset(s->last, 0, LAST_NODES * sizeof(*s->last));
	for (size_t j = 0; j < NODES; j++) {
		const double centre = step_mean(node(j)), sd = STEP_SD;
		for (size_t i = 0; mass[j] > 0 && i < LAST_NODES; i++) {
			double z = (node(i) - centre) / sd;
			if (fabs(z) < 9)
				s->last[i] += mass[j] * STEP / sd * exp(-(z * z + LOG_2PI) / 2);
		}
	}
	mean_and_sd(LAST_NODES, s->last, &s->mean[DIM - 2], &s->sd[DIM - 2]);
	for (size_t i = 0; i < LAST_NODES; i++) {
		square += s->last[i] * pow(node(i), 2);
		fourth += s->last[i] * pow(node(i), 4);
	}
	s->mean[DIM - 1] = square;
	s->sd[DIM - 1] = sqrt(fourth - square * square + 0.05);
}

static int init(void *state, struct arena *a)
{
	struct rosenbrock *s = state;

	s->ahead = arena_zalloc(a, TABLES, sizeof(*s->ahead));
	s->mass = arena_zalloc(a, TABLES, sizeof(*s->mass));
	s->below = arena_zalloc(a, TABLES, sizeof(*s->below));
	s->last = ARENA_NEW(a, LAST_NODES, double);
	const struct arena_mark mark = arena_mark(a);
	struct kernel *k = arena_alloc(a, 1, sizeof(*k));
	double behind[NODES], next[NODES], step[2 * NODES];

	kernel_make(k);
	look_ahead(k, 2, s->ahead);
	double coarse = total(2, s->ahead[0]);
	look_ahead(k, 1, s->ahead);
	s->log_z = total(1, s->ahead[0]);
	s->error = fabs(s->log_z - coarse) + 1e-14;
	for (size_t j = 0; j < NODES; j++) {
		double half = gsl_sf_Si(M_PI * (double)j) / M_PI;
		step[NODES + j] = 0.5 + half;
		step[NODES - j] = 0.5 - half;
		behind[j] = weight(node(j));
	}
	for (size_t t = 0; t < TABLES; t++) {
		double *mass = s->mass[t], *c = s->ahead[t], sum = 0, largest = 0;
		for (size_t j = 0; j < NODES; j++) {
			mass[j] = behind[j] * c[j];
			sum += mass[j];
			largest = fmax(largest, c[j]);
		}
		for (size_t j = 0; j < NODES; j++) {
			mass[j] /= sum;
			c[j] /= largest;
		}
		mean_and_sd(NODES, mass, &s->mean[t], &s->sd[t]);
		integrate(mass, step, s->below[t]);
		step_on(k, behind, next);
		memcpy(behind, next, sizeof(behind));
	}
	arena_release(a, mark);
	finish(s);
	return OK;
}

/* A table at x by the polynomial through the 10 nodes around x (Neville); the functions go over to
 * constants at the ends of the grid. */
static double lookup(const double *table, double x)
{
	enum { POINTS = 10 };
	double u = (x - LOW) / STEP, p[POINTS];

	u = fmax(0, fmin(NODES - 1, u));
	double first = fmax(0, fmin(NODES - POINTS, floor(u) - POINTS / 2 + 1));
	memcpy(p, table + (size_t)first, sizeof(p));
	u -= first;
	for (size_t m = 1; m < POINTS; m++)
		for (size_t i = 0; i + m < POINTS; i++)
			p[i] = (((double)(i + m) - u) * p[i] + (u - (double)i) * p[i + 1]) /
			       (double)m;
	return p[0];
}

/* --- what is known of it ----------------------------------------------------------------- */

/* Eq. 5, and x_1 ~ w C_1. C_i is at most 1.002 of its largest value on the grid: it is the mean of
 * a function of a Gaussian of deviation sqrt(1/20) around x^2 and not more curved than that. */
static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct rosenbrock *s = state;
	const double envelope = 1.01;

	for (uint32_t k = 0; k < DIM; k++) {
		double centre = k == 0        ? 1
				: k + 1 < DIM ? step_mean(x[k - 1])
					      : x[k - 1] * x[k - 1];
		double sd = k == 0 ? sqrt(5) : k + 1 < DIM ? STEP_SD : sqrt(0.05);
		uint32_t attempt = 0;
		do {
			x[k] = centre + sd * rng_gauss(r, attempt, row, 2 * k);
		} while (k < TABLES && !(rng_uniform(r, attempt++, row, 2 * k + 1) * envelope <
					       lookup(s->ahead[k], x[k])));
	}
}

static void log_z(const void *state, struct log_z *out)
{
	const struct rosenbrock *s = state;

	*out = (struct log_z){ LOG_Z_QUADRATURE, s->log_z, s->error,
		"a chain of 1-D quadratures; against twice the step" };
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct rosenbrock *s = state;

	memcpy(mean, s->mean, sizeof(s->mean));
	memcpy(sd, s->sd, sizeof(s->sd));
}

/* x_{D-1} and x_D are mixtures of normals over what comes before them. */
static double cdf(const void *state, size_t k, double x)
{
	const struct rosenbrock *s = state;
	const double *mass = s->mass[TABLES - 1];
	double sum = 0;

	if (isnan(x))
		return x;
	if (k < TABLES)
		return lookup(s->below[k], x);
	for (size_t j = 0; k == DIM - 2 && j < NODES; j++)
		sum += mass[j] * gsl_cdf_ugaussian_P((x - step_mean(node(j))) / STEP_SD);
	for (size_t j = 0; k == DIM - 1 && j < LAST_NODES; j++)
		sum += s->last[j] * gsl_cdf_ugaussian_P((x - node(j) * node(j)) / sqrt(0.05));
	return sum;
}

#endif

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -2, 2, -1, 3 };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Rosenbrock (15-D)",
	.paper = "Rosenbrock 1960, The Computer Journal 3, 175-184; Jutras-Dube, Pynadath and "
		 "Zhang 2025, arXiv 2502.07579 (with temperature 10)",
	.note = "Published code knows no log Z and has no sampler; both are here, because the "
		"density is a Markov chain from coordinate to coordinate. The constant log 10^5 "
		"is the published one and normalises nothing.",
	.state_size = sizeof(struct rosenbrock),
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.window = window,
#ifndef STRIDE_TARGET_F32
	.init = init,
	.draw = draw,
	.log_z = log_z,
	.moments = moments,
	.cdf = cdf,
#endif
};
