/* Recording: every operation appends a node, checks shapes, and folds sums into combinations. */
#include "nn/graph_internal.h"

#include <math.h>
#include <string.h>

/* 256 MB in float. */
static const size_t CHUNKS_KEEP_MAX = 64u << 20;

struct graph *graph_new(struct arena *a, const struct field *field, struct counts *counts)
{
	struct graph *g = ARENA_NEW(a, 1, struct graph);

	g->arena = a;
	g->field = field;
	g->counts = counts;
	g->steps = 1;
	g->loss = NONE;
	g->chunks_keep_max = CHUNKS_KEEP_MAX;
	return g;
}

static struct node *node_of(struct var a)
{
	invariant(a.g != NULL && a.id >= 0 && (size_t)a.id < a.g->n);
	return graph_node(a.g, a.id);
}

size_t var_cols(struct var a)
{
	return node_of(a)->cols;
}

/* A new node; it depends on the row if an input does, and may depend on parameters if one does. */
static struct var append(struct graph *g, struct node n)
{
	if (g->n == g->capacity) {
		size_t capacity = g->capacity > 0 ? 2 * g->capacity : 64;
		struct node *nodes = ARENA_NEW(g->arena, capacity, struct node);
		if (g->n > 0)
			memcpy(nodes, g->nodes, g->n * sizeof(*nodes));
		g->nodes = nodes;
		g->capacity = capacity;
	}
	invariant(n.cols > 0);
	n.region = g->region;
	for (size_t i = 0; i < node_inputs(&n); i++) {
		int id = node_input(&n, i);
		if (id == NONE)
			continue;
		const struct node *in = graph_node(g, id);
		if (in->depends == ON_ROW) {
			n.depends = ON_ROW;
			invariant(in->region <= n.region || n.op == OP_STATE);
			invariant(in->region != BODY || n.region == BODY || n.op == OP_LAST ||
				  n.op == OP_TOTAL);
		}
		n.variable = n.variable || (in->variable && n.op != OP_STOP && n.op != OP_INSIDE);
	}
	g->nodes[g->n] = n;
	return (struct var){ g, (int)g->n++ };
}

size_t node_inputs(const struct node *n)
{
	return n->op == OP_COMBINE ? 2 * n->n_terms : 2;
}

int node_input(const struct node *n, size_t i)
{
	if (n->op != OP_COMBINE)
		return n->in[i];
	return i % 2 == 0 ? n->terms[i / 2].value : n->terms[i / 2].coef;
}

static struct node leaf(enum op op, enum depends depends, size_t cols)
{
	return (struct node){ .op = op, .depends = depends, .cols = cols, .in = { NONE, NONE } };
}

static struct node unary(enum op op, struct var a, size_t cols)
{
	return (struct node){ .op = op, .cols = cols, .in = { a.id, NONE } };
}

static size_t broadcast_cols(struct var a, struct var b)
{
	size_t m = var_cols(a), n = var_cols(b);

	invariant(a.g == b.g);
	invariant(m == n || m == 1 || n == 1);
	return m > n ? m : n;
}

/* --- leaves ----------------------------------------------------------------------------------- */

struct var constant(struct graph *g, double value)
{
	struct node n = leaf(OP_CONSTANT, ON_STEP, 1);

	n.offset = value;
	return append(g, n);
}

struct var zeros(struct graph *g, size_t cols)
{
	return append(g, (struct node){ .op = OP_COMBINE, .cols = cols });
}

struct var by_step(struct graph *g, size_t steps, size_t cols, const double *values)
{
	struct node n = leaf(OP_BY_STEP, ON_STEP, cols);

	invariant(steps > 0);
	n.by_steps = steps;
	n.by_step = arena_alloc(g->arena, steps * cols, sizeof(double));
	memcpy(n.by_step, values, steps * cols * sizeof(double));
	return append(g, n);
}

struct var input(struct graph *g, const char *name, size_t cols)
{
	struct node n = leaf(OP_INPUT, ON_ROW, cols);

	invariant(g->region == BEFORE);
	n.label = arena_strdup(g->arena, name);
	return append(g, n);
}

static struct var random_leaf(struct graph *g, enum op op, uint32_t purpose, size_t cols)
{
	struct node n = leaf(op, ON_ROW, cols);

	for (size_t i = 0; i < g->n; i++) {
		enum op other = g->nodes[i].op;
		invariant(!(other == OP_NORMAL || other == OP_SIGN || other == OP_TRUNCATED) ||
			  g->nodes[i].purpose != purpose);
	}
	n.purpose = purpose;
	return append(g, n);
}

struct var normal(struct graph *g, uint32_t purpose, size_t cols)
{
	return random_leaf(g, OP_NORMAL, purpose, cols);
}

struct var rademacher(struct graph *g, uint32_t purpose, size_t cols)
{
	return random_leaf(g, OP_SIGN, purpose, cols);
}

static const double *number(struct graph *g, double value)
{
	double *p = ARENA_NEW(g->arena, 1, double);

	*p = value;
	return p;
}

struct var truncated_normal(struct graph *g, uint32_t purpose, size_t cols, double bound)
{
	struct var a = random_leaf(g, OP_TRUNCATED, purpose, cols);

	invariant(bound > 0);
	node_of(a)->bound = number(g, bound);
	return a;
}

struct var param(struct graph *g, int set, struct slice s)
{
	struct node n = leaf(OP_PARAM, ON_STEP, s.cols);

	invariant(s.rows == 1 && set >= 0 && set < GRAPH_PARAMS_MAX);
	n.set = set;
	n.slice = s;
	n.variable = set == 0;
	return append(g, n);
}

/* --- combinations ----------------------------------------------------------------------------- */

/* A sum of terms under construction. */
struct sum {
	struct graph *g;
	size_t cols, n;
	double offset;
	struct term terms[TERMS_MAX];
};

static struct var product_of_coefs(struct graph *g, int a, int b)
{
	if (a == NONE || b == NONE)
		return (struct var){ g, a == NONE ? b : a };
	return append(g, (struct node){ .op = OP_MUL, .cols = 1, .in = { a, b } });
}

/* number * coef as one coefficient of its own: coef may be NONE. */
static void combine_add_coef(struct term *terms, size_t *n, double *offset, const struct term *t)
{
	if (t->coef == NONE)
		*offset += t->number;
	else
		terms[(*n)++] =
			(struct term){ .value = t->coef, .coef = NONE, .number = t->number };
}

/* Append a term; a value that is in the sum already gets one coefficient, the sum of the two. Sums of
 * coefficients cost one number a step or row, terms one a column. */
static bool sum_append(struct sum *s, struct term t)
{
	for (size_t i = 0; i < s->n; i++) {
		struct term *old = &s->terms[i];
		if (old->value != t.value)
			continue;
		if (old->coef == t.coef) {
			old->number += t.number;
			return true;
		}
		struct node n = { .op = OP_COMBINE, .cols = 1 };
		n.terms = ARENA_NEW(s->g->arena, TERMS_MAX, struct term);
		combine_add_coef(n.terms, &n.n_terms, &n.offset, old);
		combine_add_coef(n.terms, &n.n_terms, &n.offset, &t);
		*old = (struct term){ .value = t.value, .coef = append(s->g, n).id, .number = 1 };
		return true;
	}
	if (s->n == TERMS_MAX)
		return false;
	s->terms[s->n++] = t;
	return true;
}

/* A sum of more terms than this is read as one value: computing it again would cost more, and so would
 * what the backward pass then had to recompute of its parts. */
enum { FOLD_MAX = 3 };

/* Add number * coef * a to the sum: term by term where a is itself a combination of the same kind,
 * recorded in the same region and as wide, as one value otherwise. Returns false when full. */
static bool sum_take(struct sum *s, struct var a, int coef, double number)
{
	struct node n = *node_of(a);
	bool open = n.op == OP_COMBINE && !n.closed && n.cols == s->cols && n.n_terms <= FOLD_MAX &&
		    n.depends == ON_ROW && n.region == s->g->region;

	if (n.op == OP_CONSTANT && coef == NONE) {
		s->offset += number * n.offset;
		return true;
	}
	if (!open)
		return sum_append(s,
			(struct term){ .value = a.id, .coef = coef, .number = number });
	for (size_t i = 0; i < n.n_terms; i++) {
		struct term t = n.terms[i];
		t.number *= number;
		if (coef != NONE)
			t.coef = product_of_coefs(s->g, coef, t.coef).id;
		if (!sum_append(s, t))
			return false;
	}
	if (n.offset != 0 && coef != NONE)
		return sum_append(s,
			(struct term){ .value = coef, .coef = NONE, .number = number * n.offset });
	s->offset += number * n.offset;
	return true;
}

static struct var sum_node(const struct sum *s)
{
	struct node n = { .op = OP_COMBINE, .cols = s->cols, .n_terms = s->n, .offset = s->offset };

	n.terms = ARENA_NEW(s->g->arena, TERMS_MAX, struct term);
	memcpy(n.terms, s->terms, s->n * sizeof(*n.terms));
	return append(s->g, n);
}

static struct var weighted_sum(struct var a, double x, struct var b, double y)
{
	struct sum s = { .g = a.g, .cols = broadcast_cols(a, b) };

	if (sum_take(&s, a, NONE, x) && sum_take(&s, b, NONE, y))
		return sum_node(&s);
	/* Too long to fold: add the two as they are. */
	s.n = 2;
	s.offset = 0;
	s.terms[0] = (struct term){ .value = a.id, .coef = NONE, .number = x };
	s.terms[1] = (struct term){ .value = b.id, .coef = NONE, .number = y };
	return sum_node(&s);
}

struct var add(struct var a, struct var b)
{
	return weighted_sum(a, 1, b, 1);
}

struct var sub(struct var a, struct var b)
{
	return weighted_sum(a, 1, b, -1);
}

/* number * coef * a, coef being NONE or a one-column value without gradient. */
static struct var scaled(struct var a, int coef, double number)
{
	struct sum s = { .g = a.g, .cols = var_cols(a) };

	if (!sum_take(&s, a, coef, number)) {
		s.n = 1;
		s.offset = 0;
		s.terms[0] = (struct term){ .value = a.id, .coef = coef, .number = number };
	}
	return sum_node(&s);
}

struct var scale(double c, struct var a)
{
	return scaled(a, NONE, c);
}

struct var mul(struct var a, struct var b)
{
	size_t cols = broadcast_cols(a, b);
	const struct node *p = node_of(a), *q = node_of(b);

	if (p->op == OP_CONSTANT)
		return scale(p->offset, b);
	if (q->op == OP_CONSTANT)
		return scale(q->offset, a);
	if (p->cols == 1 && !p->variable && q->cols == cols)
		return scaled(b, a.id, 1);
	if (q->cols == 1 && !q->variable && p->cols == cols)
		return scaled(a, b.id, 1);
	return append(a.g, (struct node){ .op = OP_MUL, .cols = cols, .in = { a.id, b.id } });
}

/* --- other operations ------------------------------------------------------------------------- */

struct var clip_at(struct var a, const double *bound)
{
	struct node n = unary(OP_CLIP, a, var_cols(a));

	n.bound = bound;
	return append(a.g, n);
}

struct var clip(struct var a, double bound)
{
	invariant(bound > 0);
	return clip_at(a, number(a.g, bound));
}

static struct var inside(struct var a, const double *bound)
{
	struct node n = unary(OP_INSIDE, a, var_cols(a));

	n.bound = bound;
	return append(a.g, n);
}

static struct var gelu(struct var a, enum gelu_kind kind, int order)
{
	struct node n = unary(OP_GELU, a, var_cols(a));

	invariant(order <= 1);
	n.gelu = kind;
	n.order = order;
	return append(a.g, n);
}

struct var gelu_tanh(struct var a)
{
	return gelu(a, GELU_TANH, 0);
}

struct var gelu_erf(struct var a)
{
	return gelu(a, GELU_ERF, 0);
}

static struct var map(struct var a, enum map_kind kind, int order)
{
	struct node n = unary(OP_MAP, a, var_cols(a));

	invariant(order <= 1);
	n.map = kind;
	n.order = order;
	return append(a.g, n);
}

struct var softplus(struct var a)
{
	return map(a, MAP_SOFTPLUS, 0);
}

struct var exponential(struct var a)
{
	return map(a, MAP_EXP, 0);
}

struct var reciprocal(struct var a)
{
	return map(a, MAP_RECIPROCAL, 0);
}

struct var linear(struct var x, int set, struct slice w, struct var bias)
{
	struct node n = unary(OP_LINEAR, x, w.cols);

	invariant(var_cols(x) == w.rows && set >= 0 && set < GRAPH_PARAMS_MAX);
	n.set = set;
	n.slice = w;
	n.variable = set == 0;
	if (bias.g != NULL) {
		invariant(var_cols(bias) == w.cols);
		/* The product is the step's: keep it there, and add the row's part to it. */
		if (node_of(x)->depends == ON_STEP && node_of(bias)->depends == ON_ROW)
			return add(linear(x, set, w, NO_BIAS), bias);
		n.in[1] = bias.id;
	}
	return append(x.g, n);
}

static struct var features(struct var tau, const struct node *like, int order)
{
	struct node n = unary(OP_FOURIER, tau, 2 * like->slice.cols);

	n.first = like->first;
	n.last = like->last;
	n.set = like->set;
	n.slice = like->slice;
	n.order = order;
	n.variable = like->set == 0;
	return append(tau.g, n);
}

struct var fourier(struct var tau, double first, double last, int set, struct slice phase)
{
	const struct node like = { .first = first, .last = last, .set = set, .slice = phase };

	invariant(var_cols(tau) == 1 && phase.rows == 1);
	return features(tau, &like, 0);
}

struct var sum(struct var a)
{
	return append(a.g, unary(OP_SUM, a, 1));
}

struct var dot(struct var a, struct var b)
{
	invariant(a.g == b.g && var_cols(a) == var_cols(b));
	return append(a.g, (struct node){ .op = OP_DOT, .cols = 1, .in = { a.id, b.id } });
}

struct var log_gaussian(struct var x, double deviation)
{
	double log_norm = (double)var_cols(x) * (log(deviation) + 0.91893853320467274);

	return sub(scale(-0.5 / (deviation * deviation), dot(x, x)), constant(x.g, log_norm));
}

/* One column, or with `vector` as many as the target has dimensions. */
static struct var of_target(enum op op, struct var x, struct var v, bool vector)
{
	invariant(x.g->field != NULL && var_cols(x) == x.g->field->dim);
	const size_t cols = vector ? x.g->field->dim : 1;
	invariant(node_of(x)->depends == ON_ROW);
	return append(x.g, (struct node){ .op = op, .cols = cols, .in = { x.id, v.id } });
}

static const struct var no_var = { NULL, NONE };

struct var log_density(struct var x)
{
	return of_target(OP_LOG_DENSITY, x, no_var, false);
}

struct var score(struct var x)
{
	return of_target(OP_SCORE, x, no_var, true);
}

struct var stop(struct var a)
{
	return append(a.g, unary(OP_STOP, a, var_cols(a)));
}

/* --- forward mode ----------------------------------------------------------------------------- */

struct var whole(struct var a)
{
	node_of(a)->closed = true;
	return a;
}

/* Sum of two tangents, either of which may be absent. */
static struct var join(struct var a, struct var b)
{
	if (a.g == NULL)
		return b;
	return b.g == NULL ? a : add(a, b);
}

struct tangents {
	struct graph *g;
	const struct var *of; /* by node; g == NULL: none */
};

static struct var tangent_in(const struct tangents *t, int id)
{
	return id == NONE ? no_var : t->of[id];
}

/* The product of a tangent with the value `id`; absent when the tangent is. */
static struct var times(struct var tangent, struct graph *g, int id)
{
	return tangent.g == NULL ? no_var : mul(tangent, (struct var){ g, id });
}

static struct var tangent_of_combination(const struct tangents *t, const struct node *n)
{
	struct var total = no_var;

	for (size_t i = 0; i < n->n_terms; i++) {
		struct term s = n->terms[i];
		struct var tv = tangent_in(t, s.value), tc = tangent_in(t, s.coef);
		struct var part = no_var;
		if (tv.g != NULL)
			part = s.coef == NONE ? tv : times(tv, t->g, s.coef);
		part = join(part, times(tc, t->g, s.value));
		if (part.g != NULL)
			total = join(total, scale(s.number, part));
	}
	return total;
}

/* The tangent of one node, given those of its inputs. n is a copy: recording moves the nodes. */
static struct var tangent_of(const struct tangents *t, struct node n)
{
	struct graph *g = t->g;
	struct var ta = tangent_in(t, n.in[0]), tb = tangent_in(t, n.in[1]);
	struct var a = { g, n.in[0] };

	if (n.op == OP_COMBINE)
		return tangent_of_combination(t, &n);
	if (ta.g == NULL && tb.g == NULL)
		return no_var;
	switch (n.op) {
	case OP_STOP:
	case OP_INSIDE:
		return no_var;
	case OP_LINEAR:
		if (ta.g == NULL)
			return tb;
		return linear(ta, n.set, n.slice, tb.g == NULL ? NO_BIAS : tb);
	case OP_FOURIER:
		return mul(ta, features(a, &n, n.order + 1));
	case OP_MUL:
		return join(times(ta, g, n.in[1]), times(tb, g, n.in[0]));
	case OP_CLIP:
		return mul(inside(a, n.bound), ta);
	case OP_GELU:
		return mul(gelu(a, n.gelu, n.order + 1), ta);
	case OP_MAP:
		return mul(map(a, n.map, n.order + 1), ta);
	case OP_SUM:
		return sum(ta);
	case OP_DOT:
		return join(ta.g == NULL ? no_var : dot(ta, (struct var){ g, n.in[1] }),
			tb.g == NULL ? no_var : dot(tb, a));
	case OP_LOG_DENSITY:
		return dot(score(a), ta);
	case OP_SCORE:
		return of_target(OP_HVP, a, ta, true);
	default:
		/* Derivatives across the scan, and third derivatives of a target. */
		invariant(0 && "a tangent through this operation");
		return no_var;
	}
}

/* Mark what y is made of, as far as derivatives see. */
static void mark_path(const struct graph *g, int id, int from, bool *on_path)
{
	const struct node *n = graph_node(g, id);

	if (id < from || on_path[id])
		return;
	on_path[id] = true;
	if (id == from || n->op == OP_STOP || n->op == OP_INSIDE)
		return;
	for (size_t i = 0; i < node_inputs(n); i++)
		if (node_input(n, i) != NONE)
			mark_path(g, node_input(n, i), from, on_path);
}

struct var jvp(struct var y, struct var x, struct var v)
{
	struct graph *g = y.g;

	invariant(x.g == g && v.g == g && var_cols(v) == var_cols(x) && x.id <= y.id);
	invariant(node_of(x)->op != OP_COMBINE || node_of(x)->closed);
	struct var *of = ARENA_NEW(g->arena, (size_t)y.id + 1, struct var);
	bool *on_path = ARENA_NEW(g->arena, (size_t)y.id + 1, bool);
	struct tangents t = { g, of };
	mark_path(g, y.id, x.id, on_path);
	of[x.id] = v;
	for (int id = x.id + 1; id <= y.id; id++)
		if (on_path[id])
			of[id] = tangent_of(&t, *graph_node(g, id));
	return of[y.id].g != NULL ? of[y.id] : scale(0, y);
}

/* --- scan ------------------------------------------------------------------------------------- */

void scan_begin(struct graph *g, size_t steps)
{
	invariant(!g->has_scan && steps > 0);
	g->has_scan = true;
	g->steps = steps;
	g->region = BODY;
}

struct var scan_state(struct var start)
{
	struct node n = unary(OP_STATE, start, var_cols(start));

	invariant(start.g->region == BODY && node_of(start)->region == BEFORE);
	n.depends = ON_ROW;
	n.variable = true;
	return append(start.g, n);
}

void scan_next(struct var state, struct var next)
{
	struct node *n = node_of(state);

	const struct node *m = graph_node(state.g, graph_root(state.g, next.id));

	invariant(n->op == OP_STATE && n->in[1] == NONE && var_cols(next) == n->cols);
	invariant(m->depends == ON_ROW && m->region == BODY && m->op != OP_STATE);
	for (size_t i = 0; i < state.g->n; i++) /* each state has a next value of its own */
		invariant(state.g->nodes[i].op != OP_STATE || state.g->nodes[i].in[1] == NONE ||
			  graph_node(state.g, graph_root(state.g, state.g->nodes[i].in[1])) != m);
	n->in[1] = next.id;
}

/* A value of the region after the scan, recorded from inside the body or after it. */
static struct var after_scan(enum op op, struct var a)
{
	enum region now = a.g->region;

	a.g->region = AFTER;
	struct node n = unary(op, a, var_cols(a));
	n.depends = ON_ROW;
	struct var result = append(a.g, n);
	a.g->region = now;
	return result;
}

struct var scan_total(struct var term)
{
	invariant(term.g->region == BODY && var_cols(term) == 1);
	/* A term that depends on the step alone becomes the row's: the sum over steps is per row.
	 */
	if (node_of(term)->depends == ON_STEP) {
		struct node n = unary(OP_COMBINE, term, 1);
		n.depends = ON_ROW;
		n.n_terms = 1;
		n.terms = ARENA_NEW(term.g->arena, TERMS_MAX, struct term);
		n.terms[0] = (struct term){ .value = term.id, .coef = NONE, .number = 1 };
		term = append(term.g, n);
	}
	return after_scan(OP_TOTAL, term);
}

void scan_end(struct graph *g)
{
	invariant(g->region == BODY);
	for (size_t i = 0; i < g->n; i++)
		invariant(g->nodes[i].op != OP_STATE || g->nodes[i].in[1] != NONE);
	g->region = AFTER;
}

struct var scan_last(struct var state)
{
	invariant(node_of(state)->op == OP_STATE && state.g->region == AFTER);
	return after_scan(OP_LAST, state);
}

/* --- results ---------------------------------------------------------------------------------- */

int graph_labelled(const struct graph *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i].op == OP_STOP && g->nodes[i].label != NULL &&
			strcmp(g->nodes[i].label, name) == 0)
			return (int)i;
	return NONE;
}

struct var label(struct var a, const char *name)
{
	invariant(graph_labelled(a.g, name) == NONE);
	/* A node of its own, so that a value may have several names. */
	struct var named = append(a.g, unary(OP_STOP, a, var_cols(a)));
	node_of(named)->label = arena_strdup(a.g->arena, name);
	return a;
}

void graph_loss_by(struct var a, struct reduction how)
{
	invariant(var_cols(a) == 1 && a.g->loss == NONE && node_of(a)->depends == ON_ROW);
	invariant(node_of(a)->region != BODY);
	a.g->loss = a.id;
	a.g->reduction = how;
}

void graph_loss(struct var a)
{
	graph_loss_by(a, (struct reduction){ .kind = REDUCE_MEAN });
}

void graph_count_network(struct graph *g)
{
	g->networks[g->region]++;
}
