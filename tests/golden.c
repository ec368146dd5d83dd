/* golden DIR: compares every fixture set below DIR with this build (see golden.h). With STRICT=1 in
 * the environment what is unknown fails. Exit status 0 when something was compared and all passed. */
#include "golden.h"

#include <cblas.h>
#include <dirent.h>
#include <gsl/gsl_errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Every kind of fixture. */
static void (*const handlers[])(struct golden *g, const char *dir) = {
	golden_targets,
	golden_metrics,
	golden_osds,
	golden_scds,
	golden_scds_methods,
	golden_scds_common,
};

enum { JSON_MAX = 256, TEXT_MAX = 512 };

struct file {
	char *path;
	bool known;
};

struct golden {
	size_t passed, failed, unknown;
	struct arena *arena; /* a handler's */
	struct arena *paths; /* of the whole run */
	struct file *files;
	size_t n_files, capacity;
	json_t *json[JSON_MAX];
	size_t n_json;
	const char *folder; /* to be printed above the first line about it */
};

/* --- files ------------------------------------------------------------------------------- */

struct arena *golden_arena(struct golden *g)
{
	return g->arena;
}

static const char *join(struct golden *g, const char *dir, const char *file)
{
	return arena_printf(g->arena, "%s/%s", dir, file);
}

/* The path, noted as known. */
static const char *claim(struct golden *g, const char *dir, const char *file)
{
	const char *path = join(g, dir, file);

	for (size_t i = 0; i < g->n_files; i++)
		g->files[i].known |= strcmp(g->files[i].path, path) == 0;
	return path;
}

const char **golden_sets(struct golden *g, const char *dir, const char *suffix)
{
	const char **sets = ARENA_NEW(g->arena, g->n_files + 1, const char *);
	size_t n = 0, tail = strlen(suffix), head = strlen(dir);

	for (size_t i = 0; i < g->n_files; i++) {
		const char *path = g->files[i].path;
		size_t length = strlen(path);
		if (strncmp(path, dir, head) != 0 || path[head] != '/' ||
			length <= head + 1 + tail || strchr(path + head + 1, '/') != NULL ||
			strcmp(path + length - tail, suffix) != 0)
			continue;
		char *set = arena_strdup(g->arena, path + head + 1);
		set[length - head - 1 - tail] = '\0';
		sets[n++] = set;
	}
	return sets;
}

bool golden_exists(struct golden *g, const char *dir, const char *file)
{
	struct stat s;

	return stat(join(g, dir, file), &s) == 0 && S_ISREG(s.st_mode);
}

static bool loaded(struct golden *g, int status)
{
	if (status != OK)
		golden_failed(g, "%s", error_text());
	return status == OK;
}

bool golden_csv(struct golden *g, const char *dir, const char *file, struct csv *out)
{
	return loaded(g, csv_read(out, claim(g, dir, file), CSV_ANY, g->arena));
}

bool golden_csv_text(struct golden *g, const char *dir, const char *file, struct csv *out)
{
	return loaded(g, csv_read_text(out, claim(g, dir, file), g->arena));
}

char *golden_text(struct golden *g, const char *dir, const char *file)
{
	const char *path = claim(g, dir, file);
	FILE *f = fopen(path, "r");
	char *text = NULL, *copy = NULL;
	size_t size = 0;

	if (f != NULL && getdelim(&text, &size, '\0', f) >= 0)
		copy = arena_strdup(g->arena, text);
	else
		golden_failed(g, "%s: cannot be read", path);
	free(text);
	if (f != NULL)
		fclose(f);
	return copy;
}

const json_t *golden_json(struct golden *g, const char *dir, const char *file)
{
	const char *path = claim(g, dir, file);
	json_error_t error;
	json_t *j = json_load_file(path, 0, &error);

	if (j == NULL) {
		golden_failed(g, "%s:%d: %s", path, error.line, error.text);
		return NULL;
	}
	invariant(g->n_json < JSON_MAX);
	g->json[g->n_json++] = j;
	return j;
}

const json_t *golden_get(const json_t *j, const char *path)
{
	while (j != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");
		char key[TEXT_MAX];
		invariant(n < sizeof(key));
		memcpy(key, path, n);
		key[n] = '\0';
		j = json_object_get(j, key);
		path += path[n] == '.' ? n + 1 : n;
	}
	return j;
}

static size_t count_numbers(const json_t *j)
{
	size_t n = 0;

	if (!json_is_array(j))
		return 1;
	for (size_t i = 0; i < json_array_size(j); i++)
		n += count_numbers(json_array_get(j, i));
	return n;
}

static bool flatten(const json_t *j, double **out)
{
	if (json_is_array(j)) {
		for (size_t i = 0; i < json_array_size(j); i++)
			if (!flatten(json_array_get(j, i), out))
				return false;
		return true;
	}
	if (!json_is_number(j) && !json_is_null(j))
		return false;
	*(*out)++ = json_is_null(j) ? (double)NAN : json_number_value(j);
	return true;
}

double *golden_numbers(struct golden *g, const json_t *j, size_t *n)
{
	*n = 0;
	if (j == NULL)
		return NULL;
	size_t count = count_numbers(j);
	double *numbers = arena_alloc(g->arena, count, sizeof(*numbers)), *end = numbers;
	if (!flatten(j, &end))
		return NULL;
	*n = count;
	return numbers;
}

double *golden_parts(struct golden *g, const char *dir, const json_t *files, bool as_float,
	size_t *n)
{
	struct csv part[64];
	const size_t parts = json_array_size(files);

	*n = 0;
	invariant(parts <= sizeof(part) / sizeof(part[0]));
	for (size_t i = 0; i < parts; i++) {
		const char *file = json_string_value(json_array_get(files, i));
		if (file == NULL || !golden_csv(g, dir, file, &part[i]))
			return NULL;
		*n += part[i].rows * part[i].cols;
	}
	double *numbers = arena_alloc(g->arena, *n, sizeof(*numbers)), *end = numbers;
	for (size_t i = 0; i < parts; i++) {
		size_t size = part[i].rows * part[i].cols;
		memcpy(end, part[i].x, size * sizeof(*end));
		end += size;
	}
	for (size_t i = 0; as_float && i < *n; i++)
		numbers[i] = (double)(float)numbers[i];
	return numbers;
}

/* --- results ----------------------------------------------------------------------------- */

#define FORMAT_TEXT(text, format)                              \
	do {                                                   \
		va_list args;                                  \
		va_start(args, format);                        \
		vsnprintf((text), sizeof(text), format, args); \
		va_end(args);                                  \
	} while (0)

static void print_folder(struct golden *g)
{
	if (g->folder != NULL)
		printf("%s\n", g->folder);
	g->folder = NULL;
}

static void verdict(struct golden *g, const char *what, double difference, double tolerance)
{
	bool good = difference <= tolerance; /* false for NaN */

	g->passed += good;
	g->failed += !good;
	print_folder(g);
	printf("  %-7s %-72s %9.2e (at most %.0e)\n", good ? "ok" : "FAILED", what, difference,
		tolerance);
}

/* |got - want|; 0 for the same infinity and for two NaN, infinite where only one is not finite. */
static double distance(double got, double want)
{
	if (got == want || (isnan(got) && isnan(want)))
		return 0;
	double d = fabs(got - want);
	return isnan(d) ? (double)INFINITY : d;
}

void golden_compare(struct golden *g, size_t rows, size_t cols, const double *got,
	const double *want, double floor, double tolerance, const char *format, ...)
{
	double worst = 0;
	size_t place = 0;
	char what[TEXT_MAX];

	FORMAT_TEXT(what, format);
	for (size_t i = 0; i < rows; i++) {
		double scale = 0;
		for (size_t j = i * cols; j < (i + 1) * cols; j++)
			if (isfinite(want[j]))
				scale = fmax(scale, fabs(want[j]));
		for (size_t j = i * cols; j < (i + 1) * cols; j++) {
			double d = distance(got[j], want[j]);
			double relative = d > 0 ? d / (floor + scale) : 0;
			if (!(relative <= worst)) {
				worst = relative;
				place = j;
			}
		}
	}
	verdict(g, what, worst, tolerance);
	if (!(worst <= tolerance))
		printf("          row %zu, column %zu: %.17g, expected %.17g\n", place / cols + 1,
			place % cols + 1, got[place], want[place]);
}

void golden_compare_norm(struct golden *g, size_t n, const double *got, const double *want,
	double tolerance, const char *format, ...)
{
	double square = 0, size = 0;
	char what[TEXT_MAX];

	FORMAT_TEXT(what, format);
	for (size_t i = 0; i < n; i++) {
		square += (got[i] - want[i]) * (got[i] - want[i]);
		size += want[i] * want[i];
	}
	verdict(g, what, square > 0 ? sqrt(square / size) : square, tolerance);
}

void golden_failed(struct golden *g, const char *format, ...)
{
	char what[TEXT_MAX];

	FORMAT_TEXT(what, format);
	g->failed++;
	print_folder(g);
	printf("  %-7s %s\n", "FAILED", what);
}

void golden_unknown(struct golden *g, size_t n, const char *format, ...)
{
	char what[TEXT_MAX];

	FORMAT_TEXT(what, format);
	g->unknown += n;
	print_folder(g);
	printf("  %-7s %s\n", "unknown", what);
}

/* --- the walk ---------------------------------------------------------------------------- */

static void add_file(struct golden *g, char *path)
{
	if (g->n_files == g->capacity) {
		g->capacity = g->capacity == 0 ? 256 : 2 * g->capacity;
		g->files = realloc(g->files, g->capacity * sizeof(*g->files));
		invariant(g->files != NULL);
	}
	g->files[g->n_files++] = (struct file){ path, false };
}

static bool is_fixture(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL &&
	       (strcmp(dot, ".csv") == 0 || strcmp(dot, ".json") == 0 || strcmp(dot, ".txt") == 0);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Notes all files below dir, and the folders that have any, children after parents. */
static void walk(struct golden *g, const char *dir, const char **folders, size_t *n, size_t max)
{
	struct dirent **entry;
	int entries = scandir(dir, &entry, visible, alphasort);

	if (entries < 0) {
		golden_failed(g, "%s: cannot be listed", dir);
		return;
	}
	invariant(*n < max);
	folders[(*n)++] = dir;
	for (int i = 0; i < entries; i++) {
		char *path = arena_printf(g->paths, "%s/%s", dir, entry[i]->d_name);
		struct stat s;
		if (stat(path, &s) == 0 && S_ISDIR(s.st_mode))
			walk(g, path, folders, n, max);
		else if (is_fixture(path))
			add_file(g, path);
		free(entry[i]);
	}
	free(entry);
}

static void run_handler(struct golden *g, void (*handler)(struct golden *g, const char *dir),
	const char *dir)
{
	g->arena = arena_new();
	handler(g, dir);
	for (size_t i = 0; i < g->n_json; i++)
		json_decref(g->json[i]);
	g->n_json = 0;
	arena_free(g->arena);
}

int main(int argc, char **argv)
{
	enum { FOLDERS_MAX = 1000 };
	const char *folders[FOLDERS_MAX], *strict = getenv("STRICT");
	struct golden g = { 0 };
	size_t n = 0;

	gsl_set_error_handler_off();
	openblas_set_num_threads(1);
	if (argc != 2) {
		fprintf(stderr, "usage: golden DIR\n");
		return 2;
	}
	g.paths = arena_new();
	char *root = arena_strdup(g.paths, argv[1]);
	for (size_t end = strlen(root); end > 1 && root[end - 1] == '/'; end--)
		root[end - 1] = '\0';
	walk(&g, root, folders, &n, FOLDERS_MAX);
	for (size_t i = 0; i < n; i++) {
		g.folder = folders[i];
		for (size_t h = 0; h < sizeof(handlers) / sizeof(handlers[0]); h++)
			run_handler(&g, handlers[h], folders[i]);
	}
	g.folder = "not read by any comparison:";
	for (size_t i = 0; i < g.n_files; i++)
		if (!g.files[i].known)
			golden_unknown(&g, 1, "%s", g.files[i].path);
	if (g.unknown > 0)
		printf("%zu unknown%s\n", g.unknown,
			strict != NULL && strcmp(strict, "1") == 0 ? ", failed because of STRICT=1"
								   : "");
	if (strict != NULL && strcmp(strict, "1") == 0)
		g.failed += g.unknown;
	printf("%zu passed, %zu failed\n", g.passed, g.failed);
	free(g.files);
	arena_free(g.paths);
	return g.failed > 0 || g.passed == 0;
}
