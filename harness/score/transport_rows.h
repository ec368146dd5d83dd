/*
 * Passes over rows of Sinkhorn's kernel, K [.][m] of type ENTRY. Included by transport.c for each type,
 * with ENTRY, its EXP(x) and OF_TYPE(name); so it has no guard.
 */

/* sum_j exp(t_j - top). */
static double OF_TYPE(sum_exp)(const double *t, double top, size_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t j = 0; j < n; j++)
		sum += (double)EXP((ENTRY)(t[j] - top));
	return sum;
}

/* alpha_i from beta in the log domain, and K_i, of sum m, which is added to part. */
static void OF_TYPE(
	row_anew)(const struct problem *p, size_t i, double *line, ENTRY *k, ENTRY *part)
{
	const size_t m = p->y->n;
	const double top = exponents(p, i, line);
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t j = 0; j < m; j++) {
		ENTRY t = (ENTRY)(line[j] - top), e = EXP(t);
		k[j] = t < (ENTRY)p->range.kernel_log ? 0 : e;
		sum += (double)k[j];
	}
	const ENTRY scale = (ENTRY)((double)m / sum);
#pragma omp simd
	for (size_t j = 0; j < m; j++) {
		k[j] *= scale;
		part[j] += k[j];
	}
	p->alpha[i] = log((double)scale) - top;
}

/* sum[r] = K_(i + r) . v over the first n columns; k[r] are the rows. */
static void OF_TYPE(
	group_dot)(const ENTRY *const k[GROUP], const ENTRY *v, size_t n, double sum[GROUP])
{
	const ENTRY *k0 = k[0], *k1 = k[1], *k2 = k[2], *k3 = k[3];
	ENTRY s0 = 0, s1 = 0, s2 = 0, s3 = 0;

#pragma omp simd reduction(+ : s0, s1, s2, s3)
	for (size_t j = 0; j < n; j++) {
		s0 += k0[j] * v[j];
		s1 += k1[j] * v[j];
		s2 += k2[j] * v[j];
		s3 += k3[j] * v[j];
	}
	sum[0] = s0;
	sum[1] = s1;
	sum[2] = s2;
	sum[3] = s3;
}

/* part += sum_r u[r] K_(i + r) over the first n columns. */
static void OF_TYPE(
	group_add)(const ENTRY *const k[GROUP], const ENTRY u[GROUP], size_t n, ENTRY *part)
{
	const ENTRY *k0 = k[0], *k1 = k[1], *k2 = k[2], *k3 = k[3];

#pragma omp simd
	for (size_t j = 0; j < n; j++)
		part[j] += (u[0] * k0[j] + u[1] * k1[j]) + (u[2] * k2[j] + u[3] * k3[j]);
}

/* u_i = m / sum_j K_ij v_j of n rows, and part_j = sum_i u_i K_ij. */
static void OF_TYPE(
	scale_rows)(const ENTRY *k, const ENTRY *v, size_t n, size_t m, double *u, ENTRY *part)
{
	memset(part, 0, m * sizeof(*part));
	for (size_t i = 0; i < n; i += GROUP) {
		const ENTRY *rows[GROUP];
		double sum[GROUP];
		ENTRY scale[GROUP] = { 0 };
		for (size_t r = 0; r < GROUP; r++)
			rows[r] = k + (i + r < n ? i + r : i) * m;
		OF_TYPE(group_dot)(rows, v, m, sum);
		for (size_t r = 0; r < GROUP && i + r < n; r++)
			u[i + r] = scale[r] = (ENTRY)((double)m / sum[r]);
		OF_TYPE(group_add)(rows, scale, m, part);
	}
}

#undef ENTRY
#undef EXP
#undef OF_TYPE
