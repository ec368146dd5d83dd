/* What a target's arithmetic needs in both precisions; part of stride.h, where num is float or
 * double. */
#ifndef STRIDE_TARGET_MATH_H
#define STRIDE_TARGET_MATH_H

#include "core/csv.h"
#include "core/vmath.h"

/** Points that eval works on at a time: its scratch is arrays [..][TARGET_BLOCK] on the stack. */
enum { TARGET_BLOCK = 64 };

/** log(2 pi) */
#define LOG_2PI 1.8378770664093453

/** Bounds for e^x where x may be anything: an exponent clamped to +-NUM_EXPONENT gives a normal
 *  number, and a product with it clamped to +-NUM_LARGE leaves room for sums. */
#ifdef STRIDE_TARGET_F32
#define NUM_EXPONENT 80.0f
#define NUM_LARGE 1e37f
#else
#define NUM_EXPONENT 690.0
#define NUM_LARGE 1e300
#endif

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

/** A double within +-bound, likewise. */
static inline num num_bounded(double x, double bound)
{
	double above = x < -bound ? -bound : x;

	return (num)(above > bound ? bound : above);
}

/** Shares of a mixture's components, for a block: w [components][TARGET_BLOCK], log densities in,
 *  the shares e^w / sum e^w out; the logarithm of that sum is top + log(total). */
static inline void num_softmax(size_t components, size_t count, num (*w)[TARGET_BLOCK], num *top,
	num *total)
{
	num inverse[TARGET_BLOCK];

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
#pragma omp simd
	for (size_t i = 0; i < count; i++)
		inverse[i] = 1 / total[i];
	for (size_t k = 0; k < components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			w[k][i] *= inverse[i];
	}
}

/** s_k = w_k (s_k - sum_j w_j s_j) with the shares w: of the slopes g_k.v of the components, what
 *  multiplies the g_k in the mixture's Hessian-vector product. */
static inline void num_centre_slopes(size_t components, size_t count, num (*w)[TARGET_BLOCK],
	num (*s)[TARGET_BLOCK])
{
	num mean[TARGET_BLOCK] = { 0 };

	for (size_t k = 0; k < components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			mean[i] += w[k][i] * s[k][i];
	}
	for (size_t k = 0; k < components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			s[k][i] = w[k][i] * (s[k][i] - mean[i]);
	}
}

/**
 * c = alpha a b + beta c in the layout of blocks, column-major: a is m x k (leading dimension
 * lda), b is k x n, or n x k and used transposed, c is m x n. With a block of points, m counts the
 * points; a table with a row of k numbers for each of n outputs is b untransposed.
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

/** log_z of a target whose density is normalised. */
static inline void log_z_normalised(const void *state, struct log_z *out)
{
	(void)state;
	*out = (struct log_z){ LOG_Z_EXACT, 0, 0, "normalised" };
}

/** ERR_RANGE where a table, with a component of a mixture in each row, has more than `most`. */
static inline int components_at_most(const struct csv *t, size_t most)
{
	if (t->rows > most)
		return fail(ERR_RANGE, "%s:%zu: component %zu; at most %zu are possible", t->path,
			t->line[most], most + 1, most);
	return OK;
}

#endif
