#include "run/reports.h"

void cell_report(struct cell *c, const char *name, double value)
{
	struct reports *r = c->reports;
	size_t i = 0;

	if (r == NULL)
		return;
	while (i < r->n && strcmp(r->of[i].name, name) != 0)
		i++;
	invariant(i < CELL_REPORTS);
	if (i == r->n)
		r->of[r->n++].name = name;
	r->of[i].value = value;
}
