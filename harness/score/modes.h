#ifndef STRIDE_SCORE_MODES_H
#define STRIDE_SCORE_MODES_H

#include "stride.h"

/** What the numbers of samples in K modes say. The standard errors are by the delta method. */
struct modes {
	size_t n, modes;
	size_t *count; /* [modes] */
};

/** Count the samples of each of the target's modes. ERR_UNSUP when it has fewer than `least`; errors as
 *  cloud_check. */
int modes_count(struct modes *out, const struct scored *in, size_t least);

/** Has the target's `mode_weights` numbers for all of its modes? weight [modes] out. */
bool modes_known(const struct density *d, double *weight);

/** The masses [modes] that the target gives its modes. ERR_UNSUP when they are not known. */
int modes_weights(const struct modes *m, const struct scored *in, const double **weight);

/** Modes with a sample or more. Its standard error is that of another draw of the samples themselves: a
 *  mode of count c is missed with probability e^-c. */
struct value modes_found(const struct modes *m);

/** Entropy of the shares over log K, in [0, 1], biased down; with Miller and Madow's correction, (found -
 *  1) / (2 n) nats. */
struct value modes_entropy(const struct modes *m);
double modes_entropy_corrected(const struct modes *m);

/** Of shares p and weights w [modes]: total variation 1/2 sum |p - w|; KL(p | w) in nats; 1 - JS(p, w) /
 *  log 2, JS being the Jensen-Shannon divergence. */
struct value modes_variation(const struct modes *m, const double *weight);
double modes_kl(const struct modes *m, const double *weight);
double modes_ejs(const struct modes *m, const double *weight);

#endif
