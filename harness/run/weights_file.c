#include "run/weights_file.h"
#include "core/error.h"
#include "core/table_file.h"

#include <string.h>

static const char *const costs[] = { "running", "stochastic", "terminal" };
enum { COSTS = sizeof(costs) / sizeof(costs[0]) };

/* Names for a file that has none. */
static int give_names(struct table_file *t, const char *names, struct arena *a)
{
	char *rest = arena_strdup(a, names), *name;
	size_t n = 0;

	if (t->names != NULL)
		return fail(ERR_PARSE, "%s: has a header; names are for a file without one",
			t->path);
	t->names = ARENA_NEW(a, t->cols, const char *);
	while ((name = strsep(&rest, ",")) != NULL) {
		if (n < t->cols)
			t->names[n] = name;
		n++;
	}
	if (n != t->cols)
		return fail(ERR_PARSE, "%s: %zu column%s and %zu name%s; every column takes one",
			t->path, t->cols, t->cols == 1 ? "" : "s", n, n == 1 ? "" : "s");
	return OK;
}

/* The column of this name; cols when there is none. */
static size_t column_of(const struct table_file *t, const char *name)
{
	size_t k = 0;

	while (k < t->cols && (t->names == NULL || strcmp(t->names[k], name) != 0))
		k++;
	return k;
}

static double *copy_column(const struct table_file *t, size_t k, struct arena *a)
{
	if (k == t->cols)
		return NULL;
	double *x = arena_alloc(a, t->rows, sizeof(*x));
	for (size_t i = 0; i < t->rows; i++)
		x[i] = t->x[i * t->cols + k];
	return x;
}

/* Minus the sum of the costs; NULL where one of them is not there. */
static double *from_costs(const struct table_file *t, struct arena *a)
{
	size_t column[COSTS];

	for (size_t j = 0; j < COSTS; j++)
		if ((column[j] = column_of(t, costs[j])) == t->cols)
			return NULL;
	double *x = arena_alloc(a, t->rows, sizeof(*x));
	for (size_t i = 0; i < t->rows; i++) {
		double sum = 0;
		for (size_t j = 0; j < COSTS; j++)
			sum += t->x[i * t->cols + column[j]];
		x[i] = -sum;
	}
	return x;
}

int weights_file_read(struct weights_file *out, const char *path, const char *names,
	struct arena *a)
{
	struct table_file t;

	TRY(table_file_read(&t, path, a));
	if (names != NULL)
		TRY(give_names(&t, names, a));
	*out = (struct weights_file){ .path = t.path, .n = t.rows };
	out->log_w = copy_column(&t, column_of(&t, "log_w"), a);
	out->log_w_forward = copy_column(&t, column_of(&t, "log_w_forward"), a);
	if (out->log_w == NULL)
		out->log_w = from_costs(&t, a);
	if (out->log_w == NULL && t.names == NULL && t.cols == 1)
		out->log_w = t.x;
	if (out->log_w == NULL && out->log_w_forward == NULL)
		return fail(ERR_PARSE,
			"%s: %zu column%s, and none called log_w or log_w_forward, nor running, "
			"stochastic and terminal; one without a name is log_w",
			t.path, t.cols, t.cols == 1 ? "" : "s");
	return OK;
}
