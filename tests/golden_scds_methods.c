/* DIS, PIS, DDS, SCDS and CDDS against the PyTorch code: paths, costs, losses, every gradient entry, optimiser
 * steps, evaluation. Constants that the code leaves out of a loss, and the methods do not, are put
 * back here. */
#include "golden_tensors.h"
#include "golden_trial.h"

#include "run/reversal.h"

enum { STEPS = 8, ROWS = 8 };

/* --- what its files share ------------------------------------------------------------------------ */

/* The method of a paper's variant on the density of the file, with these settings more. False after
 * counting a failure. */
static bool open_method(struct trial *t, const char *method, const char *paper, const char *kind,
	const char *settings)
{
	struct density *target;
	size_t dim = strcmp(kind, "gmm9") == 0 ? 2 : 10;
	const struct field *field = tensors_field(t->g, kind, dim, &target);

	t->rows = ROWS;
	t->steps = STEPS;
	t->sigma0 = 1;
	return field != NULL && trial_open(t, method, paper) &&
	       trial_settings(t, "steps=8,batch=8") && trial_settings(t, settings) &&
	       trial_init(t, target, field);
}

static bool load(struct trial *t, struct tensors *f, const char *prefix)
{
	const double *theta = tensors_parameters(f, prefix, t->n_params);

	if (theta != NULL)
		t->params = trial_reals(t, theta, t->n_params, 1);
	return theta != NULL;
}

/* A graph of paths with the recorded prior states and noise, tensors prefix + x0 and noise. NULL after
 * counting a failure. */
static struct graph *replay(struct trial *t, struct tensors *f, const char *prefix,
	const char *what)
{
	const char *start = arena_printf(trial_arena(t), "%sx0", prefix);
	const char *noise = arena_printf(trial_arena(t), "%snoise", prefix);
	const double *x0 = tensors_numbers(f, start, t->rows * t->dim);
	const double *eps = tensors_by_row(f, noise, t->steps, t->rows, t->dim);
	struct graph *g = trial_graph(t, what, t->steps);

	if (x0 == NULL || eps == NULL)
		return NULL;
	if (t->sigma0 > 0)
		trial_play_prior(t, x0);
	trial_play(t, "noise", eps);
	return g;
}

static void compare_path(struct trial *t, struct graph *g, struct tensors *f, const char *name,
	size_t steps)
{
	const double *want = tensors_by_row(f, name, steps + 1, t->rows, t->dim);

	if (want != NULL)
		trial_compare(t, g, trial_run_path, "x", (steps + 1) * t->dim, want, GOLDEN_VALUE,
			name);
}

/* A labelled value with one column against the tensor less a constant. */
static void compare_column(struct trial *t, struct graph *g, const char *label, struct tensors *f,
	const char *name, double constant)
{
	const double *x = tensors_numbers(f, name, t->rows);
	double *want = trial_room(t, t->rows);

	for (size_t i = 0; x != NULL && i < t->rows; i++)
		want[i] = x[i] - constant;
	if (x != NULL)
		trial_compare(t, g, trial_run, label, 1, want, GOLDEN_VALUE, name);
}

/* A result that is one number, relative to floor + its size. */
static void compare_number(struct trial *t, struct graph *g, trial_result *run, const char *label,
	struct tensors *f, const char *name, double constant, double floor)
{
	double want = tensors_number(f, name) - constant;

	trial_compare_rows(t, g, run, label, 1, 1, &want, floor, GOLDEN_VALUE, name);
}

/* The loss, and its whole gradient relative to the largest entry. */
static void compare_loss(struct trial *t, struct graph *g, struct tensors *f, const char *loss,
	double constant, const char *gradient)
{
	compare_number(t, g, trial_run_loss, "", f, loss, constant, 0);
	const double *want = tensors_parameters(f, gradient, t->n_params);
	if (want != NULL)
		trial_compare_rows(t, g, trial_run_gradient, "", 1, t->n_params, want, 0,
			GOLDEN_GRADIENT, gradient);
}

/* --- evaluation ---------------------------------------------------------------------------------- */

static double *run_mean(struct trial *t, struct graph *g, const char *label, size_t size)
{
	const double *x = trial_run(t, g, label, t->rows);
	double *mean = trial_room(t, size);

	for (size_t i = 0; i < t->rows; i++)
		*mean += x[i] / (double)t->rows;
	return mean;
}

static double *run_variance(struct trial *t, struct graph *g, const char *label, size_t size)
{
	const double *x = trial_run(t, g, label, t->rows), mean = *run_mean(t, g, label, 1);
	double *variance = trial_room(t, size);

	for (size_t i = 0; i < t->rows; i++)
		*variance += (x[i] - mean) * (x[i] - mean) / (double)(t->rows - 1);
	return variance;
}

/* Weights relative to the largest. */
static double *run_weights(struct trial *t, struct graph *g, const char *label, size_t size)
{
	double *w = trial_run(t, g, label, size), largest = -INFINITY;

	for (size_t i = 0; i < size; i++)
		largest = fmax(largest, w[i]);
	for (size_t i = 0; i < size; i++)
		w[i] = exp(w[i] - largest);
	return w;
}

/* A metric of the log weights, by its name. */
static double *run_metric(struct trial *t, struct graph *g, const char *label, size_t size)
{
	struct scored in = { .n = t->rows,
		.log_w = trial_run(t, g, "log_w", t->rows),
		.elbo = (double)NAN,
		.arena = trial_arena(t) };
	double *out = trial_room(t, size);
	struct value value;

	if (metric_find(label)->eval(&in, &value) != OK)
		golden_failed(t->g, "%s %s: %s", t->name, label, error_text());
	*out = value.value;
	return out;
}

/* The share of the rows that the weights are worth, in rows. */
static double *run_ess(struct trial *t, struct graph *g, const char *label, size_t size)
{
	double *share = run_metric(t, g, label, size);

	*share *= (double)t->rows;
	return share;
}

/* The two runs of an evaluation: log Z from weights, and its bound without the term in the noise. */
static void compare_evaluation(struct trial *t, struct graph *g, struct tensors *f,
	const char *prefix)
{
	struct arena *a = trial_arena(t);
	const char *name = arena_printf(a, "%ssamples", prefix);
	const double *want = tensors_numbers(f, name, t->rows * t->dim);
	double bound = -tensors_number(f, arena_printf(a, "%slog_norm_const_lb", prefix));

	if (want != NULL)
		trial_compare(t, g, trial_run, "end", t->dim, want, GOLDEN_VALUE, name);
	name = arena_printf(a, "%sweights_maxnorm", prefix);
	want = tensors_numbers(f, name, t->rows);
	if (want != NULL)
		trial_compare(t, g, run_weights, "log_w", 1, want, GOLDEN_VALUE, name);
	compare_number(t, g, run_metric, "elbo", f,
		arena_printf(a, "%slog_norm_const_lb_ito", prefix), 0, 1);
	compare_number(t, g, run_metric, "logz_rev", f,
		arena_printf(a, "%slog_norm_const_is", prefix), 0, 1);
	compare_number(t, g, run_variance, "rnd", f, arena_printf(a, "%slv_loss", prefix), 0, 0);
	compare_number(t, g, run_ess, "ess_rev", f, arena_printf(a, "%sess", prefix), 0, 1);
	trial_compare_rows(t, g, run_mean, "cost", 1, 1, &bound, 1, GOLDEN_VALUE,
		arena_printf(a, "%slog_norm_const_lb", prefix));
}

/* --- the constants that the published losses of time reversal leave out -------------------------- */

/* D times the integral of b = beta/2, beta from 10 to 0.1: left out of both losses. */
static double volume(const struct trial *t)
{
	return -0.25 * (10 + 0.1) * (double)t->dim;
}

/* The mean of log p0(x_0), left out of the KL loss. */
static double mean_log_prior(const struct trial *t, struct tensors *f)
{
	const double *x0 = tensors_numbers(f, "x0", t->rows * t->dim);
	double total = 0;

	for (size_t i = 0; x0 != NULL && i < t->rows * t->dim; i++)
		total -= 0.5 * x0[i] * x0[i];
	return total / (double)t->rows - 0.5 * LOG_2PI * (double)t->dim;
}

/* --- DIS, PIS, DDS ------------------------------------------------------------------------------- */

/* How a file is called, and what its method is here. */
struct baseline {
	const char *part, *method, *paper, *settings;
	const char *evaluated; /* the graph that the code evaluates */
	bool from_zero;        /* paths start at 0 */
	bool bare;             /* losses leave constants out */
};
static const struct baseline baselines[] = {
	{ "_dis", "dis", "scds-paper", "width=8", "sde", false, true },
	{ "_dis_fb", "dis", "scds-paper-fb", "width=8,published_sign=true", "loss", false, false },
	{ "_pis", "pis", "scds-paper", "width=8", "sde", true, false },
	{ "_dds", "dds", "scds-paper", "width=8,horizon=6.4", "sde", false, false },
	{ "_dds_euler", "dds_euler", NULL, "width=8,beta_max=2", "sde", false, false },
};

/* The variant of dis_fb without the wrong sign. */
static void compare_corrected(struct trial *t, struct tensors *f, const struct baseline *b,
	const char *kind)
{
	struct graph *g;

	if (open_method(t, b->method, b->paper, kind, "width=8") && load(t, f, "param.") &&
		(g = replay(t, f, "", "loss")) != NULL)
		compare_column(t, g, "rnd", f, "rnd_lv_backward_sign_corrected", 0);
}

/* The grid, whose times are floats there. */
static void compare_times(struct trial *t, struct tensors *f, const struct baseline *b)
{
	const double *want = tensors_numbers(f, "ts", t->steps + 1);
	double *got = trial_room(t, t->steps + 1);

	if (strcmp(b->method, "dds") == 0)
		schedule_dds_times(t->steps, 6.4, got);
	else
		for (size_t i = 0; i <= t->steps; i++)
			got[i] = (b->from_zero ? 5. : 1.) * (double)i / (double)t->steps;
	for (size_t i = 0; i <= t->steps; i++)
		got[i] = (double)(float)got[i];
	if (want != NULL)
		golden_compare(t->g, 1, t->steps + 1, got, want, 0, 0, "%s ts", t->name);
}

static void baseline(struct golden *g, const char *dir, const char *name, const char *kind,
	const struct baseline *b)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f;
	struct graph *graph;

	if (!tensors_read(g, dir, arena_printf(golden_arena(g), "%s.txt", name), &f) ||
		!open_method(&t, b->method, b->paper, kind, b->settings) || !load(&t, &f, "param."))
		return;
	t.sigma0 = b->from_zero ? 0 : 1;
	double left_out = b->bare ? -volume(&t) : 0;
	if ((graph = replay(&t, &f, "", "loss")) == NULL)
		return;
	compare_path(&t, graph, &f, "xs", t.steps);
	compare_column(&t, graph, "rnd", &f, "rnd_lv", left_out);
	compare_loss(&t, graph, &f, "loss_lv", 0, "grad_lv.");
	if ((graph = replay(&t, &f, "", b->evaluated)) == NULL)
		return;
	compare_evaluation(&t, graph, &f, "eval.");

	/* The mixture's score is made by automatic differentiation there, and is constant in it. */
	const char *kl = strcmp(kind, "gmm9") == 0 ? "loss=kl,score_gradient=false"
						   : "loss=kl,score_gradient=true";
	if (!open_method(&t, b->method, b->paper, kind,
		    arena_printf(golden_arena(g), "%s,%s", b->settings, kl)))
		return;
	t.sigma0 = b->from_zero ? 0 : 1;
	if ((graph = replay(&t, &f, "", "loss")) == NULL)
		return;
	left_out = b->bare ? -volume(&t) - mean_log_prior(&t, &f) : 0;
	compare_loss(&t, graph, &f, "loss_kl", left_out, "grad_kl.");
	if (tensors_find(&f, "rnd_lv_backward_sign_corrected") != NULL)
		compare_corrected(&t, &f, b, kind);
	compare_times(&t, &f, b);
	tensors_count_unused(&f);
}

static void baselines_of(struct golden *g, const char *dir)
{
	static const char *const kinds[] = { "gmm9", "funnel10" };
	struct arena *a = golden_arena(g);

	for (size_t i = 0; i < 2 * sizeof(baselines) / sizeof(baselines[0]); i++) {
		const struct baseline *b = &baselines[i / 2];
		const char *kind = kinds[i % 2];
		const char *end = arena_printf(a, "%s_%s", b->part, kind);
		const char **s = golden_sets(g, dir, arena_printf(a, "%s.txt", end));
		for (; *s != NULL; s++)
			baseline(g, dir, arena_printf(a, "%s%s", *s, end), kind, b);
	}
}

/* --- SCDS ---------------------------------------------------------------------------------------- */

static const char *const scds_settings = "width=12,control_clip=10";

/* The consistency loss from states x [rows][dim] at these places of the grid, with steps so long. */
static struct graph *consistency(struct trial *t, const double *x, const double *place,
	const double *length)
{
	const char *const names[] = { "t", "d", "b", "sigma", "b_half", "sigma_half" };
	const struct reversal *r = t->state;
	struct graph *g = trial_graph(t, "consistency", t->steps);
	double *v[6];

	for (size_t j = 0; j < 6; j++) {
		v[j] = trial_room(t, t->rows);
		trial_bind(t, names[j], v[j]);
	}
	trial_bind(t, "x", x);
	for (size_t i = 0; i < t->rows; i++) {
		double d = length[i] / (double)t->steps, from = 1 - place[i] / (double)t->steps;
		const double row[6] = { from, d, reversal_b(r, from), reversal_sigma(r, from),
			reversal_b(r, from - d / 2), reversal_sigma(r, from - d / 2) };
		for (size_t j = 0; j < 6; j++)
			v[j][i] = row[j];
	}
	return g;
}

/* The states of recorded paths [rows][steps + 1][dim] at these places. */
static double *states_at(const struct trial *t, const double *path, const double *place)
{
	size_t d = t->dim;
	double *x = trial_room(t, t->rows * d);

	for (size_t i = 0; i < t->rows; i++)
		memcpy(x + i * d, path + (i * (t->steps + 1) + (size_t)place[i]) * d,
			d * sizeof(*x));
	return x;
}

/* The length and the place that the code makes of an index and a uniform number. */
static void level_of(const struct trial *t, double index, double u, double *length, double *place)
{
	*length = ldexp(1, (int)index);
	*place = floor(u * (double)t->steps / *length) * *length;
}

static bool open_scds(struct trial *t, const char *dir, const char *kind, const char *settings)
{
	struct arena *a = trial_arena(t);
	struct tensors params;

	return tensors_read(t->g, dir, arena_printf(a, "%s_params.txt", t->name), &params) &&
	       open_method(t, "scds", NULL, kind,
		       arena_printf(a, "%s%s", scds_settings, settings)) &&
	       load(t, &params, "");
}

static bool scds_file(const struct trial *t, const char *dir, const char *part, struct tensors *f)
{
	return tensors_read(t->g, dir, arena_printf(trial_arena(t), "%s_%s.txt", t->name, part), f);
}

static void compare_grid(struct trial *t, struct tensors *f)
{
	const double *want = tensors_numbers(f, "ts", t->steps + 1);
	double *got = trial_room(t, t->steps + 1);

	for (size_t i = 0; i <= t->steps; i++)
		got[i] = (double)i / (double)t->steps;
	if (want != NULL)
		golden_compare(t->g, 1, t->steps + 1, got, want, 0, 0, "%s ts", t->name);
}

void golden_scds_process(struct tensors *f, const char *name, const char *kind)
{
	struct trial t = { .g = f->g, .name = name };
	struct tensor *points = tensors_find(f, "x");

	if (points == NULL || !open_method(&t, "scds", NULL, kind, scds_settings))
		return;
	t.rows = points->dims[0];
	size_t n = t.rows, d = t.dim;
	const double *x = tensors_numbers(f, "x", n * d), *time = tensors_numbers(f, "t", n);
	const double *beta = tensors_numbers(f, "beta_t", n),
		     *sigma = tensors_numbers(f, "sigma_t", n);
	const double *drift = tensors_numbers(f, "drift", n * d);
	const double *prior = tensors_numbers(f, "prior_log_prob", n);
	double *got[3] = { trial_room(&t, n), trial_room(&t, n), trial_room(&t, n * d) };
	if (!x || !time || !beta || !sigma || !drift || !prior)
		return;
	for (size_t i = 0; i < n; i++) {
		double b = reversal_b(t.state, 1 - time[i]);
		got[0][i] = 2 * b;
		got[1][i] = reversal_sigma(t.state, 1 - time[i]);
		for (size_t k = 0; k < d; k++)
			got[2][i * d + k] = b * x[i * d + k];
	}
	golden_compare(t.g, n, 1, got[0], beta, 0, 1e-14, "%s beta_t", name);
	golden_compare(t.g, n, 1, got[1], sigma, 0, 1e-14, "%s sigma_t", name);
	golden_compare(t.g, n, d, got[2], drift, 0, 1e-14, "%s drift", name);
	struct graph *g = graph_new(trial_arena(&t), NULL, NULL);
	label(log_gaussian(input(g, "x", d), 1), "prior");
	trial_bind(&t, "x", x);
	trial_compare(&t, g, trial_run, "prior", 1, prior, GOLDEN_VALUE, "prior_log_prob");
}

static void scds_sampling(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f;
	struct graph *graph;

	if (!open_scds(&t, dir, kind, "") || !scds_file(&t, dir, "lv", &f) ||
		(graph = replay(&t, &f, "", "loss")) == NULL)
		return;
	compare_grid(&t, &f);
	compare_path(&t, graph, &f, "xs", t.steps);
	compare_column(&t, graph, "rnd", &f, "rnd", -volume(&t));
	compare_loss(&t, graph, &f, "loss_lv", 0, "grad.");
	tensors_count_unused(&f);
}

/* The KL losses along the paths of the file "lv". The mixture's score is constant in the released one. */
static void scds_kl(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f, paths;
	struct graph *graph;
	bool mixture = strcmp(kind, "gmm9") == 0;

	if (!open_scds(&t, dir, kind, ",loss=kl,score_gradient=true") ||
		!scds_file(&t, dir, "kl", &f) || !scds_file(&t, dir, "lv", &paths) ||
		(graph = replay(&t, &paths, "", "loss")) == NULL)
		return;
	double left_out = -volume(&t) - mean_log_prior(&t, &paths);
	compare_loss(&t, graph, &f, mixture ? "loss_kl_fullscore" : "loss_kl", left_out,
		mixture ? "grad_fullscore." : "grad.");
	compare_number(&t, graph, run_mean, "rnd", &f, "loss_kl_ito", left_out, 1);
	if (mixture && open_scds(&t, dir, kind, ",loss=kl,score_gradient=false") &&
		(graph = replay(&t, &paths, "", "loss")) != NULL)
		compare_loss(&t, graph, &f, "loss_kl", left_out, "grad.");
	tensors_count_unused(&f);
}

/* Samples by n steps of the flow, and what the code says of log Z along it. */
static void scds_flow(struct trial *t, struct tensors *f, size_t n)
{
	struct arena *a = trial_arena(t);
	struct graph *g = trial_graph(t, "ode", n);
	const double *x0 = tensors_numbers(f, "x0", t->rows * t->dim);

	if (x0 == NULL)
		return;
	trial_play_prior(t, x0);
	compare_path(t, g, f, arena_printf(a, "ode%zu_xs", n), n);
	compare_column(t, g, "rnd", f, arena_printf(a, "ode%zu_rnd_official", n), 0);
	compare_number(t, g, run_metric, "elbo_df", f,
		arena_printf(a, "ode%zu_log_norm_const_lb_official", n), 0, 1);
}

static void scds_evaluation(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f;
	struct graph *graph;

	if (!open_scds(&t, dir, kind, "") || !scds_file(&t, dir, "eval", &f) ||
		(graph = replay(&t, &f, "", "sde")) == NULL)
		return;
	compare_grid(&t, &f);
	compare_column(&t, graph, "log_w", &f, "log_weights", 0);
	compare_evaluation(&t, graph, &f, "");
	compare_number(&t, graph, run_metric, "ess_rev", &f, "norm_ess", 0, 1);
	for (size_t n = 1; n <= t.steps; n *= 2)
		scds_flow(&t, &f, n);
	tensors_count_unused(&f);
}

static void scds_consistency(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f, paths;

	if (!open_scds(&t, dir, kind, "") || !scds_file(&t, dir, "consistency", &f) ||
		!scds_file(&t, dir, "lv", &paths))
		return;
	const double *index = tensors_numbers(&f, "d_indices", t.rows);
	const double *u = tensors_numbers(&f, "u", t.rows);
	const double *length = tensors_numbers(&f, "d_int", t.rows);
	const double *place = tensors_numbers(&f, "t_idx", t.rows);
	const double *dt = tensors_numbers(&f, "dt", t.rows);
	const double *time = tensors_numbers(&f, "t", t.rows);
	const double *sizes = tensors_numbers(&f, "step_sizes", 4);
	const double *x = tensors_numbers(&f, "x_t", t.rows * t.dim);
	const double *path = tensors_by_row(&paths, "xs", t.steps + 1, t.rows, t.dim);
	if (!index || !u || !length || !place || !dt || !time || !sizes || !x || !path)
		return;
	double got[6][ROWS], all[4] = { 1, 2, 4, 8 };
	for (size_t i = 0; i < t.rows; i++) {
		level_of(&t, index[i], u[i], &got[0][i], &got[1][i]);
		got[2][i] = got[0][i] / (double)t.steps;
		got[3][i] = got[1][i] / (double)t.steps;
	}
	golden_compare(g, 1, 4, all, sizes, 0, 0, "%s step_sizes", name);
	golden_compare(g, 1, t.rows, got[0], length, 0, 0, "%s d_int", name);
	golden_compare(g, 1, t.rows, got[1], place, 0, 0, "%s t_idx", name);
	golden_compare(g, 1, t.rows, got[2], dt, 0, 0, "%s dt", name);
	golden_compare(g, 1, t.rows, got[3], time, 0, 0, "%s t", name);
	golden_compare(g, 1, t.rows * t.dim, states_at(&t, path, place), x, 0, 0, "%s x_t", name);
	compare_loss(&t, consistency(&t, x, place, length), &f, "loss_sc", 0, "grad.");
	tensors_count_unused(&f);
}

/* --- its training -------------------------------------------------------------------------------- */

enum { ITERATIONS = 3 };

/* What recorded iterations draw. */
struct iterations {
	const double *index[ITERATIONS], *u[ITERATIONS];
};

static double norm_of_gradient(struct trial *t, struct graph *g, const struct graph_args *args)
{
	real *grad = ARENA_NEW(trial_arena(t), t->n_params, real);
	double square = 0;

	(void)graph_gradient(g, args, t->n_params, grad);
	for (size_t i = 0; i < t->n_params; i++)
		square += (double)grad[i] * (double)grad[i];
	return sqrt(square) / (double)t->dim; /* of the loss over the dimension */
}

/* Runs updates 0, 1, ... of the recorded iterations, the sampling loss and the consistency loss in turn,
 * until the one that the label names: "loss N" and "norm N" are of update N, "theta N" are the
 * parameters when it is done. The tapes are two of each iteration. */
static double *run_training(struct trial *t, struct graph *sampling, const char *label, size_t size)
{
	const struct iterations *it = t->context;
	struct controlled *base = t->state;
	size_t last = (size_t)(strchr(label, ' ')[1] - '0'), n = t->n_params;
	double *out = trial_room(t, size), *path = NULL;

	memcpy(base->learner.theta, t->params, n * sizeof(real));
	memset(base->learner.optimiser.m, 0, n * sizeof(real));
	memset(base->learner.optimiser.v, 0, n * sizeof(real));
	base->learner.optimiser.count = 0;
	for (size_t k = 0; k <= last; k++) {
		struct trial now = *t;
		struct graph *g = sampling;
		now.params = trial_reals(t, trial_room(t, n), n, 0);
		memcpy(now.params, base->learner.theta, n * sizeof(real));
		now.tapes[0] = t->tapes[k / 2 * 2];
		now.tapes[1] = t->tapes[k / 2 * 2 + 1];
		now.n_tapes = 2;
		if (k % 2 == 0) {
			path = trial_run_path(&now, g, "x", t->rows * (t->steps + 1) * t->dim);
		} else {
			double length[ROWS], place[ROWS];
			for (size_t i = 0; i < t->rows; i++)
				level_of(t, it->index[k / 2][i], it->u[k / 2][i], &length[i],
					&place[i]);
			g = consistency(&now, states_at(t, path, place), place, length);
		}
		struct graph_args args = trial_args(&now);
		if (k == last && label[0] == 'n')
			*out = norm_of_gradient(&now, g, &args);
		double loss = controlled_update(base, g, &args, t->dim);
		if (k == last && label[0] == 'l')
			*out = loss;
	}
	for (size_t i = 0; label[0] == 't' && i < n; i++)
		out[i] = (double)base->learner.theta[i];
	return out;
}

/* Where the file is there. */
static void compare_parameters(struct trial *t, struct graph *g, const char *dir, const char *part,
	const char *label)
{
	struct tensors f;

	if (!golden_exists(t->g, dir, arena_printf(trial_arena(t), "%s_%s.txt", t->name, part)) ||
		!scds_file(t, dir, part, &f))
		return;
	const double *want = tensors_parameters(&f, "", t->n_params);
	if (want != NULL)
		trial_compare_rows(t, g, run_training, label, 1, t->n_params, want, 1, GOLDEN_VALUE,
			part);
	tensors_count_unused(&f);
}

static void scds_training(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct arena *a = golden_arena(g);
	struct trial t = { .g = g, .name = name };
	struct iterations it;
	struct tensors f;

	if (!open_scds(&t, dir, kind, "") || !scds_file(&t, dir, "iters", &f))
		return;
	const struct controlled *base = t.state;
	struct graph *graph = trial_graph(&t, "loss", t.steps);
	t.context = &it;
	for (size_t k = 0; k < ITERATIONS; k++) {
		const char *x0 = arena_printf(a, "it%zu.x0", k);
		const char *noise = arena_printf(a, "it%zu.noise", k);
		const double *start = tensors_numbers(&f, x0, t.rows * t.dim);
		const double *eps = tensors_by_row(&f, noise, t.steps, t.rows, t.dim);
		it.index[k] = tensors_numbers(&f, arena_printf(a, "it%zu.d_indices", k), t.rows);
		it.u[k] = tensors_numbers(&f, arena_printf(a, "it%zu.u", k), t.rows);
		if (!start || !eps || !it.index[k] || !it.u[k])
			return;
		trial_play_prior(&t, start);
		trial_play(&t, "noise", eps);
	}
	for (size_t k = 0; k < 2 * (size_t)ITERATIONS; k++) {
		const char *which = k % 2 == 0 ? "sampling" : "consistency";
		compare_number(&t, graph, run_training, arena_printf(a, "loss %zu", k), &f,
			arena_printf(a, "it%zu.scaled_%s_loss", k / 2, which), 0, 0);
		compare_number(&t, graph, run_training, arena_printf(a, "norm %zu", k), &f,
			arena_printf(a, "it%zu.grad_norm_before_clip_%s", k / 2, which), 0, 0);
	}
	double rate = base->learner.settings.rate, want = tensors_number(&f, "lr");
	golden_compare(g, 1, 1, &rate, &want, 0, 1e-15, "%s lr", name);
	tensors_count_unused(&f);
	compare_parameters(&t, graph, dir, "params_after_first_adam_step", "theta 0");
	compare_parameters(&t, graph, dir, "params_after_iter1", "theta 1");
	compare_parameters(&t, graph, dir, "params_after_iter3", "theta 5");
}

/* --- SCDS of the published width ----------------------------------------------------------------- */

/* What the file keeps of a gradient, layer by layer: sums, norms, first two entries. Labels: "whole",
 * "sum", "norm", "first". */
static double *run_probe(struct trial *t, struct graph *g, const char *label, size_t size)
{
	const struct controlled *base = t->state;
	const double *grad = trial_run_gradient(t, g, "", t->n_params);
	double *out = trial_room(t, size), square = 0;
	struct slice layers[LAYERS_MAX];
	size_t n = tensors_layers(&base->sde, layers);

	for (size_t i = 0; i < t->n_params; i++)
		square += grad[i] * grad[i];
	if (label[0] == 'w')
		*out = sqrt(square);
	for (size_t k = 0; k < n && label[0] != 'w'; k++) {
		const double *layer = grad + layers[k].offset;
		size_t in = layers[k].rows, entries = in * layers[k].cols;
		double sum = 0, squares = 0;
		for (size_t i = 0; i < entries; i++) {
			sum += layer[i];
			squares += layer[i] * layer[i];
		}
		if (label[0] == 'f') {
			out[2 * k] = layer[0];
			if (entries > 1)
				out[2 * k + 1] = layer[in > 1 ? layers[k].cols : 1];
		} else {
			out[k] = label[0] == 's' ? sum : sqrt(squares);
		}
	}
	return out;
}

static void compare_probes(struct trial *t, struct graph *g, struct tensors *f, const char *prefix)
{
	static const char *const parts[][2] = { { "whole", "grad_l2" },
		{ "sum", "grad_tensor_sum" }, { "norm", "grad_tensor_l2" },
		{ "first", "grad_tensor_first2" } };

	for (size_t i = 0; i < 4; i++) {
		const char *name = arena_printf(trial_arena(t), "%s%s", prefix, parts[i][1]);
		struct tensor *tensor = tensors_find(f, name);
		if (tensor == NULL && i == 3) /* not of every loss */
			continue;
		const double *want = tensors_numbers(f, name, tensor != NULL ? tensor->size : 1);
		if (want != NULL)
			trial_compare_rows(t, g, run_probe, parts[i][0], 1, tensor->size, want, 0,
				GOLDEN_GRADIENT, name);
	}
}

void golden_scds_full_size(struct tensors *f, const char *name, const char *kind, real *params,
	size_t n)
{
	struct trial t = { .g = f->g, .name = name, .params = params };
	struct graph *g;

	if (!open_method(&t, "scds", NULL, kind, "control_clip=10"))
		return;
	if (t.n_params != n) {
		golden_failed(f->g, "%s: %zu parameters, expected %zu", name, t.n_params, n);
		return;
	}
	if ((g = replay(&t, f, "", "loss")) == NULL)
		return;
	const double *end = tensors_numbers(f, "final_x", t.rows * t.dim);
	if (end != NULL)
		trial_compare(&t, g, trial_run, "end", t.dim, end, GOLDEN_VALUE, "final_x");
	compare_number(&t, g, trial_run_loss, "", f, "loss_lv", 0, 0);
	compare_probes(&t, g, f, "");

	const double *path = trial_run_path(&t, g, "x", t.rows * (t.steps + 1) * t.dim);
	const double *length = tensors_numbers(f, "sc.d_int", t.rows);
	const double *place = tensors_numbers(f, "sc.t_idx", t.rows);
	if (length == NULL || place == NULL)
		return;
	g = consistency(&t, states_at(&t, path, place), place, length);
	compare_number(&t, g, trial_run_loss, "", f, "sc.loss", 0, 0);
	compare_probes(&t, g, f, "sc.");
}

/* --- CDDS ---------------------------------------------------------------------------------------- */

/* The student at these levels: [rows]. */
struct student {
	double *level, *skip, *out;
};

static struct student student_at(const struct trial *t, const double *level)
{
	struct student s = { trial_room(t, t->rows), trial_room(t, t->rows),
		trial_room(t, t->rows) };

	for (size_t i = 0; i < t->rows; i++) {
		s.level[i] = level[i];
		schedule_consistency(level[i], 0.5, &s.skip[i], &s.out[i]);
	}
	return s;
}

static void bind_student(struct trial *t, const char *which, const double *x, struct student s)
{
	struct arena *a = trial_arena(t);

	trial_bind(t, arena_printf(a, "x%s", which), x);
	trial_bind(t, arena_printf(a, "level%s", which), s.level);
	trial_bind(t, arena_printf(a, "skip%s", which), s.skip);
	trial_bind(t, arena_printf(a, "out%s", which), s.out);
}

static bool open_cdds(struct trial *t, const char *dir, const char *kind)
{
	struct arena *a = trial_arena(t);
	struct tensors student, teacher;
	struct sde_net net;

	if (!open_method(t, "cdds", NULL, kind,
		    "width=12,steps=16,levels=5,teacher_iterations=1,control_clip=10") ||
		!tensors_read(t->g, dir, arena_printf(a, "%s_student_params.txt", t->name),
			&student) ||
		!tensors_read(t->g, dir, arena_printf(a, "%s_teacher_params.txt", t->name),
			&teacher) ||
		!load(t, &student, ""))
		return false;
	t->steps = 16;
	sde_net_layout(&net, CONTROL_LERP, t->dim, false, 12);
	const double *theta = tensors_parameters(&teacher, "", net.n_params);
	if (theta != NULL)
		t->teacher = trial_reals(t, theta, net.n_params, 1);
	return theta != NULL;
}

void golden_cdds_function(struct tensors *f, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = f->g, .name = name };
	struct tensor *levels = tensors_find(f, "sigma");

	if (!open_cdds(&t, dir, kind) || levels == NULL)
		return;
	t.rows = levels->size;
	struct student s = student_at(&t, levels->x);
	const double *x = tensors_numbers(f, "x", t.rows * t.dim);
	const double *skip = tensors_numbers(f, "c_skip", t.rows);
	const double *out = tensors_numbers(f, "c_out", t.rows);
	const double *want = tensors_numbers(f, "f", t.rows * t.dim);
	if (!x || !skip || !out || !want)
		return;
	golden_compare(t.g, t.rows, 1, s.skip, skip, 1, 1e-15, "%s c_skip", name);
	golden_compare(t.g, t.rows, 1, s.out, out, 1, 1e-15, "%s c_out", name);
	struct graph *g = trial_graph(&t, "loss", t.steps);
	bind_student(&t, "1", x, s);
	bind_student(&t, "2", x, s);
	trial_compare(&t, g, trial_run, "student", t.dim, want, GOLDEN_VALUE, "f");
	trial_compare(&t, g, trial_run, "target", t.dim, want, GOLDEN_VALUE, "f, held constant");
}

/* The loss between the levels i and i + 1, i a number a row, along the teacher's recorded paths. */
static struct graph *distillation(struct trial *t, const double *path, const double *i)
{
	double *place[2], *level[2];

	for (size_t j = 0; j < 2; j++) {
		place[j] = trial_room(t, t->rows);
		level[j] = trial_room(t, t->rows);
		for (size_t r = 0; r < t->rows; r++) {
			place[j][r] = (double)schedule_spaced((size_t)i[r] + j, 5, t->steps);
			level[j][r] = 1 - place[j][r] / (double)t->steps;
		}
	}
	struct graph *g = trial_graph(t, "loss", t->steps);
	bind_student(t, "1", states_at(t, path, place[0]), student_at(t, level[0]));
	bind_student(t, "2", states_at(t, path, place[1]), student_at(t, level[1]));
	return g;
}

/* One index for the batch, or one a row; as one a row. */
static double *indices(const struct trial *t, struct tensors *f, const char *name)
{
	struct tensor *tensor = tensors_find(f, name);
	size_t n = tensor != NULL ? tensor->size : 1;
	const double *index = tensors_numbers(f, name, n);
	double *all = trial_room(t, t->rows);

	for (size_t i = 0; index != NULL && i < t->rows; i++)
		all[i] = index[n == t->rows ? i : 0];
	return all;
}

static void compare_levels(struct trial *t, struct tensors *f)
{
	const double *ts = tensors_numbers(f, "ts", 17), *place, *train, *eval;
	double got[3][5], grid[17];

	place = tensors_numbers(f, "train_ts_idx", 5);
	train = tensors_numbers(f, "train_ts", 5);
	eval = tensors_numbers(f, "eval_ts", 3);
	if (!ts || !place || !train || !eval)
		return;
	for (size_t i = 0; i < 17; i++)
		grid[i] = (double)i / 16;
	for (size_t i = 0; i < 5; i++) {
		got[0][i] = (double)schedule_spaced(i, 5, 16);
		got[1][i] = got[0][i] / 16;
	}
	for (size_t i = 0; i < 3; i++)
		got[2][i] = got[1][schedule_spaced(i, 3, 4)];
	golden_compare(t->g, 1, 17, grid, ts, 0, 0, "%s ts", t->name);
	golden_compare(t->g, 1, 5, got[0], place, 0, 0, "%s train_ts_idx", t->name);
	golden_compare(t->g, 1, 5, got[1], train, 0, 0, "%s train_ts", t->name);
	golden_compare(t->g, 1, 3, got[2], eval, 0, 0, "%s eval_ts", t->name);
}

static void cdds_loss(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f;

	if (!open_cdds(&t, dir, kind) || !scds_file(&t, dir, "loss", &f))
		return;
	compare_levels(&t, &f);
	const double *x0 = tensors_numbers(&f, "x0", t.rows * t.dim);
	const double *path = tensors_by_row(&f, "teacher_ode_xs", 17, t.rows, t.dim);
	if (x0 == NULL || path == NULL)
		return;
	struct graph *graph = trial_graph(&t, "teacher", 4);
	trial_play_prior(&t, x0);
	compare_path(&t, graph, &f, "teacher_ode_xs", t.steps);
	graph = distillation(&t, path, indices(&t, &f, "batch_t0.index"));
	compare_loss(&t, graph, &f, "batch_t0.loss", 0, "batch_t0.grad.");
	graph = distillation(&t, path, indices(&t, &f, "batch_t1.index"));
	compare_number(&t, graph, trial_run_loss, "", &f, "batch_t1.loss", 0, 0);
	graph = distillation(&t, path, indices(&t, &f, "per_sample.index"));
	compare_loss(&t, graph, &f, "per_sample.loss", 0, "per_sample.grad.");
	tensors_count_unused(&f);
}

/* Samples by k evaluations. */
static void compare_samples(struct trial *t, struct tensors *f, const char *part, size_t k)
{
	struct arena *a = trial_arena(t);
	const char *samples = arena_printf(a, "%s.samples", part);
	const double *ts = tensors_numbers(f, arena_printf(a, "%s.ts", part), k + 1);
	const double *x0 = tensors_numbers(f, "x0", t->rows * t->dim);
	const double *noise =
		tensors_by_row(f, arena_printf(a, "%s.noise", part), k, t->rows, t->dim);
	const double *want = tensors_numbers(f, samples, t->rows * t->dim);
	double got[8];

	if (!ts || !x0 || !noise || !want)
		return;
	for (size_t i = 0; i <= k; i++)
		got[i] = (double)schedule_spaced(schedule_spaced(i, k + 1, 4), 5, 16) / 16;
	golden_compare(t->g, 1, k + 1, got, ts, 0, 0, "%s %s.ts", t->name, part);
	struct graph *g = trial_graph(t, "sample", k);
	trial_play_prior(t, x0);
	trial_play(t, "noise", noise);
	trial_compare(t, g, trial_run, "end", t->dim, want, GOLDEN_VALUE, samples);
}

static void cdds_samples(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f;

	if (!open_cdds(&t, dir, kind) || !scds_file(&t, dir, "sampling", &f))
		return;
	const double *x0 = tensors_numbers(&f, "x0", t.rows * t.dim);
	const double *want = tensors_numbers(&f, "singlestep_sigma1", t.rows * t.dim);
	if (x0 == NULL || want == NULL)
		return;
	struct graph *graph = trial_graph(&t, "sample", 1);
	trial_play_prior(&t, x0);
	trial_compare(&t, graph, trial_run, "end", t.dim, want, GOLDEN_VALUE, "singlestep_sigma1");
	compare_samples(&t, &f, "eval_default", 2);
	compare_samples(&t, &f, "eval_steps2", 1);
	compare_samples(&t, &f, "eval_steps5", 4);
	tensors_count_unused(&f);
}

/* Parameters after the update on the recorded loss. */
static double *run_update(struct trial *t, struct graph *g, const char *label, size_t size)
{
	struct controlled *base = t->state;
	struct graph_args args = trial_args(t);
	double *out = trial_room(t, size);
	size_t n = t->n_params;

	memcpy(base->learner.theta, t->params, n * sizeof(real));
	memset(base->learner.optimiser.m, 0, n * sizeof(real));
	memset(base->learner.optimiser.v, 0, n * sizeof(real));
	base->learner.optimiser.count = 0;
	double norm = norm_of_gradient(t, g, &args);
	double loss = controlled_update(base, g, &args, t->dim);
	if (label[0] == 'n')
		*out = norm;
	else if (label[0] == 'l')
		*out = loss;
	else
		for (size_t i = 0; i < size; i++)
			out[i] = (double)base->learner.theta[i];
	return out;
}

static void cdds_update(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct trial t = { .g = g, .name = name };
	struct tensors f, paths;

	if (!open_cdds(&t, dir, kind) || !scds_file(&t, dir, "params_after_step", &f) ||
		!scds_file(&t, dir, "loss", &paths))
		return;
	const double *path = tensors_by_row(&paths, "teacher_ode_xs", 17, t.rows, t.dim);
	if (path == NULL)
		return;
	struct graph *graph = distillation(&t, path, indices(&t, &f, "index"));
	compare_number(&t, graph, run_update, "loss", &f, "scaled_loss", 0, 0);
	compare_number(&t, graph, run_update, "norm", &f, "grad_norm_before_clip", 0, 0);
	const double *want = tensors_parameters(&f, "", t.n_params);
	if (want != NULL)
		trial_compare_rows(&t, graph, run_update, "theta", 1, t.n_params, want, 1,
			GOLDEN_VALUE, "params_after_step");
	tensors_count_unused(&f);
}

/* Names end _LAST_N: N numbers spaced over 0 .. LAST. */
static void cdds_indices(struct golden *g, const char *dir)
{
	struct tensors f;

	if (!golden_exists(g, dir, "common_cdds_indices.txt") ||
		!tensors_read(g, dir, "common_cdds_indices.txt", &f))
		return;
	for (size_t k = 0; k < f.n; k++) {
		struct tensor *t = &f.list[k];
		size_t last = strncmp(t->name, "train_", 6) == 0 ? 128 : 17;
		double *got = ARENA_NEW(golden_arena(g), t->size, double);
		for (size_t i = 0; i < t->size; i++)
			got[i] = (double)schedule_spaced(i, t->size, last);
		t->used = true;
		golden_compare(g, 1, t->size, got, t->x, 0, 0, "%s", t->name);
	}
	tensors_count_unused(&f);
}

void golden_scds_methods(struct golden *g, const char *dir)
{
	baselines_of(g, dir);
	tensors_each_set(g, dir, "_scds", "_lv.txt", scds_sampling);
	tensors_each_set(g, dir, "_scds", "_kl.txt", scds_kl);
	tensors_each_set(g, dir, "_scds", "_eval.txt", scds_evaluation);
	tensors_each_set(g, dir, "_scds", "_consistency.txt", scds_consistency);
	tensors_each_set(g, dir, "_scds", "_iters.txt", scds_training);
	tensors_each_set(g, dir, "_cdds", "_loss.txt", cdds_loss);
	tensors_each_set(g, dir, "_cdds", "_sampling.txt", cdds_samples);
	tensors_each_set(g, dir, "_cdds", "_params_after_step.txt", cdds_update);
	cdds_indices(g, dir);
}
