/*
 * The range of the keys is cut into equal cells, some times as many as there are keys, and two passes bring the
 * keys into the order of their cells: by the low half of the cell's number, then by the high one. Few share a
 * cell: insertion does the rest, unless it has much to do (a few keys far out, the others close together). Then
 * the bits of the keys, in an order that integers have, are sorted by 11 at a time, lowest first.
 */
#include "score/sort.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
	DIGITS = 6,
	DIGIT_BITS = 11,
	BINS = 1 << DIGIT_BITS,
	SPARSE = 32, /* cells of a key, as far as bins go */
	FEW = 64,
	MOVES = 16, /* of an element by insertion, on average */
};

/* Among negative numbers the bits fall as the number rises. -0 becomes 0. */
static uint64_t ordered_bits(double key)
{
	uint64_t bits;

	key += 0.0;
	memcpy(&bits, &key, sizeof(bits));
	return bits ^ (bits >> 63 ? UINT64_MAX : (uint64_t)1 << 63);
}

/* False when it takes more than this many moves; x is in another order then. */
static bool insert(struct keyed *x, size_t n, size_t moves)
{
	for (size_t i = 1; i < n; i++) {
		struct keyed moved = x[i];
		size_t j = i;
		for (; j > 0 && x[j - 1].key > moved.key; j--)
			x[j] = x[j - 1];
		x[j] = moved;
		if (i - j > moves)
			return false;
		moves -= i - j;
	}
	return true;
}

/* Numbers in each bin to the places where they start. */
static void add_up(uint32_t *count, size_t bins)
{
	uint32_t start = 0;

	for (size_t b = 0; b < bins; b++) {
		uint32_t here = count[b];
		count[b] = start;
		start += here;
	}
}

static size_t digit_of(double key, unsigned digit)
{
	return ordered_bits(key) >> (digit * DIGIT_BITS) & (BINS - 1);
}

static void sort_by_bits(struct keyed *x, size_t n, struct keyed *scratch)
{
	uint32_t count[DIGITS][BINS] = { { 0 } };
	struct keyed *from = x, *to = scratch;

	for (size_t i = 0; i < n; i++)
		for (unsigned d = 0; d < DIGITS; d++)
			count[d][digit_of(x[i].key, d)]++;
	for (unsigned d = 0; d < DIGITS; d++) {
		add_up(count[d], BINS);
		for (size_t i = 0; i < n; i++)
			to[count[d][digit_of(from[i].key, d)]++] = from[i];
		struct keyed *swap = from;
		from = to;
		to = swap;
	}
}

/* Equal cells from the least key up to the largest. */
struct cells {
	double low, per_unit;
	unsigned half;
	size_t bins; /* 2^half; there are bins^2 cells */
};

static size_t cell_of(const struct cells *c, double key)
{
	return (uint32_t)((key - c->low) * c->per_unit);
}

/* False where the range overflows, or is 0. */
static bool cells_make(struct cells *c, const struct keyed *x, size_t n)
{
	double low = x[0].key, high = x[0].key;
	unsigned half = 1;

	for (size_t i = 1; i < n; i++) {
		low = x[i].key < low ? x[i].key : low;
		high = x[i].key > high ? x[i].key : high;
	}
	while (half < DIGIT_BITS && (size_t)1 << 2 * half < SPARSE * n)
		half++;
	size_t bins = (size_t)1 << half;
	*c = (struct cells){ low, (double)(bins * bins - 1) / (high - low), half, bins };
	return c->per_unit > 0 && isfinite(c->per_unit);
}

static void sort_by_cells(struct keyed *x, size_t n, const struct cells *c, struct keyed *scratch)
{
	uint32_t low[BINS], high[BINS];

	memset(low, 0, c->bins * sizeof(*low));
	memset(high, 0, c->bins * sizeof(*high));
	for (size_t i = 0; i < n; i++) {
		size_t cell = cell_of(c, x[i].key);
		low[cell & (c->bins - 1)]++;
		high[cell >> c->half]++;
	}
	add_up(low, c->bins);
	add_up(high, c->bins);
	for (size_t i = 0; i < n; i++)
		scratch[low[cell_of(c, x[i].key) & (c->bins - 1)]++] = x[i];
	for (size_t i = 0; i < n; i++)
		x[high[cell_of(c, scratch[i].key) >> c->half]++] = scratch[i];
}

void sort_keyed(struct keyed *x, size_t n, struct keyed *scratch)
{
	struct cells c;

	if (n > FEW && cells_make(&c, x, n))
		sort_by_cells(x, n, &c, scratch);
	if (!insert(x, n, n > FEW ? MOVES * n : SIZE_MAX))
		sort_by_bits(x, n, scratch);
}
