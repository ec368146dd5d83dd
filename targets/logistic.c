/*
 * Bayesian logistic regression on a table of features and a label 0 or 1. With features
 * standardised (population mean and deviation), a leading column of ones, and rows signed by the
 * label, a_i = (2 y_i - 1) (1, z_i), the posterior of the weights w under a normal prior N(0, s^2)
 * is
 *
 *     log rho(w) = sum_i log sigmoid(a_i.w) - |w|^2 / (2 s^2) - dim (log s + log(2 pi) / 2),   (1)
 *     gradient   = sum_i sigmoid(-a_i.w) a_i - w / s^2,                                        (2)
 *     Hessian v  = - sum_i sigmoid(a_i.w) sigmoid(-a_i.w) (a_i.v) a_i - v / s^2.               (3)
 *
 * w_1 is the intercept.
 */
#include "stride.h"
#include "core/csv.h"

/* Rows of the table that are worked on at a time: their products with a block stay in the cache. */
enum { ROWS = 128, GROUP = 64 };

/* What is known about a posterior, for the table that comes with the program. */
struct known {
	const char *file;
	size_t rows, dim;
	struct log_z log_z;
	struct window window;
};

struct logistic {
	const char *data;
	const struct known *known; /* NULL for a user's table */
	size_t rows, dim;
	double prior_precision;
	num *a; /* [rows][dim], eq. 1 */
};

/* --- preparation ------------------------------------------------------------------------- */

/* A column in place to mean 0 and deviation 1. A constant column becomes 0: its deviation is zero
 * up to rounding. */
static void standardise(double *x, size_t rows, size_t stride)
{
	double sum = 0, square = 0;

	for (size_t i = 0; i < rows; i++)
		sum += x[i * stride];
	double mean = sum / (double)rows;
	for (size_t i = 0; i < rows; i++)
		square += (x[i * stride] - mean) * (x[i * stride] - mean);
	double sd = sqrt(square / (double)rows);
	for (size_t i = 0; i < rows; i++)
		x[i * stride] = (x[i * stride] - mean) / (sd > 1e-12 * fabs(mean) ? sd : 1);
}

static int load(struct logistic *l, double prior_std, const struct known *known, struct arena *a)
{
	struct csv t;

	TRY(csv_read(&t, data_path(l->data, a), CSV_FINITE, a));
	if (t.cols < 2)
		return fail(ERR_PARSE, "%s:%zu: one field; features and a label are needed", t.path,
			t.line[0]);
	for (size_t i = 0; i < t.rows; i++) {
		double y = t.x[(i + 1) * t.cols - 1];
		if (y != 0 && y != 1)
			return fail(ERR_PARSE,
				"%s:%zu: the label (last field) is %s; 0 or 1 is needed", t.path,
				t.line[i], t.cell[(i + 1) * t.cols - 1]);
	}
	for (size_t k = 0; k + 1 < t.cols; k++)
		standardise(t.x + k, t.rows, t.cols);
	l->rows = t.rows;
	l->dim = t.cols;
	l->prior_precision = 1 / (prior_std * prior_std);
	l->a = arena_alloc(a, l->rows * l->dim, sizeof(*l->a));
	for (size_t i = 0; i < l->rows; i++) {
		const double *row = t.x + i * t.cols;
		num sign = row[t.cols - 1] > 0 ? 1 : -1;
		l->a[i * l->dim] = sign;
		for (size_t k = 1; k < l->dim; k++)
			l->a[i * l->dim + k] = sign * (num)row[k - 1];
	}
	bool own =
		strcmp(l->data, known->file) == 0 && l->rows == known->rows && l->dim == known->dim;
	l->known = own ? known : NULL;
	return OK;
}

static size_t dim(const void *state)
{
	const struct logistic *l = state;

	return l->dim;
}

/* --- evaluation -------------------------------------------------------------------------- */

/* z [rows][TARGET_BLOCK]: a_r.w_i for `rows` rows from first on. */
static void margins(const struct logistic *l, size_t first, size_t rows, size_t n, size_t count,
	const num *w, num *z)
{
	num_gemm(false, count, rows, l->dim, 1, w, n, l->a + first * l->dim, l->dim, 0, z,
		TARGET_BLOCK);
}

/* out += sum_r c[r] a_r, c [rows][TARGET_BLOCK]. */
static void add_rows(const struct logistic *l, size_t first, size_t rows, size_t n, size_t count,
	const num *c, num *out)
{
	num_gemm(true, count, l->dim, rows, 1, c, TARGET_BLOCK, l->a + first * l->dim, l->dim, 1,
		out, n);
}

/*
 * log sigmoid(z) = min(z, 0) - log(1 + e^-|z|) added to log_rho. The logarithms are taken of
 * products of GROUP factors between 1 and 2, which no precision overflows: one log for many.
 */
static void add_log_likelihood(size_t rows, size_t count, num z[][TARGET_BLOCK], double *log_rho)
{
	for (size_t first = 0; first < rows; first += GROUP) {
		num sum[TARGET_BLOCK] = { 0 }, product[TARGET_BLOCK];
		for (size_t i = 0; i < TARGET_BLOCK; i++)
			product[i] = 1;
		for (size_t r = first; r < rows && r < first + GROUP; r++) {
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				num s = z[r][i];
				sum[i] += s < 0 ? s : 0;
				product[i] *= 1 + num_exp(s < 0 ? s : -s);
			}
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			log_rho[i] += (double)sum[i] - (double)num_log(product[i]);
	}
}

/* z becomes sigmoid(-z). |w| up to 1e6 gives |z| up to 1e6 |a|_1, far within float; the exponential
 * is taken of -|z| only. */
static void residuals(size_t rows, size_t count, num z[][TARGET_BLOCK])
{
	for (size_t r = 0; r < rows; r++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num e = num_exp(z[r][i] < 0 ? z[r][i] : -z[r][i]);
			z[r][i] = (z[r][i] < 0 ? 1 : e) / (1 + e);
		}
	}
}

/* out = c w over a block. */
static void scale_block(size_t dims, size_t n, size_t count, num c, const num *w, num *out)
{
	for (size_t k = 0; k < dims; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			out[k * n + i] = c * w[k * n + i];
	}
}

static void log_prior(const struct logistic *l, size_t n, size_t count, const num *w,
	double *log_rho)
{
	const double half = l->prior_precision / 2;
	const double constant = (double)l->dim * (log(l->prior_precision) - LOG_2PI) / 2;

	for (size_t i = 0; i < count; i++)
		log_rho[i] = constant;
	for (size_t k = 0; k < l->dim; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			log_rho[i] -= half * (double)(w[k * n + i] * w[k * n + i]);
	}
}

static void eval_block(const void *state, size_t n, size_t count, const num *w, double *log_rho,
	num *grad)
{
	const struct logistic *l = state;
	num z[ROWS][TARGET_BLOCK];

	if (log_rho != NULL)
		log_prior(l, n, count, w, log_rho);
	if (grad != NULL)
		scale_block(l->dim, n, count, (num)-l->prior_precision, w, grad);
	for (size_t first = 0; first < l->rows; first += ROWS) {
		size_t rows = l->rows - first < ROWS ? l->rows - first : ROWS;
		margins(l, first, rows, n, count, w, z[0]);
		if (log_rho != NULL)
			add_log_likelihood(rows, count, z, log_rho);
		if (grad != NULL) {
			residuals(rows, count, z);
			add_rows(l, first, rows, n, count, z[0], grad);
		}
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

static void hvp_block(const void *state, size_t n, size_t count, const num *w, const num *v,
	num *hv)
{
	const struct logistic *l = state;
	num z[ROWS][TARGET_BLOCK], slope[ROWS][TARGET_BLOCK];

	scale_block(l->dim, n, count, (num)-l->prior_precision, v, hv);
	for (size_t first = 0; first < l->rows; first += ROWS) {
		size_t rows = l->rows - first < ROWS ? l->rows - first : ROWS;
		margins(l, first, rows, n, count, w, z[0]);
		margins(l, first, rows, n, count, v, slope[0]);
		residuals(rows, count, z);
		for (size_t r = 0; r < rows; r++) { /* eq. 3 */
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				slope[r][i] *= -z[r][i] * (1 - z[r][i]);
		}
		add_rows(l, first, rows, n, count, slope[0], hv);
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

/* --- what is known ----------------------------------------------------------------------- */

static void log_z(const void *state, struct log_z *out)
{
	const struct logistic *l = state;

	if (l->known != NULL)
		*out = l->known->log_z;
}

static void window(const void *state, struct window *out)
{
	const struct logistic *l = state;

	*out = l->known != NULL ? l->known->window : (struct window){ -4, 4, -4, 4 };
}

/* Margins and gradient: two products of a point with the table. */
static double flops(const void *state)
{
	const struct logistic *l = state;

	return 4 * (double)l->rows * (double)l->dim;
}

#define LOGISTIC                                                                     \
	.state_size = sizeof(struct logistic), .dim = dim, .eval = eval, .hvp = hvp, \
	.log_z = log_z, .window = window, .flops = flops

#define DATA(file)                                                                                 \
	{                                                                                          \
		"data", OPTION_TEXT, offsetof(struct logistic, data), file, 0, 0, "",              \
			"CSV of features and, last, a label 0 or 1; a header and lines of #", NULL \
	}

/* Column V2 is constant, so w_3 is standard normal a posteriori. */
static const struct known ionosphere = { "ionosphere.csv", 351, 35,
	{ LOG_Z_ESTIMATE, -111.610, 0.002,
		"SMC with HMC moves (10 runs of 4096 particles) and importance sampling, "
		"combined" },
	{ -1.5, 1.5, 0, 6 } };

static const struct option ionosphere_options[] = { DATA("ionosphere.csv"), { 0 } };

static int init_ionosphere(void *state, struct arena *a)
{
	return load(state, 1, &ionosphere, a);
}

const TARGET(ionosphere) = {
	.name = "ionosphere",
	.title = "Ionosphere",
	.paper = "Sigillito et al. 1989 (data); arXiv 2406.07423 (posterior)",
	.options = ionosphere_options,
	.init = init_ionosphere,
	LOGISTIC,
};
