#ifndef STRIDE_RUN_ESTIMATE_H
#define STRIDE_RUN_ESTIMATE_H

#include "run/store.h"

enum estimate_kind {
	ESTIMATE_UNKNOWN, /* nothing like it has run here */
	ESTIMATE_PROBED,  /* from a miniature of the cell, run now */
	ESTIMATE_ROUGH,   /* from the same method on other targets */
	ESTIMATE_KNOWN    /* from the same method on the same target */
};

struct estimate {
	enum estimate_kind kind;
	double seconds;       /* on one thread, or as the earlier cells ran; NaN: unknown */
	double train_seconds; /* of these; none of them when a checkpoint has it all */
};

/** What is left of it when this fraction of the training is done. */
struct estimate estimate_left(struct estimate e, double trained);

/** How long a cell will take, from earlier records: their time an iteration times the cell's
 *  iterations, and their sampling and scoring. */
struct estimate estimate_cell(const struct store *s, const struct plan_cell *c);

/** The same for cell i of the plan, or else from a miniature of it on one thread: a few iterations, one
 *  step count, few samples; tenths of a second. Rough: sampling is taken as linear in steps and
 *  samples, scoring as quadratic in samples. `before` is the estimate of cell i - 1, which a cell
 *  that differs in its seed alone takes over. */
struct estimate estimate_best(const struct store *s, const struct plan *p, size_t i,
	const struct estimate *before);

#endif
