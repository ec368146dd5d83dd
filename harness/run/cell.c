#include "run/cell.h"
#include "run/clock.h"
#include "run/flow.h"
#include "score/reuse.h"

#include <stdlib.h>

/* Points of each sampler that plots show, and of the target, and the coordinates that they show. */
enum { KEPT_POINTS = 1000, KEPT_EXACT = 2000, KEPT_DIM = 2 };

/* A cell's training is this part of it, and sampling and scoring the rest: for progress. */
static const double training_part = 0.8;

static int interrupted(void)
{
	return fail(ERR_INTERRUPTED, "interrupted");
}

static void tick(const struct ticker *t, double fraction)
{
	if (t != NULL && t->tick != NULL)
		t->tick(t->context, fraction);
}

/* --- the reference set ------------------------------------------------------------------------- */

static size_t reference_size(const struct config *c)
{
	return c->reference > 0 ? c->reference : c->samples;
}

int cell_reference(const struct density *d, size_t n, double **out, struct arena *a)
{
	*out = ARENA_NEW(a, n * density_dim(d), double);
	return density_draw(d, (struct rng){ .purpose = RNG_TARGET }, 0, n, *out);
}

/* --- points for plots ------------------------------------------------------------------------- */

/* The samples that are kept are n of `size` rows, with the first `cols` of dim coordinates. */
struct kept {
	size_t n, cols, dim;
};

static struct kept kept_of(const struct config *c, size_t points, size_t size, size_t dim)
{
	if (c->keep_samples)
		return (struct kept){ size, dim, dim };
	return (struct kept){ size < points ? size : points, dim < KEPT_DIM ? dim : KEPT_DIM, dim };
}

static void write_points(FILE *f, const double *x, struct kept kept, const char *prefix)
{
	for (size_t i = 0; i < kept.n; i++) {
		fputs(prefix, f);
		for (size_t k = 0; k < kept.cols; k++)
			fprintf(f, "%s%.9g", k > 0 ? "," : "", x[i * kept.dim + k]);
		fputc('\n', f);
	}
}

static void write_header(FILE *f, const char *prefix, struct kept kept)
{
	fputs(prefix, f);
	for (size_t k = 0; k < kept.cols; k++)
		fprintf(f, "%sx%zu", k > 0 ? "," : "", k + 1);
	fputc('\n', f);
}

/* Step counts whose points are kept. */
static bool keeps_points(const struct config *config, const struct plan_cell *c, size_t steps)
{
	if (c->n_steps > 0 && (steps == c->steps[0] || steps == c->steps[c->n_steps - 1]))
		return true;
	return config->keep_samples || steps <= 2 || steps == 8 || steps == 32 || steps == 128 ||
	       c->n_steps == 1;
}

/* --- one cell --------------------------------------------------------------------------------- */

/* A cell at work. */
struct work {
	const struct plan *plan;
	const struct plan_cell *planned;
	const struct method *method;
	const struct ticker *ticker;
	FILE *samples;
	struct outcome *out;
	struct arena *arena; /* of the outcome */
	struct arena *scratch;
	struct cell cell;
	void *state;
	struct trainer trainer;
	double started;
	double ticked; /* part of the cell that earlier trainings were */
	/* Buffers of every draw. */
	double *x, *log_w, *x_exact, *log_w_forward, *log_abs_w, *sign;
	double *reference;
	const double *mode_weights;
	struct reuse *reuse;
};

/* The state that an error stands for. */
static enum cell_state state_of_error(int code)
{
	switch (code) {
	case ERR_DIVERGED:
		return CELL_DIVERGED;
	case ERR_UNSUP:
		return CELL_SKIPPED;
	case ERR_TIMEOUT:
		return CELL_TIMEOUT;
	default:
		return CELL_FAILED;
	}
}

/* End the cell with a state that is not ok, unless it is not over or the whole run is. */
static int finish_error(struct work *w, int code)
{
	if (code == ERR_INTERRUPTED || trainings_broken(w->trainer.shared) ||
		w->out->training.waits_for[0] != '\0')
		return code;
	w->out->state = state_of_error(code);
	w->out->message = arena_strdup(w->arena, error_text());
	w->out->n_results = 0;
	return OK;
}

/* ERR_INTERRUPTED by a request to stop, ERR_TIMEOUT. */
static int go_on(void *context)
{
	const struct work *w = context;
	double limit = w->plan->config->timeout_seconds;

	if (parallel_stopping())
		return interrupted();
	if (clock_seconds() - w->started <= limit)
		return OK;
	return fail(ERR_TIMEOUT, "not done after %g s (timeout_seconds)", limit);
}

/* What is left of the training part is the cell's own training's; a teacher before it gets half. */
static void tick_training(void *context, const struct training *t, double fraction)
{
	struct work *w = context;
	double left = training_part - w->ticked;

	if (t != &w->out->training)
		left /= 2;
	tick(w->ticker, w->ticked + left * fraction);
	if (fraction == 1)
		w->ticked += left;
}

static int prepare(struct work *w)
{
	const struct plan_target *t = w->planned->target;
	struct density *d;

	TRY(density_new(&d, t->target->name, t->options.settings, t->options.n, w->cell.arena));
	w->cell.target = d;
	w->cell.field = density_field(d);
	w->cell.dim = density_dim(d);
	w->cell.seed = w->planned->seed;
	w->cell.trainer = &w->trainer;
	w->state = plan_method_state(w->planned, w->cell.arena);
	return w->method->init(w->state, &w->cell);
}

static int train(struct work *w)
{
	int code = training_run(w->planned, w->state, &w->cell, &w->out->training);

	w->out->trained = w->cell.counts;
	return code;
}

static void allocate_buffers(struct work *w)
{
	size_t n = w->plan->config->samples, dim = w->cell.dim;

	w->x = ARENA_NEW(w->arena, n * dim, double);
	w->log_w = ARENA_NEW(w->arena, n, double);
	w->x_exact = ARENA_NEW(w->arena, n * dim, double);
	w->log_w_forward = ARENA_NEW(w->arena, n, double);
	w->log_abs_w = ARENA_NEW(w->arena, n, double);
	w->sign = ARENA_NEW(w->arena, n, double);
}

static void forget_draw(struct work *w, struct draws *d)
{
	for (size_t i = 0; i < d->n * w->cell.dim; i++)
		w->x[i] = (double)NAN;
	for (size_t i = 0; i < d->n; i++)
		w->log_w[i] = w->log_w_forward[i] = (double)NAN;
	d->elbo = d->log_z = d->log_z_se = (double)NAN;
}

/* One draw. NaN fills what the method should write, so that what it leaves out shows; and a draw that
 * diverges whole, whose verdict is r->diverged, for others may stand. */
static int sample_once(struct work *w, struct result *r, struct draws *d)
{
	size_t n = w->plan->config->samples, dim = w->cell.dim;
	bool weighted = r->pass->weights != WEIGHTS_NONE;
	bool exact = weighted && w->planned->target->exact;
	struct counts before = w->cell.counts;

	*d = (struct draws){ .n = n, .x = w->x };
	forget_draw(w, d);
	d->log_w = weighted ? w->log_w : NULL;
	if (exact) {
		TRY(density_draw(w->cell.target,
			(struct rng){ .seed = w->cell.seed,
				.purpose = RNG_FORWARD,
				.epoch = r->repeat },
			0, n, w->x_exact));
		d->x_exact = w->x_exact;
		d->log_w_forward = w->log_w_forward;
	}
	w->cell.aside_seconds = 0;
	w->cell.reports = &r->reports;
	double start = clock_seconds();
	int code = w->method->sample(w->state, &w->cell, r->pass, r->steps, r->repeat, d);
	if (code == ERR_DIVERGED) {
		r->diverged = arena_printf(w->arena, "diverged: %s", error_text());
		forget_draw(w, d);
	} else {
		TRY(code);
	}
	r->sample_seconds = clock_seconds() - start - w->cell.aside_seconds;
	r->evaluations = (struct counts){ .network = w->cell.counts.network - before.network,
		.target = w->cell.counts.target - before.target };
	if (w->samples != NULL && r->repeat == 0 && r->diverged == NULL &&
		keeps_points(w->plan->config, w->planned, r->steps))
		write_points(w->samples, d->x, kept_of(w->plan->config, KEPT_POINTS, n, dim),
			arena_printf(w->arena, "%s,%zu,", r->pass->name, r->steps));
	return OK;
}

static bool any_needs(const struct config *c, unsigned need)
{
	for (size_t i = 0; i < c->n_metrics; i++)
		if (c->metrics[i]->needs & need)
			return true;
	return false;
}

/* The masses of the target's modes, where a metric asks for them. */
static const double *mode_weights(const struct config *c, const struct density *d, struct arena *a)
{
	return any_needs(c, NEEDS_MODE_WEIGHTS) ? scoring_mode_weights(d, a) : NULL;
}

/* The exact weights of a deterministic flow, where a metric asks for them. */
static int weigh_flow(struct work *w, struct result *r, struct scored *in)
{
	const struct config *c = w->plan->config;
	bool is_flow;

	if (!any_needs(c, NEEDS_FLOW))
		return OK;
	int code = flow_weights(w->method, w->state, &w->cell, r->pass, r->steps, r->repeat,
		c->samples, w->log_abs_w, w->sign, &is_flow);
	if (code == ERR_UNSUP) {
		r->flow_skipped = arena_strdup(w->arena, error_text());
		return OK;
	}
	TRY(code);
	in->log_abs_w = is_flow ? w->log_abs_w : NULL;
	in->sign = is_flow ? w->sign : NULL;
	return OK;
}

static int score_all(struct work *w, struct result *r, const struct draws *d)
{
	const struct config *c = w->plan->config;
	double start = clock_seconds();
	struct scored in;

	scoring_start(&in, w->cell.target, &w->planned->target->log_z, d->x, d->n, w->cell.dim,
		w->reference, reference_size(c), w->scratch);
	r->nonfinite = in.nonfinite;
	in.log_w = d->log_w;
	in.log_w_forward = d->no_forward ? NULL : d->log_w_forward;
	r->weights = d->biased ? WEIGHTS_BIASED : r->pass->weights;
	in.weights = r->weights;
	in.elbo = d->elbo;
	in.dependent = d->dependent;
	in.log_z_own = d->log_z;
	in.log_z_se = d->log_z_se;
	in.seed = w->cell.seed;
	in.mode_weights = w->mode_weights;
	in.reuse = w->reuse;
	TRY(weigh_flow(w, r, &in));
	scoring_count_odd(&in, r->odd);
	r->scores = ARENA_NEW(w->arena, c->n_metrics, struct score);
	r->n_scores = scoring_list(c->metrics, c->n_metrics, &in, r->scores);
	if (r->diverged == NULL)
		TRY(scoring_run_all(r->scores, r->n_scores, &in, w->arena));
	else
		for (size_t i = 0; i < r->n_scores; i++)
			r->scores[i].failure = r->diverged;
	r->score_seconds = clock_seconds() - start;
	return OK;
}

/* All draws in the order in which they are made: pass, steps, repeat. */
static void list_results(struct work *w)
{
	const struct config *c = w->plan->config;
	size_t n = 0;

	for (const struct pass *p = w->method->passes; p->name != NULL; p++)
		n += (p->steps ? w->planned->n_steps : 1) * c->repeats;
	w->out->results = ARENA_NEW(w->arena, n, struct result);
	for (const struct pass *p = w->method->passes; p->name != NULL; p++)
		for (size_t s = 0; s < (p->steps ? w->planned->n_steps : 1); s++)
			for (size_t i = 0; i < c->repeats; i++)
				w->out->results[w->out->n_results++] = (struct result){ .pass = p,
					.steps = p->steps ? w->planned->steps[s] : 0,
					.repeat = (uint32_t)i };
}

static int evaluate(struct work *w)
{
	struct outcome *o = w->out;
	struct draws d;
	size_t hopeless = 0, done = 0;
	int code = OK;

	allocate_buffers(w);
	if (w->planned->target->exact)
		TRY(cell_reference(w->cell.target, reference_size(w->plan->config), &w->reference,
			w->arena));
	w->mode_weights = mode_weights(w->plan->config, w->cell.target, w->arena);
	w->reuse = reuse_new(w->reference, reference_size(w->plan->config));
	list_results(w);
	write_header(w->samples, "pass,steps,",
		kept_of(w->plan->config, KEPT_POINTS, w->plan->config->samples, w->cell.dim));
	for (size_t i = 0; i < o->n_results; i++) {
		TRY(go_on(w));
		code = sample_once(w, &o->results[i], &d);
		tick(w->ticker, training_part + (1 - training_part) * (double)(i + 1) /
							(double)o->n_results);
		if (code == ERR_UNSUP) /* of this target; other passes may be */
			continue;
		TRY(code);
		TRY(score_all(w, &o->results[i], &d));
		o->sample_seconds += o->results[i].sample_seconds;
		o->score_seconds += o->results[i].score_seconds;
		hopeless += o->results[i].nonfinite == d.n;
		if (o->message == NULL)
			o->message = o->results[i].diverged;
		o->results[done++] = o->results[i];
	}
	o->n_results = done;
	if (done == 0)
		return code;
	o->state = CELL_OK;
	if (hopeless == o->n_results) {
		o->state = CELL_DIVERGED;
		if (o->message == NULL)
			o->message = "no sample is finite";
	}
	return OK;
}

static int run(struct work *w)
{
	TRY(prepare(w));
	TRY(train(w));
	return evaluate(w);
}

int cell_run(const struct plan *p, const struct plan_cell *c, struct trainings *trainings,
	const struct ticker *t, FILE *samples, struct outcome *out, struct arena *a)
{
	struct work w = { .plan = p,
		.planned = c,
		.method = c->method,
		.ticker = t,
		.samples = samples,
		.out = out,
		.arena = a,
		.scratch = arena_new(),
		.cell = { .arena = a },
		.started = clock_seconds() };

	*out = (struct outcome){ .state = CELL_FAILED };
	w.trainer = (struct trainer){ .shared = trainings,
		.target = c->target,
		.at_most = c->at_most,
		.go_on = go_on,
		.tick = tick_training,
		.context = &w,
		.training = &out->training };
	int code = run(&w);
	if (code != OK)
		code = finish_error(&w, code);
	reuse_free(w.reuse);
	arena_free(w.scratch);
	return code;
}

/* --- noise floors ----------------------------------------------------------------------------- */

int floor_run(const struct plan *p, const struct plan_target *t, const struct ticker *ticker,
	FILE *samples, size_t *n, struct floor_scores **out, struct arena *a)
{
	const struct config *c = p->config;
	struct density *d;
	struct scored in;
	double *reference;

	TRY(density_new(&d, t->target->name, t->options.settings, t->options.n, a));
	TRY(cell_reference(d, reference_size(c), &reference, a));
	const struct kept kept = kept_of(c, KEPT_EXACT, reference_size(c), t->dim);
	write_header(samples, "", kept);
	write_points(samples, reference, kept, "");

	double *x = ARENA_NEW(a, c->samples * t->dim, double);
	*out = ARENA_NEW(a, c->n_metrics, struct floor_scores);
	struct arena *scratch = arena_new();
	scoring_start(&in, d, &t->log_z, x, c->samples, t->dim, reference, reference_size(c),
		scratch);
	in.mode_weights = mode_weights(c, d, a);
	in.reuse = reuse_new(reference, reference_size(c));
	const struct metric **floors = ARENA_NEW(a, c->n_metrics, const struct metric *);
	struct score *scores = ARENA_NEW(a, c->n_metrics, struct score);
	size_t n_floors = 0;
	for (size_t j = 0; j < c->n_metrics; j++)
		if (c->metrics[j]->floor)
			floors[n_floors++] = c->metrics[j];
	*n = scoring_list(floors, n_floors, &in, scores);
	for (size_t j = 0; j < *n; j++)
		(*out)[j] = (struct floor_scores){ scores[j].metric, 0,
			ARENA_NEW(a, c->floor_draws, double) };
	int code = OK;
	for (size_t i = 0; i < c->floor_draws && code == OK; i++) {
		code = density_draw(d, (struct rng){ .purpose = RNG_FLOOR, .epoch = (uint32_t)i },
			0, c->samples, x);
		in.seed = i;
		if (code == OK)
			code = scoring_run_all(scores, *n, &in, a);
		for (size_t j = 0; j < *n && code == OK; j++)
			if (scores[j].failure == NULL)
				(*out)[j].values[(*out)[j].n++] = scores[j].value.value;
		tick(ticker, (double)(i + 1) / (double)c->floor_draws);
	}
	reuse_free(in.reuse);
	arena_free(scratch);
	return code;
}
