#ifndef STRIDE_CORE_REAL_H
#define STRIDE_CORE_REAL_H

#include <float.h>

/** The engine's number: float, or double in builds made with VARIANT=double. Sums, log densities,
 *  log weights and metrics are double in both. */
#ifdef STRIDE_DOUBLE
typedef double real;
#define REAL_EPS DBL_EPSILON
#define REAL_MAX DBL_MAX
#else
typedef float real;
#define REAL_EPS FLT_EPSILON
#define REAL_MAX FLT_MAX
#endif

#endif
