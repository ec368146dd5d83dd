#include "report/plot.h"

void figures_add(struct figures *out, const struct board *b, const char *script, const char *name,
	const char *caption)
{
	struct figure *f = &out->list[out->n++];

	*f = (struct figure){ .name = name, .script = script, .caption = caption, .board = b };
}

int figures_prepare(const struct model *m, const char *folder, struct figures *out, struct arena *a)
{
	enum { KINDS = 5 };

	*out = (struct figures){ .list = ARENA_NEW(a, KINDS * m->n_boards, struct figure) };
	for (size_t i = 0; i < m->n_boards; i++) {
		const struct board *b = &m->boards[i];

		TRY(figure_samples(b, folder, out, a));
		TRY(figure_steps(m, b, true, folder, out, a));
		TRY(figure_steps(m, b, false, folder, out, a));
		TRY(figure_cost(m, b, folder, out, a));
		TRY(figure_curves(m, b, folder, out, a));
	}
	return OK;
}
