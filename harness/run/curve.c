#include "run/curve.h"

static struct curve *curve_find(struct cell *c, const char *name)
{
	struct curve **link = &c->curves;

	for (; *link != NULL; link = &(*link)->next)
		if (strcmp((*link)->name, name) == 0)
			return *link;
	*link = ARENA_NEW(c->arena, 1, struct curve);
	(*link)->name = arena_strdup(c->arena, name);
	(*link)->stride = 1;
	return *link;
}

/* Keep the points on the doubled stride. */
static void thin(struct curve *k)
{
	size_t kept = 0;

	k->stride *= 2;
	for (size_t i = 0; i < k->n; i++)
		if (k->iteration[i] % k->stride == 0) {
			k->iteration[kept] = k->iteration[i];
			k->value[kept++] = k->value[i];
		}
	k->n = kept;
}

void cell_curve(struct cell *c, const char *name, long iteration, double value)
{
	struct curve *k = curve_find(c, name);

	k->bad = isfinite(value) ? 0 : k->bad + 1;
	/* The last point stays only if it is on the stride. */
	if (k->n > 0 && k->iteration[k->n - 1] % k->stride != 0)
		k->n--;
	if (k->n == CURVE_POINTS)
		thin(k);
	k->iteration[k->n] = iteration;
	k->value[k->n++] = value;
}

const char *curve_diverged(const struct curve *first)
{
	for (; first != NULL; first = first->next)
		if (first->bad >= CURVE_PATIENCE)
			return first->name;
	return NULL;
}
