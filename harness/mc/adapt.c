#include "mc/adapt.h"

#include <math.h>

struct step_size step_size_start(double step, double target)
{
	return (struct step_size){ .now = step,
		.mean = step,
		.target = target,
		.centre = log(10 * step) };
}

void step_size_update(struct step_size *s, double acceptance)
{
	const double gamma = 0.05, t0 = 10, kappa = 0.75;
	double m = (double)++s->count, share = pow(m, -kappa);

	s->error += (s->target - acceptance - s->error) / (m + t0);
	double log_now = s->centre - sqrt(m) / gamma * s->error;
	s->now = exp(log_now);
	s->mean = exp(share * log_now + (1 - share) * log(s->mean));
}
