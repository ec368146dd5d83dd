/* Optimal transport: exact, sliced and the errors of the entropic ones. Certificates, brute force, closed
 * forms, invariances and degenerate input. */
#include "metrics.h"
#include "core/stats.h"
#include "score/exact.h"
#include "score/newton.h"
#include "score/sliced.h"
#include "score/sort.h"
#include "score/transport.h"
#include "score/truncated.h"

static double gauss(uint32_t epoch, size_t i, size_t k)
{
	const struct rng r = { .seed = 11, .purpose = RNG_TEST, .epoch = epoch };

	return rng_gauss(r, 0, i, (uint32_t)k);
}

/* --- laws ------------------------------------------------------------------------------------ */

enum law { SHIFT, MIXTURE, FUNNEL, FAR, TIES, COLLAPSE, LAWS };

/* Point i of a law's exact samples (side 0) or its model's (side 1). */
static double coordinate(enum law law, uint32_t side, uint32_t epoch, size_t dim, size_t i,
	size_t k)
{
	uint32_t stream = 2 * epoch + side;
	double z = gauss(stream, i, k), v = 2.5 * gauss(stream, i, 0);
	uint64_t component = rng_below((struct rng){ 12, RNG_TEST, stream }, 0, i, 0, 8);

	switch (law) {
	case SHIFT:
		return side ? 1 / sqrt((double)dim) + 1.2 * z : z;
	case MIXTURE:
		return side ? 5 * z : z + 5 * gauss(1000, component, k);
	case FUNNEL:
		return k == 0 ? v : exp(v / (side ? 3 : 2)) * z;
	case FAR:
		return z + (k > 0 ? 0 : side || i % 3 ? 20 : -20);
	case TIES:
		return floor(1.5 * z);
	default:
		return side ? 0.25 : z;
	}
}

static double *draw(enum law law, uint32_t side, uint32_t epoch, size_t n, size_t dim)
{
	double *x = arena_alloc(arena, n * dim, sizeof(double));

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			x[i * dim + k] = coordinate(law, side, epoch, dim, i, k);
	return x;
}

static struct cloud cloud_of(const double *x, size_t n, size_t dim)
{
	struct cloud out;

	assert_int_equal(cloud_make(&out, x, n, dim, arena), OK);
	return out;
}

static struct cloud drawn(enum law law, uint32_t side, size_t n, size_t dim)
{
	return cloud_of(draw(law, side, 0, n, dim), n, dim);
}

static double cost_of(const struct cloud *x, size_t i, const struct cloud *y, size_t j,
	bool squared)
{
	double sum = 0;

	for (size_t k = 0; k < x->dim; k++)
		sum += pow(x->x[i * x->dim + k] - y->x[j * y->dim + k], 2);
	return squared ? sum : sqrt(sum);
}

static struct exact solved(const struct cloud *x, const struct cloud *y, bool squared)
{
	struct exact e;

	if (transport_exact(x, y, squared, arena, &e) != OK)
		fail_msg("%s", error_text());
	return e;
}

/* --- the exact solver ------------------------------------------------------------------------ */

/* Potentials that go with all costs bound the optimum from below, and the plan's cost from above: that
 * they agree proves both. Costs are rounded to 1e-16 of themselves, potentials to some hundred times that of
 * the largest cost that has a part in them. */
static void check_certificate(const struct cloud *x, const struct cloud *y, bool squared)
{
	struct exact e = solved(x, y, squared);
	double sum = 0, largest = 0, scale = cloud_mean_cost(x, y);

	scale = squared ? scale : sqrt(scale);
	for (size_t i = 0; i < x->n; i++)
		for (size_t j = 0; j < y->n; j++) {
			double c = cost_of(x, i, y, j, squared);
			largest = fmax(largest, c);
			assert_true(e.f[i] + e.g[j] <= c + 1e-12 * (largest + scale));
		}
	for (size_t i = 0; i < x->n; i++)
		sum += e.f[i] / (double)x->n;
	for (size_t j = 0; j < y->n; j++)
		sum += e.g[j] / (double)y->n;
	assert_near(sum, e.value, 1e-10 * scale, "the dual value");
	assert_near(e.bound, e.value, 1e-9 * e.value + 1e-14 * largest, "the bound");
}

static void test_certificates(void **state)
{
	static const size_t sizes[][2] = { { 300, 300 }, { 150, 211 }, { 240, 180 }, { 64, 1 } };

	(void)state;
	for (int law = 0; law < LAWS; law++)
		for (size_t s = 0; s < 4; s++)
			for (size_t dim = 1; dim <= 27; dim *= 3) {
				struct cloud x = drawn((enum law)law, 0, sizes[s][0], dim);
				struct cloud y = drawn((enum law)law, 1, sizes[s][1], dim);
				check_certificate(&x, &y, true);
				check_certificate(&x, &y, false);
			}
}

/* The least cost of a permutation. */
static double all_permutations(const struct cloud *x, const struct cloud *y, bool squared, size_t i,
	unsigned taken)
{
	double least = i == x->n ? 0 : (double)INFINITY;

	for (size_t j = 0; i < x->n && j < y->n; j++)
		if (!(taken >> j & 1))
			least = fmin(least,
				cost_of(x, i, y, j, squared) / (double)x->n +
					all_permutations(x, y, squared, i + 1, taken | 1U << j));
	return least;
}

static void test_all_permutations(void **state)
{
	(void)state;
	for (int law = 0; law < LAWS; law++)
		for (size_t n = 1; n <= 7; n++)
			for (int squared = 0; squared < 2; squared++) {
				struct cloud x = drawn((enum law)law, 0, n, 3);
				struct cloud y = drawn((enum law)law, 1, n, 3);
				double least = all_permutations(&x, &y, squared, 0, 0);
				/* Sums of 7 numbers in another order. */
				assert_near(solved(&x, &y, squared).value, least, 1e-13 * least,
					"least of all permutations");
			}
}

/* Every point `times` times over. */
static struct cloud repeated(const struct cloud *x, size_t times)
{
	double *out = arena_alloc(arena, x->n * times * x->dim, sizeof(double));

	for (size_t i = 0; i < x->n * times; i++)
		memcpy(out + i * x->dim, x->x + i / times * x->dim, x->dim * sizeof(double));
	return cloud_of(out, x->n * times, x->dim);
}

/* Unequal numbers are equal ones with every point repeated: an assignment. */
static void test_unequal_numbers(void **state)
{
	static const size_t sizes[][2] = { { 4, 6 }, { 9, 15 }, { 10, 7 }, { 1, 5 } };

	(void)state;
	for (int law = 0; law < LAWS; law++)
		for (size_t s = 0; s < 4; s++)
			for (int squared = 0; squared < 2; squared++) {
				size_t n = sizes[s][0], m = sizes[s][1];
				struct cloud x = drawn((enum law)law, 0, n, 2);
				struct cloud y = drawn((enum law)law, 1, m, 2);
				struct cloud xs = repeated(&x, m), ys = repeated(&y, n);
				double value = solved(&xs, &ys, squared).value;
				assert_near(solved(&x, &y, squared).value, value, 1e-13 * value,
					"repeated points");
			}
}

/* In one dimension sorting is optimal, and slices there are the thing itself. */
static void test_one_dimension(void **state)
{
	static const size_t sizes[][2] = { { 200, 200 }, { 90, 60 }, { 70, 101 } };
	const double direction[] = { 1 };

	(void)state;
	for (int law = 0; law < LAWS; law++)
		for (size_t s = 0; s < 3; s++)
			for (int squared = 0; squared < 2; squared++) {
				size_t n = sizes[s][0], m = sizes[s][1];
				struct cloud x = drawn((enum law)law, 0, n, 1);
				struct cloud y = drawn((enum law)law, 1, m, 1);
				struct sliced out;
				assert_int_equal(
					sliced_costs(&x, &y, direction, 1, squared, arena, &out),
					OK);
				double value = solved(&x, &y, squared).value;
				assert_near(out.mean, value, 1e-12 * value, "sorted");
				assert_true(out.max == out.mean && out.max_se == out.mean_se);
			}
}

static void test_triangle_inequality(void **state)
{
	(void)state;
	for (int law = 0; law < FAR; law++) {
		struct cloud x = drawn((enum law)law, 0, 80, 3), y = drawn((enum law)law, 1, 90, 3);
		struct cloud z = drawn((enum law)((law + 1) % 3), 0, 70, 3);
		for (int squared = 0; squared < 2; squared++) {
			double power = squared ? 0.5 : 1;
			double xy = pow(solved(&x, &y, squared).value, power);
			double yz = pow(solved(&y, &z, squared).value, power);
			double xz = pow(solved(&x, &z, squared).value, power);
			/* Of real distances, so strict by far. */
			assert_true(xz < xy + yz && xy < xz + yz && yz < xy + xz);
		}
		/* A shift is a distance: there the inequality is sharp. */
		double *far = arena_alloc(arena, 3 * x.n, sizeof(double));
		for (size_t i = 0; i < 3 * x.n; i++)
			far[i] = x.x[i] + 2;
		struct cloud shifted = cloud_of(far, x.n, 3);
		assert_near(solved(&x, &shifted, true).value, 12, 1e-12, "shift");
		assert_near(solved(&x, &shifted, false).value, sqrt(12), 1e-12, "shift");
	}
}

/* --- metrics --------------------------------------------------------------------------------- */

static const char *const distances[] = { "w1", "w2", "sliced_w2", "max_sliced_w2" };
enum { DISTANCES = 4 };

/* Distances scale with the space; rotations leave w1 and w2 alone, the slices, whose directions stay, not.
 * A shift of 30 loses digits of the coordinates: 1e-12 of the value is a hundred times that. */
static void test_invariances(void **state)
{
	enum { N = 120, M = 90, DIM = 3 };
	const double *exact = draw(MIXTURE, 0, 0, N, DIM), *x = draw(MIXTURE, 1, 0, M, DIM);
	const struct scored in = samples(exact, N, x, M, DIM);
	static const double scales[] = { 1, 1, 7 }, shifts[] = { 0, 30, -2 };

	(void)state;
	for (size_t d = 0; d < DISTANCES; d++) {
		struct value v = value_of(distances[d], &in);
		assert_true(v.value > 0 && v.se > 0);
		for (size_t k = 0; k < 3; k++) {
			struct scored out = in;
			out.x = moved(x, M, DIM, d < 2, scales[k], shifts[k]);
			out.exact = moved(exact, N, DIM, d < 2, scales[k], shifts[k]);
			struct value w = value_of(distances[d], &out);
			assert_near(w.value, scales[k] * v.value, 1e-12 * w.value, distances[d]);
		}
		/* Which cloud is the exact one does not matter. */
		const struct scored turned = samples(x, M, exact, N, DIM);
		assert_near(value_of(distances[d], &turned).value, v.value, 1e-12 * v.value,
			distances[d]);
		/* Nothing separates a cloud from itself in another order. */
		double *back = arena_alloc(arena, M * DIM, sizeof(double));
		for (size_t i = 0; i < M; i++)
			memcpy(back + i * DIM, x + (M - 1 - i) * DIM, DIM * sizeof(double));
		const struct scored same = samples(back, M, x, M, DIM);
		assert_true(value_of(distances[d], &same).value == 0);
	}
}

static bool same_bits(struct value a, struct value b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static void test_threads(void **state)
{
	static const char *const all[] = { "w1", "w2", "sliced_w2", "max_sliced_w2", "sinkhorn",
		"sinkhorn_osds", "sinkhorn_scds" };
	static const size_t threads[] = { 1, 2, 7 };
	const struct scored in =
		samples(draw(FUNNEL, 0, 0, 500, 4), 500, draw(FUNNEL, 1, 0, 400, 4), 400, 4);

	(void)state;
	for (size_t d = 0; d < sizeof(all) / sizeof(all[0]); d++) {
		struct value first = value_of(all[d], &in);
		assert_true(isfinite(first.value) && isfinite(first.se));
		for (size_t t = 0; t < 3; t++) {
			parallel_use(threads[t]);
			assert_true(same_bits(first, value_of(all[d], &in)));
		}
		parallel_use(1);
	}
}

/* W2^2 between N(0, I) and N(a, s^2 I) is |a|^2 + dim (1 - s)^2. In 2 dimensions the bias of 1000
 * points is of order log n / n, 0.007, times the variances: 0.05 beside five standard errors. */
static void test_gaussians(void **state)
{
	enum { N = 1000 };
	const struct scored in = samples(draw(SHIFT, 0, 3, N, 2), N, draw(SHIFT, 1, 3, N, 2), N, 2);
	double squared = 1 + 2 * 0.2 * 0.2;

	(void)state;
	struct value w2 = value_of("w2", &in), w1 = value_of("w1", &in);
	assert_near(w2.value, sqrt(squared), 5 * w2.se + 0.025, "w2");
	assert_true(w2.se < 0.06);
	/* |shift of the means| <= W1 <= W2. */
	assert_true(w1.value <= w2.value && w1.value > 1 - 5 * w1.se);
	/* A slice along theta has (a.theta)^2 + (1 - s)^2: the mean is |a|^2 / 2 + (1 - s)^2, the largest
	 * |a|^2 + (1 - s)^2. 256 directions of the circle leave 1/sqrt(8 * 256) of |a|^2 in the mean. */
	struct value sliced = value_of("sliced_w2", &in), most = value_of("max_sliced_w2", &in);
	assert_near(sliced.value, sqrt(0.54), 5 * sliced.se + 3 * 0.022 / (2 * sqrt(0.54)),
		"sliced_w2");
	assert_near(most.value, sqrt(1.04), 5 * most.se + 0.01, "max_sliced_w2");
}

/* The standard error against the spread of values over independent repeats, of a model that differs from
 * the target. The standard deviation of 200 values has a relative error of 0.05, and the mean of the standard
 * errors one of less; four of these, and 0.05 for what is of higher order in 1 / sqrt(n). */
static void check_error(const char *name, enum law law, size_t n, size_t m, size_t dim)
{
	enum { REPEATS = 200 };
	double values[REPEATS], variances[REPEATS];

	for (uint32_t r = 0; r < REPEATS; r++) {
		struct arena_mark mark = arena_mark(arena);
		const struct scored in =
			samples(draw(law, 0, r, n, dim), n, draw(law, 1, r, m, dim), m, dim);
		struct value v = value_of(name, &in);
		values[r] = v.value;
		variances[r] = v.se * v.se;
		arena_release(arena, mark);
	}
	double spread = sqrt(stats_variance(values, REPEATS));
	double error = sqrt(stats_mean(variances, REPEATS));
	print_message("           %s: %g of %g\n", name, error, spread);
	assert_near(error / spread, 1, 0.25, name);
}

static void test_standard_errors(void **state)
{
	(void)state;
	check_error("sinkhorn", SHIFT, 200, 150, 2);
	check_error("sinkhorn_osds", SHIFT, 200, 150, 2);
	check_error("sinkhorn", MIXTURE, 200, 200, 3);
	check_error("sinkhorn_osds", MIXTURE, 200, 200, 3);
	check_error("w1", SHIFT, 200, 150, 2);
	check_error("w2", SHIFT, 200, 150, 2);
	check_error("w2", MIXTURE, 200, 200, 3);
	check_error("sliced_w2", MIXTURE, 200, 150, 3);
	check_error("max_sliced_w2", SHIFT, 200, 150, 2);
}

/* Files may be sorted. Of two clusters the samples miss one by 3: batches in the order of the rows would see
 * either and call the difference of the two an error. Each error by batches is off by 24 %, four of these. */
static void test_batches_of_sorted_rows(void **state)
{
	enum { N = 400 };
	double *x = ARENA_NEW(arena, N, double), *y = ARENA_NEW(arena, N, double);
	double *mixed_x = ARENA_NEW(arena, N, double), *mixed_y = ARENA_NEW(arena, N, double);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		x[i] = (i < N / 2 ? 0 : 20) + 0.1 * gauss(50, i, 0);
		y[i] = (i < N / 2 ? 0 : 23) + 0.1 * gauss(51, i, 0);
		mixed_x[i * 7 % N] = x[i];
		mixed_y[i * 11 % N] = y[i];
	}
	struct scored sorted = samples(x, N, y, N, 1), mixed = samples(mixed_x, N, mixed_y, N, 1);
	double ratio = value_of("sinkhorn_scds", &sorted).se / value_of("sinkhorn_scds", &mixed).se;
	print_message("           se of sorted rows / of mixed rows %.2f\n", ratio);
	assert_true(ratio < 1 + 4 * 0.34 && ratio > 1 / (1 + 4 * 0.34));
}

/* --- a kernel in float ------------------------------------------------------------------------ */

/* A transport whose kernel is large: in float, which a tolerance of 1e-6 allows, and in double. */
struct twin {
	double eps;
	struct transport single, full;
	size_t m;
};

static struct twin twin_of(enum law law, struct transport_rule rule, double tolerance_full)
{
	enum { N = 600, M = 500, DIM = 4 };
	struct cloud x = cloud_of(draw(law, 0, 7, N, DIM), N, DIM),
		     y = cloud_of(draw(law, 1, 7, M, DIM), M, DIM);
	struct twin out = { .eps = 0.02 * cloud_mean_cost(&x, &y), .m = M };

	rule.eps = out.eps;
	rule.tolerance = 1e-6;
	transport_between(&x, &y, &rule, arena, &out.single);
	rule.tolerance = tolerance_full;
	transport_between(&x, &y, &rule, arena, &out.full);
	return out;
}

/* The largest difference of the second cloud's potentials. */
static double apart(const struct twin *t)
{
	double most = 0;

	for (size_t j = 0; j < t->m; j++)
		most = fmax(most, fabs(t->single.g[j] - t->full.g[j]));
	return most;
}

/* After as many iterations a large kernel in float gives what one in double gives, whatever leaves the
 * range of the scalings. A float rounds by 6e-8, a mean over a plan of at least 600 entries by 3e-9; the
 * potentials' differences count as much as the dual's slope says, the error of the marginal. */
static void test_kernel_in_float(void **state)
{
	const struct transport_rule rule = { .every = 100, .cap = 100 };

	(void)state;
	for (enum law law = 0; law < LAWS; law++) {
		const struct twin t = twin_of(law, rule, 1e-300);
		assert_int_equal(t.single.iterations, t.full.iterations);
		/* A sum of 600 floats is off by 4e-5 at most, if it is taken one by one. */
		assert_true(apart(&t) < 4e-5 * t.eps);
		assert_near(t.single.value, t.full.value, 3e-9 * t.eps + t.full.error * apart(&t),
			"value");
		/* The scalings, two of an entry, are floats themselves. */
		assert_near(t.single.cost, t.full.cost, 2 * 6e-8 * t.full.cost, "cost");
		assert_near(t.single.error, t.full.error, 2 * 6e-8, "error");
	}
}

/* Likewise a cloud with itself. Its entries round in pairs by 6e-8 at most, with a standard deviation of 3.5e-8, and the
 * mean over a plan sees at least 400 pairs: 7e-9 is four standard deviations. Its mass is summed in double, so that the
 * value is stationary in potentials that are off by the rounding of row sums. */
static void test_within_in_float(void **state)
{
	enum { N = 800, DIM = 4 };

	(void)state;
	for (enum law law = 0; law < LAWS; law++) {
		struct cloud x = cloud_of(draw(law, 0, 7, N, DIM), N, DIM);
		struct transport_rule rule = { .every = 100, .cap = 100 };
		struct transport single, full;
		double most = 0;
		rule.eps = 0.02 * cloud_mean_cost(&x, &x);
		rule.tolerance = 1e-6;
		transport_within(&x, &rule, arena, &single);
		rule.tolerance = 1e-300;
		transport_within(&x, &rule, arena, &full);
		for (size_t i = 0; i < N; i++)
			most = fmax(most, fabs(single.f[i] - full.f[i]) / rule.eps);
		assert_int_equal(single.iterations, full.iterations);
		assert_true(most > 0 && most < 4e-5);
		assert_near(single.value, full.value, (7e-9 + most * most) * rule.eps, "value");
		assert_near(single.cost, full.cost, (6e-8 + 2 * most) * full.cost, "cost");
	}
}

/* Accelerated and converged in float, it lies below the limit in double, by no more than the slope says. */
static void test_convergence_in_float(void **state)
{
	const struct transport_rule rule = { .every = 1, .cap = 5000, .accelerate = true };

	(void)state;
	for (enum law law = 0; law < LAWS; law++) {
		const struct twin t = twin_of(law, rule, 1e-11);
		double apart = 0;
		assert_true(t.single.converged && t.single.error < 1e-6 && t.full.converged);
		for (size_t j = 0; j < t.m; j++)
			apart = fmax(apart, fabs(t.single.g[j] - t.full.g[j]));
		assert_true(t.single.value < t.full.value + 3e-9 * t.eps);
		assert_true(t.single.value > t.full.value - t.single.error * apart - 3e-9 * t.eps);
	}
}

/* --- Newton's method -------------------------------------------------------------------------- */

/* Where both converge, Newton's method and Sinkhorn's iteration agree; equal and unequal numbers. */
static void test_newton_is_sinkhorn(void **state)
{
	(void)state;
	for (enum law law = 0; law < LAWS; law++)
		for (size_t m = 1; m <= 90; m += m == 1 ? 49 : 20) {
			struct cloud x = cloud_of(draw(law, 0, 3, 70, 3), 70, 3),
				     y = cloud_of(draw(law, 1, 3, m, 3), m, 3);
			double eps = 0.05 * cloud_mean_cost(&x, &y);
			struct transport_rule rule = { eps, 1e-12, 1, 20000, true, NULL };
			struct newton_rule newton = { eps, 1e-12, 200, true };
			struct transport slow, fast;
			transport_between(&x, &y, &rule, arena, &slow);
			assert_int_equal(transport_newton(&x, &y, &newton, arena, &fast), OK);
			assert_true(slow.converged && fast.converged);
			assert_near(fast.value, slow.value, 1e-11 * slow.value, "value");
			assert_near(fast.cost, slow.cost, 1e-10 * slow.value, "cost");
		}
}

/* The plan at eps, from the potentials: its marginals are the weights and its cost is as told. */
static void assert_plan(const struct cloud *x, const struct cloud *y, const struct newton_rule *r,
	const struct transport *out, double tolerance)
{
	double *row = ARENA_NEW(arena, x->n, double), *c = ARENA_NEW(arena, y->n, double);
	double *column = ARENA_NEW(arena, y->n, double), cost = 0, error = 0;

	for (size_t i = 0; i < x->n; i++) {
		cloud_distances(x, i, y, 0, y->n, c);
		for (size_t j = 0; j < y->n; j++) {
			double d = r->squared ? c[j] : sqrt(c[j]);
			double p = exp((out->f[i] + out->g[j] - d) / r->eps) /
				   ((double)x->n * (double)y->n);
			row[i] += p;
			column[j] += p;
			cost += p * d;
		}
	}
	for (size_t i = 0; i < x->n; i++)
		error += fabs(row[i] - 1 / (double)x->n);
	for (size_t j = 0; j < y->n; j++)
		error += fabs(column[j] - 1 / (double)y->n);
	assert_near(error, 0, tolerance, "marginals");
	assert_near(out->cost, cost, tolerance * fabs(cost), "cost");
}

/* At a small eps: the plan is one, and the value is above the exact cost by at most eps log n. */
static void test_newton_at_small_eps(void **state)
{
	(void)state;
	for (enum law law = 0; law < LAWS; law++)
		for (int squared = 0; squared < 2; squared++) {
			struct cloud x = cloud_of(draw(law, 0, 4, 90, 3), 90, 3),
				     y = cloud_of(draw(law, 1, 4, 110, 3), 110, 3);
			struct newton_rule rule = { 1e-3, 1e-9, 400, squared };
			struct transport out;
			struct exact exact;
			assert_int_equal(transport_newton(&x, &y, &rule, arena, &out), OK);
			assert_true(out.converged);
			/* Exponents of up to 1e6 are rounded by 1e-10. */
			assert_plan(&x, &y, &rule, &out, 2e-9);
			assert_int_equal(transport_exact(&x, &y, squared, arena, &exact), OK);
			const double above = out.value - exact.value;
			assert_true(above > -1e-13 * exact.value && above < 1e-3 * log(110));
		}
}

/* One point that ran away, and more points on one side than on the other, so that the ways to it are
 * shared: in a few steps, of which there is about one a level (26 to 55 levels). */
static void test_newton_with_an_outlier(void **state)
{
	enum { N = 200, M = 150, DIM = 2 };

	(void)state;
	for (double far = 1e4; far < 1e9; far *= 1e2) {
		double *x = draw(SHIFT, 0, 6, N, DIM), *y = draw(SHIFT, 1, 6, M, DIM);
		y[7 * DIM] += far;
		struct cloud cx = cloud_of(x, N, DIM), cy = cloud_of(y, M, DIM);
		struct newton_rule rule = { 0.05 * cloud_mean_cost_within(&cx), 1e-6, 60, true };
		struct transport out;
		assert_int_equal(transport_newton(&cx, &cy, &rule, arena, &out), OK);
		assert_true(out.converged);
	}
}

/* A few points of a model that ran away, with which Sinkhorn's iteration does not end. */
static void test_sinkhorn_with_outliers(void **state)
{
	enum { N = 400, DIM = 2 };

	(void)state;
	for (double far = 1e2; far < 1e9; far *= 1e3) {
		double *x = draw(SHIFT, 0, 5, N, DIM), *y = draw(SHIFT, 1, 5, N, DIM);
		for (size_t i = 0; i < N * DIM; i += 60)
			y[i] *= far;
		struct scored in = samples(x, N, y, N, DIM);
		struct cloud cx = cloud_of(x, N, DIM), cy = cloud_of(y, N, DIM);
		struct exact xy;
		double eps = 0.05 * cloud_mean_cost_within(&cx);
		assert_int_equal(transport_exact(&cx, &cy, true, arena, &xy), OK);
		double s = value_of("sinkhorn", &in).value;
		/* OT(X, Y) and the means of OT(X, X) and OT(Y, Y) are at most eps log n above the exact
		 * costs, which are 0 within. */
		assert_near(s, xy.value, eps * log(N) + 1e-14 * xy.value, "outliers");
	}
}

/* --- many points ------------------------------------------------------------------------------ */

/* eps log sum_k exp((potential_k - |own_i - other_k|) / eps). */
static double soft_max(const struct cloud *own, size_t i, const struct cloud *other,
	const double *potential, double eps)
{
	double *t = ARENA_NEW(arena, other->n, double), top = -(double)INFINITY, sum = 0;

	cloud_distances(own, i, other, 0, other->n, t);
	for (size_t k = 0; k < other->n; k++) {
		t[k] = potential[k] - sqrt(t[k]);
		top = fmax(top, t[k]);
	}
	for (size_t k = 0; k < other->n; k++)
		sum += exp((t[k] - top) / eps);
	return top + eps * log(sum);
}

/* Of so many points that nothing is remembered of a row: the first round's rows, and the third's columns,
 * by their definition at some points of each. */
static void test_truncated_of_many(void **state)
{
	enum { N = 17000, M = 16000 };
	const double eps = 1e-2;
	double *f = arena_alloc(arena, N, sizeof(double)),
	       *g = arena_alloc(arena, M, sizeof(double));
	double *start = arena_alloc(arena, M, sizeof(double));
	struct cloud x = cloud_of(draw(MIXTURE, 0, 8, N, 2), N, 2),
		     y = cloud_of(draw(MIXTURE, 1, 8, M, 2), M, 2);
	struct truncation rule = { .eps = eps, .tolerance = 1e-5, .cap = 1, .f = f, .g = g };
	struct truncated out;

	(void)state;
	for (size_t j = 0; j < M; j++)
		start[j] = eps * log(1. / M);
	assert_int_equal(transport_truncated(&x, &y, &rule, arena, &out), OK);
	for (size_t i = 0; i < N; i += 331)
		assert_near(f[i], eps * log(1. / N) - soft_max(&x, i, &y, start, eps), 1e-12, "f");
	rule.cap = 3;
	assert_int_equal(transport_truncated(&x, &y, &rule, arena, &out), OK);
	for (size_t j = 0; j < M; j += 331)
		assert_near(g[j], eps * log(1. / M) - soft_max(&y, j, &x, f, eps), 1e-12, "g");
}

/* Some rows far from the others: up to 1e9 a plan of mass 1, from 1e12 on no digits in exponents of 1e15, at 1e160 costs
 * that overflow, and rows without any term, in clouds whose groups fill no glance. */
static void test_truncated_far(void **state)
{
	enum { N = 50, M = 60, AWAY = 20 };
	const struct truncation rule = { .eps = 1e-3, .tolerance = 1e-5, .cap = 100 };
	const double away[] = { 1e6, 1e9, 1e12, 1e18, 1e160, 1e200 };
	struct cloud y = cloud_of(draw(MIXTURE, 1, 8, M, 2), M, 2);
	struct truncated out;

	(void)state;
	for (size_t k = 0; k < sizeof(away) / sizeof(away[0]); k++) {
		double *far = memcpy(arena_alloc(arena, N * 2, sizeof(double)),
			draw(MIXTURE, 0, 8, N, 2), N * 2 * sizeof(double));
		for (size_t i = 0; i < AWAY; i++)
			far[i * 2] += away[k] * (1 + 0.01 * (double)i);
		struct cloud x = cloud_of(far, N, 2);
		int code = transport_truncated(&x, &y, &rule, arena, &out);
		assert_int_equal(code, away[k] < 1e11 ? OK : ERR_NUMERIC);
		if (code == OK)
			assert_true(out.value > 0 && out.error <= 2 * (1 + 1e-2));
		else
			assert_non_null(strstr(error_text(), "no digits left"));
	}
}

/* --- degenerate input ------------------------------------------------------------------------ */

static void test_degenerate(void **state)
{
	static const double one[] = { 1, 2 }, same[] = { 4, 6, 4, 6, 4, 6 };
	static const double huge[] = { 1e200, 0, -1e200, 3, 0, 1e200 };

	(void)state;
	for (size_t d = 0; d < DISTANCES; d++) {
		const struct metric *m = metric_find(distances[d]);
		struct value v;
		/* One point against three that are one: the distance of two points. */
		struct scored in = samples(one, 1, same, 3, 2);
		v = value_of(distances[d], &in);
		if (d < 2)
			assert_near(v.value, 5, 1e-14, distances[d]);
		else
			assert_true(v.value > 0 && v.value <= 5);
		assert_true(!(v.se > 0));
		in = samples(same, 3, same, 3, 2);
		assert_true(value_of(distances[d], &in).value == 0);
		in = samples(same, 3, one, 0, 2);
		assert_int_equal(m->eval(&in, &v), ERR_RANGE);
		in = samples(huge, 3, same, 3, 2);
		int code = m->eval(&in, &v);
		assert_true(code == ERR_NUMERIC || (code == OK && isfinite(v.value)));
		in = samples((const double[]){ 0, (double)NAN }, 1, one, 1, 2);
		assert_int_equal(m->eval(&in, &v), ERR_NUMERIC);
	}
}

/* A regularisation without a finite inverse is an error, also where Newton's method, which divides by it,
 * could go on. */
static void test_subnormal_regularisation(void **state)
{
	double *x = draw(SHIFT, 0, 8, 40, 2), *y = draw(SHIFT, 1, 8, 30, 2);
	struct value out;

	(void)state;
	struct scored in = samples(moved(x, 40, 2, false, 1e-155, 0), 40,
		moved(y, 30, 2, false, 1e-155, 0), 30, 2);
	assert_int_equal(eval("sinkhorn", &in, &out), ERR_NUMERIC);
}

static void test_too_many(void **state)
{
	enum { MANY = 12000 };
	double *x = ARENA_NEW(arena, MANY, double);
	struct cloud cloud = cloud_of(x, MANY, 1);
	struct exact e;

	(void)state;
	assert_int_equal(transport_exact(&cloud, &cloud, true, arena, &e), ERR_RANGE);
	assert_non_null(strstr(error_text(), "11585"));
}

/* --- sorting --------------------------------------------------------------------------------- */

/* Sorted, nothing lost, equal ones in the order given: also when numbers agree in all but the last bits. */
static void test_sort(void **state)
{
	enum { N = 3000 };
	struct keyed *x = ARENA_NEW(arena, N, struct keyed),
		     *scratch = ARENA_NEW(arena, N, struct keyed);

	(void)state;
	for (int kind = 0; kind < 6; kind++)
		for (size_t n = 0; n <= N; n = 3 * n + 1) {
			for (size_t i = 0; i < n; i++) {
				double z = gauss(40, i, 0);
				double key = kind == 0   ? z
					     : kind == 1 ? floor(2 * z)
					     : kind == 2 ? 1 + 1e-13 * z
					     : kind == 3 ? exp(100 * z) * (i % 2 ? 1 : -1)
					     : kind == 4 ? -1e10 - (double)(n - i) * 1e-5
							 : 0;
				x[i] = (struct keyed){ key, i };
			}
			sort_keyed(x, n, scratch);
			double places = 0;
			for (size_t i = 0; i < n; i++) {
				places += (double)x[i].place;
				if (i > 0)
					assert_true(x[i - 1].key < x[i].key ||
						    (x[i - 1].key == x[i].key &&
							    x[i - 1].place < x[i].place));
			}
			assert_true(places == (double)n * ((double)n - 1) / 2);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_certificates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_permutations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unequal_numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_dimension, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_triangle_inequality, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_invariances, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gaussians, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_standard_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_batches_of_sorted_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kernel_in_float, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_within_in_float, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_convergence_in_float, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newton_is_sinkhorn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newton_at_small_eps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newton_with_an_outlier, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sinkhorn_with_outliers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated_of_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated_far, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_degenerate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_subnormal_regularisation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sort, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
