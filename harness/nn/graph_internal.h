#ifndef STRIDE_NN_GRAPH_INTERNAL_H
#define STRIDE_NN_GRAPH_INTERNAL_H

#include "core/error.h"
#include "core/parallel.h"
#include "nn/graph.h"

/*
 * Inside the graph. Recording (record.c) appends nodes; a node's id is its place, so inputs always
 * come first. A plan (plan.c) says what one kind of run needs: which nodes, what the backward pass
 * keeps and what it recomputes, and where everything lies in memory. Execution (execute.c) walks a
 * plan, chunk by chunk, with the kernels of kernels.c.
 *
 * Two programs come out of one graph. The step program treats the steps of the scan as its rows: it
 * computes what depends on the step alone. The row program has three regions: before the scan, its
 * body, and after it.
 */
enum op {
	OP_CONSTANT,
	OP_BY_STEP,
	OP_PARAM,
	OP_INPUT,
	OP_NORMAL,
	OP_SIGN,
	OP_TRUNCATED,
	OP_STATE, /* of the scan, at the start of a step */
	OP_LAST,  /* a state after the last step */
	OP_TOTAL, /* a sum over steps */
	OP_LINEAR,
	OP_FOURIER,
	OP_COMBINE, /* offset + sum of number * coefficient * value */
	OP_MUL,
	OP_CLIP,
	OP_INSIDE, /* 1 where clip does nothing, else 0 */
	OP_GELU,
	OP_MAP,
	OP_SUM,
	OP_DOT,
	OP_LOG_DENSITY,
	OP_SCORE,
	OP_HVP,
	OP_STOP
};

enum depends { ON_STEP, ON_ROW };
enum region { BEFORE, BODY, AFTER };
enum gelu_kind { GELU_TANH, GELU_ERF };
enum map_kind { MAP_SOFTPLUS, MAP_EXP, MAP_RECIPROCAL };

enum { TERMS_MAX = 8, NONE = -1 };

/** number * coefficient * value. The coefficient has one column and no gradient; NONE for 1. */
struct term {
	int value, coef;
	double number;
};

struct node {
	enum op op;
	enum depends depends;
	enum region region; /* of a node that depends on the row */
	size_t cols;
	int in[2]; /* inputs; NONE where there is none. OP_LINEAR: x, bias. OP_LAST and OP_TOTAL:
		      the state or term in the body. OP_STATE: start, next. */
	bool variable; /* may depend on trained parameters */
	size_t n_terms;
	struct term *terms;
	double offset;
	const double *bound; /* OP_CLIP, OP_INSIDE, OP_TRUNCATED */
	double first, last;  /* OP_FOURIER: frequencies */
	int order;           /* OP_GELU, OP_MAP, OP_FOURIER: derivative of this order */
	enum gelu_kind gelu;
	enum map_kind map;
	uint32_t purpose; /* random leaves */
	int set;          /* parameter set */
	struct slice slice;
	double *by_step; /* OP_BY_STEP [steps][cols] */
	size_t by_steps;
	bool closed;       /* OP_COMBINE: not folded into other sums */
	const char *label; /* captured or bound under this name */
};

struct graph {
	struct arena *arena;
	const struct field *field;
	struct counts *counts;
	struct node *nodes;
	size_t n, capacity;
	enum region region; /* where recording is */
	bool has_scan;
	size_t steps; /* of the scan; 1 without one */
	int loss;
	struct reduction reduction;
	size_t chunks_keep_max; /* numbers that the chunks of a reduction's run may keep */
	size_t networks[3];     /* network evaluations a row in each region */
	struct plan *plans;
};

static inline struct node *graph_node(const struct graph *g, int id)
{
	return &g->nodes[id];
}

/** The node whose value this is: stop() adds none of its own. */
static inline int graph_root(const struct graph *g, int id)
{
	while (g->nodes[id].op == OP_STOP)
		id = g->nodes[id].in[0];
	return id;
}

/** The node that label() made for this name; NONE when there is none. */
int graph_labelled(const struct graph *g, const char *name);

/** A view of a value by kernels. row: lanes at p + k * stride for column k (GRAPH_CHUNK of them);
 *  otherwise the number p[k * stride] for all lanes. stride is 0 for one-column values. */
struct tile {
	real *p;
	size_t stride;
	bool row;
};

/** A value one may only write or add to: `add` says whether something is there already. */
struct sink {
	real *p;
	size_t stride;
	bool row, add;
};

/* --- plan ------------------------------------------------------------------------------------- */

/** What a plan decides about one node. */
struct place {
	bool live;     /* takes part in this plan */
	bool active;   /* depends on trained parameters */
	bool useful;   /* its gradient is needed: active, and the loss depends on it */
	bool kept;     /* body: has one buffer a step */
	bool again;    /* body: recomputed in the backward pass */
	bool aux;      /* has a second buffer. OP_GELU: the derivative; OP_LOG_DENSITY: the score;
			  OP_SCORE, OP_HVP: scratch of the backward rule */
	bool in_state; /* body: lives in the state that it is next of */
	bool zero;     /* its gradient is set to 0 first, then only added to */
	size_t value;  /* offset in its program's values, in numbers */
	size_t step_stride; /* body: distance of one step to the next; 0: one buffer */
	size_t aux_at;
	size_t grad;    /* offset in its program's gradients */
	size_t partial; /* step nodes that rows use: offset in a chunk's step gradients */
	bool boundary;  /* a useful step node that rows use */
	size_t f64;     /* one-column row nodes outside the body: offset in doubles */
	size_t weight;  /* offset of its slice's gradient in the compact partial sums */
};

struct span {
	size_t offset, size; /* in the flat vector */
	size_t at;           /* in the compact partial sums */
};

struct program {
	size_t values, grads, weights; /* numbers a chunk */
	struct span *spans;
	size_t n_spans;
};

struct list {
	int *ids;
	size_t n;
};

struct plan {
	struct plan *next;
	bool gradient;
	const char **labels; /* captured, and their nodes */
	int *label_ids;
	size_t n_labels;
	struct place *places;                          /* a node */
	struct list steps, before, body, after, again; /* in order of execution */
	bool *adds; /* [node][TERMS_MAX]: does the backward rule's contribution to this input (or
		       term) add to one that came before it? OP_STATE: 0 to next, 1 to start.
		       OP_TOTAL: 0 */
	struct program step, row;
	size_t step_partial; /* numbers of step gradients a row chunk */
	size_t f64;          /* doubles a workspace */
	size_t step_chunks;
	real *step_values, *step_grads; /* [step_chunks][...] */
	real *step_weights;             /* [step_chunks][step.weights] */
	struct workspace *workspaces;   /* one a thread */
	size_t n_workspaces;
	size_t chunks;                    /* for which the following have room */
	real *row_weights, *row_partials; /* [chunks][...] */
	double *losses, *shares;          /* [chunks][GRAPH_CHUNK]: of each row, and its
					     derivative of the loss */
	real *kept_values;                /* [chunks][row.values], where a reduction wants them */
	double *kept_f64;                 /* [chunks][f64] */
};

struct workspace {
	real *values, *grads;
	double *f64;
};

/** The plan for this kind of run: made once, then found. */
struct plan *plan_for(struct graph *g, bool gradient, const struct capture *captures, size_t n);

/** Inputs of a node, uniformly: count, and the id of the i-th (NONE if absent). */
size_t node_inputs(const struct node *n);
int node_input(const struct node *n, size_t i);

/* --- kernels ---------------------------------------------------------------------------------- */

/** One term of a combination as kernels see it. */
struct weighted {
	struct tile value, coef;
	bool has_coef;
	double number;
};

void kernel_combine(size_t cols, double offset, size_t n, const struct weighted *terms, real *out);
/** to (+)= number * coef * grad. grad has cols columns of lanes. */
void kernel_spread(size_t cols, const struct tile *grad, const struct weighted *by, struct sink to);
void kernel_mul(size_t cols, struct tile a, struct tile b, real *out);
/** to (+)= grad * other. */
void kernel_mul_back(size_t cols, const struct tile *grad, struct tile other, struct sink to);
void kernel_clip(size_t cols, struct tile a, double bound, real *out);
void kernel_inside(size_t cols, struct tile a, double bound, real *out);
void kernel_clip_back(size_t cols, const struct tile *grad, struct tile a, double bound,
	struct sink to);
/** out: derivative of this order of the GELU; next (or NULL): of one order more. order 0 or 1. */
void kernel_gelu(enum gelu_kind kind, int order, size_t n, const real *x, real *out, real *next);
/** out: the map's derivative of this order at a; order 0 to 2. */
void kernel_map(enum map_kind kind, int order, size_t cols, struct tile a, real *out);
/** to (+)= grad * the derivative of this order at a. */
void kernel_map_back(enum map_kind kind, int order, size_t cols, const struct tile *grad,
	struct tile a, struct sink to);
void kernel_dot(size_t cols, struct tile a, struct tile b, real *out);
void kernel_dot_f64(size_t cols, struct tile a, struct tile b, double *out);
/** y = x W + bias for a chunk: x [in][chunk], w [in][out], y [out][chunk]. bias may be NULL. */
void kernel_linear(size_t in, size_t out, const real *x, const real *w, const struct tile *bias,
	real *y);
void kernel_linear_back_x(size_t in, size_t out, const real *dy, const real *w, bool add, real *dx);
void kernel_linear_back_w(size_t in, size_t out, const real *x, const real *dy, real *dw);
void kernel_fourier(size_t n, double first, double last, int order, struct tile tau,
	const real *phase, real *out);
/** The gradient of the one column tau, from the features themselves. */
void kernel_fourier_back_tau(size_t n, double first, double last, const real *features,
	const real *grad, struct sink to);
/** dphase [n] += gradient, from the features themselves. */
void kernel_fourier_back(size_t n, const real *features, const real *grad, real *dphase);
void kernel_copy(size_t cols, struct tile from, real *out);
void kernel_deposit(size_t cols, struct tile from, struct sink to);
/** from [rows][cols] row-major to lanes; missing rows repeat the last one. */
void kernel_load(size_t rows, size_t cols, size_t row_stride, const double *f64, const real *r,
	real *out);

#endif
