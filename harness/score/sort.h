#ifndef STRIDE_SCORE_SORT_H
#define STRIDE_SCORE_SORT_H

#include <stddef.h>
#include <stdint.h>

/** A number and where it came from. */
struct keyed {
	double key;
	uint64_t place;
};

/** Sort n < 2^32 of them by key, equal keys in the order given, in a time linear in n. scratch [n]. No NaN;
 *  -0 equals 0. */
void sort_keyed(struct keyed *x, size_t n, struct keyed *scratch);

#endif
