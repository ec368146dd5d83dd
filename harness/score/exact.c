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

static void costs(const struct cloud *x, size_t i, const struct cloud *y, bool squared, double *out)
{
	cloud_distances(x, i, y, 0, y->n, out);
	if (squared)
		return;
#pragma omp simd
	for (size_t j = 0; j < y->n; j++)
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
		costs(r->x, i, r->y, r->squared, line);
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

/* Potentials of the second cloud that are near optimal ones. */
static void entropic(const struct cloud *x, const struct cloud *y, bool squared, double scale,
	struct arena *a, double *g)
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
}

/* --- lists of pairs -------------------------------------------------------------------------- */

/* Of each point of x the NEAR points of y of smallest C_ij - g_j, in rising order. */
struct lists {
	const struct cloud *x, *y;
	bool squared;
	const double *g;
	size_t count;    /* of a point: NEAR, or what there is */
	uint32_t *place; /* [n][count] */
	double *cost;    /* [n][count] C_ij */
	double *less;    /* [n][count] C_ij - g_j */
	double *largest; /* [n] C_ij */
	double *line;    /* [threads][m] */
};

static struct lists lists_new(const struct cloud *x, const struct cloud *y, bool squared,
	const double *g, struct arena *a)
{
	size_t count = y->n < NEAR ? y->n : NEAR;

	return (struct lists){
		.x = x,
		.y = y,
		.squared = squared,
		.g = g,
		.count = count,
		.place = arena_alloc(a, x->n * count, sizeof(uint32_t)),
		.cost = arena_alloc(a, x->n * count, sizeof(double)),
		.less = arena_alloc(a, x->n * count, sizeof(double)),
		.largest = arena_alloc(a, x->n, sizeof(double)),
		.line = arena_alloc(a, parallel_threads() * y->n, sizeof(double)),
	};
}

/* Put pair j into the list of i, in its place. */
static void list_pair(struct lists *l, size_t i, size_t *used, size_t j, double cost, double less)
{
	uint32_t *place = l->place + i * l->count;
	double *c = l->cost + i * l->count, *s = l->less + i * l->count;
	size_t k = *used < l->count ? (*used)++ : l->count - 1;

	for (; k > 0 && s[k - 1] > less; k--) {
		place[k] = place[k - 1];
		c[k] = c[k - 1];
		s[k] = s[k - 1];
	}
	place[k] = (uint32_t)j;
	c[k] = cost;
	s[k] = less;
}

static void lists_block(void *context, size_t block)
{
	struct lists *l = context;
	size_t m = l->y->n;
	double *c = l->line + parallel_slot() * m;

	for (size_t i = block * CLOUD_BLOCK; i < block_end(block, l->x->n); i++) {
		size_t used = 0;
		double limit = (double)INFINITY, largest = 0;
		costs(l->x, i, l->y, l->squared, c);
		for (size_t from = 0; from < m; from += TILE) {
			size_t to = from + TILE < m ? from + TILE : m;
			double least = (double)INFINITY;
#pragma omp simd reduction(min : least) reduction(max : largest)
			for (size_t j = from; j < to; j++) {
				double less = c[j] - l->g[j];
				least = less < least ? less : least;
				largest = c[j] > largest ? c[j] : largest;
			}
			for (size_t j = from; least < limit && j < to; j++)
				if (c[j] - l->g[j] < limit || used < l->count) {
					list_pair(l, i, &used, j, c[j], c[j] - l->g[j]);
					if (used == l->count)
						limit = l->less[(i + 1) * l->count - 1];
				}
		}
		l->largest[i] = largest;
	}
}

static void lists_fill(struct lists *l)
{
	parallel_for(cloud_blocks(l->x->n), lists_block, l);
}

/* The largest potentials that go with g. */
static void lists_potentials(const struct lists *l, double *f)
{
	for (size_t i = 0; i < l->x->n; i++)
		f[i] = l->less[i * l->count];
}

static bool lists_has(const struct lists *l, size_t i, size_t j)
{
	for (size_t k = 0; k < l->count; k++)
		if (l->place[i * l->count + k] == j)
			return true;
	return false;
}

/* --- the solver ------------------------------------------------------------------------------ */

/* The pairs near either point, for potentials g; these and f become the largest that go together. */
static void begin(struct simplex *s, struct lists *rows, double *f, double *g, struct arena *a)
{
	struct lists columns = lists_new(rows->y, rows->x, rows->squared, f, a);
	double above = 0;

	lists_fill(rows);
	lists_potentials(rows, f);
	lists_fill(&columns);
	lists_potentials(&columns, g);
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < rows->count; k++)
			simplex_add(s, (uint32_t)i, rows->place[i * rows->count + k],
				rows->cost[i * rows->count + k]);
	for (size_t j = 0; j < s->m; j++)
		for (size_t k = 0; k < columns.count; k++) {
			uint32_t i = columns.place[j * columns.count + k];
			if (!lists_has(rows, i, j))
				simplex_add(s, i, (uint32_t)j, columns.cost[j * columns.count + k]);
		}
	/* Potentials are costs less other potentials. */
	for (size_t i = 0; i < s->n; i++)
		above = fmax(above, fmax(rows->largest[i], fabs(f[i])));
	for (size_t j = 0; j < s->m; j++)
		above = fmax(above, fabs(g[j]));
	simplex_begin(s, f, g, 4 * above);
}

/* The pairs that the potentials leave too cheap; how many. */
static size_t add_cheap(struct simplex *s, const struct lists *rows)
{
	size_t before = s->arcs.n;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < rows->count; k++) {
			size_t at = i * rows->count + k;
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

	memset(out->g, 0, m * sizeof(double));
	if (scale > 0)
		entropic(x, y, squared, scale, a, out->g);
	simplex_make(&s, n, m, a);
	begin(&s, &rows, out->f, out->g, a);
	do {
		TRY(simplex_run(&s));
		memcpy(out->g, s.potential + n, m * sizeof(double));
		lists_fill(&rows);
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
