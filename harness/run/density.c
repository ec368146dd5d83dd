#include "core/place.h"
#include "run/reference.h"
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

/* A change of variables in both precisions. */
#define num double
#define MAPPED(name) name##_double
#define EVAL_TYPE eval_double
#define num_product target_dgemm
typedef void (
	*eval_double)(const void *state, size_t n, const double *x, double *log_rho, double *grad);
#include "run/mapped.h"
#ifndef STRIDE_DOUBLE
#undef num
#undef MAPPED
#undef EVAL_TYPE
#undef num_product
#define num float
#define MAPPED(name) name##_float
#define EVAL_TYPE eval_float
#define num_product target_sgemm
typedef void (
	*eval_float)(const void *state, size_t n, const float *x, double *log_rho, float *grad);
#include "run/mapped.h"
#endif

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
	const struct map_double *map; /* NULL: the target's own coordinates */
#ifndef STRIDE_DOUBLE
	const struct map_float *fast_map;
#endif
	const struct reference *reference; /* NULL: none is on record, or none is needed */
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

struct log_z density_own_log_z(const struct density *d)
{
	struct log_z z = { .kind = LOG_Z_UNKNOWN,
		.value = (double)NAN,
		.se = (double)NAN,
		.source = "" };

	if (d->target->log_z != NULL)
		d->target->log_z(d->state, &z);
	return z;
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
	return density_own_log_z(d).kind == LOG_Z_UNKNOWN ? reference_find(&d->reference, d, a)
							  : OK;
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
	*out = density_own_log_z(d);
	if (d->reference != NULL)
		*out = d->reference->log_z;
}

bool density_moments(const struct density *d, double *mean, double *sd)
{
	if (d->map != NULL)
		return false;
	if (d->target->moments != NULL) {
		d->target->moments(d->state, mean, sd);
		return true;
	}
	if (d->reference == NULL)
		return false;
	memcpy(mean, d->reference->mean, d->dim * sizeof(*mean));
	memcpy(sd, d->reference->sd, d->dim * sizeof(*sd));
	return true;
}

int density_whiten(struct density **out, const struct density *d, const double *mean,
	const double *factor, struct arena *a)
{
	struct density *w = ARENA_NEW(a, 1, struct density);

	invariant(d->map == NULL);
	*w = *d;
	w->map = map_new_double(d->dim, mean, factor, a);
	if (!isfinite(w->map->log_det))
		return fail(ERR_NUMERIC, "target %s: the log-determinant of its fit is %g",
			d->target->name, w->map->log_det);
#ifndef STRIDE_DOUBLE
	w->fast_map = map_new_float(d->dim, mean, factor, a);
#endif
	w->field.context = w;
	w->field.hvp = NULL;
	*out = w;
	return OK;
}

/* --- evaluation -------------------------------------------------------------------------- */

void density_eval(const struct density *d, size_t n, const double *x, double *log_rho, double *grad)
{
	if (d->map != NULL)
		map_eval_double(d->map, d->target->eval, d->state, d->dim, n, x, log_rho, grad);
	else
		d->target->eval(d->state, n, x, log_rho, grad);
}

void density_eval_real(const struct density *d, size_t n, const real *x, double *log_rho,
	real *grad)
{
#ifdef STRIDE_DOUBLE
	density_eval(d, n, x, log_rho, grad);
#else
	if (d->map != NULL)
		map_eval_float(d->fast_map, d->fast->eval, d->fast_state, d->dim, n, x, log_rho,
			grad);
	else
		d->fast->eval(d->fast_state, n, x, log_rho, grad);
#endif
}

int density_hvp(const struct density *d, size_t n, const double *x, const double *v, double *hv)
{
	if (d->target->hvp == NULL || d->map != NULL)
		return fail(ERR_UNSUP, "target %s has no Hessian-vector product", d->target->name);
	d->target->hvp(d->state, n, x, v, hv);
	return OK;
}

int density_draw(const struct density *d, struct rng r, uint64_t first, size_t n, double *x)
{
	if (d->target->draw == NULL || d->map != NULL)
		return fail(ERR_UNSUP, "target %s has no exact sampler", d->target->name);
	for (size_t i = 0; i < n; i++)
		d->target->draw(d->state, r, first + i, x + i * d->dim);
	return OK;
}

const struct field *density_field(const struct density *d)
{
	return &d->field;
}
