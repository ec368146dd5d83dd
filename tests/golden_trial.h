#ifndef STRIDE_TESTS_GOLDEN_TRIAL_H
#define STRIDE_TESTS_GOLDEN_TRIAL_H

#include "golden.h"

/* Losses and values, gradients: relative. In double to rounding, in float to what float gives. */
#ifdef STRIDE_DOUBLE
#define GOLDEN_VALUE 1e-10
#define GOLDEN_GRADIENT 1e-8
#else
#define GOLDEN_VALUE 2e-4
#define GOLDEN_GRADIENT 2e-4
#endif

/** A method as a fixture sets it up, and what runs of its graphs are given. */
struct trial {
	struct golden *g;
	const char *name; /* of the set and the part, for the lines printed */
	const struct method *method;
	void *state;
	struct cell cell;
	const json_t *manifest; /* of JSON fixtures */
	size_t rows, dim, steps, n_params;
	double sigma0;
	real *params, *teacher;
	struct binding inputs[8];
	size_t n_inputs;
	struct tape tapes[8];
	size_t n_tapes;
	const void *context; /* for a result of the fixture's own */
};

/** Scratch: released when the handler returns. Zeroed numbers; numbers as the engine has them, times
 *  factor. */
struct arena *trial_arena(const struct trial *t);
double *trial_room(const struct trial *t, size_t n);
real *trial_reals(const struct trial *t, const double *x, size_t n, double factor);

/** A method of that name with the settings of this paper's variant (NULL: none) for any target. False
 *  after counting a failure, as everything below that returns bool. */
bool trial_open(struct trial *t, const char *method, const char *paper);
bool trial_set(struct trial *t, const char *option, const char *value);
/** "option=value,option=value" */
bool trial_settings(struct trial *t, const char *settings);

/** init() on this target, which graphs see as `field`: NULL is the target's own. */
bool trial_init(struct trial *t, const struct density *d, const struct field *field);

/** A graph of the method, nothing bound to it. */
struct graph *trial_graph(struct trial *t, const char *what, size_t steps);
void trial_bind(struct trial *t, const char *label, const double *x);
void trial_play(struct trial *t, const char *label, const double *x);
/** Play recorded prior states: the tape has the normals behind them. */
void trial_play_prior(struct trial *t, const double *x0);
struct graph_args trial_args(const struct trial *t);

/** Run forwards and return what has this label, `size` numbers. */
double *trial_run(struct trial *t, struct graph *g, const char *label, size_t size);
/** Paths [rows][steps + 1][dim], `size` numbers: the states before each step, and the last ones. */
double *trial_run_path(struct trial *t, struct graph *g, const char *label, size_t size);

/** Compare what runs of the graph lead to, as `run` computes it: [rows][cols], tolerances as in
 *  golden_compare. In float the tolerance has a second part: how far the result moves when the start
 *  moves by two units of float's last place, as scores that change fast enlarge rounding on the way. */
typedef double *trial_result(struct trial *t, struct graph *g, const char *label, size_t size);
void trial_compare_rows(struct trial *t, struct graph *g, trial_result *run, const char *label,
	size_t rows, size_t cols, const double *want, double floor, double tolerance,
	const char *what);

/** The same of whole paths, t->rows of them, relative to 1 + |want|. */
void trial_compare(struct trial *t, struct graph *g, trial_result *run, const char *label,
	size_t cols, const double *want, double tolerance, const char *what);

/** Results of the loss's gradient: the loss and its n_params derivatives. The label is ignored. */
double *trial_run_loss(struct trial *t, struct graph *g, const char *label, size_t size);
double *trial_run_gradient(struct trial *t, struct graph *g, const char *label, size_t size);

/** Compare a metric of log weights. */
void trial_compare_metric(struct trial *t, const char *metric, const double *log_w, size_t n,
	double want, double tolerance);

#endif
