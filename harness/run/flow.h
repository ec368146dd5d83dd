#ifndef STRIDE_RUN_FLOW_H
#define STRIDE_RUN_FLOW_H

#include "stride.h"

/**
 * The exact weights of a deterministic flow, x_0 ~ p = N(0, s^2 I), x_{k+1} = F_k(x_k), by change of
 * variables:
 *
 *     log |w| = log rho(x_K) - log p(x_0) + sum_k log |det DF_k(x_k)|,
 *     sign w  = product of the signs of the determinants.
 *
 * DF is the whole derivative, through the score as well (the Hessian of log rho) and with its clips. If
 * the composition is proper and of degree one, as x times a positive number plus something bounded is,
 * E[sign |w|] = Z whether or not it folds (area formula); and E[log |w|] <= log Z if it does not.
 */

/** Bounds of what is computed: a sample takes dim columns a step, each an evaluation of network and
 *  Hessian, and a factorisation of dim^3/3 multiplications. */
enum { FLOW_DIM_MAX = 128, FLOW_COLUMNS_MAX = 2048 };

/**
 * Weights of n fresh draws from the whole prior, `repeat` numbering independent ones: log_abs [n] and
 * sign [n], 1, -1, or 0 where a determinant is 0 or not a number. They are no part of sampling: c->counts
 * stays as it is. *is_flow tells whether the pass is a composition of maps at all; if not, nothing is
 * written. ERR_UNSUP: it cannot be had of this target, or costs too much; the text says why.
 * ERR_INTERRUPTED.
 */
int flow_weights(const struct method *m, void *state, struct cell *c, const struct pass *pass,
	size_t steps, uint32_t repeat, size_t n, double *log_abs, double *sign, bool *is_flow);

#endif
