#include "run/curve.h"

/* Where it hangs, or would. */
static struct curve **curve_place(struct cell *c, const char *name)
{
	struct curve **link = &c->curves;

	while (*link != NULL && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static struct curve *curve_find(struct cell *c, const char *name)
{
	struct curve **link = curve_place(c, name);

	if (*link != NULL)
		return *link;
	*link = ARENA_NEW(c->arena, 1, struct curve);
	(*link)->name = arena_strdup(c->arena, name);
	(*link)->stride = 1;
	return *link;
}

/* Keep every second point. */
static void thin(struct curve *k)
{
	for (size_t i = 0; 2 * i < k->n; i++) {
		k->iteration[i] = k->iteration[2 * i];
		k->value[i] = k->value[2 * i];
	}
	k->n = (k->n + 1) / 2;
	k->stride *= 2;
}

void cell_curve(struct cell *c, const char *name, long iteration, double value)
{
	struct curve *k = curve_find(c, name);

	k->bad = isfinite(value) ? 0 : k->bad + 1;
	if (k->provisional)
		k->n--;
	if (k->n == CURVE_POINTS)
		thin(k);
	k->iteration[k->n] = iteration;
	k->value[k->n++] = value;
	k->provisional = k->calls++ % k->stride != 0;
}

void cell_curve_add(struct cell *c, const char *name, long iteration, double more)
{
	const struct curve *k = *curve_place(c, name);

	if (k != NULL)
		cell_curve(c, name, iteration, k->value[k->n - 1] + more);
	else if (more > 0)
		cell_curve(c, name, iteration, more);
}

const char *curve_diverged(const struct curve *first)
{
	for (; first != NULL; first = first->next)
		if (first->bad >= CURVE_PATIENCE)
			return first->name;
	return NULL;
}
