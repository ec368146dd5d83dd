#include "run/scoring.h"
#include "core/error.h"
#include "core/parallel.h"
#include "score/modes.h"

static size_t count_nonfinite(const double *x, size_t n, size_t dim)
{
	size_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		bool finite = true;
		for (size_t k = 0; k < dim; k++)
			finite = finite && isfinite(x[i * dim + k]);
		bad += !finite;
	}
	return bad;
}

const char *const scored_weights[SCORED_WEIGHTS] = { "log_w", "log_w_forward", "log_abs_w" };

static const double *weights_of(const struct scored *in, int kind)
{
	const double *const all[] = { in->log_w, in->log_w_forward, in->log_abs_w };

	return all[kind];
}

void scoring_count_odd(const struct scored *in, struct nonfinite odd[SCORED_WEIGHTS])
{
	for (int k = 0; k < SCORED_WEIGHTS; k++) {
		const double *log_w = weights_of(in, k);
		odd[k] = log_w != NULL ? stats_nonfinite(log_w, in->n) : (struct nonfinite){ 0 };
	}
}

/* The kind of weights that the metric is of; SCORED_WEIGHTS: none. */
static int kind_of(const struct metric *m)
{
	if (m->needs & (NEEDS_WEIGHTS | NEEDS_DETFLOW | NEEDS_EVIDENCE))
		return SCORED_LOG_W;
	if (m->needs & NEEDS_FORWARD)
		return SCORED_FORWARD;
	return m->needs & NEEDS_FLOW ? SCORED_FLOW : SCORED_WEIGHTS;
}

/* Why a value is not a number: the weights that are none. NULL: there are no such weights. */
static const char *weights_failure(const struct metric *m, const struct scored *in, struct arena *a)
{
	struct nonfinite odd[SCORED_WEIGHTS];
	int kind = kind_of(m);

	if (kind == SCORED_WEIGHTS)
		return NULL;
	scoring_count_odd(in, odd);
	if (odd[kind].nan + odd[kind].plus == 0)
		return NULL;
	return arena_printf(a, "of %zu log weights %zu are NaN and %zu infinite", in->n,
		odd[kind].nan, odd[kind].plus);
}

void scoring_start(struct scored *out, const struct density *target, const struct log_z *log_z,
	const double *x, size_t n, size_t dim, const double *exact, size_t n_exact,
	struct arena *scratch)
{
	*out = (struct scored){ .n = n,
		.dim = dim,
		.x = x,
		.nonfinite = x != NULL ? count_nonfinite(x, n, dim) : 0,
		.n_exact = exact != NULL ? n_exact : 0,
		.exact = exact,
		.elbo = (double)NAN,
		.log_z_own = (double)NAN,
		.log_z_se = (double)NAN,
		.target = target,
		.log_z = *log_z,
		.arena = scratch };
}

static bool has_finite_log_z(const struct log_z *z)
{
	return z->kind == LOG_Z_EXACT || z->kind == LOG_Z_QUADRATURE || z->kind == LOG_Z_ESTIMATE;
}

static bool has_modes(const struct density *d)
{
	const struct target *t = density_target(d);

	return t->modes != NULL && t->classify != NULL && t->modes(density_state(d)) > 0;
}

const double *scoring_mode_weights(const struct density *target, struct arena *a)
{
	if (!has_modes(target))
		return NULL;
	double *weight = ARENA_NEW(a, density_target(target)->modes(density_state(target)), double);
	return modes_known(target, weight) ? weight : NULL;
}

static bool has_mode_weights(const struct scored *in)
{
	struct arena_mark mark = arena_mark(in->arena);
	bool known = in->mode_weights || scoring_mode_weights(in->target, in->arena);

	arena_release(in->arena, mark);
	return known;
}

/* The target's means and standard deviations are known, and numbers. */
static bool has_moments(const struct density *d, struct arena *a)
{
	const size_t dim = density_dim(d);
	struct arena_mark mark = arena_mark(a);
	double *mean = ARENA_NEW(a, dim, double), *sd = ARENA_NEW(a, dim, double);
	bool known = density_moments(d, mean, sd);

	for (size_t k = 0; k < dim; k++)
		known = known && isfinite(mean[k]) && isfinite(sd[k]);
	arena_release(a, mark);
	return known;
}

/* Of weights of the kind that the draw's log_w is. */
static bool of_one_kind(const struct metric *m)
{
	return (m->needs & (NEEDS_WEIGHTS | NEEDS_FORWARD | NEEDS_DETFLOW | NEEDS_EVIDENCE)) != 0;
}

bool scoring_weighs(const struct metric *m)
{
	return of_one_kind(m) || (m->needs & NEEDS_FLOW) != 0;
}

const char *scoring_lacks(const struct metric *m, const struct scored *in)
{
	bool detflow = in->weights == WEIGHTS_DETFLOW;

	if ((m->needs & NEEDS_SAMPLES) && in->x == NULL)
		return "samples";
	if ((m->needs & NEEDS_EXACT) && in->exact == NULL)
		return "exact samples";
	if ((m->needs & (NEEDS_WEIGHTS | NEEDS_DETFLOW)) && in->log_w == NULL)
		return "log weights";
	if ((m->needs & NEEDS_FORWARD) && in->log_w_forward == NULL)
		return "log weights of paths from exact samples";
	if ((m->needs & NEEDS_FLOW) && in->log_abs_w == NULL)
		return "log weights by the exact determinant of a flow";
	if ((m->needs & NEEDS_EVIDENCE) && in->log_w == NULL && isnan(in->log_z_own))
		return "log weights or an estimate of log Z";
	if (of_one_kind(m) && detflow != ((m->needs & NEEDS_DETFLOW) != 0))
		return detflow ? "log weights that are no published deterministic-flow ones"
			       : "published deterministic-flow weights";
	if ((m->needs & NEEDS_LOG_Z) && !has_finite_log_z(&in->log_z))
		return "a known, finite log Z";
	if ((m->needs & (NEEDS_MODES | NEEDS_MODE_WEIGHTS | NEEDS_TARGET)) && in->target == NULL)
		return "a target that stride has";
	if ((m->needs & NEEDS_MODES) && !has_modes(in->target))
		return "a target with modes to tell apart";
	if ((m->needs & NEEDS_MODE_WEIGHTS) && !has_mode_weights(in))
		return "a target whose modes' masses are known";
	if ((m->needs & NEEDS_MOMENTS) && in->exact == NULL &&
		(in->target == NULL || !has_moments(in->target, in->arena)))
		return "exact samples, or known means and standard deviations";
	return NULL;
}

bool scoring_applies(const struct metric *m, const struct scored *in)
{
	return scoring_lacks(m, in) == NULL;
}

void scoring_run(const struct metric *m, const struct scored *in, struct score *out,
	struct arena *a)
{
	bool sees_samples = (m->needs & (NEEDS_SAMPLES | NEEDS_EXACT | NEEDS_MODES)) != 0;
	struct arena_mark mark = arena_mark(in->arena);

	*out = (struct score){ .metric = m, .value = value_make((double)NAN, (double)NAN) };
	if (sees_samples && in->nonfinite > 0)
		out->failure =
			arena_printf(a, "%zu of %zu samples are not finite", in->nonfinite, in->n);
	else if (m->eval(in, &out->value) != OK) {
		out->value = value_make((double)NAN, (double)NAN);
		out->failure = arena_strdup(a, error_text());
	} else if (isnan(out->value.value))
		out->failure = weights_failure(m, in, a);
	arena_release(in->arena, mark);
}

size_t scoring_list(const struct metric *const *from, size_t n, const struct scored *in,
	struct score *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (scoring_applies(from[i], in))
			out[used++] = (struct score){ .metric = from[i],
				.value = value_make((double)NAN, (double)NAN) };
	return used;
}

/* Metrics side by side. */
struct crowd {
	const struct scored *in;
	struct score *scores;
	size_t *order;
	struct arena **texts; /* of failures, one a score */
};

/* A metric's own parallel_for is one inside another here. That is sound: these bodies have no workspace of
 * their thread, so it does not matter what else the thread does while they wait, and those inside do not wait. */
static void score_one(void *context, size_t i)
{
	struct crowd *c = context;
	size_t k = c->order[i];
	struct scored in = *c->in;

	if (parallel_stopping())
		return;
	in.arena = arena_new();
	scoring_run(c->scores[k].metric, &in, &c->scores[k], c->texts[k]);
	arena_free(in.arena);
}

int scoring_run_all(struct score *scores, size_t n, const struct scored *in, struct arena *a)
{
	struct arena_mark mark = arena_mark(in->arena);
	struct crowd c = { in, scores, ARENA_NEW(in->arena, n, size_t),
		ARENA_NEW(in->arena, n, struct arena *) };
	size_t pairs = in->n * (in->n > in->n_exact ? in->n : in->n_exact), used = 0;

	/* Those of all pairs first: the others fill the gap at the end. */
	for (int late = 0; late < 2; late++)
		for (size_t i = 0; i < n; i++)
			if (scores[i].metric->pairs != late)
				c.order[used++] = i;
	for (size_t i = 0; i < n; i++)
		c.texts[i] = arena_new();
	if (pairs <= SIDE_BY_SIDE)
		parallel_for(n, score_one, &c);
	else
		for (size_t i = 0; i < n; i++)
			score_one(&c, i);
	for (size_t i = 0; i < n; i++) {
		if (scores[i].failure != NULL)
			scores[i].failure = arena_strdup(a, scores[i].failure);
		arena_free(c.texts[i]);
	}
	arena_release(in->arena, mark);
	if (parallel_stopping())
		return fail(ERR_INTERRUPTED, "interrupted");
	return OK;
}
