/*
 * The bits of a double, in an order that integers have, are sorted by 11 at a time, lowest first. The lowest
 * 33 decide only between numbers that agree to 1e-6 of themselves: they are left to insertion, unless that turns out
 * to have more to do than they.
 */
#include "score/sort.h"

#include <stdbool.h>
#include <string.h>

enum {
	DIGITS = 6,
	DIGIT_BITS = 11,
	BINS = 1 << DIGIT_BITS,
	LEFT = 3, /* digits that are left to insertion */
	FEW = 64,
	MOVES = 4, /* of an element by insertion, on average */
};

/* Among negative numbers the bits fall as the number rises. */
static uint64_t ordered_bits(double key)
{
	uint64_t bits;

	memcpy(&bits, &key, sizeof(bits));
	return bits ^ (bits >> 63 ? UINT64_MAX : (uint64_t)1 << 63);
}

static size_t digit_of(double key, unsigned digit)
{
	return ordered_bits(key) >> (digit * DIGIT_BITS) & (BINS - 1);
}

/* False when it takes more than this many moves; x is in another order then. */
static bool insert(struct keyed *x, size_t n, size_t moves)
{
	for (size_t i = 1; i < n; i++) {
		struct keyed moved = x[i];
		uint64_t bits = ordered_bits(moved.key);
		size_t j = i;
		for (; j > 0 && ordered_bits(x[j - 1].key) > bits; j--)
			x[j] = x[j - 1];
		x[j] = moved;
		if (i - j > moves)
			return false;
		moves -= i - j;
	}
	return true;
}

/* Sort by the digits from `first` on: equal ones stay in their order. */
static void distribute(struct keyed *x, size_t n, struct keyed *scratch, unsigned first)
{
	uint32_t count[DIGITS][BINS];
	struct keyed *from = x, *to = scratch;

	memset(count[first], 0, (DIGITS - first) * sizeof(count[0]));
	for (size_t i = 0; i < n; i++)
		for (unsigned d = first; d < DIGITS; d++)
			count[d][digit_of(x[i].key, d)]++;
	for (unsigned d = first; d < DIGITS; d++) {
		uint32_t start = 0;
		for (size_t b = 0; b < BINS; b++) {
			uint32_t here = count[d][b];
			count[d][b] = start;
			start += here;
		}
		for (size_t i = 0; i < n; i++)
			to[count[d][digit_of(from[i].key, d)]++] = from[i];
		struct keyed *swap = from;
		from = to;
		to = swap;
	}
	if (from != x)
		memcpy(x, from, n * sizeof(*x));
}

void sort_keyed(struct keyed *x, size_t n, struct keyed *scratch)
{
	if (n > FEW)
		distribute(x, n, scratch, LEFT);
	if (!insert(x, n, n > FEW ? MOVES * n : SIZE_MAX))
		distribute(x, n, scratch, 0);
}
