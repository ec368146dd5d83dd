#include "score/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct placed {
	double key;
	size_t place;
};

static int by_key(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

/* The coordinate in which these points spread most. */
static size_t widest(const struct cloud *x, const size_t *order, size_t n)
{
	double most = -1;
	size_t at = 0;

	for (size_t k = 0; k < x->dim; k++) {
		double low = (double)INFINITY, high = -(double)INFINITY;
		for (size_t i = 0; i < n; i++) {
			low = fmin(low, x->x[order[i] * x->dim + k]);
			high = fmax(high, x->x[order[i] * x->dim + k]);
		}
		if (high - low > most) {
			most = high - low;
			at = k;
		}
	}
	return at;
}

/* Halve until groups are small enough: a multiple of their size goes to the left. */
static void split(const struct cloud *x, size_t size, size_t *order, size_t n,
	struct placed *scratch)
{
	while (n > size) {
		size_t k = widest(x, order, n), half = (n / 2 + size - 1) / size * size;
		for (size_t i = 0; i < n; i++)
			scratch[i] = (struct placed){ x->x[order[i] * x->dim + k], order[i] };
		qsort(scratch, n, sizeof(*scratch), by_key);
		for (size_t i = 0; i < n; i++)
			order[i] = scratch[i].place;
		split(x, size, order, half, scratch);
		order += half;
		n -= half;
	}
}

int groups_make(struct cloud *out, const struct cloud *x, size_t size, size_t *order,
	struct arena *a)
{
	size_t n = x->n, dim = x->dim;
	double *points = arena_alloc(a, n * dim, sizeof(double));

	for (size_t i = 0; i < n; i++)
		order[i] = i;
	split(x, size, order, n, arena_alloc(a, n, sizeof(struct placed)));
	for (size_t i = 0; i < n; i++)
		memcpy(points + i * dim, x->x + order[i] * dim, dim * sizeof(double));
	return cloud_make(out, points, n, dim, a);
}
