#ifndef STRIDE_TESTS_GOLDEN_H
#define STRIDE_TESTS_GOLDEN_H

#include "core/csv.h"
#include "stride.h"

#include <jansson.h>

/**
 * Comparison with numbers that the published implementations computed. golden.c walks a folder and
 * shows every sub-folder to every handler; a handler knows its fixtures by their names, for any set
 * name, reads them by the functions here (which note the file as known) and compares. Files that no
 * handler has read are listed as unknown.
 */
struct golden;

/** Look at the files of this folder, and compare what is known. Errors are counted, not returned. */
void golden_targets(struct golden *g, const char *dir);
void golden_metrics(struct golden *g, const char *dir);
void golden_osds(struct golden *g, const char *dir);
void golden_scds(struct golden *g, const char *dir);
void golden_scds_methods(struct golden *g, const char *dir);
void golden_scds_common(struct golden *g, const char *dir);

/* --- files ------------------------------------------------------------------------------- */

/** Scratch for a handler: released when it returns. */
struct arena *golden_arena(struct golden *g);

/** The set names for which DIR/SET + suffix exists ("_osds_funnel_manifest.json"), sorted; NULL at the
 *  end. */
const char **golden_sets(struct golden *g, const char *dir, const char *suffix);

bool golden_exists(struct golden *g, const char *dir, const char *file);

/** DIR/FILE as a table of numbers (nan and inf allowed, header optional), or of text with header.
 *  False, after counting a failure, when it cannot be read. */
bool golden_csv(struct golden *g, const char *dir, const char *file, struct csv *out);
bool golden_csv_text(struct golden *g, const char *dir, const char *file, struct csv *out);

/** DIR/FILE as it is. NULL, after counting a failure, when it cannot be read. */
char *golden_text(struct golden *g, const char *dir, const char *file);

/** DIR/FILE as JSON, freed when the handler returns. NULL, after counting a failure, when it cannot
 *  be read. */
const json_t *golden_json(struct golden *g, const char *dir, const char *file);

/** The value at a path of keys ("config.dim"); NULL when there is none. */
const json_t *golden_get(const json_t *j, const char *path);

/** A number, or nested arrays of numbers flattened in their order; null is NaN. *n is their number.
 *  j may be NULL: NULL then, and for anything that is no number inside. */
double *golden_numbers(struct golden *g, const json_t *j, size_t *n);

/** A vector kept one number a line in several files of dir, joined in the order of the list. as_float:
 *  the text is that of float numbers, rounded to them here. NULL, after counting a failure, when one
 *  cannot be read. */
double *golden_parts(struct golden *g, const char *dir, const json_t *files, bool as_float,
	size_t *n);

/* --- results ----------------------------------------------------------------------------- */

/**
 * Compare got with want, both [rows][cols], and print one line: largest difference within a row
 * relative to floor + the row's largest |want|, its tolerance, and its place when it is too large. floor
 * 1 is the tolerance tol (1 + |b|), floor 0 a purely relative one. NaN equals NaN, an infinity itself.
 * format names the comparison.
 */
void golden_compare(struct golden *g, size_t rows, size_t cols, const double *got,
	const double *want, double floor, double tolerance, const char *format, ...)
	__attribute__((format(printf, 8, 9)));

/** As golden_compare, of the Euclidean norms: |got - want| / |want|. For gradients by layer. */
void golden_compare_norm(struct golden *g, size_t n, const double *got, const double *want,
	double tolerance, const char *format, ...) __attribute__((format(printf, 6, 7)));

/** Count a failure that is not a comparison (a call that returned an error, a malformed file). */
void golden_failed(struct golden *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Count n things that this program cannot compare yet. */
void golden_unknown(struct golden *g, size_t n, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
