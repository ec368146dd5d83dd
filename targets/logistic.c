/*
 * Bayesian logistic regression on a table of features and a label 0 or 1. Each feature is divided
 * by its standard deviation over the table, in some posteriors after its mean was taken off; a
 * leading 1 makes w_1 the intercept. Where a label 1 has probability sigmoid(c w.(1, z_i)), c = 1
 * or -1, rows are signed, a_i = c (2 y_i - 1) (1, z_i), and the posterior of the weights w under a
 * normal prior N(0, s^2) is
 *
 *     log rho(w) = sum_i log sigmoid(a_i.w) - |w|^2 / (2 s^2) - dim (log s + log(2 pi) / 2),   (1)
 *     gradient   = sum_i sigmoid(-a_i.w) a_i - w / s^2,                                        (2)
 *     Hessian v  = - sum_i sigmoid(a_i.w) sigmoid(-a_i.w) (a_i.v) a_i - v / s^2,               (3)
 *
 * without the terms of s where there is no prior. Then Z is infinite if some w has a_i.w >= 0 for
 * all i: log rho rises, or stays, all the way along it.
 */
#include "stride.h"
#include "core/csv.h"

/* Rows of the table that are worked on at a time: their products with a block stay in the cache. */
enum { ROWS = 128, GROUP = 64 };

/* Features up to the one and priors down to the other keep all sums well within float, for |w| up
 * to 1e6. */
#define LARGEST 1e12
#define NARROWEST 1e-6

/* What an id fixes. The last two hold for the table that comes with the program. */
struct kind {
	bool centred;
	int sign;             /* c above */
	uint64_t fingerprint; /* of that table */
	const char *improper; /* why Z is infinite without a prior; NULL: it is not */
	struct window window;
};

struct logistic {
	const char *data;
	double prior_std, scale_eps;
	const struct kind *kind;
	bool own; /* the numbers are those of the program's table */
	size_t rows, dim;
	double prior_precision; /* 0: no prior */
	num *a;                 /* [rows][dim], eq. 1 */
};

/* --- preparation ------------------------------------------------------------------------- */

/* A column x[0], x[stride], ... in place: divided by its deviation (that of the population) plus
 * eps, its mean taken off first if it is to be centred. A column that is constant, up to rounding,
 * has no deviation to divide by. False: too large to work with. */
static bool standardise(double *x, size_t rows, size_t stride, bool centred, double eps)
{
	double sum = 0, square = 0;

	for (size_t i = 0; i < rows; i++)
		sum += x[i * stride];
	double mean = sum / (double)rows;
	for (size_t i = 0; i < rows; i++)
		square += (x[i * stride] - mean) * (x[i * stride] - mean);
	double sd = sqrt(square / (double)rows);
	if (!isfinite(sd))
		return false;
	double scale = sd > 1e-12 * fabs(mean) ? sd + eps : 1, centre = centred ? mean : 0;
	for (size_t i = 0; i < rows; i++) {
		x[i * stride] = (x[i * stride] - centre) / scale;
		if (fabs(x[i * stride]) > LARGEST)
			return false;
	}
	return true;
}

static int check_labels(const struct csv *t)
{
	if (t->cols < 2)
		return fail(ERR_PARSE, "%s:%zu: one field; features and a label are needed",
			t->path, t->line[0]);
	for (size_t i = 0; i < t->rows; i++) {
		double y = t->x[(i + 1) * t->cols - 1];
		if (y != 0 && y != 1)
			return fail(ERR_PARSE,
				"%s:%zu: the label (last field) is %g; 0 or 1 is needed", t->path,
				t->line[i], y);
	}
	return OK;
}

/* Which table it is, wherever it lies: a hash of the bits of its numbers in their order. */
static uint64_t fingerprint(const double *x, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325, bits;

	for (size_t j = 0; j < n; j++) {
		memcpy(&bits, &x[j], sizeof(bits));
		hash = (hash ^ bits) * 0x100000001b3;
		hash ^= hash >> 32;
	}
	return hash;
}

static int load(struct logistic *l, const struct kind *kind, struct arena *a)
{
	struct csv t;

	if (l->prior_std > 0 && l->prior_std < NARROWEST)
		return fail(ERR_RANGE, "prior_std = %g; 0 (no prior) or at least %g is possible",
			l->prior_std, NARROWEST);
	TRY(csv_read(&t, data_path(l->data, a), CSV_FINITE, a));
	TRY(check_labels(&t));
	l->own = fingerprint(t.x, t.rows * t.cols) == kind->fingerprint;
	for (size_t k = 0; k + 1 < t.cols; k++)
		if (!standardise(t.x + k, t.rows, t.cols, kind->centred, l->scale_eps))
			return fail(ERR_RANGE, "%s: the numbers in column %zu are too large",
				t.path, k + 1);
	l->kind = kind;
	l->rows = t.rows;
	l->dim = t.cols;
	l->prior_precision = l->prior_std > 0 ? 1 / (l->prior_std * l->prior_std) : 0;
	l->a = arena_alloc(a, l->rows * l->dim, sizeof(*l->a));
	for (size_t i = 0; i < l->rows; i++) {
		const double *row = t.x + i * t.cols;
		double sign = row[t.cols - 1] > 0 ? kind->sign : -kind->sign;
		l->a[i * l->dim] = (num)sign;
		for (size_t k = 1; k < l->dim; k++)
			l->a[i * l->dim + k] = (num)(sign * row[k - 1]);
	}
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
 * Adds log sigmoid(z) = min(z, 0) - log(1 + e^-|z|) over the rows to log_rho and turns z into
 * sigmoid(-z), both from one exponential. The logarithms are taken of products of GROUP factors
 * between 1 and 2, which no precision overflows: one log for many. |w| up to 1e6 gives |z| up to
 * 1e6 |a|_1, far within float. Both results are always made, so that either is the same number
 * whatever else was asked for.
 */
static void likelihood(size_t rows, size_t count, num z[][TARGET_BLOCK], double *log_rho)
{
	for (size_t first = 0; first < rows; first += GROUP) {
		num sum[TARGET_BLOCK] = { 0 }, product[TARGET_BLOCK];
		for (size_t i = 0; i < TARGET_BLOCK; i++)
			product[i] = 1;
		for (size_t r = first; r < rows && r < first + GROUP; r++) {
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				num s = z[r][i], e = num_exp(-num_abs(s)), t = 1 + e;
				sum[i] += s < 0 ? s : 0;
				product[i] *= t;
				z[r][i] = (s < 0 ? 1 : e) / t;
			}
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			log_rho[i] += (double)sum[i] - (double)num_log(product[i]);
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
	const double constant =
		half > 0 ? (double)l->dim * (log(l->prior_precision) - LOG_2PI) / 2 : 0;

	for (size_t i = 0; i < count; i++)
		log_rho[i] = constant;
	for (size_t k = 0; half > 0 && k < l->dim; k++) {
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
	double unwanted[TARGET_BLOCK], *value = log_rho != NULL ? log_rho : unwanted;

	log_prior(l, n, count, w, value);
	if (grad != NULL)
		scale_block(l->dim, n, count, (num)-l->prior_precision, w, grad);
	for (size_t first = 0; first < l->rows; first += ROWS) {
		size_t rows = l->rows - first < ROWS ? l->rows - first : ROWS;
		margins(l, first, rows, n, count, w, z[0]);
		likelihood(rows, count, z, value);
		if (grad != NULL)
			add_rows(l, first, rows, n, count, z[0], grad);
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
		for (size_t r = 0; r < rows; r++) { /* eq. 3, no digits lost where z is large */
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				num e = num_exp(-num_abs(z[r][i])), t = 1 + e;
				slope[r][i] *= -e / (t * t);
			}
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

	if (l->own && !(l->prior_std > 0) && l->kind->improper != NULL)
		*out = (struct log_z){ LOG_Z_INFINITE, HUGE_VAL, 0, l->kind->improper };
}

static void window(const void *state, struct window *out)
{
	const struct logistic *l = state;

	*out = l->own ? l->kind->window : (struct window){ -4, 4, -4, 4 };
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

#define OPTIONS(file, prior)                                                                      \
	{                                                                                         \
		{ "data", OPTION_TEXT, offsetof(struct logistic, data), file, 0, 0, "",           \
			"CSV of features and, last, a label 0 or 1; a header and lines of #",     \
			NULL },                                                                   \
			{ "prior_std", OPTION_REAL, offsetof(struct logistic, prior_std), prior,  \
				0, 1e6, "",                                                       \
				"standard deviation of the weights' normal prior; 0: no prior",   \
				NULL },                                                           \
			{ "scale_eps", OPTION_REAL, offsetof(struct logistic, scale_eps), "0", 0, \
				1, "",                                                            \
				"added to the features' standard deviations; 1e-8 in the code "   \
				"of sde_sampler and SCDS",                                        \
				NULL },                                                           \
			{ 0 },                                                                    \
	}

/* Ends each note. */
#define OWN_TABLE " All this is of the program's table; option data reads another."

#define SEPARATED                                                                          \
	"a plane separates the labels, so that without a prior the likelihood tends to 1 " \
	"in a cone"

/* --- German credit ----------------------------------------------------------------------- */

#define CREDIT_PAPER                                                                           \
	"Hofmann 1994, Statlog (German Credit Data), UCI Machine Learning Repository (data); " \
	"Blessing et al. 2024, arXiv 2406.07423 (posterior)"

static const struct kind credit_kind = { false, -1, 0x068e773094dfdcfc, NULL, { -8, 1, 0.4, 1.1 } };

static const struct option credit_options[] = OPTIONS("credit.csv", "0");
static const struct option credit_prior_options[] = OPTIONS("credit.csv", "10");

static int init_credit(void *state, struct arena *a)
{
	return load(state, &credit_kind, a);
}

const TARGET(credit) = {
	.name = "credit",
	.title = "Credit",
	.paper = CREDIT_PAPER,
	.note = "The published codes of Beyond ELBOs, OSDS and SCDS leave out the prior N(0, "
		"10^2) that the model has: prior_std = 10 is the model, and the target "
		"credit_prior. Without it the posterior is still proper, and its log Z is larger "
		"by 80.6: the two are easily mixed up. Features are scaled but not centred; a "
		"label 1 (a bad risk) has probability sigmoid(-w.x), so weights have the opposite "
		"of the usual sign. scale_eps = 1e-8 scales as SCDS does." OWN_TABLE,
	.options = credit_options,
	.init = init_credit,
	LOGISTIC,
};

const TARGET(credit_prior) = {
	.name = "credit_prior",
	.title = "Credit (with prior)",
	.paper = CREDIT_PAPER,
	.note = "The target credit with the prior N(0, 10^2) of the weights, which the published "
		"codes leave out; prior_std = 0 is the target credit." OWN_TABLE,
	.options = credit_prior_options,
	.init = init_credit,
	LOGISTIC,
};

/* --- breast cancer ----------------------------------------------------------------------- */

#define CANCER_PAPER                                                                           \
	"Street, Wolberg and Mangasarian 1993, Proc. SPIE 1905 (data); Blessing et al. 2024, " \
	"arXiv 2406.07423 (posterior)"

static const struct kind cancer_kind = { false, -1, 0x869aa9fadaf944bd, SEPARATED,
	{ -35, 15, -35, 15 } };

static const struct option cancer_options[] = OPTIONS("cancer.csv", "0");
static const struct option cancer_prior_options[] = OPTIONS("cancer.csv", "10");

static int init_cancer(void *state, struct arena *a)
{
	return load(state, &cancer_kind, a);
}

const TARGET(cancer) = {
	.name = "cancer",
	.title = "Cancer",
	.paper = CANCER_PAPER,
	.note = "IMPROPER: the published codes of Beyond ELBOs, OSDS and SCDS leave out the prior "
		"N(0, 10^2), and the labels can be separated by a plane. So Z is infinite, there "
		"are no posterior moments, and an ELBO only says how far a sampler went. "
		"prior_std = 10 is the model as meant, with a finite Z: the target cancer_prior. "
		"The reference values that come with Beyond ELBOs have the prior; its training "
		"target has not. Features are scaled but not centred; a label 1 (benign) has "
		"probability sigmoid(-w.x). scale_eps = 1e-8 scales as SCDS does." OWN_TABLE,
	.options = cancer_options,
	.init = init_cancer,
	LOGISTIC,
};

const TARGET(cancer_prior) = {
	.name = "cancer_prior",
	.title = "Cancer (with prior)",
	.paper = CANCER_PAPER,
	.note = "The target cancer with the prior N(0, 10^2) of the weights, which the published "
		"codes leave out; prior_std = 0 is the target cancer, which is improper." OWN_TABLE,
	.options = cancer_prior_options,
	.init = init_cancer,
	LOGISTIC,
};

/* --- ionosphere -------------------------------------------------------------------------- */

#define IONOSPHERE_PAPER \
	"Sigillito et al. 1989, Johns Hopkins APL Technical Digest 10, 262-266 (data); "

#define IONOSPHERE_IMPROPER "column V2 is constant, so that without a prior w_3 is free"

/* Column V2 is constant, so w_3 is standard normal a posteriori. */
static const struct kind ionosphere_kind = { true, 1, 0xf038668d7d4ec1fa, IONOSPHERE_IMPROPER,
	{ -1.5, 1.5, 0, 6 } };
static const struct kind ionosphere_noprior_kind = { true, -1, 0xf038668d7d4ec1fa,
	IONOSPHERE_IMPROPER, { -1.5, 1.5, -6, 0 } };

static const struct option ionosphere_options[] = OPTIONS("ionosphere.csv", "1");
static const struct option ionosphere_noprior_options[] = OPTIONS("ionosphere.csv", "0");

static int init_ionosphere(void *state, struct arena *a)
{
	return load(state, &ionosphere_kind, a);
}

static int init_ionosphere_noprior(void *state, struct arena *a)
{
	return load(state, &ionosphere_noprior_kind, a);
}

const TARGET(ionosphere) = {
	.name = "ionosphere",
	.title = "Ionosphere",
	.paper = IONOSPHERE_PAPER "Blessing et al. 2024, arXiv 2406.07423 (posterior)",
	.note = "Column V2 is constant, so w_3 keeps its prior N(0, 1). SCDS has another density "
		"under this name: ionosphere_noprior." OWN_TABLE,
	.options = ionosphere_options,
	.init = init_ionosphere,
	LOGISTIC,
};

const TARGET(ionosphere_noprior) = {
	.name = "ionosphere_noprior",
	.title = "Ionosphere (without prior)",
	.paper = IONOSPHERE_PAPER "Jutras-Dube, Pynadath and Zhang 2025, arXiv 2502.07579 "
				  "(posterior)",
	.note = "IMPROPER: the published code of SCDS has the likelihood alone, and column V2 is "
		"constant, so that one weight is free: Z is infinite and there are no posterior "
		"moments. A label 1 (good) has probability sigmoid(-w.x) here, sigmoid(w.x) in "
		"the target ionosphere. prior_std = 10 gives a finite Z; with prior_std = 1 it is "
		"the target ionosphere at -w." OWN_TABLE,
	.options = ionosphere_noprior_options,
	.init = init_ionosphere_noprior,
	LOGISTIC,
};

/* --- sonar ------------------------------------------------------------------------------- */

static const struct kind sonar_kind = { true, 1, 0xf5696bea7f175c91, SEPARATED,
	{ -2.5, 0.75, -3, 1 } };

static const struct option sonar_options[] = OPTIONS("sonar.csv", "1");

static int init_sonar(void *state, struct arena *a)
{
	return load(state, &sonar_kind, a);
}

const TARGET(sonar) = {
	.name = "sonar",
	.title = "Sonar",
	.paper = "Gorman and Sejnowski 1988, Neural Networks 1, 75-89 (data); Blessing et al. "
		 "2024, arXiv 2406.07423 (posterior)",
	.note = "A label 1 is a rock. With prior_std = 0 the posterior is improper: a plane "
		"separates the labels. The published code of SCDS lists this target but cannot "
		"run it." OWN_TABLE,
	.options = sonar_options,
	.init = init_sonar,
	LOGISTIC,
};
