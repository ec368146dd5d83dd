/* OSDS, PIS, DDS and DIS against the JAX code: networks, paths, costs, losses, gradients, optimiser steps,
 * evaluation passes. In the double build to rounding; in the float build to what float gives. */
#include "golden_trial.h"
#include "nn/jacobian.h"

#include <lapacke.h>
#include <stdlib.h>

static double number_at(const json_t *j, const char *path)
{
	const json_t *n = golden_get(j, path);

	return json_is_number(n) ? json_number_value(n) : (double)NAN;
}

/* The numbers at a path, which must be `want` in all; NULL after counting a failure. */
static double *numbers_at(const struct trial *t, const json_t *j, const char *path, size_t want)
{
	size_t n;
	double *x = golden_numbers(t->g, golden_get(j, path), &n);

	if (x == NULL || n != want) {
		golden_failed(t->g, "%s: %s has %zu numbers, expected %zu", t->name, path, n, want);
		return NULL;
	}
	return x;
}

/* option = the number at `path` of the manifest's configuration. */
static bool set_option(struct trial *t, const char *option, const char *path)
{
	char text[64];

	snprintf(text, sizeof(text), "%.17g", number_at(t->manifest, path));
	return trial_set(t, option, text);
}

static const char *const osds_options[][2] = { { "steps", "config.num_steps_N" },
	{ "batch", "config.batch" }, { "sigma0", "config.prior_std" }, { "rate", "config.lr" },
	{ "weight_decay", "config.weight_decay" }, { "clip_norm", "config.global_clip" },
	{ "beta_min", "config.sigma_min" }, { "beta_max", "config.sigma_max" },
	{ "trace_weight", "config.trace_weight" }, { "jacobian_weight", "config.jac_weight" },
	{ NULL, NULL } };
static const char *const pis_options[][2] = { { "steps", "config.num_steps_N" },
	{ "batch", "config.batch" }, { "rate", "config.lr" },
	{ "clip_element", "config.grad_clip_elementwise" }, { "sigma_min", "config.sigma_min" },
	{ "sigma_max", "config.sigma_max" }, { NULL, NULL } };
static const char *const dds_options[][2] = { { "steps", "config.num_steps_N" },
	{ "batch", "config.batch" }, { "rate", "config.lr" },
	{ "clip_element", "config.grad_clip_elementwise" }, { "sigma0", "config.init_std" },
	{ "noise_scale", "config.noise_scale" }, { NULL, NULL } };
static const char *const dis_options[][2] = { { "steps", "config.num_steps_N" },
	{ "batch", "config.batch" }, { "rate", "config.lr" },
	{ "clip_element", "config.grad_clip_elementwise" }, { "sigma0", "config.init_std" },
	{ "beta_min", "config.sigma_min" }, { "beta_max", "config.sigma_max" }, { NULL, NULL } };

/* Prepare the method of a manifest, in this paper's variant. False after counting a failure. */
static bool open_trial(struct trial *t, const char *dir, const char *file, const char *method,
	const char *paper, const char *const (*names)[2])
{
	struct density *d;

	t->manifest = golden_json(t->g, dir, file);
	if (t->manifest == NULL || !trial_open(t, method, paper))
		return false;
	const char *target = json_string_value(golden_get(t->manifest, "config.target"));
	if (target != NULL && strcmp(target, "gmm40") == 0)
		target = "gmm40_2d";
	if (target == NULL || density_new(&d, target, NULL, 0, trial_arena(t)) != OK) {
		golden_failed(t->g, "%s: target: %s", t->name, error_text());
		return false;
	}
	for (; (*names)[0] != NULL; names++)
		if (!set_option(t, (*names)[0], (*names)[1]))
			return false;
	if (!trial_init(t, d, NULL))
		return false;
	t->rows = (size_t)number_at(t->manifest, "config.batch");
	t->steps = (size_t)number_at(t->manifest, "config.num_steps_N");
	size_t n;
	double *theta = golden_parts(t->g, dir, golden_get(t->manifest, "files_params"), true, &n);
	if (theta == NULL || n != t->n_params) {
		golden_failed(t->g, "%s: %zu parameters, expected %zu", t->name, n, t->n_params);
		return false;
	}
	t->params = trial_reals(t, theta, n, 1);
	t->teacher = trial_reals(t, theta, n, 0.97);
	return true;
}

/* Compare labelled values of a run with those at paths of j; row by row, cols numbers each. */
struct check {
	const char *label, *path;
	size_t cols; /* numbers a row */
};

static void compare_labels(struct trial *t, struct graph *g, const json_t *j,
	const struct check *checks, double tolerance)
{
	for (; checks->label != NULL; checks++) {
		if (json_is_null(golden_get(j, checks->path))) /* the code does not return it */
			continue;
		double *want = numbers_at(t, j, checks->path, t->rows * checks->cols);
		if (want == NULL)
			continue;
		trial_compare(t, g, trial_run, checks->label, checks->cols, want, tolerance,
			checks->path);
	}
}

static void compare_path(struct trial *t, struct graph *g, const json_t *j, const char *path,
	size_t steps, double tolerance)
{
	size_t cols = (steps + 1) * t->dim;
	double *want = numbers_at(t, j, path, t->rows * cols);

	if (want != NULL)
		trial_compare(t, g, trial_run_path, "x", cols, want, tolerance, path);
}

/* Gradients are printed with 8 digits: got, moved towards want by half a unit of the last one. What
 * then remains of the difference is not the printing's. */
static double beyond_digits(double got, double want)
{
	double half = want == 0 ? 0 : 0.5 * pow(10, floor(log10(fabs(want))) - 7);
	double gap = got - want;

	if (!(fabs(gap) > half)) /* keeps NaN */
		return isnan(gap) ? gap : want;
	return got - copysign(half, gap);
}

/* Loss and gradient: whole, and layer by layer in norm. */
static void compare_gradient(struct trial *t, struct graph *g, const char *dir, const char *files,
	double loss, const char *what)
{
	size_t n;
	double *want = golden_parts(t->g, dir, golden_get(t->manifest, files), false, &n);
	real *grad = ARENA_NEW(trial_arena(t), t->n_params, real);
	struct graph_args args = trial_args(t);
	double got_loss = graph_gradient(g, &args, t->n_params, grad);

	golden_compare(t->g, 1, 1, &got_loss, &loss, 1, GOLDEN_VALUE, "%s %s loss", t->name, what);
	if (want == NULL || n != t->n_params) {
		golden_failed(t->g, "%s: %s: %zu entries", t->name, files, n);
		return;
	}
	double *got = trial_room(t, n);
	for (size_t i = 0; i < n; i++)
		got[i] = beyond_digits((double)grad[i], want[i]);
	golden_compare_norm(t->g, n, got, want, GOLDEN_GRADIENT, "%s %s gradient", t->name, what);
	const json_t *layers = golden_get(t->manifest, "layout");
	for (size_t i = 0; i < json_array_size(layers); i++) {
		const json_t *layer = json_array_get(layers, i);
		size_t offset = (size_t)number_at(layer, "offset");
		size_t size = (size_t)number_at(layer, "size");
		golden_compare_norm(t->g, size, got + offset, want + offset,
			10 * GOLDEN_GRADIENT, /* a small layer's sums cancel more than the whole's */
			"%s %s gradient, %s", t->name, what,
			json_string_value(golden_get(layer, "name")));
	}
}

/* Two optimiser steps from recorded gradients, at every 37th entry; the rest of the vector takes part
 * through the norm. */
static void compare_optimiser(struct trial *t, const char *dir, const char *set, const char *grad_1,
	const char *grad_2, double factor, double ema)
{
	struct csv csv;
	size_t n;
	double *g1 = golden_parts(t->g, dir, golden_get(t->manifest, grad_1), false, &n);
	double *g2 = golden_parts(t->g, dir, golden_get(t->manifest, grad_2), false, &n);
	const char *file = arena_printf(trial_arena(t), "%s_optim.csv", set);

	if (g1 == NULL || g2 == NULL || !golden_csv(t->g, dir, file, &csv))
		return;
	struct learner l;
	bool norm = ema > 0;
	learner_init(&l, n, trial_arena(t));
	l.settings = (struct adam){ .rate = number_at(t->manifest, "config.lr"),
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = norm ? CLIP_NORM : CLIP_ELEMENT,
		.clip_bound = 1,
		.weight_decay = norm ? 0.1 : 0 };
	memcpy(l.theta, t->params, n * sizeof(real));
	real *average = trial_reals(t, g1, n, 0), *after_1 = trial_reals(t, g1, n, 0);
	memcpy(average, t->params, n * sizeof(real));
	adam_step(&l.optimiser, &l.settings, l.theta, trial_reals(t, g1, n, 1));
	memcpy(after_1, l.theta, n * sizeof(real));
	ema_update(n, ema, average, l.theta);
	adam_step(&l.optimiser, &l.settings, l.theta, trial_reals(t, g2, n, factor));
	ema_update(n, ema, average, l.theta);
	const char *columns[] = { "param1", "param2", "ema2" };
	const real *vectors[] = { after_1, l.theta, average };
	for (size_t k = 0; k < (norm ? 3 : 2); k++) {
		size_t column = csv_column(&csv, columns[k]);
		double *got = trial_room(t, csv.rows), *want = trial_room(t, csv.rows);
		for (size_t i = 0; i < csv.rows; i++) {
			want[i] = csv.x[i * csv.cols + column];
			got[i] = (double)vectors[k][(size_t)csv.x[i * csv.cols]];
		}
		/* The 8 digits of the gradients leave 5e-8 of an update, which is 5e-4 at most. */
		golden_compare(t->g, csv.rows, 1, got, want, 1, fmax(5e-11, 4 * (double)REAL_EPS),
			"%s %s", t->name, columns[k]);
	}
}

/* --- OSDS ------------------------------------------------------------------------------------- */

/* A column of one-number fields of a list of objects. */
static double *column_of(const struct trial *t, const json_t *list, const char *key)
{
	double *x = trial_room(t, json_array_size(list));

	for (size_t i = 0; i < json_array_size(list); i++)
		x[i] = number_at(json_array_get(list, i), key);
	return x;
}

/* The same of vectors: [list][cols]. */
static double *rows_of(const struct trial *t, const json_t *list, const char *key, size_t cols)
{
	double *x = trial_room(t, json_array_size(list) * cols);

	for (size_t i = 0; i < json_array_size(list); i++) {
		double *row = numbers_at(t, json_array_get(list, i), key, cols);
		if (row != NULL)
			memcpy(x + i * cols, row, cols * sizeof(double));
	}
	return x;
}

/* Beta and sigma at every code against the schedule. */
static void compare_schedule(struct trial *t)
{
	size_t n = t->steps + 1;
	double *beta = trial_room(t, n), *sigma = trial_room(t, n), *got_beta = trial_room(t, n),
	       *got = trial_room(t, n);

	for (size_t c = 0; c < n; c++) {
		char path[32];
		snprintf(path, sizeof(path), "beta.%zu", c);
		beta[c] = number_at(t->manifest, path);
		snprintf(path, sizeof(path), "sigma.%zu", c);
		sigma[c] = number_at(t->manifest, path);
		got_beta[c] = schedule_cosine((double)c / (double)t->steps,
			number_at(t->manifest, "config.sigma_min"),
			number_at(t->manifest, "config.sigma_max"));
		got[c] = t->sigma0 * sqrt(got_beta[c]);
	}
	golden_compare(t->g, n, 1, got_beta, beta, 0, 1e-12, "%s beta", t->name);
	golden_compare(t->g, n, 1, got, sigma, 0, 1e-12, "%s sigma", t->name);
}

/* Derivatives of the label `what` of the graph "points" along all coordinates: [rows][dim][dim], entry
 * i, j the derivative of i along j. The inputs but v are bound already. */
static double *jacobians(struct trial *t, struct graph *g, const char *what)
{
	size_t d = t->dim, v_at = t->n_inputs;
	double *all = trial_room(t, t->rows * d * d), *v = trial_room(t, t->rows * d);

	trial_bind(t, "v", v);
	for (size_t j = 0; j < d; j++) {
		for (size_t i = 0; i < t->rows * d; i++)
			v[i] = i % d == j;
		double *column = trial_run(t, g, what, t->rows * d);
		for (size_t r = 0; r < t->rows; r++)
			for (size_t i = 0; i < d; i++)
				all[(r * d + i) * d + j] = column[r * d + i];
	}
	t->n_inputs = v_at;
	return all;
}

static void compare_points(struct trial *t, const char *dir, const char *set)
{
	const json_t *points =
		golden_json(t->g, dir, arena_printf(trial_arena(t), "%s_points.json", set));
	size_t d = t->dim, rows = t->rows;

	if (points == NULL)
		return;
	t->rows = json_array_size(points);
	struct graph *g = trial_graph(t, "points", 1);
	trial_bind(t, "x", rows_of(t, points, "x", d));
	trial_bind(t, "t", column_of(t, points, "t"));
	trial_bind(t, "d", column_of(t, points, "d"));
	trial_bind(t, "beta", column_of(t, points, "beta"));
	trial_bind(t, "sigma", column_of(t, points, "sigma"));
	golden_compare(t->g, t->rows, 1, trial_run(t, g, "log_rho", t->rows),
		column_of(t, points, "target_logp"), 1, GOLDEN_VALUE, "%s target_logp", t->name);
	golden_compare(t->g, t->rows, d, trial_run(t, g, "feature", t->rows * d),
		rows_of(t, points, "lgv", d), 1, GOLDEN_VALUE, "%s lgv", t->name);
	golden_compare(t->g, t->rows, d, trial_run(t, g, "u", t->rows * d),
		rows_of(t, points, "u", d), 1, GOLDEN_VALUE, "%s u", t->name);
	golden_compare(t->g, t->rows, d * d, jacobians(t, g, "du"),
		rows_of(t, points, "jac_du_dx_lgv_fixed", d * d), 1, GOLDEN_VALUE, "%s du/dx",
		t->name);
	t->rows = rows;
}

/* Score feature and control along the recorded path: at its own states, as the 40-mode mixture turns
 * rounding in float into something visible within eight steps. */
static void compare_controls(struct trial *t, const json_t *j)
{
	size_t b = t->rows, n = t->steps, d = t->dim;
	double *path = numbers_at(t, j, "traj", b * (n + 1) * d), *x = trial_room(t, b * n * d);
	double *lgv = numbers_at(t, j, "lgv", b * n * d), *u = numbers_at(t, j, "u", b * n * d);
	double *coefs[4], lo = number_at(t->manifest, "config.sigma_min");
	double hi = number_at(t->manifest, "config.sigma_max");
	const char *names[4] = { "t", "d", "beta", "sigma" };

	if (path == NULL || lgv == NULL || u == NULL)
		return;
	for (size_t c = 0; c < 4; c++)
		coefs[c] = trial_room(t, b * n);
	for (size_t i = 0; i < b * n; i++) {
		size_t row = i / n, step = i % n;
		memcpy(x + i * d, path + (row * (n + 1) + step) * d, d * sizeof(double));
		coefs[0][i] = (double)(n - step) / (double)n;
		coefs[1][i] = 1 / (double)n;
		coefs[2][i] = schedule_cosine(coefs[0][i], lo, hi);
		coefs[3][i] = t->sigma0 * sqrt(coefs[2][i]);
	}
	struct graph *g = trial_graph(t, "points", 1);
	trial_bind(t, "x", x);
	for (size_t c = 0; c < 4; c++)
		trial_bind(t, names[c], coefs[c]);
	t->rows = b * n;
	golden_compare(t->g, b * n, d, trial_run(t, g, "feature", b * n * d), lgv, 1, GOLDEN_VALUE,
		"%s lgv on the path", t->name);
	golden_compare(t->g, b * n, d, trial_run(t, g, "u", b * n * d), u, 1, GOLDEN_VALUE,
		"%s u on the path", t->name);
	t->rows = b;
}

static void compare_osds_sampling(struct trial *t, const char *dir, const char *set)
{
	const json_t *j =
		golden_json(t->g, dir, arena_printf(trial_arena(t), "%s_sampling.json", set));
	const struct check checks[] = { { "running", "running_cost", 1 },
		{ "terminal", "terminal_cost", 1 }, { "log_w", "log_w", 1 }, { NULL, NULL, 0 } };

	if (j == NULL)
		return;
	compare_controls(t, j);
	struct graph *g = trial_graph(t, "loss", t->steps);
	trial_play_prior(t, numbers_at(t, j, "x0", t->rows * t->dim));
	trial_play(t, "noise", numbers_at(t, j, "noise", t->rows * t->steps * t->dim));
	compare_labels(t, g, j, checks, GOLDEN_VALUE);
	compare_path(t, g, j, "traj", t->steps, GOLDEN_VALUE);
	compare_gradient(t, g, dir, "files_grad_sampling", number_at(j, "loss"), "sampling");
}

static void compare_distillation(struct trial *t, const char *dir, const char *set)
{
	const json_t *j =
		golden_json(t->g, dir, arena_printf(trial_arena(t), "%s_distill.json", set));
	const json_t *list = golden_get(j, "samples");
	size_t d = t->dim, n = json_array_size(list);
	const struct {
		const char *label, *key;
		bool vector;
	} checks[] = { { "x_mid", "x_mid", true }, { "x_teacher", "x_teacher", true },
		{ "x_student", "x_student", true }, { "volume_1", "logdet_half1", false },
		{ "volume_2", "logdet_half2", false }, { "volume", "logdet_student", false },
		{ "L_state", "L_state", false }, { "L_trace", "L_trace", false },
		{ "L_jac", "L_jac", false }, { "total", "total", false } };

	if (j == NULL || n != t->rows)
		return;
	struct graph *g = trial_graph(t, "distillation", 1);
	double *length = column_of(t, list, "d"), *code = column_of(t, list, "code");
	double *coefs[6];
	const char *names[6] = { "t", "d", "beta", "sigma", "beta_half", "sigma_half" };
	double lo = number_at(t->manifest, "config.sigma_min");
	double hi = number_at(t->manifest, "config.sigma_max");
	for (size_t k = 0; k < 6; k++)
		coefs[k] = trial_room(t, n);
	for (size_t i = 0; i < n; i++) {
		double steps = (double)t->steps, time = code[i] / steps, d_time = length[i] / steps;
		coefs[0][i] = time;
		coefs[1][i] = d_time;
		coefs[2][i] = schedule_cosine(time, lo, hi);
		coefs[3][i] = t->sigma0 * sqrt(coefs[2][i]);
		coefs[4][i] = schedule_cosine(time - d_time / 2, lo, hi);
		coefs[5][i] = t->sigma0 * sqrt(coefs[4][i]);
	}
	trial_bind(t, "x", rows_of(t, list, "x_start", d));
	for (size_t k = 0; k < 6; k++)
		trial_bind(t, names[k], coefs[k]);
	trial_play(t, "probe_1", rows_of(t, list, "probe_half1_and_student", d));
	trial_play(t, "probe_2", rows_of(t, list, "probe_half2", d));
	trial_play(t, "probe_jacobian", rows_of(t, list, "probe_jac", d));
	for (size_t k = 0; k < sizeof(checks) / sizeof(checks[0]); k++) {
		size_t cols = checks[k].vector ? d : 1;
		double *want = checks[k].vector ? rows_of(t, list, checks[k].key, d)
						: column_of(t, list, checks[k].key);
		golden_compare(t->g, n, cols, trial_run(t, g, checks[k].label, n * cols), want, 1,
			GOLDEN_VALUE, "%s distillation %s", t->name, checks[k].key);
	}
	compare_gradient(t, g, dir, "files_grad_sd", number_at(j, "loss"), "distillation");
}

/* log |det| and sign of a matrix [n][n]; overwrites it. */
static double log_det(double *m, size_t n, double *sign)
{
	lapack_int pivot[64];
	double total = 0;

	invariant(n <= 64);
	LAPACKE_dgetrf(LAPACK_ROW_MAJOR, (lapack_int)n, (lapack_int)n, m, (lapack_int)n, pivot);
	*sign = 1;
	for (size_t i = 0; i < n; i++) {
		double pivoted = pivot[i] == (lapack_int)i + 1 ? 1 : -1;
		*sign *= (m[i * n + i] < 0 ? -1 : 1) * pivoted;
		total += log(fabs(m[i * n + i]));
	}
	return total;
}

/* What a flow step's derivatives say of its volume, added to the sums of the fixture's columns. */
struct volumes {
	double *trace_fixed, *det_fixed, *trace_full, *det_full, *sign;
};

/* The derivatives of the maps along the recorded path, step by step. */
static void sum_volumes(struct trial *t, const double *path, size_t k, struct volumes *v)
{
	size_t d = t->dim;
	double dt = 1 / (double)k;

	for (size_t s = 0; s < k; s++) {
		double time = (double)(k - s) / (double)k, *x = trial_room(t, t->rows * d);
		double beta = schedule_cosine(time, number_at(t->manifest, "config.sigma_min"),
			number_at(t->manifest, "config.sigma_max"));
		double sigma = t->sigma0 * sqrt(beta), *coefs[4];
		const double values[4] = { time, dt, beta, sigma };
		struct graph *g = trial_graph(t, "points", 1);
		for (size_t i = 0; i < t->rows; i++)
			memcpy(x + i * d, path + (i * (k + 1) + s) * d, d * sizeof(double));
		trial_bind(t, "x", x);
		for (size_t c = 0; c < 4; c++) {
			const char *names[4] = { "t", "d", "beta", "sigma" };
			coefs[c] = trial_room(t, t->rows);
			for (size_t i = 0; i < t->rows; i++)
				coefs[c][i] = values[c];
			trial_bind(t, names[c], coefs[c]);
		}
		double *du = jacobians(t, g, "du"), *dx = jacobians(t, g, "dx"), sign;
		for (size_t i = 0; i < t->rows; i++) {
			double *fixed = du + i * d * d, *full = dx + i * d * d;
			for (size_t r = 0; r < d; r++) {
				v->trace_full[i] += full[r * d + r] - 1;
				for (size_t c = 0; c < d; c++)
					fixed[r * d + c] = 0.5 * sigma * dt * fixed[r * d + c] +
							   (r == c ? 1 + 0.5 * beta * dt : 0);
				v->trace_fixed[i] += fixed[r * d + r] - 1;
			}
			v->det_fixed[i] += log_det(fixed, d, &sign);
			v->det_full[i] += log_det(full, d, &sign);
			v->sign[i] *= sign;
		}
	}
}

/* The same by the hook map(), step by step. */
static void compare_maps(struct trial *t, const json_t *j, const double *path, size_t k)
{
	const struct pass *ode = t->method->passes;
	size_t d = t->dim;
	double *x = trial_room(t, t->rows * d),
	       *got[2] = { trial_room(t, t->rows), trial_room(t, t->rows) };
	static const char *const keys[] = { "logdet_slogdet_full", "slogdet_full_sign" };

	while (strcmp(ode->name, "ode") != 0)
		ode++;
	for (size_t i = 0; i < t->rows; i++)
		got[1][i] = 1;
	for (size_t s = 0; s < k; s++) {
		struct flow_map map = { .g = NULL };
		if (t->method->map(t->state, &t->cell, ode, k, s, &map, trial_arena(t)) != OK) {
			golden_failed(t->g, "%s: %s", t->name, error_text());
			return;
		}
		const real *const params[GRAPH_PARAMS_MAX] = { t->params };
		for (size_t i = 0; i < t->rows; i++)
			memcpy(x + i * d, path + (i * (k + 1) + s) * d, d * sizeof(double));
		jacobian_log_det(map.g, params, t->rows, d, x, NULL, got[0], got[1]);
	}
	for (size_t c = 0; c < 2; c++) {
		double *want = numbers_at(t, j, keys[c], t->rows);
		if (want != NULL)
			golden_compare(t->g, t->rows, 1, got[c], want, 1, GOLDEN_VALUE,
				"%s %s by map", t->name, keys[c]);
	}
}

static void compare_volumes(struct trial *t, const json_t *j, size_t k)
{
	double *path = numbers_at(t, j, "traj", t->rows * (k + 1) * t->dim);
	struct volumes v = { trial_room(t, t->rows), trial_room(t, t->rows), trial_room(t, t->rows),
		trial_room(t, t->rows), trial_room(t, t->rows) };
	const struct {
		const char *path;
		double *got;
	} checks[] = { { "logdet_exact_trace_lgv_fixed", v.trace_fixed },
		{ "logdet_slogdet_lgv_fixed", v.det_fixed },
		{ "logdet_exact_trace_full", v.trace_full }, { "logdet_slogdet_full", v.det_full },
		{ "slogdet_full_sign", v.sign } };

	if (path == NULL)
		return;
	for (size_t i = 0; i < t->rows; i++)
		v.sign[i] = 1;
	sum_volumes(t, path, k, &v);
	compare_maps(t, j, path, k);
	for (size_t c = 0; c < sizeof(checks) / sizeof(checks[0]); c++) {
		double *want = numbers_at(t, j, checks[c].path, t->rows);
		if (want != NULL)
			golden_compare(t->g, t->rows, 1, checks[c].got, want, 1, GOLDEN_VALUE,
				"%s %s", t->name, checks[c].path);
	}
}

static void compare_osds_evaluation(struct trial *t, const char *dir, const char *set, size_t k)
{
	const json_t *j =
		golden_json(t->g, dir, arena_printf(trial_arena(t), "%s_eval_k%zu.json", set, k));
	const json_t *reverse = golden_get(j, "sde_reverse"),
		     *forward = golden_get(j, "sde_forward");
	const json_t *back = golden_get(j, "ode_forward");
	size_t d = t->dim, n = t->rows;
	const char *name = t->name;
	const struct check ode[] = { { "terminal", "terminal_cost", 1 },
		{ "volume", "logdet_hutchinson_official", 1 },
		{ "log_w", "log_w_hutchinson_official", 1 }, { NULL, NULL, 0 } };
	const struct check sde[] = { { "running", "running_cost", 1 },
		{ "terminal", "terminal_cost", 1 }, { "log_w", "log_w", 1 }, { NULL, NULL, 0 } };
	const struct check ode_back[] = { { "terminal", "terminal_cost", 1 },
		{ "volume", "logdet_hutchinson", 1 }, { "log_w", "log_w", 1 }, { NULL, NULL, 0 } };

	if (j == NULL)
		return;
	t->name = arena_printf(trial_arena(t), "%s k=%zu ode", name, k);
	struct graph *g = trial_graph(t, "ode", k);
	trial_play_prior(t, numbers_at(t, j, "x0", n * d));
	trial_play(t, "probe", numbers_at(t, j, "probes", n * k * d));
	compare_labels(t, g, j, ode, GOLDEN_VALUE);
	compare_path(t, g, j, "traj", k, GOLDEN_VALUE);
	double *log_w = trial_run(t, g, "log_w", n);
	trial_compare_metric(t, "elbo_df", log_w, n, number_at(j, "summary_official.elbo_detflow"),
		GOLDEN_VALUE);
	trial_compare_metric(t, "logz_df", log_w, n, number_at(j, "summary_official.lnz_detflow"),
		GOLDEN_VALUE);
	trial_compare_metric(t, "ess_df", log_w, n, number_at(j, "summary_official.ess"),
		GOLDEN_VALUE);
	compare_volumes(t, j, k);

	t->name = arena_printf(trial_arena(t), "%s k=%zu sde_reverse", name, k);
	g = trial_graph(t, "sde", k);
	trial_play_prior(t, numbers_at(t, reverse, "x0", n * d));
	trial_play(t, "noise", numbers_at(t, reverse, "noise", n * k * d));
	compare_labels(t, g, reverse, sde, GOLDEN_VALUE);
	compare_path(t, g, reverse, "traj", k, GOLDEN_VALUE);

	t->name = arena_printf(trial_arena(t), "%s k=%zu sde_forward", name, k);
	g = trial_graph(t, "sde_forward", k);
	trial_bind(t, "x_exact", numbers_at(t, forward, "x_target", n * d));
	trial_play(t, "noise", numbers_at(t, forward, "noise", n * k * d));
	compare_labels(t, g, forward, sde, GOLDEN_VALUE);
	compare_path(t, g, forward, "traj", k, GOLDEN_VALUE);

	t->name = arena_printf(trial_arena(t), "%s k=%zu ode_forward", name, k);
	g = trial_graph(t, "ode_forward", k);
	trial_bind(t, "x_exact", numbers_at(t, back, "x_target", n * d));
	trial_play(t, "probe", numbers_at(t, back, "probes", n * k * d));
	compare_labels(t, g, back, ode_back, GOLDEN_VALUE);
	compare_path(t, g, back, "traj", k, GOLDEN_VALUE);
	t->name = name;
}

static void osds(struct golden *g, const char *dir, const char *set)
{
	struct trial t = { .g = g, .name = set };
	const char *file = arena_printf(golden_arena(g), "%s_manifest.json", set);

	if (!open_trial(&t, dir, file, "osds", NULL, osds_options))
		return;
	t.sigma0 = number_at(t.manifest, "config.prior_std");
	compare_schedule(&t);
	compare_points(&t, dir, set);
	compare_osds_sampling(&t, dir, set);
	compare_distillation(&t, dir, set);
	compare_optimiser(&t, dir, set, "files_grad_sampling", "files_grad_sd",
		number_at(t.manifest, "optim.alpha"), 0.999);
	const json_t *evals = golden_get(t.manifest, "eval_files");
	for (size_t i = 0; i < json_array_size(evals); i++) {
		const char *eval = json_string_value(json_array_get(evals, i));
		const char *k = eval != NULL ? strstr(eval, "_k") : NULL;
		if (k != NULL)
			compare_osds_evaluation(&t, dir, set, strtoul(k + 2, NULL, 10));
	}
}

/* --- PIS, DDS, DIS ------------------------------------------------------------------------------ */

static void compare_baseline_sampling(struct trial *t, const char *dir, const char *set)
{
	const json_t *j =
		golden_json(t->g, dir, arena_printf(trial_arena(t), "%s_sampling.json", set));
	size_t n = t->steps, nd = n * t->dim;
	const struct check checks[] = { { "feature", "lgv", nd }, { "u", "u", nd },
		{ "running", "running_cost", 1 }, { "running_step", "running_cost_per_step", n },
		{ "stochastic", "stochastic_cost", 1 },
		{ "stochastic_step", "stochastic_cost_per_step", n },
		{ "terminal", "terminal_cost", 1 }, { "log_w", "log_w", 1 }, { NULL, NULL, 0 } };

	if (j == NULL)
		return;
	struct graph *g = trial_graph(t, "loss", n);
	if (t->sigma0 > 0)
		trial_play_prior(t, numbers_at(t, j, "x0", t->rows * t->dim));
	trial_play(t, "noise", numbers_at(t, j, "noise_after_clip", t->rows * nd));
	compare_labels(t, g, j, checks, GOLDEN_VALUE);
	compare_path(t, g, j, "traj", n, GOLDEN_VALUE);
	compare_gradient(t, g, dir, "files_grad", number_at(j, "loss"), "sampling");
}

/* The released target-to-prior pass, defects included. */
static void compare_baseline_forward(struct trial *t, const char *dir, const char *set)
{
	const char *file = arena_printf(trial_arena(t), "%s_forward.json", set);
	const struct check checks[] = { { "running", "running_cost", 1 },
		{ "stochastic", "stochastic_cost", 1 }, { "terminal", "terminal_cost", 1 },
		{ "log_w", "log_w", 1 }, { NULL, NULL, 0 } };

	const json_t *j = golden_json(t->g, dir, file);
	if (j == NULL)
		return;
	struct graph *g = trial_graph(t, "sde_forward_published", t->steps);
	trial_bind(t, "x_exact", numbers_at(t, j, "x_target", t->rows * t->dim));
	trial_play(t, "noise", numbers_at(t, j, "noise_after_clip", t->rows * t->steps * t->dim));
	compare_labels(t, g, j, checks, GOLDEN_VALUE);
	compare_path(t, g, j, "traj", t->steps, GOLDEN_VALUE);
}

/* How the files of a baseline are called, and what it is here. */
struct baseline {
	const char *set, *method, *paper;
	const char *const (*options)[2];
	const char *sigma0; /* path of the prior's deviation; NULL: it starts at 0 */
};
static const struct baseline baselines[] = {
	{ "pis", "pis", "osds-paper", pis_options, NULL },
	{ "dds", "dds", "osds-paper", dds_options, "config.init_std" },
	{ "dds_N32", "dds", "osds-paper", dds_options, "config.init_std" },
	{ "dis_osds", "dis", "osds-paper", dis_options, "config.init_std" },
	{ "dis_vsm", "dis", "beyond-elbos", dis_options, "config.init_std" },
};

static void baseline(struct golden *g, const char *dir, const char *set, const struct baseline *b)
{
	struct trial t = { .g = g, .name = set };
	const char *file = arena_printf(golden_arena(g), "%s_manifest.json", set);

	if (!open_trial(&t, dir, file, b->method, b->paper, b->options))
		return;
	t.sigma0 = b->sigma0 != NULL ? number_at(t.manifest, b->sigma0) : 0;
	compare_baseline_sampling(&t, dir, set);
	compare_baseline_forward(&t, dir, set);
	compare_optimiser(&t, dir, set, "files_grad", "files_grad", -0.5, 0);
}

/* --- others ----------------------------------------------------------------------------------- */

static void optimiser_chain(struct golden *g, const json_t *j, const char *set, const char *chain,
	enum clipping clip, double decay)
{
	struct trial t = { .g = g, .name = set };
	const json_t *steps = golden_get(j, chain);
	size_t n = json_array_size(golden_get(j, "param0"));
	double *start = numbers_at(&t, j, "param0", n);
	struct learner l;

	if (start == NULL || n == 0)
		return;
	learner_init(&l, n, trial_arena(&t));
	memcpy(l.theta, trial_reals(&t, start, n, 1), n * sizeof(real));
	l.settings = (struct adam){ .rate = number_at(j, "lr"),
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = clip,
		.clip_bound = 1,
		.weight_decay = decay };
	for (size_t s = 0; s < json_array_size(steps); s++) {
		const json_t *step = json_array_get(steps, s);
		double *grad = numbers_at(&t, step, "grad", n),
		       *want = numbers_at(&t, step, "param", n);
		if (grad == NULL || want == NULL)
			return;
		adam_step(&l.optimiser, &l.settings, l.theta, trial_reals(&t, grad, n, 1));
		double *got = trial_room(&t, n);
		for (size_t i = 0; i < n; i++)
			got[i] = (double)l.theta[i];
		golden_compare(g, n, 1, got, want, 1, fmax(1e-13, 4 * (double)REAL_EPS),
			"%s %s, step %zu", set, chain, s + 1);
	}
}

static void optimiser_mini(struct golden *g, const char *dir, const char *set)
{
	const char *file = arena_printf(golden_arena(g), "%s_optim_mini.json", set);
	const json_t *j = golden_json(g, dir, file);

	if (j == NULL)
		return;
	optimiser_chain(g, j, set, "steps_adamw", CLIP_NORM, 0.1);
	optimiser_chain(g, j, set, "steps_adam_clip", CLIP_ELEMENT, 0);
}

/* Two clouds by the published metrics. */
static void discrepancies(struct trial *t, const json_t *j)
{
	const json_t *exact = golden_get(j, "gt_samples");
	size_t n = json_array_size(exact), d = json_array_size(json_array_get(exact, 0));
	struct scored in = { .n = n,
		.n_exact = n,
		.dim = d,
		.arena = trial_arena(t),
		.exact = numbers_at(t, j, "gt_samples", n * d),
		.x = numbers_at(t, j, "samples", n * d) };
	const char *const names[2] = { "mmd_osds", "sinkhorn_osds" };
	double want[2] = { number_at(j, "mmd"), number_at(j, "sd") };

	if (in.exact == NULL || in.x == NULL)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct value value;
		if (metric_find(names[i])->eval(&in, &value) != OK)
			golden_failed(t->g, "%s %s: %s", t->name, names[i], error_text());
		else /* the published value stops at a marginal error of 1e-3, which both share */
			golden_compare(t->g, 1, 1, &value.value, &want[i], 0, 1e-8, "%s %s, %zu-D",
				t->name, names[i], d);
	}
}

static void coverage(struct trial *t, const json_t *j)
{
	size_t n = json_array_size(golden_get(j, "samples"));
	double *x = numbers_at(t, j, "samples", n * 2), want = number_at(j, "emc"), mean = 0;
	struct density *d;
	struct value value;

	if (x == NULL || density_new(&d, "gmm40_2d", NULL, 0, trial_arena(t)) != OK)
		return;
	struct scored in = { .n = n, .dim = 2, .x = x, .target = d, .arena = trial_arena(t) };
	if (metric_find("emc")->eval(&in, &value) != OK)
		golden_failed(t->g, "%s emc: %s", t->name, error_text());
	else
		golden_compare(t->g, 1, 1, &value.value, &want, 1, 1e-10, "%s emc", t->name);
	for (size_t i = 0; i < n; i++) {
		double log_rho;
		density_eval(d, 1, x + 2 * i, &log_rho, NULL);
		mean += log_rho / (double)n;
	}
	want = number_at(j, "mean_target_log_prob");
	golden_compare(t->g, 1, 1, &mean, &want, 1, 1e-10, "%s mean log density", t->name);
}

static void osds_metrics(struct golden *g, const char *dir, const char *set)
{
	struct trial t = { .g = g, .name = set };
	const json_t *j =
		golden_json(g, dir, arena_printf(golden_arena(g), "%s_metrics.json", set));
	const json_t *w = golden_get(j, "weights");
	size_t n = json_array_size(golden_get(w, "log_w_reverse"));
	const char *const names[6] = { "elbo", "logz_rev", "ess_rev", "eubo", "logz_fwd",
		"ess_fwd" };
	const char *const keys[6] = { "elbo", "lnZ_reverse", "ess_reverse", "eubo", "lnZ_forward",
		"ess_forward" };

	if (j == NULL)
		return;
	discrepancies(&t, golden_get(j, "discrepancy_D2"));
	discrepancies(&t, golden_get(j, "discrepancy_D10"));
	coverage(&t, golden_get(j, "emc_gmm40"));
	for (size_t i = 0; i < 6; i++) {
		double *log_w = numbers_at(&t, w, i < 3 ? "log_w_reverse" : "log_w_forward", n);
		if (log_w != NULL)
			trial_compare_metric(&t, names[i], log_w, n, number_at(w, keys[i]), 1e-10);
	}
}

/* The means of the mixtures: the targets' own give the same density. */
static void mixture_means(struct golden *g, const char *dir, const char *target, size_t d)
{
	struct arena *a = golden_arena(g);
	const char *file = arena_printf(a, "gmm40_means_D%zu.csv", d);
	struct csv means;
	struct density *density;

	if (!golden_exists(g, dir, file) || !golden_csv(g, dir, file, &means))
		return;
	if (target == NULL) /* no target is made of these */
		return;
	if (means.cols != d || density_new(&density, target, NULL, 0, a) != OK) {
		golden_failed(g, "%s: %zu columns", file, means.cols);
		return;
	}
	double *got = ARENA_NEW(a, means.rows, double), *want = ARENA_NEW(a, means.rows, double);
	for (size_t i = 0; i < means.rows; i++) {
		const double *x = means.x + i * d;
		double sum = 0;
		density_eval(density, 1, x, &got[i], NULL);
		for (size_t k = 0; k < means.rows; k++) {
			double square = 0;
			for (size_t c = 0; c < d; c++) {
				double gap = x[c] - (double)(float)means.x[k * d + c];
				square += gap * gap;
			}
			sum += exp(-0.5 * square) / (double)means.rows;
		}
		want[i] = log(sum) - 0.91893853320467274 * (double)d;
	}
	golden_compare(g, means.rows, 1, got, want, 1, 1e-8, "%s density of %s", file, target);
}

void golden_osds(struct golden *g, const char *dir)
{
	struct arena *a = golden_arena(g);
	const char *const parts[] = { "_osds_funnel", "_osds_gmm40" };

	for (size_t i = 0; i < 2; i++) {
		const char **sets =
			golden_sets(g, dir, arena_printf(a, "%s_manifest.json", parts[i]));
		for (; *sets != NULL; sets++)
			osds(g, dir, arena_printf(a, "%s%s", *sets, parts[i]));
	}
	for (size_t i = 0; i < sizeof(baselines) / sizeof(baselines[0]); i++) {
		const struct baseline *b = &baselines[i];
		const char **sets =
			golden_sets(g, dir, arena_printf(a, "_%s_manifest.json", b->set));
		for (; *sets != NULL; sets++)
			baseline(g, dir, arena_printf(a, "%s_%s", *sets, b->set), b);
	}
	for (const char **s = golden_sets(g, dir, "_optim_mini.json"); *s != NULL; s++)
		optimiser_mini(g, dir, *s);
	for (const char **s = golden_sets(g, dir, "_metrics.json"); *s != NULL; s++)
		osds_metrics(g, dir, *s);
	mixture_means(g, dir, "gmm40_2d", 2);
	mixture_means(g, dir, NULL, 10);
	mixture_means(g, dir, "gmm40_50d", 50);
}
