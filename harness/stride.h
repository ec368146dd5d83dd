#ifndef STRIDE_H
#define STRIDE_H

/**
 * The plug-in API: what a target, a method or a metric includes. What several of a kind share has a
 * header beside it (run/controlled.h, score/).
 *
 * The folder is the registry: a line `const TARGET(id) = {` in a file of targets/ defines a target,
 * `const METHOD(id) = {` in methods/ a method, `const METRIC(id) = {` in metrics/ a metric; the build
 * writes the tables from these lines, sorted. The id PLUGIN stands for the file's own name, so a file
 * with one plug-in never repeats it: `const METHOD(PLUGIN) = { .name = PLUGIN_NAME, ... }`. A family
 * (the Gaussian mixtures) is one file with several such lines.
 *
 * Rules that hold everywhere:
 * - Pointers are not NULL unless a comment says that they may be.
 * - Plug-ins allocate from the arena they are given, never by malloc, and free nothing.
 * - What a user can cause returns an error code (core/error.h); nothing prints.
 * - Random numbers come from counters (core/rng.h); nothing keeps a generator.
 * - Samples are row-major double [n][dim] outside the engine; blocks inside the engine, and the
 *   arguments of a target's eval and hvp, are coordinate-major: x[k * n + i] is coordinate k of
 *   point i.
 * - A log weight is log w = log rho(x) + (log density of the backward path) - (log density of the
 *   forward path), so that E[w] = Z.
 */

#include "core/arena.h"
#include "core/checkpoint.h"
#include "core/error.h"
#include "core/option.h"
#include "core/parallel.h"
#include "core/real.h"
#include "core/rng.h"
#include "mc/particles.h"
#include "nn/graph.h"
#include "nn/net.h"
#include "nn/optim.h"
#include "nn/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The build compiles targets/foo.c with -DPLUGIN=foo. */
#define PLUGIN_PASTE(a, b) PLUGIN_PASTE_(a, b)
#define PLUGIN_PASTE_(a, b) a##b
#define PLUGIN_STRING(a) PLUGIN_STRING_(a)
#define PLUGIN_STRING_(a) #a
#define PLUGIN_NAME PLUGIN_STRING(PLUGIN)
#define METHOD(id) struct method PLUGIN_PASTE(method_, id)
#define METRIC(id) struct metric PLUGIN_PASTE(metric_, id)

/* --- targets --------------------------------------------------------------------------------- */

enum log_z_kind { LOG_Z_UNKNOWN, LOG_Z_EXACT, LOG_Z_QUADRATURE, LOG_Z_ESTIMATE, LOG_Z_INFINITE };

struct log_z {
	enum log_z_kind kind;
	double value;
	double se;          /* standard error or quadrature error; 0 when exact */
	const char *source; /* how it was made */
};

struct window {
	double x_min, x_max, y_min, y_max;
};

/** A target: an unnormalised density rho on R^dim. Each file of targets/ is compiled twice, with num
 *  = double (the reference) and num = float (the fast path), from the same lines. */
#define num double
struct target {
#include "target_hooks.h"
};
#undef num
#define num float
struct target_f32 {
#include "target_hooks.h"
};
#undef num

#ifdef STRIDE_TARGET_F32
typedef float num;
#define TARGET(id) struct target_f32 PLUGIN_PASTE(target_f32_, id)
#else
typedef double num;
#define TARGET(id) struct target PLUGIN_PASTE(target_, id)
#endif
#include "target_math.h"

/** Full path of a file of targets/data, in the arena: looked for in $STRIDE_DATA, then in the source
 *  tree of the program, then under its installation prefix. A path with a slash is taken as it is. */
const char *data_path(const char *file, struct arena *a);

/** A target with its options set, in both precisions. */
struct density;

/** One option as text. */
struct setting {
	const char *key, *value;
};

/** Make a density of the named target. Lives in the arena. ERR_NAME (with the nearest name),
 *  and what the target's options and init return. */
int density_new(struct density **out, const char *target, const struct setting *settings, size_t n,
	struct arena *a);

const struct target *density_target(const struct density *d);
const void *density_state(const struct density *d); /* the target's state in double */
size_t density_dim(const struct density *d);

/** The log-normaliser: the target's own, or the estimate on record in targets/references. */
void density_log_z(const struct density *d, struct log_z *out);

/** What the target itself says of its log-normaliser, records aside. */
struct log_z density_own_log_z(const struct density *d);

/** Mean and standard deviation [dim] of each coordinate: the target's own or those on record; false
 *  where there are neither. NaN or infinite where a target says so. */
bool density_moments(const struct density *d, double *mean, double *sd);

/** The density of y where x = mean + factor y has density d: the same log-normaliser. factor is
 *  row-major [dim][dim], triangular. It has no Hessian, no sampler and no
 *  moments. ERR_NUMERIC when the factor is singular. */
int density_whiten(struct density **out, const struct density *d, const double *mean,
	const double *factor, struct arena *a);

/** As the target's eval and hvp, in double, and in float or double (real). */
void density_eval(const struct density *d, size_t n, const double *x, double *log_rho,
	double *grad);
void density_eval_real(const struct density *d, size_t n, const real *x, double *log_rho,
	real *grad);
/** ERR_UNSUP when the target has no Hessian-vector product. */
int density_hvp(const struct density *d, size_t n, const double *x, const double *v, double *hv);

/** n exact samples, rows first .. first + n - 1 of stream r, row-major x [n][dim]. ERR_UNSUP when
 *  the target has no exact sampler. */
int density_draw(const struct density *d, struct rng r, uint64_t first, size_t n, double *x);

/** The density as the graph sees it; borrowed. */
const struct field *density_field(const struct density *d);

/* --- methods --------------------------------------------------------------------------------- */

/** A cell of the grid as a method sees it. */
struct cell {
	const struct density *target;
	const struct field *field; /* the target for graphs */
	size_t dim;
	uint64_t seed;
	struct arena *arena; /* lives as long as the cell */
	struct counts counts;
	double aside_seconds;          /* spent on what is not sampling; see cell_sample_forward */
	struct curve *curves;          /* the harness's; see cell_curve */
	struct reports *reports;       /* the harness's; see cell_report */
	const struct trainer *trainer; /* the harness's; see cell_trained */
};

/** Record a training curve's value at this iteration ("loss", "distillation loss", ...). The harness
 *  thins it. A value that stays non-finite ends the cell as diverged. */
void cell_curve(struct cell *c, const char *name, long iteration, double value);

/** The same of a running total, to which this iteration adds `more`: what training left out ("rows left
 *  out"). There is no curve before the first that is not 0. */
void cell_curve_add(struct cell *c, const char *name, long iteration, double more);

/** Report a number of the present draw beside its metrics ("acceptance", "split R-hat", "rounds"):
 *  what a user wants to know of a run that is no score. name is a literal; at most CELL_REPORTS of a
 *  draw. */
enum { CELL_REPORTS = 16 };
void cell_report(struct cell *c, const char *name, double value);

/** May it go on? OK, ERR_INTERRUPTED or ERR_TIMEOUT: for a method that waits for something while it
 *  samples. Pass the error on. */
int cell_go_on(const struct cell *c);

/** A method trained on this cell's target with this seed. What the asking cell runs of it counts as
 *  the asking cell's when its graph is recorded with that cell (the method's graph() or sample()). */
struct trained {
	const struct method *method;
	void *state;
};

/** The named method with these options (its presets for the target apply before them), trained: from
 *  its checkpoint in the results directory when that is there, else now, which writes one. Its curves
 *  ("teacher loss"), evaluations and time are recorded with the cell's. Lives in the cell's arena.
 *  ERR_NAME, ERR_RANGE for the options, ERR_DIVERGED when its training diverges, what its hooks
 *  return, and the harness's own, ERR_INTERRUPTED and ERR_BUSY among them: pass every error on
 *  (TRY). Call it from init(), at most four times. */
int cell_trained(struct cell *c, const char *method, const struct setting *settings, size_t n,
	struct trained *out);

/** Run a recorded sampler for d: a graph with the labels "end" (samples) and, where d->log_w is
 *  wanted, "log_w". repeat becomes the epoch of its random numbers. params are set 0. */
struct draws;
void cell_sample(struct cell *c, struct graph *g, const real *params, uint32_t repeat,
	struct draws *d);

/** Run a recorded target-to-prior pass for d: a graph with the input "x_exact" and the label
 *  "log_w". Does nothing when d has no exact samples. It serves the evidence alone, so its
 *  evaluations and its time are not counted as the sampler's. */
void cell_sample_forward(struct cell *c, struct graph *g, const real *params, uint32_t repeat,
	struct draws *d);

enum weights {
	WEIGHTS_NONE,  /* samples only */
	WEIGHTS_EXACT, /* E[w] = Z in discrete time */
	WEIGHTS_DETFLOW, /* the published deterministic-flow weight: not a bound (spec: methods/README.md) */
	WEIGHTS_BIASED, /* exact only in a limit, or under a condition that the method states */
};

/** A way to sample: a row of the tables. */
struct pass {
	const char *name;  /* "" when the method has just one */
	const char *title; /* for plots; "" likewise */
	enum weights weights;
	bool steps; /* has a step-count axis; otherwise it is run once */
};

/** What sample() fills in. The harness allocates. */
struct draws {
	size_t n;
	double *x; /* [n][dim] samples */
	double *log_w; /* [n], of x row by row (smc: before its final resampling); NULL for WEIGHTS_NONE */
	/* Target-to-prior pass: exact samples in, log weights out; both NULL when the target has no
	 * exact sampler. A method without such a pass sets no_forward. */
	const double *x_exact; /* [n][dim] */
	double *log_w_forward; /* [n] */
	bool no_forward;
	/* An option has made the weights of a pass of WEIGHTS_EXACT, from the prior or back to it, such
	 * as are exact in a limit only: the draw is recorded as biased. */
	bool biased;
	/* The weights are of particles that share ancestors: they give no standard error. */
	bool dependent;
	/* Evidence lower bound that is not the mean of log_w (SMC); NaN otherwise. */
	double elbo;
	/* An estimate of log Z that is made without log_w, where that is NULL (parallel tempering);
	 * NaN otherwise. */
	double log_z;
	/* The standard error of log_z, or of log mean w where `dependent` is set; NaN: not known. */
	double log_z_se;
};

/** A step of a deterministic flow as a map F of R^dim. */
struct flow_map {
	/* Inputs "x" and "v" [dim]; labels "y" = F(x) and "dy" = jvp(y, x, v). Nothing of it is behind
	 * stop(), the score neither. NULL: the pass is no composition of such maps. */
	struct graph *g;
	const real *params; /* set 0, until the method trains again */
	double deviation;   /* of step 0: the flow starts from N(0, deviation^2 I) */
};

/** OK where the target's score may be in such a map: it has a Hessian-vector product and is locally
 *  Lipschitz. Else ERR_UNSUP, which says what is missing. */
int cell_smooth_score(const struct cell *c);

/** Published option values: applied in the order of their table, before the user's own. settings is
 *  a comma-separated list of key=value. A method that several papers have in variants of their own
 *  names them in an OPTION_CHOICE called "preset" (the first is the default); a row with a paper is
 *  for that choice alone. */
struct preset {
	const char *paper;    /* a choice of the option "preset"; NULL: any */
	const char *target;   /* NULL: any */
	const char *settings; /* NULL ends the table */
};

/** What a user should know that no other table says: above all what the published code does otherwise than
 *  its paper or its names say. `stride show` prints it. */
struct note {
	const char *
		about; /* the setting that has it, "key=value"; a pass, "pass ode"; "kept"; a subject */
	const char *text; /* NULL ends the table */
};

struct method {
	const char *name;  /* the id */
	const char *title; /* plot label */
	const char *paper;
	int version;    /* raise it when results change: old records become stale */
	bool uncounted; /* its evaluations are another program's: recorded as not known */
	size_t state_size;
	const struct option *options; /* NULL: none */
	const struct preset *presets; /* NULL: none */
	const struct note *notes;     /* NULL: none */
	const struct pass *passes;    /* ends with name NULL. Required. */

	/** Prepare: parameters, graphs. The options are in state already. Required. */
	int (*init)(void *state, struct cell *c);

	/** Training iterations; NULL: not trained. */
	long (*iterations)(const void *state);

	/** Training iteration `it` = 0, 1, ... Reports its losses by cell_curve. NULL: not trained. */
	int (*train)(void *state, struct cell *c, long it);

	/** Is this number of steps possible, by the options alone? ERR_RANGE says which are;
	 *  ERR_UNSUP: never, and a grid leaves it out. NULL: every one is. */
	int (*check_steps)(const void *state, size_t steps);

	/** Draw d->n samples with this many steps (0 when the pass has no step axis). `repeat` numbers
	 *  independent repetitions: it must enter the counters (the epoch). ERR_UNSUP: this pass
	 *  cannot be had of this target, and a grid leaves it out. Required. */
	int (*sample)(void *state, struct cell *c, const struct pass *pass, size_t steps,
		uint32_t repeat, struct draws *d);

	/** The graph called `what` for this many steps, in the arena: for inspection and for tests
	 *  against recorded numbers. NULL when there is none of that name. Optional. */
	struct graph *(*graph)(void *state, struct cell *c, const char *what, size_t steps,
		struct arena *a);

	/** The deterministic flow that the pass "ode" follows, in parts, for methods that run another's:
	 *  n of its k steps from step `first` on, as a graph in the arena. Label "end": where they end.
	 *  "start": where they begin, the input [dim], or for step 0 the same draw of the prior as
	 *  sample() makes. k is one that check_steps allows, 1 <= n <= k - first. *params: what to run
	 *  it with as set 0, until the method trains again. Optional. */
	struct graph *(*flow)(void *state, struct cell *c, size_t k, size_t first, size_t n,
		const real **params, struct arena *a);

	/** Step `step` of the k that this pass's samples are made by, when they are a composition of maps:
	 *  for the exact evidence (run/flow.h). A pass without a step axis is one map. What it is in
	 *  sample(), but of a whole prior, without the bounds that its draws may have. *out is zeroed;
	 *  the graph lives in the arena. ERR_UNSUP: not of this target (cell_smooth_score), or not in k
	 *  steps. Optional. */
	int (*map)(void *state, struct cell *c, const struct pass *pass, size_t k, size_t step,
		struct flow_map *out, struct arena *a);

	/** The parameters that training moves: pointer into the state, length in *n. Optional. */
	real *(*params)(void *state, size_t *n);

	/** Name everything that training changes (learner_keep, checkpoint_add), in a fixed order: a
	 *  state fresh from init with these numbers put back goes on as the one that wrote them,
	 *  bit for bit. What sample() does not need may be passing (checkpoint_add_passing).
	 *  Required when train is there. */
	void (*keep)(void *state, struct checkpoint *k);
};

/* --- metrics --------------------------------------------------------------------------------- */

enum better { BETTER_LOWER, BETTER_HIGHER, BETTER_ZERO /* nearest to 0 */, BETTER_NONE };

enum needs {
	NEEDS_EXACT = 1,      /* exact samples of the target */
	NEEDS_WEIGHTS = 2,    /* log weights */
	NEEDS_FORWARD = 4,    /* target-to-prior log weights */
	NEEDS_LOG_Z = 8,      /* a known, finite log-normaliser */
	NEEDS_MODES = 16,     /* modes and a classifier */
	NEEDS_SAMPLES = 32,   /* the samples themselves (not the weights alone) */
	NEEDS_DETFLOW = 64,   /* weights of kind WEIGHTS_DETFLOW: the metric is for those alone.
			       A metric with NEEDS_WEIGHTS and not this is skipped for them. */
	NEEDS_EVIDENCE = 128, /* log weights, or the draw's own estimate of log Z */
	NEEDS_TARGET = 256,   /* the target itself: its log density and gradient */
	NEEDS_MOMENTS = 512,  /* exact samples, or the target's means and standard deviations */
	NEEDS_FLOW = 1024,    /* exact weights of a deterministic flow (run/flow.h) */
	NEEDS_MODE_WEIGHTS = 2048, /* the masses of the modes */
};

/** What a metric sees. What it does not declare in its needs may be NULL. */
struct scored {
	size_t n, dim;
	const double *x;  /* samples [n][dim] */
	size_t nonfinite; /* samples that are not finite; such samples are not shown to metrics */
	size_t n_exact;
	const double *exact;         /* exact samples [n_exact][dim], or NULL */
	const double *log_w;         /* [n] or NULL */
	const double *log_w_forward; /* [n] or NULL */
	enum weights weights;        /* what log_w is */
	/* [n] or NULL: log |w| and the sign of w, 1, -1 or 0, of a deterministic flow's exact weights.
	 * Draws of their own: row i is not the sample i. */
	const double *log_abs_w, *sign;
	bool dependent;               /* see struct draws */
	double elbo;                  /* see struct draws */
	double log_z_own, log_z_se;   /* likewise, log_z and log_z_se there */
	const struct density *target; /* NULL: samples of nothing that stride knows */
	const double *mode_weights;   /* of its modes; NULL: ask it, which may take an integral */
	struct log_z log_z;
	/* What is made of the exact samples (score/reuse.h); NULL: nothing is kept. */
	struct reuse *reuse;
	uint64_t seed;       /* for subsets and projections: purpose RNG_METRIC */
	struct arena *arena; /* scratch: released after the call */
};

struct value {
	double value; /* NaN: undefined; +-inf is a result */
	double se;    /* standard error from this one run; NaN: not known */
	double p;     /* p-value of the hypothesis that the samples are exact; NaN: no test */
};

/** A value with its standard error (NaN: not known) and without a test. */
static inline struct value value_make(double value, double se)
{
	return (struct value){ value, se, (double)NAN };
}

/** The root of a value, its standard error by the delta method; not known at 0. */
static inline struct value value_root(struct value v)
{
	double root = sqrt(v.value);

	return value_make(root, root > 0 ? v.se / (2 * root) : (double)NAN);
}

struct metric {
	const char *name;  /* the id */
	const char *title; /* table and axis label */
	const char *unit;  /* "nats", "" ... */
	const char *paper; /* definition */
	int version;
	enum better better;
	unsigned needs; /* enum needs, or-ed */
	bool floor;     /* exact-against-exact noise floor is defined */
	bool pairs;     /* its time grows with the pairs of points */
	/** Score. ERR_NUMERIC and so on are recorded and leave the other metrics alone. Pure. */
	int (*eval)(const struct scored *in, struct value *out);
};

/* --- the registry ---------------------------------------------------------------------------- */

/** All plug-ins, sorted by name; NULL at the end. Written by the build. */
extern const struct target *const targets[];
extern const struct target_f32 *const targets_f32[]; /* same order */
extern const struct method *const methods[];
extern const struct metric *const metrics[];

/** By name; NULL with an error recorded (ERR_NAME, the nearest name in its text). */
const struct target *target_find(const char *name);
const struct method *method_find(const char *name);
const struct metric *metric_find(const char *name);

#endif
