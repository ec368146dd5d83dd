#ifndef STRIDE_MC_FIT_H
#define STRIDE_MC_FIT_H

#include "core/arena.h"
#include "core/rng.h"

#include <stddef.h>

struct density;

/** A Gaussian N(mean, factor factor') that resembles a target: where annealing starts, what importance
 *  sampling proposes from. */
struct fit {
	size_t dim;
	double *mean;   /* [dim] */
	double *factor; /* [dim][dim], row-major, lower triangular */
	double log_det; /* of the factor */
};

/** Laplace's fit: the mode by damped Newton steps from `start` [dim] (NULL: 0) and the inverse of the
 *  negative Hessian there, times `widen`. ERR_UNSUP: the target has no Hessian-vector product;
 *  ERR_NUMERIC: no mode was found, or the Hessian is not negative definite on the way;
 *  ERR_INTERRUPTED. */
int fit_laplace(struct fit *out, const struct density *d, const double *start, double widen,
	struct arena *a);

/** Mean and covariance, times `widen`, of points x [n][dim] with log weights [n] (NULL: equal).
 *  ERR_NUMERIC when the covariance is not positive definite, as with fewer points than dim. */
int fit_points(struct fit *out, size_t n, size_t dim, const double *x, const double *log_w,
	double widen, struct arena *a);

/** Weighted mean and standard deviation [dim] of points x [n][dim]; log_w NULL: equal weights. */
void fit_moments(size_t n, size_t dim, const double *x, const double *log_w, double *mean,
	double *sd);

/** One draw x [dim] of the multivariate t with this many degrees of freedom around the fit, whose scale
 *  is the fit's covariance. Returns its log density. z [dim] is scratch. */
double fit_draw_t(const struct fit *f, double freedom, struct rng r, uint64_t row, double *z,
	double *x);

#endif
