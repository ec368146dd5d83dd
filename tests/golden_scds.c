/* SCDS and its family against the PyTorch code: networks, controls, the Sinkhorn. In the double build to
 * rounding; in the float build to what float gives. Tensors of these files that nothing is compared with
 * are counted as unknown. */
#include "golden_tensors.h"
#include "golden_trial.h"

#include "nn/net.h"
#include "score/truncated.h"

/* CHANNELS: the width of the networks in these fixtures, but for the full-size ones. */
enum { INPUTS_MAX = 8, CHANNELS = 12 };

/* --- comparison --------------------------------------------------------------------------------- */

/* A graph of a part, what it is given, and the file that says what comes out. */
struct probe {
	struct golden *g;
	struct tensors *file;
	const char *name;
	size_t rows, dim;
	struct graph *graph;
	const real *params;
	struct binding inputs[INPUTS_MAX];
	size_t n_inputs;
};

/* rows and dim come from the file's x. */
static bool open_trial(struct probe *t, struct golden *g, struct tensors *file, const char *name,
	const char *kind)
{
	struct density *target;

	*t = (struct probe){ .g = g, .file = file, .name = name };
	for (size_t i = 0; i < file->n; i++)
		if (strcmp(file->list[i].name, "x") == 0 && file->list[i].n_dims == 2) {
			t->rows = file->list[i].dims[0];
			t->dim = file->list[i].dims[1];
		}
	const struct field *field = tensors_field(g, kind, t->dim, &target);
	if (field == NULL)
		return false;
	t->graph = graph_new(golden_arena(g), field, NULL);
	return true;
}

/* An input of the graph with the numbers of the tensor of that name. */
static struct var given(struct probe *t, const char *name, size_t cols)
{
	const double *x = tensors_numbers(t->file, name, t->rows * cols);

	if (x == NULL) /* counted: go on with zeros */
		x = ARENA_NEW(golden_arena(t->g), t->rows * cols, double);
	invariant(t->n_inputs < INPUTS_MAX);
	t->inputs[t->n_inputs++] = (struct binding){ name, NULL, x };
	return input(t->graph, name, cols);
}

/* Run the graph and compare the value with the tensor of that name. */
static void compare(struct probe *t, struct var value, const char *name)
{
	size_t cols = var_cols(value);
	const double *want = tensors_numbers(t->file, name, t->rows * cols);
	double *got = ARENA_NEW(golden_arena(t->g), t->rows * cols, double);
	const struct capture c = { name, got, NULL, NULL };
	const struct graph_args args = { .rows = t->rows,
		.params = { t->params },
		.inputs = t->inputs,
		.n_inputs = t->n_inputs,
		.captures = &c,
		.n_captures = 1 };

	if (want == NULL)
		return;
	label(value, name);
	graph_forward(t->graph, &args);
	golden_compare(t->g, t->rows, cols, got, want, 1, GOLDEN_VALUE, "%s %s", t->name, name);
}

/* The network's parameters from a file; NULL after counting a failure. */
static const real *load_params(struct tensors *f, size_t expected)
{
	const double *x = tensors_parameters(f, "", expected);
	real *params = ARENA_NEW(golden_arena(f->g), expected, real);

	for (size_t i = 0; x != NULL && i < expected; i++)
		params[i] = (real)x[i];
	return x != NULL ? params : NULL;
}

static struct var prior_score(struct var x)
{
	return scale(-1, x);
}

/* sigma(tau) of the variance-preserving diffusion of these fixtures, tau the last input given: its square
 * is 10 - 9.9 tau. */
static struct var diffusion(struct probe *t)
{
	double *sigma = ARENA_NEW(golden_arena(t->g), t->rows, double);

	for (size_t i = 0; i < t->rows; i++)
		sigma[i] = sqrt(10 - 9.9 * t->inputs[t->n_inputs - 1].f64[i]);
	t->inputs[t->n_inputs++] = (struct binding){ "diffusion", NULL, sigma };
	return input(t->graph, "diffusion", 1);
}

/* --- SCDS ---------------------------------------------------------------------------------------- */

static struct sde_net scds_net(size_t dim, bool step_conditioned, size_t width)
{
	struct sde_net net;

	sde_net_layout(&net, CONTROL_LERP, dim, step_conditioned, width);
	return net;
}

/* The values of every part of the network, and controls with three pairs of clips. */
static void network(struct golden *g, const char *dir, const char *name, const char *kind)
{
	const char *file = arena_printf(golden_arena(g), "%s_net.txt", name);
	const struct {
		const char *name;
		struct clips clips;
	} controls[] = { { "ctrl_clip10", { 10, 10 } },
		{ "ctrl_clipmodel0.25_clipscore1.5", { 0.25, 1.5 } },
		{ "ctrl_clip1e4", { 1e4, 1e4 } } };
	struct tensors values, weights;
	struct probe t;

	if (!tensors_read(g, dir, file, &values) || !open_trial(&t, g, &values, name, kind))
		return;
	file = arena_printf(golden_arena(g), "%s_params.txt", name);
	if (!tensors_read(g, dir, file, &weights))
		return;
	const struct sde_net net = scds_net(t.dim, true, CHANNELS);
	t.params = load_params(&weights, net.n_params);
	if (t.params == NULL)
		return;
	struct var x = given(&t, "x", t.dim), s = given(&t, "t", 1), d = given(&t, "d", 1);
	struct var sigma = given(&t, "sigma_t", 1);
	struct var feature = lerp(s, prior_score(x), score(x)); /* T is 1 */
	compare(&t, log_density(x), "target_unnorm_log_prob");
	compare(&t, score(x), "target_score");
	compare(&t, prior_score(x), "prior_score");
	compare(&t, time_embed(&net.base.time, 0, s), "time_embed_out");
	compare(&t, time_embed(&net.base.step, 0, d), "step_embed_out");
	compare(&t, fourier_mlp(&net.base, 0, x, s, d), "base_model_out");
	compare(&t, time_embed(&net.score_scale, 0, s), "score_model_out");
	compare(&t, clip(feature, 10), "interp_score_clip10");
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		compare(&t, control_lerp(&net, 0, &controls[i].clips, x, s, d, sigma, feature),
			controls[i].name);
	golden_scds_process(&values, name, kind);
	tensors_count_unused(&values);
}

/* The published width, with parameters by a formula: number i of tensor k is
 * s sin(0.37 i + 1.3 k + offset), s = 1 for phases and 0.12 otherwise; in the order of the files. */
static real *params_by_formula(struct golden *g, const struct sde_net *net, double offset)
{
	const size_t phases[3] = { net->base.time.phase.offset, net->base.step.phase.offset,
		net->score_scale.phase.offset };
	real *params = ARENA_NEW(golden_arena(g), net->n_params, real);
	struct slice layers[LAYERS_MAX];
	size_t n = tensors_layers(net, layers);

	for (size_t k = 0; k < n; k++) {
		size_t at = layers[k].offset, in = layers[k].rows, out = layers[k].cols;
		bool phase = at == phases[0] || at == phases[1] || at == phases[2];
		for (size_t i = 0; i < in * out; i++)
			params[at + i % in * out + i / in] =
				(real)((phase ? 1 : 0.12) *
					sin(0.37 * (double)i + 1.3 * (double)k + offset));
	}
	return params;
}

static void full_size(struct golden *g, const char *dir, const char *name, const char *kind)
{
	const char *file = arena_printf(golden_arena(g), "%s.txt", name);
	struct tensors values;
	struct probe t;

	if (!tensors_read(g, dir, file, &values) || !open_trial(&t, g, &values, name, kind))
		return;
	const struct sde_net net = scds_net(t.dim, true, SDE_WIDTH);
	const double *count = tensors_numbers(&values, "num_params", 1);
	const double *offset = tensors_numbers(&values, "phase_offset", 1),
		     n = (double)net.n_params;
	if (count == NULL || offset == NULL)
		return;
	golden_compare(g, 1, 1, &n, count, 0, 0, "%s num_params", name);
	real *params = params_by_formula(g, &net, *offset);
	t.params = params;
	struct var x = given(&t, "x", t.dim), d = given(&t, "d", 1), s = given(&t, "t", 1);
	compare(&t, fourier_mlp(&net.base, 0, x, s, d), "base_model_out");
	compare(&t, time_embed(&net.score_scale, 0, s), "score_model_out");
	compare(&t,
		control_lerp(&net, 0, &(struct clips){ 10, 10 }, x, s, d, diffusion(&t),
			lerp(s, prior_score(x), score(x))),
		"ctrl");
	golden_scds_full_size(&values, name, kind, params, net.n_params);
	tensors_count_unused(&values);
}

/* --- CDDS: the same networks without the step ----------------------------------------------------- */

static void distilled(struct golden *g, const char *dir, const char *name, const char *kind)
{
	struct arena *a = golden_arena(g);
	struct tensors values, student, teacher;
	struct probe t;

	if (!tensors_read(g, dir, arena_printf(a, "%s_consistency_fn.txt", name), &values) ||
		!open_trial(&t, g, &values, name, kind) ||
		!tensors_read(g, dir, arena_printf(a, "%s_student_params.txt", name), &student) ||
		!tensors_read(g, dir, arena_printf(a, "%s_teacher_params.txt", name), &teacher))
		return;
	const struct sde_net net = scds_net(t.dim, false, CHANNELS);
	struct var x = given(&t, "x", t.dim), level = given(&t, "sigma", 1);
	t.params = load_params(&student, net.score_scale.phase.offset);
	if (t.params != NULL)
		compare(&t, fourier_mlp(&net.base, 0, x, level, level), "base_model_out");
	t.params = load_params(&teacher, net.n_params);
	if (t.params != NULL)
		compare(&t,
			control_lerp(&net, 0, &(struct clips){ 10, 10 }, x, level, level,
				diffusion(&t), lerp(level, prior_score(x), score(x))),
			"teacher_ctrl_t_equals_sigma");
	golden_cdds_function(&values, dir, name, kind);
	tensors_count_unused(&values);
}

/* --- the published Sinkhorn ------------------------------------------------------------------------ */

static const double *part_of(struct tensors *f, const char *name, const char *part, size_t size)
{
	return tensors_numbers(f, arena_printf(golden_arena(f->g), "%s.%s", name, part), size);
}

static bool has_part(struct tensors *f, const char *name, const char *part)
{
	return tensors_find(f, arena_printf(golden_arena(f->g), "%s.%s", name, part)) != NULL;
}

/* The largest | sum_j P_ij - a_i | of the plan that the potentials make. */
static double row_error(const struct cloud *x, const struct cloud *y, const struct truncation *rule)
{
	double largest = 0;

	for (size_t i = 0; i < x->n; i++) {
		double mass = 0;
		for (size_t j = 0; j < y->n; j++) {
			double squares = 0, sum = 0;
			for (size_t k = 0; k < x->dim; k++) {
				double gap = x->x[i * x->dim + k] - y->x[j * x->dim + k];
				squares += gap * gap;
				sum += fabs(gap);
			}
			mass += exp((rule->f[i] + rule->g[j] -
					    (rule->manhattan ? sum : sqrt(squares))) /
				    rule->eps);
		}
		largest = fmax(largest, fabs(mass - (rule->a ? rule->a[i] : 1 / (double)x->n)));
	}
	return largest;
}

static void compare_plan(struct tensors *f, const char *name, size_t n, size_t m, size_t dim)
{
	struct golden *g = f->g;
	struct arena *a = golden_arena(g);
	const double *p = part_of(f, name, "p", 1), *eps = part_of(f, name, "eps", 1);
	const double *cap = part_of(f, name, "max_iters", 1);
	const double *stop = part_of(f, name, "stop_thresh", 1);
	const double *rounds = part_of(f, name, "iterations_done", 1);
	const double *value = part_of(f, name, "distance", 1);
	const double *u = part_of(f, name, "u_first3", 3), *v = part_of(f, name, "v_first3", 3);
	const double *worst = part_of(f, name, "row_marginal_max_error", 1);
	const double *rows = part_of(f, name, "x", n * dim);
	const double *columns = part_of(f, name, "y", m * dim);
	struct cloud x, y;
	struct truncated out;

	if (!p || !eps || !cap || !stop || !rounds || !value || !u || !v || !worst || !rows ||
		!columns)
		return;
	const struct truncation rule = {
		.eps = *eps,
		.tolerance = *stop,
		.cap = (long)*cap,
		.manhattan = *p == 1,
		.a = has_part(f, name, "w_x") ? part_of(f, name, "w_x", n) : NULL,
		.b = has_part(f, name, "w_y") ? part_of(f, name, "w_y", m) : NULL,
		.f = ARENA_NEW(a, n, double),
		.g = ARENA_NEW(a, m, double),
	};
	if (cloud_make(&x, rows, n, dim, a) != OK || cloud_make(&y, columns, m, dim, a) != OK ||
		transport_truncated(&x, &y, &rule, a, &out) != OK) {
		golden_failed(g, "%s: %s", name, error_text());
		return;
	}
	double done = (double)out.rounds, error = row_error(&x, &y, &rule);
	golden_compare(g, 1, 1, &done, rounds, 0, 0, "%s iterations", name);
	/* Exponents of size 1e4, rounded to 1e-12, a hundred times over. */
	golden_compare(g, 1, 1, &out.value, value, 0, 1e-10, "%s distance", name);
	golden_compare(g, 1, 3, rule.f, u, 1, 1e-12, "%s f", name);
	golden_compare(g, 1, 3, rule.g, v, 1, 1e-12, "%s g", name);
	/* A sum of numbers of size 1/n less 1/n, down to 1e-6 of it. */
	golden_compare(g, 1, 1, &error, worst, 0, 1e-6, "%s row marginal", name);
}

/* A case is NAME.x, NAME.y and what the published function was told and said. */
static void transport(struct golden *g, const char *dir, const char *set)
{
	struct arena *a = golden_arena(g);
	struct tensors f;

	if (!tensors_read(g, dir, arena_printf(a, "%s_sinkhorn.txt", set), &f))
		return;
	for (size_t i = 0; i + 1 < f.n; i++) {
		const struct tensor *x = &f.list[i], *y = &f.list[i + 1];
		size_t length = strlen(x->name);
		if (length > 2 && strcmp(x->name + length - 2, ".x") == 0 && x->n_dims == 2)
			compare_plan(&f, arena_printf(a, "%.*s", (int)length - 2, x->name),
				x->dims[0], y->dims[0], x->dims[1]);
	}
	tensors_count_unused(&f);
}

void golden_scds(struct golden *g, const char *dir)
{
	for (const char **s = golden_sets(g, dir, "_sinkhorn.txt"); *s != NULL; s++)
		transport(g, dir, *s);
	tensors_each_set(g, dir, "_scds", "_net.txt", network);
	tensors_each_set(g, dir, "_full64", ".txt", full_size);
	tensors_each_set(g, dir, "_cdds", "_consistency_fn.txt", distilled);
}
