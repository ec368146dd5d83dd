/* The report on small synthetic records: averages, ties, marks, renderings, errors. */
#include "support.h"

#include "report/compare.h"
#include "report/contour.h"
#include "report/leaderboard.h"
#include "report/log_z.h"
#include "report/model.h"
#include "report/papers.h"
#include "report/report.h"
#include "report/table.h"

/* What the report knows of metrics here, whatever the folder metrics/ holds. */
static const struct metric dist = { .name = "dist",
	.title = "Distance",
	.unit = "",
	.paper = "a test",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true };
static const struct metric cover = { .name = "cover",
	.title = "Coverage",
	.unit = "",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_SAMPLES,
	.floor = true };
static const struct metric elbo = { .name = "elbo",
	.title = "ELBO",
	.unit = "nats",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_WEIGHTS };
static const struct metric gap = { .name = "gap",
	.title = "Gap",
	.unit = "nats",
	.version = 2,
	.better = BETTER_ZERO,
	.needs = NEEDS_WEIGHTS | NEEDS_LOG_Z };
static const struct metric *const known[] = { &cover, &dist, &elbo, &gap, NULL };

static void assert_near(double a, double b, double tolerance)
{
	if (!(fabs(a - b) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", a, tolerance, b);
}

/* Pieces of records, for as long as the program runs. */
static struct arena *texts;

/* --- records --------------------------------------------------------------------------------- */

/* A cell as a test sees it; NULL: what most cells have. */
struct spec {
	const char *key, *method, *title;
	long seed;
	const char *results; /* the list's inside */
	const char *state, *message, *options, *date, *extra;
	const char *target, *log_z;
};

static const char *or_else(const char *text, const char *other)
{
	return text ? text : other;
}

static const char *const exact_zero =
	"{\"kind\": \"exact\", \"value\": 0, \"se\": 0, \"source\": \"by hand\"}";

static void put_cell(const struct folder *f, const struct spec *s)
{
	char name[64], *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	mkdir(in_folder(f, "cells"), 0777);
	mkdir(in_folder(f, "floors"), 0777);
	fprintf(out,
		"{\"schema\": 1, \"kind\": \"cell\", \"key\": \"%s\", \"method\": \"%s\", "
		"\"method_title\": \"%s\", \"target\": \"%s\", \"target_title\": \"Toy_1 & 50 "
		"%%\", "
		"\"dim\": 2, \"seed\": %ld, \"options\": {%s}, \"target_options\": {}, \"state\": "
		"\"%s\", \"message\": %s, \"log_z\": %s, \"training\": {\"iterations\": 20, "
		"\"curves\": {\"loss\": {\"iteration\": [0, 10, 20], \"value\": [100, \"inf\", "
		"1]}}}, \"results\": [%s], \"cost\": {\"train_seconds\": 2.5, \"peak_rss_mb\": 90, "
		"\"train_network_evaluations\": 1000, \"train_target_evaluations\": 500, "
		"\"concurrent\": true}, \"code\": \"c0de\", \"metric_versions\": {\"dist\": 1, "
		"\"cover\": 1, \"elbo\": 1, \"gap\": 2}, \"provenance\": {\"commit\": \"abc\", "
		"\"dirty\": false, \"threads\": 2, \"date\": \"%s\"}%s}",
		s->key, s->method, s->title, or_else(s->target, "toy"), s->seed,
		or_else(s->options, ""), or_else(s->state, "ok"), or_else(s->message, "null"),
		or_else(s->log_z, exact_zero), or_else(s->results, ""),
		or_else(s->date, "2026-01-02T03:04:05Z"), or_else(s->extra, ""));
	fclose(out);
	snprintf(name, sizeof(name), "cells/%s.json", s->key);
	write_file(f, name, text);
	free(text);
}

/* One element of results. */
static const char *result(const char *pass, size_t steps, size_t repeat, const char *metrics_text)
{
	return arena_printf(texts,
		"{\"pass\": \"%s\", \"pass_title\": \"%s\", \"weights\": \"exact\", \"steps\": "
		"%zu, "
		"\"repeat\": %zu, \"n\": 100, \"metrics\": {%s}, \"failed_metrics\": {}, "
		"\"nonfinite\": 0, \"network_evaluations\": %zu, \"target_evaluations\": %zu, "
		"\"sample_seconds\": 0.25, \"score_seconds\": 1}",
		pass, pass, steps, repeat, metrics_text, 100 * steps, 100 * steps);
}

/* A result with what the method reports of it: "\"NAME\": VALUE, ...". */
static const char *reporting(const char *one, const char *reports)
{
	return arena_printf(texts, "%.*s, \"reports\": {%s}}", (int)strlen(one) - 1, one, reports);
}

/* A metric's value; se < 0: not known. */
static const char *value(const char *name, double x, double se)
{
	const char *known_se = se < 0 ? "null" : arena_printf(texts, "%.17g", se);

	return arena_printf(texts, "\"%s\": {\"value\": %.17g, \"se\": %s}", name, x, known_se);
}

static const char *join(const char *a, const char *b)
{
	return arena_printf(texts, "%s, %s", a, b);
}

/* One seed of a method without steps that scored x. */
static void put_simple(const struct folder *f, const char *method, long seed, const char *metric,
	double x, double se)
{
	char key[32];

	snprintf(key, sizeof(key), "%s%ld", method, seed);
	put_cell(f, &(struct spec){ .key = key,
			    .method = method,
			    .title = method,
			    .seed = seed,
			    .results = result("", 0, 0, value(metric, x, se)) });
}

static void put_floor(const struct folder *f, size_t n)
{
	char text[1024];

	snprintf(text, sizeof(text),
		"{\"schema\": 1, \"kind\": \"floor\", \"target\": \"toy\", \"dim\": 2, "
		"\"target_options\": {}, \"n\": %zu, \"draws\": 5, \"unknown\": [1], \"metrics\": "
		"{\"dist\": {\"version\": 1, \"mean\": 0.1, \"sd\": 0.01, \"q95\": 0.115, "
		"\"values\": [0.09, 0.095, 0.1, 0.105, 0.11]}, \"cover\": {\"version\": 1, "
		"\"mean\": 0.95, \"sd\": 0.01, \"q95\": 0.97, \"values\": [0.94, 0.96]}}}",
		n);
	mkdir(in_folder(f, "floors"), 0777);
	write_file(f, "floors/toy.json", text);
}

static void put_samples(const struct folder *f)
{
	char *text = NULL, *exact = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	FILE *floor_out;

	fputs("pass,steps,x1,x2\n", out);
	for (int steps = 1; steps <= 8; steps += 7)
		for (int i = 0; i < 50; i++)
			fprintf(out, "ode,%d,%g,%g\n", steps, sin(i * steps), cos(i + steps));
	fclose(out);
	write_file(f, "cells/b0.samples.csv", text);
	floor_out = open_memstream(&exact, &size);
	fputs("x1,x2\n", floor_out);
	for (int i = 0; i < 50; i++)
		fprintf(floor_out, "%g,%g\n", sin(i), cos(3 * i));
	fclose(floor_out);
	write_file(f, "floors/toy.samples.csv", exact);
	free(text);
	free(exact);
}

/* A little of everything: the oracle, a tie, steps with repeats and a diverged seed, a method that
 * failed, a bound above log Z, a single seed with an error of its own, infinities. */
static void put_toy(const struct folder *f)
{
	static const double shift[] = { 0, 0.01, -0.01 };
	char key[32];

	for (long seed = 0; seed < 3; seed++) {
		const double d = shift[seed];

		put_simple(f, "exact", seed, "dist", 0.1 + d, -1);
		snprintf(key, sizeof(key), "a%ld", seed);
		put_cell(f, &(struct spec){ .key = key,
				    .method = "a",
				    .title = "Alpha",
				    .seed = seed,
				    .results = result("", 0, 0,
					    join(value("dist", 0.12 + d, -1),
						    value("elbo", -0.5 - d, 0.02))) });
		snprintf(key, sizeof(key), "d%ld", seed);
		put_cell(f, &(struct spec){ .key = key,
				    .method = "d",
				    .title = "Delta|x",
				    .seed = seed,
				    .results = result("", 0, 0,
					    join(value("dist", 0.125 - d, -1),
						    value("elbo", 0.8 + d, 0.02))) });
		snprintf(key, sizeof(key), "b%ld", seed);
		put_cell(f,
			&(struct spec){ .key = key,
				.method = "b",
				.title = "Beta_2",
				.seed = seed,
				.state = seed == 2 ? "diverged" : "ok",
				.message = seed == 2 ? "\"loss is NaN at iteration 7\"" : NULL,
				.results =
					seed == 2 ? ""
						  : join(join(result("ode", 1, 0,
								      value("dist", 2 + d, -1)),
								 result("ode", 1, 1,
									 value("dist", 4 + d, -1))),
							    result("ode", 8, 0,
								    value("dist", 0.01, -1))) });
	}
	put_cell(f, &(struct spec){ .key = "c0",
			    .method = "c",
			    .title = "Gamma",
			    .state = "failed",
			    .message = "\"no such thing\"" });
	for (long seed = 0; seed < 2; seed++)
		put_cell(f, &(struct spec){ .key = seed ? "s1" : "s0",
				    .method = "s",
				    .title = "Sigma",
				    .seed = seed,
				    .state = "skipped",
				    .message = "\"not for this target\"" });
	put_cell(f,
		&(struct spec){ .key = "e0",
			.method = "e",
			.title = "Epsilon",
			.results = result("", 0, 0,
				"\"dist\": {\"value\": \"inf\"}, \"elbo\": {\"value\": -1234567, "
				"\"se\": 1000}, \"gap\": {\"value\": \"nan\", \"se\": null}"),
			.extra = ", \"unknown\": {\"key\": [1, 2]}" });
	put_floor(f, 100);
	put_samples(f);
	write_file(f, "config.yaml", "methods: [a, b]\n");
	write_file(f, "perf.json",
		"{\"sgemm_gflops\": {\"1\": 100}, \"workloads\": [{\"workload\": \"a/b/train\", "
		"\"threads\": 1, \"ms\": 12.5, \"flops\": 1e9, \"efficiency\": 0.8, "
		"\"peak_rss_mb\": 90}], \"graph_over_hand_loop\": {\"1\": 1.1}}");
}

static int write_report(const struct folder *f, FILE *log, bool figures)
{
	const struct report_options o = { .no_figures = !figures, .log = log, .metrics = known };

	return report_write(f->path, &o);
}

/* A board made from the folder's records, with its arena. */
struct made {
	struct arena *arena;
	struct records records;
	struct model model;
	const struct board *board;
};

static struct made make(const struct folder *f)
{
	struct made m = { .arena = arena_new() };

	if (records_read(f->path, &m.records, m.arena) != OK)
		fail_msg("%s", error_text());
	model_make(&m.model, &m.records, known, m.arena);
	m.board = &m.model.boards[0];
	return m;
}

static const struct estimate *estimate_of(const struct made *m, const char *method, size_t steps,
	const char *metric)
{
	for (size_t i = 0; i < m->board->n_rows; i++)
		for (size_t c = 0; c < m->board->n_columns; c++)
			if (!strcmp(m->board->rows[i].series->method, method) &&
				m->board->rows[i].steps == steps &&
				!strcmp(m->board->columns[c].name, metric))
				return &m->board->rows[i].values[c];
	fail_msg("no %s of %s", metric, method);
	return NULL;
}

/* --- statistics and numbers ------------------------------------------------------------------ */

static void test_welch(void **state)
{
	/* Equal sizes and variances, 2 degrees of freedom: p = 1 - t / sqrt(2 + t^2). */
	const double x[] = { 0, 2 }, y[] = { 3, 5 }, t = 3 / sqrt(2);
	/* One side without spread: n - 1 = 1 degree, a Cauchy: p = 1 - 2 atan(t) / pi. */
	const double still[] = { 4, 4, 4 };
	/* Variances of the mean a = 1 and b = 4 of 2 and 3 values: 25 / (1 + 16 / 2) degrees, 2.78;
	 * p lies between those of 2 and of 3 degrees (closed forms). */
	const double u[] = { 0, 2 }, v[] = { 10 - sqrt(12), 10, 10 + sqrt(12) };
	const double tt = 9 / sqrt(5), angle = atan(tt / sqrt(3));
	const double two = 1 - tt / sqrt(2 + tt * tt);
	const double three = 1 - 2 / M_PI * (angle + sin(angle) * cos(angle));
	const double one[] = { 1, 1 };

	(void)state;
	/* A few roundings of numbers near 1. */
	assert_near(welch_p(x, 2, y, 2), 1 - t / sqrt(2 + t * t), 1e-14);
	assert_near(welch_p(y, 2, x, 2), welch_p(x, 2, y, 2), 0);
	assert_near(welch_p(x, 2, still, 3), 1 - 2 * atan(3) / M_PI, 1e-14);
	assert_true(three < welch_p(u, 2, v, 3) && welch_p(u, 2, v, 3) < two);
	assert_near(welch_p(one, 2, one, 2), 1, 0);
	assert_near(welch_p(one, 2, still, 3), 0, 0);
}

static void test_numbers_as_text(void **state)
{
	const double nan_ = (double)NAN, inf = (double)INFINITY;
	const struct {
		double mean, se;
		bool one_run;
		const char *text;
	} cases[] = {
		{ 1.23456, 0.0321, false, "1.235 ± 0.032" },
		{ 1.23456, 0.0321, true, "1.235 (0.032)" },
		{ -2721.4, 342, false, "-2721 ± 342" },
		{ 0.5, 0.0996, false, "0.500 ± 0.100" },
		{ 0.0312345, nan_, false, "0.03123" },
		{ 0, nan_, false, "0.000" },
		{ 12345.6, nan_, false, "12346" },
		{ -1234567, 1000, false, "(-1.2346 ± 0.0010)e+06" },
		{ 3.2e-7, nan_, false, "3.200e-07" },
		{ 2, 0, false, "2.000 ± 0" },
		{ -0.121121, 2e-17, true, "-0.1211210 (<0.0000001)" },
		{ -37447100, 1, true, "(-3.744710 (<0.000001))e+07" },
		{ inf, nan_, false, "inf" },
		{ -inf, nan_, false, "-inf" },
		{ nan_, 1, false, "nan" },
	};
	struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(number_text(cases[i].mean, cases[i].se, cases[i].one_run, a),
			cases[i].text);
	assert_string_equal(quantity_text(0.012345, a), "0.0123");
	assert_string_equal(quantity_text(12345.6, a), "12346");
	assert_string_equal(quantity_text(128, a), "128");
	assert_string_equal(quantity_text(3.1e9, a), "3.10e+09");
	assert_null(quantity_text(nan_, a));
	arena_free(a);
}

/* --- averages and marks ---------------------------------------------------------------------- */

static void test_repeats_then_seeds(void **state)
{
	const struct folder *f = *state;
	const struct estimate *e;
	struct made m;

	put_cell(f, &(struct spec){ .key = "1",
			    .method = "a",
			    .title = "a",
			    .seed = 0,
			    .results = join(result("p", 4, 0, value("dist", 1, -1)),
				    result("p", 4, 1, value("dist", 3, -1))) });
	put_cell(f, &(struct spec){ .key = "2",
			    .method = "a",
			    .title = "a",
			    .seed = 1,
			    .results = join(result("p", 4, 0, value("dist", 7, -1)),
				    result("p", 4, 1, value("dist", 9, -1))) });
	m = make(f);
	e = estimate_of(&m, "a", 4, "dist");
	/* Means of the seeds 2 and 8; standard error sqrt(18 / 2). */
	assert_int_equal(e->seeds, 2);
	assert_near(e->mean, 5, 0);
	assert_near(e->se, 3, 1e-15);
	assert_string_equal(m.model.series[0].label, "a p");
	arena_free(m.arena);
}

static void test_ties_by_welch(void **state)
{
	const struct folder *f = *state;
	const double best[] = { 1.0, 1.1, 0.9 }, near[] = { 1.1, 1.2, 1.0 },
		     far[] = { 2, 2.1, 1.9 };
	struct made m;

	for (long s = 0; s < 3; s++) {
		put_simple(f, "best", s, "dist", best[s], -1);
		put_simple(f, "near", s, "dist", near[s], -1);
		put_simple(f, "far", s, "dist", far[s], -1);
		put_simple(f, "exact", s, "dist", 0.5, -1);
	}
	m = make(f);
	assert_true(estimate_of(&m, "best", 0, "dist")->best);
	assert_true(estimate_of(&m, "near", 0, "dist")->best); /* p = 0.29 */
	assert_false(estimate_of(&m, "far", 0, "dist")->best);
	assert_false(estimate_of(&m, "exact", 0, "dist")->best);
	assert_true(m.board->rows[0].series->oracle); /* the oracle comes first */
	arena_free(m.arena);
}

/* Near 0 is best, whatever the sign. */
static void test_ties_of_one_seed(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_simple(f, "a", 0, "cover", 0.9, 0.03);
	put_simple(f, "b", 0, "cover", 0.82, 0.03); /* 0.08 <= 1.96 * 0.0424, the joint error */
	put_simple(f, "c", 0, "cover", 0.81, 0.03); /* 0.09 > 0.083 */
	put_simple(f, "d", 0, "dist", 2, -1);
	put_simple(f, "e", 0, "dist", 2, -1);
	put_simple(f, "g", 0, "dist", 2.0001, -1);
	put_simple(f, "h", 0, "gap", -1, -1);
	put_simple(f, "i", 0, "gap", 1.5, -1);
	put_simple(f, "j", 0, "gap", 1, -1);
	m = make(f);
	assert_true(estimate_of(&m, "a", 0, "cover")->best);
	assert_true(estimate_of(&m, "b", 0, "cover")->best);
	assert_false(estimate_of(&m, "c", 0, "cover")->best);
	assert_true(estimate_of(&m, "d", 0, "dist")->best);
	assert_true(estimate_of(&m, "e", 0, "dist")->best);
	assert_false(estimate_of(&m, "g", 0, "dist")->best);
	assert_true(estimate_of(&m, "h", 0, "gap")->best);
	assert_false(estimate_of(&m, "i", 0, "gap")->best);
	assert_true(estimate_of(&m, "j", 0, "gap")->best); /* as far from 0 */
	arena_free(m.arena);
}

static void test_floor_marks(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_simple(f, "a", 0, "dist", 0.115, -1); /* the quantile itself is within */
	put_simple(f, "b", 0, "dist", 0.1151, -1);
	put_simple(f, "c", 0, "cover", 0.942, -1);
	put_simple(f, "d", 0, "cover", 0.939, -1);
	put_simple(f, "e", 0, "dist", 0.0901, -1); /* the low quantile is 0.09 */
	put_simple(f, "g", 0, "dist", 0.0899, -1);
	put_simple(f, "h", 0, "cover", 0.971, -1); /* better than the floor, too */
	put_floor(f, 100);
	m = make(f);
	assert_true(estimate_of(&m, "e", 0, "dist")->within_floor);
	assert_true(estimate_of(&m, "e", 0, "dist")->best);
	assert_false(estimate_of(&m, "g", 0, "dist")->within_floor);
	assert_true(estimate_of(&m, "g", 0, "dist")->below_floor);
	assert_false(estimate_of(&m, "g", 0, "dist")->best); /* the smallest, but not comparable */
	assert_true(estimate_of(&m, "h", 0, "cover")->below_floor);
	assert_true(estimate_of(&m, "a", 0, "dist")->within_floor);
	assert_false(estimate_of(&m, "b", 0, "dist")->within_floor);
	assert_true(estimate_of(&m, "c", 0, "cover")->within_floor);
	assert_false(estimate_of(&m, "d", 0, "cover")->within_floor);
	arena_free(m.arena);
	put_floor(f, 99); /* of another sample size: says nothing here */
	m = make(f);
	assert_false(estimate_of(&m, "a", 0, "dist")->within_floor);
	arena_free(m.arena);
}

static void put_bound(const struct folder *f, const char *method, long seed, double x, double se,
	const char *log_z)
{
	char key[32];

	snprintf(key, sizeof(key), "%s%ld", method, seed);
	put_cell(f, &(struct spec){ .key = key,
			    .method = method,
			    .title = method,
			    .seed = seed,
			    .log_z = log_z,
			    .results = result("", 0, 0, value("elbo", x, se)) });
}

static void test_bounds_above_log_z(void **state)
{
	static const char *const measured =
		"{\"kind\": \"estimate\", \"value\": 1, \"se\": 0.4, \"source\": \"long run\"}";
	const struct folder *f = *state;
	const struct estimate *e;
	struct made m;

	put_bound(f, "a", 0, 2.6, 0.3, measured); /* 1.6 > 3 * 0.5 */
	put_bound(f, "b", 0, 2.4, 0.3, measured); /* 1.4 < 3 * 0.5 */
	/* Seeds agree by chance; the runs' own errors of 0.6 say that they need not. */
	put_bound(f, "c", 0, 2.5, 0.6, measured);
	put_bound(f, "c", 1, 2.5, 0.6, measured);
	put_bound(f, "d", 0, 2.3, -1, measured); /* nothing known but log Z's error */
	put_bound(f, "g", 0, 1 + 1e-9, -1,
		"{\"kind\": \"exact\", \"value\": 1, \"se\": 0}"); /* rounding */
	m = make(f);
	e = estimate_of(&m, "a", 0, "elbo");
	assert_true(e->above_log_z);
	assert_false(e->best); /* the largest, but no bound */
	assert_near(e->joint_se, 0.5, 1e-15);
	assert_false(estimate_of(&m, "b", 0, "elbo")->above_log_z);
	e = estimate_of(&m, "c", 0, "elbo");
	/* Own error of the mean of two: 0.6 / sqrt(2). */
	assert_near(e->joint_se, sqrt(0.18 + 0.16), 1e-15);
	assert_false(e->above_log_z);
	e = estimate_of(&m, "d", 0, "elbo");
	assert_true(e->above_unsure && !e->above_log_z && !e->best);
	assert_false(estimate_of(&m, "g", 0, "elbo")->above_unsure);
	assert_true(estimate_of(&m, "b", 0, "elbo")->best);
	arena_free(m.arena);
}

/* What one column says against another: folds against the exact bound, k against means of weights. */
static void test_marks_of_weights(void **state)
{
	const struct folder *f = *state;
	const char *folding =
		join(join(value("elbo_exact", -1, 0.1), value("fold_fraction", 0.25, 0.01)),
			join(value("ess_rev", 0.9, 0.01), value("pareto_k", 0.71, 0.1)));
	const char *good = join(join(value("elbo_exact", -2, 0.1), value("fold_fraction", 0, 0.03)),
		join(value("ess_rev", 0.5, 0.01), value("pareto_k", 0.69, 0.1)));
	const char *bad = "\"nonfinite_weights\": {\"log_w\": {\"-inf\": 4, \"nan\": 0, \"inf\": "
			  "2}}, \"flow_skipped\": \"61 dimensions\"}";
	const char *one = result("", 0, 0, good), **notes;
	char *text = NULL;
	size_t size, n, found = 0;
	struct made m;

	put_cell(f, &(struct spec){ .key = "a0",
			    .method = "a",
			    .title = "a",
			    .results = result("", 0, 0, folding) });
	put_cell(f, &(struct spec){ .key = "b0",
			    .method = "b",
			    .title = "b",
			    .results = arena_printf(texts, "%.*s, %s", (int)strlen(one) - 1, one,
				    bad) });
	m = make(f);
	assert_true(estimate_of(&m, "a", 0, "elbo_exact")->folds);
	assert_false(estimate_of(&m, "b", 0, "elbo_exact")->folds);
	assert_true(estimate_of(&m, "a", 0, "ess_rev")->heavy_tail);
	assert_false(estimate_of(&m, "b", 0, "ess_rev")->heavy_tail);
	assert_false(estimate_of(&m, "a", 0, "ess_rev")->best);
	n = board_notes(&m.model.boards[0], &notes, texts);
	for (size_t i = 0; i < n; i++)
		found += strstr(notes[i], "log_w: 4 -inf 2 inf") != NULL ||
			 strstr(notes[i], "No exact evidence") != NULL;
	assert_int_equal(found, 2);
	for (int latex = 0; latex < 2; latex++) {
		FILE *out = open_memstream(&text, &size);
		if (latex)
			leaderboard_latex(&m.model.boards[0], out, texts);
		else
			leaderboard_markdown(&m.model.boards[0], out, texts);
		fclose(out);
		assert_non_null(strstr(text, latex ? "$ $\\diamond$" : "(0.10) ◇"));
		assert_non_null(strstr(text, latex ? "$ $\\nabla$" : "(0.010) ▽"));
		free(text);
	}
	arena_free(m.arena);
}

static void test_no_bound_without_log_z(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_bound(f, "a", 0, 100, 0.1, "{\"kind\": \"unknown\", \"value\": \"nan\"}");
	put_bound(f, "b", 0, 100, 0.1, "{\"kind\": \"infinite\", \"value\": \"inf\"}");
	m = make(f);
	assert_false(estimate_of(&m, "a", 0, "elbo")->above_log_z);
	assert_false(estimate_of(&m, "b", 0, "elbo")->above_log_z);
	arena_free(m.arena);
}

static void test_failures_are_counted(void **state)
{
	const struct folder *f = *state;
	const struct estimate *e;
	struct made m;

	put_toy(f);
	put_cell(f, &(struct spec){ .key = "a9",
			    .method = "a",
			    .title = "Alpha",
			    .seed = 9,
			    .results = result("", 0, 0, "\"dist\": {\"value\": \"nan\"}") });
	m = make(f);
	e = estimate_of(&m, "b", 8, "dist");
	assert_int_equal(e->seeds, 2);
	assert_near(e->mean, 0.01, 0);
	assert_false(e->best); /* by far the smallest, but of survivors */
	for (size_t i = 0; i < m.board->n_rows; i++) {
		const struct row *row = &m.board->rows[i];

		if (!strcmp(row->series->method, "b"))
			assert_true(row->ok == 2 && row->total == 3);
		if (!strcmp(row->series->method, "c"))
			assert_true(row->ok == 0 && row->total == 1);
	}
	e = estimate_of(&m, "a", 0, "dist");
	assert_true(e->seeds == 3 && e->missing == 1 && !e->best);
	assert_near(e->mean, 0.12, 1e-15);
	e = estimate_of(&m, "e", 0, "dist"); /* infinite is a result, and never best */
	assert_true(isinf(e->mean) && e->seeds == 1 && !e->best);
	assert_false(estimate_of(&m, "d", 0, "dist")->best); /* of itself alone */
	arena_free(m.arena);
}

/* Where all are tied none is best. */
static void test_no_best_of_equals(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_simple(f, "a", 0, "cover", 0.90, 0.03);
	put_simple(f, "b", 0, "cover", 0.89, 0.03);
	m = make(f);
	assert_false(estimate_of(&m, "a", 0, "cover")->best);
	assert_false(estimate_of(&m, "b", 0, "cover")->best);
	arena_free(m.arena);
}

static void test_variants_and_superseded(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_cell(f, &(struct spec){ .key = "1",
			    .method = "a",
			    .title = "A",
			    .options = "\"k\": \"1\", \"same\": \"x\"",
			    .results = result("", 0, 0, value("dist", 1, -1)) });
	put_cell(f, &(struct spec){ .key = "2",
			    .method = "a",
			    .title = "A",
			    .options = "\"same\": \"x\", \"k\": \"2\"",
			    .results = result("", 0, 0, value("dist", 2, -1)) });
	put_cell(f, &(struct spec){ .key = "0",
			    .method = "a",
			    .title = "A",
			    .options = "\"same\": \"x\", \"k\": \"2\"",
			    .date = "2026-02-02T00:00:00Z",
			    .results = result("", 0, 0, value("dist", 3, -1)) });
	m = make(f);
	assert_int_equal(m.records.superseded, 1);
	assert_int_equal(m.model.n_series, 2);
	assert_string_equal(m.model.series[0].label, "A [k=1]");
	assert_string_equal(m.model.series[1].label, "A [k=2]");
	assert_near(m.board->rows[1].values[0].mean, 3, 0); /* the newer one */
	arena_free(m.arena);
}

/* Numbers of other sample sizes, repeats or step lists are not averaged nor take each other's place. */
static void test_designs_are_apart(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_cell(f, &(struct spec){ .key = "1",
			    .method = "a",
			    .title = "A",
			    .results = result("p", 4, 0, value("dist", 1, -1)) });
	put_cell(f, &(struct spec){ .key = "2",
			    .method = "a",
			    .title = "A",
			    .seed = 1,
			    .results = join(result("p", 4, 0, value("dist", 3, -1)),
				    result("p", 8, 0, value("dist", 5, -1))) });
	put_cell(f, &(struct spec){ .key = "3",
			    .method = "a",
			    .title = "A",
			    .date = "2026-02-02T00:00:00Z",
			    .results = result("p", 4, 1, value("dist", 9, -1)) });
	m = make(f);
	assert_int_equal(m.records.superseded, 0);
	assert_int_equal(m.model.n_series, 3);
	assert_string_equal(m.model.series[1].label, "A p [repeats=1, steps=4 8]");
	for (size_t i = 0; i < m.board->n_rows; i++)
		assert_int_equal(m.board->rows[i].values[0].seeds, 1);
	arena_free(m.arena);
}

/* What grid.json does not list is of other runs. */
static void test_grid_lists_the_records(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_simple(f, "a", 0, "dist", 1, -1);
	put_simple(f, "a", 1, "dist", 3, -1);
	put_simple(f, "a", 2, "dist", 8, -1);
	put_floor(f, 100);
	write_file(f, "grid.json",
		"{\"schema\": 1, \"kind\": \"grid\", \"cells\": [\"a1\", \"a0\", \"later\"], "
		"\"floors\": []}");
	m = make(f);
	assert_int_equal(m.records.others, 1);
	assert_near(estimate_of(&m, "a", 0, "dist")->mean, 2, 0);
	assert_int_equal(m.records.n_floors, 0);
	arena_free(m.arena);
	write_file(f, "grid.json",
		"{\"schema\": 1, \"kind\": \"grid\", \"cells\": [\"a2\"], \"floors\": "
		"[\"toy\"]}");
	m = make(f);
	assert_near(estimate_of(&m, "a", 0, "dist")->mean, 8, 0);
	assert_int_equal(m.records.n_floors, 1);
	arena_free(m.arena);
	write_file(f, "grid.json", "{\"schema\": 1, \"kind\": \"grid\", \"cells\": [7]}");
	assert_int_equal(write_report(f, NULL, false), ERR_PARSE);
}

/* Of several floors the one for the board's sample size counts, wherever it stands. */
static void test_floor_of_the_same_n(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_simple(f, "a", 0, "dist", 0.1, -1);
	put_floor(f, 100);
	write_file(f, "floors/zzz.json",
		"{\"schema\": 1, \"kind\": \"floor\", \"target\": \"toy\", \"dim\": 2, "
		"\"target_options\": {}, \"n\": 50, \"draws\": 5, \"metrics\": {}}");
	m = make(f);
	assert_non_null(m.board->floor);
	assert_int_equal(m.board->floor->n, 100);
	assert_true(estimate_of(&m, "a", 0, "dist")->within_floor);
	arena_free(m.arena);
}

/* Two versions of a metric are two columns. */
static void test_versions_are_apart(void **state)
{
	const struct folder *f = *state;
	struct made m;

	put_simple(f, "a", 0, "gap", 1, -1);
	write_file(f, "cells/b.json",
		"{\"schema\": 1, \"kind\": \"cell\", \"key\": \"b\", \"method\": \"b\", "
		"\"target\": "
		"\"toy\", \"dim\": 2, \"seed\": 0, \"state\": \"ok\", \"metric_versions\": "
		"{\"gap\": "
		"1}, \"results\": [{\"pass\": \"\", \"steps\": 0, \"repeat\": 0, \"n\": 100, "
		"\"metrics\": {\"gap\": {\"value\": 2}}}]}");
	m = make(f);
	assert_int_equal(m.board->n_columns, 2);
	assert_int_equal(m.board->columns[0].version, 1);
	assert_int_equal(m.board->columns[1].version, 2);
	arena_free(m.arena);
}

/* --- renderings ------------------------------------------------------------------------------ */

/* The files that a user sees, against copies that were read and found right. Run with
 * STRIDE_WRITE_EXPECTED=1 to write the copies anew after a wanted change. */
static void test_expected_files(void **state)
{
	static const char *const names[] = { "leaderboard-toy.md", "leaderboard-toy.tex",
		"leaderboard-toy.csv", "long.csv", "REPORT.md", "report.html" };
	const struct folder *f = *state;

	put_toy(f);
	assert_int_equal(write_report(f, NULL, false), OK);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char made_path[PATH_LENGTH], expected_path[PATH_LENGTH];
		char *made_text, *expected;

		snprintf(made_path, sizeof(made_path), "%s/report/%s", f->path, names[i]);
		snprintf(expected_path, sizeof(expected_path), "tests/data/report/%s", names[i]);
		made_text = read_file(made_path);
		if (getenv("STRIDE_WRITE_EXPECTED")) {
			FILE *out = fopen(expected_path, "w");

			assert_non_null(out);
			fputs(made_text, out);
			fclose(out);
		}
		expected = read_file(expected_path);
		assert_string_equal(made_text, expected);
		free(made_text);
		free(expected);
	}
}

/* Special characters are escaped, braces balance, and every row of a tabular has as many cells. */
static void test_latex(void **state)
{
	const struct folder *f = *state;
	char *text = NULL, *at;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct arena *a = arena_new();
	struct table t = table_new(3, 1, a);
	struct table_cell *cells = table_row(&t);
	int depth = 0, separators = 0;

	(void)f;
	t.caption = "50 % of {a}_b & c # $ ^ ~ \\";
	t.head[0].text = "m_1";
	t.head[1].text = "x ↓";
	t.head[2].text = "y →0";
	cells[0].text = "A&B";
	cells[1] = (struct table_cell){ .text = "(-1.2 ± 0.1)e+06",
		.number = true,
		.bold = true,
		.marks = MARK_FLOOR | MARK_ABOVE };
	table_write(&t, FORMAT_LATEX, out);
	fclose(out);
	assert_non_null(strstr(text, "\\caption{50 \\% of \\{a\\}\\_b \\& c \\# \\$ "
				     "\\textasciicircum{} \\textasciitilde{} \\textbackslash{}}"));
	assert_non_null(strstr(text, "m\\_1 & x $\\downarrow$ & y $\\to$0 \\\\"));
	assert_non_null(strstr(text, "A\\&B & $\\mathbf{(-1.2 \\pm 0.1) \\cdot 10^{6}}$ $\\sim$ "
				     "$\\triangle$ & -- \\\\"));
	for (at = text; *at; at++) {
		assert_true((unsigned char)*at < 128); /* plain LaTeX reads it */
		if (*at == '\\') {
			at++;
			continue;
		}
		depth += (*at == '{') - (*at == '}');
		separators += *at == '&';
		assert_true(depth >= 0);
	}
	assert_int_equal(depth, 0);
	assert_int_equal(separators, 4);
	free(text);
	arena_free(a);
}

static void test_summary(void **state)
{
	const struct folder *f = *state;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	put_toy(f);
	assert_int_equal(report_summary(f->path, out), OK);
	fclose(out);
	assert_non_null(strstr(text, "log Z = 0 (exact: by hand)."));
	assert_non_null(strstr(text, "Beta_2 ode"));
	assert_non_null(strstr(text, "2/3 †"));
	free(text);
}

/* --- the same bytes -------------------------------------------------------------------------- */

static void test_same_records_same_bytes(void **state)
{
	const struct folder *f = *state;
	struct folder one, two;
	char command[PATH_LENGTH * 2];

	snprintf(one.path, sizeof(one.path), "%.40s/one", f->path);
	snprintf(two.path, sizeof(two.path), "%.40s/two", f->path);
	mkdir(one.path, 0777);
	put_toy(&one);
	snprintf(command, sizeof(command), "cp -r '%s' '%s'", one.path, two.path);
	assert_int_equal(system(command), 0);
	assert_int_equal(write_report(&one, NULL, true), OK);
	sleep(1); /* a date that slipped in would differ */
	assert_int_equal(write_report(&two, NULL, true), OK);
	/* Not the PDFs: cairo 1.18.0 (Ubuntu 24.04) compresses its date, out of our reach. */
	snprintf(command, sizeof(command), "diff -r -x '*.pdf' '%s/report' '%s/report'", one.path,
		two.path);
	assert_int_equal(system(command), 0);
}

/* --- figures --------------------------------------------------------------------------------- */

static void test_log_z_as_text(void **state)
{
	static const struct {
		struct log_z z;
		const char *brief, *sentence;
	} cases[] = {
		{ { LOG_Z_EXACT, 0, 0, "normalised" }, "0 exact",
			"log Z = 0 (exact: normalised)." },
		{ { LOG_Z_QUADRATURE, -0.541055512879454, 1e-14, "wells" },
			"-0.54105551 quadrature",
			"log Z = -0.5410555129 ± 1e-14 (quadrature: wells)." },
		{ { LOG_Z_ESTIMATE, -73.4048, 0.002, "SMC" }, "-73.4048 ± 0.0020 estimate",
			"log Z = -73.4048 ± 0.0020 (estimate: SMC)." },
		{ { LOG_Z_ESTIMATE, 1.5, 0.02, "9 runs of A (n = 3, (m)); 2 of B (4)" },
			"1.500 ± 0.020 estimate",
			"log Z = 1.500 ± 0.020 (estimate: 9 runs of A; 2 of B)." },
		{ { LOG_Z_INFINITE, (double)INFINITY, 0, "no prior" }, "infinite (improper)",
			"log Z is infinite: the density is improper: no prior." },
		{ { LOG_Z_UNKNOWN, (double)NAN, (double)NAN, "" }, "unknown",
			"log Z is not known." },
	};
	struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_string_equal(log_z_short(&cases[i].z, a), cases[i].brief);
		assert_string_equal(log_z_text(&cases[i].z, a), cases[i].sentence);
	}
	arena_free(a);
}

/* A standard Gaussian with contours that hold a share s has density 1 - s there, relative to its top. */
static void test_contours_hold_their_mass(void **state)
{
	static const double shares[LEVELS] = { 0.25, 0.6, 0.9, 0.99 };
	struct arena *a = arena_new();
	struct grid g = { .window = { -6, 6, -6, 6 }, .side = 241 };
	struct density *d;
	double *xy;

	(void)state;
	assert_int_equal(density_new(&d, "gaussian", NULL, 0, a), OK);
	contour_exact(&g, d, a);
	/* Points of the grid are 0.05 apart: 6 of 100 in the area of the smallest contour are on its
	 * rim, which is 0.015 of the mass; the mass falls off outwards. */
	for (size_t k = 0; k < LEVELS; k++)
		if (!(fabs(g.levels[k] - (1 - shares[k])) < 0.015))
			fail_msg("share %g: level %g", shares[k], g.levels[k]);

	/* An estimate is a little wider than its points: 5 % of the top at these numbers. */
	xy = arena_alloc(a, 2 * 4000, sizeof(*xy));
	assert_int_equal(
		density_draw(d, (struct rng){ .seed = 7, .purpose = RNG_TEST }, 0, 4000, xy), OK);
	contour_points(&g, 4000, xy, a);
	assert_int_equal(g.n_levels, 3);
	const double top = g.density[120 * 241 + 120];
	for (size_t k = 0; k < 3; k++)
		if (!(fabs(g.levels[k] / top - (1 - shares[k])) < 0.15))
			fail_msg("share %g: level %g of an estimate", shares[k], g.levels[k] / top);
	assert_true(window_outside(&g.window, 4000, xy) < 0.001);
	arena_free(a);
}

/* The window shrinks to the density: |x| up to sqrt(24) where log rho is 12 below its top, and at most
 * a cell of the coarse grid on each side; its values are those of the slice. */
static void test_slice_finds_the_density(void **state)
{
	static const struct setting settings[] = { { "dim", "3" } };
	const double at[] = { 0, 0, 1.5 }, edge = sqrt(24);
	struct arena *a = arena_new();
	struct grid g = { .window = { -100, 300, -200, 100 }, .side = 61 };
	struct density *d;

	(void)state;
	assert_int_equal(density_new(&d, "gaussian", settings, 1, a), OK);
	contour_slice(&g, d, at, a);
	/* From outside: a window that cuts the density off grows. */
	struct grid small = { .window = { 0, 3, -3, 0 }, .side = 61 };
	contour_slice(&small, d, at, a);
	assert_true(small.window.x_min < -2.9 && small.window.x_max > edge - 1e-9);
	assert_true(small.window.y_min < -edge + 1e-9 && small.window.y_max > 2.9);
	const double bounds[] = { -g.window.x_min, g.window.x_max, -g.window.y_min,
		g.window.y_max };
	for (size_t k = 0; k < 4; k++)
		if (!(bounds[k] >= edge - 1e-9 && bounds[k] < edge + 0.7))
			fail_msg("bound %zu is %g", k, bounds[k]);
	const double x = grid_x(&g, 20), y = grid_y(&g, 40);
	const double x0 = grid_x(&g, 30), y0 = grid_y(&g, 30);
	/* Differences of log densities do not know of the constant, nor of the third coordinate. */
	assert_true(fabs(g.density[40 * 61 + 20] - g.density[30 * 61 + 30] -
			    (x0 * x0 + y0 * y0 - x * x - y * y) / 2) < 1e-10);
	assert_true(g.levels[0] == -0.5 && g.levels[3] == -8);
	arena_free(a);
}

static bool have_gnuplot(void)
{
	return system("gnuplot --version > /dev/null 2>&1") == 0;
}

static void test_figures(void **state)
{
	static const char *const figures[] = { "samples-toy", "steps-toy-samples", "cost-toy",
		"curves-toy" };
	static const struct {
		const char *ending, *magic;
	} formats[] = { { "png", "\x89PNG" }, { "pdf", "%PDF" }, { "svg", "<?xml" } };
	const struct folder *f = *state;
	char *log = NULL, *page;
	size_t size;
	FILE *out = open_memstream(&log, &size);

	if (!have_gnuplot())
		skip();
	put_toy(f);
	assert_int_equal(write_report(f, out, true), OK);
	fclose(out);
	assert_string_equal(log, ""); /* gnuplot has nothing to say */
	free(log);
	page = read_file(in_folder(f, "report/report.html"));
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		for (size_t k = 0; k < 3; k++) {
			char name[64], *text;

			snprintf(name, sizeof(name), "report/figures/%s.%s", figures[i],
				formats[k].ending);
			text = read_file(in_folder(f, name));
			if (strncmp(text, formats[k].magic, strlen(formats[k].magic)))
				fail_msg("%s is not such a file", name);
			assert_non_null(strstr(page, name + strlen("report/")));
			free(text);
		}
	free(page);
}

static void test_without_gnuplot(void **state)
{
	const struct folder *f = *state;
	char *path = strdup(getenv("PATH")), *log = NULL, *page;
	size_t size;
	FILE *out = open_memstream(&log, &size);

	put_toy(f);
	setenv("PATH", "", 1);
	assert_int_equal(write_report(f, out, true), OK);
	setenv("PATH", path, 1);
	free(path);
	fclose(out);
	assert_non_null(strstr(log, "apt install gnuplot-nox"));
	assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1); /* one line */
	free(log);
	assert_true(exists(in_folder(f, "report/leaderboard-toy.tex")));
	page = read_file(in_folder(f, "report/REPORT.md"));
	assert_non_null(strstr(page, "Alpha"));
	assert_null(strstr(page, "!["));
	free(page);
}

/* A script that fails leaves its figure out and says so; the rest comes. */
static void test_failing_script(void **state)
{
	const struct folder *f = *state;
	size_t size, undrawn = 0;
	struct report_options o = { .metrics = known,
		.undrawn = &undrawn,
		.scripts = arena_strdup(texts, in_folder(f, "plots")) };
	char *log = NULL, *page;

	if (!have_gnuplot())
		skip();
	o.log = open_memstream(&log, &size);
	put_toy(f);
	mkdir(in_folder(f, "plots"), 0777);
	write_file(f, "plots/curves.gp", "plot no_such_function(x)\n");
	write_file(f, "plots/samples.gp", "x = 1\n");
	write_file(f, "plots/steps.gp", "x = 1\n");
	write_file(f, "plots/cost.gp", "x = 1\n");
	assert_int_equal(report_write(f->path, &o), OK);
	fclose(o.log);
	assert_int_equal(undrawn, 1);
	assert_non_null(strstr(log, "stride: figure curves-toy: gnuplot: "));
	free(log);
	page = read_file(in_folder(f, "report/REPORT.md"));
	assert_null(strstr(page, "curves-toy.png"));
	assert_non_null(strstr(page, "samples-toy.png"));
	free(page);
}

/* Values that differ by less than the data files tell leave gnuplot a range. */
static void test_nearly_equal_values(void **state)
{
	const struct folder *f = *state;
	size_t undrawn = 9;
	const struct report_options o = { .metrics = known, .undrawn = &undrawn };

	if (!have_gnuplot())
		skip();
	put_cell(f, &(struct spec){ .key = "1",
			    .method = "a",
			    .title = "A",
			    .results = join(result("p", 1, 0, value("dist", 1, -1)),
				    result("p", 8, 0, value("dist", 1 + 1e-12, -1))) });
	assert_int_equal(report_write(f->path, &o), OK);
	assert_int_equal(undrawn, 0);
	assert_true(exists(in_folder(f, "report/figures/steps-toy-samples.png")));
}

/* Stopped while figures are drawn: the pages stay as they were. */
static void test_interrupted(void **state)
{
	const struct folder *f = *state;
	int status;
	pid_t child;

	put_toy(f);
	mkdir(in_folder(f, "report"), 0777);
	write_file(f, "report/REPORT.md", "old");
	child = fork(); /* there is no way back from a stop */
	if (child == 0) {
		parallel_stop();
		_exit(write_report(f, NULL, true) == ERR_INTERRUPTED ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	char *page = read_file(in_folder(f, "report/REPORT.md"));
	assert_string_equal(page, "old");
	free(page);
}

/* --- pages ----------------------------------------------------------------------------------- */

static void test_top_page(void **state)
{
	const struct folder *f = *state;
	struct folder deep;
	char path[PATH_LENGTH], other[PATH_LENGTH], *page;
	struct report_options o = { .no_figures = true, .metrics = known, .top = path };

	snprintf(deep.path, sizeof(deep.path), "%.30s/results/q", f->path);
	snprintf(path, sizeof(path), "%s/REPORT.md", f->path);
	mkdir(in_folder(f, "results"), 0777);
	mkdir(in_folder(f, "other"), 0777);
	mkdir(deep.path, 0777);
	put_toy(&deep);
	assert_int_equal(report_write(deep.path, &o), OK);
	page = read_file(path);
	assert_non_null(strstr(page, "](results/q/report/long.csv)"));
	free(page);
	snprintf(other, sizeof(other), "%s/other/page.md", f->path);
	o.top = other;
	assert_int_equal(report_write(deep.path, &o), OK);
	page = read_file(other);
	assert_non_null(strstr(page, "](../results/q/report/long.csv)"));
	assert_non_null(strstr(page, "a/b/train"));    /* the perf table */
	assert_non_null(strstr(page, "| 1 | 1.10 |")); /* the graph against the hand-written loop */
	assert_non_null(strstr(page, "methods: [a, b]"));
	free(page);
}

/* --- beside published numbers ------------------------------------------------------------------ */

static const char *const published_head =
	"source,place,method,steps,value,std,id_target,id_method,id_pass,id_steps,id_metric,"
	"samples,conditions,caveat,remark\n";

static const char *const published_keys =
	"# words\nkind,key,text\nsource,one,First et al.\nsource,two,Second et al.\n"
	"conditions,full,preset=p;iterations=2000;batch=64;rate=0.005\n"
	"conditions,short,iterations=9\ncaveat,path,along the path\nremark,grid,another "
	"grid\nremark,hour,an hour\n";

static const char *const full_options =
	"\"preset\": \"p\", \"iterations\": \"2000\", \"batch\": \"64\", \"rate\": "
	"\"0.0050000000000000001\"";

static const char *const short_options =
	"\"preset\": \"p\", \"iterations\": \"200\", \"batch\": \"64\", \"rate\": \"0.005\"";

static const char *const other_options =
	"\"preset\": \"p\", \"iterations\": \"2000\", \"batch\": \"32\", \"rate\": \"0.005\"";

static const char *const another_preset =
	"\"preset\": \"q\", \"iterations\": \"2000\", \"batch\": \"64\", \"rate\": \"0.005\"";

static void put_published(const struct folder *f, const char *rows)
{
	write_file(f, "keys.csv", published_keys);
	write_file(f, "published.csv", arena_printf(texts, "%s%s", published_head, rows));
}

static void put_numbers(const struct folder *f, const char *method, long seed, const char *options,
	const char *metrics_text)
{
	put_cell(f, &(struct spec){ .key = arena_printf(texts, "%s%ld", method, seed),
			    .method = method,
			    .title = method,
			    .seed = seed,
			    .options = options,
			    .results = result("ode", 8, 0, metrics_text) });
}

struct papers_made {
	struct made made;
	struct papers papers;
	struct comparison numbers;
};

static struct papers_made compare(const struct folder *f)
{
	struct papers_made m = { .made = { .arena = arena_new() } };
	struct made *made = &m.made;

	if (records_read_all(f->path, &made->records, made->arena) != OK ||
		papers_read(&m.papers, in_folder(f, "published.csv"), in_folder(f, "notes.csv"),
			made->arena) != OK)
		fail_msg("%s", error_text());
	struct records *r = ARENA_NEW(made->arena, 1, struct records);
	*r = made->records;
	model_make(&made->model, r, known, made->arena);
	papers_compare(&m.numbers, &made->model, &m.papers, made->arena);
	return m;
}

static void assert_verdict(const struct papers_made *m, size_t i, const char *method,
	enum verdict v, const char *reason)
{
	const struct compared *c = &m->numbers.list[i];

	assert_true(i < m->numbers.n);
	assert_string_equal(c->published->method_id, method);
	if (c->verdict != v)
		fail_msg("%s: %s, not %s (%s)", method, verdict_text(c->verdict), verdict_text(v),
			c->reasons);
	assert_string_equal(c->reasons, reason);
}

static void test_verdicts_of_one_seed(void **state)
{
	static const char *const rows =
		"# near and far: a factor of 1.2, one of 1.3 and the other way round\n"
		"one,Table 1,A,8,0.24,,toy,near,ode,,dist,100,full,,\n"
		"one,Table 1,A,8,0.26,,toy,far,ode,,dist,100,full,,\n"
		"one,Table 1,A,8,0.15,,toy,high,ode,,dist,100,full,,\n"
		"one,Table 1,A,8,0.2,,toy,short,ode,,dist,100,full,,\n"
		"one,Table 1,A,8,0.2,,toy,short,ode,,dist,100,full,path,\n"
		"one,Table 1,A,8,0.2,,toy,other,ode,,dist,100,full,,\n"
		"one,Table 1,A,8,0.2,,toy,preset,ode,,dist,100,full,,\n"
		"one,Table 1,A,1,0.2,,toy,near,ode,8,dist,100,full,path,grid  hour\n"
		"# two of the run's own errors of 0.1: 1.05 from 1.24 and from 1.26, of |-1.05|\n"
		"two,Table 2,B,8,1.24,,toy,own,ode,,|gap|,100,full,,\n"
		"two,Table 2,B,8,1.26,,toy,own,ode,,gap,100,full,,\n"
		"# a bound in nats: 0.2 and 0.25 away\n"
		"two,Table 2,B,8,-2.2,,toy,own,ode,,elbo,100,full,,\n"
		"two,Table 2,B,8,-2.25,,toy,own,ode,,elbo,100,full,,\n"
		"# not run, not there, no conditions, no steps, not a target of this directory\n"
		"two,Table 2,B,8,1,,toy,gone,ode,,dist,100,full,,\n"
		"two,Table 2,B,4,1,,toy,own,ode,,dist,100,full,,\n"
		"two,Table 2,B,8,1,,toy,own,ode,,cover,100,full,,\n"
		"two,Table 2,B,8,1,,toy,own,ode,,dist,100,,,\n"
		"two,Table 2,B,,1,,toy,own,ode,,dist,100,full,,\n"
		"# more samples than ours, fewer, and any number\n"
		"two,Table 2,B,8,0.2,,toy,near,ode,,dist,200,full,,\n"
		"two,Table 2,B,8,0.2,,toy,near,ode,,dist,50,full,,\n"
		"two,Table 2,B,8,0.2,,toy,near,ode,,dist,,full,,\n"
		"two,Table 2,B,8,1,,toil,own,ode,,dist,100,full,,\n";
	const struct folder *f = *state;
	struct papers_made m;

	put_published(f, rows);
	write_file(f, "notes.csv",
		"target,method,steps,metric,reason\ntoy,far,8,dist,found out\n,high,,,also\n");
	put_numbers(f, "near", 0, full_options, value("dist", 0.2, -1));
	put_numbers(f, "far", 0, full_options, value("dist", 0.2, -1));
	put_numbers(f, "high", 0, full_options, value("dist", 0.2, -1));
	put_numbers(f, "short", 0, short_options, value("dist", 0.2, -1));
	put_numbers(f, "other", 0, other_options, value("dist", 0.2, -1));
	put_numbers(f, "preset", 0, another_preset, value("dist", 0.2, -1));
	put_numbers(f, "own", 0, full_options,
		join(value("gap", -1.05, 0.1), value("elbo", -2, 0.001)));
	m = compare(f);
	assert_int_equal(m.numbers.n, 16);
	assert_verdict(&m, 0, "near", VERDICT_AGREES, "");
	assert_verdict(&m, 1, "far", VERDICT_DIFFERS, "found out");
	assert_verdict(&m, 2, "high", VERDICT_DIFFERS, "also");
	assert_verdict(&m, 3, "short", VERDICT_SHORTENED, "iterations is 200, published with 2000");
	assert_verdict(&m, 4, "short", VERDICT_SHORTENED,
		"iterations is 200, published with 2000; along the path");
	assert_verdict(&m, 5, "other", VERDICT_SETTINGS, "batch is 32, published with 64");
	assert_verdict(&m, 6, "near", VERDICT_DEFINITION, "along the path; another grid; an hour");
	assert_verdict(&m, 7, "own", VERDICT_AGREES, "");
	assert_verdict(&m, 8, "own", VERDICT_DIFFERS, "");
	assert_verdict(&m, 9, "own", VERDICT_AGREES, "");
	assert_verdict(&m, 10, "own", VERDICT_DIFFERS, "");
	assert_verdict(&m, 11, "own", VERDICT_NONE, "this was not asked for");
	assert_verdict(&m, 12, "own", VERDICT_NONE, "");
	assert_verdict(&m, 13, "near", VERDICT_SHORTENED, "samples is 100, published with 200");
	assert_verdict(&m, 14, "near", VERDICT_SETTINGS, "samples is 100, published with 50");
	assert_verdict(&m, 15, "near", VERDICT_AGREES, "");
	assert_near(m.numbers.list[7].mean, 1.05, 1e-15);
	arena_free(m.made.arena);
}

/* Of three seeds the 95 % interval of a fourth, t(2) = 4.30265: 0.2 +- 4.30265 * 0.01 * sqrt(4/3). */
static void test_verdicts_of_three_seeds(void **state)
{
	const double half = 4.302652729911275 * 0.01 * sqrt(4. / 3), x[] = { 0.19, 0.2, 0.21 };
	const struct folder *f = *state;
	struct papers_made m;

	put_published(f,
		arena_printf(texts,
			"one,T,A,8,%.17g,,toy,b,ode,,gap,100,full,,\none,T,A,8,%.17g,,toy,b,ode,,"
			"gap,100,"
			"full,,\none,T,A,8,%.17g,0.01,toy,b,ode,,gap,100,full,,\n"
			"one,T,A,8,0.089,,toy,b,ode,,dist,100,full,,\n"
			"one,T,A,8,0.08,,toy,b,ode,,dist,100,full,,\n",
			0.2 + 0.999 * half, 0.2 - 1.001 * half, 0.2 - 0.999 * hypot(half, 0.02)));
	put_floor(f, 100);
	for (long seed = 0; seed < 3; seed++)
		put_numbers(f, "b", seed, full_options,
			join(value("gap", x[seed], -1), value("dist", 0.1 + 1e-9 * x[seed], -1)));
	m = compare(f);
	assert_int_equal(m.numbers.n, 5);
	assert_verdict(&m, 0, "b", VERDICT_AGREES, "");
	assert_verdict(&m, 1, "b", VERDICT_DIFFERS, "");
	assert_verdict(&m, 2, "b", VERDICT_AGREES, "");
	/* The floor's draws are 0.09 to 0.11 and its quantiles 0.09 to 0.115. */
	assert_verdict(&m, 3, "b", VERDICT_DIFFERS,
		"the published number is below what 100 exact samples score, 0.0900 to 0.115");
	assert_verdict(&m, 4, "b", VERDICT_DIFFERS,
		"the published number is below what 100 exact samples score, 0.0900 to 0.115");
	arena_free(m.made.arena);
}

/* Of two records with the paper's settings the one of more samples is told, if it has the number. */
static void test_verdict_of_most_samples(void **state)
{
	const struct folder *f = *state;
	const char *more = "{\"pass\": \"ode\", \"steps\": 8, \"repeat\": 0, \"n\": 500, "
			   "\"metrics\": {\"dist\": {\"value\": 0.3}}}";
	struct papers_made m;

	put_published(f, "one,T,A,8,0.2,,toy,b,ode,,dist,,full,,\n"
			 "one,T,A,8,0.2,,toy,b,ode,,dist,100,full,,\n"
			 "one,T,A,8,0.2,,toy,b,ode,,gap,,full,,\n");
	put_numbers(f, "b", 0, full_options, join(value("dist", 0.2, -1), value("gap", 0.2, -1)));
	put_cell(f, &(struct spec){ .key = "b500",
			    .method = "b",
			    .title = "b",
			    .options = full_options,
			    .results = more });
	m = compare(f);
	assert_int_equal(m.numbers.n, 3);
	assert_verdict(&m, 0, "b", VERDICT_DIFFERS, "");
	assert_int_equal(m.numbers.list[0].points, 500);
	assert_verdict(&m, 1, "b", VERDICT_AGREES, "");
	assert_verdict(&m, 2, "b", VERDICT_AGREES, "");
	assert_int_equal(m.numbers.list[2].points, 100);
	arena_free(m.made.arena);
}

/* Both among exact samples; a cell that diverged is told. */
static void test_verdicts_in_the_floor(void **state)
{
	const struct folder *f = *state;
	struct papers_made m;

	put_published(f, "one,T,A,8,0.0915,,toy,b,ode,,dist,100,full,,\n"
			 "one,T,A,8,0.1,,toy,d,ode,,dist,100,full,,\n");
	put_floor(f, 100);
	put_numbers(f, "b", 0, full_options, value("dist", 0.1149, -1));
	put_cell(f, &(struct spec){ .key = "d0",
			    .method = "d",
			    .title = "d",
			    .options = full_options,
			    .state = "diverged",
			    .message = "\"loss is NaN\"" });
	m = compare(f);
	assert_int_equal(m.numbers.n, 2);
	assert_verdict(&m, 0, "b", VERDICT_AGREES, "");
	assert_verdict(&m, 1, "d", VERDICT_NONE, "diverged: loss is NaN");
	arena_free(m.made.arena);
}

/* Records of other configurations count; beside one with the paper's settings others are not told, and
 * each has the floor of its own number of points. */
static void test_records_of_all_configurations(void **state)
{
	const struct folder *f = *state;

	put_published(f, "one,Table 1,A,8,0.2,,toy,b,ode,,dist,100,full,,\n");
	put_floor(f, 100);
	put_numbers(f, "b", 0, full_options, value("dist", 0.1149, -1));
	put_cell(f, &(struct spec){ .key = "more",
			    .method = "b",
			    .title = "b",
			    .options = full_options,
			    .results = "{\"pass\": \"ode\", \"pass_title\": \"\", \"steps\": 8, "
				       "\"repeat\": 0, \"n\": 500, \"metrics\": {\"dist\": "
				       "{\"value\": 0.2, \"se\": null}}}" });
	write_file(f, "grid.json", "{\"schema\": 1, \"cells\": [\"more\"], \"floors\": []}");
	struct papers_made m = compare(f);
	assert_int_equal(m.numbers.n, 1);
	assert_verdict(&m, 0, "b", VERDICT_DIFFERS, "");
	assert_near(m.numbers.list[0].mean, 0.1149, 0);
	assert_string_equal(m.numbers.list[0].label, "b ode");
	assert_non_null(m.numbers.list[0].column->floor);
	arena_free(m.made.arena);
}

static int write_with(const struct folder *f, const char *published, const char *papers)
{
	const struct report_options o = { .no_figures = true,
		.metrics = known,
		.published = in_folder(f, published),
		.papers = papers };

	return report_write(f->path, &o);
}

static void assert_page_has(const struct folder *f, const char *name, const char *text)
{
	char *page = read_file(in_folder(f, name));

	if (!strstr(page, text))
		fail_msg("%s does not have: %s", name, text);
	free(page);
}

static void test_papers_in_the_page(void **state)
{
	const struct folder *f = *state;
	char *page;

	put_published(f, "one,Table 1,A,8,0.24,,toy,near,ode,,dist,100,full,,\n"
			 "one,Table 1,A,1,2.5e-1,0.01,toy,near,ode,8,dist,100,full,path,\n"
			 "two,Table 2,B,8,-2.2,,toy,near,ode,,elbo,100,full,path,\n");
	put_numbers(f, "near", 0, full_options,
		join(value("dist", 0.2, -1), value("elbo", -2, 0.01)));
	assert_int_equal(write_with(f, "published.csv", NULL), OK);
	assert_page_has(f, "report/REPORT.md", "## Beside the published numbers");
	assert_page_has(f, "report/REPORT.md", "3 numbers: 1 agrees, 2 definition differs.");
	assert_page_has(f, "report/REPORT.md",
		"| toy | near ode | dist | agrees | 8 | 0.2000 | 0.24 | 0.833 |");
	assert_page_has(f, "report/REPORT.md",
		"| toy | near ode | dist | definition differs [1] | 8 (1) | 0.2000 | 2.5e-1 ± 0.01 "
		"| 0.800 |");
	assert_page_has(f, "report/REPORT.md", "Second et al., Table 2");
	assert_page_has(f, "report/REPORT.md", "+0.2 nats");
	assert_page_has(f, "report/REPORT.md", "- [1] along the path");
	assert_page_has(f, "report/report.html", "<h2 id=\"papers\">");
	assert_page_has(f, "report/papers.csv",
		"First et al.,Table "
		"1,toy,near,ode,8,dist,agrees,0.20000000000000001,,1,0.23999999");
	/* The same reason has the same number. */
	page = read_file(in_folder(f, "report/REPORT.md"));
	assert_null(strstr(page, "[2]"));
	free(page);
	/* Those of another directory, named. */
	assert_int_equal(write_with(f, "published.csv", f->path), OK);
	assert_page_has(f, "report/REPORT.md",
		arena_printf(texts, "The records are those of %s.", f->path));
}

static void test_malformed_published(void **state)
{
	static const struct {
		const char *row, *says;
	} cases[] = {
		{ "one,T,A,8,much,,toy,a,,,dist,100,full,,\n", "published.csv:2: value \"much\"" },
		{ "one,T,A,8,1,x,toy,a,,,dist,100,full,,\n", "published.csv:2: std \"x\"" },
		{ "one,T,A,0,1,,toy,a,,,dist,100,full,,\n", "published.csv:2: steps \"0\"" },
		{ "one,T,A,8,1,,toy,a,,1.5,dist,100,full,,\n", "published.csv:2: id_steps" },
		{ "one,T,A,8,1,,toy,a,,,dist,many,full,,\n", "published.csv:2: samples" },
		{ "# a comment\nnone,T,A,8,1,,toy,a,,,dist,100,full,,\n",
			"published.csv:3: source \"none\"; keys.csv has no such key" },
		{ "one,T,A,8,1,,toy,a,,,dist,100,half,,\n", "published.csv:2: conditions" },
		{ "one,T,A,8,1,,toy,a,,,dist,100,full,hm,\n", "published.csv:2: caveat" },
		{ "one,T,A,8,1,,toy,a,,,dist,100,full,,hm\n", "published.csv:2: remark" },
		{ "one,T,A,8\n", "published.csv:2" },
	};
	const struct folder *f = *state;

	put_numbers(f, "a", 0, full_options, value("dist", 0.2, -1));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_published(f, cases[i].row);
		assert_int_equal(write_with(f, "published.csv", NULL), ERR_PARSE);
		if (!strstr(error_text(), cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", error_text(), cases[i].says);
	}
	write_file(f, "published.csv", "source,place\n");
	assert_int_equal(write_with(f, "published.csv", NULL), ERR_PARSE);
	assert_int_equal(write_with(f, "elsewhere.csv", NULL), ERR_IO);
	put_published(f, "one,T,A,8,1,,toy,a,,,dist,100,full,,\n");
	write_file(f, "notes.csv", "target,method\ntoy,a\n");
	assert_int_equal(write_with(f, "published.csv", NULL), ERR_PARSE);
	assert_non_null(strstr(error_text(), "notes.csv:1"));
}

/* The project's own file: ids that exist, options that the methods have, caveats and remarks in words. */
static void test_published_ids_exist(void **state)
{
	struct arena *a = arena_new();
	struct papers p;
	size_t scds = 0;

	(void)state;
	if (papers_read(&p, "configs/papers/published.csv", "", a) != OK)
		fail_msg("%s", error_text());
	for (size_t i = 0; i < p.n; i++) {
		const struct published *q = &p.rows[i];

		if (!target_find(q->target_id) || !metric_find(q->metric_id))
			fail_msg("%s", error_text());
		scds += strstr(q->source, "2502.07579") != NULL;
	}
	/* Tables 1 and 2. */
	assert_int_equal(scds, 71 + 14);
	arena_free(a);
}

/* --- bad input ------------------------------------------------------------------------------- */

static void expect_error(const struct folder *f, int code, const char *text)
{
	assert_int_equal(write_report(f, NULL, false), code);
	if (!strstr(error_text(), text))
		fail_msg("\"%s\" does not say \"%s\"", error_text(), text);
}

static void test_nothing_there(void **state)
{
	const struct folder *f = *state;

	expect_error(f, ERR_IO, "no records");
	assert_false(exists(in_folder(f, "report")));
	mkdir(in_folder(f, "cells"), 0777);
	write_file(f, "cells/half.json.123.tmp", "{");
	expect_error(f, ERR_IO, "no records");
}

static void test_malformed_records(void **state)
{
#define HEAD                                                                                  \
	"{\"schema\": 1, \"kind\": \"cell\", \"key\": \"k\", \"method\": \"m\", \"target\": " \
	"\"t\", "
	static const struct {
		const char *text;
		int code;
		const char *says;
	} cases[] = {
		{ "{\"schema\": 1,\n oops", ERR_PARSE, "bad.json:2" },
		{ "", ERR_PARSE, "bad.json" },
		{ "[1]", ERR_PARSE, "bad.json: not an object" },
		{ "{\"schema\": 2}", ERR_VERSION, "bad.json: schema 2" },
		{ "{\"schema\": 1, \"kind\": \"floor\"}", ERR_PARSE, "bad.json: kind" },
		{ "{\"schema\": 1, \"kind\": \"cell\"}", ERR_PARSE, "bad.json: key: missing" },
		{ HEAD "\"state\": 3}", ERR_PARSE, "bad.json: state: not a text" },
		{ HEAD "\"state\": \"ok\", \"dim\": -1}", ERR_PARSE, "bad.json: dim" },
		{ HEAD "\"state\": \"ok\", \"dim\": 2, \"seed\": 0, \"results\": {}}", ERR_PARSE,
			"bad.json: results: not a list" },
		{ HEAD "\"state\": \"ok\", \"dim\": 2, \"seed\": 0, \"results\": [{\"pass\": \"\", "
		       "\"steps\": 1, \"repeat\": 0, \"n\": 1, \"metrics\": {\"dist\": {\"value\": "
		       "\"seven\"}}}]}",
			ERR_PARSE, "bad.json: value: not a number" },
		{ HEAD "\"state\": \"ok\", \"dim\": 2, \"seed\": 0, \"training\": {\"curves\": "
		       "{\"loss\": {\"iteration\": [1], \"value\": []}}}}",
			ERR_PARSE, "bad.json: loss: iteration and value differ" },
		{ HEAD "\"state\": \"ok\", \"dim\": 2, \"seed\": 0, \"log_z\": {\"kind\": "
		       "\"hmm\"}}",
			ERR_PARSE, "bad.json: log_z.kind: hmm" },
	};
#undef HEAD
	const struct folder *f = *state;

	put_simple(f, "a", 0, "dist", 1, -1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file(f, "cells/bad.json", cases[i].text);
		expect_error(f, cases[i].code, cases[i].says);
	}
}

static void test_malformed_samples(void **state)
{
	const struct folder *f = *state;

	put_toy(f);
	write_file(f, "cells/b0.samples.csv", "pass,steps,x1,x2\node,8,1,2\node,8,one,2\n");
	assert_int_equal(write_report(f, NULL, true), ERR_PARSE);
	assert_non_null(strstr(error_text(), "b0.samples.csv:3"));
}

static void test_nowhere_to_write(void **state)
{
	const struct folder *f = *state;

	put_simple(f, "a", 0, "dist", 1, -1);
	write_file(f, "report", "a file where the folder should be");
	expect_error(f, ERR_IO, "report");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

/* What methods report: means over seeds and repeats, of the methods that do; in every rendering. */
static void test_reports_are_a_table(void **state)
{
	static const double rate[] = { 0.25, 0.5 };
	const struct folder *f = *state;
	struct records r;
	struct model m;
	char *text = NULL;
	size_t size;

	for (long seed = 0; seed < 2; seed++) {
		const char *metrics_text = value("dist", 1, -1), *both = "";
		for (size_t repeat = 0; repeat < 2; repeat++) {
			const char *one = reporting(result("", 0, repeat, metrics_text),
				arena_printf(texts, "\"rounds\": %zu, \"acceptance\": %g",
					10 * repeat, rate[seed]));
			both = repeat ? join(both, one) : one;
		}
		put_cell(f, &(struct spec){ .key = seed ? "r1" : "r0",
				    .method = "r",
				    .title = "Rho",
				    .seed = seed,
				    .results = both });
		put_simple(f, "silent", seed, "dist", 2, -1);
	}
	put_cell(f, &(struct spec){ .key = "n0",
			    .method = "n",
			    .title = "Nu",
			    .results = reporting(result("", 0, 0, value("dist", 3, -1)),
				    "\"acceptance\": \"nan\", \"split R-hat\": 1.5") });
	assert_int_equal(records_read(f->path, &r, texts), OK);
	model_make(&m, &r, known, texts);
	const struct board *b = &m.boards[0];
	assert_int_equal(b->n_reports, 3);
	assert_string_equal(b->reports[0], "acceptance");
	assert_string_equal(b->reports[1], "rounds");
	assert_string_equal(b->reports[2], "split R-hat");
	struct table t = diagnostics_table(b, texts);
	assert_int_equal(t.n_rows, 2); /* not the silent one */
	for (size_t i = 0; i < t.n_rows; i++) {
		const struct table_cell *cells = &t.cells[i * t.n_cols];
		bool rho = !strcmp(cells[0].text, "Rho");
		const struct table_cell *last = cells + t.n_cols - 3;
		if (rho) {
			assert_string_equal(last[0].text, "0.375");
			assert_string_equal(last[1].text, "5");
			assert_null(last[2].text);
		} else {
			assert_null(last[0].text);
			assert_null(last[1].text);
			assert_string_equal(last[2].text, "1.50");
		}
	}
	FILE *out = open_memstream(&text, &size);
	leaderboard_markdown(b, out, texts);
	long_csv(&r, out, texts);
	fclose(out);
	assert_non_null(strstr(text, "diagnostics; means over seeds"));
	assert_non_null(strstr(text, "split R-hat"));
	assert_non_null(strstr(text, ",rounds,0,10,"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_welch),
		cmocka_unit_test(test_numbers_as_text),
		TEST(test_repeats_then_seeds),
		TEST(test_ties_by_welch),
		TEST(test_ties_of_one_seed),
		TEST(test_floor_marks),
		TEST(test_bounds_above_log_z),
		TEST(test_marks_of_weights),
		TEST(test_no_bound_without_log_z),
		TEST(test_failures_are_counted),
		TEST(test_reports_are_a_table),
		TEST(test_no_best_of_equals),
		TEST(test_variants_and_superseded),
		TEST(test_designs_are_apart),
		TEST(test_grid_lists_the_records),
		TEST(test_floor_of_the_same_n),
		TEST(test_versions_are_apart),
		TEST(test_expected_files),
		TEST(test_latex),
		TEST(test_summary),
		TEST(test_same_records_same_bytes),
		cmocka_unit_test(test_log_z_as_text),
		cmocka_unit_test(test_contours_hold_their_mass),
		cmocka_unit_test(test_slice_finds_the_density),
		TEST(test_figures),
		TEST(test_without_gnuplot),
		TEST(test_failing_script),
		TEST(test_nearly_equal_values),
		TEST(test_interrupted),
		TEST(test_top_page),
		TEST(test_verdicts_of_one_seed),
		TEST(test_verdicts_of_three_seeds),
		TEST(test_verdict_of_most_samples),
		TEST(test_verdicts_in_the_floor),
		TEST(test_records_of_all_configurations),
		TEST(test_papers_in_the_page),
		TEST(test_malformed_published),
		cmocka_unit_test(test_published_ids_exist),
		TEST(test_nothing_there),
		TEST(test_malformed_records),
		TEST(test_malformed_samples),
		TEST(test_nowhere_to_write),
	};

	int failed;

	texts = arena_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(texts);
	return failed;
}
