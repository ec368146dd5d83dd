#include "run/reversal.h"

const char *const reversal_forms[] = { "kernel", "line", NULL };
const char *const reversal_features[] = { "target", "bridge", NULL };
const char *const reversal_schedules[] = { "cosine", "linear", NULL };
const char *const reversal_volumes[] = { "start", "integral", NULL };

double reversal_b(const struct reversal *r, double t)
{
	return r->schedule == B_COSINE ? schedule_cosine(t, r->beta_min, r->beta_max)
				       : 0.5 * schedule_linear(t, r->beta_min, r->beta_max);
}

double reversal_sigma(const struct reversal *r, double t)
{
	return r->sigma0 * sqrt(2 * reversal_b(r, t));
}

double reversal_integral(const struct reversal *r, double t)
{
	if (r->schedule == B_COSINE)
		return schedule_cosine_integral(t, r->beta_min, r->beta_max);
	return 0.5 * (reversal_b(r, 0) + reversal_b(r, t)) * t;
}

/* B of eq. 3, of the step from t to t - dt. The trapezoid rule is exact for a linear b. */
static double volume(const struct reversal *r, double t, double dt)
{
	if (r->volume == VOLUME_START)
		return reversal_b(r, t) * dt;
	if (r->schedule == B_COSINE)
		return reversal_integral(r, t) - reversal_integral(r, t - dt);
	return 0.5 * (reversal_b(r, t) + reversal_b(r, t - dt)) * dt;
}

/* The n of k steps from step `first` on. */
static struct reversal_step part_of_scan(const struct reversal *r, struct graph *g, size_t k,
	size_t first, size_t n, bool to_prior, bool end, struct arena *a)
{
	enum { COLUMNS = 10 };
	double *v[COLUMNS], dt = 1 / (double)k, root = sqrt(dt);
	struct var at[COLUMNS];

	for (int j = 0; j < COLUMNS; j++)
		v[j] = ARENA_NEW(a, n, double);
	for (size_t i = 0; i < n; i++) {
		double t = (double)(to_prior ? i + 1 : k - first - i) / (double)k;
		double b = reversal_b(r, t), next = reversal_b(r, t - dt);
		double s = reversal_sigma(r, t) * root;
		double s_back = end ? reversal_sigma(r, t - dt) * root : s;
		v[0][i] = controlled_time(&r->base, t, 1);
		v[1][i] = t;
		v[2][i] = b * dt;
		v[3][i] = reversal_sigma(r, t);
		v[4][i] = s;
		v[5][i] = 1 / s;
		v[6][i] = volume(r, t, dt);
		v[7][i] = (end ? next : b) * dt;
		v[8][i] = 1 / (s_back * s_back);
		v[9][i] = log(s_back / s);
	}
	for (int j = 0; j < COLUMNS; j++)
		at[j] = by_step(g, n, 1, v[j]);
	return (struct reversal_step){ .time = at[0],
		.t = at[1],
		.dt = constant(g, dt),
		.pull = at[2],
		.sigma = at[3],
		.s = at[4],
		.inverse = at[5],
		.root = constant(g, root),
		.volume = at[6],
		.pull_back = at[7],
		.precision_back = at[8],
		.log_ratio = at[9],
		.times = v[1],
		.k = n };
}

struct reversal_step reversal_scan(const struct reversal *r, struct graph *g, size_t k,
	bool to_prior, bool end, struct arena *a)
{
	return part_of_scan(r, g, k, 0, k, to_prior, end, a);
}

/* Eq. 5. */
static struct var feature_at(const struct reversal *r, struct reversal_step m, struct var x)
{
	struct var to_target = mul(sub(constant(x.g, 1), m.t), controlled_score(&r->base, x));

	if (r->feature == FEATURE_TARGET)
		return to_target;
	struct var to_prior = scale(-1 / (r->sigma0 * r->sigma0), mul(m.t, x));
	struct var bridge = add(to_target, to_prior);
	return r->base.network == NETWORK_OSDS ? mul(m.sigma, bridge) : bridge;
}

struct var reversal_control(const struct reversal *r, int set, struct reversal_step m, struct var x,
	struct var seen)
{
	struct var feature = feature_at(r, m, seen);
	struct sight s = { .x = x,
		.time = m.time,
		.length = m.dt,
		.score = m.k > 0 ? label(feature, "feature") : feature,
		.sigma = m.sigma,
		.t = m.times,
		.k = m.k };

	return controlled_control(&r->base, set, s);
}

struct var reversal_drift(struct reversal_step m, struct var x, struct var u, double share)
{
	return add(mul(m.pull, x), scale(share, mul(mul(m.dt, m.sigma), u)));
}

/* -log B(x; next), its normaliser shared with the generation's kernel left out: eq. 2. sign -1 is the
 * noising process, 1 the released one. */
static struct var noising_cost(struct reversal_step m, struct var x, struct var next, double sign)
{
	struct var away = sub(x, add(next, scale(sign, mul(m.pull_back, next))));
	struct var ratio = scale((double)var_cols(x), m.log_ratio);

	return add(scale(0.5, mul(m.precision_back, dot(away, away))), ratio);
}

/* What eq. 3 adds to the cost in a step, the term in eps apart. */
static struct var line_cost(const struct reversal *r, struct reversal_step m, bool training,
	struct var u)
{
	struct var none = { NULL, 0 };
	struct var energy = mul(m.dt, controlled_energy(&r->base, training, u, none));

	return sub(energy, scale((double)var_cols(u), m.volume));
}

/* Paths by eq. 1. */
static struct graph *record_sde(const struct reversal *r, struct cell *c, size_t k, bool training,
	enum reversal_form form, struct arena *a)
{
	const struct controlled *base = &r->base;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x0 = scale(r->sigma0, controlled_prior(base, g, training, false, c->dim));

	scan_begin(g, k);
	struct reversal_step m = reversal_scan(r, g, k, false, training && r->end_coefficients, a);
	struct var x = label(scan_state(x0), "x");
	struct var u = label(reversal_control(r, 0, m, x, x), "u");
	struct var eps = controlled_noise(base, g, training, c->dim);
	struct var push = controlled_push(base, training, u);
	struct var next = add(add(x, reversal_drift(m, x, push, 1)), mul(m.s, eps)); /* eq. 1 */
	struct var cost, work;
	if (form == FORM_LINE) { /* eq. 3 */
		cost = line_cost(r, m, training, u);
		work = mul(m.root, dot(u, eps));
	} else { /* eq. 2: the generation's kernel has moved by eps + sqrt(dt) (push - u) of its s */
		struct var off = add(eps, mul(m.root, sub(push, u)));
		double sign = training && r->published_sign ? 1 : -1;
		cost = sub(noising_cost(m, x, next, sign), scale(0.5, dot(off, off)));
		work = zeros(g, 1);
	}
	struct var running = scan_total(label(cost, "running_step"));
	struct var stochastic = scan_total(label(work, "stochastic_step"));
	scan_next(x, next);
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(base, running, stochastic,
		sub(log_gaussian(x0, r->sigma0), log_density(end)));
	return g;
}

/* The same weights along the noising process from exact samples. */
static struct graph *record_back(const struct reversal *r, struct cell *c, size_t k,
	enum reversal_form form, struct arena *a)
{
	const struct noising n = controlled_noising(c, k, a);

	struct reversal_step m = reversal_scan(r, n.g, k, true, false, a);
	struct var x = n.x, eps = n.eps;
	struct var next = add(sub(x, mul(m.pull, x)), mul(m.s, eps));
	struct var u = reversal_control(r, 0, m, next, next);
	/* The eps that eq. 1 needs to come back. */
	struct var noise = mul(m.inverse, sub(x, add(next, reversal_drift(m, next, u, 1))));
	struct var cost, work;
	if (form == FORM_LINE) {
		cost = line_cost(r, m, false, u);
		work = mul(m.root, dot(u, noise));
	} else {
		cost = scale(0.5, sub(dot(eps, eps), dot(noise, noise)));
		work = zeros(n.g, 1);
	}
	struct var running = scan_total(cost), stochastic = scan_total(work);
	scan_next(x, next);
	scan_end(n.g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(&r->base, running, stochastic,
		sub(log_gaussian(end, r->sigma0), log_density(n.start)));
	return n.g;
}

struct var reversal_flow(const struct reversal *r, struct graph *g, int set, struct var start,
	size_t k, size_t first, size_t n, struct arena *a)
{
	scan_begin(g, n);
	struct reversal_step m = part_of_scan(r, g, k, first, n, false, false, a);
	struct var x = label(scan_state(start), "x");
	struct var u = reversal_control(r, set, m, x, x);
	scan_next(x, label(add(x, reversal_drift(m, x, u, 0.5)), "next")); /* eq. 4 */
	scan_end(g);
	return scan_last(x);
}

/* The flow's prior. */
static struct var flow_prior(const struct reversal *r, struct graph *g, size_t dim)
{
	return scale(r->sigma0, controlled_prior(&r->base, g, false, true, dim));
}

struct graph *reversal_part(void *state, struct cell *c, size_t k, size_t first, size_t n,
	const real **params, struct arena *a)
{
	struct reversal *r = state;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start =
		first == 0 ? label(flow_prior(r, g, c->dim), "start") : input(g, "start", c->dim);

	label(reversal_flow(r, g, 0, start, k, first, n, a), "end");
	controlled_ready(&r->base);
	*params = learner_evaluated(&r->base.learner);
	return g;
}

int reversal_map(void *state, struct cell *c, const struct pass *pass, size_t k, size_t step,
	struct flow_map *out, struct arena *a)
{
	struct reversal *r = state, *whole;

	if (strcmp(pass->name, "ode") != 0)
		return OK;
	TRY(cell_smooth_score(c));
	controlled_ready(&r->base);
	whole = ARENA_NEW(a, 1, struct reversal); /* with the clips that the graph reads */
	*whole = *r;
	whole->base.through = true;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = input(g, "x", c->dim), v = input(g, "v", c->dim);
	scan_begin(g, 1);
	struct reversal_step m = part_of_scan(whole, g, k, step, 1, false, false, a);
	struct var x = scan_state(start);
	struct var u = reversal_control(whole, 0, m, x, x);
	struct var y = label(add(x, reversal_drift(m, x, u, 0.5)), "y"); /* eq. 4 */
	label(jvp(y, x, v), "dy");
	scan_next(x, y);
	scan_end(g);
	*out = (struct flow_map){ g, learner_evaluated(&r->base.learner), r->sigma0 };
	return OK;
}

/* The flow of eq. 4 in k steps. Its "log_w" is what the SCDS code reports along it: eq. 3 without the term in
 * eps, which is no bound. */
static struct graph *record_ode(const struct reversal *r, struct cell *c, size_t k, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x0 = flow_prior(r, g, c->dim);

	scan_begin(g, k);
	struct reversal_step m = reversal_scan(r, g, k, false, false, a);
	struct var x = label(scan_state(x0), "x");
	struct var u = label(reversal_control(r, 0, m, x, x), "u");
	struct var running = scan_total(label(line_cost(r, m, false, u), "running_step"));
	scan_next(x, add(x, reversal_drift(m, x, u, 0.5))); /* eq. 4 */
	scan_end(g);

	struct var end = label(scan_last(x), "end"), none = constant(g, 0);
	controlled_conclude(&r->base, running, none,
		sub(log_gaussian(x0, r->sigma0), log_density(end)));
	return g;
}

struct graph *reversal_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct reversal *r = state;

	return record_sde(r, c, k, training, (enum reversal_form)r->form, a);
}

struct graph *reversal_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct reversal *r = state;

	(void)published;
	return record_back(r, c, k, (enum reversal_form)r->form, a);
}

struct graph *reversal_graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	if (strcmp(what, "ode") == 0)
		return record_ode(state, c, steps, a);
	return controlled_graph(state, c, what, steps, a);
}

int reversal_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct reversal *r = state;
	struct arena_mark mark = arena_mark(c->arena);
	struct graph *paths, *back = NULL;

	if (strcmp(pass->name, "ode") == 0) {
		paths = record_ode(r, c, steps, c->arena);
		d->no_forward = true;
	} else {
		enum reversal_form form = strcmp(pass->name, "line") == 0 ? FORM_LINE : FORM_KERNEL;
		paths = record_sde(r, c, steps, false, form, c->arena);
		d->biased = r->base.published_forward;
		back = r->base.published_forward ? r->base.forward(state, c, steps, true, c->arena)
						 : record_back(r, c, steps, form, c->arena);
	}
	controlled_run(&r->base, c, paths, back, repeat, d);
	arena_release(c->arena, mark);
	return OK;
}
