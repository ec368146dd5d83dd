#ifndef STRIDE_TESTS_GOLDEN_TRANSPORT_H
#define STRIDE_TESTS_GOLDEN_TRANSPORT_H

#include "core/csv.h"
#include "golden.h"

/** Columns of SET_expected_clouds.csv that no metric is, but a helper of harness/score/: parts of
 *  divergences, iterations, entropic costs at other regularisations, exact and sliced transport. */

/** Compare a row: exact samples x, the model's y; directions for sliced distances, NULL: none. */
void golden_transport(struct golden *g, const struct csv *t, size_t row, const char *name,
	const struct csv *x, const struct csv *y, const struct csv *directions);

/** Is this column one of them? */
bool golden_transport_knows(const char *column);

#endif
