/* What is known of particles and of the arm beyond the contract. */
#include "targets.h"

#include <gsl/gsl_cdf.h>

/* --- particles --------------------------------------------------------------------------- */

enum { PARTICLES = 13, AXES = 3 };

/* Particles near the corners of a grid of unit steps, none of them close to another. */
static void cluster(const struct fixture *f, uint32_t row, double *x)
{
	for (size_t k = 0; k < f->dim; k++) {
		size_t particle = k / AXES, power = k % AXES == 0 ? 1 : k % AXES == 1 ? 3 : 9;
		x[k] = 1.1 * (double)(particle / power % 3) +
		       0.08 * rng_gauss(stream, 9, row, (uint32_t)k);
	}
}

/* The same formula, term by term, at any numbers. */
static double energy(const double *x)
{
	double sum = 0, centre[AXES] = { 0 };

	for (size_t i = 0; i < PARTICLES; i++)
		for (size_t a = 0; a < AXES; a++)
			centre[a] += x[AXES * i + a] / PARTICLES;
	for (size_t i = 0; i < PARTICLES; i++) {
		for (size_t a = 0; a < AXES; a++)
			sum += pow(x[AXES * i + a] - centre[a], 2) / 2;
		for (size_t j = 0; j < i; j++) {
			const double *p = x + AXES * i, *q = x + AXES * j;
			double d = hypot(hypot(p[0] - q[0], p[1] - q[1]), p[2] - q[2]);
			sum += pow(d, -12) - 2 * pow(d, -6);
		}
	}
	return sum;
}

static void test_particles_energy(void **p)
{
	struct fixture f;

	(void)p;
	fixture_open(&f, "lennard_jones13", NULL, 0);
	double *x = block(&f, 1), log_rho;
	for (uint32_t row = 0; row < 20; row++) {
		cluster(&f, row, x);
		density_eval(f.d, 1, x, &log_rho, NULL);
		check_that(&f, fabs(log_rho + energy(x)) <= 1e-13 * fabs(energy(x)),
			"log rho is %.15g, the energy %.15g", log_rho, energy(x));
	}
	arena_free(f.a);
}

/* y = what one of the symmetries makes of a vector: coordinates, or a gradient with no shift. */
enum symmetry { SHIFT, TURN, MIRROR, EXCHANGE, SYMMETRIES };

static void transform(enum symmetry s, bool shift, const double *x, double *y)
{
	const double c = cos(1.1), sine = sin(1.1);

	for (size_t i = 0; i < PARTICLES; i++) {
		/* 5 and 13 have no common divisor. */
		const double *from = x + AXES * (s == EXCHANGE ? 5 * i % PARTICLES : i);
		double *to = y + AXES * i;
		memcpy(to, from, AXES * sizeof(*to));
		if (s == SHIFT && shift)
			for (size_t a = 0; a < AXES; a++)
				to[a] += 3.7 - 2 * (double)a;
		if (s == TURN) {
			to[0] = c * from[0] - sine * from[2];
			to[2] = sine * from[0] + c * from[2];
		}
		if (s == MIRROR)
			to[1] = -from[1];
	}
}

/* log rho stays, gradient and Hv go along. Shifts of 4 lose two bits of differences of order 1,
 * which the twelfth power and second derivatives enlarge 200-fold. */
static void test_particles_symmetries(void **p)
{
	struct fixture f;

	(void)p;
	fixture_open(&f, "lennard_jones13", NULL, 0);
	double *x = block(&f, 1), *v = block(&f, 1), *y = block(&f, 1), *w = block(&f, 1);
	double *grad = block(&f, 1), *moved = block(&f, 1), *want = block(&f, 1), a, b;
	for (uint32_t row = 0; row < 20; row++)
		for (enum symmetry s = 0; s < SYMMETRIES; s++) {
			cluster(&f, row, x);
			for (size_t k = 0; k < f.dim; k++)
				v[k] = rng_gauss(stream, 10, row, (uint32_t)k);
			transform(s, true, x, y);
			transform(s, false, v, w);
			density_eval(f.d, 1, x, &a, grad);
			density_eval(f.d, 1, y, &b, moved);
			transform(s, false, grad, want);
			double size = 1, largest = 1;
			for (size_t k = 0; k < f.dim; k++)
				size = fmax(size, fabs(want[k]));
			check_that(&f, fabs(a - b) <= 1e-12 * (1 + fabs(a)),
				"symmetry %d: log rho %.15g becomes %.15g", s, a, b);
			for (size_t k = 0; k < f.dim; k++)
				check_that(&f, fabs(moved[k] - want[k]) <= 1e-12 * size,
					"symmetry %d: gradient %zu is %.15g, not %.15g", s, k,
					moved[k], want[k]);
			assert_int_equal(density_hvp(f.d, 1, x, v, grad), OK);
			assert_int_equal(density_hvp(f.d, 1, y, w, moved), OK);
			transform(s, false, grad, want);
			for (size_t k = 0; k < f.dim; k++)
				largest = fmax(largest, fabs(want[k]));
			for (size_t k = 0; k < f.dim; k++)
				check_that(&f, fabs(moved[k] - want[k]) <= 1e-12 * largest,
					"symmetry %d: Hv %zu is %.15g, not %.15g", s, k, moved[k],
					want[k]);
		}
	arena_free(f.a);
}

/* Nothing pulls the particles as a whole, so the density is improper, and says so. */
static void test_particles_improper(void **p)
{
	struct fixture f;
	struct log_z z;

	(void)p;
	fixture_open(&f, "lennard_jones13", NULL, 0);
	double *x = block(&f, 1), *v = block(&f, 1), *g = block(&f, 1);
	density_log_z(f.d, &z);
	assert_int_equal(z.kind, LOG_Z_INFINITE);
	assert_true(z.value > 0 && isinf(z.value));
	cluster(&f, 1, x);
	density_eval(f.d, 1, x, NULL, g);
	for (size_t a = 0; a < AXES; a++) {
		double pull = 0, size = 0;
		for (size_t k = a; k < f.dim; k += AXES) {
			pull += g[k];
			size += fabs(g[k]);
		}
		assert_near(pull, 0, 1e-13 * size);
	}
	for (size_t k = 0; k < f.dim; k++)
		v[k] = k % AXES == 1 ? 1 : 0;
	assert_int_equal(density_hvp(f.d, 1, x, v, g), OK);
	for (size_t k = 0; k < f.dim; k++)
		assert_near(g[k], 0, 1e-11);
	arena_free(f.a);
}

/* In the same place: every pair as at distance 1, no force. A little apart: large numbers, none of
 * them infinite, in both instances, and pushing apart, as long as the square of the distance is not
 * 0. */
static void test_particles_overlap(void **p)
{
	struct fixture f;

	(void)p;
	fixture_open(&f, "lennard_jones13", NULL, 0);
	const struct field *field = density_field(f.d);
	double *x = block(&f, 1), *g = block(&f, 1), *v = block(&f, 1), *hv = block(&f, 1), log_rho;
	real *xr = arena_alloc(f.a, f.dim, sizeof(*xr)), *gr = arena_alloc(f.a, f.dim, sizeof(*gr));
	real *vr = arena_alloc(f.a, f.dim, sizeof(*vr));
	for (size_t k = 0; k < f.dim; k++) {
		x[k] = 0.25 + (double)(k % AXES);
		v[k] = rng_gauss(stream, 11, 0, (uint32_t)k);
		vr[k] = (real)v[k];
	}
	density_eval(f.d, 1, x, &log_rho, g);
	assert_near(log_rho, PARTICLES * (PARTICLES - 1) / 2.0, 1e-12);
	for (size_t k = 0; k < f.dim; k++)
		assert_near(g[k], 0, 1e-12);
	for (double apart = 0.1; apart > 1e-60; apart /= 3) {
		memset(x, 0, f.dim * sizeof(*x));
		x[0] = apart;
		for (size_t k = 0; k < f.dim; k++)
			xr[k] = (real)x[k];
		density_eval(f.d, 1, x, &log_rho, g);
		check_that(&f, isfinite(log_rho) && isfinite(g[0]) && g[0] >= 0 && g[3] <= 0,
			"%g apart: log rho %g, forces %g and %g", apart, log_rho, g[0], g[3]);
		assert_int_equal(density_hvp(f.d, 1, x, v, hv), OK);
		density_eval_real(f.d, 1, xr, &log_rho, gr);
		check_that(&f,
			isfinite(log_rho) && isfinite(gr[0]) &&
				(xr[0] * xr[0] == 0 || (gr[0] >= 0 && gr[3] <= 0)),
			"%g apart, real: log rho %g, forces %g and %g", apart, log_rho,
			(double)gr[0], (double)gr[3]);
		field->hvp(field->context, 1, xr, vr, gr);
		for (size_t k = 0; k < f.dim; k++)
			check_that(&f, isfinite(hv[k]) && isfinite((double)gr[k]),
				"%g apart: Hv %zu is %g, real %g", apart, k, hv[k], (double)gr[k]);
	}
	arena_free(f.a);
}

/* --- the arm ----------------------------------------------------------------------------- */

enum { LINKS = 10 };

/* What is compared: squares of the joints and of the string's shapes of the bends, the goals'
 * masses. */
enum { GOALS = 4, FIGURES = 2 * LINKS - 1 + GOALS };

static void figures(const double *x, double *out)
{
	double phi = 0, p1 = 0, p2 = 0;

	for (size_t k = 0; k < LINKS; k++) {
		phi += x[k];
		p1 += cos(phi);
		p2 += sin(phi);
		out[k] = x[k] * x[k];
		double shape = 0;
		for (size_t j = 1; k > 0 && j < LINKS; j++)
			shape += x[j] * sin(acos(-1) * (double)(k * j) / LINKS) / sqrt(5);
		if (k > 0)
			out[LINKS + k - 1] = shape * shape;
	}
	for (size_t g = 0; g < GOALS; g++)
		out[2 * LINKS - 1 + g] = (g % 2 == 0 ? p1 : p2) * (g < 2 ? 1 : -1) > 5;
}

/* log Z by importance sampling with the proposal, against another way; and the figures, by
 * importance sampling and by the sampler. */
static void check_robot(const char *name, double log_z, double log_z_se)
{
	enum { N = 400000 };
	struct fixture f;
	double log_rho, mean, se, *columns;

	fixture_open(&f, name, NULL, 0);
	double *x = block(&f, 1), *w = arena_alloc(f.a, N, sizeof(*w));
	double *value = arena_alloc(f.a, (size_t)N * FIGURES, sizeof(*value));
	double *residual = arena_alloc(f.a, N, sizeof(*residual));
	for (size_t i = 0; i < N; i++) {
		double log_q = f.t->propose(density_state(f.d), stream, i, x);
		density_eval(f.d, 1, x, &log_rho, NULL);
		w[i] = exp(log_rho - log_q - log_z);
		check_that(&f, isfinite(w[i]), "weight %zu is %g", i, w[i]);
		figures(x, value + i * FIGURES);
	}
	mean_of(w, N, 1, &mean, &se);
	/* So that 10^7 draws give 0.001. */
	check_that(&f, se < 0.005 * mean, "log Z has a standard error of %g", se / mean);
	check_that(&f, fabs(log(mean)) <= SIGMAS * hypot(se / mean, log_z_se),
		"log Z is %g +- %g, elsewhere %g +- %g", log_z + log(mean), se / mean, log_z,
		log_z_se);
	double *drawn = draws(&f, &columns);
	double *exact = arena_alloc(f.a, (size_t)DRAWS * FIGURES, sizeof(*exact));
	for (size_t i = 0; i < DRAWS; i++)
		figures(drawn + i * f.dim, exact + i * FIGURES);
	for (size_t k = 0; k < FIGURES; k++) {
		double by_draws, draws_se, sum = 0, zero;
		mean_of(exact + k, DRAWS, FIGURES, &by_draws, &draws_se);
		for (size_t i = 0; i < N; i++)
			sum += w[i] * value[i * FIGURES + k];
		double ratio = sum / (mean * N);
		for (size_t i = 0; i < N; i++)
			residual[i] = w[i] * (value[i * FIGURES + k] - ratio);
		mean_of(residual, N, 1, &zero, &se);
		/* The mass of a single goal is 1, but for rounding. */
		check_that(&f,
			fabs(by_draws - ratio) <= SIGMAS * hypot(draws_se, se / mean) + 1e-12,
			"figure %zu is %g +- %g by draws, %g +- %g by importance sampling", k,
			by_draws, draws_se, ratio, se / mean);
	}
	arena_free(f.a);
}

/* log Z computed independently of stride, with these errors: all bends from the prior times
 * e^{0.114 B}, none of them solved for, theta_1 integrated in closed form. */
static void test_robot(void **p)
{
	(void)p;
	check_robot("planar_robot", -11.6801, 0.0008);
	check_robot("planar_robot4", -10.6134, 0.0008);
}

/* A normal of deviation 1, moved by `context`. */
static double normal_cdf(const void *context, size_t k, double x)
{
	(void)k;
	return gsl_cdf_ugaussian_P(x - *(const double *)context);
}

/* The hand of an exact sample is off the goal by a normal of deviation 0.01 in every direction, as
 * the prior hardly changes over that distance: across, with y of the sampler, and along, where the
 * log of the prior density falls by less than 3 a unit, which moves the mean by up to 0.03
 * deviations towards the shoulder. Exact samples fail once in 10^6. */
static void test_robot_hand(void **p)
{
	const double across = 0;
	struct fixture f;
	double *columns;

	(void)p;
	fixture_open(&f, "planar_robot", NULL, 0);
	double *x = draws(&f, &columns), *off = arena_alloc(f.a, 2 * DRAWS, sizeof(*off));
	for (size_t i = 0; i < DRAWS; i++) {
		double phi = 0, p1 = 0, p2 = 0;
		for (size_t k = 0; k < LINKS; k++) {
			phi += x[i * LINKS + k];
			p1 += cos(phi);
			p2 += sin(phi);
		}
		off[i] = (p1 - 7) / 0.01;
		off[DRAWS + i] = p2 / 0.01;
	}
	double value = kolmogorov(off + DRAWS, DRAWS, &across, 1, normal_cdf), best = 0;
	check_that(&f, value > 1e-6, "across the hand has p = %g", value);
	/* Along: the best of the means that are possible. */
	for (double mean = -0.03; mean <= 0.031; mean += 0.005)
		best = fmax(best, kolmogorov(off, DRAWS, &mean, 0, normal_cdf));
	check_that(&f, best > 1e-6, "along the hand has p = %g", best);
	arena_free(f.a);
}

/* Of exact samples the shares of the goals, by their mass: one in 10^6 fails. The two at the sides
 * are mirror images. The masses themselves are the figures of check_robot by another way. */
static void test_robot_modes(void **p)
{
	static const double GOAL[GOALS][2] = { { 7, 0 }, { -7, 0 }, { 0, 7 }, { 0, -7 } };
	enum { N = 200000 };
	struct fixture f;
	double weight[GOALS], share[GOALS] = { 0 }, chi = 0, x[LINKS], mirror[LINKS];

	(void)p;
	fixture_open(&f, "planar_robot4", NULL, 0);
	const void *state = density_state(f.d);
	assert_int_equal(f.t->modes(state), GOALS);
	f.t->mode_weights(state, weight);
	assert_near(weight[0] + weight[1] + weight[2] + weight[3], 1, 1e-12);
	assert_true(weight[2] == weight[3]);
	for (size_t i = 0; i < N; i++) {
		double phi = 0, p1 = 0, p2 = 0;
		f.t->draw(state, stream, i, x);
		for (size_t k = 0; k < LINKS; k++) {
			phi += x[k];
			p1 += cos(phi);
			p2 += sin(phi);
			mirror[k] = -x[k];
		}
		size_t g = f.t->classify(state, x), other = f.t->classify(state, mirror);
		check_that(&f, g < GOALS && hypot(p1 - GOAL[g][0], p2 - GOAL[g][1]) < 0.1,
			"a hand at %g, %g is of goal %zu", p1, p2, g);
		check_that(&f, other == (g < 2 ? g : 5 - g), "the mirror image of %zu is %zu", g,
			other);
		share[g]++;
	}
	for (size_t g = 0; g < GOALS; g++)
		chi += pow(share[g] - N * weight[g], 2) / (N * weight[g]);
	check_that(&f, gsl_cdf_chisq_Q(chi, GOALS - 1) > 1e-6, "shares %g, %g, %g, %g",
		share[0] / N, share[1] / N, share[2] / N, share[3] / N);
	assert_null(target_find("planar_robot")->modes);
	arena_free(f.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_particles_energy),
		cmocka_unit_test(test_particles_symmetries),
		cmocka_unit_test(test_particles_improper),
		cmocka_unit_test(test_particles_overlap),
		cmocka_unit_test(test_robot),
		cmocka_unit_test(test_robot_hand),
		cmocka_unit_test(test_robot_modes),
	};

	return run_target_tests("mechanics", tests);
}
