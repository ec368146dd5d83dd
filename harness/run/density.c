#include "core/place.h"
#include "stride.h"

#include <stdlib.h>
#include <unistd.h>

/* --- data files -------------------------------------------------------------------------- */

const char *data_path(const char *file, struct arena *a)
{
	const char *folder = getenv("STRIDE_DATA");
	const char *path;

	if (strchr(file, '/') != NULL)
		return file;
	if (folder != NULL && access(path = arena_printf(a, "%s/%s", folder, file), R_OK) == 0)
		return path;
	path = place_find("targets/data", "data", file, a);
	return path != NULL ? path : file; /* opening it gives the message */
}

/* --- densities --------------------------------------------------------------------------- */

/* With real = double the graph uses the double instance, and there is no float one. */
struct density {
	const struct target *target;
	void *state;
#ifndef STRIDE_DOUBLE
	const struct target_f32 *fast;
	void *fast_state;
#endif
	size_t dim;
	struct field field;
};

static int prepare(void **state, size_t size, const struct option *options,
	int (*init)(void *state, struct arena *a), const char *owner,
	const struct setting *settings, size_t n, struct arena *a)
{
	static const struct option none[] = { { 0 } };
	const struct option *table = options != NULL ? options : none;

	*state = arena_zalloc(a, 1, size);
	option_defaults(table, *state, a);
	for (size_t i = 0; i < n; i++)
		TRY(option_set(table, *state, owner, settings[i].key, settings[i].value, a));
	return init != NULL ? init(*state, a) : OK;
}

static void field_eval(const void *context, size_t n, const real *x, double *log_rho, real *grad)
{
	density_eval_real(context, n, x, log_rho, grad);
}

static void field_hvp(const void *context, size_t n, const real *x, const real *v, real *hv)
{
	const struct density *d = context;

#ifdef STRIDE_DOUBLE
	d->target->hvp(d->state, n, x, v, hv);
#else
	d->fast->hvp(d->fast_state, n, x, v, hv);
#endif
}

int density_new(struct density **out, const char *target, const struct setting *settings, size_t n,
	struct arena *a)
{
	struct density *d = ARENA_NEW(a, 1, struct density);
	const char *owner = arena_printf(a, "target %s", target);

	d->target = target_find(target);
	if (d->target == NULL)
		return ERR_NAME;
	TRY(prepare(&d->state, d->target->state_size, d->target->options, d->target->init, owner,
		settings, n, a));
#ifndef STRIDE_DOUBLE
	size_t index = 0;
	while (targets[index] != d->target)
		index++;
	d->fast = targets_f32[index];
	TRY(prepare(&d->fast_state, d->fast->state_size, d->fast->options, d->fast->init, owner,
		settings, n, a));
#endif
	d->dim = d->target->dim(d->state);
	d->field = (struct field){ .context = d,
		.dim = d->dim,
		.eval = field_eval,
		.hvp = d->target->hvp != NULL ? field_hvp : NULL };
	*out = d;
	return OK;
}

const struct target *density_target(const struct density *d)
{
	return d->target;
}

const void *density_state(const struct density *d)
{
	return d->state;
}

size_t density_dim(const struct density *d)
{
	return d->dim;
}

void density_log_z(const struct density *d, struct log_z *out)
{
	*out = (struct log_z){ .kind = LOG_Z_UNKNOWN,
		.value = (double)NAN,
		.se = (double)NAN,
		.source = "" };
	if (d->target->log_z != NULL)
		d->target->log_z(d->state, out);
}

void density_eval(const struct density *d, size_t n, const double *x, double *log_rho, double *grad)
{
	d->target->eval(d->state, n, x, log_rho, grad);
}

void density_eval_real(const struct density *d, size_t n, const real *x, double *log_rho,
	real *grad)
{
#ifdef STRIDE_DOUBLE
	d->target->eval(d->state, n, x, log_rho, grad);
#else
	d->fast->eval(d->fast_state, n, x, log_rho, grad);
#endif
}

int density_hvp(const struct density *d, size_t n, const double *x, const double *v, double *hv)
{
	if (d->target->hvp == NULL)
		return fail(ERR_UNSUP, "target %s has no Hessian-vector product", d->target->name);
	d->target->hvp(d->state, n, x, v, hv);
	return OK;
}

int density_draw(const struct density *d, struct rng r, uint64_t first, size_t n, double *x)
{
	if (d->target->draw == NULL)
		return fail(ERR_UNSUP, "target %s has no exact sampler", d->target->name);
	for (size_t i = 0; i < n; i++)
		d->target->draw(d->state, r, first + i, x + i * d->dim);
	return OK;
}

const struct field *density_field(const struct density *d)
{
	return &d->field;
}
