/* The contract of targets: every registered target is checked, none is listed here. Named ones
 * appear only where something more is known of them. */
#include "targets.h"

#include "core/stats.h"
#include "mc/fit.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_gamma.h>

/* One test function over all targets; the name of the target is printed on failure. */
static void each_target(void (*check)(struct fixture *f))
{
	for (size_t i = 0; targets[i] != NULL; i++) {
		struct fixture f;
		fixture_open(&f, targets[i]->name, NULL, 0);
		check(&f);
		arena_free(f.a);
	}
}

/* The coordinates that are looked at one by one: all, or where they are many a fixed choice with the
 * first and the last. */
enum { LOOKED_AT = 48 };

static size_t looked_at(const struct fixture *f)
{
	return f->dim < LOOKED_AT ? f->dim : LOOKED_AT;
}

static size_t coordinate(const struct fixture *f, size_t i)
{
	if (f->dim <= LOOKED_AT || i < 4)
		return i;
	if (i >= LOOKED_AT - 4)
		return f->dim - (LOOKED_AT - i);
	return (size_t)rng_below(stream, 10, i, 0, f->dim);
}

/* --- points ------------------------------------------------------------------------------ */

/* Coordinate-major points x [dim][n]: exact samples where there are any, otherwise normals, every
 * other point with noise added, of scale 1 to 30, or to 10 around normals. Full-digit numbers
 * everywhere. */
static void typical_points(const struct fixture *f, size_t n, double *x)
{
	double *row = arena_alloc(f->a, f->dim, sizeof(*row));

	for (size_t i = 0; i < n; i++) {
		if (f->t->draw != NULL)
			assert_int_equal(density_draw(f->d, stream, i, 1, row), OK);
		else
			for (size_t k = 0; k < f->dim; k++)
				row[k] = rng_gauss(stream, 1, i, (uint32_t)k);
		double most = f->t->draw != NULL ? 30 : 10;
		double scale = i % 2 == 0 ? 0 : pow(most, (double)i / (double)n);
		for (size_t k = 0; k < f->dim; k++)
			x[k * n + i] = row[k] + scale * rng_gauss(stream, 2, i, (uint32_t)k);
	}
}

/* Points with |x| up to 1e6: all corners of trouble that have a name, then every order of
 * magnitude. */
static void far_points(const struct fixture *f, size_t n, double *x)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < f->dim; k++) {
			double u = rng_uniform(stream, 3, i, (uint32_t)k);
			double sign = rng_uniform(stream, 4, i, (uint32_t)k) < 0.5 ? -1 : 1;
			double far[] = { 0, 1e6, -1e6, k == 0 ? 1e6 : 0, k == 0 ? -1e6 : 0,
				k == 0 ? -1e6 : 1e6, k == 0 ? 0 : 1e6, k % 2 == 0 ? 1e6 : -1e6,
				k == 0 ? -90 : 1e6, k == 0 ? -90 : 0, k == 0 ? 90 : 1e6 };
			x[k * n + i] = i < sizeof(far) / sizeof(far[0])
					       ? far[i]
					       : sign * pow(10, 12 * u - 6);
		}
	}
}

/* --- derivatives ------------------------------------------------------------------------- */

/* A central difference over h and h/2, with Richardson's extrapolation of the two and what is known
 * of its error. */
struct difference {
	double value, error;
};

/* size bounds the values that were subtracted. */
static struct difference extrapolate(double plus, double minus, double half_plus, double half_minus,
	double h, double size)
{
	double whole = (plus - minus) / (2 * h), half = (half_plus - half_minus) / h;

	/* Truncation is h^4, well below the difference of the two; rounding is that of the values,
	 * which sums over many terms enlarge tenfold. */
	return (struct difference){ (4 * half - whole) / 3,
		fabs(half - whole) + 40 * DBL_EPSILON * size / h };
}

static void shifted(const struct fixture *f, size_t n, const double *x, size_t k, const double *h,
	double c, double *y)
{
	memcpy(y, x, f->dim * n * sizeof(*x));
	for (size_t i = 0; i < n; i++)
		y[k * n + i] += c * h[i];
}

/* Where rho jumps, a difference across the jump is wrong: a tenth of all may be such. Where log rho is
 * huge for the sake of other coordinates, a difference knows nothing: a quarter may be such. */
static void check_gradient(struct fixture *f)
{
	enum { N = 24 };
	double *x = block(f, N), *y = block(f, N), *grad = block(f, N);
	double log_rho[4][N], h[N];
	size_t across = 0, unknown = 0;
	static const double at[4] = { 1, -1, 0.5, -0.5 };

	typical_points(f, N, x);
	density_eval(f->d, N, x, NULL, grad);
	for (size_t c = 0; c < looked_at(f); c++) {
		const size_t k = coordinate(f, c);
		for (size_t i = 0; i < N; i++)
			h[i] = (f->t->jumps ? 1e-6 : 1e-4) * fmax(0.1, fabs(x[k * N + i]));
		for (size_t s = 0; s < 4; s++) {
			shifted(f, N, x, k, h, at[s], y);
			density_eval(f->d, N, y, log_rho[s], NULL);
		}
		for (size_t i = 0; i < N; i++) {
			struct difference d = extrapolate(log_rho[0][i], log_rho[1][i],
				log_rho[2][i], log_rho[3][i], h[i], fabs(log_rho[0][i]));
			double g = grad[k * N + i];
			bool right = fabs(g - d.value) <= d.error + 1e-9 * fabs(g);
			across += f->t->jumps && !right ? 1 : 0;
			/* A difference that knows nothing proves nothing. */
			unknown += d.error <= 1e-2 * (1 + fabs(g)) ? 0 : 1;
			check_that(f, right || f->t->jumps,
				"gradient %zu of point %zu is %.15g, by differences %.15g +- %.1g",
				k + 1, i, g, d.value, d.error);
		}
	}
	check_that(f, 10 * across <= N * looked_at(f), "%zu gradients differ", across);
	check_that(f, 4 * unknown <= N * looked_at(f), "%zu differences are unknown", unknown);
}

/* Far out, by steps in proportion: log rho grows by orders of magnitude there, and its gradient has to be that
 * growth. */
static void check_far_gradient(struct fixture *f)
{
	enum { N = 16 };
	double *x = block(f, N), *y = block(f, N), *grad = block(f, N);
	double log_rho[4][N], h[N];
	size_t across = 0;
	static const double at[4] = { 1, -1, 0.5, -0.5 };

	for (size_t j = 0; j < f->dim * N; j++)
		x[j] = pow(10, 2 + 2 * (double)(j % N) / N) * rng_gauss(stream, 9, j, 0);
	density_eval(f->d, N, x, NULL, grad);
	for (size_t c = 0; c < looked_at(f); c++) {
		const size_t k = coordinate(f, c);
		for (size_t i = 0; i < N; i++)
			h[i] = 1e-6 * fabs(x[k * N + i]);
		for (size_t s = 0; s < 4; s++) {
			shifted(f, N, x, k, h, at[s], y);
			density_eval(f->d, N, y, log_rho[s], NULL);
		}
		for (size_t i = 0; i < N; i++) {
			double g = grad[k * N + i], size = fabs(log_rho[0][i]);
			struct difference d = extrapolate(log_rho[0][i], log_rho[1][i],
				log_rho[2][i], log_rho[3][i], h[i], size);
			/* Beyond 1e30 targets may clamp; -inf has no slope. */
			bool right =
				!(size < 1e30) || fabs(g - d.value) <= d.error + 1e-6 * fabs(g);
			across += f->t->jumps && !right ? 1 : 0;
			check_that(f, right || f->t->jumps,
				"gradient %zu of far point %zu is %.15g, by differences %.15g +- "
				"%.1g",
				k + 1, i, g, d.value, d.error);
		}
	}
	check_that(f, 4 * across <= N * looked_at(f), "%zu gradients differ", across);
}

static double largest(const double *columns, size_t dim, size_t n, size_t i)
{
	double size = 0;

	for (size_t k = 0; k < dim; k++)
		size = fmax(size, fabs(columns[k * n + i]));
	return size;
}

/* Hv at n points, and the gradients at x + h v, x - h v and half as far. */
static void hvp_with_gradients(struct fixture *f, size_t n, const double *x, const double *v,
	double h, double *hv, double *grad[4])
{
	static const double at[4] = { 1, -1, 0.5, -0.5 };
	double *y = block(f, n);

	assert_int_equal(density_hvp(f->d, n, x, v, hv), OK);
	for (size_t s = 0; s < 4; s++) {
		grad[s] = block(f, n);
		for (size_t j = 0; j < f->dim * n; j++)
			y[j] = x[j] + at[s] * h * v[j];
		density_eval(f->d, n, y, NULL, grad[s]);
	}
}

static void check_hvp(struct fixture *f)
{
	enum { N = 24 };
	double *x = block(f, N), *v = block(f, N), *hv = block(f, N), *grad[4];
	const double h = 1e-5;

	if (f->t->hvp == NULL) {
		assert_int_equal(density_hvp(f->d, N, x, v, hv), ERR_UNSUP);
		return;
	}
	typical_points(f, N, x);
	for (size_t j = 0; j < f->dim * N; j++)
		v[j] = rng_gauss(stream, 5, j, 0);
	hvp_with_gradients(f, N, x, v, h, hv, grad);
	for (size_t i = 0; i < N; i++) {
		/* Rounding errors are those of the largest term in the point's sums: its gradient
		 * or its coordinates times the curvature. */
		double size = fmax(largest(grad[0], f->dim, N, i), largest(x, f->dim, N, i));
		double scale = largest(hv, f->dim, N, i);
		for (size_t k = 0; k < f->dim; k++) {
			size_t j = k * N + i;
			struct difference d = extrapolate(grad[0][j], grad[1][j], grad[2][j],
				grad[3][j], h, size);
			check_that(f, fabs(hv[j] - d.value) <= d.error + 1e-8 * scale,
				"Hv %zu of point %zu is %.15g, by differences %.15g +- %.1g", k + 1,
				i, hv[j], d.value, d.error);
			check_that(f, d.error <= 1e-2 * (1 + scale),
				"difference %zu of point %zu is %g +- %g", k + 1, i, d.value,
				d.error);
		}
	}
}

/* Far out, along directions in proportion to the coordinates: steps of 1e-7 move an angle of 1e4 by a
 * thousandth. Some points have coordinates of one sign alone, where exponentials of the other overflow. */
static void check_far_hvp(struct fixture *f)
{
	enum { N = 16 };
	double *x = block(f, N), *v = block(f, N), *hv = block(f, N), *grad[4];
	const double h = 1e-7;
	size_t compared = 0;

	if (f->t->hvp == NULL)
		return;
	for (size_t j = 0; j < f->dim * N; j++) {
		x[j] = pow(10, 2 + 2 * (double)(j % N) / N) * rng_gauss(stream, 9, j, 0);
		if (j % N % 3 != 0)
			x[j] = j % N % 3 == 1 ? fabs(x[j]) : -fabs(x[j]);
		v[j] = x[j] * rng_gauss(stream, 14, j, 0);
	}
	hvp_with_gradients(f, N, x, v, h, hv, grad);
	for (size_t i = 0; i < N; i++) {
		double size = fmax(largest(grad[0], f->dim, N, i), largest(x, f->dim, N, i));
		double scale = largest(hv, f->dim, N, i);
		if (!(size < 1e30))
			continue;
		for (size_t k = 0; k < f->dim; k++) {
			size_t j = k * N + i;
			struct difference d = extrapolate(grad[0][j], grad[1][j], grad[2][j],
				grad[3][j], h, size);
			compared += d.error <= 1e-2 * (1 + scale) ? 1 : 0;
			check_that(f, fabs(hv[j] - d.value) <= d.error + 1e-6 * scale,
				"Hv %zu of far point %zu is %.15g, by differences %.15g +- %.1g",
				k + 1, i, hv[j], d.value, d.error);
		}
	}
	check_that(f, 8 * compared >= N * f->dim, "%zu differences are known", compared);
}

static void test_gradient(void **p)
{
	(void)p;
	each_target(check_gradient);
	each_target(check_far_gradient);
}

static void test_hvp(void **p)
{
	(void)p;
	each_target(check_hvp);
	each_target(check_far_hvp);
}

/* --- precision, range, blocks ------------------------------------------------------------ */

static real *rounded(const struct fixture *f, size_t n, double *x)
{
	real *y = arena_alloc(f->a, f->dim * n, sizeof(*y));

	for (size_t j = 0; j < f->dim * n; j++)
		x[j] = (double)(y[j] = (real)x[j]);
	return y;
}

/* Hessian-vector products of the fast instance. A rounding of log densities is one of x: where modes meet
 * far out, that alone moves the Hessian by more than its digits, and is allowed for. */
static void check_real_hvp(const struct fixture *f, size_t n, const double *x, const real *xr)
{
	const double tolerance = 4 * pow((double)REAL_EPS, 2.0 / 3);
	const struct field *field = density_field(f->d);
	double *v = block(f, n), *hv = block(f, n), *near = block(f, n), *moved = block(f, n);
	real *hv_real = arena_alloc(f->a, f->dim * n, sizeof(*hv_real));

	for (size_t j = 0; j < f->dim * n; j++) {
		v[j] = rng_gauss(stream, 6, j, 0);
		near[j] = x[j] * (1 + (double)REAL_EPS);
	}
	real *vr = rounded(f, n, v);
	assert_int_equal(density_hvp(f->d, n, x, v, hv), OK);
	assert_int_equal(density_hvp(f->d, n, near, v, moved), OK);
	field->hvp(field->context, n, xr, vr, hv_real);
	for (size_t j = 0; j < f->dim * n; j++) {
		double size = largest(hv, f->dim, n, j % n);
		double error = tolerance * (1 + size) + 4 * fabs(moved[j] - hv[j]);
		check_that(f, size > 1e30 || fabs(hv[j] - (double)hv_real[j]) <= error,
			"Hv %zu of point %zu: %.15g in double, %.15g in real", j / n + 1, j % n,
			hv[j], (double)hv_real[j]);
	}
}

/* The fast instance at points that it holds exactly. Half of the digits more than a third are left by
 * sums of up to a thousand terms: 4 eps^(2/3) is 1e-4 in float, 1.5e-10 in double. */
static void check_real(struct fixture *f)
{
	enum { N = 100 };
	const double tolerance = 4 * pow((double)REAL_EPS, 2.0 / 3);
	double *x = block(f, N), *grad = block(f, N), log_rho[N], log_rho_real[N];
	size_t compared = 0;
	real *grad_real = arena_alloc(f->a, f->dim * N, sizeof(*grad_real));

	typical_points(f, N, x);
	real *xr = rounded(f, N, x);
	density_eval(f->d, N, x, log_rho, grad);
	density_eval_real(f->d, N, xr, log_rho_real, grad_real);
	for (size_t i = 0; i < N; i++) {
		check_that(f,
			fabs(log_rho[i] - log_rho_real[i]) <= tolerance * (1 + fabs(log_rho[i])),
			"log rho of point %zu: %.15g in double, %.15g in real", i, log_rho[i],
			log_rho_real[i]);
		double size = largest(grad, f->dim, N, i);
		if (size > 1e30)
			continue; /* float's range ends: targets clamp what is beyond */
		compared++;
		for (size_t k = 0; k < f->dim; k++) {
			size_t j = k * N + i;
			check_that(f,
				fabs(grad[j] - (double)grad_real[j]) <= tolerance * (1 + size),
				"gradient %zu of point %zu: %.15g in double, %.15g in real", k + 1,
				i, grad[j], (double)grad_real[j]);
		}
	}
	check_that(f, compared >= N / 2, "%zu gradients compared", compared);
	if (f->t->hvp == NULL)
		return;
	check_real_hvp(f, N, x, xr);
}

static void check_finite(struct fixture *f)
{
	enum { N = 200 };
	double *x = block(f, N), *grad = block(f, N), log_rho[N];
	real *grad_real = arena_alloc(f->a, f->dim * N, sizeof(*grad_real));

	far_points(f, N, x);
	for (size_t pass = 0; pass < 2; pass++) {
		if (pass == 0) {
			density_eval(f->d, N, x, log_rho, grad);
		} else {
			density_eval_real(f->d, N, rounded(f, N, x), log_rho, grad_real);
			for (size_t j = 0; j < f->dim * N; j++)
				grad[j] = (double)grad_real[j];
		}
		for (size_t i = 0; i < N; i++)
			check_that(f, log_rho[i] < HUGE_VAL, "%s: log rho of far point %zu is %g",
				pass == 0 ? "double" : "real", i, log_rho[i]);
		for (size_t j = 0; j < f->dim * N; j++)
			check_that(f, isfinite(grad[j]), "%s: gradient %zu of far point %zu is %g",
				pass == 0 ? "double" : "real", j / N + 1, j % N, grad[j]);
	}
	if (f->t->hvp != NULL)
		check_hvp_far(f);
}

static bool any_nan(const double *x, size_t dim, size_t n, size_t i)
{
	bool any = false;

	for (size_t k = 0; k < dim; k++)
		any = any || isnan(x[k * n + i]);
	return any;
}

static void widen(const struct fixture *f, size_t n, const real *from, double *to)
{
	for (size_t j = 0; j < f->dim * n; j++)
		to[j] = (double)from[j];
}

/* NaN must come through, or a diverged sampler would look healthy; and stay in its point of a block. In
 * both precisions: pass 0 is double. */
static void check_nan_pass(const struct fixture *f, size_t k, size_t pass)
{
	enum { N = 5, BAD = 3 };
	double *x = block(f, N), *grad = block(f, N);
	real *out = arena_alloc(f->a, f->dim * N, sizeof(*out));
	double log_rho[N];

	typical_points(f, N, x);
	x[k * N + BAD] = (double)NAN;
	if (pass == 0) {
		density_eval(f->d, N, x, log_rho, grad);
	} else {
		density_eval_real(f->d, N, rounded(f, N, x), log_rho, out);
		widen(f, N, out, grad);
	}
	for (size_t i = 0; i < N; i++) {
		bool bad = i == BAD;
		check_that(f, isnan(log_rho[i]) == bad && any_nan(grad, f->dim, N, i) == bad,
			"x_%zu of point %d is NaN; at point %zu in %s log rho is %g, NaN in the "
			"gradient: %d",
			k + 1, BAD, i, pass == 0 ? "double" : "real", log_rho[i],
			any_nan(grad, f->dim, N, i));
	}
}

static void check_nan(struct fixture *f)
{
	for (size_t c = 0; c < looked_at(f); c++)
		for (size_t pass = 0; pass < 2; pass++)
			check_nan_pass(f, coordinate(f, c), pass);
	if (f->t->hvp != NULL)
		check_hvp_nan(f);
	if (f->t->cdf != NULL)
		check_cdf_nan(f);
}

/* Any number of points, any of the outputs left out: the same numbers up to the rounding of sums
 * that BLAS orders by the shape of a block. */
static void check_blocks(struct fixture *f)
{
	enum { N = 150 };
	double *x = block(f, N), *grad = block(f, N), *alone = block(f, N);
	double log_rho[N], log_rho_alone[N];

	typical_points(f, N, x);
	density_eval(f->d, N, x, log_rho, grad);
	density_eval(f->d, N, x, log_rho_alone, NULL);
	density_eval(f->d, N, x, NULL, alone);
	assert_memory_equal(log_rho, log_rho_alone, sizeof(log_rho));
	assert_memory_equal(grad, alone, f->dim * N * sizeof(*grad));
	for (size_t i = 0; i < N; i++) {
		double *point = block(f, 1), *g = block(f, 1), value;
		for (size_t k = 0; k < f->dim; k++)
			point[k] = x[k * N + i];
		density_eval(f->d, 1, point, &value, g);
		check_that(f, fabs(value - log_rho[i]) <= 1e-12 * (1 + fabs(value)),
			"log rho of point %zu is %.17g in a block and %.17g alone", i, log_rho[i],
			value);
		double size = largest(grad, f->dim, N, i);
		for (size_t k = 0; k < f->dim; k++)
			check_that(f, fabs(g[k] - grad[k * N + i]) <= 1e-12 * (1 + size),
				"gradient %zu of point %zu differs in a block", k + 1, i);
	}
}

static void test_real(void **p)
{
	(void)p;
	each_target(check_real);
}

static void test_finite(void **p)
{
	(void)p;
	each_target(check_finite);
}

static void test_nan(void **p)
{
	(void)p;
	each_target(check_nan);
}

static void test_blocks(void **p)
{
	(void)p;
	each_target(check_blocks);
}

/* --- exact samples ----------------------------------------------------------------------- */

static void check_moments(const struct fixture *f, const double *columns)
{
	double *mean = block(f, 1), *sd = block(f, 1), *square = arena_alloc(f->a, DRAWS, 8);

	f->t->moments(density_state(f->d), mean, sd);
	for (size_t k = 0; k < f->dim; k++) {
		double m, se;
		mean_of(columns + k * DRAWS, DRAWS, 1, &m, &se);
		check_that(f, isnan(mean[k]) || fabs(m - mean[k]) <= SIGMAS * se,
			"mean of coordinate %zu: %g by draws +- %g, %g by moments", k + 1, m, se,
			mean[k]);
		for (size_t i = 0; i < DRAWS; i++)
			square[i] = pow(columns[k * DRAWS + i] - mean[k], 2);
		mean_of(square, DRAWS, 1, &m, &se);
		check_that(f, !isfinite(sd[k]) || fabs(m - sd[k] * sd[k]) <= SIGMAS * se,
			"variance of coordinate %zu: %g by draws +- %g, %g by moments", k + 1, m,
			se, sd[k] * sd[k]);
	}
}

static void check_curvature(const struct fixture *f, const double *columns)
{
	double *grad = block(f, DRAWS), *hv = block(f, DRAWS), *axis = block(f, DRAWS), m, se;

	density_eval(f->d, DRAWS, columns, NULL, grad);
	memset(axis, 0, f->dim * DRAWS * sizeof(*axis));
	for (size_t k = 0; k < f->dim; k++) {
		double *g = grad + k * DRAWS;
		for (size_t i = 0; i < DRAWS; i++)
			axis[k * DRAWS + i] = 1;
		assert_int_equal(density_hvp(f->d, DRAWS, columns, axis, hv), OK);
		for (size_t i = 0; i < DRAWS; i++) {
			g[i] = g[i] * g[i] + hv[k * DRAWS + i];
			axis[k * DRAWS + i] = 0;
		}
		mean_of(g, DRAWS, 1, &m, &se);
		check_that(f, fabs(m) <= SIGMAS * se, "E grad_%zu^2 + H_%zu%zu = %g +- %g, not 0",
			k + 1, k + 1, k + 1, m, se);
	}
}

/* E (x_j - c) grad_k = 0 for j other than k: no covariance is left out, none is made up. Where x_j has no
 * variance, a mean of such products has no error either. */
static void check_pairs(const struct fixture *f, const double *columns)
{
	double *grad = block(f, DRAWS), *product = arena_alloc(f->a, DRAWS, 8), m, se;
	double *mean = block(f, 1), *sd = block(f, 1);
	bool known = density_moments(f->d, mean, sd);

	density_eval(f->d, DRAWS, columns, NULL, grad);
	for (size_t j = 0; j < f->dim; j++) {
		const double *x = columns + j * DRAWS;
		double centre;
		if (known && isinf(sd[j]))
			continue;
		mean_of(x, DRAWS, 1, &centre, &se);
		for (size_t k = 0; k < f->dim; k++) {
			const double *g = grad + k * DRAWS;
			if (k == j)
				continue;
			for (size_t i = 0; i < DRAWS; i++)
				product[i] = (x[i] - centre) * g[i];
			mean_of(product, DRAWS, 1, &m, &se);
			check_that(f, fabs(m) <= SIGMAS_PAIRS * se,
				"E x_%zu grad_%zu = %g +- %g, not 0", j + 1, k + 1, m, se);
		}
	}
}

/* Stein's identities tie the samples to the density: E grad = 0, E (x_k - c) grad_k = -1 for any c, and
 * E grad_k^2 = -E H_kk, which sees the width of a mode however far apart the modes are. */
static void check_stein(const struct fixture *f, const double *columns)
{
	double *grad = block(f, DRAWS), m, se, centre;

	density_eval(f->d, DRAWS, columns, NULL, grad);
	for (size_t k = 0; k < f->dim; k++) {
		double *g = grad + k * DRAWS;
		const double *x = columns + k * DRAWS;
		mean_of(g, DRAWS, 1, &m, &se);
		check_that(f, fabs(m) <= SIGMAS * se, "E grad_%zu = %g +- %g, not 0", k + 1, m, se);
		mean_of(x, DRAWS, 1, &centre, &se);
		for (size_t i = 0; i < DRAWS; i++)
			g[i] *= x[i] - centre;
		mean_of(g, DRAWS, 1, &m, &se);
		check_that(f, fabs(m + 1) <= SIGMAS * se, "E x_%zu grad_%zu = %g +- %g, not -1",
			k + 1, k + 1, m, se);
	}
	check_pairs(f, columns);
	if (f->t->hvp != NULL)
		check_curvature(f, columns);
}

/* The level of a single Kolmogorov test and of a mode's count: some ten thousand are made. */
static const double LEVEL = 1e-8;

/* Each coordinate's samples against its distribution function, by Kolmogorov and Smirnov. */
static void check_cdf(const struct fixture *f, const double *columns)
{
	enum { N = 4000 };
	const void *state = density_state(f->d);

	for (size_t k = 0; k < f->dim; k++) {
		double sorted[N];
		memcpy(sorted, columns + k * DRAWS, sizeof(sorted));
		if (isnan(f->t->cdf(state, k, sorted[0])))
			continue; /* unknown */
		double p = kolmogorov(sorted, N, state, k, f->t->cdf);
		check_that(f, p >= LEVEL, "samples of coordinate %zu have p = %g by their cdf",
			k + 1, p);
		check_that(f,
			f->t->cdf(state, k, -1e9) <= 1e-6 && f->t->cdf(state, k, 1e9) >= 1 - 1e-6,
			"the cdf of coordinate %zu does not go from 0 to 1", k + 1);
	}
}

static void check_mode_weights(const struct fixture *f, const double *x)
{
	const void *state = density_state(f->d);
	size_t modes = f->t->modes(state);
	double *weight = ARENA_NEW(f->a, modes, double), *count = ARENA_NEW(f->a, modes, double);
	double total = 0;

	f->t->mode_weights(state, weight);
	for (size_t i = 0; i < DRAWS; i++) {
		size_t mode = f->t->classify(state, x + i * f->dim);
		check_that(f, mode < modes, "sample %zu is of mode %zu of %zu", i, mode, modes);
		count[mode]++;
	}
	for (size_t k = 0; k < modes; k++) {
		/* Overlapping components trade a few points across their border, unequally: 1 % of a
		 * component's mass. */
		unsigned seen = (unsigned)count[k];
		double w = weight[k];
		total += w;
		check_that(f,
			gsl_cdf_binomial_P(seen, fmax(0, 0.99 * w), DRAWS) >= LEVEL &&
				(seen == 0 || gsl_cdf_binomial_Q(seen - 1, fmin(1, 1.01 * w),
						      DRAWS) >= LEVEL),
			"mode %zu has mass %g by draws, %g by weights", k, count[k] / DRAWS, w);
	}
	check_that(f, fabs(total - 1) <= 1e-12, "mode weights sum to %.17g", total);
}

static void check_draw(struct fixture *f)
{
	double *columns;

	check_that(f,
		(f->t->modes == NULL) == (f->t->classify == NULL) &&
			(f->t->modes == NULL) == (f->t->mode_weights == NULL),
		"modes, classify and mode_weights come together");
	if (f->t->draw == NULL) {
		assert_int_equal(density_draw(f->d, stream, 0, 1, block(f, 1)), ERR_UNSUP);
		return;
	}
	double *x = draws(f, &columns), *again = block(f, 3);
	assert_int_equal(density_draw(f->d, stream, 100, 3, again), OK);
	assert_memory_equal(again, x + 100 * f->dim, 3 * f->dim * sizeof(*x));
	if (!f->t->jumps)
		check_stein(f, columns);
	if (f->t->cdf != NULL)
		check_cdf(f, columns);
	if (f->t->moments != NULL)
		check_moments(f, columns);
	if (f->t->modes != NULL && f->t->modes(density_state(f->d)) > 0)
		check_mode_weights(f, x);
}

static void test_draw(void **p)
{
	(void)p;
	each_target(check_draw);
}

/* --- normalisers ------------------------------------------------------------------------- */

/* A coordinate of the grid: x = centre + scale sinh(u) has small steps in the plot window and reaches
 * far, for heavy tails. */
struct axis {
	double centre, scale;
};

/* Integral of rho by equal steps of u, the points shifted by half a step. For analytic densities its
 * error falls exponentially with 1/step. */
static double grid_integral(const struct fixture *f, const struct axis *axis, double step)
{
	enum { N = TARGET_BLOCK };
	const double reach = 11.5; /* sinh: 5e4 window widths */
	const size_t side = (size_t)(2 * reach / step), points = f->dim == 1 ? side : side * side;
	double x[2 * N], log_rho[N], area[N], sum = 0;

	for (size_t first = 0; first < points; first += N) {
		size_t count = points - first < N ? points - first : N;
		for (size_t i = 0; i < count; i++) {
			size_t index[2] = { (first + i) % side, (first + i) / side };
			area[i] = 1;
			for (size_t k = 0; k < f->dim; k++) {
				double u = ((double)index[k] - (double)(side / 2) + 0.5) * step;
				x[k * count + i] = axis[k].centre + axis[k].scale * sinh(u);
				area[i] *= step * axis[k].scale * cosh(u);
			}
		}
		density_eval(f->d, count, x, log_rho, NULL);
		for (size_t i = 0; i < count; i++)
			sum += exp(log_rho[i]) * area[i];
	}
	return sum;
}

/* Steps are halved until the integral settles; what it still moves by is allowed for. */
static void check_by_grid(const struct fixture *f, const struct log_z *z)
{
	struct window w;
	double fine, coarse, step = 0.04;

	f->t->window(density_state(f->d), &w);
	const struct axis axis[2] = { { (w.x_min + w.x_max) / 2, (w.x_max - w.x_min) / 2 },
		{ (w.y_min + w.y_max) / 2, (w.y_max - w.y_min) / 2 } };
	fine = grid_integral(f, axis, step);
	do {
		coarse = fine;
		step /= 1.6;
		fine = grid_integral(f, axis, step);
	} while (fabs(log(fine / coarse)) > 1e-10 && step > 0.006);
	check_that(f, fabs(log(fine / coarse)) <= 1e-3, "a grid is too coarse for this target: %g",
		log(fine / coarse));
	/* 4e-10: the mass of Student's t with 2 degrees of freedom beyond 5e4. */
	check_that(f, fabs(log(fine) - z->value) <= 1e-9 + z->se + fabs(log(fine / coarse)),
		"log Z is %.15g by a grid, %.15g by log_z", log(fine), z->value);
}

/* A broad proposal made of exact samples: around each a kernel as wide as the distance to a near
 * neighbour, a multivariate t: with one degree of freedom in the plane, where targets have tails as
 * heavy, with more beyond, where most of such a kernel would lie far out. */
struct kernels {
	size_t dim, n;
	uint32_t freedom;
	const double *centre; /* [n][dim] */
	double *width;        /* [n] */
};

static double distance(const double *x, const double *y, size_t dim)
{
	double square = 0;

	for (size_t k = 0; k < dim; k++)
		square += (x[k] - y[k]) * (x[k] - y[k]);
	return sqrt(square);
}

static struct kernels kernels_new(const struct fixture *f, size_t n, const double *x)
{
	enum { NEIGHBOUR = 5 };
	struct kernels q = { f->dim, n, f->dim <= 2 ? 1 : 5, x, ARENA_NEW(f->a, n, double) };
	double *d = arena_alloc(f->a, n, sizeof(*d));

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++)
			d[j] = distance(x + i * f->dim, x + j * f->dim, f->dim);
		q.width[i] = stats_select(d, n, NEIGHBOUR);
	}
	return q;
}

static double kernels_log_density(const struct kernels *q, const double *x)
{
	const double d = (double)q->dim, freedom = q->freedom, half = (freedom + d) / 2;
	double sum = 0;

	for (size_t i = 0; i < q->n; i++)
		sum += pow(1 + pow(distance(x, q->centre + i * q->dim, q->dim) / q->width[i], 2) /
					       freedom,
			       -half) /
		       pow(q->width[i], d);
	return log(sum / (double)q->n) + gsl_sf_lngamma(half) - gsl_sf_lngamma(freedom / 2) -
	       d / 2 * log(freedom * M_PI);
}

static void kernels_draw(const struct kernels *q, uint64_t row, double *x)
{
	size_t i = (size_t)rng_below(stream, 11, row, 0, q->n);
	double chi = 0;

	for (uint32_t j = 0; j < q->freedom; j++)
		chi += pow(rng_gauss(stream, 12, row, j), 2);
	double radius = q->width[i] * sqrt(q->freedom / chi);
	for (uint32_t k = 0; k < q->dim; k++)
		x[k] = q->centre[i * q->dim + k] + radius * rng_gauss(stream, 11, row, k + 2);
}

/* E_q rho / q = Z for the kernels, which cover every target with a sampler but those whose scale
 * varies by orders of magnitude. */
static void check_by_kernels(const struct fixture *f, const struct log_z *z)
{
	enum { N = 40000, KERNELS = 300 };
	double *x = block(f, KERNELS), *point = block(f, 1), *w = arena_alloc(f->a, N, 8);
	double mean, se;

	assert_int_equal(density_draw(f->d, stream, DRAWS, KERNELS, x), OK);
	const struct kernels q = kernels_new(f, KERNELS, x);
	for (size_t i = 0; i < N; i++) {
		double log_rho;
		kernels_draw(&q, i, point);
		density_eval(f->d, 1, point, &log_rho, NULL);
		w[i] = exp(log_rho - z->value - kernels_log_density(&q, point));
	}
	mean_of(w, N, 1, &mean, &se);
	check_that(f, se < 0.05 && fabs(mean - 1) <= 4 * se,
		"importance sampling gives Z times %g +- %g", mean, se);
}

/* The target's own proposal: E_q rho / q = Z. */
static void check_proposal(const struct fixture *f, const struct log_z *z)
{
	double *x = block(f, 1), *w = arena_alloc(f->a, DRAWS, 8), mean, se;

	for (size_t i = 0; i < DRAWS; i++) {
		double log_rho, log_q = f->t->propose(density_state(f->d), stream, i, x);
		density_eval(f->d, 1, x, &log_rho, NULL);
		w[i] = exp(log_rho - log_q - z->value);
	}
	mean_of(w, DRAWS, 1, &mean, &se);
	check_that(f, se < 0.3 && fabs(mean - 1) <= 4 * hypot(se, z->se),
		"its proposal gives Z times %g +- %g", mean, se);
}

/* Log density of a narrowed fit to the n samples of one mode, a Gaussian, or where the target's variance
 * is infinite a t with 3 degrees of freedom of the same quartiles. Reorders the samples. */
struct narrow {
	double centre, scale;
	bool heavy;
};

static struct narrow narrow_fit(double *sample, size_t n, bool heavy)
{
	double mean, se, low, high;

	mean_of(sample, n, 1, &mean, &se);
	if (!heavy)
		return (struct narrow){ mean, 0.95 * se * sqrt((double)n), false };
	low = stats_quantile(sample, n, 0.25);
	high = stats_quantile(sample, n, 0.75);
	return (struct narrow){ (low + high) / 2,
		0.95 * (high - low) / (2 * gsl_cdf_tdist_Pinv(0.75, 3)), true };
}

static double narrow_log_density(const struct narrow *q, double x)
{
	double z = (x - q->centre) / q->scale;

	double log_pdf = q->heavy ? log(2 / (M_PI * sqrt(3))) - 2 * log1p(z * z / 3)
				  : -z * z / 2 - LOG_2PI / 2;

	return log_pdf - log(q->scale);
}

/* For any density q, E q(x) / rho(x) = 1 / Z over exact samples. q is narrower than rho is in one mode, so
 * that the ratio is bounded. */
static void check_by_mode(const struct fixture *f, const struct log_z *z)
{
	double *columns, *x = draws(f, &columns), *log_rho = arena_alloc(f->a, DRAWS, 8);
	double *ratio = ARENA_NEW(f->a, DRAWS, double), *member = arena_alloc(f->a, DRAWS, 8);
	const void *state = density_state(f->d);
	size_t mode = f->t->classify(state, x), members;
	double *moment = block(f, 1), *sd = block(f, 1), mean, se;
	bool known = density_moments(f->d, moment, sd);

	density_eval(f->d, DRAWS, columns, log_rho, NULL);
	for (size_t k = 0; k < f->dim; k++) {
		members = 0;
		for (size_t i = 0; i < DRAWS; i++)
			if (f->t->classify(state, x + i * f->dim) == mode)
				member[members++] = x[i * f->dim + k];
		const struct narrow q = narrow_fit(member, members, known && isinf(sd[k]));
		for (size_t i = 0; i < DRAWS; i++)
			ratio[i] += narrow_log_density(&q, x[i * f->dim + k]);
	}
	for (size_t i = 0; i < DRAWS; i++)
		ratio[i] = exp(ratio[i] - log_rho[i] + z->value);
	mean_of(ratio, DRAWS, 1, &mean, &se);
	check_that(f, se < 0.15 && fabs(mean - 1) <= SIGMAS * se,
		"E q / rho times Z is %g +- %g, not 1", mean, se);
}

/* Importance sampling from a multivariate t around the mode, widened for what the curvature at the mode
 * does not show of the tails. */
static void check_by_importance(const struct fixture *f, const struct log_z *z)
{
	enum { N = 40000 };
	double *y = block(f, 1), *x = block(f, 1), mean, se;
	double *w = arena_alloc(f->a, N, sizeof(*w));
	struct fit fit;

	assert_int_equal(fit_laplace(&fit, f->d, NULL, 1.7, f->a), OK);
	for (size_t i = 0; i < N; i++) {
		double log_rho, log_q = fit_draw_t(&fit, 10, stream, i, y, x);
		density_eval(f->d, 1, x, &log_rho, NULL);
		w[i] = exp(log_rho - z->value - log_q);
	}
	mean_of(w, N, 1, &mean, &se);
	check_that(f, se < 0.3 && fabs(mean - 1) <= SIGMAS * hypot(se, z->se),
		"importance sampling gives Z times %g +- %g", mean, se);
}

static void check_log_z(struct fixture *f)
{
	struct log_z z;

	density_log_z(f->d, &z);
	if (f->t->log_z == NULL)
		assert_int_equal(density_own_log_z(f->d).kind, LOG_Z_UNKNOWN);
	if (z.kind == LOG_Z_UNKNOWN || z.kind == LOG_Z_INFINITE)
		return;
	check_that(f, isfinite(z.value) && z.se >= 0 && strlen(z.source) > 0,
		"log Z is %g +- %g, \"%s\"", z.value, z.se, z.source);
	if (f->dim <= 2)
		check_by_grid(f, &z);
	if (f->t->draw != NULL && f->dim <= 5)
		check_by_kernels(f, &z);
	if (f->t->propose != NULL)
		check_proposal(f, &z);
	else if (z.kind == LOG_Z_ESTIMATE && f->t->hvp != NULL && f->dim <= 256)
		check_by_importance(f, &z);
	else if (f->t->modes != NULL && f->t->draw != NULL && f->dim > 2)
		check_by_mode(f, &z);
}

static void test_log_z(void **p)
{
	(void)p;
	each_target(check_log_z);
}

/* Given x_1 the other nine coordinates of the funnel are alike and independent. */
static double funnel_slice(double v, void *p)
{
	struct line l = *(struct line *)p;

	l.at[0] = v;
	density_eval(l.f->d, 1, l.at, &l.offset, NULL);
	return exp(l.offset) * pow(integral(line_value, &l, 12 * exp(v / 2)), 9);
}

static void test_funnel_log_z(void **p)
{
	struct fixture f;
	struct log_z z;

	(void)p;
	fixture_open(&f, "funnel", NULL, 0);
	density_log_z(f.d, &z);
	struct line l = { &f, ARENA_NEW(f.a, f.dim, double), 1, 0 };
	double by_quadrature = log(integral(funnel_slice, &l, 30));
	check_that(&f, fabs(by_quadrature - z.value) <= 1e-10, "log Z is %.15g by quadrature",
		by_quadrature);
	arena_free(f.a);
}

/* --- what names, options and data promise ------------------------------------------------ */

static void check_description(struct fixture *f)
{
	struct window w = { 0 };

	print_message("target %s\n", f->t->name);
	check_that(f, strlen(f->t->title) > 0 && strlen(f->t->paper) > 0,
		"a title or paper is empty");
	check_that(f, f->dim > 0 && density_field(f->d)->dim == f->dim, "dimension %zu", f->dim);
	f->t->window(density_state(f->d), &w);
	check_that(f, w.x_min < w.x_max && w.y_min < w.y_max, "the window is empty");
	check_that(f, f->t->flops == NULL || f->t->flops(density_state(f->d)) > 0, "no flops");
}

static void test_description(void **p)
{
	(void)p;
	each_target(check_description);
}

/* What a user of these must be told. */
static void test_notes(void **p)
{
	static const struct {
		const char *target, *says;
	} notes[] = { { "cancer", "improper" }, { "credit", "prior" },
		{ "ionosphere_noprior", "improper" }, { "lennard_jones13", "moving all particles" },
		{ "funnel", "clip=30" }, { "lgcp", "512.6" }, { "gmm40_fab", "seed 42" },
		{ "many_well_5", "-0.548758" }, { "rings_cos", "radius" },
		{ "student10_2d", "infinite" }, { "image", "labrador" } };

	(void)p;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		const struct target *t = target_find(notes[i].target);
		assert_non_null(t);
		if (t->note == NULL || strcasestr(t->note, notes[i].says) == NULL)
			fail_msg("the note of %s does not say \"%s\"", notes[i].target,
				notes[i].says);
	}
}

static void test_unknown(void **p)
{
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	assert_int_equal(density_new(&d, "funel", NULL, 0, a), ERR_NAME);
	assert_non_null(strstr(error_text(), "\"funnel\""));
	const struct setting wrong_key = { "clap", "30" }, wrong_value = { "clip", "-1" };
	assert_int_equal(density_new(&d, "funnel", &wrong_key, 1, a), ERR_NAME);
	assert_non_null(strstr(error_text(), "\"clip\""));
	assert_int_equal(density_new(&d, "funnel", &wrong_value, 1, a), ERR_RANGE);
	arena_free(a);
}

static void test_gaussian_options(void **p)
{
	const struct setting settings[] = { { "mean", "2.5" }, { "std", "0.5" }, { "dim", "7" } };
	struct fixture f;
	double at[7], log_rho, mean[7], sd[7];

	(void)p;
	fixture_open(&f, "gaussian", settings, 3);
	assert_int_equal(f.dim, 7);
	for (size_t k = 0; k < 7; k++)
		at[k] = 2.5;
	density_eval(f.d, 1, at, &log_rho, NULL);
	assert_near(log_rho, -7 * (log(0.5) + LOG_2PI / 2), 1e-14);
	f.t->moments(density_state(f.d), mean, sd);
	assert_near(mean[6], 2.5, 0);
	assert_near(sd[6], 0.5, 0);
	check_gradient(&f);
	check_draw(&f);
	arena_free(f.a);
}

/* Clamped samples are the others, clamped. */
static void test_funnel_clip(void **p)
{
	const struct setting clip = { "clip", "30" };
	struct fixture f, g;
	double x[1000], y[1000];
	size_t moved = 0;

	(void)p;
	fixture_open(&f, "funnel", NULL, 0);
	fixture_open(&g, "funnel", &clip, 1);
	assert_int_equal(density_draw(f.d, stream, 0, 100, x), OK);
	assert_int_equal(density_draw(g.d, stream, 0, 100, y), OK);
	for (size_t j = 0; j < 1000; j++) {
		assert_true(y[j] == (x[j] > 30 ? 30 : x[j] < -30 ? -30 : x[j]));
		moved += y[j] != x[j];
	}
	assert_true(moved > 0);
	arena_free(f.a);
	arena_free(g.a);
}

/* $STRIDE_DATA comes before the program's own data; a path with a slash, or a name found nowhere, is
 * taken as it is. */
static void test_data_path(void **p)
{
	struct arena *a = arena_new();
	char folder[] = "/tmp/stride_data_XXXXXX";
	struct density *d;

	(void)p;
	assert_non_null(mkdtemp(folder));
	const char *path = arena_printf(a, "%s/gmm40_2d.csv", folder);
	FILE *file = fopen(path, "w");
	fputs("1,2,3\n4,5,6\n", file);
	fclose(file);
	assert_non_null(strstr(data_path("gmm40_2d.csv", a), "targets/data/gmm40_2d.csv"));
	setenv("STRIDE_DATA", folder, 1);
	assert_string_equal(data_path("gmm40_2d.csv", a), path);
	assert_int_equal(density_new(&d, "gmm40_2d", NULL, 0, a), OK);
	assert_int_equal(density_dim(d), 3);
	assert_non_null(strstr(data_path("gmm40_50d.csv", a), "targets/data/gmm40_50d.csv"));
	assert_string_equal(data_path("./gmm40_2d.csv", a), "./gmm40_2d.csv");
	assert_string_equal(data_path("nowhere.csv", a), "nowhere.csv");
	unsetenv("STRIDE_DATA");
	unlink(path);
	rmdir(folder);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_description),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_gradient),
		cmocka_unit_test(test_hvp),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_finite),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_draw),
		cmocka_unit_test(test_log_z),
		cmocka_unit_test(test_funnel_log_z),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_gaussian_options),
		cmocka_unit_test(test_funnel_clip),
		cmocka_unit_test(test_data_path),
	};

	return run_target_tests("targets", tests);
}
