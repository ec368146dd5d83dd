/* perf [OUT.json]: how fast the engine is, with the sgemm rate of the same process beside it, so that
 * machines compare. A benchmark, not a test. Each workload is timed once warm, at least 5 times and half
 * a second; the median counts. */
#include "perf_loop.h"
#include "run/flow.h"
#include "run/plan.h"

#include <cblas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sort.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	TIMES_MAX = 10000,
	TIMES_MIN = 5,
	GEMM = 512,
	POINTS = 2000,
	METRIC_DIM = 10,
	EVALUATED = 1024
};
static const double SECONDS_MIN = 0.5;

static double now(void)
{
	struct timespec t;

	timespec_get(&t, TIME_UTC);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double perf_median(void (*body)(void *context), void *context)
{
	static double times[TIMES_MAX];
	size_t n = 0;
	double total = 0;

	body(context);
	while (n < TIMES_MAX && (n < TIMES_MIN || total < SECONDS_MIN)) {
		double start = now();
		body(context);
		times[n] = now() - start;
		total += times[n++];
	}
	gsl_sort(times, 1, n);
	return n % 2 == 1 ? times[n / 2] : 0.5 * (times[n / 2 - 1] + times[n / 2]);
}

/* --- memory: the largest resident set since the last reset, where the system tells ------------ */

static void reset_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f != NULL) {
		fputs("5", f);
		fclose(f);
	}
}

static double peak_mb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	double kb = (double)NAN;

	if (f == NULL)
		return kb;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmHWM: %lf kB", &kb) == 1)
			break;
	fclose(f);
	return kb / 1024;
}

/* --- sgemm ------------------------------------------------------------------------------------ */

struct gemm {
	float *a, *b, *c[64];
	size_t threads;
};

static void gemm_one(void *context, size_t i)
{
	struct gemm *g = context;

	cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, GEMM, GEMM, GEMM, 1, g->a, GEMM,
		g->b, GEMM, 0, g->c[i], GEMM);
}

static void gemm_all(void *context)
{
	parallel_for(((struct gemm *)context)->threads, gemm_one, context);
}

/* GFLOP/s of this many independent products at once. */
static double sgemm_rate(size_t threads, struct arena *a)
{
	size_t size = (size_t)GEMM * GEMM;
	struct gemm g = { ARENA_NEW(a, size, float), ARENA_NEW(a, size, float), { NULL }, threads };

	invariant(threads <= sizeof(g.c) / sizeof(g.c[0]));
	for (size_t i = 0; i < size; i++) {
		g.a[i] = (float)(i % 7) - 3;
		g.b[i] = (float)(i % 5) - 2;
	}
	for (size_t i = 0; i < threads; i++)
		g.c[i] = ARENA_NEW(a, size, float);
	parallel_use(threads);
	return 2e-9 * GEMM * GEMM * GEMM * (double)threads / perf_median(gemm_all, &g);
}

/* --- workloads -------------------------------------------------------------------------------- */

struct report {
	json_t *workloads;
	double rate; /* GFLOP/s of the threads in use */
	size_t threads;
};

static void report_line(struct report *r, const char *workload, double seconds, double flops)
{
	double gflops = 1e-9 * flops / seconds, efficiency = gflops / r->rate, mb = peak_mb();
	json_t *w = json_pack("{s:s, s:i, s:f, s:f}", "workload", workload, "threads",
		(int)r->threads, "ms", 1e3 * seconds, "flops", flops);

	if (flops > 0) {
		json_object_set_new(w, "gflops", json_real(gflops));
		json_object_set_new(w, "efficiency", json_real(efficiency));
	}
	json_object_set_new(w, "peak_rss_mb", isnan(mb) ? json_null() : json_real(mb));
	json_array_append_new(r->workloads, w);
	printf("%-30s %7zu %10.3f %12.3f ", workload, r->threads, 1e3 * seconds, 1e-9 * flops);
	if (flops > 0)
		printf("%8.1f %10.2f", gflops, efficiency);
	else
		printf("%8s %10s", "", "");
	printf(" %9.0f\n", mb);
	fflush(stdout);
}

/* A method on a target, ready to run. */
struct job {
	const struct method *method;
	void *state;
	struct cell cell;
	long it;
	const struct pass *pass;
	size_t steps;
	struct draws draws;
};

/* settings: n of them, over the presets for the target. */
static void job_open(struct job *j, const char *method, const char *target,
	const struct setting *settings, size_t n, struct arena *a)
{
	struct plan_target *t = ARENA_NEW(a, 1, struct plan_target);
	struct plan_cell p;
	struct density *d;

	*j = (struct job){ .method = method_find(method) };
	t->target = target_find(target);
	invariant(j->method != NULL && t->target != NULL);
	invariant(plan_training(&p, j->method, t, 0, settings, n, a) == OK);
	j->state = plan_method_state(&p, a);
	invariant(density_new(&d, target, NULL, 0, a) == OK);
	j->cell = (struct cell){ .target = d,
		.field = density_field(d),
		.dim = density_dim(d),
		.arena = a };
	invariant(j->method->init(j->state, &j->cell) == OK);
	j->pass = &j->method->passes[0];
}

static void train_once(void *context)
{
	struct job *j = context;

	invariant(j->method->train(j->state, &j->cell, j->it++) == OK);
}

static void sample_once(void *context)
{
	struct job *j = context;

	invariant(j->method->sample(j->state, &j->cell, j->pass, j->steps, 0, &j->draws) == OK);
}

/* Matrix products of the target in this many evaluations. */
static double target_flops(const struct job *j, double evaluations)
{
	const struct target *t = density_target(j->cell.target);

	return t->flops != NULL ? evaluations * t->flops(density_state(j->cell.target)) : 0;
}

/* Matrix products of a loss that the method has; steps as in its training. */
static double gradient_flops(struct job *j, const char *what, size_t rows, size_t steps)
{
	struct graph *g = j->method->graph(j->state, &j->cell, what, steps, j->cell.arena);

	return g != NULL ? graph_flops(g, rows, true, NULL, 0) : 0;
}

static void time_training(struct report *r, const char *method, const char *target)
{
	struct arena *a = arena_new();
	struct job j;
	char name[64];

	reset_peak();
	job_open(&j, method, target, NULL, 0, a);
	train_once(&j);
	double evaluations = (double)j.cell.counts.target;
	double flops = gradient_flops(&j, "loss", 1024, 128) +
		       gradient_flops(&j, "distillation", 1024, 128) +
		       target_flops(&j, evaluations);
	snprintf(name, sizeof(name), "%s/%s/train", method, target);
	report_line(r, name, perf_median(train_once, &j), flops);
	arena_free(a);
}

/* The variants of the SCDS paper: 512 paths. */
static void time_scds(struct report *r, const char *method, const char *target, size_t steps)
{
	static const struct setting preset = { "preset", "scds-paper" };
	bool several = strcmp(method, "scds") != 0;
	struct arena *a = arena_new();
	struct job j;
	char name[64];

	reset_peak();
	job_open(&j, method, target, &preset, several, a);
	train_once(&j);
	double flops = gradient_flops(&j, "loss", 512, steps) +
		       gradient_flops(&j, "consistency", 512, steps);
	snprintf(name, sizeof(name), "%s/%s/train scds", method, target);
	report_line(r, name, perf_median(train_once, &j), flops);
	arena_free(a);
}

/* As many iterations as draw each level of the teacher's often. The teacher itself is not trained. */
enum { LEVELS = 17, ROUNDS = 10 * LEVELS };

static void train_rounds(void *context)
{
	for (int i = 0; i < ROUNDS; i++)
		train_once(context);
}

/* The teacher's paths end at the levels drawn: its network is counted as often as the target's score, of
 * which it takes one. `released`: a level for the batch, as in the release whose time is published. */
static void time_cdds(struct report *r, const char *target, bool released)
{
	const struct setting settings[] = { { "teacher_iterations", "1" },
		{ "per_row", released ? "false" : "true" } };
	const struct capture next = { "next", NULL, NULL, NULL };
	const size_t steps = 128, batch = 512;
	struct arena *a = arena_new();
	struct job j;
	char name[64];

	reset_peak();
	job_open(&j, "cdds", target, settings, 2, a);
	struct graph *teacher = j.method->graph(j.state, &j.cell, "teacher", LEVELS, a);
	uint64_t before = j.cell.counts.target;
	train_rounds(&j);
	double evaluations = (double)(j.cell.counts.target - before) / ROUNDS;
	double flops = gradient_flops(&j, "loss", batch, 1) +
		       graph_flops(teacher, batch, false, &next, 1) * evaluations /
			       (double)(batch * steps);
	snprintf(name, sizeof(name), "cdds/%s/train scds%s", target,
		released ? " batch level" : "");
	report_line(r, name, perf_median(train_rounds, &j) / ROUNDS, flops);
	arena_free(a);
}

static void time_sampling(struct report *r, const char *method, const char *target, size_t steps)
{
	struct arena *a = arena_new();
	struct job j;
	char name[64];

	reset_peak();
	job_open(&j, method, target, NULL, 0, a);
	if (j.method->check_steps != NULL && j.method->check_steps(j.state, steps) != OK) {
		arena_free(a);
		return;
	}
	j.steps = steps;
	j.draws = (struct draws){ .n = POINTS,
		.x = ARENA_NEW(a, POINTS * j.cell.dim, double),
		.log_w = ARENA_NEW(a, POINTS, double) };
	const struct capture captures[] = { { "end", j.draws.x, NULL, NULL },
		{ "log_w", j.draws.log_w, NULL, NULL } };
	const char *what = *j.pass->name != '\0' ? j.pass->name : "sde";
	sample_once(&j);
	double flops = graph_flops(j.method->graph(j.state, &j.cell, what, steps, a), POINTS, false,
			       captures, 2) +
		       target_flops(&j, (double)j.cell.counts.target);
	snprintf(name, sizeof(name), "%s/%s/sample%zu", method, target, steps);
	report_line(r, name, perf_median(sample_once, &j), flops);
	arena_free(a);
}

/* The exact weights of a flow in one step: all that logz_exact costs beside its sums. */
static void weigh_once(void *context)
{
	struct job *j = context;
	bool is_flow;

	invariant(flow_weights(j->method, j->state, &j->cell, j->pass, j->steps, 0, j->draws.n,
			  j->draws.log_w, j->draws.x, &is_flow) == OK &&
		  is_flow);
}

static void time_exact_weights(struct report *r, const char *method, const char *target)
{
	struct arena *a = arena_new();
	struct job j;
	char name[64];

	reset_peak();
	job_open(&j, method, target, NULL, 0, a);
	j.steps = 1;
	j.draws = (struct draws){ .n = POINTS,
		.x = ARENA_NEW(a, POINTS, double), /* signs */
		.log_w = ARENA_NEW(a, POINTS, double) };
	snprintf(name, sizeof(name), "%s/%s/exact weights", method, target);
	report_line(r, name, perf_median(weigh_once, &j), 0);
	arena_free(a);
}

/* Sampling without a graph: untrained methods in their first pass, with their defaults. */
static void time_untrained(struct report *r, const char *method, const char *target)
{
	struct arena *a = arena_new();
	struct job j;
	char name[64];

	reset_peak();
	job_open(&j, method, target, NULL, 0, a);
	j.draws = (struct draws){ .n = POINTS,
		.x = ARENA_NEW(a, POINTS * j.cell.dim, double),
		.log_w = ARENA_NEW(a, POINTS, double) };
	sample_once(&j);
	double evaluations = (double)j.cell.counts.target;
	snprintf(name, sizeof(name), "%s/%s/%.2fM evaluations", method, target, 1e-6 * evaluations);
	report_line(r, name, perf_median(sample_once, &j), target_flops(&j, evaluations));
	arena_free(a);
}

/* --- the graph against a loop by hand --------------------------------------------------------- */

struct duel {
	struct graph *graph;
	struct graph_args args;
	real *grad;
	size_t n;
	struct hand_loop *loop;
	double graph_loss, loop_loss;
};

static void graph_once(void *context)
{
	struct duel *d = context;

	d->graph_loss = graph_gradient(d->graph, &d->args, d->n, d->grad);
}

static void loop_once(void *context)
{
	struct duel *d = context;

	d->loop_loss = hand_loop_run(d->loop);
}

/* Time of the graph's sampling gradient over that of the loop; both must find the same loss. */
static void time_generality(struct report *r, json_t *ratios)
{
	struct arena *a = arena_new();
	struct control_net net;
	struct duel d = { .n = 0 };
	struct job j;
	char key[24];

	job_open(&j, "osds", "funnel", NULL, 0, a);
	control_net_layout(&net, j.cell.dim, true, 1);
	real *params = j.method->params(j.state, &d.n);
	d.graph = j.method->graph(j.state, &j.cell, "loss", 128, a);
	d.args = (struct graph_args){ .rows = 1024, .params = { params } };
	d.grad = ARENA_NEW(a, d.n, real);
	d.loop = hand_loop_new(&net, j.cell.field, 128, 1024, 1, params, 0, a);
	double by_graph = perf_median(graph_once, &d), by_loop = perf_median(loop_once, &d);
	invariant(fabs(d.graph_loss - d.loop_loss) <= 1e-4 * (1 + fabs(d.graph_loss)));
	printf("sampling gradient, funnel: graph %.2f ms, hand-written loop %.2f ms, ratio %.3f\n",
		1e3 * by_graph, 1e3 * by_loop, by_graph / by_loop);
	snprintf(key, sizeof(key), "%zu", r->threads);
	json_object_set_new(ratios, key, json_real(by_graph / by_loop));
	arena_free(a);
}

/* --- targets ---------------------------------------------------------------------------------- */

struct evaluation {
	const struct density *d;
	real *x, *grad; /* [dim][EVALUATED] */
	double *log_rho;
};

static void evaluate_once(void *context)
{
	struct evaluation *e = context;

	density_eval_real(e->d, EVALUATED, e->x, e->log_rho, e->grad);
}

/* Value and gradient at EVALUATED normal points, on one thread: a chunk of the engine is evaluated like
 * this. */
static void time_target(struct report *r, const char *target)
{
	struct arena *a = arena_new();
	struct density *d;
	char name[64];

	reset_peak();
	invariant(density_new(&d, target, NULL, 0, a) == OK);
	const struct target *t = density_target(d);
	const size_t dim = density_dim(d);
	struct evaluation e = { d, ARENA_NEW(a, dim * EVALUATED, real),
		ARENA_NEW(a, dim * EVALUATED, real), ARENA_NEW(a, EVALUATED, double) };
	rng_normal((struct rng){ .purpose = RNG_TEST }, 0, 0, EVALUATED, dim, e.x);
	snprintf(name, sizeof(name), "target/%s", target);
	report_line(r, name, perf_median(evaluate_once, &e),
		t->flops != NULL ? EVALUATED * t->flops(density_state(d)) : 0);
	arena_free(a);
}

/* --- metrics ---------------------------------------------------------------------------------- */

struct scoring {
	const struct metric *metric;
	struct scored in;
};

static void score_once(void *context)
{
	struct scoring *s = context;
	struct arena_mark mark = arena_mark(s->in.arena);
	struct value v;

	invariant(s->metric->eval(&s->in, &v) == OK);
	arena_release(s->in.arena, mark);
}

/* Laws of exact samples (side 0) and a model's (side 1). */
enum law { SHIFT, MIXTURE, FUNNEL };
static const char *const law_names[] = { "shift", "mixture", "funnel" };

static double coordinate(enum law law, uint32_t side, size_t dim, size_t i, size_t k)
{
	const struct rng r = { .purpose = RNG_TEST, .epoch = side };
	const struct rng centres = { .purpose = RNG_TEST, .epoch = 2 };
	double z = rng_gauss(r, 0, i, (uint32_t)k), v = rng_gauss(r, 0, i, 0);

	switch (law) {
	case SHIFT:
		return side ? 1 / sqrt((double)dim) + 1.2 * z : z;
	case MIXTURE:
		return side ? 5 * z : z + 5 * rng_gauss(centres, 0, i % 8, (uint32_t)k);
	default:
		v *= side ? 2 : 3;
		return k == 0 ? v : exp(v / 2) * z;
	}
}

static void time_metric(struct report *r, const char *metric, enum law law, size_t n, size_t dim)
{
	struct arena *a = arena_new();
	double *x[2];
	struct scoring s = { metric_find(metric),
		{ .n = n, .n_exact = n, .dim = dim, .arena = a } };
	char name[64];

	reset_peak();
	for (uint32_t side = 0; side < 2; side++) {
		x[side] = ARENA_NEW(a, n * dim, double);
		for (size_t i = 0; i < n * dim; i++)
			x[side][i] = coordinate(law, side, dim, i / dim, i % dim);
	}
	s.in.exact = x[0];
	s.in.x = x[1];
	snprintf(name, sizeof(name), "%s/%s%zu/%zu", metric, law_names[law], dim, n);
	report_line(r, name, perf_median(score_once, &s), 0);
	arena_free(a);
}

/* The sample metrics whose speed is promised. */
static void time_transport(struct report *r)
{
	static const size_t dims[] = { 2, 10, 50 };

	for (enum law law = SHIFT; law <= FUNNEL; law++) {
		for (size_t d = 0; d < 3; d++)
			time_metric(r, "w2", law, POINTS, dims[d]);
		time_metric(r, "w1", law, POINTS, METRIC_DIM);
		time_metric(r, "sinkhorn", law, POINTS, METRIC_DIM);
		time_metric(r, "sinkhorn_osds", law, POINTS, METRIC_DIM);
		time_metric(r, "sinkhorn_scds", law, 3 * POINTS, METRIC_DIM);
		time_metric(r, "sliced_w2", law, POINTS, METRIC_DIM);
		time_metric(r, "max_sliced_w2", law, POINTS, METRIC_DIM);
	}
}

/* --- main ------------------------------------------------------------------------------------- */

static void run_all(struct report *r)
{
	const char *const methods_timed[] = { "osds", "pis", "dds" };
	const char *const targets_timed[] = { "funnel", "gmm40_50d", "ionosphere" };

	printf("%-30s %7s %10s %12s %8s %10s %9s\n", "workload", "threads", "ms", "GFLOP useful",
		"GFLOP/s", "efficiency", "peak MB");
	for (size_t i = 0; r->threads == 1 && targets[i] != NULL; i++)
		time_target(r, targets[i]->name);
	for (size_t m = 0; m < 3; m++)
		for (size_t t = 0; t < 3; t++)
			time_training(r, methods_timed[m], targets_timed[t]);
	for (size_t m = 0; m < 3; m++)
		for (size_t t = 0; t < 3; t++)
			for (size_t steps = 1; steps <= 128; steps += 127)
				time_sampling(r, methods_timed[m], targets_timed[t], steps);
	time_scds(r, "scds", "funnel", 128);
	time_scds(r, "scds", "gmm9", 128);
	time_scds(r, "dis", "funnel", 128);
	time_scds(r, "pis", "funnel", 128);
	time_scds(r, "dds", "funnel", 257);
	time_cdds(r, "gmm9", false);
	time_cdds(r, "gmm9", true);
	time_exact_weights(r, "osds", "sonar");
	time_untrained(r, "smc", "funnel");
	time_untrained(r, "pt", "funnel");
	time_untrained(r, "hmc", "funnel");
	time_untrained(r, "mala", "funnel");
	time_metric(r, "mmd_osds", SHIFT, POINTS, METRIC_DIM);
	time_transport(r);
	time_metric(r, "mmd_u", SHIFT, POINTS, METRIC_DIM);
	time_metric(r, "energy", SHIFT, POINTS, METRIC_DIM);
	time_metric(r, "c2st", SHIFT, POINTS, METRIC_DIM);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "build/perf.json";
	size_t all = parallel_threads();
	struct arena *a = arena_new();
	json_t *doc = json_object(), *rates = json_object(), *ratios = json_object();
	struct report r = { .workloads = json_array() };

	gsl_set_error_handler_off();
	openblas_set_num_threads(1);
	for (size_t threads = 1;; threads = all) {
		char key[24];
		r.threads = threads;
		r.rate = sgemm_rate(threads, a);
		printf("sgemm 512^3 on %zu thread%s: %.1f GFLOP/s\n", threads,
			threads > 1 ? "s" : "", r.rate);
		snprintf(key, sizeof(key), "%zu", threads);
		json_object_set_new(rates, key, json_real(r.rate));
		run_all(&r);
		time_generality(&r, ratios);
		if (threads == all)
			break;
	}
	json_object_set_new(doc, "sgemm_gflops", rates);
	json_object_set_new(doc, "workloads", r.workloads);
	json_object_set_new(doc, "graph_over_hand_loop", ratios);
	int status = json_dump_file(doc, path, JSON_INDENT(1)) == 0 ? 0 : 1;
	printf(status == 0 ? "written to %s\n" : "cannot write %s\n", path);
	json_decref(doc);
	arena_free(a);
	return status;
}
