#ifndef STRIDE_RUN_REFERENCE_MAKE_H
#define STRIDE_RUN_REFERENCE_MAKE_H

#include "core/arena.h"

#include <stddef.h>

/**
 * Estimation of the references in run/reference.h, two ways each:
 * - smc: the method smc, adaptive ladder, in coordinates where a Gaussian fit of the target is standard
 *   normal and the start of the annealing;
 * - importance: importance sampling from the target's own proposal, or up to 256 dimensions from a
 *   multivariate t around the fit; unbiased whatever the fit;
 * - prior: above 256 dimensions, smc from the Gaussian prior that the target contains.
 *
 * The fit comes from the target's proposal by weights, or from Laplace's fit improved by one run of
 * smc; above 256 dimensions it is Laplace's.
 */
struct reference_request {
	size_t n;
	const char *const *targets; /* n = 0: all whose log Z has to be estimated */
	size_t repeats;             /* runs of each way */
	double effort;              /* particles and draws of a run, 1: as many as records have */
	const char *folder;         /* of the records */
};

/** Make or complete the records: a run that is on record is not run again, each is on disk when it has
 *  ended. Runs that were made otherwise (another number of particles, another version) are dropped. A
 *  target that fails does not stop the others; the first error of all is returned at the end. Prints
 *  what each record says. ERR_NAME; ERR_RANGE: a target that needs no reference, repeats; ERR_BUSY: the
 *  file is a record of another density; ERR_IO; ERR_INTERRUPTED; ERR_DIVERGED: a run; ERR_NUMERIC: two
 *  ways differ by more than 4 joint standard errors, or the runs of one by too much. */
int references_make(const struct reference_request *q, struct arena *a);

#endif
