/* Exact log-determinants against closed forms and differences. */
#include "core/error.h"
#include "core/parallel.h"
#include "nn/jacobian.h"
#include "nn/net.h"

#include <gsl/gsl_linalg.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

void openblas_set_num_threads(int n); /* its header and GSL's exclude each other */

/* A map under test: n points, what they go to, their determinants. */
struct mapped {
	struct arena *arena;
	struct graph *g;
	struct counts counts;
	struct var x, v;
	const real *params[GRAPH_PARAMS_MAX];
	size_t n, dim;
	double *points, *images, *log_det, *sign;
};

static struct mapped *mapped_new(size_t n, size_t dim)
{
	struct arena *a = arena_new();
	struct mapped *m = ARENA_NEW(a, 1, struct mapped);
	const struct rng r = { .seed = 3, .purpose = RNG_TEST };

	*m = (struct mapped){ .arena = a,
		.n = n,
		.dim = dim,
		.points = ARENA_NEW(a, n * dim, double),
		.images = ARENA_NEW(a, n * dim, double),
		.log_det = ARENA_NEW(a, n, double),
		.sign = ARENA_NEW(a, n, double) };
	m->g = graph_new(a, NULL, &m->counts);
	m->x = input(m->g, "x", dim);
	m->v = input(m->g, "v", dim);
	for (size_t j = 0; j < n * dim; j++) /* as the engine holds it */
		m->points[j] = (double)(real)rng_gauss(r, 0, j / dim, (uint32_t)(j % dim));
	for (size_t i = 0; i < n; i++)
		m->sign[i] = 1;
	return m;
}

static void map_to(struct mapped *m, struct var y)
{
	label(y, "y");
	label(jvp(y, m->x, m->v), "dy");
}

static void run(struct mapped *m)
{
	jacobian_log_det(m->g, m->params, m->n, m->dim, m->points, m->images, m->log_det, m->sign);
}

/* --- affine maps ------------------------------------------------------------------------------ */

/* W = L U with L unit lower: |det W| is the product of U's diagonal. The other entries are small, so
 * that W^-1 is of order 1. */
static double fill_affine(size_t dim, real *params, double *sign)
{
	const struct rng r = { .seed = 9, .purpose = RNG_TEST };
	double log_det = 0;

	*sign = 1;
	for (size_t i = 0; i < dim; i++)
		for (size_t j = 0; j < dim; j++) {
			double sum = 0;
			for (size_t k = 0; k <= i && k <= j; k++) {
				double l = rng_gauss(r, 1, i, (uint32_t)k) / (double)(4 * dim);
				double u = rng_gauss(r, 2, k, (uint32_t)j) / (double)(4 * dim);
				double d = (k % 3 == 1 ? -1 : 1) * (0.6 + 0.1 * (double)(k % 7));
				sum += (k == i ? 1 : l) * (k == j ? d : u);
				if (k == i && k == j) {
					log_det += log(fabs(d));
					*sign *= d > 0 ? 1 : -1;
				}
			}
			params[i * dim + j] = (real)sum;
		}
	return log_det;
}

/* Points within a block, over several blocks, and one Jacobian larger than most. */
static void test_affine(void **state)
{
	static const struct {
		size_t n, dim;
	} sizes[] = { { 5, 1 }, { 1, 2 }, { 2100, 4 }, { 150, 61 }, { 3, 130 } };

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t dim = sizes[s].dim;
		struct mapped *m = mapped_new(sizes[s].n, dim);
		real *params = ARENA_NEW(m->arena, dim * dim + dim, real);
		double sign, log_det = fill_affine(dim, params, &sign);
		for (size_t k = 0; k < dim; k++)
			params[dim * dim + k] = (real)(0.5 + (double)k);
		m->params[0] = params;
		map_to(m, linear(m->x, 0, (struct slice){ 0, dim, dim },
				  param(m->g, 0, (struct slice){ dim * dim, 1, dim })));
		run(m);
		/* The graph has its plan now; scratch is given back. */
		struct arena_mark before = arena_mark(m->arena);
		run(m); /* the map twice: its log |det| is added again */
		struct arena_mark after = arena_mark(m->arena);
		assert_true(before.block == after.block && before.used == after.used);
		/* Rounding the entries of W changes log |det W| by tr(W^-1 dW), which is below
		 * 3 dim eps: the diagonal of W^-1 is at most 1/0.6 and the rest small. */
		double tolerance = 2 * 3 * (double)dim * (double)REAL_EPS;
		for (size_t i = 0; i < m->n; i++) {
			assert_true(fabs(m->log_det[i] - 2 * log_det) <= tolerance);
			assert_true(m->sign[i] == 1);
			double y = (double)params[dim * dim];
			for (size_t k = 0; k < dim; k++)
				y += m->points[i * dim + k] * (double)params[k * dim];
			assert_true(
				fabs(m->images[i * dim] - y) <= 4 * (double)dim * (double)REAL_EPS);
		}
		m->sign[0] = 1;
		m->n = 1;
		run(m);
		assert_true(m->sign[0] == sign);
		assert_true(m->counts.network == 0);
		arena_free(m->arena);
	}
}

/* x may be where y goes: a composition in place. W W x by two calls. */
static void test_composition_in_place(void **state)
{
	enum { N = 40, D = 3 };
	struct mapped *m = mapped_new(N, D);
	real *params = ARENA_NEW(m->arena, D * D, real);
	double sign, log_det = fill_affine(D, params, &sign), once[N * D], want[N * D];

	(void)state;
	m->params[0] = params;
	map_to(m, linear(m->x, 0, (struct slice){ 0, D, D }, NO_BIAS));
	run(m);
	memcpy(once, m->images, sizeof(once));
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < D; k++) {
			want[i * D + k] = 0;
			for (size_t j = 0; j < D; j++)
				want[i * D + k] += once[i * D + j] * (double)params[j * D + k];
		}
	for (size_t i = 0; i < 2; i++)
		jacobian_log_det(m->g, m->params, N, D, m->points, m->points, m->log_det, m->sign);
	for (size_t j = 0; j < N * D; j++)
		assert_true(fabs(m->points[j] - want[j]) <= 8 * D * (double)REAL_EPS);
	for (size_t i = 0; i < N; i++) {
		assert_true(fabs(m->log_det[i] - 3 * log_det) <= 9 * D * (double)REAL_EPS);
		assert_true(m->sign[i] == sign);
	}
	arena_free(m->arena);
}

/* --- curved maps ------------------------------------------------------------------------------ */

/* y = x^2 in each coordinate: det = product of 2 x. A fold, and a singular point. */
static void test_fold(void **state)
{
	enum { N = 50, D = 2 };
	struct mapped *m = mapped_new(N, D);

	(void)state;
	m->points[0] = 0;
	m->points[D] = (double)NAN;
	m->points[2 * D] = (double)INFINITY;
	map_to(m, mul(m->x, m->x));
	run(m);
	assert_true(m->log_det[0] == -(double)INFINITY && m->sign[0] == 0);
	for (size_t i = 1; i < 3; i++)
		assert_true(isnan(m->log_det[i]) && m->sign[i] == 0);
	size_t negative = 0;
	for (size_t i = 3; i < N; i++) {
		double det = 4 * m->points[i * D] * m->points[i * D + 1];
		assert_true(fabs(m->log_det[i] - log(fabs(det))) <= 4 * (double)REAL_EPS);
		assert_true(m->sign[i] == (det > 0 ? 1 : -1));
		negative += det < 0;
	}
	assert_true(negative > 0 && negative < N - 3);
	arena_free(m->arena);
}

enum { NET_N = 1100, NET_DIM = 5 };

static struct mapped *mapped_net(void)
{
	struct mapped *m = mapped_new(NET_N, NET_DIM);
	struct mlp net;

	mlp_layout(&net, NET_DIM, 32, 3, NET_DIM);
	real *params = ARENA_NEW(m->arena, net.n_params, real);
	mlp_init(&net, 11, 0, params);
	for (size_t i = 0; i < net.n_params; i++) /* a net that bends */
		params[i] *= 3;
	m->params[0] = params;
	map_to(m, mlp(&net, 0, m->x));
	return m;
}

/* Column k of the Jacobian at the points by central differences. */
static void difference(struct mapped *m, size_t k, double h, double *column)
{
	double *moved = ARENA_NEW(m->arena, m->n * m->dim, double);
	double *ends[2] = { ARENA_NEW(m->arena, m->n * m->dim, double), column };
	struct graph_args args = { .rows = m->n, .params = { m->params[0] } };

	for (size_t side = 0; side < 2; side++) {
		const struct binding input = { "x", NULL, moved };
		const struct capture capture = { "y", ends[side], NULL, NULL };
		memcpy(moved, m->points, m->n * m->dim * sizeof(double));
		for (size_t i = 0; i < m->n; i++)
			moved[i * m->dim + k] += side == 0 ? -h : h;
		args.inputs = &input;
		args.n_inputs = 1;
		args.captures = &capture;
		args.n_captures = 1;
		graph_forward(m->g, &args);
	}
	for (size_t j = 0; j < m->n * m->dim; j++)
		column[j] = (column[j] - ends[0][j]) / (2 * h);
}

/* The determinant from differences, by GSL's LU. An entry's error is of order eps^(2/3) for h =
 * eps^(1/3), times derivatives of order 10; the determinant's log changes by tr(J^-1 dJ), at most the
 * sum of |J^-1| times that. */
static void test_net_against_differences(void **state)
{
	struct mapped *m = mapped_net();
	const double h = cbrt((double)REAL_EPS), entry = 10 * h * h;
	double *columns[NET_DIM];
	size_t judged = 0, negative = 0;

	(void)state;
	run(m);
	assert_true(m->counts.network == (uint64_t)NET_N * NET_DIM);
	for (size_t k = 0; k < NET_DIM; k++) {
		columns[k] = ARENA_NEW(m->arena, m->n * m->dim, double);
		difference(m, k, h, columns[k]);
	}
	gsl_matrix *j = gsl_matrix_alloc(NET_DIM, NET_DIM);
	gsl_matrix *inverse = gsl_matrix_alloc(NET_DIM, NET_DIM);
	gsl_matrix_alloc(NET_DIM, NET_DIM);
	gsl_permutation *p = gsl_permutation_alloc(NET_DIM);
	for (size_t i = 0; i < m->n; i++) {
		int swaps;
		double size = 0;
		for (size_t r = 0; r < NET_DIM; r++)
			for (size_t k = 0; k < NET_DIM; k++)
				gsl_matrix_set(j, r, k, columns[k][i * NET_DIM + r]);
		gsl_linalg_LU_decomp(j, p, &swaps);
		gsl_linalg_LU_invert(j, p, inverse);
		for (size_t r = 0; r < NET_DIM; r++)
			for (size_t k = 0; k < NET_DIM; k++)
				size += fabs(gsl_matrix_get(inverse, r, k));
		if (size * entry > 0.1) /* too near a fold for differences */
			continue;
		judged++;
		negative += m->sign[i] < 0;
		assert_true(fabs(m->log_det[i] - gsl_linalg_LU_lndet(j)) <= size * entry);
		assert_true((int)m->sign[i] == gsl_linalg_LU_sgndet(j, swaps));
	}
	assert_true(judged > NET_N / 2 && negative > 0 && negative < judged);
	gsl_permutation_free(p);
	gsl_matrix_free(inverse);
	gsl_matrix_free(j);
	arena_free(m->arena);
}

static void test_threads(void **state)
{
	static const size_t threads[] = { 2, 7 };
	struct mapped *one = mapped_net();

	(void)state;
	run(one);
	for (size_t t = 0; t < 2; t++) {
		parallel_use(threads[t]);
		struct mapped *other = mapped_net();
		run(other);
		assert_memory_equal(one->log_det, other->log_det, NET_N * sizeof(double));
		assert_memory_equal(one->sign, other->sign, NET_N * sizeof(double));
		assert_memory_equal(one->images, other->images, NET_N * NET_DIM * sizeof(double));
		arena_free(other->arena);
		parallel_use(1);
	}
	arena_free(one->arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_affine),
		cmocka_unit_test(test_composition_in_place),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_net_against_differences),
		cmocka_unit_test(test_threads),
	};

	openblas_set_num_threads(1);
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
