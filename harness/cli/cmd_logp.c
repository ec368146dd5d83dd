#include "cli/cli.h"
#include "core/csv.h"
#include "stride.h"

/* The names PREFIX1 .. PREFIXdim into names from *n on. */
static void add_names(const char **names, size_t *n, const char *prefix, size_t dim,
	struct arena *a)
{
	const char **more = csv_names(prefix, dim, a);

	memcpy(names + *n, more, dim * sizeof(*more));
	*n += dim;
}

/* --- logp ------------------------------------------------------------------------------------- */

static int read_points(const char *path, size_t dim, const char *target, struct csv *t,
	struct arena *a)
{
	TRY(csv_read(t, path, CSV_FINITE, a));
	if (t->cols != dim)
		return fail(ERR_PARSE, "%s:%zu: %zu column%s; target %s takes %zu", t->path,
			t->line[0], t->cols, t->cols == 1 ? "" : "s", target, dim);
	return OK;
}

/* Row-major [n][dim] to coordinate-major, and back into columns of a table. */
static double *by_coordinate(const double *x, size_t n, size_t dim, struct arena *a)
{
	double *y = arena_alloc(a, n * dim, sizeof(*y));

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			y[k * n + i] = x[i * dim + k];
	return y;
}

static void fill_columns(double *table, size_t cols, size_t first, const double *y, size_t n,
	size_t dim)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			table[i * cols + first + k] = y[k * n + i];
}

struct logp_request {
	bool grad;
	const char *hvp; /* path of the vectors, or NULL */
	struct texts sets;
};

static int logp(void *request, const struct texts *words, int *status, struct arena *a)
{
	const struct logp_request *q = request;
	const char *path = words->n > 1 ? words->items[1] : "-";
	struct density *d;
	struct csv points, vectors;

	(void)status;
	if (q->hvp != NULL && strcmp(q->hvp, "-") == 0 && strcmp(path, "-") == 0)
		return fail(ERR_PARSE,
			"--hvp -: the points come from standard input already; give the "
			"name of a file for one of the two");
	TRY(cli_density(&d, words->items[0], &q->sets, a));
	size_t dim = density_dim(d), cols = 0;
	TRY(read_points(path, dim, words->items[0], &points, a));
	size_t n = points.rows;
	if (q->hvp != NULL) {
		TRY(read_points(q->hvp, dim, words->items[0], &vectors, a));
		if (vectors.rows != n)
			return fail(ERR_PARSE, "%s:%zu: %zu rows; the points have %zu",
				vectors.path, vectors.line[vectors.rows - 1], vectors.rows, n);
	}
	const char **names = ARENA_NEW(a, 1 + 2 * dim, const char *);
	double *table = arena_alloc(a, n * (1 + 2 * dim), sizeof(*table));
	double *x = by_coordinate(points.x, n, dim, a);
	double *log_rho = arena_alloc(a, n, sizeof(*log_rho));
	double *grad = q->grad ? arena_alloc(a, n * dim, sizeof(*grad)) : NULL;
	double *hv = q->hvp != NULL ? arena_alloc(a, n * dim, sizeof(*hv)) : NULL;

	names[cols++] = "logp";
	if (grad != NULL)
		add_names(names, &cols, "g", dim, a);
	size_t first_h = cols;
	if (hv != NULL)
		add_names(names, &cols, "h", dim, a);
	density_eval(d, n, x, log_rho, grad);
	fill_columns(table, cols, 0, log_rho, n, 1);
	if (grad != NULL)
		fill_columns(table, cols, 1, grad, n, dim);
	if (hv != NULL) {
		TRY(density_hvp(d, n, x, by_coordinate(vectors.x, n, dim, a), hv));
		fill_columns(table, cols, first_h, hv, n, dim);
	}
	return csv_write(stdout, "standard output", names, n, cols, table);
}

int cmd_logp(int argc, char **argv)
{
	static const struct command c = { "logp", "TARGET [FILE]",
		"Log density at the rows of a CSV file (- or none: standard input), as CSV:\n"
		"logp, then g1.. (gradient), then h1.. (Hessian times vector)",
		1, 2 };
	struct logp_request q = { 0 };
	const struct flag flags[] = {
		{ "grad", 0, FLAG_BOOL, &q.grad, NULL, "the gradient too" },
		{ "hvp", 0, FLAG_TEXT, &q.hvp, "FILE", "Hessian times the rows of this CSV file" },
		TARGET_SET_FLAG(&q.sets),
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, logp, &q);
}

/* --- draw ------------------------------------------------------------------------------------- */

struct draw_request {
	size_t n;
	uint64_t seed;
	struct texts sets;
};

/* Numbers of one draw: 1.6 GB of them. */
static const size_t DRAW_MAX = 200000000;

static int draw(void *request, const struct texts *words, int *status, struct arena *a)
{
	const struct draw_request *q = request;
	struct density *d;

	(void)status;
	if (q->n == 0)
		return fail(ERR_PARSE, "how many? give -n N");
	TRY(cli_density(&d, words->items[0], &q->sets, a));
	size_t dim = density_dim(d);
	if (q->n > DRAW_MAX / dim)
		return fail(ERR_RANGE, "-n %zu; it takes 1 to %zu in %zu dimensions", q->n,
			DRAW_MAX / dim, dim);
	double *x = arena_alloc(a, q->n * dim, sizeof(*x));
	TRY(density_draw(d, (struct rng){ .seed = q->seed, .purpose = RNG_TARGET }, 0, q->n, x));
	return csv_write(stdout, "standard output", csv_names("x", dim, a), q->n, dim, x);
}

int cmd_draw(int argc, char **argv)
{
	static const struct command c = { "draw", "TARGET",
		"Exact samples of a target as CSV; seed 0 starts with the reference set of runs", 1,
		1 };
	struct draw_request q = { 0 };
	const struct flag flags[] = {
		{ "number", 'n', FLAG_SIZE, &q.n, "N", "how many" },
		{ "seed", 0, FLAG_SEED, &q.seed, "S", "seed, 0 by default" },
		TARGET_SET_FLAG(&q.sets),
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, draw, &q);
}
