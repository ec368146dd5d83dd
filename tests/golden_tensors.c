#include "golden_tensors.h"

#include <stdlib.h>

enum { NAMES_SHOWN = 120 };

/* --- files -------------------------------------------------------------------------------------- */

/* The next word of a text, cut off in place; NULL after the last one. */
static char *next_word(char **text)
{
	return strtok_r(NULL, " \t\r\n", text);
}

static bool read_size(char **text, size_t *n)
{
	char *word = next_word(text), *end = NULL;

	if (word == NULL)
		return false;
	*n = strtoul(word, &end, 10);
	return *end == '\0';
}

/* What follows the word "tensor". */
static bool read_tensor(struct golden *g, char **text, struct tensor *t)
{
	t->name = next_word(text);
	t->size = 1;
	if (t->name == NULL || !read_size(text, &t->n_dims) || t->n_dims > TENSOR_DIMS_MAX)
		return false;
	for (size_t i = 0; i < t->n_dims; i++) {
		if (!read_size(text, &t->dims[i]))
			return false;
		t->size *= t->dims[i];
	}
	t->x = ARENA_NEW(golden_arena(g), t->size, double);
	for (size_t i = 0; i < t->size; i++) {
		char *word = next_word(text), *end = NULL;
		if (word == NULL)
			return false;
		t->x[i] = strtod(word, &end);
		if (*end != '\0')
			return false;
	}
	return true;
}

bool tensors_read(struct golden *g, const char *dir, const char *file, struct tensors *out)
{
	enum { TENSORS_MAX = 256 };
	char *text = golden_text(g, dir, file), *rest = NULL;

	*out = (struct tensors){ .g = g, .file = file };
	if (text == NULL)
		return false;
	out->list = ARENA_NEW(golden_arena(g), TENSORS_MAX, struct tensor);
	for (char *word = strtok_r(text, " \t\r\n", &rest); word != NULL; word = next_word(&rest)) {
		struct tensor *t = &out->list[out->n];
		if (strcmp(word, "tensor") != 0 || out->n == TENSORS_MAX ||
			!read_tensor(g, &rest, t)) {
			golden_failed(g, "%s: malformed after %zu tensors", file, out->n);
			return false;
		}
		out->n++;
	}
	return true;
}

struct tensor *tensors_find(const struct tensors *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].name, name) == 0)
			return &f->list[i];
	return NULL;
}

const double *tensors_numbers(struct tensors *f, const char *name, size_t size)
{
	struct tensor *t = tensors_find(f, name);

	if (t == NULL) {
		golden_failed(f->g, "%s: no tensor %s", f->file, name);
		return NULL;
	}
	t->used = true;
	if (t->size == size)
		return t->x;
	golden_failed(f->g, "%s: %s has %zu numbers, expected %zu", f->file, name, t->size, size);
	return NULL;
}

void tensors_count_unused(const struct tensors *f)
{
	char names[NAMES_SHOWN] = "";
	size_t n = 0, length = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->list[i].used)
			continue;
		n++;
		if (length < sizeof(names) - 1)
			length += (size_t)snprintf(names + length, sizeof(names) - length, " %s",
				f->list[i].name);
	}
	if (n > 0)
		golden_unknown(f->g, n, "%s:%s (%zu tensors)", f->file, names, n);
}

double tensors_number(struct tensors *f, const char *name)
{
	const double *x = tensors_numbers(f, name, 1);

	return x != NULL ? *x : (double)NAN;
}

static bool is_parameter(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && (strncmp(name + n, "base_model.", 11) == 0 ||
							strncmp(name + n, "score_model.", 12) == 0);
}

double *tensors_parameters(struct tensors *f, const char *prefix, size_t expected)
{
	double *all = ARENA_NEW(golden_arena(f->g), expected, double);
	size_t n = 0;

	for (size_t k = 0; k < f->n; k++) {
		struct tensor *t = &f->list[k];
		size_t out = t->n_dims == 2 ? t->dims[0] : 1, in = t->size / out;
		if (!is_parameter(t->name, prefix))
			continue;
		t->used = true;
		for (size_t i = 0; i < t->size && n + i < expected; i++)
			all[n + i] = t->x[i % out * in + i / out];
		n += t->size;
	}
	if (n == expected)
		return all;
	golden_failed(f->g, "%s: %zu parameters %s, expected %zu", f->file, n, prefix, expected);
	return NULL;
}

static size_t add_embedding(const struct time_embed *e, struct slice *layers, size_t n)
{
	layers[n++] = e->phase;
	for (size_t i = 0; i < 2 * e->layers; i++)
		layers[n++] = e->dense[i];
	return n;
}

size_t tensors_layers(const struct sde_net *net, struct slice *layers)
{
	size_t n = 0;

	layers[n++] = net->base.input[0];
	layers[n++] = net->base.input[1];
	n = add_embedding(&net->base.time, layers, n);
	if (net->base.step_conditioned)
		n = add_embedding(&net->base.step, layers, n);
	for (size_t i = 0; i < sizeof(net->base.dense) / sizeof(net->base.dense[0]); i++)
		layers[n++] = net->base.dense[i];
	return add_embedding(&net->score_scale, layers, n);
}

double *tensors_by_row(struct tensors *f, const char *name, size_t steps, size_t rows, size_t cols)
{
	const double *x = tensors_numbers(f, name, steps * rows * cols);
	double *out = ARENA_NEW(golden_arena(f->g), steps * rows * cols, double);

	for (size_t i = 0; x != NULL && i < rows; i++)
		for (size_t s = 0; s < steps; s++)
			memcpy(out + (i * steps + s) * cols, x + (s * rows + i) * cols,
				cols * sizeof(*out));
	return x != NULL ? out : NULL;
}

/* --- the density of the grid mixture ------------------------------------------------------------ */

static const double VARIANCE = 0.3;
enum { MODES = 9 };

/* The gaps x - m_k, and the shares of the modes in the density of x, whose logarithm is returned. */
static double grid_shares(double x, double y, double gap[MODES][2], double share[MODES])
{
	double energy[MODES], least = INFINITY, total = 0;

	for (int k = 0; k < MODES; k++) {
		gap[k][0] = x - 5 * (k / 3 - 1);
		gap[k][1] = y - 5 * (k % 3 - 1);
		energy[k] = (gap[k][0] * gap[k][0] + gap[k][1] * gap[k][1]) / (2 * VARIANCE);
		least = fmin(least, energy[k]);
	}
	for (int k = 0; k < MODES; k++)
		total += share[k] = exp(least - energy[k]);
	for (int k = 0; k < MODES; k++)
		share[k] /= total;
	return log(total / MODES) - least - log(2 * VARIANCE * 3.14159265358979324);
}

static void grid_eval(const void *context, size_t n, const real *x, double *log_rho, real *grad)
{
	(void)context;
	for (size_t i = 0; i < n; i++) {
		double gap[MODES][2], share[MODES], pull[2] = { 0, 0 };
		double log_density = grid_shares((double)x[i], (double)x[n + i], gap, share);
		for (int k = 0; k < MODES; k++)
			for (int c = 0; c < 2; c++)
				pull[c] -= share[k] * gap[k][c] / VARIANCE;
		if (log_rho != NULL)
			log_rho[i] = log_density;
		for (size_t c = 0; grad != NULL && c < 2; c++)
			grad[c * n + i] = (real)pull[c];
	}
}

/* The covariance of the modes' pulls, less the modes' own curvature. */
static void grid_hvp(const void *context, size_t n, const real *x, const real *v, real *hv)
{
	(void)context;
	for (size_t i = 0; i < n; i++) {
		double gap[MODES][2], share[MODES], mean[2] = { 0, 0 }, both[2] = { 0, 0 };
		double along = 0, w[2] = { (double)v[i], (double)v[n + i] };
		grid_shares((double)x[i], (double)x[n + i], gap, share);
		for (int k = 0; k < MODES; k++) {
			double slope = (gap[k][0] * w[0] + gap[k][1] * w[1]) / VARIANCE;
			along += share[k] * slope;
			for (int c = 0; c < 2; c++) {
				mean[c] += share[k] * gap[k][c] / VARIANCE;
				both[c] += share[k] * slope * gap[k][c] / VARIANCE;
			}
		}
		for (size_t c = 0; c < 2; c++)
			hv[c * n + i] = (real)(both[c] - along * mean[c] - w[c] / VARIANCE);
	}
}

const struct field *tensors_field(struct golden *g, const char *kind, size_t dim,
	struct density **target)
{
	static const struct field grid = { NULL, 2, grid_eval, grid_hvp };
	bool mixture = strcmp(kind, "gmm9") == 0;

	if (density_new(target, mixture ? "gmm9" : "funnel", NULL, 0, golden_arena(g)) == OK &&
		density_dim(*target) == dim && (mixture || strcmp(kind, "funnel10") == 0))
		return mixture ? &grid : density_field(*target);
	golden_failed(g, "%s in %zu dimensions", kind, dim);
	return NULL;
}

/* --- the sets of a folder ------------------------------------------------------------------------ */

void tensors_each_set(struct golden *g, const char *dir, const char *part, const char *suffix,
	void (*check)(struct golden *g, const char *dir, const char *name, const char *kind))
{
	static const char *const kinds[] = { "gmm9", "funnel10" };
	struct arena *a = golden_arena(g);

	for (size_t i = 0; i < 2; i++) {
		const char *end = arena_printf(a, "%s_%s", part, kinds[i]);
		const char **s = golden_sets(g, dir, arena_printf(a, "%s%s", end, suffix));
		for (; *s != NULL; s++)
			check(g, dir, arena_printf(a, "%s%s", *s, end), kinds[i]);
	}
}
