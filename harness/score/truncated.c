/*
 * At an eps far below the distances between points a round moves potentials by thousands of eps, and
 * nearly all terms exp((g_j - C_ij) / eps) of a row vanish beside the largest. So the points are sorted
 * into groups that lie together. Of a group with largest potential p, centre c and radius r, no term is
 * above p - (|x - c| - r) / eps in the exponent: groups that this puts below the largest term by
 * NEGLIGIBLE are left out, and so are families of groups. Of few enough points, the largest exponent of a
 * group that was looked at is remembered, and bounds it by what its potentials have risen since.
 *
 * One pass serves both halves of a round: as soon as the sum of row i has given f_i, the row's terms
 * times exp(f_i / eps) are added to the column sums, which correct g. Where a column sum is so small that
 * left-out terms could be seen in it, g is made anew from f by the column alone.
 */
#include "score/truncated.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/stats.h"
#include "core/vmath.h"
#include "score/groups.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
	GROUP = 16,         /* points; the last group is filled up */
	FAMILY = 32,        /* groups at most */
	GLANCE = 16,        /* groups whose bounds are looked at together */
	PIECES = 64,        /* of the rows, at most: fixed, so that sums are too */
	ROWS = 100,         /* of a piece, at least */
	COLUMNS = 4,        /* groups of a piece */
	DEEP = 16,          /* of more dimensions costs are kept, */
	KEPT_MAX = 1 << 26, /* when there are no more than these, */
	BOUND_MAX = 1 << 28 /* and groups' bounds, when there are no more pairs */
};

/* Costs and potentials are in units of eps ln 2: terms are powers of two. What is lost of a column sum is below
 * m 2^-145, 1e-34 of a sum of 1e-22 for 2^32 columns ... */
static const double NEGLIGIBLE = -145, SMALL_SUM = 1e-22;

/* An exponent that rounding moves by more makes terms that mean nothing. */
static const double OFF_MAX = 1e-2;

/* Balls around points that follow each other, `size` in each but the last. */
struct balls {
	size_t n, size;
	struct cloud centres;
	double *radius, *top; /* [n]; the largest potential */
};

/* A cloud in groups, and these in families. */
struct side {
	size_t n;
	struct cloud
		points; /* in the order of the groups; the last one is repeated, with no weight */
	size_t *order;  /* [n] place in the given cloud */
	struct balls groups, families;
	double *rise; /* of each group: most that a potential rose, summed over rounds */
	double *weight, *log_weight, *potential;
	double *before; /* potentials of the round before */
	bool manhattan;
	double per_unit;
};

/* --- groups ---------------------------------------------------------------------------------- */

static double cost_of(bool manhattan, const double *x, const double *y, size_t dim)
{
	double sum = 0;

	for (size_t k = 0; k < dim; k++)
		sum += manhattan ? fabs(x[k] - y[k]) : (x[k] - y[k]) * (x[k] - y[k]);
	return manhattan ? sum : sqrt(sum);
}

/* Groups, filled up to whole glances. */
static size_t glances(size_t groups)
{
	return (groups + GLANCE - 1) / GLANCE * GLANCE;
}

static size_t ball_end(const struct balls *b, size_t i, size_t n)
{
	return (i + 1) * b->size < n ? (i + 1) * b->size : n;
}

/* Rounding in a radius is far below NEGLIGIBLE eps. */
static int balls_make(struct balls *b, const struct cloud *p, size_t size, bool manhattan,
	struct arena *a)
{
	size_t n = (p->n + size - 1) / size;
	double *centres = ARENA_NEW(a, n * p->dim, double);

	*b = (struct balls){ .n = n,
		.size = size,
		.radius = ARENA_NEW(a, n, double),
		.top = ARENA_NEW(a, n, double) };
	for (size_t g = 0; g < n; g++) {
		const size_t from = g * size, end = ball_end(b, g, p->n);
		double *c = centres + g * p->dim;
		for (size_t i = from; i < end; i++)
			for (size_t k = 0; k < p->dim; k++)
				c[k] += p->x[i * p->dim + k] / (double)(end - from);
		for (size_t i = from; i < end; i++)
			b->radius[g] = fmax(b->radius[g],
				cost_of(manhattan, c, p->x + i * p->dim, p->dim));
	}
	return cloud_make(&b->centres, centres, n, p->dim, a);
}

/* The points in order, filled up to whole groups. */
static int side_points(struct side *s, const struct cloud *x, struct arena *a)
{
	const size_t dim = x->dim, all = (x->n + GROUP - 1) / GROUP * GROUP;
	double *points = arena_alloc(a, all * dim, sizeof(double));
	struct cloud grouped;

	TRY(groups_make(&grouped, x, GROUP, s->order, a));
	for (size_t i = 0; i < all; i++)
		memcpy(points + i * dim, grouped.x + (i < x->n ? i : x->n - 1) * dim,
			dim * sizeof(double));
	return cloud_make(&s->points, points, all, dim, a);
}

static int side_make(struct side *s, const struct cloud *x, const double *weight,
	const struct truncation *rule, struct arena *a)
{
	const size_t n = x->n;

	if (n == 0)
		return fail(ERR_RANGE, "there are no samples");
	*s = (struct side){
		.n = n,
		.order = arena_alloc(a, n, sizeof(size_t)),
		.manhattan = rule->manhattan,
		.per_unit = M_LOG2E / rule->eps,
	};
	TRY(side_points(s, x, a));
	const size_t all = s->points.n;
	s->weight = ARENA_NEW(a, all, double);
	s->log_weight = arena_alloc(a, all, sizeof(double));
	s->potential = arena_alloc(a, all, sizeof(double));
	s->before = arena_alloc(a, all, sizeof(double));
	for (size_t i = 0; i < n; i++)
		s->weight[i] = weight ? weight[s->order[i]] : 1 / (double)n;
	for (size_t i = 0; i < all; i++) {
		s->log_weight[i] = log2(s->weight[i]);
		s->potential[i] = s->before[i] = i < n ? 0 : s->log_weight[i];
	}
	TRY(balls_make(&s->groups, &s->points, GROUP, s->manhattan, a));
	s->rise = ARENA_NEW(a, glances(s->groups.n), double);
	return balls_make(&s->families, &s->points, GROUP * FAMILY, s->manhattan, a);
}

/* The smaller or larger; b when a is not a number. */
static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static void find_tops(struct side *s)
{
	for (size_t f = 0; f < s->families.n; f++)
		s->families.top[f] = -(double)INFINITY;
	for (size_t g = 0; g < s->groups.n; g++) {
		const double *now = s->potential + g * GROUP, *before = s->before + g * GROUP;
		double top = -(double)INFINITY, rise = -(double)INFINITY;
#pragma omp simd reduction(max : top, rise)
		for (size_t i = 0; i < GROUP; i++) {
			top = larger(now[i], top);
			rise = larger(now[i] - before[i], rise);
		}
		s->groups.top[g] = top;
		s->rise[g] += rise;
		s->families.top[g / FAMILY] = larger(top, s->families.top[g / FAMILY]);
	}
}

/* --- the terms of a point --------------------------------------------------------------------- */

/* Costs of point i of x to the points from .. to - 1 of y. */
static void costs(const struct cloud *x, size_t i, const struct cloud *y, bool manhattan,
	double per_unit, size_t from, size_t to, double *out)
{
	if (!manhattan) {
		cloud_distances(x, i, y, from, to, out);
#pragma omp simd
		for (size_t j = 0; j < to - from; j++)
			out[j] = per_unit * sqrt(out[j]);
		return;
	}
	memset(out, 0, (to - from) * sizeof(*out));
	for (size_t k = 0; k < y->dim; k++)
		for (size_t j = from; j < to; j++)
			out[j - from] += per_unit *
					 fabs(x->columns[k * x->n + i] - y->columns[k * y->n + j]);
}

/* Costs of a point to those of group g. */
static void group_costs(const double *point, const struct side *y, size_t g, double *restrict out)
{
	const size_t dim = y->points.dim, pitch = y->points.n;
	const double *columns = y->points.columns + g * GROUP, per_unit = y->per_unit;
	double sum[GROUP];

	for (size_t k = 0; k < dim; k++) {
		const double at = point[k], *column = columns + k * pitch;
#pragma omp simd
		for (size_t j = 0; j < GROUP; j++) {
			double gap = at - column[j], term = y->manhattan ? fabs(gap) : gap * gap;
			sum[j] = k == 0 ? term : sum[j] + term;
		}
	}
#pragma omp simd
	for (size_t j = 0; j < GROUP; j++)
		out[j] = per_unit * (y->manhattan ? sum[j] : sqrt(sum[j]));
}

/* No term of the balls from .. to - 1 of y has a larger exponent: by its distance. */
static void bounds(const struct cloud *x, size_t i, const struct side *y, const struct balls *b,
	size_t from, size_t to, double *out)
{
	costs(x, i, &b->centres, y->manhattan, y->per_unit, from, to, out);
#pragma omp simd
	for (size_t g = from; g < to; g++) {
		double gap = out[g - from] - y->per_unit * b->radius[g];
		out[g - from] = b->top[g] - (gap > 0 ? gap : 0);
	}
}

/* Workspace of a thread: the groups of y that count for a point, with their exponents. */
struct near {
	size_t n;
	size_t *group;
	double *bound;       /* [groups] where they are not remembered */
	double *family;      /* [families] bounds */
	double *exponent;    /* [n][GROUP]: potential less cost */
	const double **cost; /* [n] in place where they are kept */
	double *fresh;       /* [n][GROUP] otherwise */
	double *group_top;   /* [n] */
	double top;          /* the largest exponent, */
	size_t best;         /* and the group that has it */
};

static struct near near_new(size_t groups, struct arena *a)
{
	return (struct near){
		.group = arena_alloc(a, groups, sizeof(size_t)),
		.bound = arena_alloc(a, groups, sizeof(double)),
		.family = arena_alloc(a, groups, sizeof(double)),
		.exponent = arena_alloc(a, groups * GROUP, sizeof(double)),
		.cost = arena_alloc(a, groups, sizeof(double *)),
		.fresh = arena_alloc(a, groups * GROUP, sizeof(double)),
		.group_top = arena_alloc(a, groups, sizeof(double)),
	};
}

/* What is remembered of a row from one round to the next. */
struct row {
	const double *cost; /* [m]; NULL: not kept */
	double *bound; /* [groups] largest exponent when last looked at, less rise; NULL: not kept */
	uint32_t *best; /* group with the largest one; NULL likewise */
};

/* Put group g of y at place n: its largest exponent. */
static double near_add(struct near *w, const struct cloud *x, size_t i, const struct side *y,
	size_t g, const double *costs_kept)
{
	const double *potential = y->potential + g * GROUP;
	double *t = w->exponent + w->n * GROUP, *fresh = w->fresh + w->n * GROUP;
	const double *cost = costs_kept ? costs_kept + g * GROUP : fresh;
	double top = -(double)INFINITY;

	if (!costs_kept)
		group_costs(x->x + i * x->dim, y, g, fresh);
#pragma omp simd reduction(max : top)
	for (size_t j = 0; j < GROUP; j++) {
		t[j] = potential[j] - cost[j];
		top = larger(t[j], top);
	}
	w->group[w->n] = g;
	w->cost[w->n] = cost;
	w->group_top[w->n++] = top;
	if (top > w->top) {
		w->top = top;
		w->best = g;
	}
	return top;
}

static size_t largest(const double *x, size_t n)
{
	double most = -(double)INFINITY;
	size_t best = 0;

#pragma omp simd reduction(max : most)
	for (size_t i = 0; i < n; i++)
		most = x[i] > most ? x[i] : most;
	while (best + 1 < n && x[best] != most)
		best++;
	return best;
}

static void near_start(struct near *w)
{
	w->n = 0;
	w->best = 0;
	w->top = -(double)INFINITY;
}

/* The group that was best first; the others then, as far as they can matter. A bound of -infinity is of no group, of
 * the first, or of one without terms: none is looked at, not even when there is no term at all. */
static void find_remembered(struct near *w, const struct cloud *x, size_t i, const struct side *y,
	const struct row *row, double least)
{
	const size_t first = *row->best;

	near_start(w);
	near_add(w, x, i, y, first, row->cost);
	for (size_t from = 0; from < y->groups.n; from += GLANCE) {
		double *bound = row->bound + from;
		const double *rise = y->rise + from;
		double limit = smaller(w->top + NEGLIGIBLE, least);
		int any = 0;
#pragma omp simd reduction(| : any)
		for (size_t k = 0; k < GLANCE; k++)
			any |= bound[k] + rise[k] > limit;
		for (size_t k = 0; any && k < GLANCE; k++)
			if (bound[k] + rise[k] > smaller(w->top + NEGLIGIBLE, least))
				bound[k] = near_add(w, x, i, y, from + k, row->cost) - rise[k];
	}
	if (w->best != first) {
		*row->best = (uint32_t)w->best;
		row->bound[w->best] = -(double)INFINITY;
		row->bound[first] = w->group_top[0] - y->rise[first];
	}
}

/* The same of one family, `best` being there already. */
static void find_in_family(struct near *w, const struct cloud *x, size_t i, const struct side *y,
	size_t family, size_t best, double least)
{
	const size_t from = family * FAMILY;
	const size_t to = from + FAMILY < y->groups.n ? from + FAMILY : y->groups.n;

	bounds(x, i, y, &y->groups, from, to, w->bound + from);
	for (size_t g = from; g < to; g++)
		if (g != best && (w->bound[g] >= w->top + NEGLIGIBLE || w->bound[g] >= least))
			near_add(w, x, i, y, g, NULL);
}

/* Families first. */
static void find_by_family(struct near *w, const struct cloud *x, size_t i, const struct side *y,
	double least)
{
	const size_t families = y->families.n;

	bounds(x, i, y, &y->families, 0, families, w->family);
	const size_t home = largest(w->family, families), from = home * FAMILY;
	const size_t to = from + FAMILY < y->groups.n ? from + FAMILY : y->groups.n;
	bounds(x, i, y, &y->groups, from, to, w->bound + from);
	const size_t best = from + largest(w->bound + from, to - from);
	near_start(w);
	near_add(w, x, i, y, best, NULL);
	for (size_t f = 0; f < families; f++)
		if (w->family[f] >= w->top + NEGLIGIBLE || w->family[f] >= least)
			find_in_family(w, x, i, y, f, best, least);
}

/* Everything of y that counts for point i of x: within NEGLIGIBLE of the largest term, or above
 * `least`. */
static void near_find(struct near *w, const struct cloud *x, size_t i, const struct side *y,
	const struct row *row, double least)
{
	if (row->bound)
		find_remembered(w, x, i, y, row, least);
	else
		find_by_family(w, x, i, y, least);
}

/* Logarithm of the sum of the terms; the exponents become terms by 2^-top, and groups without any leave. */
static double near_log_sum(struct near *w)
{
	size_t used = 0;
	double sum = 0;

	for (size_t k = 0; k < w->n; k++) {
		const double *t = w->exponent + k * GROUP, top = w->top;
		double *to = w->exponent + used * GROUP;
		if (w->group_top[k] - w->top < NEGLIGIBLE)
			continue;
#pragma omp simd reduction(+ : sum)
		for (size_t j = 0; j < GROUP; j++) {
			to[j] = vm_exp2(t[j] - top);
			sum += to[j];
		}
		w->group[used++] = w->group[k];
	}
	w->n = used;
	return w->top + log2(sum);
}

/* --- rounds ------------------------------------------------------------------------------------ */

struct rounds {
	struct side x, y;
	size_t pieces, rows; /* rows of a piece */
	double *part;        /* column sums [pieces][m] */
	double *kept;        /* costs [n][m], or NULL */
	double *bound;       /* of each row [n][groups of y], or NULL */
	uint32_t *best;      /* [n] likewise */
	double *row_mass, *row_cost;
	struct near *work; /* a thread */
};

static size_t last_row(const struct rounds *r, size_t piece)
{
	size_t end = (piece + 1) * r->rows;

	return end < r->x.n ? end : r->x.n;
}

static struct row kept_row(const struct rounds *r, size_t i)
{
	return (struct row){
		.cost = r->kept ? r->kept + i * r->y.points.n : NULL,
		.bound = r->bound ? r->bound + i * glances(r->y.groups.n) : NULL,
		.best = r->best ? r->best + i : NULL,
	};
}

static void keep_costs(void *context, size_t piece)
{
	struct rounds *r = context;
	size_t m = r->y.points.n;

	for (size_t i = piece * r->rows; i < last_row(r, piece); i++)
		costs(&r->x.points, i, &r->y.points, r->y.manhattan, r->y.per_unit, 0, m,
			r->kept + i * m);
}

static void keep_bounds(void *context, size_t piece)
{
	struct rounds *r = context;
	const size_t groups = r->y.groups.n;

	for (size_t i = piece * r->rows; i < last_row(r, piece); i++) {
		double *bound = r->bound + i * glances(groups);
		bounds(&r->x.points, i, &r->y, &r->y.groups, 0, groups, bound);
		for (size_t g = groups; g < glances(groups); g++)
			bound[g] = -(double)INFINITY;
		r->best[i] = (uint32_t)largest(bound, groups);
		bound[r->best[i]] = -(double)INFINITY;
	}
}

/* f, and the column sums' parts. */
static void rows_piece(void *context, size_t piece)
{
	struct rounds *r = context;
	struct near *w = &r->work[parallel_slot()];
	double *part = r->part + piece * r->y.points.n;

	memset(part, 0, r->y.points.n * sizeof(*part));
	for (size_t i = piece * r->rows; i < last_row(r, piece); i++) {
		const struct row row = kept_row(r, i);
		near_find(w, &r->x.points, i, &r->y, &row, (double)INFINITY);
		const double f = r->x.log_weight[i] - near_log_sum(w);
		/* Of f as it is kept: what rounding makes of a large one, g undoes. */
		const double scale = exp2(f + w->top);
		r->x.potential[i] = f;
		for (size_t k = 0; k < w->n; k++) {
			double *to = part + w->group[k] * GROUP;
			const double *t = w->exponent + k * GROUP;
#pragma omp simd
			for (size_t j = 0; j < GROUP; j++)
				to[j] += scale * t[j];
		}
	}
}

/* g of a group from the column sums where these say it all, otherwise from f. */
static void columns_group(struct rounds *r, size_t g)
{
	struct side *y = &r->y;
	const size_t from = g * GROUP, end = ball_end(&y->groups, g, y->n);
	double sum[GROUP] = { 0 };

	for (size_t p = 0; p < r->pieces; p++) {
		const double *part = r->part + p * y->points.n + from;
#pragma omp simd
		for (size_t k = 0; k < GROUP; k++)
			sum[k] += part[k];
	}
	for (size_t j = from; j < end; j++) {
		double log_b = y->log_weight[j];
		if (sum[j - from] > SMALL_SUM) {
			y->potential[j] += log_b - log2(sum[j - from]);
			continue;
		}
		struct near *w = &r->work[parallel_slot()];
		near_find(w, &y->points, j, &r->x, &(struct row){ 0 }, (double)INFINITY);
		y->potential[j] = log_b - near_log_sum(w);
	}
}

static void columns_piece(void *context, size_t piece)
{
	struct rounds *r = context;

	for (size_t g = piece * COLUMNS; g < (piece + 1) * COLUMNS && g < r->y.groups.n; g++)
		columns_group(r, g);
}

/* Mass and cost of each row of P. No exponent is above 0, and what is below NEGLIGIBLE is left out. */
static void plan_piece(void *context, size_t piece)
{
	struct rounds *r = context;
	struct near *w = &r->work[parallel_slot()];

	for (size_t i = piece * r->rows; i < last_row(r, piece); i++) {
		double f = r->x.potential[i], mass = 0, cost = 0;
		const struct row row = kept_row(r, i);
		near_find(w, &r->x.points, i, &r->y, &row, NEGLIGIBLE - f);
		for (size_t k = 0; k < w->n; k++) {
			const double *t = w->exponent + k * GROUP, *c = w->cost[k];
#pragma omp simd reduction(+ : mass, cost)
			for (size_t j = 0; j < GROUP; j++) {
				double e = vm_exp2(f + t[j]);
				mass += e;
				cost += e * c[j];
			}
		}
		r->row_mass[i] = mass;
		r->row_cost[i] = cost;
	}
}

/* The largest change of a potential in this round. */
static double side_change(struct side *s)
{
	double largest = 0;

#pragma omp simd reduction(max : largest)
	for (size_t i = 0; i < s->n; i++) {
		largest = larger(fabs(s->potential[i] - s->before[i]), largest);
		s->before[i] = s->potential[i];
	}
	return largest / s->per_unit;
}

static void put_potential(const struct side *s, double *out)
{
	for (size_t i = 0; out && i < s->n; i++)
		out[s->order[i]] = s->potential[i] / s->per_unit;
}

static int rounds_new(struct rounds *r, const struct cloud *x, const struct cloud *y,
	const struct truncation *rule, struct arena *a)
{
	size_t n = x->n, groups;

	*r = (struct rounds){ 0 };
	TRY(side_make(&r->x, x, rule->a, rule, a));
	TRY(side_make(&r->y, y, rule->b, rule, a));
	const size_t m = r->y.points.n;
	r->rows = (n + PIECES - 1) / PIECES > ROWS ? (n + PIECES - 1) / PIECES : ROWS;
	r->pieces = (n + r->rows - 1) / r->rows;
	r->part = arena_alloc(a, r->pieces * m, sizeof(double));
	r->row_mass = arena_alloc(a, n, sizeof(double));
	r->row_cost = arena_alloc(a, n, sizeof(double));
	r->work = arena_alloc(a, parallel_threads(), sizeof(*r->work));
	groups = r->x.groups.n > r->y.groups.n ? r->x.groups.n : r->y.groups.n;
	for (size_t t = 0; t < parallel_threads(); t++)
		r->work[t] = near_new(groups, a);
	if (x->dim > DEEP && n * m <= KEPT_MAX) {
		r->kept = arena_alloc(a, n * m, sizeof(double));
		parallel_for(r->pieces, keep_costs, r);
	}
	if (n * m <= BOUND_MAX) {
		r->bound = arena_alloc(a, n * glances(r->y.groups.n), sizeof(double));
		r->best = arena_alloc(a, n, sizeof(*r->best));
	}
	return OK;
}

/* Potentials that are numbers, and whose rounding leaves their terms two digits. */
static int check_digits(const struct side *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!(fabs(s->potential[i]) * DBL_EPSILON <= OFF_MAX))
			return fail(ERR_NUMERIC,
				"costs are so large beside the regularisation, %g, that exponents "
				"of %.2g have no digits left",
				M_LOG2E / s->per_unit, M_LN2 * s->potential[i]);
	return OK;
}

static int run(struct rounds *r, const struct truncation *rule, struct truncated *out)
{
	struct side *x = &r->x, *y = &r->y;

	for (size_t j = 0; j < y->n; j++)
		y->potential[j] = y->before[j] = y->log_weight[j];
	find_tops(y);
	if (r->bound)
		parallel_for(r->pieces, keep_bounds, r);
	*out = (struct truncated){ 0 };
	while (!out->converged && out->rounds < rule->cap) {
		parallel_for(r->pieces, rows_piece, r);
		find_tops(x);
		parallel_for((y->groups.n + COLUMNS - 1) / COLUMNS, columns_piece, r);
		find_tops(y);
		double df = side_change(x), dg = side_change(y);
		out->change = fmax(df, dg);
		out->converged = out->change < rule->tolerance;
		out->rounds++;
	}
	TRY(check_digits(x));
	TRY(check_digits(y));
	parallel_for(r->pieces, plan_piece, r);
	out->value = stats_sum(r->row_cost, x->n) / x->per_unit;
	for (size_t i = 0; i < x->n; i++)
		out->error += fabs(r->row_mass[i] - x->weight[i]);
	put_potential(x, rule->f);
	put_potential(y, rule->g);
	if (!isfinite(out->value))
		return fail(ERR_NUMERIC, "the transport cost is not finite");
	return OK;
}

int transport_truncated(const struct cloud *x, const struct cloud *y, const struct truncation *rule,
	struct arena *a, struct truncated *out)
{
	struct arena_mark mark = arena_mark(a);
	struct rounds r;
	int code = rounds_new(&r, x, y, rule, a);

	if (code == OK)
		code = run(&r, rule, out);
	arena_release(a, mark);
	return code;
}
