/*
 * Few pairs matter to an optimal plan. So the network simplex is given a short list of them, and its
 * answer is tested on all pairs: those of negative reduced cost C_ij - f_i - g_j join the list, until there
 * are none (column generation). What makes the first list and the first plan good are potentials of entropic
 * transport: a round of Sinkhorn's iteration at each of a falling sequence of regularisations, in float. They
 * cannot make the answer wrong, only late.
 *
 * Points that lie together are put side by side, for two reasons. Every FEW-th point then stands for its
 * neighbours while the regularisation is large, where potentials are smooth. And pairs are looked at a tile
 * of TILE columns at a time: most tiles of a row have no pair that counts, neither in a sum of terms nor
 * in a list, and one number says so.
 */
#include "score/exact.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/stats.h"
#include "core/vmath.h"
#include "score/groups.h"
#include "score/simplex.h"

#include <math.h>
#include <string.h>

enum {
	NEAR = 10, /* pairs of a point that are listed at a time, at most */
	FEW = 8,   /* points that one stands for at first */
	TILE = 64, /* pairs looked at together */
};

/* Regularisations in units of the mean cost. Of few points: the first one, and what one is of the one before.
 * Of all: likewise, and the last. */
static const float EPS_FEW = 0.5F, FALL_FEW = 0.97F, EPS_ALL = 0.005F, FALL_ALL = 0.85F,
		   EPS_LAST = 5e-4F;

/* Terms of smaller exponents are 0: 2e-9 of the largest is less than rounding. Smaller column sums have missed
 * them. */
static const float EXPONENT_MIN = -20, SUM_MIN = 1e-7F;

/* The gap between value and bound by the mean cost: a thousand times what rounding leaves. */
static const double GAP_MAX = 1e-10;

static size_t tiles_of(size_t n)
{
	return (n + TILE - 1) / TILE;
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
	size_t tiles, width; /* columns with those that fill up the last tile */
	float *cost;         /* [n][width], infinite in the last places */
	float *f, *g;        /* [n], [width] */
	float *bound;        /* [n][tiles] largest g - C of a tile when last looked at, less rise */
	double *rise;        /* [tiles] most that a g rose, summed over changes */
	double largest;      /* |g| or |rise| there ever was */
	float *part;         /* column sums [blocks][width] */
	float *terms;        /* [threads][width] */
	size_t *near;        /* [threads][tiles] */
	double *line;        /* [threads][m] */
};

static void cost_block(void *context, size_t block)
{
	struct rounds *r = context;
	size_t m = r->y->n;
	double *line = r->line + parallel_slot() * m;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, r->x->n); i++) {
		float *out = r->cost + i * r->width;
		costs(r->x, i, r->y, r->squared, 0, m, line);
#pragma omp simd
		for (size_t j = 0; j < m; j++)
			out[j] = (float)(line[j] / r->scale);
		for (size_t j = m; j < r->width; j++)
			out[j] = INFINITY;
		for (size_t t = 0; t < r->tiles; t++)
			r->bound[i * r->tiles + t] = INFINITY;
	}
}

/* The largest g - C of tile t for row i is not larger. */
static float reach(const struct rounds *r, size_t i, size_t t)
{
	return r->bound[i * r->tiles + t] + (float)r->rise[t];
}

/* The tile that reaches most. */
static size_t best_tile(const struct rounds *r, size_t i)
{
	size_t best = 0;

	for (size_t t = 1; t < r->tiles; t++)
		best = reach(r, i, t) > reach(r, i, best) ? t : best;
	return best;
}

/* The largest g - C of tile t for row i. */
static float look(const struct rounds *r, size_t i, size_t t)
{
	const float *c = r->cost + i * r->width + t * TILE, *g = r->g + t * TILE;
	float top = -INFINITY;

	/* The next row, which lies near this one, will look at it, too. */
	for (size_t j = 0; j < TILE; j += 16)
		__builtin_prefetch(c + r->width + j);
#pragma omp simd reduction(max : top)
	for (size_t j = 0; j < TILE; j++) {
		float d = g[j] - c[j];
		top = d > top ? d : top;
	}
	r->bound[i * r->tiles + t] = (float)((double)top - r->rise[t]);
	return top;
}

/* The tiles that have terms of row i, and the largest g - C; returns how many. */
static size_t near_tiles(const struct rounds *r, size_t i, size_t *near, float *top)
{
	float least = r->eps * EXPONENT_MIN;
	size_t best = best_tile(r, i), n = 0;

	*top = look(r, i, best);
	for (size_t t = 0; t < r->tiles; t++)
		if (t != best && reach(r, i, t) > *top + least)
			*top = fmaxf(*top, look(r, i, t));
	for (size_t t = 0; t < r->tiles; t++)
		if (reach(r, i, t) > *top + least)
			near[n++] = t;
	return n;
}

/* f from g, and with it the column sums of n P in parts, as soon as a row is done. */
static void rows_block(void *context, size_t block)
{
	struct rounds *r = context;
	const float per_eps = 1 / r->eps;
	float *part = r->part + block * r->width, *terms = r->terms + parallel_slot() * r->width;
	size_t *near = r->near + parallel_slot() * r->tiles;

	memset(part, 0, r->width * sizeof(*part));
	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, r->x->n); i++) {
		float top, sum = 0;
		size_t n = near_tiles(r, i, near, &top);
		for (size_t k = 0; k < n; k++) {
			const float *c = r->cost + i * r->width + near[k] * TILE;
			const float *g = r->g + near[k] * TILE;
			float *e = terms + k * TILE;
#pragma omp simd reduction(+ : sum)
			for (size_t j = 0; j < TILE; j++) {
				float exponent = (g[j] - c[j] - top) * per_eps;
				float term = vm_expf(exponent);
				e[j] = exponent < EXPONENT_MIN ? 0 : term;
				sum += e[j];
			}
		}
		float scale = 1 / sum;
		for (size_t k = 0; k < n; k++) {
			float *to = part + near[k] * TILE;
			const float *e = terms + k * TILE;
#pragma omp simd
			for (size_t j = 0; j < TILE; j++)
				to[j] += scale * e[j];
		}
		r->f[i] = -top - r->eps * logf(sum / (float)r->y->n);
	}
}

static void columns_tile(void *context, size_t tile)
{
	struct rounds *r = context;
	float rise = -INFINITY;

	for (size_t j = tile * TILE; j < (tile + 1) * TILE && j < r->y->n; j++) {
		float sum = 0, before = r->g[j];
		for (size_t b = 0; b < cloud_blocks(r->x->n); b++)
			sum += r->part[b * r->width + j];
		if (sum > SUM_MIN) {
			r->g[j] -= r->eps * logf(sum * (float)r->y->n / (float)r->x->n);
		} else {
			r->g[j] = INFINITY;
			for (size_t i = 0; i < r->x->n; i++)
				r->g[j] = fminf(r->g[j], r->cost[i * r->width + j] - r->f[i]);
		}
		rise = fmaxf(rise, r->g[j] - before);
	}
	r->rise[tile] += (double)rise;
}

static void rounds_make(struct rounds *r, const struct cloud *x, const struct cloud *y,
	bool squared, double scale, struct arena *a)
{
	size_t n = x->n, m = y->n, threads = parallel_threads();
	size_t tiles = tiles_of(m), width = tiles * TILE;

	*r = (struct rounds){
		.x = x,
		.y = y,
		.squared = squared,
		.scale = scale,
		.tiles = tiles,
		.width = width,
		.cost = arena_alloc(a, n * width, sizeof(float)),
		.f = arena_alloc(a, n, sizeof(float)),
		.g = arena_zalloc(a, width, sizeof(float)),
		.bound = arena_alloc(a, n * tiles, sizeof(float)),
		.rise = arena_zalloc(a, tiles, sizeof(double)),
		.part = arena_alloc(a, cloud_blocks(n) * width, sizeof(float)),
		.terms = arena_alloc(a, threads * width, sizeof(float)),
		.near = arena_alloc(a, threads * tiles, sizeof(size_t)),
		.line = arena_alloc(a, threads * m, sizeof(double)),
	};
	parallel_for(cloud_blocks(n), cost_block, r);
}

static void note_size(struct rounds *r)
{
	for (size_t j = 0; j < r->y->n; j++)
		r->largest = fmax(r->largest, fabs((double)r->g[j]));
	for (size_t t = 0; t < r->tiles; t++)
		r->largest = fmax(r->largest, fabs(r->rise[t]));
}

/* Rounds at eps, and at `fall` times that, and so on, above `last`. */
static void anneal(struct rounds *r, float eps, float last, float fall)
{
	for (r->eps = eps; r->eps > last; r->eps *= fall) {
		parallel_for(cloud_blocks(r->x->n), rows_block, r);
		parallel_for(r->tiles, columns_tile, r);
		note_size(r);
	}
}

/* Every FEW-th point of a cloud, whose points are finite. */
static void thin(struct cloud *out, const struct cloud *x, struct arena *a)
{
	size_t n = (x->n + FEW - 1) / FEW, dim = x->dim;
	double *points = arena_alloc(a, n * dim, sizeof(double));

	for (size_t i = 0; i < n; i++)
		memcpy(points + i * dim, x->x + i * FEW * dim, dim * sizeof(double));
	invariant(cloud_make(out, points, n, dim, a) == OK);
}

/* Potentials g of the second cloud that are near optimal ones. */
static void entropic(struct rounds *r, const struct cloud *x, const struct cloud *y, bool squared,
	double scale, struct arena *a, double *g)
{
	struct rounds coarse, between;
	struct cloud few_x, few_y;

	thin(&few_x, x, a);
	thin(&few_y, y, a);
	rounds_make(&coarse, &few_x, &few_y, squared, scale, a);
	anneal(&coarse, EPS_FEW, EPS_ALL, FALL_FEW);
	rounds_make(&between, y, &few_x, squared, scale, a);
	memcpy(between.g, coarse.f, few_x.n * sizeof(float));
	between.eps = EPS_ALL;
	parallel_for(cloud_blocks(y->n), rows_block, &between);
	rounds_make(r, x, y, squared, scale, a);
	memcpy(r->g, between.f, y->n * sizeof(float));
	anneal(r, EPS_ALL, EPS_LAST, FALL_ALL);
	for (size_t j = 0; j < y->n; j++)
		g[j] = scale * (double)r->g[j];
}

/* --- lists of pairs -------------------------------------------------------------------------- */

/* Of each point of x the NEAR points of y of smallest C_ij - g_j, in rising order. */
struct lists {
	const struct cloud *x, *y;
	bool squared;
	struct rounds *kept; /* costs, rounded, and what tiles of them reach */
	bool turned;         /* of kept costs x is the columns' cloud */
	float *of_tile;      /* of rows' tiles, turned [tiles][m]: what they reach */
	double largest;      /* |g|; of rows also what it was, and sums of rises */
	double *f;           /* [n]: only pairs of C_ij - g_j < f_i */
	const double *g;     /* [m] */
	size_t room;         /* for a point: NEAR, or what there is */
	size_t *used;        /* [n] */
	uint32_t *place;     /* [n][room] */
	double *cost;        /* [n][room] C_ij */
	double *less;        /* [n][room] C_ij - g_j */
};

/* A float is off by 6e-8 of itself; C_ij, g_j, their difference, sums of rises and what they are taken from
 * each are one. */
static const double ROUNDED = 4e-7;

static struct lists lists_new(const struct cloud *x, const struct cloud *y, bool squared,
	struct rounds *kept, const double *g, struct arena *a)
{
	size_t room = y->n < NEAR ? y->n : NEAR;
	bool turned = kept->x == y;

	return (struct lists){
		.x = x,
		.y = y,
		.squared = squared,
		.kept = kept,
		.turned = turned,
		.of_tile = turned ? arena_alloc(a, tiles_of(y->n) * x->n, sizeof(float)) : NULL,
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

/* The rows of a tile of costs that are kept, for lists of its columns. */
static void turned_tile(void *context, size_t tile)
{
	struct lists *l = context;
	const struct rounds *r = l->kept;
	float *top = l->of_tile + tile * l->x->n;

	for (size_t j = 0; j < l->x->n; j++)
		top[j] = -INFINITY;
	for (size_t i = tile * TILE; i < (tile + 1) * TILE && i < l->y->n; i++) {
		const float *c = r->cost + i * r->width, g = (float)(l->g[i] / r->scale);
#pragma omp simd
		for (size_t j = 0; j < l->x->n; j++) {
			float d = g - c[j];
			top[j] = d > top[j] ? d : top[j];
		}
	}
}

/* The potentials of the columns of kept costs, in their unit, and how they rose. */
static void kept_potentials(struct lists *l)
{
	struct rounds *r = l->kept;

	for (size_t t = 0; t < r->tiles; t++) {
		float rise = -INFINITY;
		for (size_t j = t * TILE; j < (t + 1) * TILE && j < l->y->n; j++) {
			float before = r->g[j];
			r->g[j] = (float)(l->g[j] / r->scale);
			rise = fmaxf(rise, r->g[j] - before);
		}
		r->rise[t] += (double)rise;
	}
	note_size(r);
	l->largest = r->scale * r->largest;
}

/* Pairs of point i with a tile that are below the limit. The limit falls when the list is full. */
static void list_tile(struct lists *l, size_t i, size_t tile, double *limit)
{
	_Alignas(64) double c[TILE];
	size_t from = tile * TILE, to = from + TILE < l->y->n ? from + TILE : l->y->n;

	costs(l->x, i, l->y, l->squared, from, to, c);
	for (size_t j = from; j < to; j++) {
		double less = c[j - from] - l->g[j];
		if (!(less < *limit))
			continue;
		list_pair(l, i, j, c[j - from], less);
		if (l->used[i] == l->room)
			*limit = l->less[(i + 1) * l->room - 1];
	}
}

/* May a tile have a g_j - C_ij above -limit, by numbers that are rounded? A pair that counts has
 * C_ij <= limit + g_j: so much can rounding be off. */
static bool list_needs(const struct lists *l, size_t i, size_t tile, double limit)
{
	double least = -limit - ROUNDED * (fabs(limit) + 2 * l->largest);
	const struct rounds *r = l->kept;

	if (l->turned)
		return r->scale * (double)l->of_tile[tile * l->x->n + i] > least;
	return r->scale * (double)reach(r, i, tile) > least &&
	       r->scale * (double)look(r, i, tile) > least;
}

static size_t list_best(const struct lists *l, size_t i)
{
	const float *top = l->of_tile + i;
	size_t best = 0;

	if (!l->turned)
		return best_tile(l->kept, i);
	for (size_t t = 1; t < tiles_of(l->y->n); t++)
		best = top[t * l->x->n] > top[best * l->x->n] ? t : best;
	return best;
}

static void lists_block(void *context, size_t block)
{
	struct lists *l = context;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, l->x->n); i++) {
		double limit = l->f[i];
		size_t best = list_best(l, i);
		l->used[i] = 0;
		list_tile(l, i, best, &limit);
		for (size_t t = 0; t < tiles_of(l->y->n); t++)
			if (t != best && list_needs(l, i, t, limit))
				list_tile(l, i, t, &limit);
		if (l->used[i] > 0)
			l->f[i] = l->less[i * l->room];
	}
}

/* Lists of pairs of C_ij - g_j < f_i. Then f falls to what goes with g. */
static void lists_fill(struct lists *l, double *f)
{
	l->f = f;
	l->largest = 0;
	for (size_t j = 0; l->turned && j < l->y->n; j++)
		l->largest = fmax(l->largest, fabs(l->g[j]));
	if (l->turned)
		parallel_for(tiles_of(l->y->n), turned_tile, l);
	else
		kept_potentials(l);
	parallel_for(cloud_blocks(l->x->n), lists_block, l);
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

/* What the list cannot carry, row by row: to the columns of least C_ij - g_j that have units left. So the
 * first plan is whole: pivots that only made it so would see potentials that mean nothing. */
static void place_rest(struct simplex *s, const struct lists *rows, const double *g,
	struct arena *a)
{
	double *c = arena_alloc(a, s->m, sizeof(*c));
	size_t *open = arena_alloc(a, s->m, sizeof(*open)), n = 0;
	const int64_t *left = s->left + s->n;

	for (size_t j = 0; j < s->m; j++)
		if (left[j] > 0)
			open[n++] = j;
	for (size_t i = 0; i < s->n; i++) {
		if (s->left[i] > 0)
			costs(rows->x, i, rows->y, rows->squared, 0, s->m, c);
		while (s->left[i] > 0) {
			size_t best = 0;
			for (size_t k = 1; k < n; k++)
				if (c[open[k]] - g[open[k]] < c[open[best]] - g[open[best]])
					best = k;
			size_t j = open[best];
			simplex_put(s, (uint32_t)i, (uint32_t)j, c[j]);
			if (left[j] == 0)
				memmove(open + best, open + best + 1, (--n - best) * sizeof(*open));
		}
	}
}

/* The pairs near either point, for potentials g; these and f become the largest that go together. */
static void begin(struct simplex *s, struct lists *rows, double *f, double *g, struct arena *a)
{
	struct lists columns = lists_new(rows->y, rows->x, rows->squared, rows->kept, f, a);
	double above = cost_bound(rows->x, rows->y, rows->squared);

	for (size_t i = 0; i < s->n; i++)
		f[i] = (double)INFINITY;
	lists_fill(rows, f);
	for (size_t j = 0; j < s->m; j++)
		g[j] = (double)INFINITY;
	lists_fill(&columns, g);
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
	simplex_load(s, f, g);
	place_rest(s, rows, g, a);
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

/* A cloud with points that lie together side by side. */
struct sorted {
	struct cloud cloud;
	size_t *order; /* place in the given cloud */
	double *potential;
};

static int sorted_make(struct sorted *s, const struct cloud *x, struct arena *a)
{
	s->order = arena_alloc(a, x->n, sizeof(size_t));
	s->potential = ARENA_NEW(a, x->n, double);
	return groups_make(&s->cloud, x, FEW, s->order, a);
}

static void put_potential(const struct sorted *s, double *out)
{
	for (size_t i = 0; i < s->cloud.n; i++)
		out[s->order[i]] = s->potential[i];
}

static int solve(const struct sorted *u, const struct sorted *v, bool squared, double scale,
	struct arena *a, struct exact *out)
{
	const struct cloud *x = &u->cloud, *y = &v->cloud;
	double *f = u->potential, *g = v->potential;
	struct rounds rounds;
	struct simplex s;

	if (scale > 0)
		entropic(&rounds, x, y, squared, scale, a, g);
	else
		rounds_make(&rounds, x, y, squared, 1, a);
	struct lists rows = lists_new(x, y, squared, &rounds, g, a);
	simplex_make(&s, x->n, y->n, a);
	begin(&s, &rows, f, g, a);
	do {
		TRY(simplex_run(&s));
		memcpy(f, s.potential, x->n * sizeof(double));
		memcpy(g, s.potential + x->n, y->n * sizeof(double));
		lists_fill(&rows, f);
		out->rounds++;
	} while (add_cheap(&s, &rows) > 0);
	out->pivots = s.pivots;
	out->value = simplex_value(&s);
	out->bound = stats_mean(f, x->n) + stats_mean(g, y->n);
	if (!(fabs(out->value - out->bound) <= GAP_MAX * scale))
		return fail(ERR_NUMERIC, "the transport cost is between %.17g and %.17g",
			out->bound, out->value);
	put_potential(u, out->f);
	put_potential(v, out->g);
	return OK;
}

static int sort_and_solve(const struct cloud *x, const struct cloud *y, bool squared, double scale,
	struct arena *a, struct exact *out)
{
	struct sorted u, v;

	TRY(sorted_make(&u, x, a));
	TRY(sorted_make(&v, y, a));
	return solve(&u, &v, squared, squared ? scale : sqrt(scale), a, out);
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
	int code = sort_and_solve(x, y, squared, scale, a, out);
	arena_release(a, mark);
	return code;
}
