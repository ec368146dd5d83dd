#include "core/table_file.h"
#include "core/csv.h"
#include "core/error.h"
#include "core/npy.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static int read_npy(struct table_file *out, FILE *f, const char *path, struct arena *a)
{
	struct npy t;

	TRY(npy_read_stream(&t, f, path, a));
	*out = (struct table_file){ t.path, t.rows, t.cols, NULL, t.x, NULL };
	return OK;
}

static int read_csv(struct table_file *out, FILE *f, const char *path, struct arena *a)
{
	struct csv t;

	TRY(csv_read_stream(&t, f, path, CSV_ANY, a));
	*out = (struct table_file){ t.path, t.rows, t.cols, t.names, t.x, t.line };
	return OK;
}

static bool ends_with(const char *path, const char *ending)
{
	size_t n = strlen(path), m = strlen(ending);

	return n > m && strcmp(path + n - m, ending) == 0;
}

int table_file_read(struct table_file *out, const char *path, struct arena *a)
{
	bool standard = strcmp(path, "-") == 0;

	if (ends_with(path, ".npz"))
		return fail(ERR_PARSE,
			"%s: an archive of arrays; one array is needed, as numpy.save writes it",
			path);
	FILE *f = standard ? stdin : fopen(path, "rb");
	if (f == NULL)
		return fail(ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
	/* What calls itself .npy and is not is told so. */
	int code = npy_begins(f) || ends_with(path, ".npy") ? read_npy(out, f, path, a)
							    : read_csv(out, f, path, a);
	if (!standard)
		fclose(f);
	return code;
}

const char *table_file_place(const struct table_file *t, size_t row, struct arena *a)
{
	if (t->line != NULL)
		return arena_printf(a, "%s:%zu", t->path, t->line[row]);
	return arena_printf(a, "%s: row %zu", t->path, row + 1);
}

int table_file_finite(const struct table_file *t)
{
	size_t bad = 0, row = 0, col = 0;

	for (size_t i = 0; i < t->rows; i++) {
		size_t k = 0;
		while (k < t->cols && isfinite(t->x[i * t->cols + k]))
			k++;
		if (k < t->cols && bad++ == 0) {
			row = i;
			col = k;
		}
	}
	if (bad == 0)
		return OK;
	struct arena *a = arena_new();
	int code = fail(ERR_PARSE,
		"%s: column %zu is %g, and %zu of %zu rows are not finite; finite samples are "
		"needed",
		table_file_place(t, row, a), col + 1, t->x[row * t->cols + col], bad, t->rows);
	arena_free(a);
	return code;
}
