#ifndef STRIDE_REPORT_MODEL_H
#define STRIDE_REPORT_MODEL_H

#include "report/records.h"
#include "report/report.h"

/**
 * What the tables and figures show: the records, averaged. A series is (method, its differing
 * options, pass) and keeps its place in the palette over all targets. A board is one target; its
 * rows are (series, steps) and its columns (metric, version).
 *
 * The estimate of a row: repeats are averaged within a seed, seeds give mean and standard error.
 * Seeds that diverged or failed, and metrics that are not a number, are counted, never averaged
 * away: such a row is not ranked. Infinities are results.
 */
struct series {
	const char *method, *pass, *variant; /* pass NULL: no cell of it ever gave a result */
	const char *label;                   /* "OSDS ODE" */
	size_t place; /* in the palette, the same in every figure; 0 is the oracle's */
	bool oracle;  /* exact samples: shown first, never ranked */
};

/* What a column is about; tables are made one a group. */
enum column_group {
	GROUP_SAMPLES,
	GROUP_EVIDENCE,
	GROUP_DETFLOW, /* deterministic flows: published weights and exact ones side by side */
	GROUP_OTHER,
	GROUP_COUNT
};

struct column {
	const char *name, *title, *unit;
	int version;
	enum better better;
	enum column_group group;
	const struct metric *about;      /* NULL: this program does not know the metric */
	const struct floor_value *floor; /* NULL: none, or made for another n */
	double floor_low, floor_high;    /* the band that holds 90 % of it; of few draws, all */
};

struct estimate {
	size_t seeds;      /* that the mean is over */
	size_t missing;    /* seeds whose cell is ok but the metric failed or is not a number */
	double *seed_mean; /* [seeds] */
	double mean;
	double se;         /* over seeds; with one seed that run's own; NaN: not known */
	double own_se;     /* from within the runs alone; NaN: not known */
	bool best;         /* best of its column, or tied with it */
	bool within_floor; /* between the 5 % and the 95 % quantile of the floor */
	bool below_floor;  /* "better" than exact samples: no quality, and not ranked */
	bool above_log_z;  /* a lower bound that exceeds log Z by > 3 joint standard errors */
	bool above_unsure; /* it lies above log Z, and its own error is not known */
	double joint_se;   /* of that comparison; NaN when unsure */
	bool folds;        /* an exact bound of a flow that folds: none of log Z */
	bool heavy_tail;   /* of weights whose Pareto k is above 0.7: unusable */
};

struct row {
	const struct series *series;
	size_t steps;            /* 0: no step axis */
	size_t ok, total;        /* seeds */
	struct estimate *values; /* [columns]; seeds = 0: empty */
	/* Means over seeds; NaN: not recorded. Evaluations are for one sample. */
	double network_evaluations, target_evaluations, sample_seconds;
	double train_seconds, train_network_evaluations, train_target_evaluations;
	double *reports; /* [reports of the board], likewise */
	bool concurrent; /* some of it was timed beside other cells */
	bool selected;   /* shown in tables: every step count goes to the CSV and the figures */
	const struct record *shown; /* the cell of the smallest ok seed; NULL: none */
};

struct board {
	const char *target, *title, *slug; /* slug: for file names */
	size_t dim, n;                     /* n: points scored; 0 when rows differ */
	struct log_z log_z;
	const struct floor_record *floor; /* NULL: none */
	const struct record *first;       /* any cell of it: its target options */
	size_t n_columns, n_rows;
	struct column *columns;
	struct row *rows;
	size_t n_reports; /* what methods report of their draws, by name */
	const char **reports;
	size_t n_cells;
	const struct record *const *cells;
};

struct model {
	const struct records *records;
	size_t n_series, n_boards;
	struct series *series;
	struct board *boards;
};

/** Average. metrics: what is known of metrics, NULL at the end. Everything in the arena. */
void model_make(struct model *out, const struct records *records,
	const struct metric *const *metrics, struct arena *a);

/** The column with the noise floor of n points, whatever the board's number is. */
struct column column_of_points(const struct column *c, const struct model *m, const struct board *b,
	size_t n, struct arena *a);

/** Is a column's value to be compared with log Z (evidence and its bounds)? */
bool column_near_log_z(const struct column *c);

/** Is there a finite value to draw? */
bool row_drawable(const struct row *row, size_t column);

/** Is row i the one with the fewest, or the most, steps of its series? */
bool board_row_first(const struct board *b, size_t i);
bool board_row_last(const struct board *b, size_t i);

/** The column that stands for quality where there is room for one: the first distance of samples,
 *  or an error of the evidence where there are no exact samples to compare with; NULL without. */
const struct column *board_headline(const struct board *b);

#endif
