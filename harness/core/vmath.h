#ifndef STRIDE_CORE_VMATH_H
#define STRIDE_CORE_VMATH_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/**
 * Elementary functions without branches, tables or calls, for loops that the compiler turns into
 * vector code (`#pragma omp simd`). NaN in gives NaN out, where nothing else is said; no fast-math is
 * needed or used.
 */

static inline float vm_float_of_bits(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static inline double vm_double_of_bits(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static inline uint32_t vm_bits_of_float(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/** e^x in float: relative error below 2e-7; 0 below -87.68, infinity above 88.37. */
static inline float vm_expf(float x)
{
	const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
	float c = x < -88.0f ? -88.0f : x;

	c = c > 89.0f ? 89.0f : c;
	float shifted = c * 1.44269504f + round;
	float n = shifted - round;
	float r = c - n * 0.693359375f;
	r = r - n * -2.12194440e-4f;
	/* The Cephes polynomial for |r| <= ln(2)/2. */
	float p = 1.9875691500e-4f;
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + r + 1.0f;
	/* The integer sits in the low bits of `shifted`; moved into the exponent it makes 2^n. */
	uint32_t scale = (vm_bits_of_float(shifted) + 127u) << 23;
	return p * vm_float_of_bits(scale);
}

/** 2^r in float for |r| <= 1/2: a minimax polynomial, relative error below 2.5e-7. */
static inline float vm_exp2_near_0f(float r)
{
	float p = 1.327647196e-3f;

	p = p * r + 9.675541513e-3f;
	p = p * r + 5.550713275e-2f;
	p = p * r + 2.402211972e-1f;
	p = p * r + 6.931469671e-1f;
	return p * r + 1.000000072f;
}

/** 1 / (1 + 2^-y) in float: absolute error below 2e-7. Saturates beyond |y| = 126. NaN gives a number:
 *  for use where y is made of a factor that carries the NaN on. */
static inline float vm_logistic2f(float y)
{
	const float round = 12582912.0f;
	float c = y < -126.0f ? 126.0f : -y;

	c = c < -126.0f ? -126.0f : c;
	float shifted = c + round;
	float r = c - (shifted - round);
	uint32_t power = vm_bits_of_float(vm_exp2_near_0f(r)) + (vm_bits_of_float(shifted) << 23);
	return 1.0f / (1.0f + vm_float_of_bits(power));
}

/** e^x in double: relative error below 4e-16; 0 below -708.74, infinity above 709.43. */
static inline double vm_exp(double x)
{
	const double round = 6755399441055744.0; /* 1.5 * 2^52 */
	double c = x < -709.0 ? -709.0 : x;

	c = c > 710.0 ? 710.0 : c;
	double shifted = c * 1.4426950408889634 + round;
	double n = shifted - round;
	double r = c - n * 6.93147180369123816490e-01;
	r = r - n * 1.90821492927058770002e-10;
	/* Taylor to degree 13: the remainder is below 5e-18 for |r| <= ln(2)/2. */
	double p = 1.0 / 6227020800.0;
	p = p * r + 1.0 / 479001600.0;
	p = p * r + 1.0 / 39916800.0;
	p = p * r + 1.0 / 3628800.0;
	p = p * r + 1.0 / 362880.0;
	p = p * r + 1.0 / 40320.0;
	p = p * r + 1.0 / 5040.0;
	p = p * r + 1.0 / 720.0;
	p = p * r + 1.0 / 120.0;
	p = p * r + 1.0 / 24.0;
	p = p * r + 1.0 / 6.0;
	p = p * r + 0.5;
	p = p * (r * r) + r + 1.0;
	uint64_t bits;
	memcpy(&bits, &shifted, sizeof(bits));
	return x < -709.0 ? 0.0 : p * vm_double_of_bits((bits + 1023u) << 52);
}

/** ln(x) in float for x > 0 that is not subnormal: relative error below 2e-7. Infinity and NaN are kept. */
static inline float vm_logf(float x)
{
	uint32_t bits = vm_bits_of_float(x);
	/* Split x = m 2^e with m in [sqrt(1/2), sqrt(2)). */
	uint32_t shifted = bits - 0x3f3504f3u;
	float e = (float)((int32_t)shifted >> 23);
	float m = vm_float_of_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
	float z = m * m;
	/* The Cephes polynomial. */
	float p = 7.0376836292e-2f;
	p = p * m - 1.1514610310e-1f;
	p = p * m + 1.1676998740e-1f;
	p = p * m - 1.2420140846e-1f;
	p = p * m + 1.4249322787e-1f;
	p = p * m - 1.6668057665e-1f;
	p = p * m + 2.0000714765e-1f;
	p = p * m - 2.4999993993e-1f;
	p = p * m + 3.3333331174e-1f;
	p = p * m * z;
	p = p + e * -2.12194440e-4f - 0.5f * z;
	float result = m + p + e * 0.693359375f;
	return x <= FLT_MAX ? result : x; /* the bits of a NaN look like a number's */
}

/** erf(x) in float: absolute error below 2.5e-7, exactly -1 or 1 beyond |x| = 4. */
static inline float vm_erff(float x)
{
	const float round = 12582912.0f;
	float t = x < 0.0f ? -x : x;

	t = t > 4.0f ? 4.0f : t;
	/* erfc(t) = 2^-(t q(t)), q minimax in the error of erfc: 1.6e-8 on [0, 4]. */
	float q = 4.536092537e-5f;
	q = q * t - 4.455242277e-4f;
	q = q * t + 1.489487936e-3f;
	q = q * t + 7.745649667e-4f;
	q = q * t - 2.825363326e-2f;
	q = q * t + 1.484815969e-1f;
	q = q * t + 9.184163964e-1f;
	q = q * t + 1.627908593f;
	float y = -t * q;
	float shifted = y + round;
	uint32_t scale = (vm_bits_of_float(shifted) + 127u) << 23;
	float e = 1.0f - vm_exp2_near_0f(y - (shifted - round)) * vm_float_of_bits(scale);
	return x < 0.0f ? -e : e;
}

/** sin and cos of a for |a| <= pi/4 in float: absolute error below 1e-7. */
static inline void vm_sincosf(float a, float *s, float *c)
{
	float z = a * a;

	*s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * a + a;
	*c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z *
		     z -
	     0.5f * z + 1.0f;
}

#endif
