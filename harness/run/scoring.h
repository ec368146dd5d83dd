#ifndef STRIDE_RUN_SCORING_H
#define STRIDE_RUN_SCORING_H

#include "core/stats.h"
#include "stride.h"

/** Scoring: which metrics apply to what there is, and one metric's verdict. */

/** A metric on one draw. */
struct score {
	const struct metric *metric;
	struct value value;
	const char *failure; /* NULL: the value stands */
};

/** The kinds of log weights, and how many of each are not finite (all 0 without weights): -inf is a weight
 *  of 0, NaN and +inf make every value NaN. */
enum { SCORED_LOG_W, SCORED_FORWARD, SCORED_FLOW, SCORED_WEIGHTS };
extern const char *const scored_weights[SCORED_WEIGHTS];
void scoring_count_odd(const struct scored *in, struct nonfinite odd[SCORED_WEIGHTS]);

/** Start from n samples x [n][dim] (NULL: weights alone) of a target (NULL: none that stride knows) with its log_z, and
 *  n_exact exact samples (NULL: none): no weights, no estimates. All are borrowed; scratch is an arena
 *  of its own for what metrics allocate. Counts the samples that are not finite. */
void scoring_start(struct scored *out, const struct density *target, const struct log_z *log_z,
	const double *x, size_t n, size_t dim, const double *exact, size_t n_exact,
	struct arena *scratch);

/** The masses of a target's modes, for struct scored; NULL where they are not known. In the arena. */
const double *scoring_mode_weights(const struct density *target, struct arena *a);

/** What the metric needs and is not there, "exact samples"; NULL: it applies. A literal. */
const char *scoring_lacks(const struct metric *m, const struct scored *in);

/** Is the metric one of log weights, or of an estimate of log Z, and not of samples? */
bool scoring_weighs(const struct metric *m);

/** Is everything there that the metric needs? */
bool scoring_applies(const struct metric *m, const struct scored *in);

/** Score, leaving no scratch behind. A metric of samples has no value when some of them are not
 *  finite: the failure says how many, for every metric alike; so it does for weights that are NaN or
 *  +inf. The text lives in the arena. */
void scoring_run(const struct metric *m, const struct scored *in, struct score *out,
	struct arena *a);

/** Those of n metrics that apply, in their order: out [n] has their scores, without values yet. Returns how many. */
size_t scoring_list(const struct metric *const *from, size_t n, const struct scored *in,
	struct score *out);

/** Score these n as scoring_run does, side by side on the threads that are free, each with scratch of its
 *  own: the results are those of one after the other. Where scratch is large, of more than SIDE_BY_SIDE pairs of
 *  samples, one after the other is what happens. a: not the scratch of in. ERR_INTERRUPTED. */
enum { SIDE_BY_SIDE = 1 << 24 };
int scoring_run_all(struct score *scores, size_t n, const struct scored *in, struct arena *a);

#endif
