#include "score/marginals.h"
#include "core/stats.h"
#include "score/cloud.h"
#include "score/sort.h"

/* One side: a coordinate of its points in rising order, and what each point adds to the influence on the
 * sum over coordinates. */
struct side {
	size_t n, dim;
	const double *x;                /* [n][dim] */
	struct keyed *sorted, *scratch; /* [n] */
	double *influence;              /* [n] */
};

static struct side side_new(const double *x, size_t n, size_t dim, struct arena *a)
{
	return (struct side){ n, dim, x, arena_alloc(a, n, sizeof(struct keyed)),
		arena_alloc(a, n, sizeof(struct keyed)), ARENA_NEW(a, n, double) };
}

static void side_sort(struct side *s, size_t k)
{
	for (size_t i = 0; i < s->n; i++)
		s->sorted[i] = (struct keyed){ s->x[i * s->dim + k], i };
	sort_keyed(s->sorted, s->n, s->scratch);
}

static double sign_of(double x)
{
	return (x > 0) - (x < 0);
}

/* Goes through both sides upwards. Its state lies after all points that are at most t. */
struct merge {
	const struct side *a, *b;
	size_t i, j; /* points passed */
	double t;
};

static bool merge_next(struct merge *m)
{
	const struct side *a = m->a, *b = m->b;
	bool more_a = m->i < a->n, more_b = m->j < b->n;

	if (!more_a && !more_b)
		return false;
	m->t = more_a && (!more_b || a->sorted[m->i].key <= b->sorted[m->j].key)
		       ? a->sorted[m->i].key
		       : b->sorted[m->j].key;
	while (m->i < a->n && a->sorted[m->i].key <= m->t)
		m->i++;
	while (m->j < b->n && b->sorted[m->j].key <= m->t)
		m->j++;
	return true;
}

/* F - G. */
static double merge_gap(const struct merge *m)
{
	return (double)m->i / (double)m->a->n - (double)m->j / (double)m->b->n;
}

/* A point at x moves F by 1[x <= t]: its influence is int_x^inf sign(F - G) dt, up to a constant minus
 * the integral up to x. */
static double wasserstein(struct side *a, struct side *b)
{
	struct merge m = { .a = a, .b = b };
	double sum = 0, signs = 0, last = 0, gap = 0;
	size_t i = 0, j = 0;

	while (merge_next(&m)) {
		if (i + j > 0) {
			sum += fabs(gap) * (m.t - last);
			signs += sign_of(gap) * (m.t - last);
		}
		for (; i < m.i; i++)
			a->influence[a->sorted[i].place] -= signs;
		for (; j < m.j; j++)
			b->influence[b->sorted[j].place] += signs;
		gap = merge_gap(&m);
		last = m.t;
	}
	return sum;
}

static double kolmogorov(struct side *a, struct side *b)
{
	struct merge m = { .a = a, .b = b }, most = m;
	double best = 0;

	while (merge_next(&m))
		if (fabs(merge_gap(&m)) > fabs(best)) {
			best = merge_gap(&m);
			most = m;
		}
	for (size_t i = 0; i < most.i; i++)
		a->influence[a->sorted[i].place] += sign_of(best);
	for (size_t j = 0; j < most.j; j++)
		b->influence[b->sorted[j].place] -= sign_of(best);
	return fabs(best);
}

/* The bin of x, as NumPy's histogram has it: the last one is closed, and what rounding puts on the wrong
 * side of an edge is put right. */
static size_t bin_of(double x, double low, double high)
{
	double width = (high - low) / MARGINAL_BINS;
	size_t bin = high > low ? (size_t)((x - low) / (high - low) * MARGINAL_BINS) : 0;

	bin = bin < MARGINAL_BINS ? bin : MARGINAL_BINS - 1;
	if (bin > 0 && x < low + (double)bin * width)
		return bin - 1;
	return bin + (bin < MARGINAL_BINS - 1 && x >= low + (double)(bin + 1) * width);
}

static double variation(struct side *a, struct side *b)
{
	double low = fmin(a->sorted[0].key, b->sorted[0].key), gap[MARGINAL_BINS] = { 0 }, sum = 0;
	double high = fmax(a->sorted[a->n - 1].key, b->sorted[b->n - 1].key);

	for (size_t i = 0; i < a->n; i++)
		gap[bin_of(a->sorted[i].key, low, high)] += 1 / (double)a->n;
	for (size_t j = 0; j < b->n; j++)
		gap[bin_of(b->sorted[j].key, low, high)] -= 1 / (double)b->n;
	for (size_t k = 0; k < MARGINAL_BINS; k++)
		sum += fabs(gap[k]) / 2;
	for (size_t i = 0; i < a->n; i++)
		a->influence[a->sorted[i].place] +=
			sign_of(gap[bin_of(a->sorted[i].key, low, high)]) / 2;
	for (size_t j = 0; j < b->n; j++)
		b->influence[b->sorted[j].place] -=
			sign_of(gap[bin_of(b->sorted[j].key, low, high)]) / 2;
	return sum;
}

int marginals_compare(enum marginal what, const struct scored *in, struct marginals *out)
{
	double (*const compare[])(struct side *, struct side *) = { wasserstein, kolmogorov,
		variation };
	double sum = 0, most = 0;

	if (in->n < 1 || in->n_exact < 1)
		return fail(ERR_RANGE, "marginals need samples on either side");
	TRY(cloud_check(in->x, in->n, in->dim));
	TRY(cloud_check(in->exact, in->n_exact, in->dim));
	struct arena_mark mark = arena_mark(in->arena);
	struct side a = side_new(in->exact, in->n_exact, in->dim, in->arena);
	struct side b = side_new(in->x, in->n, in->dim, in->arena);
	for (size_t k = 0; k < in->dim; k++) {
		side_sort(&a, k);
		side_sort(&b, k);
		if (!isfinite(fmax(a.sorted[a.n - 1].key, b.sorted[b.n - 1].key) -
			      fmin(a.sorted[0].key, b.sorted[0].key))) {
			arena_release(in->arena, mark);
			return fail(ERR_NUMERIC, "the range of coordinate %zu overflows", k);
		}
		double value = compare[what](&a, &b);
		sum += value;
		most = fmax(most, value);
	}
	double dim = (double)in->dim;
	*out = (struct marginals){ sum / dim, most,
		hypot(stats_se(a.influence, a.n), stats_se(b.influence, b.n)) / dim };
	arena_release(in->arena, mark);
	return OK;
}
