#include "nn/optim.h"
#include "core/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void optimiser_init(struct optimiser *o, size_t n, struct arena *a)
{
	o->n = n;
	o->count = 0;
	o->m = ARENA_NEW(a, n, real);
	o->v = ARENA_NEW(a, n, real);
}

static void zero_nans(size_t n, real *grad)
{
	for (size_t i = 0; i < n; i++)
		grad[i] = isnan(grad[i]) ? 0 : grad[i];
}

/* Scale to the norm when it is reached or exceeded; elements otherwise. */
static void clip_gradient(const struct adam *s, size_t n, real *grad)
{
	if (s->clip == CLIP_NORM) {
		double square = 0;
		for (size_t i = 0; i < n; i++)
			square += (double)grad[i] * (double)grad[i];
		double norm = sqrt(square) + s->clip_slack;
		if (norm < s->clip_bound)
			return;
		real factor = (real)(s->clip_bound / norm);
		for (size_t i = 0; i < n; i++)
			grad[i] *= factor;
	} else if (s->clip == CLIP_ELEMENT) {
		real bound = (real)s->clip_bound;
		for (size_t i = 0; i < n; i++)
			grad[i] = grad[i] > bound ? bound : (grad[i] < -bound ? -bound : grad[i]);
	}
}

double adam_rate(const struct adam *s, long n)
{
	if (s->decay_every == 0)
		return s->rate;
	return s->rate * pow(s->decay, (double)(n / s->decay_every));
}

void adam_step(struct optimiser *o, const struct adam *s, real *theta, real *grad)
{
	size_t n = o->n;

	zero_nans(n, grad);
	clip_gradient(s, n, grad);
	o->count++;
	const real b1 = (real)s->beta1, b2 = (real)s->beta2, eps = (real)s->eps;
	const real c1 = (real)(1 - s->beta1), c2 = (real)(1 - s->beta2);
	const real m_hat = (real)(1 / (1 - pow(s->beta1, (double)o->count)));
	const real v_hat = (real)(1 / (1 - pow(s->beta2, (double)o->count)));
	const real rate = (real)adam_rate(s, o->count - 1), l2 = (real)s->l2,
		   decay = (real)s->weight_decay;
	real *m = o->m, *v = o->v;
#pragma omp simd
	for (size_t i = 0; i < n; i++) {
		real g = grad[i] + l2 * theta[i];
		m[i] = b1 * m[i] + c1 * g;
		v[i] = b2 * v[i] + c2 * g * g;
		real root = v[i] * v_hat;
#ifdef STRIDE_DOUBLE
		root = sqrt(root);
#else
		root = sqrtf(root);
#endif
		theta[i] -= rate * (m[i] * m_hat / (root + eps) + decay * theta[i]);
	}
}

void learner_init(struct learner *l, size_t n, struct arena *a)
{
	*l = (struct learner){ .n = n,
		.theta = ARENA_NEW(a, n, real),
		.grad = ARENA_NEW(a, n, real) };
	optimiser_init(&l->optimiser, n, a);
}

void learner_average(struct learner *l, struct averaging how, struct arena *a)
{
	l->averaging = how;
	l->average = ARENA_NEW(a, l->n, real);
	memcpy(l->average, l->theta, l->n * sizeof(real));
}

real *learner_evaluated(const struct learner *l)
{
	return l->average != NULL ? l->average : l->theta;
}

double averaging_decay(const struct averaging *s, long n)
{
	long e = n - s->from - 1;

	return e <= 0 ? 0 : fmin(1 - pow(1 + (double)e, -s->power), s->most);
}

static void update_average(struct learner *l)
{
	const struct averaging *s = &l->averaging;
	long n = l->optimiser.count;

	if (s->every == 0 || n % s->every != 0)
		return;
	double decay = averaging_decay(s, n);
	if (decay > 0)
		ema_update(l->n, decay, l->average, l->theta);
	else
		memcpy(l->average, l->theta, l->n * sizeof(real));
}

static bool all_finite(size_t n, const real *x)
{
	bool finite = true;

	for (size_t i = 0; i < n; i++)
		finite = finite && isfinite(x[i]);
	return finite;
}

bool learner_update(struct learner *l, double loss)
{
	if (l->settings.skip && !(isfinite(loss) && all_finite(l->n, l->grad)))
		return false;
	adam_step(&l->optimiser, &l->settings, l->theta, l->grad);
	update_average(l);
	return true;
}

double learner_step(struct learner *l, struct graph *g, struct graph_args *args, double factor)
{
	args->params[0] = l->theta;
	double loss = graph_gradient(g, args, l->n, l->grad);
	if (factor != 1)
		for (size_t i = 0; i < l->n; i++)
			l->grad[i] *= (real)factor;
	return learner_update(l, loss) ? loss : (double)NAN;
}

static const char *joined(const char *name, const char *part, char text[64])
{
	invariant(snprintf(text, 64, "%s.%s", name, part) < 64);
	return text;
}

void learner_keep(struct learner *l, const char *name, struct checkpoint *k)
{
	size_t bytes = l->n * sizeof(real);
	char text[64];

	checkpoint_add(k, joined(name, "theta", text), l->theta, bytes);
	checkpoint_add_passing(k, joined(name, "m", text), l->optimiser.m, bytes);
	checkpoint_add_passing(k, joined(name, "v", text), l->optimiser.v, bytes);
	/* Not passing: clips on a schedule go by it, and evaluation goes by them. */
	checkpoint_add(k, joined(name, "steps", text), &l->optimiser.count,
		sizeof(l->optimiser.count));
	if (l->average != NULL)
		checkpoint_add(k, joined(name, "average", text), l->average, bytes);
}

void ema_update(size_t n, double decay, real *average, const real *theta)
{
	const real keep = (real)decay, take = (real)(1 - decay);

#pragma omp simd
	for (size_t i = 0; i < n; i++)
		average[i] = keep * average[i] + take * theta[i];
}

double step_schedule(const long *milestones, size_t n, double gamma, long step)
{
	double factor = 1;

	for (size_t i = 0; i < n; i++)
		factor *= milestones[i] <= step ? gamma : 1;
	return factor;
}
