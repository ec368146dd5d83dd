#ifndef STRIDE_RUN_RECORD_H
#define STRIDE_RUN_RECORD_H

#include "run/cell.h"
#include "run/store.h"

/** What a record says of the circumstances rather than of the cell. */
struct circumstances {
	double cpu_seconds;
	bool concurrent; /* other cells ran beside it: its timings are not for comparison */
};

/** The JSON document of a cell or a floor; the caller's to json_decref. Numbers that JSON cannot
 * hold are the strings "nan", "inf" and "-inf". */
json_t *record_cell(const struct plan *p, const struct plan_cell *c, const struct outcome *o,
	const struct circumstances *when);
json_t *record_floor(const struct plan *p, const struct plan_target *t,
	const struct floor_scores *scores, size_t n);

/** A number of a record, and back; what is no number of a record is NaN. */
json_t *record_number(double x);
double record_number_of(const json_t *v);

/** A text with '?' for what is no UTF-8; null for NULL. */
json_t *record_text(const char *text);

/** As record_number; null for NaN, which stands for what is not known. */
json_t *record_known(double x);

/** Program, machine and date: what a record says of its origin. The caller's to json_decref. */
json_t *record_provenance(void);

/** Do two records say the same, timings, memory and provenance aside? *same is the answer. ERR_PARSE:
 *  one of them is not there or not JSON. */
int record_same(const char *path_a, const char *path_b, bool *same);

#endif
