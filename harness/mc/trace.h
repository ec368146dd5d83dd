#ifndef STRIDE_MC_TRACE_H
#define STRIDE_MC_TRACE_H

#include "mc/particles.h"

struct cell;

/**
 * What chains went through: every so many transitions their positions, as many as a few megabytes
 * hold. Samples are taken from it, and the diagnostics of mc/diagnostics.h, whose effective sample size
 * is that of the draws kept: at most that of all.
 */
struct trace {
	size_t chains, dim;
	size_t draws; /* a chain's */
	size_t every; /* transitions from one draw to the next */
	size_t kept;
	double *x; /* [chains][draws][dim] */
};

/** Room for at least n samples in all from this many chains over this many transitions. ERR_RANGE when
 *  there are too few transitions for that. */
int trace_new(struct trace **out, size_t chains, size_t dim, size_t transitions, size_t n,
	struct arena *a);

/** After transition t = 0, 1, ... */
void trace_add(struct trace *r, size_t t, const struct particles *p);

/** n samples x [n][dim], the same number of every chain up to one, as far apart as can be. */
void trace_samples(const struct trace *r, size_t n, double *x);

/** Report the worst split R-hat and bulk effective sample size of all coordinates. Its time does not
 *  count as sampling. Returns the R-hat. */
double trace_report(const struct trace *r, struct cell *c);

#endif
