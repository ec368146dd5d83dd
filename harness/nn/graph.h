#ifndef STRIDE_NN_GRAPH_H
#define STRIDE_NN_GRAPH_H

#include "core/arena.h"
#include "core/real.h"
#include "core/rng.h"
#include "nn/reduction.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A graph of row-batched arrays with automatic differentiation: recorded once, its shapes checked
 * when recorded, run many times. A value depends on the step alone (parameters, times, schedules)
 * or on the row as well (a sample). The engine sees which: what depends on the step alone is
 * computed once for all steps, as one batch. Rows run in chunks of GRAPH_CHUNK, a chunk on one
 * thread; the gradients of chunks are added in a fixed order. So a result is the same, bit for bit,
 * for any number of threads.
 *
 * Recording never fails on user input: a wrong shape is a broken invariant and aborts, naming the
 * operation. Everything recorded lives in the graph's arena.
 *
 * Shapes: a var has `cols` columns for each row or step. Operations combine a step's value with a
 * row's by broadcasting it over the rows, and one column with many by broadcasting over columns.
 */
enum { GRAPH_CHUNK = 64, GRAPH_PARAMS_MAX = 2 };

struct graph;

/** A value in a graph: handed around by value. */
struct var {
	struct graph *g;
	int id;
};

/** A density seen by the graph: its context belongs to the caller. x and grad are [dim][n], n is
 *  GRAPH_CHUNK. log_rho and grad may each be NULL. */
struct field {
	const void *context;
	size_t dim;
	void (*eval)(const void *context, size_t n, const real *x, double *log_rho, real *grad);
	/** hv = (Hessian of log rho at x) v; NULL when there is none. */
	void (*hvp)(const void *context, size_t n, const real *x, const real *v, real *hv);
};

/** How often networks and targets were evaluated, in points. Updated by every run of a graph; a
 *  Hessian-vector product by which a score is differentiated is an evaluation of the target too. */
struct counts {
	uint64_t network;
	uint64_t target;
};

/** A matrix in the flat parameter vector: rows x cols, row-major, from offset. */
struct slice {
	size_t offset, rows, cols;
};

/** field may be NULL for a graph without log_density and score. counts may be NULL. */
struct graph *graph_new(struct arena *a, const struct field *field, struct counts *counts);

/* --- leaves ----------------------------------------------------------------------------------- */

struct var constant(struct graph *g, double value);

/** Zero in every column. */
struct var zeros(struct graph *g, size_t cols);

/** A schedule: values [steps][cols] in the order in which the scan takes its steps. Copied. */
struct var by_step(struct graph *g, size_t steps, size_t cols, const double *values);

/** A row's input, bound when the graph runs: row-major [rows][cols] under this label. */
struct var input(struct graph *g, const char *label, size_t cols);

/** Fresh standard normals (signs) for each row, and for each step inside a scan. Each random leaf
 *  of a graph has a purpose of its own. */
struct var normal(struct graph *g, uint32_t purpose, size_t cols);
struct var rademacher(struct graph *g, uint32_t purpose, size_t cols);

/** Standard normals given that they lie in [-bound, bound], by inversion. */
struct var truncated_normal(struct graph *g, uint32_t purpose, size_t cols, double bound);

/** A row vector of the parameter set `set` (0 is trained, the others are constant). */
struct var param(struct graph *g, int set, struct slice s);

/* --- operations ------------------------------------------------------------------------------- */

struct var add(struct var a, struct var b);
struct var sub(struct var a, struct var b);
struct var scale(double c, struct var a);
struct var mul(struct var a, struct var b);
/** Values outside [-bound, bound] are moved to its ends, and have derivative 0 there. clip_at reads
 *  the bound anew at each run: a schedule may move it. */
struct var clip(struct var a, double bound);
struct var clip_at(struct var a, const double *bound);
/** tanh: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, the default of flax;
 *  erf: x Phi(x), the default of PyTorch. */
struct var gelu_tanh(struct var a);
struct var gelu_erf(struct var a);
/** log(1 + e^x), e^x and 1/x, in double and then rounded: for what learned schedules are made of,
 *  where values are few. */
struct var softplus(struct var a);
struct var exponential(struct var a);
struct var reciprocal(struct var a);
/** x W + bias: the slice W [cols of x][cols of result] of set `set`. bias has W's columns; pass a
 * var with g == NULL for none. */
struct var linear(struct var x, int set, struct slice w, struct var bias);
#define NO_BIAS ((struct var){ NULL, 0 })
/** [sin(omega_j tau + phase_j) ..., cos(...) ...]: tau has one column, omega_j are n frequencies
 *  spaced evenly from first to last, phase a 1 x n slice. The angle is formed in double. */
struct var fourier(struct var tau, double first, double last, int set, struct slice phase);
/** Sum over columns of a, of a * b: one column. */
struct var sum(struct var a);
struct var dot(struct var a, struct var b);
/** log N(x; 0, deviation^2 I): one column. */
struct var log_gaussian(struct var x, double deviation);
/** log rho(x) (its derivative is the score) and the score itself. The derivative of the score is
 *  the Hessian-vector product; wrap it in stop() for the papers' constant score. */
struct var log_density(struct var x);
struct var score(struct var x);
/** The same value, constant under differentiation. */
struct var stop(struct var a);
/** The same value, read as one from here on: sums that contain it do not take its terms instead. */
struct var whole(struct var a);
/** The directional derivative (dy/dx) v, as new nodes that can themselves be differentiated. Values
 *  behind stop() are constant. v has the columns of x; x is not a sum, unless whole() closed it
 *  when it was made. */
struct var jvp(struct var y, struct var x, struct var v);

size_t var_cols(struct var a);

/* --- scan ------------------------------------------------------------------------------------- */

/**
 * A loop of `steps` steps. Between scan_begin and scan_end the body is recorded once.
 *
 *     scan_begin(g, steps);
 *     struct var x = scan_state(x0);
 *     ...
 *     scan_next(x, x_next);
 *     struct var cost = scan_total(step_cost);   still inside: a sum over steps, in double
 *     scan_end(g);
 *     ... scan_last(x), cost ...                 after the loop
 *
 * A graph has one scan at most. The backward pass recomputes what the forward pass did not keep.
 */
void scan_begin(struct graph *g, size_t steps);
struct var scan_state(struct var start);
/** next is made in the body, for each row, and is the next value of no other state. */
void scan_next(struct var state, struct var next);
struct var scan_total(struct var term);
void scan_end(struct graph *g);
struct var scan_last(struct var state);

/* --- results ---------------------------------------------------------------------------------- */

/** Name a value, so that a run can capture it. Labels are unique in a graph; returns a. */
struct var label(struct var a, const char *name);

/** The loss: the mean over rows of a one-column value, or what the reduction makes of it. At most one
 *  a graph. Anything but the mean of all rows has to see every row before it goes back: such a run
 *  keeps its chunks, up to a bound, and recomputes them above it. */
void graph_loss(struct var a);
void graph_loss_by(struct var a, struct reduction how);

/** Count one network evaluation a row (and step, when inside the scan) from here on. */
void graph_count_network(struct graph *g);

/* --- running ---------------------------------------------------------------------------------- */

/** Data for an input: row-major [rows][cols], in one of the two. */
struct binding {
	const char *label;
	const real *as_real;
	const double *f64;
};

/** Where to put a labelled value, row-major: [rows][cols], or [rows][steps][cols] for a value of
 *  the scan's body, or, with at_step [rows], [rows][cols] as it was at that step of each row. One
 *  of f64 and as_real is set. Sums, dots and log densities outside the body are
 *  in double. Where a run forwards wants nothing but values at steps, its scan ends for each chunk of rows with
 *  the last step wanted there: rows in the order of their steps, the largest first, save most. */
struct capture {
	const char *label;
	double *f64;
	real *as_real;
	const uint32_t *at_step;
};

/** Numbers that take the place of the random leaf with this label: row-major [rows][cols], or
 *  [rows][steps][cols] inside the scan. For tests against recorded draws. */
struct tape {
	const char *label;
	const double *data;
};

struct graph_args {
	size_t rows;
	uint64_t seed;
	uint32_t epoch;
	const real *params[GRAPH_PARAMS_MAX];
	const struct binding *inputs;
	size_t n_inputs;
	const struct capture *captures;
	size_t n_captures;
	const struct tape *tapes;
	size_t n_tapes;
	size_t *dropped; /* receives the rows that had no part in the loss; NULL: not wanted */
};

/** Run forwards. Every captured and bound label must exist (invariant). */
void graph_forward(struct graph *g, const struct graph_args *args);

/** Run forwards and backwards. grad [n_params] receives the gradient of the loss with respect to
 *  params[0], whole (zeros where nothing flows). Returns the loss. */
double graph_gradient(struct graph *g, const struct graph_args *args, size_t n_params, real *grad);

/** Useful flops of one run over `rows` rows that captures these labels, forwards, or forwards and
 *  backwards: the networks' matrix products without recomputation, step-only values once a step. */
double graph_flops(struct graph *g, size_t rows, bool gradient, const struct capture *captures,
	size_t n_captures);

#endif
