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

/* The rows of x [n][dim] in random order. */
static void shuffle(const double *x, size_t n, size_t dim, uint64_t seed, uint32_t step,
	double *out, struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	size_t *order = ARENA_NEW(a, n, size_t);

	for (size_t i = 0; i < n; i++) {
		size_t j = (size_t)rng_below(stream(seed), step, i, 0, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(out + i * dim, x + order[i] * dim, dim * sizeof(double));
	arena_release(a, mark);
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
	shuffle(x, n, dim, seed, STEP_X, z, a);
	shuffle(y, m, dim, seed, STEP_Y, z + n * dim, a);
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
	double rate; /* 1 / (2 h^2) */
};

/* Adds f of point i and the points from .. to - 1. */
static void add_row(const struct summing *s, size_t i, size_t from, size_t to, double *sum)
{
	_Alignas(64) double t[TILE];

	cloud_distances(&s->p->z, i, &s->p->z, from, to, t);
	if (s->kernel) {
#pragma omp simd
		for (size_t j = 0; j < to - from; j++)
			sum[j] += vm_exp(-s->rate * t[j]);
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
	struct summing s = { .p = p, .kernel = true, .rate = 1 / (2 * h * h) };

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
	double within[RUNS_MOST + 2] = { 0 }, xx = 0, from_x = 0;

	for (size_t k = 0; k <= t->n_full_x; k++) {
		size_t r = k < t->n_full_x ? full[k] : t->fixed;
		if (r == p->runs)
			continue;
		const double *row = p->sum + r * p->runs;
		for (size_t q = 0; q < p->runs; q++)
			within[q] += row[q];
		from_x += t->row_total[r];
	}
	for (size_t k = 0; k < t->n_full_x; k++)
		xx += within[full[k]];
	if (t->fixed < p->runs)
		xx += within[t->fixed];
	double xy = from_x - xx, yy = t->total - xx - 2 * xy;
	return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m);
}

static void permute_bunch(void *context, size_t piece)
{
	const struct permuting *t = context;
	size_t full[RUNS_MOST + 2];

	memcpy(full, t->full, t->n_full * sizeof(size_t));
	for (size_t b = piece * BUNCH; b < (piece + 1) * BUNCH && b < PAIRS_PERMUTATIONS; b++) {
		for (size_t k = 0; k < t->n_full_x; k++) {
			size_t j = k + (size_t)rng_below(stream(t->seed),
					       STEP_PERMUTATION + (uint32_t)b, k, 0, t->n_full - k);
			size_t r = full[k];
			full[k] = full[j];
			full[j] = r;
		}
		t->value[b] = statistic(t, full);
	}
}

/* The squared standard error of the mean of g over full runs of one side. */
static double mean_variance(const struct permuting *t, bool of_x, struct arena *a)
{
	const struct pairs *p = t->p;
	size_t from = of_x ? 0 : t->n_full_x, to = of_x ? t->n_full_x : t->n_full;
	double own = (double)(of_x ? p->n : p->m) - 1, other = (double)(of_x ? p->m : p->n);
	double *g = ARENA_NEW(a, to - from, double);

	for (size_t k = from; k < to; k++) {
		const double *row = p->sum + t->full[k] * p->runs;
		for (size_t q = 0; q < p->runs; q++)
			g[k - from] += (q < p->runs_x) == of_x ? row[q] / own : -row[q] / other;
		g[k - from] /= (double)p->run;
	}
	return stats_variance(g, to - from) * (double)p->run / (own + 1);
}

void pairs_test(const struct pairs *p, uint64_t seed, struct arena *a, double *se, double *p_value)
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
	double size = 0, reached = 1;

	*se = *p_value = (double)NAN;
	for (size_t r = 0; r < p->runs; r++) {
		for (size_t q = 0; q < p->runs; q++)
			t.row_total[r] += p->sum[r * p->runs + q];
		t.total += t.row_total[r];
		if (p->start[r + 1] - p->start[r] == p->run) {
			t.full[t.n_full++] = r;
			t.n_full_x += r < p->runs_x;
		}
	}
	if (p->n > 1 && p->m > 1 && t.n_full_x > 0 && t.n_full_x < t.n_full) {
		double n = (double)p->n, m = (double)p->m, seen = statistic(&t, t.full);
		parallel_for((PAIRS_PERMUTATIONS + BUNCH - 1) / BUNCH, permute_bunch, &t);
		/* Equal but for rounding is equal: points may repeat. */
		size = fabs(p->xx) / (n * n) + fabs(p->yy) / (m * m) + fabs(p->xy) / (n * m);
		for (size_t b = 0; b < PAIRS_PERMUTATIONS; b++)
			reached += t.value[b] >= seen - 1e-12 * size;
		*p_value = reached / (1 + PAIRS_PERMUTATIONS);
		double least = stats_variance(t.value, PAIRS_PERMUTATIONS);
		double first = 4 * (mean_variance(&t, true, a) + mean_variance(&t, false, a));
		*se = isnan(first) ? first : sqrt(fmax(first - least, least));
	}
	arena_release(a, mark);
}
