#ifndef STRIDE_RUN_ESTIMATE_H
#define STRIDE_RUN_ESTIMATE_H

#include "run/store.h"

enum estimate_kind {
	ESTIMATE_UNKNOWN, /* nothing like it has run here */
	ESTIMATE_ROUGH,   /* from the same method on other targets */
	ESTIMATE_KNOWN    /* from the same method on the same target */
};

struct estimate {
	enum estimate_kind kind;
	double seconds; /* of one thread or of all, as the earlier cells ran; NaN: unknown */
};

/** How long a cell will take, from earlier records: their time an iteration times the cell's
 *  iterations, and their sampling and scoring. */
struct estimate estimate_cell(const struct store *s, const struct plan_cell *c);

#endif
