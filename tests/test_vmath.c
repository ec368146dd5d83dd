/* Elementary functions against libm: the stated error bounds, over the stated domains, and what is not
 * finite. */
#include "core/vmath.h"

#include <gsl/gsl_cdf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

/* A step that is odd meets mantissas of all kinds. */
enum { BITS_STEP = 4001 };

static float sine_of(float x)
{
	float s, c;

	vm_sincosf(x, &s, &c);
	return s;
}

static float cosine_of(float x)
{
	float s, c;

	vm_sincosf(x, &s, &c);
	return c;
}

static double logistic2(double y)
{
	return 1 / (1 + exp2(-y));
}

static double normal_slope(double x)
{
	double pdf = 0.3989422804014327 * exp(-0.5 * x * x);

	return gsl_cdf_ugaussian_P(x) + (pdf > 0 ? x * pdf : 0);
}

static const struct function {
	const char *name;
	float (*eval)(float x);
	double (*exact)(double x);
	double first, last, bound;
	bool relative;
} functions[] = {
	{ "exp", vm_expf, exp, -87.3, 88.37, 2e-7, true },
	{ "2^r", vm_exp2_near_0f, exp2, -0.5, 0.5, 2.5e-7, true },
	{ "logistic of base 2", vm_logistic2f, logistic2, -3e38, 3e38, 2e-7, false },
	{ "log", vm_logf, log, 1.2e-38, 3.4e38, 2e-7, true },
	{ "normal cdf", vm_normal_cdff, gsl_cdf_ugaussian_P, -3e38, 3e38, 3.5e-7, false },
	{ "slope of x Phi(x)", vm_normal_slopef, normal_slope, -3e38, 3e38, 4e-7, false },
	{ "sin", sine_of, sin, -0.785398, 0.785398, 1e-7, false },
	{ "cos", cosine_of, cos, -0.785398, 0.785398, 1e-7, false },
};

static double error_at(const struct function *f, float x)
{
	double want = f->exact((double)x), error = fabs((double)f->eval(x) - want);

	return f->relative && want != 0 ? error / fabs(want) : error;
}

/* Every BITS_STEP-th float of the domain, and its ends. */
static void test_bounds(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(functions) / sizeof(functions[0]); k++) {
		const struct function *f = &functions[k];
		const float ends[2] = { (float)f->first, (float)f->last };
		double worst = fmax(error_at(f, ends[0]), error_at(f, ends[1]));
		float place = ends[0];
		for (uint64_t bits = 0; bits < UINT32_MAX; bits += BITS_STEP) {
			float x = vm_float_of_bits((uint32_t)bits);
			if (!(x >= ends[0] && x <= ends[1]))
				continue;
			double error = error_at(f, x);
			if (!(error <= worst)) {
				worst = error;
				place = x;
			}
		}
		if (!(worst <= f->bound))
			print_message("%s: error %g at %.9g\n", f->name, worst, (double)place);
		assert_true(worst <= f->bound);
	}
}

static void test_exp_double(void **state)
{
	double worst = 0;

	(void)state;
	for (double x = -708.3; x < 709.4; x += 1.37e-3)
		worst = fmax(worst,
			(double)fabsl((long double)vm_exp(x) / expl((long double)x) - 1));
	assert_true(worst <= 4e-16);
	assert_true(vm_exp(0) == 1);
	worst = 0;
	for (double x = -999.9; x < 1000; x += 1.37e-3)
		worst = fmax(worst,
			(double)fabsl((long double)vm_exp2(x) / exp2l((long double)x) - 1));
	assert_true(worst <= 5e-16);
	assert_true(vm_exp2(0) == 1 && vm_exp2(-1) == 0.5);
}

static void test_saturation(void **state)
{
	(void)state;
	assert_true(vm_expf(-87.7f) == 0 && vm_expf(-1e30f) == 0);
	assert_true(isinf(vm_expf(88.4f)) && isinf(vm_expf(1e30f)));
	assert_true(vm_exp(-708.75) == 0 && vm_exp(-1e300) == 0);
	assert_true(isinf(vm_exp(709.44)) && isinf(vm_exp(1e300)));
	assert_true(vm_exp2(-1000.5) == ldexp(1, -1000) && vm_exp2(-1e300) == ldexp(1, -1000));
	assert_true(vm_normal_cdff(5.7f) == 1 && vm_normal_cdff(-5.7f) == 0);
	for (float x = 0.1f; x < 6; x += 0.01f) /* less 1/2 odd, and a distribution function */
		assert_true(vm_normal_cdff(-x) >= 0 && vm_normal_cdff(x) <= 1 &&
			    fabsf(vm_normal_cdff(-x) + vm_normal_cdff(x) - 1) <= 1.2e-7f);
}

static void test_not_finite(void **state)
{
	volatile float nan = NAN, infinity = INFINITY;

	(void)state;
	assert_true(isnan(vm_expf(nan)) && isnan(vm_exp((double)nan)));
	assert_true(isnan(vm_exp2((double)nan)) && isnan(vm_exp2(-(double)nan)));
	assert_true(isnan(vm_logf(nan)) && isnan(vm_logf(-nan)));
	assert_true(isnan(sine_of(nan)) && isnan(cosine_of(nan)) && isnan(vm_exp2_near_0f(nan)));
	assert_true(isinf(vm_expf(infinity)) && vm_expf(-infinity) == 0);
	assert_true(isinf(vm_exp((double)infinity)) && vm_exp(-(double)infinity) == 0);
	assert_true(isinf(vm_logf(infinity)) && vm_logf(infinity) > 0);
	assert_true(vm_normal_cdff(infinity) == 1 && vm_normal_cdff(-infinity) == 0);
	assert_true(vm_logistic2f(infinity) == 1 && vm_logistic2f(-infinity) < 1e-30f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_exp_double),
		cmocka_unit_test(test_saturation),
		cmocka_unit_test(test_not_finite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
