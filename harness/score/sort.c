/* The bits of a double, in an order that integers have, are sorted by 11 at a time, lowest first. */
#include "score/sort.h"

#include <string.h>

enum { DIGITS = 6, DIGIT_BITS = 11, BINS = 1 << DIGIT_BITS, FEW = 64 };

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

static void sort_few(struct keyed *x, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct keyed moved = x[i];
		size_t j = i;
		for (; j > 0 && ordered_bits(x[j - 1].key) > ordered_bits(moved.key); j--)
			x[j] = x[j - 1];
		x[j] = moved;
	}
}

void sort_keyed(struct keyed *x, size_t n, struct keyed *scratch)
{
	size_t count[DIGITS][BINS];
	struct keyed *from = x, *to = scratch;

	if (n <= FEW) {
		sort_few(x, n);
		return;
	}
	memset(count, 0, sizeof(count));
	for (size_t i = 0; i < n; i++)
		for (unsigned d = 0; d < DIGITS; d++)
			count[d][digit_of(x[i].key, d)]++;
	for (unsigned d = 0; d < DIGITS; d++) {
		size_t start = 0;
		for (size_t b = 0; b < BINS; b++) {
			size_t here = count[d][b];
			count[d][b] = start;
			start += here;
		}
		for (size_t i = 0; i < n; i++)
			to[count[d][digit_of(from[i].key, d)]++] = from[i];
		struct keyed *swap = from;
		from = to;
		to = swap;
	}
	/* An even number of turns: the last one ends in x. */
}
