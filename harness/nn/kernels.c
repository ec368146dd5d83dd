/* Kernels on chunks: [cols][GRAPH_CHUNK] arrays, so that every inner loop runs over the lanes. */
#include "core/vmath.h"
#include "nn/graph_internal.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#ifdef STRIDE_DOUBLE
#define gemm cblas_dgemm
#else
#define gemm cblas_sgemm
#endif

#define EACH_LANE _Pragma("omp simd") for (size_t i = 0; i < GRAPH_CHUNK; i++)

/* The lanes of column k: where they are, or a copy of the one number in each. */
static inline const real *lanes(const struct tile *t, size_t k, real buffer[GRAPH_CHUNK])
{
	const real *p = t->p + k * t->stride;

	if (t->row)
		return p;
	real value = *p;
	EACH_LANE
	buffer[i] = value;
	return buffer;
}

/* Hand lanes v over to column k of a sink. A one-column sink of a wider value sums the columns, a
 * step's sink the lanes. */
static inline void deposit(const struct sink *to, size_t k, const real *v)
{
	real *p = to->p + k * to->stride;

	if (!to->row) {
		real sum = 0;
		_Pragma("omp simd reduction(+ : sum)") for (size_t i = 0; i < GRAPH_CHUNK; i++)
			sum += v[i];
		*p += sum;
	} else if (to->add || (k > 0 && to->stride == 0)) {
		EACH_LANE
		p[i] += v[i];
	} else {
		EACH_LANE
		p[i] = v[i];
	}
}

/* All terms row values as wide as the result, with coefficients that are numbers: flat loops. */
static bool combine_flat(size_t cols, double offset, size_t n, const struct weighted *t, real *out)
{
	size_t size = cols * GRAPH_CHUNK, done = n % 2 == 0 ? 2 : (n == 1 ? 1 : 3);
	const real *x[TERMS_MAX];
	real c[TERMS_MAX];

	if (n == 0 || offset != 0)
		return false;
	for (size_t j = 0; j < n; j++) {
		if (!t[j].value.row || (t[j].value.stride == 0 && cols > 1) ||
			(t[j].has_coef && t[j].coef.row))
			return false;
		c[j] = (real)t[j].number * (t[j].has_coef ? t[j].coef.p[0] : 1);
		x[j] = t[j].value.p;
	}
	if (done == 1) {
#pragma omp simd
		for (size_t i = 0; i < size; i++)
			out[i] = c[0] * x[0][i];
	} else if (done == 2) {
#pragma omp simd
		for (size_t i = 0; i < size; i++)
			out[i] = c[0] * x[0][i] + c[1] * x[1][i];
	} else {
#pragma omp simd
		for (size_t i = 0; i < size; i++)
			out[i] = c[0] * x[0][i] + c[1] * x[1][i] + c[2] * x[2][i];
	}
	for (; done < n; done += 2) {
		const real *p = x[done], *q = x[done + 1], a = c[done], b = c[done + 1];
#pragma omp simd
		for (size_t i = 0; i < size; i++)
			out[i] += a * p[i] + b * q[i];
	}
	return true;
}

void kernel_combine(size_t cols, double offset, size_t n, const struct weighted *terms, real *out)
{
	if (combine_flat(cols, offset, n, terms, out))
		return;
	for (size_t k = 0; k < cols; k++) {
		real sum[GRAPH_CHUNK], buffer[GRAPH_CHUNK];
		EACH_LANE
		sum[i] = (real)offset;
		for (size_t j = 0; j < n; j++) {
			const struct weighted *t = &terms[j];
			real c = (real)t->number;
			const real *x = lanes(&t->value, k, buffer);
			if (t->has_coef && t->coef.row) {
				const real *w = t->coef.p;
				EACH_LANE
				sum[i] += c * w[i] * x[i];
			} else {
				c *= t->has_coef ? t->coef.p[0] : 1;
				EACH_LANE
				sum[i] += c * x[i];
			}
		}
		memcpy(out + k * GRAPH_CHUNK, sum, sizeof(sum));
	}
}

/* A sink that takes what a chunk gives, lane by lane, and nothing else to do. */
static bool is_plain(const struct tile *grad, const struct sink *to, size_t cols)
{
	return to->row && (cols == 1 || (to->stride != 0 && grad->stride != 0));
}

void kernel_spread(size_t cols, const struct tile *grad, const struct weighted *by, struct sink to)
{
	size_t size = cols * GRAPH_CHUNK;
	real c = (real)by->number;

	if (!by->has_coef || !by->coef.row) {
		c *= by->has_coef ? by->coef.p[0] : 1;
		const real *g = grad->p;
		if (is_plain(grad, &to, cols)) {
			if (to.add) {
#pragma omp simd
				for (size_t i = 0; i < size; i++)
					to.p[i] += c * g[i];
			} else {
#pragma omp simd
				for (size_t i = 0; i < size; i++)
					to.p[i] = c * g[i];
			}
			return;
		}
	}
	for (size_t k = 0; k < cols; k++) {
		real v[GRAPH_CHUNK];
		const real *g = grad->p + k * grad->stride;
		if (by->has_coef && by->coef.row) {
			const real *w = by->coef.p;
			EACH_LANE
			v[i] = c * w[i] * g[i];
		} else {
			EACH_LANE
			v[i] = c * g[i];
		}
		deposit(&to, k, v);
	}
}

void kernel_mul(size_t cols, struct tile a, struct tile b, real *out)
{
	for (size_t k = 0; k < cols; k++) {
		real left[GRAPH_CHUNK], right[GRAPH_CHUNK];
		const real *x = lanes(&a, k, left), *y = lanes(&b, k, right);
		real *z = out + k * GRAPH_CHUNK;
		EACH_LANE
		z[i] = x[i] * y[i];
	}
}

void kernel_mul_back(size_t cols, const struct tile *grad, struct tile other, struct sink to)
{
	if (other.row && !to.add && is_plain(grad, &to, cols) && (cols == 1 || other.stride != 0)) {
		const real *g = grad->p, *x = other.p;
#pragma omp simd
		for (size_t i = 0; i < cols * GRAPH_CHUNK; i++)
			to.p[i] = g[i] * x[i];
		return;
	}
	for (size_t k = 0; k < cols; k++) {
		real v[GRAPH_CHUNK], buffer[GRAPH_CHUNK];
		const real *g = grad->p + k * grad->stride;
		const real *x = lanes(&other, k, buffer);
		EACH_LANE
		v[i] = g[i] * x[i];
		deposit(&to, k, v);
	}
}

void kernel_clip(size_t cols, struct tile a, double bound, real *out)
{
	real hi = (real)bound, lo = -hi;

	for (size_t k = 0; k < cols; k++) {
		real buffer[GRAPH_CHUNK];
		const real *x = lanes(&a, k, buffer);
		real *z = out + k * GRAPH_CHUNK;
		EACH_LANE
		z[i] = x[i] > hi ? hi : (x[i] < lo ? lo : x[i]);
	}
}

void kernel_inside(size_t cols, struct tile a, double bound, real *out)
{
	real hi = (real)bound;

	for (size_t k = 0; k < cols; k++) {
		real buffer[GRAPH_CHUNK];
		const real *x = lanes(&a, k, buffer);
		real *z = out + k * GRAPH_CHUNK;
		EACH_LANE
		z[i] = x[i] > hi || x[i] < -hi ? (real)0 : (real)1;
	}
}

void kernel_clip_back(size_t cols, const struct tile *grad, struct tile a, double bound,
	struct sink to)
{
	real hi = (real)bound;

	for (size_t k = 0; k < cols; k++) {
		real v[GRAPH_CHUNK], buffer[GRAPH_CHUNK];
		const real *g = grad->p + k * grad->stride;
		const real *x = lanes(&a, k, buffer);
		EACH_LANE
		v[i] = x[i] > hi || x[i] < -hi ? (real)0 : g[i];
		deposit(&to, k, v);
	}
}

/* --- GELU ------------------------------------------------------------------------------------- */

/* The tanh form is x s(z), s the logistic function, z = 2 sqrt(2/pi) (x + 0.044715 x^3). */
static const real GELU_A = (real)1.5957691216057308, GELU_B = (real)0.044715;

static inline real logistic_of_gelu(real x)
{
#ifdef STRIDE_DOUBLE
	return 1 / (1 + vm_exp(-GELU_A * (x + GELU_B * x * x * x)));
#else
	/* z in units of ln 2, for a logistic function of base 2. */
	const float a = 2.3022081f, b = 0.10294324f;

	return vm_logistic2f(x * (a + b * (x * x)));
#endif
}

/* Value, first and second derivative of x s(z(x)). */
static inline void gelu_tanh_all(real x, real *f, real *f1, real *f2)
{
	real s = logistic_of_gelu(x);
	real z1 = GELU_A * (1 + 3 * GELU_B * x * x);
	real z2 = GELU_A * 6 * GELU_B * x;
	real q = s * (1 - s);
	real s1 = q * z1;
	real s2 = q * (1 - 2 * s) * z1 * z1 + q * z2;

	*f = x * s;
	*f1 = s + x * s1;
	*f2 = 2 * s1 + x * s2;
}

/* Value, first and second derivative of x Phi(x), Phi the normal distribution function. */
static inline void gelu_erf_all(real x, real *f, real *f1, real *f2)
{
#ifdef STRIDE_DOUBLE
	real cdf = 0.5 * erfc(-x * 0.7071067811865476);
	real pdf = 0.3989422804014327 * exp(-0.5 * x * x);

	*f = x * cdf;
	*f1 = cdf + x * pdf;
	*f2 = pdf * (2 - x * x);
#else
	/* Where the density is 0 anyway, its square must not overflow: 0 times infinity is NaN. */
	float square = x * x > 400.0f ? 400.0f : x * x;

	*f = x * vm_normal_cdff(x);
	*f1 = vm_normal_slopef(x);
	*f2 = 0.39894228f * vm_expf(-0.5f * square) * (2 - square);
#endif
}

static inline void gelu_all(enum gelu_kind kind, real x, real *f, real *f1, real *f2)
{
	if (kind == GELU_ERF)
		gelu_erf_all(x, f, f1, f2);
	else
		gelu_tanh_all(x, f, f1, f2);
}

/* Expanded where kind is known, so that the loops have no branch and compute only what they store. */
static inline __attribute__((always_inline)) void gelu_lanes(enum gelu_kind kind, int order,
	size_t n, const real *x, real *out, real *next)
{
	real unused, also;

	if (order == 0 && next == NULL) {
#pragma omp simd private(unused, also)
		for (size_t i = 0; i < n; i++)
			gelu_all(kind, x[i], &out[i], &unused, &also);
	} else if (order == 0) {
#pragma omp simd private(unused)
		for (size_t i = 0; i < n; i++)
			gelu_all(kind, x[i], &out[i], &next[i], &unused);
	} else if (next == NULL) {
#pragma omp simd private(unused, also)
		for (size_t i = 0; i < n; i++)
			gelu_all(kind, x[i], &unused, &out[i], &also);
	} else {
#pragma omp simd private(unused)
		for (size_t i = 0; i < n; i++)
			gelu_all(kind, x[i], &unused, &out[i], &next[i]);
	}
}

void kernel_gelu(enum gelu_kind kind, int order, size_t n, const real *x, real *out, real *next)
{
	if (kind == GELU_ERF)
		gelu_lanes(GELU_ERF, order, n, x, out, next);
	else
		gelu_lanes(GELU_TANH, order, n, x, out, next);
}

/* --- other functions of one number --------------------------------------------------------------- */

static double map_value(enum map_kind kind, int order, double x)
{
	double e = exp(-fabs(x)), larger = 1 / (1 + e);

	switch (kind) {
	case MAP_SOFTPLUS:
		if (order == 0)
			return fmax(x, 0) + log1p(e);
		return order == 1 ? (x < 0 ? e * larger : larger) : e * larger * larger;
	case MAP_EXP:
		return exp(x);
	case MAP_RECIPROCAL:
		return order == 0 ? 1 / x : (order == 1 ? -1 / (x * x) : 2 / (x * x * x));
	}
	return (double)NAN;
}

void kernel_map(enum map_kind kind, int order, size_t cols, struct tile a, real *out)
{
	for (size_t k = 0; k < cols; k++) {
		real buffer[GRAPH_CHUNK];
		const real *x = lanes(&a, k, buffer);
		for (size_t i = 0; i < GRAPH_CHUNK; i++)
			out[k * GRAPH_CHUNK + i] = (real)map_value(kind, order, (double)x[i]);
	}
}

void kernel_map_back(enum map_kind kind, int order, size_t cols, const struct tile *grad,
	struct tile a, struct sink to)
{
	for (size_t k = 0; k < cols; k++) {
		real v[GRAPH_CHUNK], buffer[GRAPH_CHUNK];
		const real *g = grad->p + k * grad->stride;
		const real *x = lanes(&a, k, buffer);
		for (size_t i = 0; i < GRAPH_CHUNK; i++)
			v[i] = g[i] * (real)map_value(kind, order, (double)x[i]);
		deposit(&to, k, v);
	}
}

/* --- sums ------------------------------------------------------------------------------------- */

void kernel_dot(size_t cols, struct tile a, struct tile b, real *out)
{
	real sum[GRAPH_CHUNK] = { 0 };

	for (size_t k = 0; k < cols; k++) {
		real left[GRAPH_CHUNK], right[GRAPH_CHUNK];
		const real *x = lanes(&a, k, left), *y = lanes(&b, k, right);
		EACH_LANE
		sum[i] += x[i] * y[i];
	}
	memcpy(out, sum, sizeof(sum));
}

void kernel_dot_f64(size_t cols, struct tile a, struct tile b, double *out)
{
	double sum[GRAPH_CHUNK] = { 0 };

	for (size_t k = 0; k < cols; k++) {
		real left[GRAPH_CHUNK], right[GRAPH_CHUNK];
		const real *x = lanes(&a, k, left), *y = lanes(&b, k, right);
		EACH_LANE
		sum[i] += (double)x[i] * (double)y[i];
	}
	memcpy(out, sum, sizeof(sum));
}

/* --- layers ----------------------------------------------------------------------------------- */

/* In BLAS's column-major eyes a chunk [cols][chunk] is a matrix chunk x cols, and a kernel
 * [in][out] is out x in. */

void kernel_linear(size_t in, size_t out, const real *x, const real *w, const struct tile *bias,
	real *y)
{
	if (bias != NULL)
		kernel_copy(out, *bias, y);
	gemm(CblasColMajor, CblasNoTrans, CblasTrans, GRAPH_CHUNK, (int)out, (int)in, 1, x,
		GRAPH_CHUNK, w, (int)out, bias != NULL ? 1 : 0, y, GRAPH_CHUNK);
}

void kernel_linear_back_x(size_t in, size_t out, const real *dy, const real *w, bool add, real *dx)
{
	gemm(CblasColMajor, CblasNoTrans, CblasNoTrans, GRAPH_CHUNK, (int)in, (int)out, 1, dy,
		GRAPH_CHUNK, w, (int)out, add ? 1 : 0, dx, GRAPH_CHUNK);
}

void kernel_linear_back_w(size_t in, size_t out, const real *x, const real *dy, real *dw)
{
	gemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)out, (int)in, GRAPH_CHUNK, 1, dy,
		GRAPH_CHUNK, x, GRAPH_CHUNK, 1, dw, (int)out);
}

/* sin and cos of an angle that may be large: reduced in double, so that only the result is rounded.
 */
static inline void sincos_real(double angle, real *s, real *c)
{
#ifdef STRIDE_DOUBLE
	*s = sin(angle);
	*c = cos(angle);
#else
	const double round = 6755399441055744.0; /* 1.5 * 2^52 */
	double shifted = angle * 0.6366197723675814 + round;
	double quarters = shifted - round;
	float a, b;
	vm_sincosf((float)(angle - quarters * 1.5707963267948966), &a, &b);
	uint64_t bits;
	memcpy(&bits, &shifted, sizeof(bits));
	float x = bits & 1 ? b : a, y = bits & 1 ? a : b;
	*s = bits & 2 ? -x : x;
	*c = (bits + 1) & 2 ? -y : y;
#endif
}

static double frequency(size_t j, size_t n, double first, double last)
{
	return n > 1 ? first + (last - first) * (double)j / (double)(n - 1) : first;
}

void kernel_fourier(size_t n, double first, double last, int order, struct tile tau,
	const real *phase, real *out)
{
	real buffer[GRAPH_CHUNK];
	const real *t = lanes(&tau, 0, buffer);

	for (size_t j = 0; j < n; j++) {
		double omega = frequency(j, n, first, last);
		/* The derivative of order m of sin(omega t) is omega^m sin(omega t + m pi / 2). */
		double shift = (double)phase[j] + order * 1.5707963267948966;
		real size = (real)pow(omega, order);
		real *s = out + j * GRAPH_CHUNK, *c = out + (n + j) * GRAPH_CHUNK;
		EACH_LANE
		sincos_real(omega * (double)t[i] + shift, &s[i], &c[i]);
		if (order == 0)
			continue;
		EACH_LANE
		{
			s[i] *= size;
			c[i] *= size;
		}
	}
}

/* The derivative of a feature with respect to its angle is its partner: cos of sin, -sin of cos. */
void kernel_fourier_back_tau(size_t n, double first, double last, const real *features,
	const real *grad, struct sink to)
{
	real sum[GRAPH_CHUNK] = { 0 };

	for (size_t j = 0; j < n; j++) {
		const real *s = features + j * GRAPH_CHUNK, *c = features + (n + j) * GRAPH_CHUNK;
		const real *gs = grad + j * GRAPH_CHUNK, *gc = grad + (n + j) * GRAPH_CHUNK;
		real omega = (real)frequency(j, n, first, last);
		EACH_LANE
		sum[i] += omega * (gs[i] * c[i] - gc[i] * s[i]);
	}
	deposit(&to, 0, sum);
}

void kernel_fourier_back(size_t n, const real *features, const real *grad, real *dphase)
{
	for (size_t j = 0; j < n; j++) {
		size_t s = j * GRAPH_CHUNK, c = (n + j) * GRAPH_CHUNK;
		real sum = 0;
		_Pragma("omp simd reduction(+ : sum)") for (size_t i = 0; i < GRAPH_CHUNK; i++)
			sum += grad[s + i] * features[c + i] - grad[c + i] * features[s + i];
		dphase[j] += sum;
	}
}

/* --- moving ----------------------------------------------------------------------------------- */

void kernel_copy(size_t cols, struct tile from, real *out)
{
	for (size_t k = 0; k < cols; k++) {
		const real *p = from.p + k * from.stride;
		real *to = out + k * GRAPH_CHUNK;
		if (from.row) {
			memcpy(to, p, GRAPH_CHUNK * sizeof(real));
		} else {
			real value = *p;
			EACH_LANE
			to[i] = value;
		}
	}
}

void kernel_deposit(size_t cols, struct tile from, struct sink to)
{
	for (size_t k = 0; k < cols; k++)
		deposit(&to, k, from.p + k * from.stride);
}

void kernel_load(size_t rows, size_t cols, size_t row_stride, const double *f64, const real *r,
	real *out)
{
	for (size_t i = 0; i < GRAPH_CHUNK; i++) {
		size_t at = (i < rows ? i : rows - 1) * row_stride;
		for (size_t k = 0; k < cols; k++)
			out[k * GRAPH_CHUNK + i] = f64 != NULL ? (real)f64[at + k] : r[at + k];
	}
}
