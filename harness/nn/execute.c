/* Execution of a plan: chunk by chunk, forwards and backwards. */
#include "nn/graph_internal.h"

#include <math.h>
#include <string.h>

/* One run of a graph. */
struct run {
	struct graph *g;
	struct plan *p;
	const struct graph_args *args;
	size_t chunks;   /* of rows */
	bool steps_only; /* see wants_steps_only */
};

/* Where execution is: a chunk of rows at a step of the scan, or a chunk of steps as rows. */
struct spot {
	const struct run *run;
	bool step_program;
	bool again;       /* the backward pass's recomputation */
	size_t chunk;     /* of rows, or of steps */
	size_t first_row; /* of the chunk */
	size_t rows;      /* of the chunk, at most GRAPH_CHUNK */
	size_t step;
	real *values, *grads, *weights, *partials;
	double *f64;
};

static real *step_values(const struct run *r, size_t chunk)
{
	return r->p->step_values + chunk * r->p->step.values;
}

static real *value_at(const struct spot *s, int id)
{
	const struct place *at = &s->run->p->places[id];

	return s->values + at->value + s->step * at->step_stride;
}

static size_t stride_of(size_t cols)
{
	return cols == 1 ? 0 : GRAPH_CHUNK;
}

/* The step whose step values a row sees: after the scan, the last one. */
static size_t row_step(const struct spot *s)
{
	size_t steps = s->run->g->steps;

	return s->step < steps ? s->step : steps - 1;
}

static struct tile view(const struct spot *s, int id)
{
	const struct run *r = s->run;

	id = graph_root(r->g, id);
	const struct node *n = graph_node(r->g, id);
	if (s->step_program || n->depends == ON_ROW)
		return (struct tile){ value_at(s, id), stride_of(n->cols), true };
	size_t step = row_step(s);
	real *base = step_values(r, step / GRAPH_CHUNK) + r->p->places[id].value;
	return (struct tile){ base + step % GRAPH_CHUNK, stride_of(n->cols), false };
}

static struct tile grad_of(const struct spot *s, int id)
{
	return (struct tile){ s->grads + s->run->p->places[id].grad,
		stride_of(graph_node(s->run->g, id)->cols), true };
}

/* Where the contribution of node `from` through `slot` to the gradient of `to` goes. */
static struct sink sink_of(const struct spot *s, int from, size_t slot, int to)
{
	const struct plan *p = s->run->p;
	const struct node *n = graph_node(s->run->g, to);

	if (!s->step_program && n->depends == ON_STEP) {
		size_t step = row_step(s);
		real *base = s->partials + p->places[to].partial +
			     step / GRAPH_CHUNK * n->cols * GRAPH_CHUNK;
		return (struct sink){ base + step % GRAPH_CHUNK, stride_of(n->cols), false, true };
	}
	return (struct sink){ s->grads + p->places[to].grad, stride_of(n->cols), true,
		p->adds[(size_t)from * TERMS_MAX + slot] };
}

static struct weighted weighted_of(const struct spot *s, const struct term *t)
{
	struct weighted w = { .value = view(s, t->value), .number = t->number };

	if (t->coef != NONE) {
		w.has_coef = true;
		w.coef = view(s, t->coef);
	}
	return w;
}

/* --- leaves ----------------------------------------------------------------------------------- */

static void fill(real *out, double value)
{
	for (size_t i = 0; i < GRAPH_CHUNK; i++)
		out[i] = (real)value;
}

static void leaf_by_step(const struct spot *s, const struct node *n, real *out)
{
	size_t steps = s->run->g->steps;

	invariant(n->by_steps == steps || n->by_steps == 1);
	for (size_t k = 0; k < n->cols; k++) {
		for (size_t i = 0; i < GRAPH_CHUNK; i++) {
			size_t step =
				s->first_row + i < n->by_steps ? s->first_row + i : n->by_steps - 1;
			out[k * GRAPH_CHUNK + i] = (real)n->by_step[step * n->cols + k];
		}
	}
}

static void leaf_input(const struct spot *s, const struct node *n, real *out)
{
	const struct graph_args *a = s->run->args;

	for (size_t i = 0; i < a->n_inputs; i++) {
		if (strcmp(a->inputs[i].label, n->label) == 0) {
			const struct binding *in = &a->inputs[i];
			size_t at = s->first_row * n->cols;
			kernel_load(s->rows, n->cols, n->cols,
				in->f64 != NULL ? in->f64 + at : NULL,
				in->as_real != NULL ? in->as_real + at : NULL, out);
			return;
		}
	}
	invariant(0 && "an input of the graph is bound");
}

static void leaf_random(const struct spot *s, const struct node *n, int id, real *out)
{
	const struct graph_args *a = s->run->args;
	bool in_body = n->region == BODY;
	size_t steps = in_body ? s->run->g->steps : 1;

	for (size_t i = 0; i < a->n_tapes; i++) {
		int named = graph_labelled(s->run->g, a->tapes[i].label);
		invariant(named != NONE);
		if (graph_root(s->run->g, named) == id) {
			kernel_load(s->rows, n->cols, steps * n->cols,
				a->tapes[i].data + (s->first_row * steps + s->step) * n->cols, NULL,
				out);
			return;
		}
	}
	struct rng r = { .seed = a->seed, .purpose = n->purpose, .epoch = a->epoch };
	uint32_t step = in_body ? (uint32_t)s->step : 0;
	if (n->op == OP_TRUNCATED)
		rng_truncated_normal(r, step, s->first_row, GRAPH_CHUNK, n->cols, *n->bound, out);
	else if (n->op == OP_NORMAL)
		rng_normal(r, step, s->first_row, GRAPH_CHUNK, n->cols, out);
	else
		rng_rademacher(r, step, s->first_row, GRAPH_CHUNK, n->cols, out);
	/* Lanes beyond the last row repeat it, as inputs do: they must not fail where it does not. */
	for (size_t k = 0; k < n->cols; k++)
		for (size_t i = s->rows; i < GRAPH_CHUNK; i++)
			out[k * GRAPH_CHUNK + i] = out[k * GRAPH_CHUNK + s->rows - 1];
}

/* --- forwards --------------------------------------------------------------------------------- */

static const real *weights_of(const struct spot *s, const struct node *n)
{
	return s->run->args->params[n->set] + n->slice.offset;
}

static void forward_linear(const struct spot *s, const struct node *n, real *out)
{
	struct tile x = view(s, n->in[0]), bias;

	if (n->in[1] != NONE)
		bias = view(s, n->in[1]);
	kernel_linear(n->slice.rows, n->slice.cols, x.p, weights_of(s, n),
		n->in[1] != NONE ? &bias : NULL, out);
}

static void forward_combine(const struct spot *s, const struct node *n, real *out)
{
	struct weighted terms[TERMS_MAX];

	for (size_t i = 0; i < n->n_terms; i++)
		terms[i] = weighted_of(s, &n->terms[i]);
	kernel_combine(n->cols, n->offset, n->n_terms, terms, out);
}

static void forward_target(const struct spot *s, const struct node *n, int id, real *out)
{
	const struct field *f = s->run->g->field;
	const struct place *at = &s->run->p->places[id];
	const real *x = view(s, n->in[0]).p;

	if (n->op == OP_SCORE) {
		f->eval(f->context, GRAPH_CHUNK, x, NULL, out);
	} else if (n->op == OP_HVP) {
		invariant(f->hvp != NULL);
		f->hvp(f->context, GRAPH_CHUNK, x, view(s, n->in[1]).p, out);
	} else {
		double log_rho[GRAPH_CHUNK];
		f->eval(f->context, GRAPH_CHUNK, x, log_rho,
			at->aux ? s->values + at->aux_at : NULL);
		for (size_t i = 0; i < GRAPH_CHUNK; i++)
			out[i] = (real)log_rho[i];
		if (n->region != BODY)
			memcpy(s->f64 + at->f64, log_rho, sizeof(log_rho));
	}
}

static void forward_node(const struct spot *s, int id)
{
	const struct node *n = graph_node(s->run->g, id);
	const struct place *at = &s->run->p->places[id];
	real *out = value_at(s, id);

	switch (n->op) {
	case OP_CONSTANT:
		fill(out, n->offset);
		break;
	case OP_BY_STEP:
		leaf_by_step(s, n, out);
		break;
	case OP_PARAM:
		for (size_t k = 0; k < n->cols; k++)
			fill(out + k * GRAPH_CHUNK, (double)weights_of(s, n)[k]);
		break;
	case OP_INPUT:
		leaf_input(s, n, out);
		break;
	case OP_NORMAL:
	case OP_SIGN:
	case OP_TRUNCATED:
		leaf_random(s, n, id, out);
		break;
	case OP_LINEAR:
		forward_linear(s, n, out);
		break;
	case OP_FOURIER:
		kernel_fourier(n->slice.cols, n->first, n->last, n->order, view(s, n->in[0]),
			weights_of(s, n), out);
		break;
	case OP_COMBINE:
		forward_combine(s, n, out);
		break;
	case OP_MUL:
		kernel_mul(n->cols, view(s, n->in[0]), view(s, n->in[1]), out);
		break;
	case OP_CLIP:
		kernel_clip(n->cols, view(s, n->in[0]), *n->bound, out);
		break;
	case OP_INSIDE:
		kernel_inside(n->cols, view(s, n->in[0]), *n->bound, out);
		break;
	case OP_GELU:
		/* Inside a scan the derivative is made when the backward pass comes by. */
		kernel_gelu(n->gelu, n->order, n->cols * GRAPH_CHUNK, view(s, n->in[0]).p, out,
			at->aux && (n->depends == ON_STEP || n->region != BODY || s->again)
				? s->values + at->aux_at
				: NULL);
		break;
	case OP_MAP:
		kernel_map(n->map, n->order, n->cols, view(s, n->in[0]), out);
		break;
	case OP_SUM: {
		real one = 1;
		kernel_dot(graph_node(s->run->g, n->in[0])->cols, view(s, n->in[0]),
			(struct tile){ &one, 0, false }, out);
		break;
	}
	case OP_DOT:
		kernel_dot(graph_node(s->run->g, n->in[0])->cols, view(s, n->in[0]),
			view(s, n->in[1]), out);
		break;
	case OP_LOG_DENSITY:
	case OP_SCORE:
	case OP_HVP:
		forward_target(s, n, id, out);
		break;
	case OP_LAST:
		kernel_copy(n->cols, view(s, n->in[0]), out);
		break;
	case OP_TOTAL:
	case OP_STATE:
	case OP_STOP:
		break;
	}
}

/* A one-column value in double. */
static double f64_of(const struct spot *s, int id, size_t lane)
{
	id = graph_root(s->run->g, id);
	const struct node *n = graph_node(s->run->g, id);
	if (n->op == OP_CONSTANT)
		return n->offset;
	if (n->depends == ON_ROW && n->region != BODY)
		return s->f64[s->run->p->places[id].f64 + lane];
	struct tile t = view(s, id);
	return (double)(t.row ? t.p[lane] : t.p[0]);
}

/* Outside the scan, one-column values are made in double, and rounded from there. */
static void refine(const struct spot *s, int id)
{
	const struct node *n = graph_node(s->run->g, id);
	double *out = s->f64 + s->run->p->places[id].f64;
	real *rounded = value_at(s, id);

	if (n->op == OP_LOG_DENSITY)
		return;
	if (n->op == OP_DOT) {
		kernel_dot_f64(graph_node(s->run->g, n->in[0])->cols, view(s, n->in[0]),
			view(s, n->in[1]), out);
	} else if (n->op == OP_COMBINE) {
		for (size_t i = 0; i < GRAPH_CHUNK; i++) {
			double total = n->offset;
			for (size_t j = 0; j < n->n_terms; j++) {
				const struct term *t = &n->terms[j];
				double c = t->coef == NONE ? 1 : f64_of(s, t->coef, i);
				total += t->number * c * f64_of(s, t->value, i);
			}
			out[i] = total;
		}
	} else if (n->op != OP_TOTAL) {
		for (size_t i = 0; i < GRAPH_CHUNK; i++)
			out[i] = (double)rounded[i];
	}
	for (size_t i = 0; i < GRAPH_CHUNK; i++)
		rounded[i] = (real)out[i];
}

static void forward_list(const struct spot *s, const struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct node *n = graph_node(s->run->g, l->ids[i]);
		forward_node(s, l->ids[i]);
		if (n->depends == ON_ROW && n->region != BODY && n->cols == 1)
			refine(s, l->ids[i]);
	}
}

/* --- backwards -------------------------------------------------------------------------------- */

static bool useful(const struct spot *s, int id)
{
	return id != NONE && s->run->p->places[id].useful;
}

static void backward_target(const struct spot *s, const struct node *n, int id)
{
	const struct field *f = s->run->g->field;
	struct tile grad = grad_of(s, id);
	struct tile aux = { s->values + s->run->p->places[id].aux_at, stride_of(f->dim), true };
	size_t slot = n->op == OP_HVP ? 1 : 0;
	int to = n->in[slot];

	if (!useful(s, to))
		return;
	if (n->op == OP_LOG_DENSITY) {
		kernel_mul_back(f->dim, &grad, aux, sink_of(s, id, slot, to));
		return;
	}
	/* The Hessian is symmetric: the adjoint of v -> H v is itself. */
	invariant(f->hvp != NULL);
	f->hvp(f->context, GRAPH_CHUNK, view(s, n->in[0]).p, grad.p, aux.p);
	kernel_deposit(f->dim, aux, sink_of(s, id, slot, to));
}

static void backward_linear(const struct spot *s, const struct node *n, int id)
{
	const struct plan *p = s->run->p;
	struct tile grad = grad_of(s, id);
	int x = n->in[0], bias = n->in[1];

	if (n->set == 0)
		kernel_linear_back_w(n->slice.rows, n->slice.cols, view(s, x).p, grad.p,
			s->weights + p->places[id].weight);
	if (useful(s, x)) {
		struct sink to = sink_of(s, id, 0, x);
		invariant(to.row);
		kernel_linear_back_x(n->slice.rows, n->slice.cols, grad.p, weights_of(s, n), to.add,
			to.p);
	}
	if (useful(s, bias))
		kernel_deposit(n->cols, grad, sink_of(s, id, 1, bias));
}

static void backward_node(const struct spot *s, int id)
{
	const struct graph *g = s->run->g;
	const struct node *n = graph_node(g, id);
	struct tile grad = grad_of(s, id);
	int a = n->in[0], b = n->in[1];

	switch (n->op) {
	case OP_PARAM:
		kernel_deposit(n->cols, grad,
			(struct sink){ s->weights + s->run->p->places[id].weight, 1, false, true });
		break;
	case OP_LINEAR:
		backward_linear(s, n, id);
		break;
	case OP_FOURIER:
		if (useful(s, a))
			kernel_fourier_back_tau(n->slice.cols, n->first, n->last, value_at(s, id),
				grad.p, sink_of(s, id, 0, a));
		if (n->set == 0)
			kernel_fourier_back(n->slice.cols, value_at(s, id), grad.p,
				s->weights + s->run->p->places[id].weight);
		break;
	case OP_COMBINE:
		for (size_t i = 0; i < n->n_terms; i++) {
			int to = n->terms[i].value;
			if (!useful(s, to))
				continue;
			struct weighted w = weighted_of(s, &n->terms[i]);
			kernel_spread(n->cols, &grad, &w, sink_of(s, id, i, to));
		}
		break;
	case OP_MUL:
	case OP_DOT: {
		size_t cols = n->op == OP_MUL ? n->cols : graph_node(g, a)->cols;
		if (useful(s, a))
			kernel_mul_back(cols, &grad, view(s, b), sink_of(s, id, 0, a));
		if (useful(s, b))
			kernel_mul_back(cols, &grad, view(s, a), sink_of(s, id, 1, b));
		break;
	}
	case OP_CLIP:
		if (useful(s, a))
			kernel_clip_back(n->cols, &grad, view(s, a), *n->bound,
				sink_of(s, id, 0, a));
		break;
	case OP_GELU:
		if (useful(s, a)) {
			struct tile slope = { s->values + s->run->p->places[id].aux_at,
				stride_of(n->cols), true };
			kernel_mul_back(n->cols, &grad, slope, sink_of(s, id, 0, a));
		}
		break;
	case OP_MAP:
		if (useful(s, a))
			kernel_map_back(n->map, n->order + 1, n->cols, &grad, view(s, a),
				sink_of(s, id, 0, a));
		break;
	case OP_SUM:
		if (useful(s, a)) {
			const struct weighted one = { .number = 1 };
			size_t cols = graph_node(g, a)->cols;
			kernel_spread(cols, &grad, &one, sink_of(s, id, 0, a));
		}
		break;
	case OP_LOG_DENSITY:
	case OP_SCORE:
	case OP_HVP:
		backward_target(s, n, id);
		break;
	default:
		break;
	}
}

static void backward_list(const struct spot *s, const struct list *l)
{
	for (size_t i = l->n; i-- > 0;)
		if (useful(s, l->ids[i]))
			backward_node(s, l->ids[i]);
}

/* --- captures --------------------------------------------------------------------------------- */

static void store(const struct capture *c, size_t at, double value)
{
	if (c->f64 != NULL)
		c->f64[at] = value;
	else
		c->as_real[at] = (real)value;
}

static void capture_rows(const struct spot *s, const struct capture *c, int id, size_t steps)
{
	const struct node *n = graph_node(s->run->g, id);
	struct tile t = view(s, id);

	for (size_t i = 0; i < s->rows; i++) {
		size_t row = s->first_row + i;
		invariant(c->at_step == NULL || c->at_step[row] < steps);
		if (c->at_step != NULL && steps > 1 && c->at_step[row] != s->step)
			continue;
		size_t at = c->at_step != NULL || steps == 1 ? row : row * steps + s->step;
		for (size_t k = 0; k < n->cols; k++) {
			double v = n->cols == 1 ? f64_of(s, id, i)
						: (double)t.p[k * t.stride + (t.row ? i : 0)];
			store(c, at * n->cols + k, v);
		}
	}
}

/* Where the value of the capture j is made. */
static enum region capture_region_of(const struct run *r, size_t j)
{
	int named = r->p->label_ids[j];
	const struct node *n = graph_node(r->g, graph_root(r->g, named));

	return n->depends == ON_STEP ? graph_node(r->g, named)->region : n->region;
}

/* Captures of the values in this region. */
static void capture_region(const struct spot *s, enum region region)
{
	const struct run *r = s->run;

	for (size_t j = 0; j < r->args->n_captures; j++)
		if (capture_region_of(r, j) == region)
			capture_rows(s, &r->args->captures[j], graph_root(r->g, r->p->label_ids[j]),
				region == BODY ? r->g->steps : 1);
}

/* --- a chunk of rows -------------------------------------------------------------------------- */

/* Does every chunk keep its values until all of them have been forwards? */
static bool keeps_chunks(const struct plan *p)
{
	return p->kept_values != NULL;
}

static size_t chunk_rows(const struct run *r, size_t chunk)
{
	size_t left = r->args->rows - chunk * GRAPH_CHUNK;

	return left < GRAPH_CHUNK ? left : GRAPH_CHUNK;
}

static struct spot spot_of_rows(const struct run *r, size_t chunk)
{
	const struct plan *p = r->p;
	size_t slot = parallel_slot();

	invariant(slot < p->n_workspaces);
	const struct workspace *w = &p->workspaces[slot];
	return (struct spot){
		.run = r,
		.chunk = chunk,
		.first_row = chunk * GRAPH_CHUNK,
		.rows = chunk_rows(r, chunk),
		.values = keeps_chunks(p) ? p->kept_values + chunk * p->row.values : w->values,
		.grads = w->grads,
		.f64 = keeps_chunks(p) ? p->kept_f64 + chunk * p->f64 : w->f64,
		.weights = p->gradient ? p->row_weights + chunk * p->row.weights : NULL,
		.partials = p->gradient ? p->row_partials + chunk * p->step_partial : NULL,
	};
}

/* The live nodes of an operation that has a part at the edges of the scan: states, totals, lasts.
 */
#define EACH_LIVE(r, id, which)                     \
	for (int id = 0; id < (int)(r)->g->n; id++) \
		if ((r)->p->places[id].live && graph_node((r)->g, id)->op == (which))

/* Of this run nothing is wanted but values of the scan's body, each row's at a step of its own. */
static bool wants_steps_only(const struct run *r)
{
	if (r->p->gradient || r->p->after.n > 0 || r->args->n_captures == 0)
		return false;
	EACH_LIVE(r, id, OP_TOTAL)
	{
		return false;
	}
	for (size_t j = 0; j < r->args->n_captures; j++)
		if (r->args->captures[j].at_step == NULL || capture_region_of(r, j) != BODY)
			return false;
	return true;
}

/* Steps of the scan that a chunk has to go: all, or up to the last one that is wanted of its rows. */
static size_t chunk_steps(const struct run *r, size_t chunk)
{
	const size_t first = chunk * GRAPH_CHUNK;
	size_t end = 0;

	if (!r->steps_only)
		return r->g->steps;
	for (size_t j = 0; j < r->args->n_captures; j++)
		for (size_t i = first; i < first + chunk_rows(r, chunk); i++) {
			size_t after = (size_t)r->args->captures[j].at_step[i] + 1;
			end = after > end ? after : end;
		}
	invariant(end <= r->g->steps);
	return end;
}

static void scan_forward(struct spot *s)
{
	const struct run *r = s->run;
	const size_t end = chunk_steps(r, s->chunk);

	s->step = 0;
	EACH_LIVE(r, id, OP_STATE)
	{
		const struct node *n = graph_node(r->g, id);
		kernel_copy(n->cols, view(s, n->in[0]), value_at(s, id));
	}
	EACH_LIVE(r, id, OP_TOTAL)
	memset(s->f64 + r->p->places[id].f64, 0, GRAPH_CHUNK * sizeof(double));
	for (; s->step < end; s->step++) {
		forward_list(s, &r->p->body);
		capture_region(s, BODY);
		EACH_LIVE(r, id, OP_TOTAL)
		{
			double *sum = s->f64 + r->p->places[id].f64;
			const real *term = view(s, graph_node(r->g, id)->in[0]).p;
			for (size_t i = 0; i < GRAPH_CHUNK; i++)
				sum[i] += (double)term[i];
		}
		EACH_LIVE(r, id, OP_STATE)
		{
			const struct node *n = graph_node(r->g, id);
			struct tile next = view(s, n->in[1]);
			real *to = value_at(s, id) + r->p->places[id].step_stride;
			if (next.p != to)
				kernel_copy(n->cols, next, to);
		}
	}
	/* Where something follows, step == steps: views of states are of the last one. */
}

static void scan_backward(struct spot *s)
{
	const struct run *r = s->run;
	const struct plan *p = r->p;

	EACH_LIVE(r, id, OP_STATE)
	{
		size_t size = graph_node(r->g, id)->cols * GRAPH_CHUNK * sizeof(real);
		if (p->places[id].useful)
			memset(s->grads + p->places[id].grad, 0, size);
	}
	EACH_LIVE(r, id, OP_LAST)
	{
		const struct node *n = graph_node(r->g, id);
		if (p->places[id].useful)
			kernel_deposit(n->cols, grad_of(s, id),
				(struct sink){ grad_of(s, n->in[0]).p, stride_of(n->cols), true,
					true });
	}
	for (s->step = r->g->steps; s->step-- > 0;) {
		s->again = true;
		forward_list(s, &p->again);
		s->again = false;
		EACH_LIVE(r, id, OP_STATE)
		{
			const struct node *n = graph_node(r->g, id);
			if (!p->places[id].useful)
				continue;
			int next = graph_root(r->g, n->in[1]);
			if (p->places[next].useful && p->places[n->in[1]].active)
				kernel_deposit(n->cols, grad_of(s, id), sink_of(s, id, 0, next));
			if (p->places[id].zero)
				memset(grad_of(s, id).p, 0, n->cols * GRAPH_CHUNK * sizeof(real));
		}
		EACH_LIVE(r, id, OP_TOTAL)
		{
			int term = graph_root(r->g, graph_node(r->g, id)->in[0]);
			if (p->places[id].useful && p->places[term].useful)
				kernel_deposit(1, grad_of(s, id), sink_of(s, id, 0, term));
		}
		backward_list(s, &p->body);
	}
	s->step = 0;
	EACH_LIVE(r, id, OP_STATE)
	{
		const struct node *n = graph_node(r->g, id);
		if (p->places[id].useful && useful(s, n->in[0]))
			kernel_deposit(n->cols, grad_of(s, id), sink_of(s, id, 1, n->in[0]));
	}
}

static void chunk_forward(struct spot *s)
{
	const struct run *r = s->run;

	s->step = 0;
	forward_list(s, &r->p->before);
	capture_region(s, BEFORE);
	if (r->g->has_scan)
		scan_forward(s);
	forward_list(s, &r->p->after);
	capture_region(s, AFTER);
}

static void chunk_backward(struct spot *s)
{
	const struct run *r = s->run;
	const struct plan *p = r->p;

	memset(s->weights, 0, p->row.weights * sizeof(real));
	memset(s->partials, 0, p->step_partial * sizeof(real));
	real *seed = grad_of(s, r->g->loss).p;
	for (size_t i = 0; i < GRAPH_CHUNK; i++)
		seed[i] = i < s->rows ? (real)p->shares[s->first_row + i] : 0;
	for (size_t i = 0; i < p->before.n; i++) {
		int id = p->before.ids[i];
		if (p->places[id].useful && p->places[id].zero)
			memset(grad_of(s, id).p, 0,
				graph_node(r->g, id)->cols * GRAPH_CHUNK * sizeof(real));
	}
	s->step = r->g->has_scan ? r->g->steps : 0;
	backward_list(s, &p->after);
	if (r->g->has_scan)
		scan_backward(s);
	backward_list(s, &p->before);
}

static void row_chunk(void *context, size_t chunk)
{
	struct spot s = spot_of_rows(context, chunk);

	chunk_forward(&s);
}

/* Forwards, and the loss of each row. */
static struct spot forward_with_loss(const struct run *r, size_t chunk)
{
	struct spot s = spot_of_rows(r, chunk);

	chunk_forward(&s);
	for (size_t i = 0; i < s.rows; i++)
		r->p->losses[s.first_row + i] = f64_of(&s, r->g->loss, i);
	return s;
}

static void row_chunk_loss(void *context, size_t chunk)
{
	forward_with_loss(context, chunk);
}

/* Backwards, by the shares that the rows have in the loss. */
static void row_chunk_back(void *context, size_t chunk)
{
	struct spot s = spot_of_rows(context, chunk);

	if (!keeps_chunks(s.run->p))
		chunk_forward(&s);
	chunk_backward(&s);
}

/* Both, where a row's share is known beforehand. */
static void row_chunk_both(void *context, size_t chunk)
{
	struct spot s = forward_with_loss(context, chunk);

	chunk_backward(&s);
}

/* --- a chunk of steps ------------------------------------------------------------------------- */

static struct spot spot_of_steps(const struct run *r, size_t chunk)
{
	const struct plan *p = r->p;

	return (struct spot){
		.run = r,
		.step_program = true,
		.chunk = chunk,
		.first_row = chunk * GRAPH_CHUNK,
		.rows = GRAPH_CHUNK,
		.values = step_values(r, chunk),
		.grads = p->step_grads + chunk * p->step.grads,
		.weights = p->step_weights + chunk * p->step.weights,
	};
}

static void step_chunk_forward(void *context, size_t chunk)
{
	struct spot s = spot_of_steps(context, chunk);

	forward_list(&s, &s.run->p->steps);
}

/* The rows' gradients of step values, chunk after chunk, then the step program backwards. */
static void step_chunk_backward(void *context, size_t chunk)
{
	struct spot s = spot_of_steps(context, chunk);
	const struct run *r = s.run;
	const struct plan *p = r->p;

	memset(s.weights, 0, p->step.weights * sizeof(real));
	for (size_t i = 0; i < p->steps.n; i++) {
		int id = p->steps.ids[i];
		const struct place *at = &p->places[id];
		if (!at->boundary)
			continue;
		size_t size = graph_node(r->g, id)->cols * GRAPH_CHUNK;
		real *sum = s.grads + at->grad;
		memset(sum, 0, size * sizeof(real));
		for (size_t c = 0; c < r->chunks; c++) {
			const real *part =
				p->row_partials + c * p->step_partial + at->partial + chunk * size;
			for (size_t k = 0; k < size; k++)
				sum[k] += part[k];
		}
	}
	backward_list(&s, &p->steps);
}

/* --- a whole run ------------------------------------------------------------------------------ */

static void count(const struct run *r)
{
	struct counts *c = r->g->counts;
	size_t times[3] = { r->args->rows, 0, r->args->rows };

	if (c == NULL)
		return;
	for (size_t chunk = 0; chunk < r->chunks; chunk++)
		times[BODY] += chunk_rows(r, chunk) * chunk_steps(r, chunk);
	for (int region = BEFORE; region <= AFTER; region++)
		c->network += r->g->networks[region] * times[region];
	for (size_t i = 0; i < r->g->n; i++) {
		const struct node *n = graph_node(r->g, (int)i);
		const struct place *at = &r->p->places[i];
		bool target = n->op == OP_LOG_DENSITY || n->op == OP_SCORE || n->op == OP_HVP;
		bool again =
			at->useful && ((n->op == OP_SCORE && r->p->places[n->in[0]].useful) ||
					      (n->op == OP_HVP && r->p->places[n->in[1]].useful));
		if (at->live && target)
			c->target += times[n->region] * (again ? 2 : 1);
	}
}

/* Room for the sums, and for what waits for the reduction, of this many chunks. */
static void make_room(struct graph *g, struct plan *p, size_t chunks)
{
	struct arena *a = g->arena;

	if (chunks <= p->chunks)
		return;
	p->chunks = chunks;
	p->row_weights = arena_alloc(a, chunks * p->row.weights, sizeof(real));
	p->row_partials = arena_alloc(a, chunks * p->step_partial, sizeof(real));
	p->losses = ARENA_NEW(a, chunks * GRAPH_CHUNK, double);
	p->shares = ARENA_NEW(a, chunks * GRAPH_CHUNK, double);
	p->kept_values = NULL;
	if (g->reduction.kind != REDUCE_MEAN && chunks * p->row.values <= g->chunks_keep_max) {
		p->kept_values = arena_alloc(a, chunks * p->row.values, sizeof(real));
		p->kept_f64 = arena_alloc(a, chunks * p->f64, sizeof(double));
	}
}

static struct run start(struct graph *g, const struct graph_args *args, bool gradient)
{
	struct run r = { .g = g, .args = args };

	invariant(args->rows > 0);
	r.p = plan_for(g, gradient, args->captures, args->n_captures);
	r.chunks = (args->rows + GRAPH_CHUNK - 1) / GRAPH_CHUNK;
	r.steps_only = wants_steps_only(&r);
	if (gradient)
		make_room(g, r.p, r.chunks);
	parallel_for(r.p->step_chunks, step_chunk_forward, &r);
	return r;
}

void graph_forward(struct graph *g, const struct graph_args *args)
{
	struct run r = start(g, args, false);

	parallel_for(r.chunks, row_chunk, &r);
	count(&r);
}

/* The parameter gradient, gathered span by span from the partial sums of all chunks. */
struct gather {
	const struct run *run;
	real *grad;
};

static void gather_program(const struct gather *to, const struct program *program,
	const real *parts, size_t chunks)
{
	for (size_t i = 0; i < program->n_spans; i++) {
		const struct span *span = &program->spans[i];
		real *out = to->grad + span->offset;
		for (size_t c = 0; c < chunks; c++) {
			const real *part = parts + c * program->weights + span->at;
			for (size_t k = 0; k < span->size; k++)
				out[k] += part[k];
		}
	}
}

/* The loss, and the gradients of all rows into the chunks' sums. */
static double reduce_rows(struct run *r)
{
	const struct plan *p = r->p;
	const struct reduction *how = &r->g->reduction;
	size_t rows = r->args->rows;
	bool useful = p->places[r->g->loss].useful;

	if (how->kind == REDUCE_MEAN && useful) {
		for (size_t i = 0; i < rows; i++)
			p->shares[i] = 1 / (double)rows;
		parallel_for(r->chunks, row_chunk_both, r);
		return reduce(how, rows, p->losses, NULL, r->args->dropped);
	}
	parallel_for(r->chunks, row_chunk_loss, r);
	double loss = reduce(how, rows, p->losses, p->shares, r->args->dropped);
	if (useful)
		parallel_for(r->chunks, row_chunk_back, r);
	return loss;
}

double graph_gradient(struct graph *g, const struct graph_args *args, size_t n_params, real *grad)
{
	struct run r = start(g, args, true);
	const struct plan *p = r.p;
	const struct gather to = { &r, grad };

	double loss = reduce_rows(&r);
	count(&r);
	memset(grad, 0, n_params * sizeof(real));
	if (p->places[g->loss].useful) {
		parallel_for(p->step_chunks, step_chunk_backward, &r);
		gather_program(&to, &p->row, p->row_weights, r.chunks);
		gather_program(&to, &p->step, p->step_weights, p->step_chunks);
	}
	return loss;
}

double graph_flops(struct graph *g, size_t rows, bool gradient, const struct capture *captures,
	size_t n_captures)
{
	const struct plan *p = plan_for(g, gradient, captures, n_captures);
	double total = 0;

	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = graph_node(g, (int)i);
		const struct place *at = &p->places[i];
		if (!at->live || n->op != OP_LINEAR)
			continue;
		double times = n->depends == ON_STEP ? (double)g->steps
			       : n->region == BODY   ? (double)g->steps * (double)rows
						     : (double)rows;
		int products = 1;
		if (at->useful)
			products += (n->set == 0) + p->places[n->in[0]].useful;
		total += times * products * 2 * (double)n->slice.rows * (double)n->slice.cols;
	}
	return total;
}
