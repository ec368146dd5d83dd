#include "score/kernel.h"
#include "core/parallel.h"
#include "core/stats.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
	TILE = 256,  /* distances at a time */
	HANDFUL = 32 /* looked at together when the median is sought */
};

/* Pairs j < i of a cloud in pieces of CLOUD_BLOCK rows, the longest rows first. */
static size_t first_row(const struct cloud *z, size_t piece)
{
	return (cloud_blocks(z->n) - 1 - piece) * CLOUD_BLOCK;
}

static size_t last_row(const struct cloud *z, size_t piece)
{
	size_t end = first_row(z, piece) + CLOUD_BLOCK;

	return end < z->n ? end : z->n;
}

/*
 * As Floyd and Rivest (1975): a sample of the squared distances gives a narrow bracket around the
 * median, one pass over all of them counts what lies below and keeps what lies inside, and the rank
 * is looked up among these. The counts prove the answer; a bad sample costs another pass.
 */
struct tally {
	size_t below;   /* t < low */
	size_t to_low;  /* t <= low */
	size_t inside;  /* low < t < high */
	size_t to_high; /* t <= high */
};

struct bracket {
	const struct cloud *z;
	double low, high;
	struct tally *tally; /* [pieces] */
	size_t *room;        /* [pieces] */
	double **kept;       /* [pieces][room] what is inside, as far as there is room */
};

/* Few of a handful of distances lie in the bracket: often none, and then it is enough to count. */
static void tally_handful(struct bracket *b, size_t piece, const double *t, size_t count)
{
	struct tally *all = &b->tally[piece];
	double low = b->low, high = b->high;
	size_t below = 0, to_high = 0;

#pragma omp simd reduction(+ : below, to_high)
	for (size_t j = 0; j < count; j++) {
		below += t[j] < low;
		to_high += t[j] <= high;
	}
	all->below += below;
	all->to_low += below;
	all->to_high += to_high;
	if (to_high == below)
		return;
	/* Each candidate is written where the next one goes, as long as there is room, and stays if
	 * it is inside. */
	size_t at = all->inside, equal = 0;
	double none, *kept = at + count <= b->room[piece] ? b->kept[piece] : NULL;
	for (size_t j = 0; j < count; j++) {
		*(kept ? kept + at : &none) = t[j];
		at += (low < t[j]) & (t[j] < high);
		equal += t[j] == low;
	}
	all->inside = at;
	all->to_low += equal;
}

static void tally_piece(void *context, size_t piece)
{
	struct bracket *b = context;
	_Alignas(64) double t[TILE];

	b->tally[piece] = (struct tally){ 0 };
	for (size_t i = first_row(b->z, piece); i < last_row(b->z, piece); i++)
		for (size_t from = 0; from < i; from += TILE) {
			size_t to = from + TILE < i ? from + TILE : i;
			cloud_distances(b->z, i, b->z, from, to, t);
			for (size_t j = 0; j < to - from; j += HANDFUL)
				tally_handful(b, piece, t + j,
					to - from - j < HANDFUL ? to - from - j : HANDFUL);
		}
}

/* Fill the bracket; pieces that ran out of room are done again with enough of it. */
static struct tally tally_all(struct bracket *b, struct arena *a)
{
	size_t pieces = cloud_blocks(b->z->n);
	struct tally sum = { 0 };
	bool full = false;

	parallel_for(pieces, tally_piece, b);
	for (size_t p = 0; p < pieces; p++) {
		sum.below += b->tally[p].below;
		sum.to_low += b->tally[p].to_low;
		sum.inside += b->tally[p].inside;
		sum.to_high += b->tally[p].to_high;
		if (b->tally[p].inside + HANDFUL > b->room[p]) {
			full = true;
			b->room[p] = b->tally[p].inside + HANDFUL;
			b->kept[p] = arena_alloc(a, b->room[p], sizeof(double));
		}
	}
	if (full)
		parallel_for(pieces, tally_piece, b);
	return sum;
}

/* Squared distances of `count` pairs spread over all of them. */
static void sample_pairs(const struct cloud *z, size_t count, double *out)
{
	for (size_t s = 0; s < count; s++) {
		/* Multiplicative hashing (Knuth): any choice will do, an even one is fastest. */
		uint64_t h = (s + 1) * UINT64_C(0x9e3779b97f4a7c15);
		size_t i = s % z->n, j = (i + 1 + (h >> 20) % (z->n - 1)) % z->n;
		const double *x = z->x + i * z->dim, *y = z->x + j * z->dim;
		out[s] = 0;
		for (size_t k = 0; k < z->dim; k++)
			out[s] += (x[k] - y[k]) * (x[k] - y[k]);
	}
}

/* Value of rank k, if the bracket has it. */
static bool rank_value(const struct tally *t, double low, double high, double *kept, size_t k,
	double *value)
{
	if (k < t->below || k >= t->to_high)
		return false;
	if (k < t->to_low)
		*value = low;
	else if (k < t->to_low + t->inside)
		*value = stats_select(kept, t->inside, k - t->to_low);
	else
		*value = high;
	return true;
}

/* All that the pieces kept, one behind the other. */
static double *gather(const struct bracket *b, size_t count, struct arena *a)
{
	double *all = arena_alloc(a, count, sizeof(double));
	size_t at = 0;

	for (size_t p = 0; p < cloud_blocks(b->z->n); p++) {
		memcpy(all + at, b->kept[p], b->tally[p].inside * sizeof(double));
		at += b->tally[p].inside;
	}
	return all;
}

/* Squared distances of ranks k[0] <= k[1] among those of all pairs. */
static void pair_ranks(const struct cloud *z, const size_t k[2], double value[2], struct arena *a)
{
	size_t pairs = z->n * (z->n - 1) / 2, pieces = cloud_blocks(z->n);
	/* Sample and bracket both grow as pairs^(2/3): least work. */
	size_t size = (size_t)pow((double)pairs, 2. / 3) + 64;
	double *sample = arena_alloc(a, size, sizeof(double));
	bool found = false;

	sample_pairs(z, size, sample);
	/* The rank of a sample quantile has this standard deviation, in shares. */
	double sd = 0.5 / sqrt((double)size);
	for (double spread = 3; !found; spread *= 4) {
		struct arena_mark mark = arena_mark(a);
		double from = (double)k[0] / (double)pairs - spread * sd;
		double to = (double)k[1] / (double)pairs + spread * sd;
		struct bracket b = {
			.z = z,
			.low = from <= 0 ? -1 : stats_quantile(sample, size, from),
			.high = to >= 1 ? (double)INFINITY : stats_quantile(sample, size, to),
			.tally = ARENA_NEW(a, pieces, struct tally),
			.room = ARENA_NEW(a, pieces, size_t),
			.kept = ARENA_NEW(a, pieces, double *),
		};
		/* Room for twice an even share of what to expect, in the longest rows. */
		double share = (to < 1 ? to : 1) - (from > 0 ? from : 0);
		for (size_t p = 0; p < pieces; p++) {
			b.room[p] = (size_t)(2 * share * CLOUD_BLOCK * (double)last_row(z, p)) +
				    HANDFUL;
			b.kept[p] = arena_alloc(a, b.room[p], sizeof(double));
		}
		struct tally all = tally_all(&b, a);
		double *kept = gather(&b, all.inside, a);
		found = rank_value(&all, b.low, b.high, kept, k[0], &value[0]) &&
			rank_value(&all, b.low, b.high, kept, k[1], &value[1]);
		arena_release(a, mark);
	}
}

double kernel_median(const struct cloud *z, size_t zeros, struct arena *a)
{
	size_t total = z->n * (z->n - 1) / 2 + zeros;
	double value[2] = { 0, 0 };

	if (total == 0)
		return (double)NAN;
	/* The zeros come first. */
	if (total / 2 >= zeros) {
		size_t high = total / 2 - zeros, low = (total - 1) / 2;
		bool low_is_zero = low < zeros;
		const size_t k[2] = { low_is_zero ? high : low - zeros, high };
		struct arena_mark mark = arena_mark(a);
		pair_ranks(z, k, value, a);
		arena_release(a, mark);
		if (low_is_zero)
			value[0] = 0;
	}
	return (sqrt(value[0]) + sqrt(value[1])) / 2;
}
