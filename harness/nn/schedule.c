#include "nn/schedule.h"
#include "core/error.h"

#include <math.h>

static const double OFFSET = 0.008, HALF_PI = 1.5707963267948966;

double schedule_cosine(double t, double s_min, double s_max)
{
	double c = cos(HALF_PI * (1 + OFFSET - t) / (1 + OFFSET));

	return 0.5 * (s_max - s_min) * c * c + 0.5 * s_min;
}

double schedule_cosine_integral(double t, double s_min, double s_max)
{
	double angle = 2 * HALF_PI / (1 + OFFSET);

	return 0.25 * (s_max - s_min) * (t - sin(angle * (1 + OFFSET - t)) / angle) +
	       0.5 * s_min * t;
}

double schedule_linear(double t, double b_min, double b_max)
{
	return b_min + (b_max - b_min) * t;
}

/* cos^4 of an angle from nearly 0 to pi/2: a share of 0 .. 1. */
static double cos4(double share)
{
	return pow(cos(HALF_PI * (share + OFFSET) / (1 + OFFSET)), 4);
}

void schedule_dds_times(size_t steps, double end, double *times)
{
	double total = 0;

	invariant(steps > 1);
	for (size_t i = 0; i < steps; i++)
		total += cos4((double)i / (double)(steps - 1));
	times[0] = 0;
	for (size_t i = 0; i < steps; i++)
		times[i + 1] = times[i] + cos4((double)i / (double)(steps - 1)) * end / total;
}

double schedule_clip(long n)
{
	return n >= 400 ? 25 : n >= 200 ? 5 : 1;
}

size_t schedule_spaced(size_t i, size_t n, size_t last)
{
	return (size_t)nearbyint((double)i * (double)last / (double)(n - 1));
}

void schedule_consistency(double level, double sd, double *skip, double *out)
{
	double total = level * level + sd * sd;

	*skip = sd * sd / total;
	*out = level * sd / sqrt(total);
}

void schedule_dds(size_t steps, double noise_scale, double *beta)
{
	const double full = 0.999999; /* the cumulative sum is clipped here */
	double total = 0, sum = 0;

	invariant(steps > 1);
	/* beta[1 + j] holds cos^4 phi_j for now. */
	for (size_t j = 0; j < steps; j++) {
		beta[1 + j] = cos4((double)j / (double)(steps - 1));
		total += beta[1 + j];
	}
	/* b_j = noise_scale (C_j - C_{j-1}); entry N - 1 - j of the reversed array is b_j. The
	 * difference comes first: where C saturates it is exactly 0. */
	double before = 0;
	for (size_t j = 0; j < steps; j++) {
		sum += beta[1 + j] / total;
		double now = sum > full ? full : sum;
		double difference = now - before;
		before = now;
		beta[1 + j] = fmin(sqrt(noise_scale * difference), 1);
	}
	/* Code c reads entry min(c, N - 1), that is b_{N - 1 - min(c, N - 1)}. */
	for (size_t j = 0; j < steps / 2; j++) {
		double swap = beta[1 + j];
		beta[1 + j] = beta[steps - j];
		beta[steps - j] = swap;
	}
	for (size_t c = 0; c + 1 < steps; c++)
		beta[c] = beta[c + 1];
	/* Now beta[e] is entry e for e = 0 .. N - 2; entry N - 1 is in beta[N]. */
	beta[steps - 1] = beta[steps];
	beta[0] = 0;
}
