#ifndef STRIDE_NN_JACOBIAN_H
#define STRIDE_NN_JACOBIAN_H

#include "nn/graph.h"

#include <stddef.h>

/**
 * The determinant of a recorded map's Jacobian, exactly: one column a tangent, LU by LAPACK. O(dim)
 * evaluations of the map and O(dim^3) flops a point; memory does not grow with the number of points.
 */

/**
 * At n points x [n][dim] of the map y = F(x) that g records: log_det[i] += log |det dF/dx|, and
 * sign[i] is multiplied by the determinant's sign, 1, -1, or 0 where it is 0 (log -infinity) or not a
 * number (log NaN). So a composition of maps is a loop that starts from log_det 0 and sign 1.
 *
 * g has the inputs "x" and "v" [dim] and the labels "y" and "dy" = jvp(y, x, v), both [dim]. What
 * else the map depends on is recorded in it: maps of several steps are several graphs. y [n][dim]
 * receives F(x) and may be x; NULL: not wanted. params as in struct graph_args. Evaluations are counted
 * by the graph: dim a point.
 *
 * Columns have the precision of the engine (real), the factorisation is in double: a determinant
 * within dim * REAL_EPS of 0, relative to the product of its columns' norms, has no certain sign.
 */
void jacobian_log_det(struct graph *g, const real *const params[GRAPH_PARAMS_MAX], size_t n,
	size_t dim, const double *x, double *y, double *log_det, double *sign);

#endif
