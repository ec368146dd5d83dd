#ifndef STRIDE_TESTS_METHODS_H
#define STRIDE_TESTS_METHODS_H

#include "stride.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

/* cmocka's fail() gives way to stride's. */
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))

/* A cell for tests: a method on a target, from text like "sigma0=2,moves=3". */
struct trial {
	const struct method *method;
	void *state;
	struct cell cell;
	struct density *target;
};

/* Apply "key=value,key=value" by set(key, value). */
static inline void for_each_setting(const char *text, struct arena *a,
	void (*set)(void *context, const char *key, const char *value), void *context)
{
	char *rest = arena_strdup(a, text), *item;

	while ((item = strsep(&rest, ",")) != NULL) {
		char *value = strchr(item, '=');
		if (value == NULL)
			continue;
		*value = '\0';
		set(context, item, value + 1);
	}
}

struct setting_list {
	struct setting item[16];
	size_t n;
};

static inline void collect_setting(void *context, const char *key, const char *value)
{
	struct setting_list *list = context;

	assert_true(list->n < 16);
	list->item[list->n++] = (struct setting){ key, value };
}

static inline void set_method_option(void *context, const char *key, const char *value)
{
	struct trial *t = context;

	assert_int_equal(option_set(t->method->options, t->state, t->method->name, key, value,
				 t->cell.arena),
		OK);
}

/* Make the cell: target's defaults and settings; method's defaults, presets that are for every paper,
 * settings. */
static inline struct trial *trial_new(const char *method, const char *target,
	const char *target_settings, const char *settings, uint64_t seed)
{
	struct arena *a = arena_new();
	struct trial *t = ARENA_NEW(a, 1, struct trial);
	struct setting_list list = { .n = 0 };

	for_each_setting(target_settings, a, collect_setting, &list);
	assert_int_equal(density_new(&t->target, target, list.item, list.n, a), OK);
	t->method = method_find(method);
	assert_non_null(t->method);
	t->cell = (struct cell){ .target = t->target,
		.field = density_field(t->target),
		.dim = density_dim(t->target),
		.seed = seed,
		.arena = a };
	t->state = arena_zalloc(a, 1, t->method->state_size);
	if (t->method->options != NULL)
		option_defaults(t->method->options, t->state, a);
	for (const struct preset *p = t->method->presets; p != NULL && p->settings != NULL; p++)
		if (p->paper == NULL && (p->target == NULL || strcmp(p->target, target) == 0))
			for_each_setting(p->settings, a, set_method_option, t);
	for_each_setting(settings, a, set_method_option, t);
	return t;
}

/* trial_new and init. */
static inline struct trial *trial_start(const char *method, const char *target,
	const char *target_settings, const char *settings, uint64_t seed)
{
	struct trial *t = trial_new(method, target, target_settings, settings, seed);

	assert_int_equal(t->method->init(t->state, &t->cell), OK);
	return t;
}

static inline void trial_free(struct trial *t)
{
	arena_free(t->cell.arena);
}

/* Room for n samples with everything that sample() can fill in, NaN where it does not; weights and a
 * target-to-prior pass only for a weighted pass, as the harness does. */
static inline struct draws *draws_new(const struct trial *t, size_t n, bool weighted)
{
	struct arena *a = t->cell.arena;
	struct draws *d = ARENA_NEW(a, 1, struct draws);

	*d = (struct draws){ .n = n,
		.x = ARENA_NEW(a, n * t->cell.dim, double),
		.elbo = (double)NAN,
		.log_z = (double)NAN,
		.log_z_se = (double)NAN };
	for (size_t j = 0; j < n * t->cell.dim; j++)
		d->x[j] = (double)NAN;
	if (weighted)
		d->log_w = ARENA_NEW(a, n, double);
	for (size_t i = 0; weighted && i < n; i++)
		d->log_w[i] = (double)NAN;
	if (weighted && density_target(t->target)->draw != NULL) {
		struct rng r = { t->cell.seed, RNG_FORWARD, 0 };
		double *exact = ARENA_NEW(a, n * t->cell.dim, double);
		assert_int_equal(density_draw(t->target, r, 0, n, exact), OK);
		d->x_exact = exact;
		d->log_w_forward = ARENA_NEW(a, n, double);
		for (size_t i = 0; i < n; i++)
			d->log_w_forward[i] = (double)NAN;
	}
	return d;
}

/* The pass of this name. */
static inline const struct pass *trial_pass(const struct trial *t, const char *name)
{
	const struct pass *pass = t->method->passes;

	while (pass->name != NULL && strcmp(pass->name, name) != 0)
		pass++;
	assert_non_null(pass->name);
	return pass;
}

/* slope x + shift with coefficients of the step: a control for struct oracle. */
static inline struct var affine(struct var x, size_t k, const double *slope, const double *shift)
{
	return add(mul(by_step(x.g, k, 1, slope), x), by_step(x.g, k, 1, shift));
}

/* What a bounded identity says of the weights of n draws from the prior and n from exact samples. Let F
 * be the law of the paths from the prior and B that of the paths from exact samples, w = Z dB/dF. With
 * Z = 1 and any weights, E_F[w/(1 + w)] = E_B[1/(1 + w)]: what E[w] = 1 says, with terms between 0 and 1
 * on either side, so that their standard errors can be relied on. They say the more the more the two
 * laws overlap: `overlap`, the mean of both sides, is 1/2 at most. */
struct balance {
	double ahead, back, se, overlap;
	bool holds;
};

static inline struct balance balance_of(size_t n, const double *log_w, const double *log_w_forward)
{
	double mean[2] = { 0, 0 }, square[2] = { 0, 0 };

	for (size_t i = 0; i < n; i++) {
		double side[2] = { 1 / (1 + exp(-log_w[i])), 1 / (1 + exp(log_w_forward[i])) };
		for (size_t j = 0; j < 2; j++) {
			mean[j] += side[j] / (double)n;
			square[j] += side[j] * side[j] / (double)n;
		}
	}
	double variance = square[0] - mean[0] * mean[0] + square[1] - mean[1] * mean[1];
	double se = sqrt(variance / (double)n), away = fabs(mean[0] - mean[1]);
	/* 5 standard errors, and what has a probability of 10/n: seen too rarely to have a standard
	 * error. */
	return (struct balance){ mean[0], mean[1], se, (mean[0] + mean[1]) / 2,
		away <= 5 * se + 10 / (double)n };
}

/* Draws both ways, and fails unless their weights are in balance. Returns the overlap. */
static inline double check_balance(struct trial *t, const struct pass *pass, size_t steps,
	uint32_t repeat)
{
	enum { BALANCE_DRAWS = 4096 };
	struct draws *d = draws_new(t, BALANCE_DRAWS, true);

	assert_int_equal(t->method->sample(t->state, &t->cell, pass, steps, repeat, d), OK);
	struct balance b = balance_of(BALANCE_DRAWS, d->log_w, d->log_w_forward);
	if (!b.holds)
		fail_msg("%s, pass \"%s\", %zu steps: %g from the prior, %g from exact samples, "
			 "standard error %g",
			t->method->name, pass->name, steps, b.ahead, b.back, b.se);
	return b.overlap;
}

#endif
