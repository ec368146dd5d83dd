#ifndef STRIDE_REPORT_PAPERS_H
#define STRIDE_REPORT_PAPERS_H

#include "report/model.h"
#include "report/table.h"

/**
 * Records beside published numbers. Facts are data: configs/papers/published.csv has the numbers and
 * which of stride's they are, keys.csv beside it has sources, conditions and caveats in words, and
 * notes.csv in a results directory has the reasons that a user found for differences
 * (target,method,steps,metric,reason; an empty field is any).
 */
struct published {
	const char *source, *place, *method; /* as printed, the source in words */
	const char *target_id, *method_id, *pass_id, *metric_id;
	bool absolute; /* of the metric's absolute value */
	size_t printed_steps, steps;
	size_t samples;    /* that it depends on; 0: any number will do */
	double value, std; /* std NaN: none printed */
	const char *printed;
	const char *conditions;      /* "KEY=VALUE;...": what a record must have */
	const char *caveat, *remark; /* "" when there is none */
};

struct papers_note {
	const char *target, *method, *steps, *metric, *reason;
};

struct papers {
	size_t n, n_notes;
	struct published *rows; /* those that can be compared: with conditions, ids and steps */
	struct papers_note *notes;
};

/** Read published (keys.csv is looked for beside it) and notes, which need not exist. ERR_IO;
 *  ERR_PARSE with file and line: a missing column, a bad number, an unknown key. */
int papers_read(struct papers *out, const char *published, const char *notes, struct arena *a);

enum verdict {
	VERDICT_AGREES,
	VERDICT_DIFFERS,
	VERDICT_DEFINITION, /* the published quantity is not the metric */
	VERDICT_SHORTENED,  /* fewer iterations or samples than published */
	VERDICT_SETTINGS,   /* other options */
	VERDICT_NONE,       /* no number of ours: diverged, failed, not asked for */
	VERDICTS
};

/** One published number with ours. */
struct compared {
	const struct published *published;
	const struct board *board;
	const char *label;               /* of method and pass */
	const struct column *column;     /* with the floor of as many points; NULL: not computed */
	size_t points;                   /* scored */
	const struct estimate *estimate; /* NULL: no number */
	double mean, se;                 /* ours, of absolute values where those are published */
	bool one_run;                    /* se is one run's own */
	enum verdict verdict;
	const char *reasons; /* sentences, "" without */
};

struct comparison {
	size_t n;
	struct compared *list; /* in the order of the published numbers */
};

/** Everything that the model's records have of the published numbers. In the arena. */
void papers_compare(struct comparison *out, const struct model *m, const struct papers *p,
	struct arena *a);

/** "agrees", "differs", "definition differs", "shortened", "other settings", "no number". */
const char *verdict_text(enum verdict v);

/** The table of the numbers from `first` on that are from the same place; *next is the first of the
 *  next one. Verdicts have the numbers of the reasons, which go to lines [*n_lines], once each. */
struct table papers_table(const struct comparison *c, size_t first, size_t *next,
	const char **lines, size_t *n_lines, struct arena *a);

/** "12 numbers: 5 agree, ...". */
const char *papers_count(const struct comparison *c, struct arena *a);

/** How the verdicts are found, one line each; NULL at the end. */
extern const char *const papers_rules[];

/** Everything as CSV. */
void papers_csv(const struct comparison *c, FILE *out);

#endif
