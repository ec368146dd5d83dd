/* DIS, PIS, DDS and SCDS against the PyTorch code: paths, costs, losses, every gradient entry, optimiser
 * steps, evaluation. Constants that the code leaves out of a loss, and the methods do not, are put
 * back here. */
#include "golden_tensors.h"
#include "golden_trial.h"

#include "run/controlled.h"

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

/* A result that is one number. */
static void compare_number(struct trial *t, struct graph *g, trial_result *run, const char *label,
	struct tensors *f, const char *name, double constant)
{
	double want = tensors_number(f, name) - constant;

	trial_compare_rows(t, g, run, label, 1, 1, &want, 1, GOLDEN_VALUE, name);
}

/* The loss, and its whole gradient relative to the largest entry. */
static void compare_loss(struct trial *t, struct graph *g, struct tensors *f, const char *loss,
	double constant, const char *gradient)
{
	compare_number(t, g, trial_run_loss, "", f, loss, constant);
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
		arena_printf(a, "%slog_norm_const_lb_ito", prefix), 0);
	compare_number(t, g, run_metric, "logz_rev", f,
		arena_printf(a, "%slog_norm_const_is", prefix), 0);
	compare_number(t, g, run_variance, "rnd", f, arena_printf(a, "%slv_loss", prefix), 0);
	compare_number(t, g, run_ess, "ess_rev", f, arena_printf(a, "%sess", prefix), 0);
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

void golden_scds_full_size(struct tensors *f, const char *name, const char *kind,
	const real *params, size_t n)
{
	(void)f;
	(void)name;
	(void)kind;
	(void)params;
	(void)n;
}

void golden_scds_methods(struct golden *g, const char *dir)
{
	baselines_of(g, dir);
}
