#ifndef STRIDE_RUN_CELL_H
#define STRIDE_RUN_CELL_H

#include "run/curve.h"
#include "run/plan.h"
#include "run/reports.h"
#include "run/scoring.h"
#include "run/training.h"

#include <stdio.h>

/** One pass at one step count. */
struct result {
	const struct pass *pass;
	enum weights weights; /* the pass's, or biased: see struct draws */
	size_t steps;         /* 0: no step axis */
	uint32_t repeat;
	size_t n_scores;
	struct score *scores;
	size_t nonfinite;                     /* samples with a coordinate that is not finite */
	struct nonfinite odd[SCORED_WEIGHTS]; /* log weights that are not, by kind */
	const char *flow_skipped; /* why a flow has no exact weights; NULL: it has, or none asked */
	const char *diverged; /* why; NULL: it did not. Every metric that applies fails with it */
	struct counts evaluations;
	struct reports reports;
	double sample_seconds, score_seconds;
};

/** What a cell gave. Lives in the arena that cell_run got. */
struct outcome {
	enum cell_state state;
	const char *message; /* NULL: none */
	size_t n_results;
	struct result *results;
	struct training training;
	struct counts trained; /* evaluations up to the end of training, by whichever run */
	double sample_seconds, score_seconds;
};

/** Told how far a cell is, 0 .. 1. */
struct ticker {
	void (*tick)(void *context, double fraction);
	void *context;
};

/**
 * Train, sample and score one cell. Trainings are kept by `trainings`, or not at all when it is NULL.
 * Everything that goes wrong inside is the outcome's state, but for ERR_INTERRUPTED, after
 * parallel_stop; ERR_BUSY: a training that it needs is another cell's at the moment,
 * out->training.waits_for; and trainings_broken. samples receives points for plots as CSV. The
 * numbers depend on the plan and the cell alone.
 */
int cell_run(const struct plan *p, const struct plan_cell *c, struct trainings *trainings,
	const struct ticker *t, FILE *samples, struct outcome *out, struct arena *a);

/** The fixed set that samples are compared with, n exact ones: the same for all seeds, as published. In the
 *  arena. ERR_UNSUP when the target has no exact sampler. */
int cell_reference(const struct density *d, size_t n, double **out, struct arena *a);

/** A metric's values over exact draws. */
struct floor_scores {
	const struct metric *metric;
	size_t n;
	double *values; /* [n], as drawn; those that could not be scored are left out */
};

/** Noise floors of a target: exact draws scored against the reference set. ERR_INTERRUPTED, or what
 *  the target returned. */
int floor_run(const struct plan *p, const struct plan_target *t, const struct ticker *ticker,
	FILE *samples, size_t *n, struct floor_scores **out, struct arena *a);

#endif
