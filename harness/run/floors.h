#ifndef STRIDE_RUN_FLOORS_H
#define STRIDE_RUN_FLOORS_H

#include "run/cell.h"

/**
 * Noise floors outside of a grid: what exact samples score, for one target and given numbers of points.
 * They are kept in a folder, a results directory a target with a floor record a metric, keyed as those
 * of a grid are; one made by other sources is made anew.
 */
struct floor {
	size_t n; /* exact draws that were scored; 0: there is no floor */
	double mean, q95;
};

struct floors_request {
	const struct plan_target *target; /* with an exact sampler */
	size_t samples, reference; /* points of a draw, and of the set that it is compared with */
	size_t draws;
	size_t n;
	const struct metric *const *metrics; /* [n] */
	const char *folder;                  /* NULL: nothing is kept */
	const struct ticker *ticker;         /* NULL: nobody is told */
};

/** The floors out [n] of the metrics; those that define none have n = 0. *note is NULL, or why the folder
 *  is not used; in the arena. Errors of floor_run. */
int floors_find(const struct floors_request *q, struct floor *out, const char **note,
	struct arena *a);

#endif
