/*
 * Few pairs matter to an optimal plan. So the network simplex is given a short list of them, and its
 * answer is tested on all pairs: those of negative reduced cost C_ij - f_i - g_j join the list, until there
 * are none (column generation). What makes the first list good are potentials of entropic transport: a
 * round of Sinkhorn's iteration at each of a falling sequence of regularisations, in float. They cannot
 * make the answer wrong, only late.
 */
#include "score/exact.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/stats.h"
#include "core/vmath.h"
#include "score/simplex.h"

#include <math.h>
#include <string.h>

enum {
	NEAR = 10, /* pairs of a point that are listed at a time, at most */
	TILE = 64, /* pairs looked at together */
};

/* Regularisations in units of the mean cost: the first, the last, and what one is of the one before. */
static const float EPS_FIRST = 0.5F, EPS_LAST = 5e-4F, EPS_FALL = 0.75F;

/* Terms of smaller exponents are 0, none is subnormal, which would be slow; smaller sums have missed them. */
static const float EXPONENT_MIN = -60, SUM_MIN = 1e-20F;

/* The gap between value and bound by the mean cost: a thousand times what rounding leaves. */
static const double GAP_MAX = 1e-10;

static size_t block_end(size_t block, size_t n)
{
	return (block + 1) * CLOUD_BLOCK < n ? (block + 1) * CLOUD_BLOCK : n;
}

/* Of the points from .. to - 1 of y. */
static void costs(const struct cloud *x, size_t i, const struct cloud *y, bool squared, size_t from,
	size_t to, double *out)
{
	cloud_distances(x, i, y, from, to, out);
	if (squared)
		return;
#pragma omp simd
	for (size_t j = 0; j < to - from; j++)
		out[j] = sqrt(out[j]);
}

/* --- entropic rounds ------------------------------------------------------------------------- */

struct rounds {
	const struct cloud *x, *y;
	bool squared;
	double scale; /* the mean cost, the unit of what follows */
	float eps;
	float *cost;  /* [n][m] */
	float *f, *g; /* [n], [m] */
	float *part;  /* column sums [blocks][m] */
	float *terms; /* [threads][m] */
	double *line; /* [threads][m] */
};

static void cost_block(void *context, size_t block)
{
	struct rounds *r = context;
	size_t m = r->y->n;
	double *line = r->line + parallel_slot() * m;

	for (size_t i = block * CLOUD_BLOCK; i < block_end(block, r->x->n); i++) {
		float *out = r->cost + i * m;
		costs(r->x, i, r->y, r->squared, 0, m, line);
#pragma omp simd
		for (size_t j = 0; j < m; j++)
			out[j] = (float)(line[j] / r->scale);
	}
}

/* f from g, and with it the column sums of n P in parts, as soon as a row is done. */
static void rows_block(void *context, size_t block)
{
	struct rounds *r = context;
	size_t m = r->y->n;
	const float *g = r->g, per_eps = 1 / r->eps;
	float *part = r->part + block * m, *t = r->terms + parallel_slot() * m;

	memset(part, 0, m * sizeof(*part));
	for (size_t i = block * CLOUD_BLOCK; i < block_end(block, r->x->n); i++) {
		const float *c = r->cost + i * m;
		float top = -INFINITY, sum = 0;
#pragma omp simd reduction(max : top)
		for (size_t j = 0; j < m; j++) {
			float d = g[j] - c[j];
			top = d > top ? d : top;
		}
#pragma omp simd reduction(+ : sum)
		for (size_t j = 0; j < m; j++) {
			float exponent = (g[j] - c[j] - top) * per_eps, e = vm_expf(exponent);
			t[j] = exponent < EXPONENT_MIN ? 0 : e;
			sum += t[j];
		}
		float scale = 1 / sum;
#pragma omp simd
		for (size_t j = 0; j < m; j++)
			part[j] += scale * t[j];
		r->f[i] = -top - r->eps * logf(sum / (float)m);
	}
}

static void columns_block(void *context, size_t block)
{
	struct rounds *r = context;
	size_t m = r->y->n;

	for (size_t j = block * CLOUD_BLOCK; j < block_end(block, m); j++) {
		float sum = 0;
		for (size_t b = 0; b < cloud_blocks(r->x->n); b++)
			sum += r->part[b * m + j];
		if (sum > SUM_MIN) {
			r->g[j] -= r->eps * logf(sum * (float)m / (float)r->x->n);
			continue;
		}
		r->g[j] = INFINITY;
		for (size_t i = 0; i < r->x->n; i++)
			r->g[j] = fminf(r->g[j], r->cost[i * m + j] - r->f[i]);
	}
}

/* Potentials g of the second cloud that are near optimal ones; the costs by their mean [n][m]. */
static const float *entropic(const struct cloud *x, const struct cloud *y, bool squared,
	double scale, struct arena *a, double *g)
{
	size_t n = x->n, m = y->n, threads = parallel_threads();
	struct rounds r = {
		.x = x,
		.y = y,
		.squared = squared,
		.scale = scale,
		.cost = arena_alloc(a, n * m, sizeof(float)),
		.f = arena_alloc(a, n, sizeof(float)),
		.g = arena_zalloc(a, m, sizeof(float)),
		.part = arena_alloc(a, cloud_blocks(n) * m, sizeof(float)),
		.terms = arena_alloc(a, threads * m, sizeof(float)),
		.line = arena_alloc(a, threads * m, sizeof(double)),
	};

	parallel_for(cloud_blocks(n), cost_block, &r);
	for (r.eps = EPS_FIRST; r.eps > EPS_LAST; r.eps *= EPS_FALL) {
		parallel_for(cloud_blocks(n), rows_block, &r);
		parallel_for(cloud_blocks(m), columns_block, &r);
	}
	for (size_t j = 0; j < m; j++)
		g[j] = isfinite(r.g[j]) ? scale * (double)r.g[j] : 0;
	return r.cost;
}

/* --- lists of pairs -------------------------------------------------------------------------- */

/* Of each point of x the NEAR points of y of smallest C_ij - g_j, in rising order. */
struct lists {
	const struct cloud *x, *y;
	bool squared;
	const float *kept; /* costs by `scale`, rounded [n][m], or NULL */
	double scale;
	const double *f; /* [n]: only pairs of C_ij - g_j < f_i; NULL: all */
	const double *g;
	size_t room;     /* for a point: NEAR, or what there is */
	size_t *used;    /* [n] */
	uint32_t *place; /* [n][room] */
	double *cost;    /* [n][room] C_ij */
	double *less;    /* [n][room] C_ij - g_j */
};

/* Float costs are off by 6e-8 of themselves. */
static const double ROUNDED_DOWN = 1 - 1e-7;

static struct lists lists_new(const struct cloud *x, const struct cloud *y, bool squared,
	const double *g, struct arena *a)
{
	size_t room = y->n < NEAR ? y->n : NEAR;

	return (struct lists){
		.x = x,
		.y = y,
		.squared = squared,
		.g = g,
		.room = room,
		.used = arena_alloc(a, x->n, sizeof(size_t)),
		.place = arena_alloc(a, x->n * room, sizeof(uint32_t)),
		.cost = arena_alloc(a, x->n * room, sizeof(double)),
		.less = arena_alloc(a, x->n * room, sizeof(double)),
	};
}

/* Put pair j into the list of i, in its place. */
static void list_pair(struct lists *l, size_t i, size_t j, double cost, double less)
{
	uint32_t *place = l->place + i * l->room;
	double *c = l->cost + i * l->room, *s = l->less + i * l->room;
	size_t k = l->used[i] < l->room ? l->used[i]++ : l->room - 1;

	for (; k > 0 && s[k - 1] > less; k--) {
		place[k] = place[k - 1];
		c[k] = c[k - 1];
		s[k] = s[k - 1];
	}
	place[k] = (uint32_t)j;
	c[k] = cost;
	s[k] = less;
}

/* Can a pair of the tile have C_ij - g_j < limit? By the rounded costs. */
static bool tile_counts(const struct lists *l, size_t i, size_t from, size_t to, double limit)
{
	const float *c = l->kept + i * l->y->n;
	double scale = l->scale * ROUNDED_DOWN, least = (double)INFINITY;

#pragma omp simd reduction(min : least)
	for (size_t j = from; j < to; j++) {
		double less = scale * (double)c[j] - l->g[j];
		least = less < least ? less : least;
	}
	return least < limit;
}

static void lists_block(void *context, size_t block)
{
	_Alignas(64) double c[TILE];
	struct lists *l = context;
	size_t m = l->y->n;

	for (size_t i = block * CLOUD_BLOCK; i < block_end(block, l->x->n); i++) {
		double limit = l->f ? l->f[i] : (double)INFINITY;
		const double *last = l->less + (i + 1) * l->room - 1;
		l->used[i] = 0;
		for (size_t from = 0; from < m; from += TILE) {
			size_t to = from + TILE < m ? from + TILE : m;
			if (l->kept && !tile_counts(l, i, from, to, limit))
				continue;
			costs(l->x, i, l->y, l->squared, from, to, c);
			for (size_t j = from; j < to; j++) {
				double less = c[j - from] - l->g[j];
				if (!(less < limit))
					continue;
				list_pair(l, i, j, c[j - from], less);
				if (l->used[i] == l->room)
					limit = *last;
			}
		}
	}
}

/* f: see struct lists. */
static void lists_fill(struct lists *l, const double *f)
{
	l->f = f;
	parallel_for(cloud_blocks(l->x->n), lists_block, l);
}

/* Fill, and the largest potentials that go with g. */
static void lists_potentials(struct lists *l, double *f)
{
	lists_fill(l, NULL);
	for (size_t i = 0; i < l->x->n; i++)
		f[i] = l->less[i * l->room];
}

static bool lists_has(const struct lists *l, size_t i, size_t j)
{
	for (size_t k = 0; k < l->used[i]; k++)
		if (l->place[i * l->room + k] == j)
			return true;
	return false;
}

/* --- the solver ------------------------------------------------------------------------------ */

/* No cost between points of the clouds is larger. */
static double cost_bound(const struct cloud *x, const struct cloud *y, bool squared)
{
	double sum = 0;

	for (size_t k = 0; k < x->dim; k++) {
		double low = (double)INFINITY, high = -(double)INFINITY;
		for (size_t i = 0; i < x->n; i++) {
			low = fmin(low, x->columns[k * x->n + i]);
			high = fmax(high, x->columns[k * x->n + i]);
		}
		for (size_t j = 0; j < y->n; j++) {
			low = fmin(low, y->columns[k * y->n + j]);
			high = fmax(high, y->columns[k * y->n + j]);
		}
		sum += (high - low) * (high - low);
	}
	return squared ? sum : sqrt(sum);
}

/* The pairs near either point, for potentials g; these and f become the largest that go together. */
static void begin(struct simplex *s, struct lists *rows, double *f, double *g, struct arena *a)
{
	struct lists columns = lists_new(rows->y, rows->x, rows->squared, f, a);
	double above = cost_bound(rows->x, rows->y, rows->squared);

	lists_potentials(rows, f);
	lists_potentials(&columns, g);
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < rows->used[i]; k++)
			simplex_add(s, (uint32_t)i, rows->place[i * rows->room + k],
				rows->cost[i * rows->room + k]);
	for (size_t j = 0; j < s->m; j++)
		for (size_t k = 0; k < columns.used[j]; k++) {
			uint32_t i = columns.place[j * columns.room + k];
			if (!lists_has(rows, i, j))
				simplex_add(s, i, (uint32_t)j, columns.cost[j * columns.room + k]);
		}
	/* Potentials are costs less other potentials. */
	for (size_t i = 0; i < s->n; i++)
		above = fmax(above, fabs(f[i]));
	for (size_t j = 0; j < s->m; j++)
		above = fmax(above, fabs(g[j]));
	simplex_begin(s, f, g, 4 * above);
}

/* The pairs that the potentials leave too cheap; how many. */
static size_t add_cheap(struct simplex *s, const struct lists *rows)
{
	size_t before = s->arcs.n;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < rows->used[i]; k++) {
			size_t at = i * rows->room + k;
			double f = s->potential[i], g = rows->g[rows->place[at]];
			if (!simplex_improves(s, rows->cost[at], f, g))
				break;
			simplex_add(s, (uint32_t)i, rows->place[at], rows->cost[at]);
		}
	return s->arcs.n - before;
}

static int solve(const struct cloud *x, const struct cloud *y, bool squared, double scale,
	struct arena *a, struct exact *out)
{
	size_t n = x->n, m = y->n;
	struct lists rows = lists_new(x, y, squared, out->g, a);
	struct simplex s;

	if (scale > 0) {
		rows.scale = scale;
		rows.kept = entropic(x, y, squared, scale, a, out->g);
	}
	simplex_make(&s, n, m, a);
	begin(&s, &rows, out->f, out->g, a);
	do {
		TRY(simplex_run(&s));
		memcpy(out->g, s.potential + n, m * sizeof(double));
		lists_fill(&rows, s.potential);
		out->rounds++;
	} while (add_cheap(&s, &rows) > 0);
	lists_potentials(&rows, out->f);
	out->pivots = s.pivots;
	out->value = simplex_value(&s);
	out->bound = stats_mean(out->f, n) + stats_mean(out->g, m);
	if (!(fabs(out->value - out->bound) <= GAP_MAX * scale))
		return fail(ERR_NUMERIC, "the transport cost is between %.17g and %.17g",
			out->bound, out->value);
	return OK;
}

int transport_exact(const struct cloud *x, const struct cloud *y, bool squared, struct arena *a,
	struct exact *out)
{
	size_t n = x->n, m = y->n;

	if (n == 0 || m == 0)
		return fail(ERR_RANGE, "there are no samples");
	if (n > EXACT_MAX / m)
		return fail(ERR_RANGE,
			"%zu x %zu samples are too many for exact transport; 11585 fit", n, m);
	double scale = cloud_mean_cost(x, y);
	if (!isfinite(scale))
		return fail(ERR_NUMERIC, "the mean cost is %g", scale);
	*out = (struct exact){ .f = ARENA_NEW(a, n, double), .g = ARENA_NEW(a, m, double) };
	struct arena_mark mark = arena_mark(a);
	int code = solve(x, y, squared, squared ? scale : sqrt(scale), a, out);
	arena_release(a, mark);
	return code;
}
