#ifndef STRIDE_REPORT_RECORDS_H
#define STRIDE_REPORT_RECORDS_H

#include "stride.h"

/**
 * The records of a results directory as structs: DIR/cells/KEY.json, DIR/floors/KEY.json,
 * DIR/config.yaml, DIR/perf.json. Everything lives in the arena of records_read. Numbers that a
 * record leaves out are NaN. Keys that the reader does not know are passed over. Where there is a
 * DIR/grid.json, written by `stride run`, only the cells and floors that it lists are read: the
 * directory may hold those of other configurations too.
 */

/** Options as text, sorted by key. */
struct settings {
	size_t n;
	struct setting *list;
};

struct record_value {
	const char *metric;
	int version; /* 0: not recorded */
	double value, se;
};

struct record_failure {
	const char *metric, *message;
};

/** A number that a method reports of a draw. */
struct record_report {
	const char *name;
	double value;
};

/** One draw of samples with its scores. */
struct record_result {
	const char *pass, *pass_title;
	size_t steps; /* 0: no step axis */
	size_t repeat, n;
	size_t n_values, n_failures;
	struct record_value *values;
	struct record_failure *failures;
	size_t n_reports;
	struct record_report *reports; /* by name */
	double nonfinite;
	/* Log weights that are not finite, a kind each: "log_w: 3 -inf, 1 nan". */
	size_t n_odd;
	const char **odd;
	const char *flow_skipped; /* why a flow has no exact weights; "": it has, or none asked */
	double network_evaluations, target_evaluations; /* for all n samples */
	double sample_seconds, score_seconds;
};

struct record_curve {
	const char *name;
	size_t n;
	double *iteration, *value;
};

struct record_cost {
	double train_seconds, peak_rss_mb;
	double train_network_evaluations, train_target_evaluations;
	bool concurrent; /* timed while other cells ran */
};

struct provenance {
	const char *commit, *compiler, *flags, *variant, *cpu, *blas_core, *libc, *date;
	bool dirty;
	double threads;
};

struct record {
	const char *key, *method, *method_title, *target, *target_title;
	const char *state, *message; /* message NULL: none */
	const char *code;            /* hash of the code version, "" when not recorded */
	const char *samples;         /* path of KEY.samples.csv, which need not exist */
	size_t dim;
	long seed;
	struct settings options, target_options;
	struct settings design; /* of an ok cell: points, repeats and step counts asked for */
	struct log_z log_z;
	double iterations;
	size_t n_curves, n_results;
	struct record_curve *curves;
	struct record_result *results;
	struct record_cost cost;
	struct provenance provenance;
	/* What tells this cell's options from others of the same method on the same target, and
	 * this target's options from others of the same id: "key=value, ...", "" when alone. */
	const char *variant, *target_variant;
};

struct floor_value {
	const char *metric;
	int version;
	double mean, sd, q95;
	size_t n_values;
	double *values;
};

struct floor_record {
	const char *target, *target_title;
	size_t dim, n;
	double draws;
	struct settings target_options;
	size_t n_values;
	struct floor_value *values;
	struct log_z log_z;
	const char *samples; /* path of the exact samples, which need not exist */
};

struct perf_workload {
	const char *name;
	double threads, ms, flops, efficiency, peak_rss_mb;
};

struct perf_number {
	const char *name;
	double value;
};

struct records {
	const char *dir;
	size_t n_cells, n_floors;
	struct record *cells; /* sorted by target, method, options, seed */
	struct floor_record *floors;
	size_t superseded;  /* cells left out: a newer record has the same settings and seed */
	size_t others;      /* cells left out: grid.json does not list them */
	const char *config; /* text of config.yaml, or NULL */
	size_t n_workloads, n_sgemm, n_ratios; /* perf.json; all 0 without */
	struct perf_workload *workloads;
	struct perf_number *sgemm, *ratios;
};

/** Read DIR. ERR_IO: no cells there, or unreadable; ERR_PARSE, ERR_VERSION: a bad record, the text
 *  names the file. */
int records_read(const char *dir, struct records *out, struct arena *a);

/** As records_read, whatever grid.json lists: all records that are there. */
int records_read_all(const char *dir, struct records *out, struct arena *a);

/** Same options? */
bool settings_equal(const struct settings *a, const struct settings *b);

/** Points of a samples file, first two coordinates: xy [n][2] in the arena. pass NULL: a file
 *  without the columns pass and steps (a floor's); otherwise the rows of this pass and step count.
 *  At most limit rows; coordinates that are not finite are left out. A file that is not there
 *  gives n = 0. ERR_PARSE names file and line. */
int samples_read(const char *path, const char *pass, size_t steps, size_t limit, size_t *n,
	double **xy, struct arena *a);

#endif
