#ifndef STRIDE_RUN_EXTERNAL_H
#define STRIDE_RUN_EXTERNAL_H

#include "run/clock.h"
#include "stride.h"

/** Samples of another program, for the method `external`. */

/** What is asked for. */
struct external_call {
	const char *target;
	size_t n, dim, steps; /* steps 0: no step axis */
	uint64_t seed;
	uint32_t repeat;
	const char *out;    /* folder that the command writes to; NULL: there is none */
	const char *script; /* a file of the command's, or NULL */
};

/** The pattern with {target} {n} {dim} {steps} {seed} {repeat} {out} {script} replaced by what they stand for;
 *  other braces stay as they are. In the arena. */
const char *external_expand(const char *pattern, const struct external_call *call, struct arena *a);

/** Run a command that writes its results into a fresh folder, {out} and $STRIDE_OUT; the rest of the call is
 *  there as $STRIDE_TARGET, $STRIDE_N, $STRIDE_DIM, $STRIDE_STEPS, $STRIDE_SEED, $STRIDE_REPEAT too.
 *  call->out becomes the folder, for external_remove, whether or not it succeeds. ERR_IO; ERR_TIMEOUT and
 *  ERR_INTERRUPTED end the command. */
int external_run(const char *command, struct external_call *call, const struct cell *c,
	struct arena *a);

/** Remove the folder of a call, with all that is in it. */
void external_remove(const struct external_call *call);

/** The one of OUT/NAME.npy and OUT/NAME.csv that is there; NULL: neither. ERR_PARSE: both. */
int external_output(const struct external_call *call, const char *name, const char **path,
	struct arena *a);

/** Read samples x [n][dim] of the call from a table (core/table_file.h). ERR_IO; ERR_PARSE: another shape. */
int external_samples(const char *path, const struct external_call *call, double *x,
	struct arena *a);

/** Read d->log_w, and d->log_w_forward where it is wanted and there, of d->n samples
 *  (run/weights_file.h). ERR_IO; ERR_PARSE: another length, or no such column. */
int external_weights(const char *path, struct draws *d, struct arena *a);

#endif
