#include "core/csv.h"
#include "core/error.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The whole file in the arena, ended by a zero. */
static int slurp(const char *path, struct arena *a, char **text)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdin : fopen(path, "rb");
	char *buffer = NULL;
	size_t size = 0, used = 0;
	int status = OK;

	if (f == NULL)
		return fail(ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
	for (;;) {
		if (used + 1 >= size) {
			size = size == 0 ? 1 << 16 : 2 * size;
			buffer = realloc(buffer, size);
			invariant(buffer != NULL);
		}
		size_t got = fread(buffer + used, 1, size - used - 1, f);
		if (got == 0)
			break;
		used += got;
	}
	if (ferror(f)) {
		status = fail(ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
		goto out;
	}
	buffer[used] = '\0';
	if (strlen(buffer) != used) {
		status = fail(ERR_PARSE, "%s: contains a zero byte; it should be text", path);
		goto out;
	}
	*text = arena_strdup(a, buffer);
out:
	free(buffer);
	if (!standard)
		fclose(f);
	return status;
}

static char *trim(char *s)
{
	while (isblank((unsigned char)*s))
		s++;
	char *end = s + strlen(s);
	while (end > s && (isblank((unsigned char)end[-1]) || end[-1] == '\r'))
		*--end = '\0';
	return s;
}

static bool is_comment(const char *line)
{
	return *line == '\0' || *line == '#';
}

static size_t count_fields(const char *line)
{
	size_t n = 1;

	for (; *line != '\0'; line++)
		n += *line == ',';
	return n;
}

static bool parse_number(const char *s, double *x)
{
	char *end;

	*x = strtod(s, &end);
	return *s != '\0' && *end == '\0';
}

/* Cut the text into cells. The header, if any, becomes row 0 here. */
static int split(struct csv *t, const char *path, char *text, struct arena *a)
{
	size_t lines = 1;

	for (const char *s = text; *s != '\0'; s++)
		lines += *s == '\n';
	*t = (struct csv){ .path = strcmp(path, "-") == 0 ? "standard input"
							  : arena_strdup(a, path) };
	t->line = ARENA_NEW(a, lines, size_t);
	for (size_t number = 1; text != NULL; number++) {
		char *line = trim(strsep(&text, "\n"));
		if (is_comment(line))
			continue;
		size_t fields = count_fields(line);
		if (t->rows == 0) {
			t->cols = fields;
			t->cell = ARENA_NEW(a, lines * fields, const char *);
		}
		if (fields != t->cols)
			return fail(ERR_PARSE,
				"%s:%zu: %zu field%s; line %zu has %zu, and every line should",
				t->path, number, fields, fields == 1 ? "" : "s", t->line[0],
				t->cols);
		t->line[t->rows] = number;
		for (size_t k = 0; k < fields; k++)
			t->cell[t->rows * fields + k] = trim(strsep(&line, ","));
		t->rows++;
	}
	return OK;
}

/* Row 0 becomes the header. */
static void take_header(struct csv *t)
{
	t->names = t->cell;
	t->cell += t->cols;
	t->header = *t->line++;
	t->rows--;
}

int csv_read_text(struct csv *out, const char *path, struct arena *a)
{
	char *text;

	TRY(slurp(path, a, &text));
	TRY(split(out, path, text, a));
	if (out->rows == 0)
		return fail(ERR_PARSE, "%s:1: empty; a header is needed", out->path);
	take_header(out);
	return OK;
}

/* A number, or what stands for a missing one, in quotes or not: no name of a column. */
static bool is_value(const char *cell)
{
	static const char *const missing[] = { "", "NA", "nan", "?" };
	char text[64];
	double ignored;
	size_t n = strlen(cell);

	if (n >= sizeof(text))
		return false;
	if (n >= 2 && (*cell == '"' || *cell == '\'') && cell[n - 1] == *cell) {
		cell++;
		n -= 2;
	}
	snprintf(text, sizeof(text), "%.*s", (int)n, cell);
	const char *bare = trim(text);
	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++)
		if (strcmp(bare, missing[i]) == 0)
			return true;
	return parse_number(bare, &ignored);
}

static bool looks_like_header(const struct csv *t)
{
	for (size_t k = 0; k < t->cols; k++)
		if (is_value(t->cell[k]))
			return false;
	return true;
}

int csv_read(struct csv *out, const char *path, enum csv_numbers numbers, struct arena *a)
{
	struct csv *t = out;
	char *text;

	TRY(slurp(path, a, &text));
	TRY(split(t, path, text, a));
	if (t->rows > 0 && looks_like_header(t))
		take_header(t);
	if (t->rows == 0)
		return fail(ERR_PARSE, "%s:1: no numbers; at least one row is needed", t->path);
	t->x = arena_alloc(a, t->rows * t->cols, sizeof(*t->x));
	for (size_t i = 0; i < t->rows; i++) {
		for (size_t k = 0; k < t->cols; k++) {
			const char *cell = t->cell[i * t->cols + k];
			double *x = &t->x[i * t->cols + k];
			if (*cell == '\0')
				return fail(ERR_PARSE,
					"%s:%zu: field %zu is missing; a number is needed", t->path,
					t->line[i], k + 1);
			if (!parse_number(cell, x))
				return fail(ERR_PARSE,
					"%s:%zu: field %zu is \"%.40s\"; a number is needed",
					t->path, t->line[i], k + 1, cell);
			if (numbers == CSV_FINITE && !isfinite(*x))
				return fail(ERR_PARSE,
					"%s:%zu: field %zu is %.40s; a finite number is needed",
					t->path, t->line[i], k + 1, cell);
		}
	}
	return OK;
}

size_t csv_column(const struct csv *t, const char *name)
{
	size_t k = 0;

	while (k < t->cols && (t->names == NULL || strcmp(t->names[k], name) != 0))
		k++;
	return k;
}

int csv_columns(const struct csv *t, const char *const *names, size_t *column)
{
	const size_t line = t->names != NULL ? t->header : t->line[0];

	for (size_t i = 0; names[i] != NULL; i++) {
		column[i] = csv_column(t, names[i]);
		if (column[i] == t->cols)
			return fail(ERR_PARSE,
				"%s:%zu: no column \"%s\"; the header has to name it", t->path,
				line, names[i]);
	}
	return OK;
}

int csv_write(FILE *f, const char *path, const char *const *names, size_t rows, size_t cols,
	const double *x)
{
	for (size_t k = 0; names != NULL && k < cols; k++)
		fprintf(f, "%s%s", names[k], k + 1 < cols ? "," : "\n");
	for (size_t i = 0; i < rows; i++) {
		for (size_t k = 0; k < cols; k++)
			fprintf(f, "%.17g%s", x[i * cols + k], k + 1 < cols ? "," : "\n");
	}
	if (fflush(f) != 0 || ferror(f))
		return fail(ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
	return OK;
}

const char **csv_names(const char *prefix, size_t n, struct arena *a)
{
	const char **names = ARENA_NEW(a, n, const char *);

	for (size_t k = 0; k < n; k++)
		names[k] = arena_printf(a, "%s%zu", prefix, k + 1);
	return names;
}
