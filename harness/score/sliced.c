/*
 * In one dimension the optimal plan is the staircase (i, j) through the sorted points, and potentials are
 * what makes f_i + g_j = c_ij all along it. Where the staircase goes up in both at once either corner
 * will do; the mean of the two is taken, which favours neither cloud.
 */
#include "score/sliced.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/stats.h"
#include "score/sort.h"

#include <math.h>
#include <string.h>

enum { PIECES = 32 }; /* of the directions: fixed, so that sums are too */

struct slices {
	const struct cloud *x, *y;
	const double *directions;
	size_t count;
	bool squared;
	double *cost;         /* [count] */
	double *f, *g;        /* sums over a piece's directions [PIECES][n], [PIECES][m] */
	struct keyed *sorted; /* [threads][2 (n + m)] */
	double *line;         /* [threads][n + m] */
};

static double cost_of(const struct slices *s, double x, double y)
{
	return s->squared ? (x - y) * (x - y) : fabs(x - y);
}

static void project(const struct cloud *x, const double *direction, struct keyed *out, double *line,
	struct keyed *scratch)
{
	memset(line, 0, x->n * sizeof(*line));
	for (size_t k = 0; k < x->dim; k++) {
		const double *column = x->columns + k * x->n;
#pragma omp simd
		for (size_t i = 0; i < x->n; i++)
			line[i] += direction[k] * column[i];
	}
	for (size_t i = 0; i < x->n; i++)
		out[i] = (struct keyed){ line[i], i };
	sort_keyed(out, x->n, scratch);
}

/* Adds the potentials less their mean, back in the order of the points. */
static void add_potentials(const struct keyed *x, size_t n, const double *line, double *to)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += line[i];
	for (size_t i = 0; i < n; i++)
		to[x[i].place] += line[i] - sum / (double)n;
}

/* Cost of the staircase through n and m sorted points; its potentials are put into f and g. */
static double staircase(const struct slices *s, const struct keyed *x, const struct keyed *y,
	double *f, double *g)
{
	const size_t n = s->x->n, m = s->y->n;
	double here = cost_of(s, x[0].key, y[0].key), sum = 0, f_here = here, g_here = 0;
	size_t i = 0, j = 0, left_x = m, left_y = n; /* units of 1 / (n m) */

	f[0] = f_here;
	g[0] = g_here;
	while (true) {
		size_t units = left_x < left_y ? left_x : left_y;
		sum += (double)units * here;
		left_x -= units;
		left_y -= units;
		if (left_x == 0 && left_y == 0 && i + 1 < n) {
			double over = cost_of(s, x[i + 1].key, y[j].key);
			double under = cost_of(s, x[i].key, y[j + 1].key), old = here;
			here = cost_of(s, x[++i].key, y[++j].key);
			f[i] = f_here += 0.5 * (over - old + here - under);
			g[j] = g_here = here - f_here;
			left_x = m;
			left_y = n;
		} else if (left_x == 0 && left_y == 0) {
			break;
		} else if (left_x == 0) {
			here = cost_of(s, x[++i].key, y[j].key);
			f[i] = f_here = here - g_here;
			left_x = m;
		} else {
			here = cost_of(s, x[i].key, y[++j].key);
			g[j] = g_here = here - f_here;
			left_y = n;
		}
	}
	return sum / ((double)n * (double)m);
}

/* Cost in direction l; its potentials, of mean 0, are added to f and g. */
static double slice(const struct slices *s, size_t l, double *f, double *g)
{
	size_t n = s->x->n, m = s->y->n, slot = parallel_slot();
	struct keyed *x = s->sorted + slot * 2 * (n + m), *y = x + n, *scratch = y + m;
	double *line = s->line + slot * (n + m);
	const double *direction = s->directions + l * s->x->dim;

	project(s->x, direction, x, line, scratch);
	project(s->y, direction, y, line, scratch);
	double cost = staircase(s, x, y, line, line + n);
	add_potentials(x, n, line, f);
	add_potentials(y, m, line + n, g);
	return cost;
}

static void slice_piece(void *context, size_t piece)
{
	struct slices *s = context;

	for (size_t l = piece; l < s->count; l += PIECES)
		s->cost[l] = slice(s, l, s->f + piece * s->x->n, s->g + piece * s->y->n);
}

int sliced_costs(const struct cloud *x, const struct cloud *y, const double *directions,
	size_t count, bool squared, struct arena *a, struct sliced *out)
{
	const size_t n = x->n, m = y->n, threads = parallel_threads();
	size_t at = 0;

	if (n == 0 || m == 0)
		return fail(ERR_RANGE, "there are no samples");
	if (count == 0)
		return fail(ERR_RANGE, "there are no directions");
	*out = (struct sliced){ .count = count, .cost = arena_alloc(a, count, sizeof(double)) };
	struct arena_mark mark = arena_mark(a);
	struct slices s = {
		.x = x,
		.y = y,
		.directions = directions,
		.count = count,
		.squared = squared,
		.cost = out->cost,
		.f = ARENA_NEW(a, PIECES * n, double),
		.g = ARENA_NEW(a, PIECES * m, double),
		.sorted = arena_alloc(a, threads * 2 * (n + m), sizeof(struct keyed)),
		.line = arena_alloc(a, threads * (n + m), sizeof(double)),
	};
	parallel_for(PIECES, slice_piece, &s);
	for (size_t p = 1; p < PIECES; p++) {
		for (size_t i = 0; i < n; i++)
			s.f[i] += s.f[p * n + i];
		for (size_t j = 0; j < m; j++)
			s.g[j] += s.g[p * m + j];
	}
	out->mean = stats_mean(out->cost, count);
	out->mean_se = hypot(stats_se(s.f, n), stats_se(s.g, m)) / (double)count;
	for (size_t l = 1; l < count; l++)
		at = out->cost[l] > out->cost[at] ? l : at;
	out->max = out->cost[at];
	memset(s.f, 0, n * sizeof(double));
	memset(s.g, 0, m * sizeof(double));
	slice(&s, at, s.f, s.g);
	out->max_se = hypot(stats_se(s.f, n), stats_se(s.g, m));
	arena_release(a, mark);
	return isfinite(out->mean) ? OK : fail(ERR_NUMERIC, "the transport cost is not finite");
}

const double *sliced_directions(size_t count, size_t dim, struct arena *a)
{
	const struct rng r = { .purpose = RNG_METRIC };
	double *directions = arena_alloc(a, count * dim, sizeof(double));

	for (size_t l = 0; l < count; l++) {
		double *to = directions + l * dim, square = 0;
		for (size_t k = 0; k < dim; k++) {
			to[k] = rng_gauss(r, 0, l, (uint32_t)k);
			square += to[k] * to[k];
		}
		for (size_t k = 0; k < dim; k++)
			to[k] /= sqrt(square);
	}
	return directions;
}
