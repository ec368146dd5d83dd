#ifndef STRIDE_CLI_VERDICTS_H
#define STRIDE_CLI_VERDICTS_H

#include "run/floors.h"
#include "run/scoring.h"

#include <jansson.h>

/** What metrics say of one set of samples or weights, as a table or as JSON. */
struct verdict {
	const struct metric *metric;
	const char *lacks; /* what it needs and is not there; NULL: it was scored */
	struct score score;
	struct floor floor;
};

struct verdicts {
	size_t n;
	struct verdict *of;
	const char *only; /* NULL: all that there are of their kind */
};

/** The metrics of this list, "w2,ksd"; NULL: all of weights, or all of samples. ERR_NAME. */
int verdicts_choose(struct verdicts *out, const char *list, bool weighing, struct arena *a);

/** Score, showing progress when it takes long. Metrics of all pairs of points are left out above 20 000
 *  points, unless the list names them. ERR_UNSUP: not one metric applies, the text says why. */
int verdicts_score(struct verdicts *v, const struct scored *in, struct arena *a);

/** EXIT_DONE, or EXIT_CELLS when a metric failed or is undefined. */
int verdicts_status(const struct verdicts *v);

/** A table; then the failures and what does not apply, and the notes, which end with NULL. */
void verdicts_print(const struct verdicts *v, const char *const *notes, FILE *out, struct arena *a);

/** {"metrics": {ID: {value, se, p, floor, floor_q95, version}}, "failed_metrics": {ID: why},
 *  "not_applicable": {ID: what is lacking}, "notes": [...]}, and then the members of `more`, which becomes
 *  this function's. Null is what is not known, and numbers that JSON cannot hold are as in records. */
void verdicts_print_json(const struct verdicts *v, const char *const *notes, json_t *more,
	FILE *out);

#endif
