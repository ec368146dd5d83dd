#include "mc/trace.h"

#include "mc/diagnostics.h"
#include "run/clock.h"
#include "stride.h"

/* Numbers to keep; those of a coordinate, and draws of a chain, that are enough for diagnostics. */
enum { NUMBERS = 1 << 20, NUMBERS_OF_COORDINATE = 1 << 15, DRAWS = 1000 };

/* Draws of each chain that make up n samples. */
static size_t share(size_t n, size_t chains)
{
	return (n + chains - 1) / chains;
}

int trace_new(struct trace **out, size_t chains, size_t dim, size_t transitions, size_t n,
	struct arena *a)
{
	size_t least = share(n, chains), fit = NUMBERS / (chains * dim),
	       enough = NUMBERS_OF_COORDINATE / chains, most;

	if (transitions < least)
		return fail(ERR_RANGE,
			"%zu samples from %zu chains take %zu transitions of each after the "
			"warm-up; the options leave %zu. More evaluations or chains are needed",
			n, chains, least, transitions);
	most = fit < enough ? fit : enough;
	most = most < DRAWS ? most : DRAWS;
	most = most > least ? most : least;
	*out = ARENA_NEW(a, 1, struct trace);
	**out = (struct trace){ .chains = chains,
		.dim = dim,
		.every = transitions > most ? transitions / most : 1 };
	(*out)->draws = transitions / (*out)->every;
	(*out)->x = ARENA_NEW(a, chains * (*out)->draws * dim, double);
	return OK;
}

void trace_add(struct trace *r, size_t t, const struct particles *p)
{
	if ((t + 1) % r->every != 0 || r->kept == r->draws)
		return;
	for (size_t c = 0; c < r->chains; c++)
		particles_position(p, c, r->x + (c * r->draws + r->kept) * r->dim);
	r->kept++;
}

void trace_samples(const struct trace *r, size_t n, double *x)
{
	size_t gap = r->draws / share(n, r->chains);

	for (size_t i = 0; i < n; i++) {
		size_t chain = i % r->chains, draw = (i / r->chains + 1) * gap - 1;
		memcpy(x + i * r->dim, r->x + (chain * r->draws + draw) * r->dim,
			r->dim * sizeof(*x));
	}
}

struct diagnosis {
	const struct trace *r;
	double *rhat, *ess; /* [dim] */
};

static void diagnose(void *context, size_t k)
{
	const struct diagnosis *d = context;
	const struct trace *r = d->r;
	size_t n = r->chains * r->draws;
	struct arena *a = arena_new();
	double *x = ARENA_NEW(a, n, double);

	for (size_t i = 0; i < n; i++)
		x[i] = r->x[i * r->dim + k];
	d->rhat[k] = chains_rhat(r->chains, r->draws, x, a);
	d->ess[k] = chains_ess(r->chains, r->draws, x, a);
	arena_free(a);
}

double trace_report(const struct trace *r, struct cell *c)
{
	double start = clock_seconds(), rhat = 0, ess = HUGE_VAL;
	struct arena_mark mark = arena_mark(c->arena);
	struct diagnosis d = { r, ARENA_NEW(c->arena, r->dim, double),
		ARENA_NEW(c->arena, r->dim, double) };

	parallel_for(r->dim, diagnose, &d);
	for (size_t k = 0; k < r->dim; k++) { /* NaN stays */
		rhat = isnan(rhat) || d.rhat[k] <= rhat ? rhat : d.rhat[k];
		ess = isnan(ess) || d.ess[k] >= ess ? ess : d.ess[k];
	}
	cell_report(c, "split R-hat", rhat);
	cell_report(c, "bulk ESS", ess);
	arena_release(c->arena, mark);
	c->aside_seconds += clock_seconds() - start;
	return rhat;
}
