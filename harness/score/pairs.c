#include "score/pairs.h"
#include "core/stats.h"
#include "core/vmath.h"

enum {
	TILE = 256,       /* distances at a time */
	RUNS = 256,       /* wanted */
	RUNS_MOST = 1024, /* where a side is much the smaller one */
	RUNS_LEAST = 16,  /* wanted of that side */
	BUNCH = 32        /* permutations in a piece of work */
};

/* Steps of the counters of a seed. */
enum { STEP_X, STEP_Y, STEP_PERMUTATION };

static struct rng stream(uint64_t seed)
{
	return (struct rng){ .seed = seed, .purpose = RNG_METRIC };
}

/* --- the runs -------------------------------------------------------------------------------- */

static size_t run_length(size_t n, size_t m)
{
	size_t all = n + m, least = n < m ? n : m;
	size_t run = (all + RUNS - 1) / RUNS, short_run = (all + RUNS_MOST - 1) / RUNS_MOST;

	if (run > least / RUNS_LEAST)
		run = least / RUNS_LEAST;
	return run > short_run ? run : short_run;
}

/* Runs from point `from` to `to`. */
static void cut(struct pairs *p, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += p->run)
		p->start[p->runs++] = at;
}

int pairs_make(struct pairs *out, const double *x, size_t n, const double *y, size_t m, size_t dim,
	uint64_t seed, struct arena *a)
{
	double *z = arena_alloc(a, (n + m) * dim, sizeof(double));

	TRY(cloud_check(y, m, dim));
	cloud_shuffle(x, n, dim, stream(seed), STEP_X, z, a);
	cloud_shuffle(y, m, dim, stream(seed), STEP_Y, z + n * dim, a);
	*out = (struct pairs){ .n = n, .m = m, .run = run_length(n, m) };
	TRY(cloud_make(&out->z, z, n + m, dim, a));
	out->start = ARENA_NEW(a, (n + m) / out->run + 3, size_t);
	cut(out, 0, n);
	out->runs_x = out->runs;
	cut(out, n, n + m);
	out->start[out->runs] = n + m;
	out->sum = ARENA_NEW(a, out->runs * out->runs, double);
	return OK;
}

/* --- the sums -------------------------------------------------------------------------------- */

struct summing {
	struct pairs *p;
	bool kernel;
	double rate; /* log2(e) / (2 h^2) */
};

/* Adds f of point i and the points from .. to - 1. */
static void add_row(const struct summing *s, size_t i, size_t from, size_t to, double *sum)
{
	_Alignas(64) double t[TILE];

	cloud_distances(&s->p->z, i, &s->p->z, from, to, t);
	if (s->kernel) {
#pragma omp simd
		for (size_t j = 0; j < to - from; j++)
			sum[j] += vm_exp2(-s->rate * t[j]);
	} else {
#pragma omp simd
		for (size_t j = 0; j < to - from; j++)
			sum[j] -= sqrt(t[j]);
	}
}

/* The pairs of one run with what comes before, the longest first. */
static void sum_run(void *context, size_t piece)
{
	const struct summing *s = context;
	const struct pairs *p = s->p;
	size_t r = p->runs - 1 - piece, first = p->start[r], end = p->start[r + 1], q = 0;
	double *row = p->sum + r * p->runs;

	memset(row, 0, (r + 1) * sizeof(double));
	for (size_t from = 0; from < end; from += TILE) {
		size_t to = from + TILE < end ? from + TILE : end;
		_Alignas(64) double sum[TILE] = { 0 };
		for (size_t i = first > from ? first : from + 1; i < end; i++)
			add_row(s, i, from, to < i ? to : i, sum);
		for (size_t j = from; j < to; j++) {
			q += j == p->start[q + 1];
			row[q] += sum[j - from];
		}
	}
}

static void sum_all(struct summing *s)
{
	struct pairs *p = s->p;

	parallel_for(p->runs, sum_run, s);
	p->xx = p->yy = p->xy = 0;
	for (size_t r = 0; r < p->runs; r++) {
		double *row = p->sum + r * p->runs;
		for (size_t q = 0; q <= r; q++)
			*(r < p->runs_x ? &p->xx : q < p->runs_x ? &p->xy : &p->yy) += row[q];
		row[r] *= 2;
		for (size_t q = 0; q < r; q++)
			p->sum[q * p->runs + r] = row[q];
	}
}

void pairs_kernel(struct pairs *p, double h)
{
	struct summing s = { .p = p, .kernel = true, .rate = M_LOG2E / (2 * h * h) };

	p->diagonal = 1;
	sum_all(&s);
}

void pairs_distance(struct pairs *p)
{
	struct summing s = { .p = p };

	p->diagonal = 0;
	sum_all(&s);
}

double pairs_u(const struct pairs *p)
{
	double n = (double)p->n, m = (double)p->m;

	return 2 * p->xx / (n * (n - 1)) + 2 * p->yy / (m * (m - 1)) - 2 * p->xy / (n * m);
}

double pairs_v(const struct pairs *p)
{
	double n = (double)p->n, m = (double)p->m;

	return (2 * p->xx / n + p->diagonal) / n + (2 * p->yy / m + p->diagonal) / m -
	       2 * p->xy / (n * m);
}

/* --- the standard error ---------------------------------------------------------------------- */

/* The runs of full length, in order; of_x of them are of x. */
static size_t full_runs(const struct pairs *p, size_t *run, size_t *of_x)
{
	size_t n = 0;

	*of_x = 0;
	for (size_t r = 0; r < p->runs; r++)
		if (p->start[r + 1] - p->start[r] == p->run) {
			run[n++] = r;
			*of_x += r < p->runs_x;
		}
	return n;
}

/* The variance of the mean of g over x, or over y. */
static double mean_variance(const struct pairs *p, const size_t *run, size_t runs, bool of_x,
	struct arena *a)
{
	double own = (double)(of_x ? p->n : p->m), other = (double)(of_x ? p->m : p->n);
	double *g = ARENA_NEW(a, runs, double);

	for (size_t k = 0; k < runs; k++) {
		const double *row = p->sum + run[k] * p->runs;
		for (size_t q = 0; q < p->runs; q++)
			g[k] += (q < p->runs_x) == of_x ? row[q] / (own - 1) : -row[q] / other;
		g[k] /= (double)p->run;
	}
	return stats_variance(g, runs) * (double)p->run / own;
}

/* E f0^2, without bias (Szekely and Rizzo 2014, Partial Distance Correlation, eq. 2.4), of the runs in
 * place of points: their sums have the variance of `run` squared pairs. */
static double degenerate_square(const struct pairs *p, const size_t *run, size_t runs,
	struct arena *a)
{
	double *row = ARENA_NEW(a, runs, double), *square = ARENA_NEW(a, runs, double);
	double b = (double)runs;

	for (size_t i = 0; i < runs; i++)
		for (size_t j = 0; j < runs; j++)
			if (i != j)
				row[i] += p->sum[run[i] * p->runs + run[j]];
	double grand = stats_sum(row, runs) / ((b - 1) * (b - 2));
	for (size_t i = 0; i < runs; i++)
		for (size_t j = 0; j < runs; j++)
			if (i != j)
				square[i] += pow(p->sum[run[i] * p->runs + run[j]] -
							 (row[i] + row[j]) / (b - 2) + grand,
					2);
	return stats_sum(square, runs) / (b * (b - 3)) / ((double)p->run * (double)p->run);
}

double pairs_se(const struct pairs *p, struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	size_t *run = ARENA_NEW(a, p->runs, size_t), of_x;
	size_t n = full_runs(p, run, &of_x);
	double se = (double)NAN;

	if (of_x > 1 && n - of_x > 1) {
		double sizes = 1 / (double)p->n + 1 / (double)p->m;
		double least = 2 * sizes * sizes * degenerate_square(p, run, n, a);
		double first = 4 * (mean_variance(p, run, of_x, true, a) +
					   mean_variance(p, run + of_x, n - of_x, false, a));
		se = sqrt(fmax(first - least, least));
	}
	arena_release(a, mark);
	return se;
}

/* --- the test -------------------------------------------------------------------------------- */

struct permuting {
	const struct pairs *p;
	uint64_t seed;
	size_t *full; /* runs that are exchanged */
	size_t n_full, n_full_x;
	size_t fixed;      /* the short run of x; `runs`: none */
	double *row_total; /* [runs] */
	double total;
	double *value; /* [PAIRS_PERMUTATIONS] */
};

/* The statistic if the runs full[0 .. n_full_x - 1] were those of x. */
static double statistic(const struct permuting *t, const size_t *full)
{
	const struct pairs *p = t->p;
	double n = (double)p->n, m = (double)p->m;
	double before[RUNS_MOST + 2] = { 0 }, xx = 0, from_x = 0;

	/* Sums with the runs that come before. */
	for (size_t k = 0; k <= t->n_full_x; k++) {
		size_t r = k < t->n_full_x ? full[k] : t->fixed;
		if (r == p->runs)
			continue;
		const double *row = p->sum + r * p->runs;
		for (size_t q = 0; q < r; q++)
			before[q] += row[q];
		xx += row[r];
		from_x += t->row_total[r];
	}
	for (size_t k = 0; k < t->n_full_x; k++)
		xx += 2 * before[full[k]];
	if (t->fixed < p->runs)
		xx += 2 * before[t->fixed];
	double xy = from_x - xx, yy = t->total - xx - 2 * xy;
	return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m);
}

static void permute_bunch(void *context, size_t piece)
{
	const struct permuting *t = context;
	size_t full[RUNS_MOST + 2], first = piece * BUNCH, end = first + BUNCH;

	memcpy(full, t->full, t->n_full * sizeof(size_t));
	for (size_t b = first; b < end && b < PAIRS_PERMUTATIONS; b++) {
		uint32_t step = STEP_PERMUTATION + (uint32_t)b;
		for (size_t k = 0; k < t->n_full_x; k++) {
			size_t left = t->n_full - k, r = full[k];
			size_t j = k + (size_t)rng_below(stream(t->seed), step, k, 0, left);
			full[k] = full[j];
			full[j] = r;
		}
		t->value[b] = statistic(t, full);
	}
}

double pairs_p_value(const struct pairs *p, uint64_t seed, struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	struct permuting t = {
		.p = p,
		.seed = seed,
		.full = ARENA_NEW(a, p->runs, size_t),
		.fixed = p->n % p->run > 0 ? p->runs_x - 1 : p->runs,
		.row_total = ARENA_NEW(a, p->runs, double),
		.value = ARENA_NEW(a, PAIRS_PERMUTATIONS, double),
	};
	double n = (double)p->n, m = (double)p->m, reached = 1;

	t.n_full = full_runs(p, t.full, &t.n_full_x);
	for (size_t r = 0; r < p->runs; r++) {
		for (size_t q = 0; q < p->runs; q++)
			t.row_total[r] += p->sum[r * p->runs + q];
		t.total += t.row_total[r];
	}
	bool possible = p->n > 1 && p->m > 1 && t.n_full_x > 0 && t.n_full_x < t.n_full;
	if (possible) {
		parallel_for((PAIRS_PERMUTATIONS + BUNCH - 1) / BUNCH, permute_bunch, &t);
		/* Equal but for rounding is equal: points may repeat. */
		double size = fabs(p->xx) / (n * n) + fabs(p->yy) / (m * m) + fabs(p->xy) / (n * m);
		double seen = statistic(&t, t.full) - 1e-12 * size;
		for (size_t b = 0; b < PAIRS_PERMUTATIONS; b++)
			reached += t.value[b] >= seen;
	}
	arena_release(a, mark);
	return possible ? reached / (1 + PAIRS_PERMUTATIONS) : (double)NAN;
}
