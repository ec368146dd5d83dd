#include "report/compare.h"

#include "core/stats.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

double welch_p(const double *x, size_t n, const double *y, size_t m)
{
	const double a = stats_variance(x, n) / (double)n, b = stats_variance(y, m) / (double)m;
	const double difference = stats_mean(x, n) - stats_mean(y, m);
	double freedom;

	if (!(a + b > 0))
		return difference == 0 ? 1 : 0;
	freedom = (a + b) * (a + b) / (a * a / (double)(n - 1) + b * b / (double)(m - 1));
	return 2 * gsl_cdf_tdist_Q(fabs(difference) / sqrt(a + b), freedom);
}
