#include "core/rng.h"
#include "core/vmath.h"

#include <math.h>
#include <string.h>
#include <gsl/gsl_cdf.h>
#include <Random123/philox.h>

/* Rows that are drawn together: long enough for vector code, short enough for registers. */
enum { LANES = 16 };

/* Where each coordinate of a number goes: the key holds seed and purpose, the counter row, step,
 * column block and epoch. Rows beyond 2^32 spill into the upper bits of the block. */
static philox4x32_key_t rng_key(struct rng r)
{
	philox4x32_key_t key = { { (uint32_t)r.seed,
		(uint32_t)(r.seed >> 32) + r.purpose * 0x9e3779b9u } };

	return key;
}

static philox4x32_ctr_t rng_counter(struct rng r, uint32_t step, uint64_t row, uint32_t block)
{
	philox4x32_ctr_t counter = { { (uint32_t)row, step, block ^ ((uint32_t)(row >> 32) << 16),
		r.epoch } };

	return counter;
}

/* Two normals from two words: Box and Muller, radius from u, angle from v. */
static inline void normal_pair(uint32_t u, uint32_t v, real *a, real *b)
{
#ifdef STRIDE_DOUBLE
	double radius = sqrt(-2 * log(((double)u + 0.5) * 0x1p-32));
	double angle = 6.283185307179586 * ((double)v * 0x1p-32);

	*a = radius * cos(angle);
	*b = radius * sin(angle);
#else
	float radius = sqrtf(-2.0f * vm_logf(((float)u + 0.5f) * 0x1p-32f));
	/* Two bits choose the quadrant, the others an angle in [-pi/4, pi/4). */
	float s, c;
	vm_sincosf((float)(int32_t)(v << 2) * (0x1p-32f * 1.57079633f), &s, &c);
	uint32_t quadrant = v >> 30;
	float x = quadrant & 1 ? s : c;
	float y = quadrant & 1 ? c : s;
	radius = quadrant & 2 ? -radius : radius;
	*a = radius * x;
	*b = (quadrant & 1 ? -radius : radius) * y;
#endif
}

/* LANES successive rows of Philox4x32-10: words[j][i] is word j of the counter whose row is i more
 * than first's. The same function as Random123's philox4x32 (a test compares them), written as
 * loops over the rows, which compilers turn into vector code. */
static void philox_rows(philox4x32_ctr_t first, philox4x32_key_t key, uint32_t words[4][LANES])
{
	const uint64_t low = 0xffffffffu;
	uint64_t a[LANES], b[LANES], c[LANES], d[LANES]; /* 32 bits each: products want 64 */

	for (uint32_t i = 0; i < LANES; i++) {
		a[i] = first.v[0] + i;
		b[i] = first.v[1];
		c[i] = first.v[2];
		d[i] = first.v[3];
	}
#pragma GCC unroll 10
	for (uint32_t round = 0; round < 10; round++) {
		uint64_t k0 = key.v[0] + round * PHILOX_W32_0;
		uint64_t k1 = key.v[1] + round * PHILOX_W32_1;
#pragma omp simd
		for (int i = 0; i < LANES; i++) {
			uint64_t p = PHILOX_M4x32_0 * a[i], q = PHILOX_M4x32_1 * c[i];
			a[i] = (q >> 32) ^ b[i] ^ k0;
			b[i] = q & low;
			c[i] = (p >> 32) ^ d[i] ^ k1;
			d[i] = p & low;
		}
	}
	for (int i = 0; i < LANES; i++) {
		words[0][i] = (uint32_t)a[i];
		words[1][i] = (uint32_t)b[i];
		words[2][i] = (uint32_t)c[i];
		words[3][i] = (uint32_t)d[i];
	}
}

/* Four columns of LANES rows, into a tile. */
static void normal_tile(struct rng r, uint32_t step, uint64_t row, uint32_t block,
	real tile[4][LANES])
{
	uint32_t words[4][LANES];

	philox_rows(rng_counter(r, step, row, block), rng_key(r), words);
#pragma omp simd
	for (int i = 0; i < LANES; i++) {
		normal_pair(words[0][i], words[1][i], &tile[0][i], &tile[1][i]);
		normal_pair(words[2][i], words[3][i], &tile[2][i], &tile[3][i]);
	}
}

/* Signs of four columns of LANES rows. */
static void sign_tile(struct rng r, uint32_t step, uint64_t row, uint32_t block,
	real tile[4][LANES])
{
	uint32_t words[4][LANES];

	philox_rows(rng_counter(r, step, row, block), rng_key(r), words);
	for (int j = 0; j < 4; j++)
		for (int i = 0; i < LANES; i++)
			tile[j][i] = words[j][i] >> 31 ? (real)-1 : (real)1;
}

/* Fill out [cols][n] tile by tile; a tile that sticks out is cut. */
static void fill(void (*make)(struct rng, uint32_t, uint64_t, uint32_t, real[4][LANES]),
	struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols, real *out)
{
	real tile[4][LANES];

	for (size_t k = 0; k < cols; k += 4) {
		size_t width = cols - k < 4 ? cols - k : 4;
		for (size_t i = 0; i < n; i += LANES) {
			size_t rows = n - i < LANES ? n - i : LANES;
			make(r, step, first_row + i, (uint32_t)(k / 4), tile);
			for (size_t j = 0; j < width; j++)
				memcpy(out + (k + j) * n + i, tile[j], rows * sizeof(real));
		}
	}
}

void rng_normal(struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols, real *out)
{
	fill(normal_tile, r, step, first_row, n, cols, out);
}

void rng_rademacher(struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols,
	real *out)
{
	fill(sign_tile, r, step, first_row, n, cols, out);
}

/* The scalar numbers use the upper half of the block coordinate, so that they never meet the block
 * numbers of the same stream. */
static philox4x32_ctr_t draw(struct rng r, uint32_t step, uint64_t row, uint32_t column)
{
	return philox4x32(rng_counter(r, step, row, column ^ 0x80000000u), rng_key(r));
}

static double uniform_of_words(uint32_t high, uint32_t low)
{
	uint64_t bits = ((uint64_t)high << 32 | low) >> 12; /* 52 bits, then centred in its cell */

	return ((double)bits + 0.5) * 0x1p-52;
}

double rng_uniform(struct rng r, uint32_t step, uint64_t row, uint32_t column)
{
	philox4x32_ctr_t w = draw(r, step, row, column);

	return uniform_of_words(w.v[0], w.v[1]);
}

double rng_gauss(struct rng r, uint32_t step, uint64_t row, uint32_t column)
{
	philox4x32_ctr_t w = draw(r, step, row, column);
	double radius = sqrt(-2 * log(uniform_of_words(w.v[0], w.v[1])));

	return radius * cos(6.283185307179586 * uniform_of_words(w.v[2], w.v[3]));
}

__extension__ typedef unsigned __int128 wide;

uint64_t rng_below(struct rng r, uint32_t step, uint64_t row, uint32_t column, uint64_t bound)
{
	philox4x32_ctr_t w = draw(r, step, row, column);
	uint64_t bits = (uint64_t)w.v[0] << 32 | w.v[1];

	return (uint64_t)((wide)bits * bound >> 64);
}

double rng_truncated(double u, double bound)
{
	double below = gsl_cdf_ugaussian_P(-bound);
	double x = gsl_cdf_ugaussian_Pinv(below + u * (1 - 2 * below));

	return fmin(fmax(x, -bound), bound);
}

void rng_truncated_normal(struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols,
	double bound, real *out)
{
	for (size_t k = 0; k < cols; k++)
		for (size_t i = 0; i < n; i++)
			out[k * n + i] = (real)rng_truncated(
				rng_uniform(r, step, first_row + i, (uint32_t)k), bound);
}
