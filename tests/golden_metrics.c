/* Metrics on recorded samples and log weights: SET_expected_clouds.csv, _logweights.csv, _costs.csv and
 * _emc.csv. A column that stands for a metric of this build is compared, the others are listed. */
#include "golden_transport.h"

#include <stdlib.h>

/* A column of a table of expected values, and the metric that it is. */
struct column {
	const char *column, *metric;
	double floor, tolerance;
};

/* As golden_compare's floor: a divergence of equal clouds is 0 up to the rounding of costs of order 1
 * to 1000; the other values are compared by their own size. */
static const struct column cloud_columns[] = {
	{ "osds_mmd_f64", "mmd_osds", 0, 1e-8 },
	{ "osds_sd_f64", "sinkhorn_osds", 1e-3, 1e-8 },
	{ "sde_sinkhorn_f64", "sinkhorn_scds", 1e-3, 1e-8 },
	{ 0 },
};

/* Sums of log weights are good to rounding, which is that of their logarithm, so relative to 1 +
 * |value|. ESS is the exponential of such sums: of numbers up to 1e3 forwards. */
static const struct column weight_columns[] = {
	{ "osds_elbo_or_eubo_f64", "elbo", 1, 1e-12 },
	{ "osds_elbo_or_eubo_f64", "eubo", 1, 1e-12 },
	{ "osds_logZ_reverse_f64", "logz_rev", 1, 1e-12 },
	{ "osds_logZ_forward_f64", "logz_fwd", 1, 1e-12 },
	{ "osds_ESS_reverse_f64", "ess_rev", 0, 1e-10 },
	{ "osds_ESS_forward_f64", "ess_fwd", 0, 1e-8 },
	{ 0 },
};

/* log w is minus the sum of the costs; the first column leaves the stochastic one out. */
static const struct column cost_columns[] = {
	{ "KL/elbo_f64", "elbo", 1, 1e-12 },
	{ "KL/elbo_with_stochastic_f64", "elbo", 1, 1e-12 },
	{ "logZ/reverse_f64", "logz_rev", 1, 1e-12 },
	{ "ESS/reverse_f64", "ess_rev", 0, 1e-10 },
	{ 0 },
};

static const struct column emc_columns[] = {
	{ "emc_f64", "emc", 1, 1e-12 },
	{ 0 },
};

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
	const struct column *columns)
{
	const char *list = "";
	size_t n = 0;

	for (size_t k = 0; k < t->cols; k++) {
		bool known = describes_case(t->names[k]) ||
			     (columns == cloud_columns && golden_transport_knows(t->names[k]));
		for (const struct column *c = columns; c->column != NULL; c++)
			known |= strcmp(c->column, t->names[k]) == 0 && has_metric(c->metric);
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
	if (metric_find(c->metric)->eval(in, &value) != OK)
		golden_failed(g, "%s %s: %s", name, c->metric, error_text());
	else
		golden_compare(g, 1, 1, &value.value, &want, c->floor, c->tolerance, "%s %s", name,
			c->metric);
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
	}
	list_unknown(g, file, &t, cloud_columns);
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
		struct scored in = weighted(l.x, l.rows);
		for (const struct column *c = weight_columns; c->column != NULL; c++)
			compare_row(g, &t, row, name, c, &in, has_infinite_weight(l.x, l.rows));
	}
	list_unknown(g, file, &t, weight_columns);
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
	list_unknown(g, file, &t, cost_columns);
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
	}
	list_unknown(g, file, &t, emc_columns);
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
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const char **set = golden_sets(g, dir, tables[i].suffix); *set != NULL; set++)
			tables[i].compare(g, dir, *set);
}
