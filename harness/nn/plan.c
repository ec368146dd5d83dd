/* Plans: what a run computes, keeps and recomputes, and where it all lies. */
#include "nn/graph_internal.h"

#include <string.h>

/* Numbers that a workspace may keep of a scan's body for its backward pass, beside the states. What
 * does not fit is recomputed. 48 MB in float. */
static const size_t KEEP_MAX = 12u << 20;

/* What is being planned. */
struct draft {
	struct graph *g;
	struct plan *p;
};

static struct place *place_of(const struct draft *d, int id)
{
	return &d->p->places[id];
}

/* --- which nodes ------------------------------------------------------------------------------ */

static void mark_live(const struct draft *d, int id)
{
	if (id == NONE || place_of(d, id)->live)
		return;
	place_of(d, id)->live = true;
	const struct node *n = graph_node(d->g, id);
	for (size_t i = 0; i < node_inputs(n); i++)
		mark_live(d, node_input(n, i));
}

static bool is_active(const struct draft *d, const struct node *n)
{
	if (n->op == OP_STOP || n->op == OP_INSIDE)
		return false;
	if ((n->op == OP_PARAM || n->op == OP_LINEAR || n->op == OP_FOURIER) && n->set == 0)
		return true;
	for (size_t i = 0; i < node_inputs(n); i++) {
		int id = node_input(n, i);
		if (id != NONE && place_of(d, id)->active)
			return true;
	}
	return false;
}

/* A state may become active through the next value, which is recorded later: repeat until stable.
 */
static void mark_active(const struct draft *d)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < d->g->n; i++) {
			struct place *at = place_of(d, (int)i);
			if (at->live && !at->active && is_active(d, graph_node(d->g, (int)i)))
				at->active = changed = true;
		}
	}
}

/* Do gradients flow from the node to its i-th input? Not to coefficients. */
static bool flows(const struct node *n, size_t i)
{
	return n->op != OP_STOP && n->op != OP_INSIDE && !(n->op == OP_COMBINE && i % 2 == 1);
}

static void mark_useful(const struct draft *d, int id)
{
	struct place *at = place_of(d, id);

	if (!at->active || at->useful)
		return;
	at->useful = true;
	const struct node *n = graph_node(d->g, id);
	for (size_t i = 0; i < node_inputs(n); i++)
		if (flows(n, i) && node_input(n, i) != NONE)
			mark_useful(d, node_input(n, i));
}

static void list_add(struct list *l, int id)
{
	l->ids[l->n++] = id;
}

static struct list list_new(const struct draft *d)
{
	return (struct list){ arena_alloc(d->g->arena, d->g->n + 1, sizeof(int)), 0 };
}

static void sort_into_lists(const struct draft *d)
{
	struct plan *p = d->p;

	p->steps = list_new(d);
	p->before = list_new(d);
	p->body = list_new(d);
	p->after = list_new(d);
	p->again = list_new(d);
	for (size_t i = 0; i < d->g->n; i++) {
		const struct node *n = graph_node(d->g, (int)i);
		if (!p->places[i].live || n->op == OP_STOP)
			continue;
		if (n->depends == ON_STEP)
			list_add(&p->steps, (int)i);
		else if (n->region == BEFORE)
			list_add(&p->before, (int)i);
		else if (n->region == AFTER)
			list_add(&p->after, (int)i);
		else if (n->op != OP_STATE)
			list_add(&p->body, (int)i);
	}
}

/* --- what the backward pass keeps and recomputes ---------------------------------------------- */

static bool is_expensive(enum op op)
{
	return op == OP_LINEAR || op == OP_SCORE || op == OP_HVP;
}

/* The body's value `id` is read in the backward pass: see that it is there. */
static void require(const struct draft *d, int id, size_t *kept)
{
	if (id == NONE)
		return;
	id = graph_root(d->g, id);
	const struct node *n = graph_node(d->g, id);
	struct place *at = place_of(d, id);
	size_t size = d->g->steps * n->cols * GRAPH_CHUNK;
	if (n->depends == ON_STEP || n->region != BODY || n->op == OP_STATE || at->in_state ||
		at->kept || at->again)
		return;
	if (is_expensive(n->op) && *kept + size <= KEEP_MAX) {
		at->kept = true;
		*kept += size;
		return;
	}
	at->again = true;
	for (size_t i = 0; i < node_inputs(n); i++)
		require(d, node_input(n, i), kept);
}

/* Which values the backward rule of a useful node reads. */
static void require_for_backward(const struct draft *d, int id, size_t *kept)
{
	const struct node *n = graph_node(d->g, id);
	int a = n->in[0], b = n->in[1];

	switch (n->op) {
	case OP_COMBINE:
		for (size_t i = 0; i < n->n_terms; i++)
			if (place_of(d, n->terms[i].value)->useful)
				require(d, n->terms[i].coef, kept);
		break;
	case OP_MUL:
	case OP_DOT:
		if (place_of(d, a)->useful)
			require(d, b, kept);
		if (place_of(d, b)->useful)
			require(d, a, kept);
		break;
	case OP_CLIP:
	case OP_MAP:
	case OP_SCORE:
		require(d, a, kept);
		break;
	case OP_HVP:
		invariant(!place_of(d, a)->useful); /* third derivatives of a target */
		require(d, a, kept);
		break;
	case OP_LINEAR:
		if (n->set == 0)
			require(d, a, kept);
		break;
	case OP_GELU:
	case OP_FOURIER:
	case OP_LOG_DENSITY:
		/* The node itself: its value, or the derivative made beside it. */
		require(d, id, kept);
		break;
	default:
		break;
	}
}

static void decide_keeping(const struct draft *d)
{
	struct plan *p = d->p;
	size_t kept = 0;

	for (size_t i = 0; i < d->g->n; i++) {
		const struct node *n = graph_node(d->g, (int)i);
		if (!p->places[i].live || n->op != OP_STATE)
			continue;
		int next = graph_root(d->g, n->in[1]);
		const struct node *m = graph_node(d->g, next);
		invariant(m->depends == ON_ROW && m->region == BODY && m->op != OP_STATE);
		invariant(
			!place_of(d, next)->in_state); /* each state has a next value of its own */
		place_of(d, next)->in_state = m->op == OP_COMBINE || m->op == OP_LINEAR;
	}
	for (size_t i = 0; i < p->body.n; i++)
		if (place_of(d, p->body.ids[i])->useful)
			require_for_backward(d, p->body.ids[i], &kept);
	for (size_t i = 0; i < p->body.n; i++)
		if (place_of(d, p->body.ids[i])->again)
			list_add(&p->again, p->body.ids[i]);
}

/* --- where it lies ---------------------------------------------------------------------------- */

static size_t take(size_t *used, size_t size)
{
	size_t at = *used;

	*used += size;
	return at;
}

/* The place of the slice's gradient among the compact sums of the program. */
static size_t weight_at(const struct draft *d, struct program *program, struct slice s)
{
	size_t size = s.rows * s.cols;

	for (size_t i = 0; i < program->n_spans; i++)
		if (program->spans[i].offset == s.offset && program->spans[i].size == size)
			return program->spans[i].at;
	if (program->spans == NULL)
		program->spans = ARENA_NEW(d->g->arena, d->g->n, struct span);
	size_t at = take(&program->weights, (size + 15) / 16 * 16);
	program->spans[program->n_spans++] = (struct span){ s.offset, size, at };
	return at;
}

static void place_values(const struct draft *d)
{
	struct graph *g = d->g;
	struct plan *p = d->p;

	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = graph_node(g, (int)i);
		struct place *at = &p->places[i];
		if (!at->live || n->op == OP_STOP)
			continue;
		struct program *program = n->depends == ON_STEP ? &p->step : &p->row;
		size_t size = n->cols * GRAPH_CHUNK;
		bool in_body = n->depends == ON_ROW && n->region == BODY;
		if (p->gradient && in_body && (at->kept || n->op == OP_STATE)) {
			at->step_stride = size;
			at->value = take(&program->values, (g->steps + 1) * size);
		} else if (!at->in_state) { /* what lives in a state is placed below */
			at->value = take(&program->values, size);
		}
		if (at->useful && n->op == OP_GELU) {
			at->aux = true;
			at->aux_at = take(&program->values, size);
		}
		if (at->useful &&
			(n->op == OP_LOG_DENSITY || n->op == OP_SCORE || n->op == OP_HVP)) {
			at->aux = true;
			at->aux_at = take(&program->values, g->field->dim * GRAPH_CHUNK);
		}
		if (n->depends == ON_ROW && n->cols == 1 && !in_body)
			at->f64 = take(&p->f64, GRAPH_CHUNK);
		if (at->useful)
			at->grad = take(&program->grads, size);
		if (at->useful && n->set == 0 &&
			(n->op == OP_PARAM || n->op == OP_LINEAR || n->op == OP_FOURIER))
			at->weight = weight_at(d, program, n->slice);
	}
	/* What lives in a state starts one step further on. */
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = graph_node(g, (int)i);
		if (!p->places[i].live || n->op != OP_STATE || !p->gradient)
			continue;
		struct place *next = place_of(d, graph_root(g, n->in[1]));
		if (!next->in_state)
			continue;
		next->value = p->places[i].value + p->places[i].step_stride;
		next->step_stride = p->places[i].step_stride;
	}
}

/* --- who adds, who sets ----------------------------------------------------------------------- */

struct adding {
	const struct draft *d;
	bool *has; /* a gradient is there already */
};

/* The contribution of node `from` through `slot` to the gradient of `to`. */
static void contribute(const struct adding *a, int from, size_t slot, int to)
{
	struct graph *g = a->d->g;
	const struct node *n = graph_node(g, from), *m = graph_node(g, to);
	struct place *at = place_of(a->d, to);

	invariant(m->op != OP_STOP);
	if (n->depends == ON_ROW && m->depends == ON_STEP) {
		if (!at->boundary) {
			at->boundary = true;
			at->partial = take(&a->d->p->step_partial,
				a->d->p->step_chunks * m->cols * GRAPH_CHUNK);
		}
		return;
	}
	/* What every step adds to: a total's term as well, if it was made before the scan. */
	if (n->depends == ON_ROW && (n->region == BODY || n->op == OP_TOTAL) && m->region == BEFORE)
		at->zero = true;
	a->d->p->adds[(size_t)from * TERMS_MAX + slot] = a->has[to] || at->zero;
	a->has[to] = true;
}

static void contribute_all(const struct adding *a, const struct list *l)
{
	for (size_t i = l->n; i-- > 0;) {
		int id = l->ids[i];
		const struct node *n = graph_node(a->d->g, id);
		if (!place_of(a->d, id)->useful || n->op == OP_LAST || n->op == OP_TOTAL)
			continue;
		for (size_t j = 0; j < node_inputs(n); j++) {
			int in = node_input(n, j);
			if (in != NONE && flows(n, j) && place_of(a->d, in)->useful)
				contribute(a, id, n->op == OP_COMBINE ? j / 2 : j, in);
		}
	}
}

static void decide_adding(const struct draft *d)
{
	struct graph *g = d->g;
	struct plan *p = d->p;
	struct adding a = { d, ARENA_NEW(g->arena, g->n, bool) };

	p->adds = ARENA_NEW(g->arena, g->n * TERMS_MAX, bool);
	a.has[g->loss] = true;
	contribute_all(&a, &p->after);
	/* A step's backward pass starts from its states' next values and its totals' terms. */
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = graph_node(g, (int)i);
		if (p->places[i].useful && n->op == OP_STATE && place_of(d, n->in[1])->active)
			contribute(&a, (int)i, 0, graph_root(g, n->in[1]));
	}
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = graph_node(g, (int)i);
		if (p->places[i].useful && n->op == OP_TOTAL)
			contribute(&a, (int)i, 0, graph_root(g, n->in[0]));
	}
	contribute_all(&a, &p->body);
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = graph_node(g, (int)i);
		if (!p->places[i].useful || n->op != OP_STATE)
			continue;
		if (!a.has[i])
			p->places[i].zero = true;
		if (place_of(d, n->in[0])->useful)
			contribute(&a, (int)i, 1, n->in[0]);
	}
	contribute_all(&a, &p->before);
	/* Step nodes: the rows' gradients are there first. */
	for (size_t i = 0; i < g->n; i++)
		if (p->places[i].boundary)
			a.has[i] = true;
	contribute_all(&a, &p->steps);
}

/* --- making one ------------------------------------------------------------------------------- */

static bool same_kind(const struct plan *p, bool gradient, const struct capture *captures, size_t n)
{
	if (p->gradient != gradient || p->n_labels != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(p->labels[i], captures[i].label) != 0)
			return false;
	return true;
}

static void make_workspaces(struct graph *g, struct plan *p)
{
	struct arena *a = g->arena;

	p->step_values = arena_alloc(a, p->step_chunks * p->step.values, sizeof(real));
	p->step_grads = arena_alloc(a, p->step_chunks * p->step.grads, sizeof(real));
	p->step_weights = arena_alloc(a, p->step_chunks * p->step.weights, sizeof(real));
	p->n_workspaces = parallel_threads();
	p->workspaces = ARENA_NEW(a, p->n_workspaces, struct workspace);
	for (size_t i = 0; i < p->n_workspaces; i++) {
		p->workspaces[i].values = arena_alloc(a, p->row.values, sizeof(real));
		p->workspaces[i].grads = arena_alloc(a, p->row.grads, sizeof(real));
		p->workspaces[i].f64 = arena_alloc(a, p->f64, sizeof(double));
	}
}

struct plan *plan_for(struct graph *g, bool gradient, const struct capture *captures, size_t n)
{
	for (struct plan *p = g->plans; p != NULL; p = p->next)
		if (same_kind(p, gradient, captures, n))
			return p;
	invariant(g->region != BODY && g->n > 0);
	struct plan *p = ARENA_NEW(g->arena, 1, struct plan);
	const struct draft d = { g, p };
	p->gradient = gradient;
	p->places = ARENA_NEW(g->arena, g->n, struct place);
	p->labels = ARENA_NEW(g->arena, n, const char *);
	p->label_ids = ARENA_NEW(g->arena, n, int);
	p->n_labels = n;
	p->step_chunks = (g->steps + GRAPH_CHUNK - 1) / GRAPH_CHUNK;
	for (size_t i = 0; i < n; i++) {
		int id = graph_labelled(g, captures[i].label);
		invariant(id != NONE);
		p->labels[i] = graph_node(g, id)->label;
		p->label_ids[i] = id;
		mark_live(&d, id);
	}
	if (gradient) {
		invariant(g->loss != NONE);
		mark_live(&d, g->loss);
		mark_active(&d);
		mark_useful(&d, g->loss);
	}
	sort_into_lists(&d);
	if (gradient)
		decide_keeping(&d);
	place_values(&d);
	if (gradient)
		decide_adding(&d);
	make_workspaces(g, p);
	p->next = g->plans;
	g->plans = p;
	return p;
}
