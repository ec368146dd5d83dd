#include "perf_loop.h"
#include "nn/graph_internal.h"

enum { C = GRAPH_CHUNK, H = 64, DIM = 10, STEPS_MAX = 128 };

/* What one step keeps for the backward pass. */
struct kept {
	real h0[H * C], h1[H * C], o[DIM * C], feature[DIM * C];
};

/* A thread's memory. */
struct bench {
	real x[(STEPS_MAX + 1) * DIM * C];
	struct kept kept[STEPS_MAX];
};

struct hand_loop {
	struct control_net net;
	const struct field *field;
	size_t steps, rows, chunks;
	double sigma0;
	const real *params;
	uint64_t seed;
	double t[STEPS_MAX], beta[STEPS_MAX], sigma[STEPS_MAX];
	real bias0[STEPS_MAX * H], scale[STEPS_MAX * DIM]; /* the network's step-only values */
	struct bench *benches;                             /* one a thread */
	real *grads;                                       /* [chunks][trunk + step-only] */
	size_t n_grad;
	double *losses;
};

static void dense(const struct hand_loop *l, const struct slice layer[2], size_t in, const real *x,
	real *y)
{
	real bias[H];
	struct tile tile = { bias, 1, false };

	memcpy(bias, l->params + layer[1].offset, layer[1].cols * sizeof(real));
	kernel_linear(in, layer[0].cols, x, l->params + layer[0].offset, &tile, y);
}

/* The time branches of the network at every step, 64 steps at once. */
static void step_values(struct hand_loop *l)
{
	static real e[4 * H * C], a[H * C], b[H * C], out[H * C];

	for (size_t first = 0; first < l->steps; first += C) {
		real t[C], d = (real)(1 / (double)l->steps);
		const real *phase = l->params + l->net.phase.offset;
		for (size_t i = 0; i < C; i++)
			t[i] = (real)l->t[first + i];
		kernel_fourier(H, 0.1, 100, 0, (struct tile){ t, 0, true }, phase, e);
		kernel_fourier(H, 0.1, 100, 0, (struct tile){ &d, 0, false }, phase, e + 2 * H * C);
		dense(l, l->net.state_enc, 4 * H, e, a);
		kernel_gelu(GELU_TANH, 0, H * C, a, b, NULL);
		dense(l, l->net.state_enc + 2, H, b, a);
		const struct slice rest[2] = { { l->net.trunk[0].offset + DIM * H, H, H },
			l->net.trunk[1] };
		dense(l, rest, H, a, out);
		for (size_t k = 0; k < H; k++)
			for (size_t i = 0; i < C; i++)
				l->bias0[(first + i) * H + k] = out[k * C + i];
		dense(l, l->net.grad_net, 4 * H, e, a);
		kernel_gelu(GELU_TANH, 0, H * C, a, b, NULL);
		dense(l, l->net.grad_net + 2, H, b, a);
		kernel_gelu(GELU_TANH, 0, H * C, a, b, NULL);
		dense(l, l->net.grad_net + 4, H, b, a);
		dense(l, l->net.grad_net + 6, H, a, out);
		for (size_t k = 0; k < DIM; k++)
			for (size_t i = 0; i < C; i++)
				l->scale[(first + i) * DIM + k] = out[k * C + i];
	}
}

struct hand_loop *hand_loop_new(const struct control_net *net, const struct field *field,
	size_t steps, size_t rows, double sigma0, const real *params, uint64_t seed,
	struct arena *a)
{
	struct hand_loop *l = ARENA_NEW(a, 1, struct hand_loop);

	invariant(net->dim == DIM && steps == STEPS_MAX && rows % C == 0);
	l->net = *net;
	l->field = field;
	l->steps = steps;
	l->rows = rows;
	l->chunks = rows / C;
	l->sigma0 = sigma0;
	l->params = params;
	l->seed = seed;
	for (size_t s = 0; s < steps; s++) {
		l->t[s] = (double)(steps - s) / (double)steps;
		l->beta[s] = schedule_cosine(l->t[s], 0.01, 10);
		l->sigma[s] = sigma0 * sqrt(l->beta[s]);
	}
	l->benches = ARENA_NEW(a, parallel_threads(), struct bench);
	l->n_grad = DIM * H + H * H + H * DIM + H + DIM + steps * (H + DIM);
	l->grads = ARENA_NEW(a, l->chunks * l->n_grad, real);
	l->losses = ARENA_NEW(a, l->chunks, double);
	return l;
}

static inline real clipped(real v, real bound)
{
	return v > bound ? bound : (v < -bound ? -bound : v);
}

/* Sum the lanes of each column into to[cols]. */
static void add_lanes(size_t cols, const real *g, real *to)
{
	for (size_t k = 0; k < cols; k++) {
		real sum = 0;
		_Pragma("omp simd reduction(+ : sum)") for (size_t i = 0; i < C; i++) sum +=
			g[k * C + i];
		to[k] += sum;
	}
}

static void broadcast(size_t cols, const real *bias, struct tile *tile)
{
	*tile = (struct tile){ (real *)(uintptr_t)bias, cols == 1 ? 0 : 1, false };
}

static void one_chunk(void *context, size_t chunk)
{
	struct hand_loop *l = context;
	struct bench *b = &l->benches[parallel_slot()];
	const struct control_net *net = &l->net;
	const real *w0 = l->params + net->trunk[0].offset, *w1 = l->params + net->trunk[2].offset;
	const real *w2 = l->params + net->trunk[4].offset;
	const struct rng prior = { .seed = l->seed, .purpose = RNG_PRIOR };
	const struct rng noise = { .seed = l->seed, .purpose = RNG_NOISE };
	real g0[H * C], d0[H * C], g1[H * C], d1[H * C], eps[DIM * C], s[DIM * C];
	double total[C] = { 0 }, log_rho[C];
	real *dw0 = l->grads + chunk * l->n_grad, *dw1 = dw0 + DIM * H, *dw2 = dw1 + H * H;
	real *db1 = dw2 + H * DIM, *db2 = db1 + H, *dbias0 = db2 + DIM;
	real *dscale = dbias0 + l->steps * H;
	struct tile bias;

	rng_normal(prior, 0, chunk * C, C, DIM, b->x);
	for (size_t j = 0; j < DIM * C; j++) {
		b->x[j] = (real)l->sigma0 * clipped(b->x[j], 4);
		total[j % C] -= 0.5 * (double)b->x[j] * (double)b->x[j] / (l->sigma0 * l->sigma0);
	}
	double dt = 1 / (double)l->steps;
	for (size_t i = 0; i < C; i++)
		total[i] -= DIM * (log(l->sigma0) + 0.91893853320467274);
	for (size_t n = 0; n < l->steps; n++) {
		real *x = b->x + n * DIM * C, *y = x + DIM * C;
		struct kept *k = &b->kept[n];
		real half = (real)(0.5 * l->beta[n] * dt), push = (real)(l->sigma[n] * dt);
		real spread = (real)(l->sigma[n] * sqrt(dt));
		real keep = (real)(l->sigma[n] * (1 - l->t[n]));
		real pull = (real)(-l->sigma[n] * l->t[n] / (l->sigma0 * l->sigma0));
		real precision = 1 / (spread * spread);
		l->field->eval(l->field->context, C, x, NULL, s);
#pragma omp simd
		for (size_t j = 0; j < DIM * C; j++)
			k->feature[j] = clipped(keep * s[j] + pull * x[j], 100);
		broadcast(H, l->bias0 + n * H, &bias);
		kernel_linear(DIM, H, x, w0, &bias, k->h0);
		kernel_gelu(GELU_TANH, 0, H * C, k->h0, g0, NULL);
		broadcast(H, l->params + net->trunk[3].offset, &bias);
		kernel_linear(H, H, g0, w1, &bias, k->h1);
		kernel_gelu(GELU_TANH, 0, H * C, k->h1, g1, NULL);
		broadcast(DIM, l->params + net->trunk[5].offset, &bias);
		kernel_linear(H, DIM, g1, w2, &bias, k->o);
		rng_normal(noise, (uint32_t)n, chunk * C, C, DIM, eps);
		real cost[C] = { 0 };
		for (size_t c = 0; c < DIM; c++) {
			real scale = l->scale[n * DIM + c];
#pragma omp simd
			for (size_t i = 0; i < C; i++) {
				size_t j = c * C + i;
				real u = clipped(k->o[j], 10000) + scale * k->feature[j];
				y[j] = x[j] + half * x[j] + push * u + spread * eps[j];
				real back = x[j] - y[j] + half * y[j];
				cost[i] += precision * back * back - eps[j] * eps[j];
			}
		}
		for (size_t i = 0; i < C; i++)
			total[i] += 0.5 * (double)cost[i];
	}
	real g[DIM * C], back_x[DIM * C], du[DIM * C], dh1[H * C], dh0[H * C];
	l->field->eval(l->field->context, C, b->x + l->steps * DIM * C, log_rho, g);
	double loss = 0;
	for (size_t i = 0; i < C; i++)
		loss += total[i] - log_rho[i];
	l->losses[chunk] = loss;

	memset(dw0, 0, l->n_grad * sizeof(real));
	real mean = (real)(1 / (double)l->rows);
	for (size_t j = 0; j < DIM * C; j++)
		g[j] *= -mean;
	for (size_t n = l->steps; n-- > 0;) {
		const real *x = b->x + n * DIM * C, *y = x + DIM * C;
		const struct kept *k = &b->kept[n];
		real half = (real)(0.5 * l->beta[n] * dt), push = (real)(l->sigma[n] * dt);
		real precision = (real)(1 / (l->sigma[n] * l->sigma[n] * dt)) * mean;
		for (size_t c = 0; c < DIM; c++) {
			real scale_grad = 0;
			_Pragma("omp simd reduction(+ : scale_grad)") for (size_t i = 0; i < C; i++)
			{
				size_t j = c * C + i;
				real back = precision * (x[j] - y[j] + half * y[j]);
				real gy = g[j] - (1 - half) * back;
				real o = k->o[j];
				back_x[j] = back + (1 + half) * gy;
				scale_grad += push * gy * k->feature[j];
				du[j] = o > 10000 || o < -10000 ? 0 : push * gy;
			}
			dscale[n * DIM + c] += scale_grad;
		}
		kernel_gelu(GELU_TANH, 0, H * C, k->h1, g1, d1);
		kernel_linear_back_w(H, DIM, g1, du, dw2);
		add_lanes(DIM, du, db2);
		kernel_linear_back_x(H, DIM, du, w2, false, dh1);
#pragma omp simd
		for (size_t j = 0; j < H * C; j++)
			dh1[j] *= d1[j];
		kernel_gelu(GELU_TANH, 0, H * C, k->h0, g0, d0);
		kernel_linear_back_w(H, H, g0, dh1, dw1);
		add_lanes(H, dh1, db1);
		kernel_linear_back_x(H, H, dh1, w1, false, dh0);
#pragma omp simd
		for (size_t j = 0; j < H * C; j++)
			dh0[j] *= d0[j];
		kernel_linear_back_w(DIM, H, x, dh0, dw0);
		add_lanes(H, dh0, dbias0 + n * H);
		kernel_linear_back_x(DIM, H, dh0, w0, true, back_x);
		memcpy(g, back_x, sizeof(g));
	}
}

double hand_loop_run(struct hand_loop *l)
{
	double loss = 0;

	step_values(l);
	parallel_for(l->chunks, one_chunk, l);
	for (size_t c = 0; c < l->chunks; c++)
		loss += l->losses[c];
	for (size_t c = 1; c < l->chunks; c++)
		for (size_t k = 0; k < l->n_grad; k++)
			l->grads[k] += l->grads[c * l->n_grad + k];
	return loss / (double)l->rows;
}
