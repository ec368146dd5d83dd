/* Metrics on recorded samples and log weights: SET_expected_clouds.csv, _logweights.csv, _costs.csv and
 * _emc.csv. A column that stands for a metric of this build is compared, the others are listed. */
#include "golden_transport.h"
#include "core/stats.h"
#include "score/kernel.h"
#include "score/marginals.h"
#include "score/modes.h"
#include "score/moments.h"
#include "score/pairs.h"
#include "score/stein.h"

#include <stdlib.h>

/* A column of a table of expected values, and the metric that it is. */
struct column {
	const char *column, *metric;
	double floor, tolerance;
	enum { AS_IT_IS, AS_EXPONENTIAL, TIMES_N, OF_FINITE /* weights alone */ } form;
};

/* A column that no metric is, and how it is made of what metrics share. */
struct part {
	const char *column;
	double tolerance; /* relative to 1 + |value| */
	int (*make)(const struct scored *in, const char *column, double *out);
};

/* --- parts of metrics --------------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

static int pool(const struct scored *in, struct pairs *p)
{
	return pairs_make(p, in->exact, in->n_exact, in->x, in->n, in->dim, in->seed, in->arena);
}

static int energy_part(const struct scored *in, const char *column, double *out)
{
	struct pairs p;

	(void)column;
	TRY(pool(in, &p));
	pairs_distance(&p);
	*out = pairs_u(&p);
	return OK;
}

/* ref_mmd2_STATISTIC_BANDWIDTH, and the bandwidths. */
static int mmd_part(const struct scored *in, const char *column, double *out)
{
	struct pairs p;
	double n = (double)in->n_exact, m = (double)in->n;

	TRY(pool(in, &p));
	bool whole_triangle = ends_in(column, "_off") || ends_in(column, "_bandwidth_f64");
	double h = ends_in(column, "_one")
			   ? 1
			   : kernel_median(&p.z, whole_triangle ? p.z.n : 0, in->arena);
	pairs_kernel(&p, h);
	if (strstr(column, "mmd2_") == NULL)
		*out = h;
	else if (strstr(column, "_U_") != NULL)
		*out = pairs_u(&p);
	else if (strstr(column, "_V_") != NULL)
		*out = pairs_v(&p);
	else
		*out = (2 * p.xx + n) / (m * (m - 1)) + (2 * p.yy + m) / (n * (n - 1)) -
		       2 * p.xy / (n * m);
	return OK;
}

static int marginal_part(const struct scored *in, const char *column, double *out)
{
	struct marginals marginals;

	TRY(marginals_compare(strstr(column, "_w1_") != NULL   ? MARGINAL_W1
			      : strstr(column, "_ks_") != NULL ? MARGINAL_KS
							       : MARGINAL_TV,
		in, &marginals));
	*out = marginals.most;
	return OK;
}

/* The score of a standard normal is minus the point. */
static int stein_part(const struct scored *in, const char *column, double *out)
{
	double *score_at = ARENA_NEW(in->arena, in->n * in->dim, double);
	struct cloud x, s;
	struct stein stein;

	for (size_t i = 0; i < in->n * in->dim; i++)
		score_at[i] = -in->x[i];
	TRY(cloud_make(&x, in->x, in->n, in->dim, in->arena));
	TRY(cloud_make(&s, score_at, in->n, in->dim, in->arena));
	stein_discrepancy(&x, &s, in->arena, &stein);
	*out = strstr(column, "_V_") != NULL ? stein.v : stein.u;
	return OK;
}

/* Against equal weights, as the fixtures have them. */
static int modes_part(const struct scored *in, const char *column, double *out)
{
	struct modes m;

	TRY(modes_count(&m, in, 1));
	double *weight = ARENA_NEW(in->arena, m.modes, double);
	for (size_t k = 0; k < m.modes; k++)
		weight[k] = 1 / (double)m.modes;
	if (strcmp(column, "emc_miller_madow") == 0)
		*out = modes_entropy_corrected(&m);
	else if (strcmp(column, "tv_mode") == 0)
		*out = modes_variation(&m, weight).value;
	else if (strcmp(column, "kl_mode") == 0)
		*out = modes_kl(&m, weight);
	else
		*out = modes_ejs(&m, weight);
	return OK;
}

/* --- columns ------------------------------------------------------------------------------ */

/* As golden_compare's floor: a divergence of equal clouds is 0 up to the rounding of costs of order 1
 * to 1000; the other values are compared by their own size. */
static const struct column cloud_columns[] = {
	{ "osds_mmd_f64", "mmd_osds", 0, 1e-8, AS_IT_IS },
	{ "osds_sd_f64", "sinkhorn_osds", 1e-3, 1e-8, AS_IT_IS },
	{ "sde_sinkhorn_f64", "sinkhorn_scds", 1e-3, 1e-8, AS_IT_IS },
	/* Differences of means of size 1 to 1000. */
	{ "ref_energy_V", "energy", 1, 1e-11, AS_IT_IS },
	{ "ref_mean_l2", "moments", 1, 1e-11, AS_IT_IS },
	{ "ref_std_abs_mean", "moments_sd", 1, 1e-11, AS_IT_IS },
	{ "ref_cov_fro", "moments_cov", 1, 1e-11, AS_IT_IS },
	{ "ref_marg_w1_mean", "marginals", 1, 1e-11, AS_IT_IS },
	{ "ref_marg_ks_mean", "marginals_ks", 1, 1e-11, AS_IT_IS },
	{ "ref_marg_tv50_mean", "marginals_tv", 1, 1e-11, AS_IT_IS },
	{ 0 },
};

/* As these: differences of means of size 1 to 1000. */
static const struct part cloud_parts[] = {
	{ "osds_mmd_bandwidth_f64", 1e-12, mmd_part },
	{ "ref_bw_offdiag", 1e-12, mmd_part },
	{ "ref_mmd2_U_off", 1e-12, mmd_part },
	{ "ref_mmd2_V_off", 1e-12, mmd_part },
	{ "ref_mmd2_official_off", 1e-12, mmd_part },
	{ "ref_mmd2_U_nodiag", 1e-12, mmd_part },
	{ "ref_mmd2_V_nodiag", 1e-12, mmd_part },
	{ "ref_mmd2_official_nodiag", 1e-12, mmd_part },
	{ "ref_mmd2_U_one", 1e-12, mmd_part },
	{ "ref_mmd2_V_one", 1e-12, mmd_part },
	{ "ref_mmd2_official_one", 1e-12, mmd_part },
	{ "ref_energy_U", 1e-11, energy_part },
	{ "ref_marg_w1_max", 1e-11, marginal_part },
	{ "ref_marg_ks_max", 1e-11, marginal_part },
	{ "ref_marg_tv50_max", 1e-11, marginal_part },
	{ "ref_ksd2_V_stdnormal_Y", 1e-11, stein_part },
	{ "ref_ksd2_U_stdnormal_Y", 1e-11, stein_part },
	{ 0 },
};

/* Sums of log weights are good to rounding, which is that of their logarithm, so relative to 1 +
 * |value|. ESS is the exponential of such sums: of numbers up to 1e3 forwards. */
static const struct column weight_columns[] = {
	{ "osds_elbo_or_eubo_f64", "elbo", 1, 1e-12, AS_IT_IS },
	{ "osds_elbo_or_eubo_f64", "eubo", 1, 1e-12, AS_IT_IS },
	{ "osds_logZ_reverse_f64", "logz_rev", 1, 1e-12, AS_IT_IS },
	{ "osds_logZ_forward_f64", "logz_fwd", 1, 1e-12, AS_IT_IS },
	{ "osds_ESS_reverse_f64", "ess_rev", 0, 1e-10, AS_IT_IS },
	{ "osds_ESS_forward_f64", "ess_fwd", 0, 1e-8, AS_IT_IS },
	{ "sde_log_norm_const_is_f64", "logz_rev", 1, 1e-12, AS_IT_IS },
	{ "sde_log_norm_const_lb_f64", "elbo", 1, 1e-12, AS_IT_IS },
	{ "sde_lv_loss_f64", "lv", 0, 1e-12, AS_IT_IS },
	{ "sde_ess_norm_f64", "ess_rev", 0, 1e-10, AS_IT_IS },
	{ "exact_logZ_reverse", "logz_rev", 1, 1e-12, AS_IT_IS },
	{ "exact_logZ_forward", "logz_fwd", 1, 1e-12, AS_IT_IS },
	{ "sde_ess_f64", "ess_rev", 0, 1e-10, TIMES_N },
	{ "exact_log_ESS_reverse", "ess_rev", 1e-300, 1e-8, AS_EXPONENTIAL },
	{ "exact_log_ESS_forward", "ess_fwd", 1e-300, 1e-8, AS_EXPONENTIAL },
	{ "osds_stable_mean_f64", "elbo", 1, 1e-12, OF_FINITE },
	{ 0 },
};

/* log w is minus the sum of the costs; the first column leaves the stochastic one out. */
static const struct column cost_columns[] = {
	{ "KL/elbo_f64", "elbo", 1, 1e-12, AS_IT_IS },
	{ "KL/elbo_with_stochastic_f64", "elbo", 1, 1e-12, AS_IT_IS },
	{ "logZ/reverse_f64", "logz_rev", 1, 1e-12, AS_IT_IS },
	{ "ESS/reverse_f64", "ess_rev", 0, 1e-10, AS_IT_IS },
	{ 0 },
};

static const struct column emc_columns[] = {
	{ "emc_f64", "emc", 1, 1e-12, AS_IT_IS },
	{ "modes_hit", "modes_found", 0, 0, AS_IT_IS },
	{ 0 },
};

static const struct part emc_parts[] = {
	{ "emc_miller_madow", 1e-12, modes_part },
	{ "tv_mode", 1e-12, modes_part },
	{ "kl_mode", 1e-12, modes_part },
	{ "ejs", 1e-12, modes_part },
	{ 0 },
};

static const struct part no_parts[] = { { 0 } };

static bool has_metric(const char *name)
{
	size_t i = 0;

	while (metrics[i] != NULL && strcmp(metrics[i]->name, name) != 0)
		i++;
	return metrics[i] != NULL;
}

/* Columns that are no result of their own: what the case is, a _f64 column repeated in the float
 * arithmetic of the published code, and how far the fixtures' own solver had converged. */
static bool describes_case(const char *column)
{
	static const char *const words[] = { "case", "family", "file", "name", "d", "n", "m", "K" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(column, words[i]) == 0)
			return true;
	return strstr(column, "_f32") != NULL || strcmp(column, "emc_official") == 0 ||
	       strstr(column, "_conv_err") != NULL;
}

/* What of the table stays uncompared. */
static void list_unknown(struct golden *g, const char *file, const struct csv *t,
	const struct column *columns, const struct part *parts)
{
	const char *list = "";
	size_t n = 0;

	for (size_t k = 0; k < t->cols; k++) {
		bool known = describes_case(t->names[k]) ||
			     (columns == cloud_columns && golden_transport_knows(t->names[k]));
		for (const struct column *c = columns; c->column != NULL; c++)
			known |= strcmp(c->column, t->names[k]) == 0 && has_metric(c->metric);
		for (const struct part *p = parts; p->column != NULL; p++)
			known |= strcmp(p->column, t->names[k]) == 0;
		if (known)
			continue;
		list = arena_printf(golden_arena(g), "%s %s", list, t->names[k]);
		n++;
	}
	if (n > 0)
		golden_unknown(g, n, "%s, %zu columns:%.400s", file, n, list);
}

static const char *cell(const struct csv *t, size_t row, const char *column)
{
	size_t k = csv_column(t, column);

	return k < t->cols ? t->cell[row * t->cols + k] : "";
}

/* Score and compare with every column of the table that is this metric; an empty cell is undefined. */
static void compare_row(struct golden *g, const struct csv *t, size_t row, const char *name,
	const struct column *c, struct scored *in, bool undefined)
{
	struct value value;
	const char *text = cell(t, row, c->column);

	if (*text == '\0' || !has_metric(c->metric))
		return;
	double want = undefined ? (double)NAN : strtod(text, NULL);
	in->arena = golden_arena(g);
	if (metric_find(c->metric)->eval(in, &value) != OK) {
		golden_failed(g, "%s %s: %s", name, c->metric, error_text());
		return;
	}
	if (c->form == AS_EXPONENTIAL)
		want = exp(want);
	if (c->form == TIMES_N)
		value.value *= (double)in->n;
	golden_compare(g, 1, 1, &value.value, &want, c->floor, c->tolerance, "%s %s", name,
		c->column);
}

static void compare_parts(struct golden *g, const struct csv *t, size_t row, const char *name,
	const struct part *parts, struct scored *in)
{
	in->arena = golden_arena(g);
	for (const struct part *p = parts; p->column != NULL; p++) {
		double value = (double)NAN, want = strtod(cell(t, row, p->column), NULL);
		if (*cell(t, row, p->column) == '\0')
			continue;
		if (p->make(in, p->column, &value) != OK)
			golden_failed(g, "%s %s: %s", name, p->column, error_text());
		else
			golden_compare(g, 1, 1, &value, &want, 1, p->tolerance, "%s %s", name,
				p->column);
	}
}

static struct scored no_data(void)
{
	return (struct scored){ .elbo = (double)NAN };
}

/* An index repeats the first columns of the expected values: nothing is left unread in it. */
static void note_index(struct golden *g, const char *folder, const char *set)
{
	const char *file = arena_printf(golden_arena(g), "%s_index.csv", set);
	struct csv t;

	if (golden_exists(g, folder, file))
		(void)golden_csv_text(g, folder, file, &t);
}

/* --- clouds ------------------------------------------------------------------------------ */

static bool read_directions(struct golden *g, const char *folder, const char *set, size_t dim,
	struct csv *out)
{
	const char *file = arena_printf(golden_arena(g), "%s_directions_d%zu.csv", set, dim);

	return golden_exists(g, folder, file) && golden_csv(g, folder, file, out);
}

static void clouds(struct golden *g, const char *dir, const char *set)
{
	struct arena *a = golden_arena(g);
	const char *file = arena_printf(a, "%s_expected_clouds.csv", set);
	const char *folder = arena_printf(a, "%s/clouds", dir);
	struct csv t, x, y, directions;

	if (!golden_csv_text(g, dir, file, &t))
		return;
	for (size_t row = 0; row < t.rows; row++) {
		const char *name = cell(&t, row, "case");
		if (!golden_csv(g, folder, arena_printf(a, "%s_X.csv", name), &x) ||
			!golden_csv(g, folder, arena_printf(a, "%s_Y.csv", name), &y))
			continue;
		struct scored in = no_data();
		in.dim = x.cols;
		in.n_exact = x.rows;
		in.exact = x.x;
		in.n = y.rows;
		in.x = y.x;
		for (const struct column *c = cloud_columns; c->column != NULL; c++)
			/* No number where the published function refuses clouds of unequal size. */
			if (strcmp(cell(&t, row, c->column), "nan") != 0)
				compare_row(g, &t, row, name, c, &in, false);
		golden_transport(g, &t, row, name, &x, &y,
			read_directions(g, folder, set, x.cols, &directions) ? &directions : NULL);
		compare_parts(g, &t, row, name, cloud_parts, &in);
	}
	list_unknown(g, file, &t, cloud_columns, cloud_parts);
	note_index(g, folder, set);
}

/* --- log weights ------------------------------------------------------------------------- */

/* The published formulas carry a weight of +inf into some estimates; here it makes all of them
 * undefined, as a NaN does in both. */
static bool has_infinite_weight(const double *log_w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (log_w[i] == (double)INFINITY)
			return true;
	return false;
}

static struct scored weighted(const double *log_w, size_t n)
{
	struct scored in = no_data();

	in.n = n;
	in.log_w = log_w;
	in.log_w_forward = log_w;
	return in;
}

/* The finite ones alone. */
static struct scored finite_part(struct golden *g, const double *log_w, size_t n)
{
	double *finite = ARENA_NEW(golden_arena(g), n, double);
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (isfinite(log_w[i]))
			finite[kept++] = log_w[i];
	return weighted(finite, kept);
}

static bool all_zero(const double *log_w, size_t n)
{
	size_t i = 0;

	while (i < n && log_w[i] == -(double)INFINITY)
		i++;
	return i == n;
}

static void log_weights(struct golden *g, const char *dir, const char *set)
{
	struct arena *a = golden_arena(g);
	const char *file = arena_printf(a, "%s_expected_logweights.csv", set);
	const char *folder = arena_printf(a, "%s/logweights", dir);
	struct csv t, l;

	if (!golden_csv_text(g, dir, file, &t))
		return;
	for (size_t row = 0; row < t.rows; row++) {
		const char *name = cell(&t, row, "name");
		if (!golden_csv(g, folder, arena_printf(a, "%s.csv", name), &l))
			continue;
		for (const struct column *c = weight_columns; c->column != NULL; c++) {
			struct scored in = weighted(l.x, l.rows);
			bool undefined = has_infinite_weight(l.x, l.rows);
			if (c->form == OF_FINITE) {
				in = finite_part(g, l.x, l.rows);
				undefined = false;
			}
			/* sde_sampler subtracts the maximum, though it be -inf; here log 0 is -inf. */
			if (undefined || !all_zero(l.x, l.rows) || c->form == OF_FINITE ||
				strcmp(c->column, "sde_log_norm_const_is_f64") != 0)
				compare_row(g, &t, row, name, c, &in, undefined);
		}
	}
	list_unknown(g, file, &t, weight_columns, no_parts);
	note_index(g, folder, set);
}

/* The costs of a path: log w = -(sum of the named columns). */
static double *minus_costs(struct golden *g, const struct csv *l, bool stochastic)
{
	double *log_w = ARENA_NEW(golden_arena(g), l->rows, double);

	for (size_t i = 0; i < l->rows; i++)
		for (size_t k = 0; k < l->cols; k++)
			if (stochastic || k != csv_column(l, "stochastic"))
				log_w[i] -= l->x[i * l->cols + k];
	return log_w;
}

static void costs(struct golden *g, const char *dir, const char *set)
{
	struct arena *a = golden_arena(g);
	const char *file = arena_printf(a, "%s_expected_costs.csv", set);
	const char *folder = arena_printf(a, "%s/logweights", dir);
	struct csv t, l;

	if (!golden_csv_text(g, dir, file, &t))
		return;
	for (size_t row = 0; row < t.rows; row++) {
		const char *name = cell(&t, row, "file");
		if (!golden_csv(g, folder, arena_printf(a, "%s.csv", name), &l))
			continue;
		for (const struct column *c = cost_columns; c->column != NULL; c++) {
			struct scored in = weighted(minus_costs(g, &l, c != cost_columns), l.rows);
			compare_row(g, &t, row, name, c, &in, false);
		}
	}
	list_unknown(g, file, &t, cost_columns, no_parts);
}

/* --- mode coverage ----------------------------------------------------------------------- */

static void mode_coverage(struct golden *g, const char *dir, const char *set)
{
	struct arena *a = golden_arena(g);
	const char *file = arena_printf(a, "%s_expected_emc.csv", set);
	const char *folder = arena_printf(a, "%s/emc", dir);
	struct csv t, x, means;

	if (!golden_csv_text(g, dir, file, &t))
		return;
	for (size_t row = 0; row < t.rows; row++) {
		const char *name = cell(&t, row, "name");
		const char *own =
			arena_printf(a, "%s_gmm40_d%s_means.csv", set, cell(&t, row, "d"));
		const char *path = arena_printf(a, "%s/%s", folder, own);
		const struct setting setting = { "means", path };
		struct density *d;
		/* Read here only to be noted as known: the target reads it itself. */
		if (!golden_csv(g, folder, own, &means) ||
			!golden_csv(g, folder, arena_printf(a, "%s.csv", name), &x))
			continue;
		if (density_new(&d, "gmm40_50d", &setting, 1, a) != OK) {
			golden_failed(g, "%s: %s", name, error_text());
			continue;
		}
		struct scored in = no_data();
		in.n = x.rows;
		in.dim = x.cols;
		in.x = x.x;
		in.target = d;
		for (const struct column *c = emc_columns; c->column != NULL; c++)
			compare_row(g, &t, row, name, c, &in, false);
		compare_parts(g, &t, row, name, emc_parts, &in);
	}
	list_unknown(g, file, &t, emc_columns, emc_parts);
}

/* The means that a set's samples are about: the mixture made of them takes each for its own mode. */
static void mode_means(struct golden *g, const char *dir)
{
	static const char *const suffixes[] = { "_gmm40_d2_means.csv", "_gmm40_d10_means.csv",
		"_gmm40_d50_means.csv" };
	struct arena *a = golden_arena(g);
	const char *folder = arena_printf(a, "%s/emc", dir);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		for (const char **set = golden_sets(g, folder, suffixes[i]); *set != NULL; set++) {
			const char *file = arena_printf(a, "%s%s", *set, suffixes[i]);
			const struct setting setting = { "means",
				arena_printf(a, "%s/%s", folder, file) };
			struct csv means;
			struct density *d;
			if (!golden_csv(g, folder, file, &means))
				continue;
			if (density_new(&d, "gmm40_50d", &setting, 1, a) != OK) {
				golden_failed(g, "%s: %s", file, error_text());
				continue;
			}
			double *got = arena_alloc(a, means.rows, sizeof(double));
			double *want = arena_alloc(a, means.rows, sizeof(double));
			for (size_t k = 0; k < means.rows; k++) {
				want[k] = (double)k;
				got[k] = (double)density_target(d)->classify(density_state(d),
					means.x + k * means.cols);
			}
			golden_compare(g, 1, means.rows, got, want, 1, 0, "%s modes", file);
		}
}

/* --- the metrics of sde_sampler --------------------------------------------------------- */

/* The case: samples, log weights, and the target that the fixtures state. */
struct sde_case {
	const char *name;
	struct csv y;
	const double *log_w;
	double *mean, *sd, *box;
};

/* "eval/NAME" of the case, NaN and *known false for another name. */
static double sde_value(struct golden *g, const struct sde_case *c, const char *name, bool *known)
{
	static const char *const functions[] = { [MOMENTS_SQUARE] = "square",
		[MOMENTS_ABS] = "abs",
		[MOMENTS_SUM] = "sum",
		[MOMENTS_SQUARE_MINUS_SUM] = "square_minus_sum" };
	static const char *const scores[][2] = { { "log_norm_const_lb_ito", "elbo" },
		{ "log_norm_const_is", "logz_rev" }, { "norm_effective_sample_size", "ess_rev" },
		{ "effective_sample_size", "ess_rev" } };
	struct arena *a = golden_arena(g);
	struct scored in = weighted(c->log_w, c->y.rows);
	struct value v;

	*known = true;
	in.arena = a;
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(name, functions[i]) == 0)
			return moments_expectation((enum moments_of)i, c->y.x, c->y.rows, c->y.cols,
				NULL, a);
		if (strcmp(name, arena_printf(a, "%s_is", functions[i])) == 0)
			return moments_expectation((enum moments_of)i, c->y.x, c->y.rows, c->y.cols,
				c->log_w, a);
		if (strcmp(name, scores[i][0]) == 0 &&
			metric_find(scores[i][1])->eval(&in, &v) == OK)
			return i == 3 ? v.value * (double)in.n : v.value;
	}
	if (strcmp(name, "avg_stddev") == 0)
		return stats_mean(c->sd, c->y.cols);
	if (strcmp(name, "frac_pred_in_domain") == 0)
		return moments_inside(c->y.x, c->y.rows, c->y.cols, c->box);
	for (size_t k = 0; k < 2; k++) {
		if (strcmp(name, arena_printf(a, "stddev_%zu", k)) == 0)
			return c->sd[k];
		if (strcmp(name, arena_printf(a, "avg_%zu", k)) == 0)
			return c->mean[k];
	}
	*known = false;
	return (double)NAN;
}

/* What the target's value is: expectations of a normal, deviations of 1, log Z 1/4. */
static double sde_truth(const char *name, double dim)
{
	if (strncmp(name, "square", 6) == 0)
		return dim;
	if (strncmp(name, "abs", 3) == 0)
		return dim * sqrt(2 / M_PI);
	if (strncmp(name, "sum", 3) == 0)
		return 0;
	return strcmp(name, "avg_stddev") == 0 ? 1 : 0.25;
}

static double sde_metric(struct golden *g, const struct sde_case *c, const char *metric,
	bool *known)
{
	const char *name = strchr(metric, '/') != NULL ? strchr(metric, '/') + 1 : metric;
	double ones[64], value, truth = sde_truth(name, (double)c->y.cols);

	if (strcmp(metric, "error/avg_marginal_stddev") == 0) {
		invariant(c->y.cols <= 64);
		for (size_t k = 0; k < c->y.cols; k++)
			ones[k] = 1;
		*known = true;
		return moments_distance(c->sd, ones, c->y.cols);
	}
	value = sde_value(g, c, name, known);
	if (strncmp(metric, "eval/", 5) == 0)
		return value;
	double error = fabs(value - truth);
	return strncmp(metric, "rel_error/", 10) == 0 ? error / (fabs(truth) + 1e-8) : error;
}

static bool open_case(struct golden *g, const char *dir, const char *set, const char *name,
	struct sde_case *c)
{
	struct arena *a = golden_arena(g);
	const char *clouds_dir = arena_printf(a, "%s/clouds", dir);
	const char *weights_dir = arena_printf(a, "%s/logweights", dir);
	struct csv l;

	if (!golden_csv(g, clouds_dir, arena_printf(a, "%s_Y.csv", name), &c->y) ||
		!golden_csv(g, weights_dir, arena_printf(a, "%s_reverse_lognormal_s1.csv", set),
			&l))
		return false;
	c->name = name;
	c->log_w = l.x;
	c->mean = ARENA_NEW(a, c->y.cols, double);
	c->sd = ARENA_NEW(a, c->y.cols, double);
	c->box = ARENA_NEW(a, 2 * c->y.cols, double);
	for (size_t k = 0; k < c->y.cols; k++) {
		c->box[2 * k] = -2;
		c->box[2 * k + 1] = 2;
	}
	moments_marginal(c->y.x, c->y.rows, c->y.cols, NULL, c->mean, c->sd, a);
	return true;
}

static void sde_metrics(struct golden *g, const char *dir, const char *set)
{
	struct arena *a = golden_arena(g);
	const char *file = arena_printf(a, "%s_expected_sde_metrics.csv", set);
	struct sde_case c = { .name = "" };
	struct csv t;

	if (!golden_csv_text(g, dir, file, &t))
		return;
	for (size_t row = 0; row < t.rows; row++) {
		const char *name = cell(&t, row, "case"), *metric = cell(&t, row, "metric");
		double want = strtod(cell(&t, row, "f64"), NULL);
		bool known;
		if (strcmp(c.name, name) != 0 && !open_case(g, dir, set, name, &c))
			continue;
		double got = sde_metric(g, &c, metric, &known);
		if (known) /* a relative error of 0 is over 1e-8 */
			golden_compare(g, 1, 1, &got, &want, 1, 1e-10, "%s %s", name, metric);
		else
			golden_unknown(g, 1, "%s: %s", file, metric);
	}
}

void golden_metrics(struct golden *g, const char *dir)
{
	static const struct {
		const char *suffix;
		void (*compare)(struct golden *g, const char *dir, const char *set);
	} tables[] = {
		{ "_expected_clouds.csv", clouds },
		{ "_expected_logweights.csv", log_weights },
		{ "_expected_costs.csv", costs },
		{ "_expected_emc.csv", mode_coverage },
		{ "_expected_sde_metrics.csv", sde_metrics },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const char **set = golden_sets(g, dir, tables[i].suffix); *set != NULL; set++)
			tables[i].compare(g, dir, *set);
	mode_means(g, dir);
}
