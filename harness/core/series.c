#include "core/series.h"

#include "core/csv.h"
#include "core/error.h"

#include <math.h>

int series_read(const char *path, const char *value, size_t steps, size_t observed, double *y,
	bool *seen, struct arena *a)
{
	const char *const names[] = { "t", "observed", value, NULL };
	struct csv t;
	size_t column[3], total = 0;

	TRY(csv_read(&t, path, CSV_ANY, a));
	TRY(csv_columns(&t, names, column));
	const size_t end = t.line[t.rows - 1];
	if (t.rows != steps)
		return fail(ERR_PARSE, "%s:%zu: %zu rows; %zu are needed", t.path, end, t.rows,
			steps);
	for (size_t i = 0; i < steps; i++) {
		const double *row = t.x + i * t.cols;
		const double flag = row[column[1]], number = row[column[2]];
		if (row[column[0]] != (double)i)
			return fail(ERR_PARSE, "%s:%zu: t is %g; %zu is needed, as t counts from 0",
				t.path, t.line[i], row[column[0]], i);
		if (flag != 0 && flag != 1)
			return fail(ERR_PARSE, "%s:%zu: observed is %g; 0 or 1 is needed", t.path,
				t.line[i], flag);
		if (flag != 0 && !isfinite(number))
			return fail(ERR_PARSE,
				"%s:%zu: %s is %g; where observed is 1 a finite number is needed",
				t.path, t.line[i], value, number);
		seen[i] = flag != 0;
		y[i] = seen[i] ? number : 0;
		total += seen[i];
	}
	if (total != observed)
		return fail(ERR_PARSE, "%s:%zu: %zu observations; %zu are needed", t.path, end,
			total, observed);
	return OK;
}
