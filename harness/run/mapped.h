/* A target in the coordinates of a change of variables x = mean + factor y. Included by density.c once for
 * each precision, with num its type, MAPPED(name) the name in it, num_product the matrix product and
 * EVAL_TYPE the type of the target's eval. */

struct MAPPED(map) {
	num *mean, *factor; /* [dim], [dim][dim] */
	double log_det;
	num *x, *g; /* [threads][dim][TARGET_BLOCK]: points and gradients in the target's coordinates */
};

static struct MAPPED(map) *
	MAPPED(map_new)(size_t dim, const double *mean, const double *factor, struct arena *a)
{
	struct MAPPED(map) *m = ARENA_NEW(a, 1, struct MAPPED(map));
	const size_t size = parallel_threads() * dim * TARGET_BLOCK;

	*m = (struct MAPPED(map)){ .mean = ARENA_NEW(a, dim, num),
		.factor = ARENA_NEW(a, dim * dim, num),
		.x = ARENA_NEW(a, size, num),
		.g = ARENA_NEW(a, size, num) };
	for (size_t k = 0; k < dim; k++) {
		m->mean[k] = (num)mean[k];
		m->log_det += log(fabs(factor[k * dim + k]));
	}
	for (size_t j = 0; j < dim * dim; j++)
		m->factor[j] = (num)factor[j];
	return m;
}

static void MAPPED(map_eval)(const struct MAPPED(map) * m, EVAL_TYPE eval, const void *state,
	size_t dim, size_t n, const num *y, double *log_rho, num *grad)
{
	num *x = m->x + parallel_slot() * dim * TARGET_BLOCK;
	num *g = m->g + parallel_slot() * dim * TARGET_BLOCK;

	for (size_t first = 0; first < n; first += TARGET_BLOCK) {
		size_t count = n - first < TARGET_BLOCK ? n - first : TARGET_BLOCK;

		for (size_t k = 0; k < dim; k++)
			for (size_t i = 0; i < count; i++)
				x[k * count + i] = m->mean[k];
		num_product(false, count, dim, dim, 1, y + first, n, m->factor, dim, 1, x, count);
		eval(state, count, x, log_rho != NULL ? log_rho + first : NULL,
			grad != NULL ? g : NULL);
		for (size_t i = 0; log_rho != NULL && i < count; i++)
			log_rho[first + i] += m->log_det;
		if (grad != NULL)
			num_product(true, count, dim, dim, 1, g, count, m->factor, dim, 0,
				grad + first, n);
	}
}
