#include "core/csv.h"
#include "core/error.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

/* A table on its way in: a line at a time, so that no more than its numbers are in memory. */
struct reading {
	FILE *f;
	struct csv *t;
	char *buffer; /* getline's */
	size_t size, number;
	const char **field; /* [cols] of the present line */
	size_t first;       /* the line that says how many fields there are */
	size_t room;        /* rows that line, cell and x have room for */
	size_t *line;
	const char **cell; /* these two: one of them */
	double *x;
	struct arena *arena;
};

static void *grown(void *p, size_t count, size_t size)
{
	invariant(count < SIZE_MAX / size);
	p = realloc(p, count * size);
	invariant(p != NULL);
	return p;
}

/* The next line that is no comment, trimmed; NULL at the end. */
static int next_line(struct reading *r, char **out)
{
	ssize_t n;

	*out = NULL;
	while ((n = getline(&r->buffer, &r->size, r->f)) >= 0) {
		r->number++;
		if (strlen(r->buffer) != (size_t)n)
			return fail(ERR_PARSE, "%s: contains a zero byte; it should be text",
				r->t->path);
		if (n > 0 && r->buffer[n - 1] == '\n')
			r->buffer[n - 1] = '\0';
		/* What some editors and spreadsheets put before UTF-8 text. */
		bool marked = r->number == 1 && strncmp(r->buffer, "\xef\xbb\xbf", 3) == 0;
		char *line = trim(r->buffer + (marked ? 3 : 0));
		if (!is_comment(line)) {
			*out = line;
			return OK;
		}
	}
	if (ferror(r->f))
		return fail(ERR_IO, "%s: cannot be read: %s", r->t->path, strerror(errno));
	return OK;
}

/* Cut the line into r->field. */
static int cut(struct reading *r, char *line)
{
	struct csv *t = r->t;
	size_t fields = count_fields(line);

	if (r->field == NULL) {
		t->cols = fields;
		r->first = r->number;
		r->field = grown(NULL, fields, sizeof(*r->field));
	}
	if (fields != t->cols)
		return fail(ERR_PARSE,
			"%s:%zu: %zu field%s; line %zu has %zu, and every line should", t->path,
			r->number, fields, fields == 1 ? "" : "s", r->first, t->cols);
	for (size_t k = 0; k < fields; k++)
		r->field[k] = trim(strsep(&line, ","));
	return OK;
}

static void keep_fields(const struct reading *r, const char **out)
{
	for (size_t k = 0; k < r->t->cols; k++)
		out[k] = arena_strdup(r->arena, r->field[k]);
}

static void take_header(struct reading *r)
{
	r->t->names = ARENA_NEW(r->arena, r->t->cols, const char *);
	keep_fields(r, r->t->names);
	r->t->header = r->number;
}

/* Room for one row more of cells or numbers. */
static void make_room(struct reading *r, bool text)
{
	size_t cols = r->t->cols;

	if (r->t->rows < r->room)
		return;
	r->room = r->room > 0 ? 2 * r->room : 64;
	r->line = grown(r->line, r->room, sizeof(*r->line));
	if (text)
		r->cell = grown(r->cell, r->room, cols * sizeof(*r->cell));
	else
		r->x = grown(r->x, r->room, cols * sizeof(*r->x));
}

static int take_text(struct reading *r)
{
	make_room(r, true);
	keep_fields(r, r->cell + r->t->rows * r->t->cols);
	r->line[r->t->rows++] = r->number;
	return OK;
}

static int take_numbers(struct reading *r, enum csv_numbers numbers)
{
	const struct csv *t = r->t;

	make_room(r, false);
	for (size_t k = 0; k < t->cols; k++) {
		const char *cell = r->field[k];
		double *x = &r->x[t->rows * t->cols + k];
		if (*cell == '\0')
			return fail(ERR_PARSE, "%s:%zu: field %zu is missing; a number is needed%s",
				t->path, r->number, k + 1,
				r->number == r->first && k == 0
					? " (pandas: index=False, header=False)"
					: "");
		if (!parse_number(cell, x))
			return fail(ERR_PARSE,
				"%s:%zu: field %zu is \"%.40s\"; a number is needed%s", t->path,
				r->number, k + 1, cell,
				strpbrk(cell, " \t;") != NULL ? ", and commas between numbers"
							      : "");
		if (numbers == CSV_FINITE && !isfinite(*x))
			return fail(ERR_PARSE,
				"%s:%zu: field %zu is %.40s; a finite number is needed", t->path,
				r->number, k + 1, cell);
	}
	r->line[r->t->rows++] = r->number;
	return OK;
}

/* n elements in the arena; NULL for none. */
static void *kept(const void *p, size_t n, size_t size, struct arena *a)
{
	if (p == NULL)
		return NULL;
	void *copy = arena_alloc(a, n, size);
	memcpy(copy, p, n * size);
	return copy;
}

/* The whole stream by a function that takes its lines; what was read goes to the arena. */
static int read_stream(struct csv *t, FILE *f, const char *path, struct arena *a,
	int (*body)(struct reading *r, enum csv_numbers numbers), enum csv_numbers numbers)
{
	struct reading r = { .f = f, .t = t, .arena = a };

	*t = (struct csv){ .path = strcmp(path, "-") == 0 ? "standard input"
							  : arena_strdup(a, path) };
	int code = body(&r, numbers);
	if (code == OK) {
		t->line = kept(r.line, t->rows, sizeof(*r.line), a);
		t->cell = kept(r.cell, t->rows * t->cols, sizeof(*r.cell), a);
		t->x = kept(r.x, t->rows * t->cols, sizeof(*r.x), a);
	}
	free(r.buffer);
	free(r.field);
	free(r.line);
	free(r.cell);
	free(r.x);
	return code;
}

static int read_file(struct csv *t, const char *path, struct arena *a,
	int (*body)(struct reading *r, enum csv_numbers numbers), enum csv_numbers numbers)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdin : fopen(path, "rb");

	if (f == NULL)
		return fail(ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
	int code = read_stream(t, f, path, a, body, numbers);
	if (!standard)
		fclose(f);
	return code;
}

static int text_body(struct reading *r, enum csv_numbers ignored)
{
	char *line;

	(void)ignored;
	TRY(next_line(r, &line));
	if (line == NULL)
		return fail(ERR_PARSE, "%s:1: empty; a header is needed", r->t->path);
	TRY(cut(r, line));
	take_header(r);
	for (;;) {
		TRY(next_line(r, &line));
		if (line == NULL)
			return OK;
		TRY(cut(r, line));
		TRY(take_text(r));
	}
}

int csv_read_text(struct csv *out, const char *path, struct arena *a)
{
	return read_file(out, path, a, text_body, CSV_ANY);
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

static bool looks_like_header(const struct reading *r)
{
	for (size_t k = 0; k < r->t->cols; k++)
		if (is_value(r->field[k]))
			return false;
	return true;
}

/* 0,1,2: numbers of columns for their names, as pandas writes them, or a row. One column is no evidence. */
static bool counts_columns(const struct reading *r)
{
	for (size_t k = 0; k < r->t->cols; k++) {
		char text[24];
		snprintf(text, sizeof(text), "%zu", k);
		if (strcmp(r->field[k], text) != 0)
			return false;
	}
	return r->t->cols > 1;
}

static bool has_fractions(const struct reading *r)
{
	bool found = false;

	for (size_t k = 0; k < r->t->cols; k++)
		found = found || strchr(r->field[k], '.') != NULL;
	return found;
}

static int numbers_body(struct reading *r, enum csv_numbers numbers)
{
	bool counted = false;
	char *line;

	for (;;) {
		TRY(next_line(r, &line));
		if (line == NULL)
			break;
		bool first = r->field == NULL;
		TRY(cut(r, line));
		if (first)
			counted = counts_columns(r);
		else if (counted && r->t->rows == 1 && has_fractions(r))
			return fail(ERR_PARSE,
				"%s:%zu: 0, 1, ... are names of columns or a row; without names "
				"(pandas: header=False), or 0.0 as a number, it is clear",
				r->t->path, r->first);
		if (first && looks_like_header(r))
			take_header(r);
		else
			TRY(take_numbers(r, numbers));
	}
	if (r->t->rows == 0)
		return fail(ERR_PARSE, "%s:1: no numbers; at least one row is needed", r->t->path);
	return OK;
}

int csv_read(struct csv *out, const char *path, enum csv_numbers numbers, struct arena *a)
{
	return read_file(out, path, a, numbers_body, numbers);
}

int csv_read_stream(struct csv *out, FILE *f, const char *path, enum csv_numbers numbers,
	struct arena *a)
{
	return read_stream(out, f, path, a, numbers_body, numbers);
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
