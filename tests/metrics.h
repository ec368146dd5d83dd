#ifndef STRIDE_TESTS_METRICS_H
#define STRIDE_TESTS_METRICS_H

/* What the tests of metrics share: an arena a test, scoring, and the recorded numbers. */

#include "core/csv.h"
#include "stride.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GOLDEN "tests/golden/metrics/"

static const double not_a_number = (double)NAN;
static struct arena *arena;

static inline int set_up(void **state)
{
	(void)state;
	arena = arena_new();
	parallel_use(1);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static inline void assert_near(double a, double b, double tolerance, const char *what)
{
	if (!(fabs(a - b) <= tolerance))
		fail_msg("%s: %.17g is not within %g of %.17g", what, a, tolerance, b);
}

/* Score, leaving no scratch behind. */
static inline int eval(const char *name, const struct scored *in, struct value *out)
{
	const struct metric *m = metric_find(name);
	struct arena_mark mark = arena_mark(arena);

	assert_non_null(m);
	*out = value_make(not_a_number, not_a_number);
	int code = m->eval(in, out);
	arena_release(arena, mark);
	return code;
}

static inline struct value value_of(const char *name, const struct scored *in)
{
	struct value out;

	if (eval(name, in, &out) != OK)
		fail_msg("%s: %s", name, error_text());
	return out;
}

static inline struct csv *read_csv(const char *path)
{
	struct csv *table = ARENA_NEW(arena, 1, struct csv);

	if (csv_read(table, path, CSV_ANY, arena) != OK)
		fail_msg("%s", error_text());
	return table;
}

/* A table of expectations: text, because of names and empty fields. */
static inline struct csv *read_expected(const char *path)
{
	struct csv *table = ARENA_NEW(arena, 1, struct csv);

	if (csv_read_text(table, path, arena) != OK)
		fail_msg("%s", error_text());
	return table;
}

static inline const char *field(const struct csv *t, size_t row, const char *column)
{
	size_t k = csv_column(t, column);

	assert_true(k < t->cols);
	return t->cell[row * t->cols + k];
}

static inline double number(const struct csv *t, size_t row, const char *column)
{
	return strtod(field(t, row, column), NULL);
}

/* Exact samples and a model's samples. */
static inline struct scored samples(const double *exact, size_t n_exact, const double *x, size_t n,
	size_t dim)
{
	return (struct scored){
		.n = n,
		.dim = dim,
		.x = x,
		.n_exact = n_exact,
		.exact = exact,
		.elbo = not_a_number,
		.arena = arena,
	};
}

/* x -> scale Q x + shift for every row, Q the reflection along (1, 2, 3, ...), or 1. */
static inline const double *moved(const double *x, size_t n, size_t dim, bool reflect, double scale,
	double shift)
{
	double *out = arena_alloc(arena, n * dim, sizeof(double)), square = 0;

	for (size_t k = 0; k < dim; k++)
		square += (double)((k + 1) * (k + 1));
	for (size_t i = 0; i < n; i++) {
		double along = 0;
		for (size_t k = 0; k < dim; k++)
			along += x[i * dim + k] * (double)(k + 1);
		for (size_t k = 0; k < dim; k++)
			out[i * dim + k] =
				shift +
				scale * (x[i * dim + k] -
						(reflect ? 2 * along * (double)(k + 1) / square
							 : 0));
	}
	return out;
}

/* The clouds of a row of the table of expectations; false when the repository keeps no copy. */
static inline bool read_clouds(const struct csv *expected, size_t row, struct scored *in)
{
	const char *name = field(expected, row, "case");
	const char *path = arena_printf(arena, GOLDEN "clouds/%s_X.csv", name);
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	fclose(f);
	struct csv *x = read_csv(path);
	struct csv *y = read_csv(arena_printf(arena, GOLDEN "clouds/%s_Y.csv", name));
	*in = samples(x->x, x->rows, y->x, y->rows, x->cols);
	return true;
}

#endif
