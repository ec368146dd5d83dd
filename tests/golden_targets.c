/* Log densities and gradients of targets: INDEX.csv names target, options and tolerances of each
 * fixture, SET_FIXTURE.csv has the columns x1..xD, logp, g1..gD. */
#include "golden.h"

#include <stdlib.h>

enum { SETTINGS_MAX = 16 };

static const char *const keys[] = { "fixture", "target", "options", "tol_logp", "tol_grad" };

/* What a row of the index says. */
struct entry {
	const char *fixture, *target;
	struct setting settings[SETTINGS_MAX];
	size_t n;
	double tol_logp, tol_grad;
};

/* "key=value key=value" (or separated by ;). Cuts the text. */
static bool split_settings(struct golden *g, const char *place, char *text, struct entry *e)
{
	char *save = NULL;

	e->n = 0;
	for (char *s = strtok_r(text, " ;", &save); s != NULL; s = strtok_r(NULL, " ;", &save)) {
		char *equals = strchr(s, '=');
		if (equals == NULL || equals == s || e->n == SETTINGS_MAX) {
			golden_failed(g, "%s: option \"%s\"; at most %d of KEY=VALUE are needed",
				place, s, SETTINGS_MAX);
			return false;
		}
		*equals = '\0';
		e->settings[e->n++] = (struct setting){ s, equals + 1 };
	}
	return true;
}

static bool read_tolerance(struct golden *g, const char *place, const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	if (end != text && *end == '\0' && isfinite(*out) && *out >= 0)
		return true;
	golden_failed(g, "%s: tolerance \"%s\"; a finite number from 0 is needed", place, text);
	return false;
}

static bool read_entry(struct golden *g, const struct csv *index, size_t row, struct entry *e)
{
	struct arena *a = golden_arena(g);
	const char *place = arena_printf(a, "%s:%zu", index->path, index->line[row]);
	const char *value[5];

	for (size_t k = 0; k < 5; k++)
		value[k] = index->cell[row * index->cols + csv_column(index, keys[k])];
	e->fixture = value[0];
	e->target = value[1];
	return split_settings(g, place, arena_strdup(a, value[2]), e) &&
	       read_tolerance(g, place, value[3], &e->tol_logp) &&
	       read_tolerance(g, place, value[4], &e->tol_grad);
}

/* Coordinate-major from the rows of a table; back from coordinate-major. */
static double *columns_of(struct golden *g, const struct csv *t, size_t first, size_t dim)
{
	double *x = arena_alloc(golden_arena(g), t->rows * dim, sizeof(*x));

	for (size_t i = 0; i < t->rows; i++)
		for (size_t k = 0; k < dim; k++)
			x[k * t->rows + i] = t->x[i * t->cols + first + k];
	return x;
}

static double *rows_of(struct golden *g, const double *columns, size_t n, size_t dim)
{
	double *x = arena_alloc(golden_arena(g), n * dim, sizeof(*x));

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			x[i * dim + k] = columns[k * n + i];
	return x;
}

/* The instance that the engine uses, in builds where it is not the one in double. Its input is
 * rounded to float, which moves log rho by the gradient times half a unit: that is allowed for by
 * comparing with the double instance at the rounded point. */
static void compare_real(struct golden *g, const struct density *d, size_t n, const double *x,
	const char *file)
{
	const size_t dim = density_dim(d);
	struct arena *a = golden_arena(g);
	real *xr = arena_alloc(a, n * dim, sizeof(*xr)), *gr = arena_alloc(a, n * dim, sizeof(*gr));
	double *y = arena_alloc(a, n * dim, sizeof(*y)),
	       *grad = arena_alloc(a, n * dim, sizeof(*y));
	double *wide = arena_alloc(a, n * dim, sizeof(*y));
	double *got = arena_alloc(a, n, sizeof(*got)), *want = arena_alloc(a, n, sizeof(*want));

	for (size_t j = 0; j < n * dim; j++)
		y[j] = (double)(xr[j] = (real)x[j]);
	density_eval(d, n, y, want, grad);
	density_eval_real(d, n, xr, got, gr);
	for (size_t j = 0; j < n * dim; j++)
		wide[j] = (double)gr[j];
	golden_compare(g, n, 1, got, want, 1, 2e-4, "%s log density, float", file);
	golden_compare(g, n, dim, rows_of(g, wide, n, dim), rows_of(g, grad, n, dim), 1, 2e-4,
		"%s gradient, float", file);
}

static void compare_fixture(struct golden *g, const char *dir, const char *file,
	const struct density *d, double tol_logp, double tol_grad)
{
	struct csv t;
	size_t dim = density_dim(d);

	if (!golden_csv(g, dir, file, &t))
		return;
	if (t.cols != 2 * dim + 1) {
		golden_failed(g, "%s: %zu columns; target %s has dimension %zu", t.path, t.cols,
			density_target(d)->name, dim);
		return;
	}
	double *x = columns_of(g, &t, 0, dim), *want = columns_of(g, &t, dim, 1);
	double *want_grad = rows_of(g, columns_of(g, &t, dim + 1, dim), t.rows, dim);
	double *got = arena_alloc(golden_arena(g), t.rows, sizeof(*got));
	double *grad = arena_alloc(golden_arena(g), t.rows * dim, sizeof(*grad));
	density_eval(d, t.rows, x, got, grad);
	golden_compare(g, t.rows, 1, got, want, 1, tol_logp, "%s log density", file);
	golden_compare(g, t.rows, dim, rows_of(g, grad, t.rows, dim), want_grad, 1, tol_grad,
		"%s gradient", file);
	if (sizeof(real) < sizeof(double))
		compare_real(g, d, t.rows, x, file);
}

/* One row of the index, for every set that has the fixture. */
static void one_fixture(struct golden *g, const char *dir, const struct csv *index, size_t row)
{
	struct arena *a = golden_arena(g);
	struct entry e;

	if (!read_entry(g, index, row, &e))
		return;
	const char *suffix = arena_printf(a, "_%s.csv", e.fixture);
	for (const char **set = golden_sets(g, dir, suffix); *set != NULL; set++) {
		const char *file = arena_printf(a, "%s%s", *set, suffix);
		struct density *d;
		if (target_find(e.target) == NULL)
			continue; /* listed with the unknown files */
		if (density_new(&d, e.target, e.settings, e.n, a) != OK)
			golden_failed(g, "%s: %s", file, error_text());
		else
			compare_fixture(g, dir, file, d, e.tol_logp, e.tol_grad);
	}
}

static bool is_index(struct golden *g, const struct csv *index)
{
	for (size_t k = 0; k < 5; k++)
		if (csv_column(index, keys[k]) == index->cols) {
			golden_failed(g, "%s: not an index of fixtures", index->path);
			return false;
		}
	return true;
}

static bool lists(const struct csv *index, const char *fixture)
{
	size_t column = csv_column(index, "fixture");

	for (size_t row = 0; row < index->rows; row++)
		if (strcmp(index->cell[row * index->cols + column], fixture) == 0)
			return true;
	return false;
}

/* The folder's index, and for fixtures that it does not list, or a folder without one, the project's. */
void golden_targets(struct golden *g, const char *dir)
{
	const char *const folders[] = { dir, "tests/golden/targets" };
	const struct csv none = { 0 };
	struct csv index[2] = { none, none };

	for (size_t i = 0; i < 2; i++) {
		if (i == 0 && !golden_exists(g, dir, "INDEX.csv"))
			continue;
		if (!golden_csv_text(g, folders[i], "INDEX.csv", &index[i]) ||
			!is_index(g, &index[i]))
			return;
	}
	for (size_t i = 0; i < 2; i++)
		for (size_t row = 0; row < index[i].rows; row++) {
			size_t at = row * index[i].cols + csv_column(&index[i], "fixture");
			if (i == 0 || index[0].rows == 0 || !lists(&index[0], index[i].cell[at]))
				one_fixture(g, dir, &index[i], row);
		}
}
