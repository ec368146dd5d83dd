/*
 * Passes over rows of Sinkhorn's kernel, K [.][m] of type ENTRY. Included by transport.c for each type,
 * with ENTRY, its EXP(x) and OF_TYPE(name); so it has no guard.
 */

/* sum_j exp((t_j - top) / eps). */
static double OF_TYPE(sum_exp)(const struct problem *p, const double *t, double top, size_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t j = 0; j < n; j++)
		sum += (double)EXP((ENTRY)((t[j] - top) * p->per_eps));
	return sum;
}

/* f_i from g in the log domain, and K_i, of sum m, which is added to part. */
static void OF_TYPE(
	row_anew)(const struct problem *p, size_t i, double *line, ENTRY *k, ENTRY *part)
{
	const size_t m = p->y->n;
	const double top = differences(p, i, line);
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t j = 0; j < m; j++) {
		ENTRY t = (ENTRY)((line[j] - top) * p->per_eps), e = EXP(t);
		k[j] = t < (ENTRY)p->range.kernel_log ? 0 : e;
		sum += (double)k[j];
	}
	const ENTRY scale = (ENTRY)((double)m / sum);
#pragma omp simd
	for (size_t j = 0; j < m; j++) {
		k[j] *= scale;
		part[j] += k[j];
	}
	p->f[i] = p->eps * log((double)scale) - top;
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

/* part += sum_r u[r] K_(i + r) over the first n columns. These rows are in a cache: meanwhile the next ones, `ahead`
 * entries on, are fetched. */
static void OF_TYPE(group_add)(const ENTRY *const k[GROUP], const ENTRY u[GROUP], size_t n,
	size_t ahead, ENTRY *part)
{
	enum { LINE = 64 / sizeof(ENTRY), STRIP = 4 * LINE };
	const ENTRY *k0 = k[0], *k1 = k[1], *k2 = k[2], *k3 = k[3];

	for (size_t from = 0; from < n; from += STRIP) {
		const size_t to = from + STRIP < n ? from + STRIP : n;
		for (size_t j = from; j < to; j += LINE)
			for (size_t r = 0; r < GROUP; r++)
				__builtin_prefetch(k[r] + j + ahead, 0, 2);
#pragma omp simd
		for (size_t j = from; j < to; j++)
			part[j] += (u[0] * k0[j] + u[1] * k1[j]) + (u[2] * k2[j] + u[3] * k3[j]);
	}
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
		OF_TYPE(group_add)(rows, scale, m, i + GROUP < n ? GROUP * m : 0, part);
	}
}

/* Row i of the strict lower triangle. */
static ENTRY *OF_TYPE(triangle_row)(ENTRY *k, size_t i)
{
	return i > 0 ? k + i * (i - 1) / 2 : k;
}

/* Of the rows from .. end - 1 of a triangle the sums of K u over j <= i, and part_j = sum_i u_i K_ij over j < i. */
static void OF_TYPE(
	symmetric_rows)(ENTRY *k, const ENTRY *u, size_t from, size_t end, double *row, ENTRY *part)
{
	memset(part, 0, end * sizeof(*part));
	for (size_t i = from; i < end; i += GROUP) {
		const ENTRY *rows[GROUP];
		double sum[GROUP];
		ENTRY scale[GROUP] = { 0 };
		for (size_t r = 0; r < GROUP; r++) {
			rows[r] = OF_TYPE(triangle_row)(k, i + r < end ? i + r : i);
			scale[r] = i + r < end ? u[i + r] : 0;
		}
		OF_TYPE(group_dot)(rows, u, i, sum);
		OF_TYPE(group_add)(rows, scale, i, i + GROUP < end ? GROUP * i : 0, part);
		for (size_t r = 0; r < GROUP && i + r < end; r++) {
			/* The corner where the rows differ in length. */
			for (size_t j = i; j < i + r; j++) {
				ENTRY kij = rows[r][j];
				sum[r] += (double)(kij * u[j]);
				part[j] += kij * scale[r];
			}
			row[i + r] = (double)scale[r] + sum[r];
		}
	}
}

/* sum_j K_ij v_j and sum_j K_ij v_j C_ij over the first n columns. */
static struct row_sums OF_TYPE(
	row_sums)(const struct problem *p, const ENTRY *k, size_t i, const double *v, size_t n)
{
	_Alignas(64) double c[TILE];
	double mass = 0, cost = 0;

	for (size_t from = 0; from < n; from += TILE) {
		size_t to = from + TILE < n ? from + TILE : n;
		cloud_distances(p->x, i, p->y, from, to, c);
#pragma omp simd reduction(+ : mass, cost)
		for (size_t j = 0; j < to - from; j++) {
			double term = (double)k[from + j] * v[from + j];
			mass += term;
			cost += term * c[j];
		}
	}
	return (struct row_sums){ mass, cost };
}

#undef ENTRY
#undef EXP
#undef OF_TYPE
