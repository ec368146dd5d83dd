#ifndef STRIDE_SCORE_SIMPLEX_H
#define STRIDE_SCORE_SIMPLEX_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The network simplex for the transportation problem: n rows with `supply` units each, m columns with
 * `demand` units each, n supply = m demand, and a list of arcs (row, column, cost) that may grow from one
 * run to the next. Units are integers, so flows are exact; potentials are double.
 *
 * Of the arcs given so far simplex_run finds the cheapest flow, beginning where the run before ended.
 * The first run begins with what simplex_load and simplex_put have placed, each arc with as many units as
 * it could take. What they leave over goes by way of an artificial node, at a cost above that of every arc.
 */
struct simplex_arcs {
	size_t n, room;
	uint32_t *row, *column;
	double *cost;
};

struct simplex_node {
	uint32_t parent;     /* in the tree of basic arcs */
	uint32_t next, last; /* in an order of all: what is below a node follows it; a circle */
	uint32_t depth;
};

struct simplex {
	size_t n, m;
	int64_t supply, demand;
	struct simplex_arcs arcs;
	double *potential; /* f of the rows, then g of the columns, then 0 of the artificial node */
	struct simplex_node *tree;
	int64_t *flow; /* of the arc to the parent, which leaves a row and enters a column */
	double *toll;  /* cost of that arc */
	int64_t *left; /* units of a node that no arc carries yet */
	double margin; /* reduced costs above -margin may be 0 */
	size_t at;     /* where pricing goes on */
	size_t pivots;
	struct arena *arena;
};

/** Ready for simplex_add. Lives in the arena. n + m < 2^32 - 1. */
void simplex_make(struct simplex *s, size_t n, size_t m, struct arena *a);

/** One more arc. Twice the same one does no harm. */
void simplex_add(struct simplex *s, uint32_t row, uint32_t column, double cost);

/** Place units on the arcs given, those of least cost - f - g first. Once, before simplex_begin. */
void simplex_load(struct simplex *s, const double *f, const double *g);

/** One more arc, and units on it. Before simplex_begin. */
void simplex_put(struct simplex *s, uint32_t row, uint32_t column, double cost);

/** The first basis: the arcs that carry units, and potentials f [n], g [m] of what hangs at none. above:
 *  more than cost - f_i - g_j of every arc that there is or will be, and than f_i and g_j. */
void simplex_begin(struct simplex *s, const double *f, const double *g, double above);

/** Would an arc with these potentials at its ends improve the flow? Not by what may be rounding. */
bool simplex_improves(const struct simplex *s, double cost, double f, double g);

/** Pivot until no arc improves the flow. On return s->potential has cost - f - g >= 0 for all arcs up to
 *  rounding, = 0 where units flow. ERR_NUMERIC when pivots do not end; ERR_INTERRUPTED. */
int simplex_run(struct simplex *s);

/** The flow's cost by the unit: the sum of flow times cost over n supply, the number of units; NaN
 *  while some of it goes by way of the artificial node. */
double simplex_value(const struct simplex *s);

#endif
