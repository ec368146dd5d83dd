#include "run/estimate.h"
#include "run/cell.h"

/* Mean over the records of the method, of this target only if one is given. */
static bool average(const struct store *s, const struct plan_cell *c, const char *target,
	struct estimate *out)
{
	double trainings = 0, others = 0;
	size_t n = 0;

	for (size_t i = 0; i < store_length(s); i++) {
		const struct store_entry *e = store_at(s, i);
		if (e->state != CELL_OK || strcmp(e->method, c->method->name) != 0)
			continue;
		if (target != NULL && strcmp(e->target, target) != 0)
			continue;
		double train = e->train_seconds;
		if (e->iterations > 0)
			train *= (double)c->iterations / (double)e->iterations;
		trainings += train;
		others += e->other_seconds;
		n++;
	}
	out->train_seconds = trainings / (double)n;
	out->seconds = out->train_seconds + others / (double)n;
	return n > 0;
}

struct estimate estimate_cell(const struct store *s, const struct plan_cell *c)
{
	struct estimate e;

	e.kind = ESTIMATE_KNOWN;
	if (average(s, c, c->target->target->name, &e))
		return e;
	e.kind = ESTIMATE_ROUGH;
	if (average(s, c, NULL, &e))
		return e;
	return (struct estimate){ ESTIMATE_UNKNOWN, (double)NAN, (double)NAN };
}

struct estimate estimate_left(struct estimate e, double trained)
{
	double saved = trained * e.train_seconds;

	e.train_seconds -= saved;
	e.seconds -= saved;
	return e;
}

/* The cell at the first step count that is at least a few, with few samples. */
static void shrink(struct plan *p, struct config *config, struct plan_cell *c)
{
	enum { ITERATIONS = 3, SAMPLES = 200, STEPS = 8 };
	size_t i = 0;

	c->at_most = ITERATIONS;
	while (i + 1 < c->n_steps && c->steps[i] < STEPS)
		i++;
	if (c->n_steps > 0) {
		c->steps += i;
		c->n_steps = 1;
	}
	*config = *p->config;
	config->samples = config->samples < SAMPLES ? config->samples : SAMPLES;
	config->repeats = 1;
	p->config = config;
}

static double sum_steps(const struct plan_cell *c)
{
	double sum = 0;

	for (size_t i = 0; i < c->n_steps; i++)
		sum += (double)c->steps[i];
	return sum;
}

/* From the miniature's times to the cell's. */
static struct estimate enlarge(const struct plan *p, const struct plan_cell *c,
	const struct plan *small_plan, const struct plan_cell *small, const struct outcome *o)
{
	double more = (double)p->config->samples / (double)small_plan->config->samples;
	double repeats = (double)p->config->repeats;
	double steps = c->n_steps > 0 ? sum_steps(c) / sum_steps(small) : 1;
	double counts = c->n_steps > 0 ? (double)c->n_steps : 1;
	double train = training_seconds(&o->training, true);

	double others = o->sample_seconds * steps * more + o->score_seconds * counts * more * more;

	return (struct estimate){ ESTIMATE_PROBED, train + repeats * others, train };
}

static struct estimate probe(const struct plan *p, const struct plan_cell *c)
{
	struct estimate e = { ESTIMATE_UNKNOWN, (double)NAN, (double)NAN };
	struct plan small_plan = *p;
	struct plan_cell small = *c;
	struct config config;
	struct outcome o;
	FILE *nowhere = fopen("/dev/null", "w");
	size_t threads = parallel_threads();
	struct arena *a = arena_new();

	if (nowhere == NULL)
		goto out;
	shrink(&small_plan, &config, &small);
	parallel_use(1);
	if (cell_run(&small_plan, &small, NULL, NULL, nowhere, &o, a) == OK &&
		(o.state == CELL_OK || o.state == CELL_SKIPPED))
		e = enlarge(p, c, &small_plan, &small, &o);
	parallel_use(threads);
	fclose(nowhere);
out:
	arena_free(a);
	return e;
}

struct estimate estimate_best(const struct store *s, const struct plan *p, size_t i,
	const struct estimate *before)
{
	const struct plan_cell *c = &p->cells[i];
	struct estimate e = estimate_cell(s, c);

	if (e.kind == ESTIMATE_KNOWN)
		return e;
	if (i > 0 && c->method == c[-1].method && c->target == c[-1].target &&
		before->kind == ESTIMATE_PROBED)
		return *before;
	struct estimate probed = probe(p, c);
	return probed.kind == ESTIMATE_PROBED ? probed : e;
}
