/* What a target's arithmetic needs in both precisions; part of stride.h, where num is float or
 * double. */
#ifndef STRIDE_TARGET_MATH_H
#define STRIDE_TARGET_MATH_H

#include "core/vmath.h"

/** Points that eval works on at a time: its scratch is arrays [..][TARGET_BLOCK] on the stack. */
enum { TARGET_BLOCK = 64 };

/** log(2 pi) */
#define LOG_2PI 1.8378770664093453

/** e^x, for loops under `#pragma omp simd`. */
static inline num num_exp(num x)
{
#ifdef STRIDE_TARGET_F32
	return vm_expf(x);
#else
	return vm_exp(x);
#endif
}

/** log(x) for normal x > 0, likewise. */
static inline num num_log(num x)
{
#ifdef STRIDE_TARGET_F32
	return vm_logf(x);
#else
	return log(x);
#endif
}

/** |x|, likewise. */
static inline num num_abs(num x)
{
#ifdef STRIDE_TARGET_F32
	return fabsf(x);
#else
	return fabs(x);
#endif
}

/** Bounds that keep NaN, unlike fmin and fmax. */
static inline num num_clamp(num x, num low, num high)
{
	num above = x < low ? low : x;

	return above > high ? high : above;
}

/** Log-sum-exp over the components of a mixture, for a block: w [components][TARGET_BLOCK], log densities
 * in, e^(w - top) out; top is the largest, total the sum of what comes out. */
static inline void num_softmax(size_t components, size_t count, num (*w)[TARGET_BLOCK], num *top,
	num *total)
{
	memcpy(top, w[0], count * sizeof(*top));
	for (size_t k = 1; k < components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			top[i] = w[k][i] > top[i] ? w[k][i] : top[i];
	}
	memset(total, 0, count * sizeof(*total));
	for (size_t k = 0; k < components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			w[k][i] = num_exp(w[k][i] - top[i]);
			total[i] += w[k][i];
		}
	}
}

/**
 * c = alpha a b + beta c in the layout of blocks, column-major: a is m x k (leading dimension lda), b is
 * k x n, or n x k and used transposed, c is m x n. With a block of points, m counts the points; a
 * table with a row of k numbers for each of n outputs is b untransposed.
 */
#ifdef STRIDE_TARGET_F32
#define num_gemm target_sgemm
#else
#define num_gemm target_dgemm
#endif
void target_sgemm(bool transpose_b, size_t m, size_t n, size_t k, float alpha, const float *a,
	size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);
void target_dgemm(bool transpose_b, size_t m, size_t n, size_t k, double alpha, const double *a,
	size_t lda, const double *b, size_t ldb, double beta, double *c, size_t ldc);

/** Calls of a target's block functions for pieces of at most TARGET_BLOCK of n points: pointers at
 * the piece's first point, n still the distance between coordinates, count the points of the piece.
 */
static inline void num_eval_blocks(const void *state, size_t n, const num *x, double *log_rho,
	num *grad,
	void (*block)(const void *state, size_t n, size_t count, const num *x, double *log_rho,
		num *grad))
{
	for (size_t first = 0; first < n; first += TARGET_BLOCK)
		block(state, n, n - first < TARGET_BLOCK ? n - first : TARGET_BLOCK, x + first,
			log_rho != NULL ? log_rho + first : NULL,
			grad != NULL ? grad + first : NULL);
}

static inline void num_hvp_blocks(const void *state, size_t n, const num *x, const num *v, num *hv,
	void (*block)(const void *state, size_t n, size_t count, const num *x, const num *v,
		num *hv))
{
	for (size_t first = 0; first < n; first += TARGET_BLOCK)
		block(state, n, n - first < TARGET_BLOCK ? n - first : TARGET_BLOCK, x + first,
			v + first, hv + first);
}

#endif
