#include "mc/fit.h"

#include "stride.h"

#include <cblas.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_gamma.h>
#include <lapacke.h>

enum { NEWTON_STEPS = 200, HALVINGS = 40 };

/* cov [dim][dim] becomes its lower Cholesky factor, the rest 0. */
static int factorise(struct fit *f, double *cov, double widen, struct arena *a)
{
	const size_t dim = f->dim;
	double *variance = ARENA_NEW(a, dim, double);

	bool good;

	for (size_t j = 0; j < dim * dim; j++)
		cov[j] *= widen;
	for (size_t j = 0; j < dim; j++)
		variance[j] = cov[j * dim + j];
	good = LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)dim, cov, (int)dim) == 0;
	/* What the others leave of a coordinate's variance is more than rounding. */
	for (size_t j = 0; j < dim; j++)
		good = good && pow(cov[j * dim + j], 2) > 1e-13 * (double)dim * variance[j];
	if (!good)
		return fail(ERR_NUMERIC,
			"the covariance of a fit in %zu dimensions is not positive "
			"definite",
			dim);
	f->factor = cov;
	f->log_det = 0;
	for (size_t j = 0; j < dim; j++) {
		f->log_det += log(cov[j * dim + j]);
		for (size_t k = j + 1; k < dim; k++)
			cov[j * dim + k] = 0;
	}
	return OK;
}

/* --- Laplace ---------------------------------------------------------------------------------- */

struct hessian {
	const struct density *d;
	const double *x;
	double *h; /* [dim][dim] */
};

/* Columns of the negative Hessian: a block of unit vectors. */
static void hessian_block(void *context, size_t b)
{
	const struct hessian *job = context;
	const size_t dim = density_dim(job->d), first = b * TARGET_BLOCK;
	const size_t n = dim - first < TARGET_BLOCK ? dim - first : TARGET_BLOCK;
	struct arena *a = arena_new();
	double *x = arena_alloc(a, dim * n, sizeof(*x)), *v = ARENA_NEW(a, dim * n, double);
	double *hv = arena_alloc(a, dim * n, sizeof(*hv));

	for (size_t k = 0; k < dim; k++)
		for (size_t i = 0; i < n; i++)
			x[k * n + i] = job->x[k];
	for (size_t i = 0; i < n; i++)
		v[(first + i) * n + i] = -1;
	invariant(density_hvp(job->d, n, x, v, hv) == OK);
	for (size_t k = 0; k < dim; k++)
		for (size_t i = 0; i < n; i++)
			job->h[(first + i) * dim + k] = hv[k * n + i];
	arena_free(a);
}

static int negative_hessian(const struct density *d, const double *x, double *h)
{
	const size_t dim = density_dim(d);
	struct hessian job = { d, x, h };

	parallel_for((dim + TARGET_BLOCK - 1) / TARGET_BLOCK, hessian_block, &job);
	if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)dim, h, (int)dim) != 0)
		return fail(ERR_NUMERIC,
			"target %s: its Hessian is not negative definite on the way to the mode",
			density_target(d)->name);
	return OK;
}

/* x += step, halved until log rho grows. *moved: whether it did. */
static void line_search(const struct density *d, double *x, const double *step, double *trial,
	bool *moved)
{
	double before, after, length = 1;

	density_eval(d, 1, x, &before, NULL);
	*moved = false;
	for (size_t i = 0; i < HALVINGS && !*moved; i++, length /= 2) {
		for (size_t k = 0; k < density_dim(d); k++)
			trial[k] = x[k] + length * step[k];
		density_eval(d, 1, trial, &after, NULL);
		*moved = after > before;
	}
	if (*moved)
		memcpy(x, trial, density_dim(d) * sizeof(*x));
}

int fit_laplace(struct fit *out, const struct density *d, const double *start, double widen,
	struct arena *a)
{
	const size_t dim = density_dim(d);
	const int n = (int)dim;
	double *x = ARENA_NEW(a, dim, double), *grad = ARENA_NEW(a, dim, double);
	double *step = ARENA_NEW(a, dim, double), *h = ARENA_NEW(a, dim * dim, double);
	double *trial = ARENA_NEW(a, dim, double), decrement = HUGE_VAL;
	bool moved = true;

	if (density_target(d)->hvp == NULL)
		return fail(ERR_UNSUP, "target %s has no Hessian-vector product",
			density_target(d)->name);
	if (start != NULL)
		memcpy(x, start, dim * sizeof(*x));
	for (size_t i = 0; i < NEWTON_STEPS && moved && decrement > 1e-12; i++) {
		if (parallel_stopping())
			return fail(ERR_INTERRUPTED, "interrupted on the way to a mode");
		density_eval(d, 1, x, NULL, grad);
		TRY(negative_hessian(d, x, h));
		memcpy(step, grad, dim * sizeof(*step));
		if (LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', n, 1, h, n, step, 1) != 0)
			return fail(ERR_NUMERIC, "target %s: Newton's step cannot be solved for",
				density_target(d)->name);
		decrement = cblas_ddot(n, step, 1, grad, 1);
		line_search(d, x, step, trial, &moved);
	}
	/* Where rounding ends the climb, the decrement is in units of log rho. */
	if (!(decrement < 1e-6))
		return fail(ERR_NUMERIC, "target %s: no mode was found", density_target(d)->name);
	TRY(negative_hessian(d, x, h));
	if (LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', n, h, n) != 0)
		return fail(ERR_NUMERIC, "target %s: its Hessian cannot be inverted",
			density_target(d)->name);
	for (size_t j = 0; j < dim; j++)
		for (size_t k = j + 1; k < dim; k++)
			h[j * dim + k] = h[k * dim + j];
	*out = (struct fit){ .dim = dim, .mean = x };
	return factorise(out, h, widen, a);
}

/* --- points ----------------------------------------------------------------------------------- */

/* Normalised weights [n] in the arena. */
static double *weights(size_t n, const double *log_w, struct arena *a)
{
	double *w = arena_alloc(a, n, sizeof(*w)), top = -HUGE_VAL, sum = 0;

	for (size_t i = 0; log_w != NULL && i < n; i++)
		top = fmax(top, log_w[i]);
	for (size_t i = 0; i < n; i++)
		sum += w[i] = log_w != NULL ? exp(log_w[i] - top) : 1;
	for (size_t i = 0; i < n; i++)
		w[i] /= sum;
	return w;
}

void fit_moments(size_t n, size_t dim, const double *x, const double *log_w, double *mean,
	double *sd)
{
	struct arena *a = arena_new();
	const double *w = weights(n, log_w, a);

	memset(mean, 0, dim * sizeof(*mean));
	memset(sd, 0, dim * sizeof(*sd));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			mean[k] += w[i] * x[i * dim + k];
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			sd[k] += w[i] * pow(x[i * dim + k] - mean[k], 2);
	for (size_t k = 0; k < dim; k++)
		sd[k] = sqrt(sd[k]);
	arena_free(a);
}

int fit_points(struct fit *out, size_t n, size_t dim, const double *x, const double *log_w,
	double widen, struct arena *a)
{
	double *mean = ARENA_NEW(a, dim, double), *cov = ARENA_NEW(a, dim * dim, double);
	double *sd = ARENA_NEW(a, dim, double);
	struct arena *scratch = arena_new();
	const double *w = weights(n, log_w, scratch);
	double *y = arena_alloc(scratch, n * dim, sizeof(*y));

	fit_moments(n, dim, x, log_w, mean, sd);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			y[i * dim + k] = sqrt(w[i]) * (x[i * dim + k] - mean[k]);
	cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)dim, (int)n, 1, y, (int)dim, 0, cov,
		(int)dim);
	arena_free(scratch);
	*out = (struct fit){ .dim = dim, .mean = mean };
	return factorise(out, cov, widen, a);
}

/* --- the multivariate t ----------------------------------------------------------------------- */

double fit_draw_t(const struct fit *f, double freedom, struct rng r, uint64_t row, double *z,
	double *x)
{
	const uint32_t dim = (uint32_t)f->dim;
	const double half = (freedom + (double)dim) / 2;
	double chi = gsl_cdf_chisq_Pinv(rng_uniform(r, 0, row, dim), freedom), square = 0;

	for (uint32_t k = 0; k < dim; k++) {
		z[k] = rng_gauss(r, 0, row, k) * sqrt(freedom / chi);
		square += z[k] * z[k];
	}
	memcpy(x, z, dim * sizeof(*x));
	cblas_dtrmv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)dim, f->factor,
		(int)dim, x, 1);
	for (uint32_t k = 0; k < dim; k++)
		x[k] += f->mean[k];
	return gsl_sf_lngamma(half) - gsl_sf_lngamma(freedom / 2) -
	       (double)dim / 2 * log(freedom * M_PI) - f->log_det - half * log1p(square / freedom);
}
