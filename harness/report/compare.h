#ifndef STRIDE_REPORT_COMPARE_H
#define STRIDE_REPORT_COMPARE_H

#include <stddef.h>

/** Two-sided p-value of Welch's unequal-variances t test (B. L. Welch 1947) for equal means of
 *  x [n] and y [m], n, m >= 2, all finite. Degrees of freedom by Welch and Satterthwaite. Without
 *  any spread it is 1 for equal means and 0 otherwise. */
double welch_p(const double *x, size_t n, const double *y, size_t m);

#endif
