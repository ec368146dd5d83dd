#include "run/flow.h"
#include "nn/jacobian.h"

int cell_smooth_score(const struct cell *c)
{
	const struct target *t = density_target(c->target);

	if (c->field->hvp == NULL)
		return fail(ERR_UNSUP, "target %s has no Hessian-vector product", t->name);
	if (t->jumps || t->kinks)
		return fail(ERR_UNSUP,
			"the score of target %s is not Lipschitz: no change of variables through "
			"it",
			t->name);
	return OK;
}

/* x_0 [n][dim] as the engine has it, and -log p(x_0) [n]. */
static void draw_prior(struct rng r, double deviation, size_t n, size_t dim, double *x,
	double *log_abs)
{
	const double normaliser = (double)dim * (log(deviation) + LOG_2PI / 2);

	for (size_t i = 0; i < n; i++) {
		double square = 0;
		for (size_t k = 0; k < dim; k++) {
			double z = (double)(real)(deviation * rng_gauss(r, 0, i, (uint32_t)k));
			x[i * dim + k] = z;
			square += z * z;
		}
		log_abs[i] = square / (2 * deviation * deviation) + normaliser;
	}
}

/* log_abs += log rho(x), x [n][dim]. */
static void add_density(const struct cell *c, size_t n, const double *x, double *log_abs)
{
	double *block = arena_alloc(c->arena, n * c->dim, sizeof(*block));
	double *log_rho = arena_alloc(c->arena, n, sizeof(*log_rho));

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < c->dim; k++)
			block[k * n + i] = x[i * c->dim + k];
	density_eval(c->target, n, block, log_rho, NULL);
	for (size_t i = 0; i < n; i++)
		log_abs[i] += log_rho[i];
}

static int check_cost(size_t dim, size_t steps)
{
	if (dim <= FLOW_DIM_MAX && dim * steps <= FLOW_COLUMNS_MAX)
		return OK;
	return fail(ERR_UNSUP,
		"%zu dimensions and %zu steps; at most %d, and %d Jacobian columns a sample", dim,
		steps, FLOW_DIM_MAX, FLOW_COLUMNS_MAX);
}

/* The step's map; a pass without a step axis is one. */
static int map_of(const struct method *m, void *state, struct cell *c, const struct pass *pass,
	size_t steps, size_t step, struct flow_map *out)
{
	*out = (struct flow_map){ .g = NULL };
	return m->map(state, c, pass, steps, step, out, c->arena);
}

static int compose(const struct method *m, void *state, struct cell *c, const struct pass *pass,
	size_t steps, uint32_t repeat, size_t n, double *log_abs, double *sign, bool *is_flow)
{
	const struct rng r = { .seed = c->seed, .purpose = RNG_EVIDENCE, .epoch = repeat };
	const size_t maps = pass->steps ? steps : 1;
	double *x = arena_alloc(c->arena, n * c->dim, sizeof(*x));
	struct flow_map map;

	for (size_t step = 0; step < maps; step++) {
		struct arena_mark mark = arena_mark(c->arena);
		TRY(map_of(m, state, c, pass, steps, step, &map));
		*is_flow = map.g != NULL;
		if (!*is_flow)
			return OK;
		if (step == 0) {
			TRY(check_cost(c->dim, maps));
			draw_prior(r, map.deviation, n, c->dim, x, log_abs);
			for (size_t i = 0; i < n; i++)
				sign[i] = 1;
		}
		if (parallel_stopping())
			return fail(ERR_INTERRUPTED, "interrupted");
		const real *const params[GRAPH_PARAMS_MAX] = { map.params };
		jacobian_log_det(map.g, params, n, c->dim, x, x, log_abs, sign);
		arena_release(c->arena, mark);
	}
	add_density(c, n, x, log_abs);
	return OK;
}

int flow_weights(const struct method *m, void *state, struct cell *c, const struct pass *pass,
	size_t steps, uint32_t repeat, size_t n, double *log_abs, double *sign, bool *is_flow)
{
	const struct counts before = c->counts;
	struct arena_mark mark = arena_mark(c->arena);

	*is_flow = false;
	int code = m->map != NULL
			   ? compose(m, state, c, pass, steps, repeat, n, log_abs, sign, is_flow)
			   : OK;
	arena_release(c->arena, mark);
	c->counts = before;
	return code;
}
