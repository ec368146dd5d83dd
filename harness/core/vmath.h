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

/** 2^y in double for y < 1000: relative error below 5e-16; 2^-1000 for what is less. Faster than vm_exp. */
static inline double vm_exp2(double y)
{
	const double round = 6755399441055744.0; /* 1.5 * 2^52 */
	double c = y < -1000.0 ? -1000.0 : y;
	double shifted = c + round;
	double r = c - (shifted - round);
	/* Taylor to degree 12: the remainder is below 2e-16 for |r| <= 1/2. */
	double p = 2.56784359934882055e-11;
	p = p * r + 4.44553827187081162e-10;
	p = p * r + 7.05491162080112336e-09;
	p = p * r + 1.01780860092396999e-07;
	p = p * r + 1.32154867901443095e-06;
	p = p * r + 1.52527338040598411e-05;
	p = p * r + 1.54035303933816088e-04;
	p = p * r + 1.33335581464284433e-03;
	p = p * r + 9.61812910762847688e-03;
	p = p * r + 5.55041086648215831e-02;
	p = p * r + 2.40226506959100722e-01;
	p = p * r + 6.93147180559945286e-01;
	p = p * r + 1.0;
	uint64_t bits;
	memcpy(&bits, &shifted, sizeof(bits));
	return p * vm_double_of_bits((bits + 1023u) << 52);
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

/* The smaller of two numbers that are not negative. Their bits are ordered as they are, and integers
 * have a vector minimum that needs no mask. */
static inline float vm_smallerf(float a, float b)
{
	uint32_t i = vm_bits_of_float(a), j = vm_bits_of_float(b);

	return vm_float_of_bits(i < j ? i : j);
}

/* t P(t^2) / Q(t^2) at t = |x|, which is cut off at 5.9. */
static inline float vm_ratiof(float x, const float p[6], const float q[6])
{
	float t = vm_smallerf(vm_float_of_bits(vm_bits_of_float(x) & 0x7fffffffu), 5.9f);
	float z = t * t;
	float above = ((((p[5] * z + p[4]) * z + p[3]) * z + p[2]) * z + p[1]) * z + p[0];
	float below = ((((q[5] * z + q[4]) * z + q[3]) * z + q[2]) * z + q[1]) * z + q[0];

	return t * above / below;
}

/* 1/2 + y for x >= 0, 1/2 - y for x < 0; y is not negative. */
static inline float vm_around_halff(float y, float x)
{
	uint32_t sign = vm_bits_of_float(x) & 0x80000000u;

	return 0.5f + vm_float_of_bits(vm_bits_of_float(y) | sign);
}

/** The normal distribution function in float: absolute error below 3.5e-7, exactly 0 or 1 beyond
 *  |x| = 5.6. NaN gives a number: for use beside a factor that carries the NaN on. */
static inline float vm_normal_cdff(float x)
{
	/* Minimax in the error, 2e-8; P larger by 2^-23, so that the ends are reached. */
	static const float p[6] = { 3.989422129e-01f, 3.619208283e-02f, 4.818629088e-03f,
		1.920354188e-04f, 6.452175673e-06f, 2.058300940e-08f };
	static const float q[6] = { 1.000000000e+00f, 2.573849344e-01f, 2.997928317e-02f,
		2.016768336e-03f, 8.075250199e-05f, 1.141319657e-06f };

	return vm_around_halff(vm_smallerf(vm_ratiof(x, p, q), 0.5f), x);
}

/** The derivative of x Phi(x), Phi(x) + x phi(x), in float: absolute error below 4e-7. NaN gives
 *  a number, as above. */
static inline float vm_normal_slopef(float x)
{
	/* Minimax in the error, 1.2e-7. */
	static const float p[6] = { 7.978853612e-01f, -3.099583357e-02f, 1.423030491e-02f,
		1.922096501e-05f, 3.595594899e-05f, 1.929292123e-07f };
	static const float q[6] = { 1.000000000e+00f, 2.944940676e-01f, 4.098021959e-02f,
		3.523035721e-03f, 1.920366080e-04f, 8.952417773e-06f };

	return vm_around_halff(vm_ratiof(x, p, q), x);
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
