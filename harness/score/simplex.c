/*
 * The basic arcs are a tree, hung up at the artificial node (Ahuja, Magnanti and Orlin 1993, chapter 11).
 * Every arc leaves a row and enters a column, so a row's arc to its parent points up and a column's points
 * down, the artificial node being a column to rows and a row to columns. A pivot lets the arc of the most
 * negative reduced cost in a block of the list enter, sends around the cycle what the smallest flow
 * against it allows, hangs the part of the tree that is cut off to the other end of the arc, and moves that
 * part's potentials.
 *
 * Pivots that move no flow are common, above all for n = m, and might go in circles. They do not in a
 * tree in which an arc without flow points up (Cunningham 1976): the first one has that property and
 * the leaving arc is chosen such that it stays, as the last one that blocks, seen from the top of the
 * cycle in the direction of the flow.
 */
#include "score/simplex.h"
#include "core/error.h"
#include "core/parallel.h"
#include "score/sort.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const uint32_t NONE = UINT32_MAX;

enum {
	BLOCK_MIN = 64,       /* arcs looked at for a pivot, at least */
	PIVOTS_A_NODE = 1000, /* more is a circle by rounding */
	LOOK_UP = 1 << 16,    /* pivots between looks at a wish to stop */
};

/* A block, by the root of the number of arcs: larger ones save pivots, but less than they cost. */
static const double BLOCK_ROOT = 0.5;

/* A reduced cost below 0 by this much of the largest potential is rounding: potentials are sums along
 * paths of the tree, and a small one keeps the error of large ones on its path. Without a margin, pivots
 * among costs that tie might go on for ever. */
static const double ROUNDING = 16 * DBL_EPSILON;

static size_t nodes(const struct simplex *s)
{
	return s->n + s->m + 1;
}

void simplex_make(struct simplex *s, size_t n, size_t m, struct arena *a)
{
	size_t divisor = n, rest = m, count = n + m + 1;

	while (rest > 0) {
		size_t r = divisor % rest;
		divisor = rest;
		rest = r;
	}
	*s = (struct simplex){
		.n = n,
		.m = m,
		.supply = (int64_t)(m / divisor),
		.demand = (int64_t)(n / divisor),
		.potential = arena_alloc(a, count, sizeof(double)),
		.tree = arena_alloc(a, count, sizeof(struct simplex_node)),
		.flow = arena_alloc(a, count, sizeof(int64_t)),
		.toll = arena_alloc(a, count, sizeof(double)),
		.left = arena_alloc(a, count, sizeof(int64_t)),
		.arena = a,
	};
	for (uint32_t u = 0; u < count; u++) {
		s->tree[u] = (struct simplex_node){ .parent = NONE, .next = u, .last = u };
		s->left[u] = u < n ? s->supply : u < n + m ? s->demand : 0;
	}
}

static void *grown(struct arena *a, const void *old, size_t n, size_t room, size_t size)
{
	void *fresh = arena_alloc(a, room, size);

	if (n > 0)
		memcpy(fresh, old, n * size);
	return fresh;
}

void simplex_add(struct simplex *s, uint32_t row, uint32_t column, double cost)
{
	struct simplex_arcs *arcs = &s->arcs;

	if (arcs->n == arcs->room) {
		arcs->room = arcs->room > 0 ? 2 * arcs->room : 16 * (s->n + s->m);
		arcs->row = grown(s->arena, arcs->row, arcs->n, arcs->room, sizeof(uint32_t));
		arcs->column = grown(s->arena, arcs->column, arcs->n, arcs->room, sizeof(uint32_t));
		arcs->cost = grown(s->arena, arcs->cost, arcs->n, arcs->room, sizeof(double));
	}
	arcs->row[arcs->n] = row;
	arcs->column[arcs->n] = column;
	arcs->cost[arcs->n++] = cost;
}

/* --- the tree -------------------------------------------------------------------------------- */

static bool is_row(const struct simplex *s, uint32_t node)
{
	return node < s->n;
}

/* b comes after a. */
static void link(struct simplex *s, uint32_t a, uint32_t b)
{
	s->tree[a].next = b;
	s->tree[b].last = a;
}

/* A tree of its own, from first to last in order, becomes a part of another. */
static void insert(struct simplex *s, uint32_t first, uint32_t last, uint32_t parent)
{
	uint32_t next = s->tree[parent].next;

	link(s, parent, first);
	link(s, last, next);
}

static void set_parent(struct simplex *s, uint32_t node, uint32_t parent, int64_t flow, double toll)
{
	s->tree[node].parent = parent;
	s->flow[node] = flow;
	s->toll[node] = toll;
}

/* Hang the tree below a node without a parent to another tree. */
static void hang(struct simplex *s, uint32_t node, uint32_t parent, int64_t flow, double toll)
{
	set_parent(s, node, parent, flow, toll);
	insert(s, node, s->tree[node].last, parent);
}

/* Cut off what is below `end`, turn the path from u up to there over and hang u below `parent`. The
 * potential of u changes by `change`, and that of the others with it. Each node of the path takes along what is
 * below it and is not done yet; what that is, depths tell. */
static void hang_anew(struct simplex *s, uint32_t u, uint32_t end, uint32_t parent, int64_t flow,
	double toll, double change)
{
	const double row_change = is_row(s, u) ? change : -change;
	const uint32_t first = u, under = parent, before = s->tree[end].last;
	uint32_t depth = s->tree[parent].depth + 1, done = NONE, last = NONE, rest = NONE;

	for (;; depth++) {
		const struct simplex_node old = s->tree[u];
		int64_t old_flow = s->flow[u];
		double old_toll = s->toll[u];
		if (last != NONE)
			link(s, last, u);
		uint32_t at = u;
		do {
			s->potential[at] += is_row(s, at) ? row_change : -row_change;
			s->tree[at].depth += depth - old.depth;
			last = at;
			at = s->tree[at].next;
			if (at == done) {
				at = rest;
				link(s, last, at);
			}
		} while (s->tree[at].depth > old.depth);
		rest = at;
		set_parent(s, u, parent, flow, toll);
		if (u == end)
			break;
		done = parent = u;
		u = old.parent;
		flow = old_flow;
		toll = old_toll;
	}
	link(s, before, rest);
	insert(s, first, last, under);
}

/* Potentials and depths of all, from the artificial node down. */
static void measure(struct simplex *s)
{
	uint32_t root = (uint32_t)(s->n + s->m);

	s->potential[root] = 0;
	s->tree[root].depth = 0;
	for (uint32_t u = s->tree[root].next; u != root; u = s->tree[u].next) {
		uint32_t parent = s->tree[u].parent;
		s->potential[u] = s->toll[u] - s->potential[parent];
		s->tree[u].depth = s->tree[parent].depth + 1;
	}
}

/* --- the first basis ------------------------------------------------------------------------- */

/* An arc uses one of its ends up. That end is hung to the other, which is still without a parent: so is
 * every node with units left. */
static void load(struct simplex *s, size_t arc)
{
	uint32_t i = s->arcs.row[arc], j = (uint32_t)s->n + s->arcs.column[arc];
	int64_t units = s->left[i] < s->left[j] ? s->left[i] : s->left[j];

	if (units == 0)
		return;
	s->left[i] -= units;
	s->left[j] -= units;
	if (s->left[j] == 0)
		hang(s, j, i, units, s->arcs.cost[arc]);
	else
		hang(s, i, j, units, s->arcs.cost[arc]);
}

void simplex_load(struct simplex *s, const double *f, const double *g)
{
	struct arena_mark mark = arena_mark(s->arena);
	const struct simplex_arcs *arcs = &s->arcs;
	struct keyed *queue = arena_alloc(s->arena, arcs->n, sizeof(*queue));
	struct keyed *scratch = arena_alloc(s->arena, arcs->n, sizeof(*scratch));

	for (size_t k = 0; k < arcs->n; k++)
		queue[k] =
			(struct keyed){ arcs->cost[k] - f[arcs->row[k]] - g[arcs->column[k]], k };
	sort_keyed(queue, arcs->n, scratch);
	for (size_t q = 0; q < arcs->n; q++)
		load(s, queue[q].place);
	arena_release(s->arena, mark);
}

void simplex_put(struct simplex *s, uint32_t row, uint32_t column, double cost)
{
	simplex_add(s, row, column, cost);
	load(s, s->arcs.n - 1);
}

void simplex_begin(struct simplex *s, const double *f, const double *g, double above)
{
	uint32_t root = (uint32_t)(s->n + s->m);

	s->margin = ROUNDING * above;
	/* What has no parent hangs at the artificial node: rows with the potential f, used up or not, columns
	 * with units left far above g. */
	for (uint32_t u = 0; u < root; u++)
		if (s->tree[u].parent == NONE)
			hang(s, u, root, s->left[u], is_row(s, u) ? f[u] : g[u - s->n] + above);
	measure(s);
}

/* --- pivots ---------------------------------------------------------------------------------- */

bool simplex_improves(const struct simplex *s, double cost, double f, double g)
{
	return cost - f - g < -s->margin;
}

struct candidate {
	double reduced;
	size_t arc;
};

static struct candidate lesser(struct candidate best, const struct simplex *s, size_t arc)
{
	const struct simplex_arcs *arcs = &s->arcs;
	double f = s->potential[arcs->row[arc]], g = s->potential[s->n + arcs->column[arc]];
	double reduced = arcs->cost[arc] - f - g;

	return reduced < best.reduced ? (struct candidate){ reduced, arc } : best;
}

/* The most negative reduced cost of the next block that has one; the number of arcs when none has. */
static size_t find_entering(struct simplex *s)
{
	const size_t n = s->arcs.n;
	size_t block = (size_t)(BLOCK_ROOT * sqrt((double)n));

	block = block < BLOCK_MIN ? BLOCK_MIN : block;
	for (size_t seen = 0; seen < n;) {
		size_t from = s->at < n ? s->at : 0;
		size_t to = from + block < n ? from + block : n, middle = from + (to - from) / 2;
		struct candidate low = { -s->margin, n }, high = low;
		/* Halves side by side: one comparison need not wait for the one before. */
		for (size_t k = from; k < middle; k++) {
			low = lesser(low, s, k);
			high = lesser(high, s, k + middle - from);
		}
		high = lesser(high, s, to - 1);
		seen += to - from;
		s->at = to;
		if (low.arc < n || high.arc < n)
			return high.reduced < low.reduced ? high.arc : low.arc;
	}
	return n;
}

static void pivot(struct simplex *s, size_t arc)
{
	uint32_t i = s->arcs.row[arc], j = (uint32_t)s->n + s->arcs.column[arc];
	uint32_t u = i, v = j, out = NONE;
	int64_t units = INT64_MAX;
	bool out_of_row = true; /* the arc that leaves is above i */

	while (u != v)
		if (s->tree[u].depth >= s->tree[v].depth)
			u = s->tree[u].parent;
		else
			v = s->tree[v].parent;
	uint32_t join = u;
	/* The flow comes down to i, against the arcs of rows, and goes up from j, against those of
	 * columns. */
	for (u = i; u != join; u = s->tree[u].parent)
		if (is_row(s, u) && s->flow[u] < units) {
			units = s->flow[u];
			out = u;
		}
	for (u = j; u != join; u = s->tree[u].parent)
		if (!is_row(s, u) && s->flow[u] <= units) {
			units = s->flow[u];
			out = u;
			out_of_row = false;
		}
	for (u = i; units > 0 && u != join; u = s->tree[u].parent)
		s->flow[u] += is_row(s, u) ? -units : units;
	for (u = j; units > 0 && u != join; u = s->tree[u].parent)
		s->flow[u] += is_row(s, u) ? units : -units;
	uint32_t top = out_of_row ? i : j, under = out_of_row ? j : i;
	double change = s->arcs.cost[arc] - s->potential[under] - s->potential[top];
	hang_anew(s, top, out, under, units, s->arcs.cost[arc], change);
}

int simplex_run(struct simplex *s)
{
	size_t most = s->pivots + PIVOTS_A_NODE * nodes(s);

	for (;;) {
		size_t arc = find_entering(s), before = s->pivots;
		while (arc < s->arcs.n) {
			pivot(s, arc);
			if (++s->pivots >= most)
				return fail(ERR_NUMERIC, "the network simplex goes in circles");
			if (s->pivots % LOOK_UP == 0 && parallel_stopping())
				return fail(ERR_INTERRUPTED, "interrupted");
			arc = find_entering(s);
		}
		/* Without what pivots have gathered of rounding. */
		measure(s);
		if (s->pivots == before)
			return OK;
	}
}

double simplex_value(const struct simplex *s)
{
	uint32_t root = (uint32_t)(s->n + s->m);
	double sum = 0, lost = 0;

	for (uint32_t u = 0; u < root; u++) {
		if (s->tree[u].parent == root && s->flow[u] > 0)
			return (double)NAN;
		/* Artificial arcs without units have tolls, too, times 0. */
		double term = (double)s->flow[u] * s->toll[u] - lost, more = sum + term;
		lost = (more - sum) - term;
		sum = more;
	}
	return sum / ((double)s->n * (double)s->supply);
}
