#ifndef STRIDE_SCORE_TRANSPORT_H
#define STRIDE_SCORE_TRANSPORT_H

#include "score/cloud.h"

#include <stdbool.h>

/**
 * Entropic optimal transport between clouds of equally weighted points, cost |x - y|^2 (squared, no
 * factor 1/2), regularised against the product measure (Cuturi 2013; Feydy et al. 2019):
 *
 *     OT = min_P <P, C> + eps KL(P | a b^T),    P_ij = exp((f_i + g_j - C_ij) / eps) / (n m).
 *
 * The value is the dual one,  mean f + mean g + eps (1 - sum P):  a lower bound of OT until it has
 * converged. In double, but for the iterations of a large kernel (transport.c).
 */
struct transport_rule {
	double eps;       /* absolute, in units of the cost; positive */
	double tolerance; /* of the marginals, L1 */
	long every;       /* iterations from one check to the next */
	long cap;         /* iterations at most */
	bool accelerate;  /* Anderson's acceleration: other iterates, the same limit */
	/* [m] potentials of the second cloud to begin with; NULL: zero ones of the first. */
	const double *start;
};

enum { TRANSPORT_MAX = 1 << 28 }; /* 2 GB, 16384 x 16384 */

struct transport {
	double value;
	double cost; /* <P, C>: (value - cost) / eps = KL(P | a b^T), the derivative of value by eps */
	double *f, *g; /* potentials [n], [m], in the arena; of a cloud with itself g is f */
	double error;  /* L1 error of the marginals when last checked */
	long iterations;
	bool converged;
};

/** OT of two clouds of equal dim by Sinkhorn's iteration, first for the second cloud, then for the
 *  first. The error is that of the second cloud's marginal, the first cloud's being exact. Scratch of 8 n m bytes (4 in float) comes from the arena and goes back. */
void transport_between(const struct cloud *x, const struct cloud *y,
	const struct transport_rule *rule, struct arena *a, struct transport *out);

/** OT of a cloud with itself by the symmetric averaged iteration f <- (f + T f) / 2 from zero. The
 *  error is the sum over both marginals, which are equal. Scratch: 4 n^2 bytes (2 in float). */
void transport_within(const struct cloud *x, const struct transport_rule *rule, struct arena *a,
	struct transport *out);

/** Are clouds of n and m points small enough? ERR_RANGE when the kernel of the two, or of one with
 *  itself, would have more than TRANSPORT_MAX entries, or when there are no points. */
int transport_fits(size_t n, size_t m);

/** The Sinkhorn divergence, with its parts. */
struct divergence {
	double value; /* OT(x, y) - (OT(x, x) + OT(y, y)) / 2 */
	double slope; /* its derivative by eps */
	struct transport xy, xx, yy;
};

/** All three at the same rule, of which xx may be there already, as own (NULL: it is made). If
 *  `converge`, xy begins with the potentials of yy, whatever rule->start says, and Newton's method
 *  (score/newton.h) goes on where the rule's cap was not enough. Errors of transport_fits; ERR_NUMERIC
 *  when a value is not finite, and, if `converge`, when one has not converged. */
int transport_divergence(const struct cloud *x, const struct cloud *y,
	const struct transport_rule *rule, const struct transport *own, bool converge,
	struct arena *a, struct divergence *out);

/** Standard error of a divergence, both clouds being independent draws: the root of var(h) / n +
 *  var(k) / m, where h = f_xy - f_xx at the points of x and k = g_xy - g_yy at those of y are its first
 *  variation (Feydy et al. 2019; central limit theorem: del Barrio et al. 2022, Goldfeld et al. 2022).
 *  eps_x [n], eps_y [m]: the first variation of eps where it depends on a cloud, else NULL. Of
 *  clouds with the same law, whose divergence falls faster than 1 / sqrt(n), it is of the size of
 *  rounding and bias, not of the fluctuation. */
double transport_divergence_se(const struct divergence *d, size_t n, const double *eps_x, size_t m,
	const double *eps_y, struct arena *a);

#endif
