/*
 * Sinkhorn's iteration in the kernel domain. With potentials f and g,
 *
 *     K_ij = exp((f_i + g_j - C_ij) / eps),     P_ij = u_i K_ij v_j / (n m),
 *
 * an iteration is v_j = n / sum_i u_i K_ij, then u_i = m / sum_j K_ij v_j. One pass over K does both:
 * as soon as the sum of row i has given u_i, the row, still in the cache, is added u_i times to the
 * column sums. These give the error of the columns' marginal for nothing, every iteration.
 *
 * The scalings u, v stay between 1 / scale_max and scale_max. What leaves that range is absorbed: its
 * row or column of K, or with many of them all of f, g and K, is made anew in the log domain, so
 * a bad start or far clouds cost time and no digits.
 *
 * A kernel that does not fit into a cache is as slow as the memory. So a large one is held in float,
 * unless the tolerance is too small for its rounding. Iterations then move by 1e-7; what is told of the
 * last one, error, potentials and value, is made anew in double from its g; of a cloud with itself
 * value and cost are summed in double. The value is stationary in the potentials but for the marginals' error, so that it
 * keeps 1e-8 of eps (tests/test_transport.c).
 */
#include "score/transport.h"
#include "score/newton.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/stats.h"
#include "core/vmath.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

enum {
	TILE = 256, /* columns at a time in the log domain */
	GROUP = 4,  /* rows that share a reading of the vectors */
	FEW = 64,   /* rows or columns that are sooner made anew by themselves */
	NEWTON_STEPS = 300,
};

/* What a number type of the kernel can hold. Entries of K below e^kernel_log are 0: with u v < scale_max^2
 * no P_ij n m, whose mean is 1, loses more than 1e-13, and nothing becomes subnormal, which would be slow. */
struct range {
	double kernel_log, scale_max;
};
static const struct range range_f64 = { -400, 1e40 }, range_f32 = { -86, 1e12 };

/* More entries than this, 2 MB in double, are held in float, if the tolerance is at least that. */
static const size_t SINGLE_ENTRIES = (size_t)1 << 18;
static const double SINGLE_TOLERANCE = 1e-6;

struct problem {
	const struct cloud *x, *y;
	double eps, per_eps; /* 1 / eps */
	double *f,
		*g; /* [n], [m] in units of the cost: C is subtracted before eps divides, which rounds less */
	double *u, *v; /* [n], [m] */
	double *row;   /* [n] row sums of K u, of a cloud with itself; at the end rows' costs */
	double *col;   /* [m] column sums of u K */
	double *part;  /* [blocks][m] */
	double *k;     /* [n][m], or the strict lower triangle row by row */
	struct range range;
	bool single;                     /* in place of k: */
	float *k_f32, *v_f32, *part_f32; /* of a cloud with itself v_f32 is u */
	double *line;                    /* [threads][m] a row of K in the making */
};

/* out[j] = g_j - C_ij; returns the largest. */
static double differences(const struct problem *p, size_t i, double *out)
{
	double top = -(double)INFINITY;

	cloud_distances(p->x, i, p->y, 0, p->y->n, out);
#pragma omp simd reduction(max : top)
	for (size_t j = 0; j < p->y->n; j++) {
		out[j] = p->g[j] - out[j];
		top = out[j] > top ? out[j] : top;
	}
	return top;
}

struct row_sums {
	double mass, cost;
};

#define ENTRY double
#define EXP vm_exp
#define OF_TYPE(name) name##_f64
#include "score/transport_rows.h"

#define ENTRY float
#define EXP vm_expf
#define OF_TYPE(name) name##_f32
#include "score/transport_rows.h"

/* eps log sum_i exp((f_i - C_ij) / eps). */
static double log_column(const struct problem *p, size_t j)
{
	_Alignas(64) double t[TILE];
	double max = -(double)INFINITY, sum = 0;

	for (size_t from = 0; from < p->x->n; from += TILE) {
		size_t to = from + TILE < p->x->n ? from + TILE : p->x->n;
		double top = max;
		cloud_distances(p->y, j, p->x, from, to, t);
#pragma omp simd reduction(max : top)
		for (size_t i = 0; i < to - from; i++) {
			t[i] = p->f[from + i] - t[i];
			top = t[i] > top ? t[i] : top;
		}
		sum = sum * exp((max - top) * p->per_eps) +
		      (p->single ? sum_exp_f32(p, t, top, to - from)
				 : sum_exp_f64(p, t, top, to - from));
		max = top;
	}
	return max + p->eps * log(sum);
}

/* g from f, in the log domain. */
static void columns_block(void *context, size_t block)
{
	struct problem *p = context;

	for (size_t j = block * CLOUD_BLOCK; j < cloud_block_end(block, p->y->n); j++)
		p->g[j] = p->eps * log((double)p->x->n) - log_column(p, j);
}

/* The first n column sums of a block's part from those of the kernel's type. */
static void widen_part(struct problem *p, size_t block, size_t n)
{
	size_t m = p->y->n;

	for (size_t j = 0; p->single && j < n; j++)
		p->part[block * m + j] = (double)p->part_f32[block * m + j];
}

/* f from g in the log domain, K with rows of sum m, and the column sums' parts. */
static void rows_block(void *context, size_t block)
{
	struct problem *p = context;
	size_t m = p->y->n;
	double *line = p->line + parallel_slot() * m;

	if (p->single)
		memset(p->part_f32 + block * m, 0, m * sizeof(float));
	else
		memset(p->part + block * m, 0, m * sizeof(double));
	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, p->x->n); i++)
		if (p->single)
			row_anew_f32(p, i, line, p->k_f32 + i * m, p->part_f32 + block * m);
		else
			row_anew_f64(p, i, line, p->k + i * m, p->part + block * m);
	widen_part(p, block, m);
}

/* The same in double and without K, for an end in float: with rows' costs. */
static void last_block(void *context, size_t block)
{
	struct problem *p = context;
	size_t m = p->y->n;
	double *line = p->line + parallel_slot() * m, *part = p->part + block * m;

	memset(part, 0, m * sizeof(*part));
	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, p->x->n); i++) {
		const double top = differences(p, i, line);
		double sum = 0, cost = 0;
#pragma omp simd reduction(+ : sum, cost)
		for (size_t j = 0; j < m; j++) {
			double e = vm_exp((line[j] - top) * p->per_eps);
			cost += e * (p->g[j] - line[j]);
			sum += e;
			line[j] = e;
		}
		const double scale = (double)m / sum;
#pragma omp simd
		for (size_t j = 0; j < m; j++)
			part[j] += scale * line[j];
		p->f[i] = p->eps * log(scale) - top;
		p->row[i] = scale * cost;
	}
}

/* u from v and the column sums' parts, in one pass over the block's rows of K. */
static void scale_block(void *context, size_t block)
{
	struct problem *p = context;
	size_t m = p->y->n, from = block * CLOUD_BLOCK, n = cloud_block_end(block, p->x->n) - from;
	size_t at = from * m;
	double *u = p->u + from;

	if (p->single)
		scale_rows_f32(p->k_f32 + at, p->v_f32, n, m, u, p->part_f32 + block * m);
	else
		scale_rows_f64(p->k + at, p->v, n, m, u, p->part + block * m);
	widen_part(p, block, m);
}

static void add(double *to, const double *a, const double *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = a[i] + b[i];
}

static void pass_rows(struct problem *p, void (*block)(void *context, size_t i))
{
	size_t m = p->y->n;

	parallel_for(cloud_blocks(p->x->n), block, p);
	memcpy(p->col, p->part, m * sizeof(double));
	for (size_t b = 1; b < cloud_blocks(p->x->n); b++)
		add(p->col, p->col, p->part + b * m, m);
}

static void fill(double *x, size_t n, double value)
{
	for (size_t i = 0; i < n; i++)
		x[i] = value;
}

/* Move scalings into the potentials. */
static void absorb(const struct problem *p, double *potential, double *scale, size_t n)
{
	for (size_t i = 0; i < n; i++)
		potential[i] += p->eps * log(scale[i]);
	fill(scale, n, 1);
}

/* Scalings that have left the range; FEW + 1 of more, or where one has left its type's. */
static size_t out_of_range(const struct problem *p, const double *scale, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n && out <= FEW; i++) {
		if (!(scale[i] > 0 && isfinite(scale[i])))
			return FEW + 1;
		out += scale[i] >= p->range.scale_max || scale[i] <= 1 / p->range.scale_max;
	}
	return out;
}

/* K anew in row i of x, or its transpose's of y, from the potentials. */
static void entries_anew(struct problem *p, bool column, size_t i)
{
	const struct cloud *own = column ? p->y : p->x, *other = column ? p->x : p->y;
	const double mine = column ? p->g[i] : p->f[i];
	const double *theirs = column ? p->f : p->g;
	const size_t m = p->y->n, stride = column ? m : 1;
	size_t at = column ? i : i * m;
	_Alignas(64) double t[TILE];

	for (size_t from = 0; from < other->n; from += TILE) {
		size_t to = from + TILE < other->n ? from + TILE : other->n;
		cloud_distances(own, i, other, from, to, t);
#pragma omp simd
		for (size_t j = 0; j < to - from; j++) {
			double e = (mine - t[j] + theirs[from + j]) * p->per_eps;
			t[j] = e < p->range.kernel_log ? 0 : vm_exp(e);
		}
		for (size_t j = 0; j < to - from; j++, at += stride)
			if (p->single)
				p->k_f32[at] = (float)t[j];
			else
				p->k[at] = t[j];
	}
}

/* Absorb the scalings that have left the range; P stays what it is. */
static void absorb_few(struct problem *p, bool columns)
{
	double *scale = columns ? p->v : p->u, *potential = columns ? p->g : p->f;

	for (size_t i = 0; i < (columns ? p->y->n : p->x->n); i++) {
		if (out_of_range(p, scale + i, 1) == 0)
			continue;
		potential[i] += p->eps * log(scale[i]);
		scale[i] = 1;
		entries_anew(p, columns, i);
	}
}

/* Second half of an iteration in the log domain: f, and what else `block` makes, from g and v. */
static void rows_anew(struct problem *p, void (*block)(void *context, size_t i))
{
	absorb(p, p->g, p->v, p->y->n);
	fill(p->u, p->x->n, 1);
	pass_rows(p, block);
}

/* An iteration in the log domain; v is not looked at. */
static void iterate_anew(struct problem *p)
{
	absorb(p, p->f, p->u, p->x->n);
	fill(p->v, p->y->n, 1);
	parallel_for(cloud_blocks(p->y->n), columns_block, p);
	rows_anew(p, rows_block);
}

/* u and the column sums from v. */
static void iterate(struct problem *p)
{
	size_t out = out_of_range(p, p->v, p->y->n);

	if (out > FEW) {
		iterate_anew(p);
		return;
	}
	if (out > 0)
		absorb_few(p, true);
	if (p->single)
		for (size_t j = 0; j < p->y->n; j++)
			p->v[j] = p->v_f32[j] = (float)p->v[j];
	pass_rows(p, scale_block);
	out = out_of_range(p, p->u, p->x->n);
	if (out > FEW)
		rows_anew(p, rows_block);
	else if (out > 0)
		absorb_few(p, false);
}

/* Mean over i of |1 - scale_i sum_i / total|: the L1 error of a marginal. */
static double marginal_error(const double *scale, const double *sum, size_t n, double total)
{
	double error = 0;

	for (size_t i = 0; i < n; i++)
		error += fabs(1 - scale[i] * sum[i] / total);
	return error / (double)n;
}

/*
 * Anderson's acceleration (1965; type II) of the map from log v to the next log v: of the last DEPTH
 * changes the combination is taken that cancels most of the residual log(n / (v col)), as GMRES would
 * for a linear map. What slows Sinkhorn down is a few modes (mass between separated parts), and these
 * it removes. A residual that grew goes back to the plain step before.
 */
enum { DEPTH = 8 };

/* The acceleration moves no potential further than this times eps: on the plateaus that Sinkhorn goes
 * through, the changes of the residual say where to go, but not how far. */
static const double STEP_MAX = 2;

struct anderson {
	size_t m, used, at; /* changes held, and where the next one goes */
	double *dx[DEPTH], *dr[DEPTH];
	double *x, *r;           /* where it is and its residual */
	double *x_last, *r_last; /* the same one step before */
	double *change;          /* scratch */
	double norm_last;
	bool has_last;
};

static void anderson_new(struct anderson *s, size_t m, struct arena *a)
{
	*s = (struct anderson){ .m = m };
	double **vectors[] = { &s->x, &s->r, &s->x_last, &s->r_last, &s->change };
	for (size_t k = 0; k < 5; k++)
		*vectors[k] = arena_alloc(a, m, sizeof(double));
	for (size_t k = 0; k < DEPTH; k++) {
		s->dx[k] = arena_alloc(a, m, sizeof(double));
		s->dr[k] = arena_alloc(a, m, sizeof(double));
	}
}

static double dot(const double *a, const double *b, size_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* Remember the change since the last step. */
static void anderson_push(struct anderson *s)
{
	for (size_t j = 0; j < s->m; j++) {
		s->dx[s->at][j] = s->x[j] - s->x_last[j];
		s->dr[s->at][j] = s->r[j] - s->r_last[j];
	}
	s->at = (s->at + 1) % DEPTH;
	s->used = s->used < DEPTH ? s->used + 1 : DEPTH;
}

/* gamma with |r - sum gamma dr| smallest; false when there is no telling. */
static bool anderson_solve(const struct anderson *s, double gamma[DEPTH])
{
	double gram[DEPTH * DEPTH], trace = 0;
	lapack_int k = (lapack_int)s->used;

	for (size_t a = 0; a < s->used; a++) {
		for (size_t b = 0; b <= a; b++)
			gram[a * s->used + b] = dot(s->dr[a], s->dr[b], s->m);
		trace += gram[a * s->used + a];
		gamma[a] = dot(s->dr[a], s->r, s->m);
	}
	/* Changes that are nearly parallel: a ridge at the rounding of the products. */
	for (size_t a = 0; a < s->used; a++)
		gram[a * s->used + a] += 1e-14 * trace;
	/* Lower by rows is upper by columns, which LAPACKE need not transpose. */
	return k > 0 && LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', k, 1, gram, k, gamma, k) == 0;
}

/* The next x from x and r. */
static void anderson_step(struct anderson *s)
{
	double norm = sqrt(dot(s->r, s->r, s->m)), gamma[DEPTH];
	size_t bytes = s->m * sizeof(double);
	bool grew = s->has_last && !(norm < 2 * s->norm_last);

	/* Far from the solution, where residuals are of size 1, nothing is linear. */
	if (grew || !(norm < sqrt((double)s->m))) {
		if (grew)
			add(s->x, s->x_last, s->r_last, s->m);
		else
			add(s->x, s->x, s->r, s->m);
		s->used = s->at = 0;
		s->has_last = false;
		return;
	}
	if (s->has_last)
		anderson_push(s);
	memcpy(s->x_last, s->x, bytes);
	memcpy(s->r_last, s->r, bytes);
	s->norm_last = norm;
	s->has_last = true;
	add(s->x, s->x, s->r, s->m);
	if (!anderson_solve(s, gamma))
		return;
	double *change = s->change, largest = 0;
	memset(change, 0, bytes);
	for (size_t k = 0; k < s->used; k++)
		for (size_t j = 0; j < s->m; j++)
			change[j] -= gamma[k] * (s->dx[k][j] + s->dr[k][j]);
	for (size_t j = 0; j < s->m; j++)
		largest = fmax(largest, fabs(change[j]));
	double scale = largest > STEP_MAX ? STEP_MAX / largest : 1;
	for (size_t j = 0; j < s->m; j++)
		s->x[j] += scale * change[j];
}

/* The next v: Sinkhorn's, or the accelerated one. */
static void next_columns(struct problem *p, struct anderson *s)
{
	for (size_t j = 0; j < p->y->n; j++) {
		double plain = (double)p->x->n / p->col[j];
		if (s) {
			s->x[j] = p->per_eps * p->g[j] + log(p->v[j]);
			s->r[j] = log(plain / p->v[j]);
		}
		p->v[j] = plain;
	}
	if (!s)
		return;
	anderson_step(s);
	for (size_t j = 0; j < p->y->n; j++)
		p->v[j] = exp(s->x[j] - p->per_eps * p->g[j]);
}

/* Potentials in units of the cost. */
static void put_potentials(double *out, const double *potential, const double *scale, size_t n,
	double eps)
{
	for (size_t i = 0; i < n; i++)
		out[i] = potential[i] + eps * log(scale[i]);
}

static void costs_block(void *context, size_t block)
{
	struct problem *p = context;
	size_t m = p->y->n;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, p->x->n); i++)
		p->row[i] = p->u[i] * row_sums_f64(p, p->k + i * m, i, p->v, m).cost;
}

static bool is_single(size_t entries, const struct transport_rule *rule)
{
	return entries > SINGLE_ENTRIES && rule->tolerance >= SINGLE_TOLERANCE;
}

static struct problem problem_new(const struct cloud *x, const struct cloud *y,
	const struct transport_rule *rule, size_t entries, bool single, struct arena *a)
{
	size_t n = x->n, m = y->n, size = sizeof(double), parts = cloud_blocks(n) * m;
	struct problem p = {
		.x = x,
		.y = y,
		.eps = rule->eps,
		.per_eps = 1 / rule->eps,
		.f = arena_alloc(a, n, size),
		.g = arena_alloc(a, m, size),
		.u = arena_alloc(a, n, size),
		.v = arena_alloc(a, m, size),
		.row = arena_alloc(a, n, size),
		.col = arena_alloc(a, m, size),
		.part = arena_alloc(a, parts, size),
		.line = arena_alloc(a, parallel_threads() * m, size),
		.range = single ? range_f32 : range_f64,
		.single = single,
	};

	if (single) {
		p.k_f32 = arena_alloc(a, entries, sizeof(float));
		p.v_f32 = arena_alloc(a, m, sizeof(float));
		p.part_f32 = arena_alloc(a, parts, sizeof(float));
	} else {
		p.k = arena_alloc(a, entries, size);
	}
	return p;
}

/* Iterate until the error, where it is looked at, is below the tolerance. */
static void iterate_until(struct problem *p, const struct transport_rule *rule, struct anderson *s,
	struct transport *out)
{
	for (;;) {
		if (out->iterations % rule->every == 0) {
			out->error = marginal_error(p->v, p->col, p->y->n, (double)p->x->n);
			out->converged = out->error < rule->tolerance;
			if (out->converged || !isfinite(out->error) || out->iterations >= rule->cap)
				return;
		}
		next_columns(p, s);
		iterate(p);
		out->iterations++;
	}
}

/* Whether that is all: converged in double, too, or not to be. */
static bool end_in_double(struct problem *p, const struct transport_rule *rule,
	struct transport *out)
{
	const bool hoped = out->converged;

	rows_anew(p, last_block);
	out->error = marginal_error(p->v, p->col, p->y->n, (double)p->x->n);
	out->converged = out->error < rule->tolerance;
	return out->converged || !hoped;
}

void transport_between(const struct cloud *x, const struct cloud *y,
	const struct transport_rule *rule, struct arena *a, struct transport *out)
{
	size_t n = x->n, m = y->n;
	bool single = is_single(n * m, rule);
	double *f = arena_alloc(a, n, sizeof(double)), *g = arena_alloc(a, m, sizeof(double));
	struct arena_mark mark = arena_mark(a);
	struct problem p = problem_new(x, y, rule, n * m, single, a);
	struct anderson anderson;

	if (rule->accelerate)
		anderson_new(&anderson, m, a);
	/* f = 0 where P_ij = exp((f_i + g_j - C_ij) / eps) has the weights 1/n, 1/m absorbed. */
	fill(p.v, m, 1);
	if (rule->start != NULL) {
		memcpy(p.g, rule->start, m * sizeof(double));
		rows_anew(&p, rows_block);
	} else {
		fill(p.f, n, rule->eps * log((double)n));
		fill(p.u, n, 1);
		iterate_anew(&p);
	}
	*out = (struct transport){ .f = f, .g = g, .iterations = 1, .error = (double)INFINITY };
	iterate_until(&p, rule, rule->accelerate ? &anderson : NULL, out);
	while (single && !end_in_double(&p, rule, out)) {
		/* K anew. The column sums stay those that were not good enough. */
		parallel_for(cloud_blocks(n), rows_block, &p);
		iterate_until(&p, rule, rule->accelerate ? &anderson : NULL, out);
	}
	double mass = 0;
	for (size_t j = 0; j < m; j++)
		mass += p.v[j] * p.col[j];
	mass /= (double)n * (double)m;
	put_potentials(f, p.f, p.u, n, rule->eps);
	put_potentials(g, p.g, p.v, m, rule->eps);
	out->value = stats_mean(f, n) + stats_mean(g, m) + rule->eps * (1 - mass);
	if (!single)
		parallel_for(cloud_blocks(n), costs_block, &p);
	out->cost = stats_mean(p.row, n) / (double)m;
	arena_release(a, mark);
}

/* --- a cloud with itself --------------------------------------------------------------------- */

/* Blocks in falling order: the longest rows first. */
static size_t triangle_block(const struct problem *p, size_t piece)
{
	return cloud_blocks(p->x->n) - 1 - piece;
}

static void kernel_block(void *context, size_t piece)
{
	struct problem *p = context;
	size_t block = triangle_block(p, piece);

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, p->x->n); i++) {
		double *k =
			p->single ? p->line + parallel_slot() * p->x->n : triangle_row_f64(p->k, i);
		cloud_distances(p->x, i, p->x, 0, i, k);
#pragma omp simd
		for (size_t j = 0; j < i; j++) {
			double t = -p->per_eps * k[j], e = vm_exp(t);
			k[j] = t < p->range.kernel_log ? 0 : e;
		}
		for (size_t j = 0; p->single && j < i; j++)
			triangle_row_f32(p->k_f32, i)[j] = (float)k[j];
	}
}

/* Row sums of K u over j <= i, and parts of those over j > i. */
static void symmetric_block(void *context, size_t piece)
{
	struct problem *p = context;
	size_t n = p->x->n, block = triangle_block(p, piece), from = block * CLOUD_BLOCK;
	size_t end = cloud_block_end(block, n);

	if (p->single)
		symmetric_rows_f32(p->k_f32, p->v_f32, from, end, p->row, p->part_f32 + block * n);
	else
		symmetric_rows_f64(p->k, p->u, from, end, p->row, p->part + block * n);
	widen_part(p, block, end);
}

static void symmetric_rows(struct problem *p)
{
	size_t n = p->x->n;

	for (size_t i = 0; p->single && i < n; i++)
		p->u[i] = p->v_f32[i] = (float)p->u[i];
	parallel_for(cloud_blocks(n), symmetric_block, p);
	for (size_t b = 0; b < cloud_blocks(n); b++)
		add(p->row, p->row, p->part + b * n, cloud_block_end(b, n));
}

/* Of each row of P, by u, half the mass and the cost: that of j < i, with half of the diagonal. */
static void symmetric_end_block(void *context, size_t piece)
{
	struct problem *p = context;
	size_t block = triangle_block(p, piece);

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, p->x->n); i++) {
		struct row_sums sums =
			p->single ? row_sums_f32(p, triangle_row_f32(p->k_f32, i), i, p->u, i)
				  : row_sums_f64(p, triangle_row_f64(p->k, i), i, p->u, i);
		p->col[i] = p->u[i] * (p->u[i] / 2 + sums.mass);
		p->row[i] = p->u[i] * sums.cost;
	}
}

void transport_within(const struct cloud *x, const struct transport_rule *rule, struct arena *a,
	struct transport *out)
{
	size_t n = x->n, entries = n * (n - 1) / 2;
	double *f = arena_alloc(a, n, sizeof(double)), count = (double)n;
	struct arena_mark mark = arena_mark(a);
	struct problem p = problem_new(x, x, rule, entries, is_single(entries, rule), a);

	/* The unit diagonal of K = exp(-C / eps) keeps every row sum and so every u in range. */
	parallel_for(cloud_blocks(n), kernel_block, &p);
	fill(p.f, n, 0);
	fill(p.u, n, count);
	symmetric_rows(&p);
	*out = (struct transport){ .f = f, .g = f, .error = (double)INFINITY };
	do {
		for (size_t i = 0; i < n; i++)
			p.u[i] = sqrt(p.u[i] * (count / p.row[i]));
		symmetric_rows(&p);
		out->iterations++;
		if (out->iterations % rule->every == 0) {
			out->error = 2 * marginal_error(p.u, p.row, n, count);
			out->converged = out->error < rule->tolerance;
		}
	} while (!out->converged && out->iterations < rule->cap);
	put_potentials(f, p.f, p.u, n, rule->eps);
	parallel_for(cloud_blocks(n), symmetric_end_block, &p);
	double mass = 2 * stats_mean(p.col, n) / count;
	out->value = 2 * stats_mean(f, n) + rule->eps * (1 - mass);
	out->cost = 2 * stats_mean(p.row, n) / count;
	arena_release(a, mark);
}

int transport_fits(size_t n, size_t m)
{
	const size_t most = n > m ? n : m;

	if (n == 0 || m == 0)
		return fail(ERR_RANGE, "there are no samples");
	if (n * m > TRANSPORT_MAX || most * most / 2 > TRANSPORT_MAX)
		return fail(ERR_RANGE, "%zu x %zu samples are too many to keep; 16384 fit", n, m);
	return OK;
}

int transport_divergence(const struct cloud *x, const struct cloud *y,
	const struct transport_rule *rule, const struct transport *own, bool converge,
	struct arena *a, struct divergence *out)
{
	struct transport *xy = &out->xy, *xx = &out->xx, *yy = &out->yy;
	const size_t most = x->n > y->n ? x->n : y->n;
	const bool small = x->n * most <= NEWTON_MAX;

	TRY(transport_fits(x->n, y->n));
	if (!(rule->eps > 0 && isfinite(1 / rule->eps)))
		return fail(ERR_NUMERIC, "a regularisation of %g has no inverse", rule->eps);
	if (own != NULL)
		*xx = *own;
	else
		transport_within(x, rule, a, xx);
	transport_within(y, rule, a, yy);
	/* Where only the limit counts: between like clouds the potentials are nearly those within. */
	struct transport_rule between = *rule;
	if (converge)
		between.start = yy->g;
	transport_between(x, y, &between, a, xy);
	if (converge && !xy->converged && small) {
		const struct newton_rule newton = { rule->eps, rule->tolerance, NEWTON_STEPS,
			true };
		TRY(transport_newton(x, y, &newton, a, xy));
	}
	out->value = xy->value - (xx->value + yy->value) / 2;
	/* The envelope theorem: KL(P | a b^T) of each. */
	out->slope = (out->value - (xy->cost - (xx->cost + yy->cost) / 2)) / rule->eps;
	if (!isfinite(out->value))
		return fail(ERR_NUMERIC, "the entropic transport cost is not finite");
	if (converge && !(xy->converged && xx->converged && yy->converged))
		return fail(ERR_NUMERIC,
			"marginal error %.2g after %ld iterations and up to %d of Newton's method, "
			"%.2g is wanted",
			fmax(xy->error, fmax(xx->error, yy->error)), rule->cap, NEWTON_STEPS,
			rule->tolerance);
	return OK;
}

/* Variance of the mean of f - own + slope eps. */
static double mean_variance(const double *f, const double *own, double slope, const double *eps,
	size_t n, struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	double *h = arena_alloc(a, n, sizeof(double));

	for (size_t i = 0; i < n; i++)
		h[i] = f[i] - own[i] + (eps ? slope * eps[i] : 0);
	double variance = stats_variance(h, n) / (double)n;
	arena_release(a, mark);
	return variance;
}

double transport_divergence_se(const struct divergence *d, size_t n, const double *eps_x, size_t m,
	const double *eps_y, struct arena *a)
{
	return sqrt(mean_variance(d->xy.f, d->xx.f, d->slope, eps_x, n, a) +
		    mean_variance(d->xy.g, d->yy.f, d->slope, eps_y, m, a));
}
