/*
 * Seeds that germinated on 21 plates, a logistic regression with a random effect for each plate: of
 * the n_i seeds of plate i, r_i germinated. With x = (a_0, a_1, a_12, a_2, b_1 .. b_21, theta),
 *
 *     eta_i = a_0 + a_1 x1_i + a_12 x1_i x2_i + a_2 x2_i + b_i,   tau = e^theta,
 *     a. ~ N(0, 10^2),  tau ~ Gamma(0.01, rate 0.01),  b_i ~ N(0, 1 / tau),
 *     r_i ~ Binomial(n_i, sigmoid(eta_i)),
 *     log rho(x) = sum_i [r_i eta_i - n_i log(1 + e^eta_i)] - |a|^2 / 200 - tau |b|^2 / 2
 *                  + (0.01 + 21/2) theta - 0.01 tau + constant,                                (1)
 *
 * the density of theta including e^theta, of tau = e^theta. The constant has every factor of the
 * priors and the binomial coefficients. With c_i = r_i - n_i sigmoid(eta_i) and the design x_ij,
 *
 *     d/da_j = sum_i c_i x_ij - a_j / 100,   d/db_i = c_i - tau b_i,
 *     d/dtheta = 0.01 + 21/2 - tau (0.01 + |b|^2 / 2).                                         (2)
 *
 * The proposal for importance sampling follows the hierarchy. Given theta, log rho is concave in
 * (a, b); its maximum over b and a and Laplace's approximation there give, at the knots of a grid,
 *
 *     log q(theta) ~ log rho - 1/2 log det(-Hessian),  linear between knots and beyond;        (3)
 *     a | theta ~ multivariate t about the maximum, with the inverse of
 *                 sum_i x_i x_i' w_i tau / (w_i + tau) + I / 100,  w_i = n_i s_i (1 - s_i),    (4)
 *                 s_i = sigmoid(eta_i), between knots by interpolation of place and root;
 *     b_i | a, theta ~ t about its maximum, with the inverse of w_i + tau.                     (5)
 */
#include "stride.h"
#include "core/csv.h"

#include <gsl/gsl_sf_gamma.h>
#include <lapacke.h>

#define DATA "seeds.csv"

enum { PLATES = 21, COEFFICIENTS = 4, DIM = COEFFICIENTS + PLATES + 1, THETA = DIM - 1 };

/* The grid of eq. 3, and degrees of freedom of the t distributions of eq. 4 and 5: even, so that
 * chi-squared is a sum of logarithms. */
enum { KNOTS = 61, FREEDOM_A = 20, FREEDOM_B = 30 };

static const double A_PRECISION = 0.01, SHAPE = 0.01, RATE = 0.01;

struct knot {
	double log_q;                             /* eq. 3, normalised */
	double mass;                              /* up to here */
	double centre[COEFFICIENTS];              /* eq. 4 */
	double root[COEFFICIENTS * COEFFICIENTS]; /* lower Cholesky factor of the covariance */
};

struct seeds {
	double r[PLATES], n[PLATES], design[PLATES][COEFFICIENTS];
	double constant;         /* of eq. 1 */
	double log_t_a, log_t_b; /* log densities at 0 of the t distributions */
	struct knot knot[KNOTS];
};

/* --- preparation ------------------------------------------------------------------------- */

static int load(struct seeds *s, struct arena *a)
{
	const char *const names[] = { "r", "n", "x1", "x2", NULL };
	struct csv t;
	size_t column[4];

	TRY(csv_read(&t, data_path(DATA, a), CSV_FINITE, a));
	TRY(csv_columns(&t, names, column));
	if (t.rows != PLATES)
		return fail(ERR_PARSE, "%s:%zu: %zu rows; %d are needed", t.path,
			t.line[t.rows - 1], t.rows, PLATES);
	s->constant = -COEFFICIENTS * (LOG_2PI - log(A_PRECISION)) / 2 - PLATES * LOG_2PI / 2 +
		      SHAPE * log(RATE) - gsl_sf_lngamma(SHAPE);
	for (size_t i = 0; i < PLATES; i++) {
		const double *row = t.x + i * t.cols;
		const double r = row[column[0]], n = row[column[1]];
		const double x1 = row[column[2]], x2 = row[column[3]];
		const double design[COEFFICIENTS] = { 1, x1, x1 * x2, x2 };
		if (!(r >= 0 && r <= n && n <= 1e6 && r == floor(r) && n == floor(n)))
			return fail(ERR_PARSE,
				"%s:%zu: r = %g of n = %g; whole numbers, r from 0 to n and n up "
				"to 1e6, are needed",
				t.path, t.line[i], r, n);
		if (!(fabs(x1) <= 1e3 && fabs(x2) <= 1e3))
			return fail(ERR_PARSE, "%s:%zu: x1 = %g, x2 = %g; at most 1e3 is possible",
				t.path, t.line[i], x1, x2);
		s->r[i] = r;
		s->n[i] = n;
		memcpy(s->design[i], design, sizeof(design));
		s->constant += gsl_sf_lnchoose((unsigned)n, (unsigned)r);
	}
	return OK;
}

/* --- tables of the proposal: of the instance in double alone, as it is itself ------------- */

#ifndef STRIDE_TARGET_F32

static const double FIRST_KNOT = -5, SPACING = 0.25;

static double effect(const double *a, const double *b)
{
	double sum = 0;

	for (size_t j = 0; j < COEFFICIENTS; j++)
		sum += a[j] * b[j];
	return sum;
}

/* log of the binomial probability of plate i without its coefficient, its derivative, and minus its
 * second one. */
struct plate {
	double value, slope, curvature;
};

static struct plate plate_at(const struct seeds *s, size_t i, double eta)
{
	double e = exp(-fabs(eta)), p = (eta < 0 ? e : 1) / (1 + e);

	return (struct plate){ (eta < 0 ? s->r[i] : s->r[i] - s->n[i]) * eta - s->n[i] * log1p(e),
		s->r[i] - s->n[i] * p, s->n[i] * e / ((1 + e) * (1 + e)) };
}

/* Eq. 1 at (a, b, theta) without what does not depend on a, b; its gradient in both; and the matrix
 * of eq. 4, which is minus the Hessian in a with b eliminated, by its lower Cholesky factor. */
struct local {
	double value, gradient_a[COEFFICIENTS], gradient_b[PLATES], curvature_b[PLATES];
	double factor[COEFFICIENTS * COEFFICIENTS];
};

static void localise(const struct seeds *s, const double *a, const double *b, double tau,
	struct local *l)
{
	*l = (struct local){ .value = -A_PRECISION * effect(a, a) / 2 };
	for (size_t j = 0; j < COEFFICIENTS; j++) {
		l->gradient_a[j] = -A_PRECISION * a[j];
		l->factor[j * COEFFICIENTS + j] = A_PRECISION;
	}
	for (size_t i = 0; i < PLATES; i++) {
		const double *x = s->design[i];
		struct plate p = plate_at(s, i, effect(x, a) + b[i]);
		l->value += p.value - tau * b[i] * b[i] / 2;
		l->gradient_b[i] = p.slope - tau * b[i];
		l->curvature_b[i] = p.curvature + tau;
		for (size_t j = 0; j < COEFFICIENTS; j++) {
			l->gradient_a[j] += p.slope * x[j];
			for (size_t k = 0; k < COEFFICIENTS; k++)
				l->factor[j * COEFFICIENTS + k] +=
					x[j] * x[k] * p.curvature * tau / l->curvature_b[i];
		}
	}
	LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', COEFFICIENTS, l->factor, COEFFICIENTS);
}

/* One Newton step for (a, b) by elimination of b; its length. */
static double newton_step(const struct seeds *s, double *a, double *b, double tau)
{
	struct local l;
	double step[COEFFICIENTS], length = 0;

	localise(s, a, b, tau, &l);
	memcpy(step, l.gradient_a, sizeof(step));
	for (size_t i = 0; i < PLATES; i++)
		for (size_t j = 0; j < COEFFICIENTS; j++)
			step[j] -= s->design[i][j] * (l.curvature_b[i] - tau) * l.gradient_b[i] /
				   l.curvature_b[i];
	LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', COEFFICIENTS, 1, l.factor, COEFFICIENTS, step, 1);
	for (size_t j = 0; j < COEFFICIENTS; j++) {
		a[j] += step[j];
		length += fabs(step[j]);
	}
	for (size_t i = 0; i < PLATES; i++) {
		double w = l.curvature_b[i] - tau;
		double change =
			(l.gradient_b[i] - w * effect(s->design[i], step)) / l.curvature_b[i];
		b[i] += change;
		length += fabs(change);
	}
	return length;
}

static double knot_at(size_t k)
{
	return FIRST_KNOT + SPACING * (double)k;
}

/* Eq. 3 and 4 at a knot; (a, b) starts near the maximum and ends there. */
static void fill_knot(const struct seeds *s, double theta, double *a, double *b, struct knot *k)
{
	const double tau = exp(theta);
	struct local l;

	for (int it = 0; it < 50 && newton_step(s, a, b, tau) > 1e-9; it++)
		;
	localise(s, a, b, tau, &l);
	k->log_q = l.value + (SHAPE + PLATES / 2.0) * theta - RATE * tau;
	for (size_t i = 0; i < PLATES; i++)
		k->log_q -= log(l.curvature_b[i]) / 2;
	for (size_t j = 0; j < COEFFICIENTS; j++)
		k->log_q -= log(l.factor[j * COEFFICIENTS + j]);
	memcpy(k->centre, a, sizeof(k->centre));
	LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', COEFFICIENTS, l.factor, COEFFICIENTS);
	LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', COEFFICIENTS, l.factor, COEFFICIENTS);
	memcpy(k->root, l.factor, sizeof(k->root));
}

/* (e^x - 1) / x */
static double expm1_ratio(double x)
{
	return fabs(x) < 1e-8 ? 1 + x / 2 : expm1(x) / x;
}

/* How log q falls beyond the grid: half as fast as in its last cell, so slower than log rho
 * does. */
static double left_slope(const struct seeds *s)
{
	return (s->knot[1].log_q - s->knot[0].log_q) / SPACING / 2;
}

static double right_slope(const struct seeds *s)
{
	return (s->knot[KNOTS - 2].log_q - s->knot[KNOTS - 1].log_q) / SPACING / 2;
}

/* Mass of the cell from knot k to the next. */
static double cell_mass(const struct knot *k)
{
	return SPACING * exp(k[0].log_q) * expm1_ratio(k[1].log_q - k[0].log_q);
}

/* Of the standard t in d dimensions. */
static double log_student_at_0(int d, int freedom)
{
	return gsl_sf_lngamma((freedom + d) / 2.0) - gsl_sf_lngamma(freedom / 2.0) -
	       d * log(freedom * M_PI) / 2;
}

static void prepare(struct seeds *s)
{
	double a[COEFFICIENTS] = { 0 }, b[PLATES] = { 0 }, top = -HUGE_VAL;

	s->log_t_a = log_student_at_0(COEFFICIENTS, FREEDOM_A);
	s->log_t_b = log_student_at_0(1, FREEDOM_B);
	/* From narrow random effects to wide ones: the first are nearly zero. */
	for (size_t k = KNOTS; k-- > 0;) {
		fill_knot(s, knot_at(k), a, b, &s->knot[k]);
		top = fmax(top, s->knot[k].log_q);
	}
	for (size_t k = 0; k < KNOTS; k++)
		s->knot[k].log_q -= top;
	double total = exp(s->knot[0].log_q) / left_slope(s) +
		       exp(s->knot[KNOTS - 1].log_q) / right_slope(s);
	for (size_t k = 0; k + 1 < KNOTS; k++)
		total += cell_mass(&s->knot[k]);
	for (size_t k = 0; k < KNOTS; k++)
		s->knot[k].log_q -= log(total);
	s->knot[0].mass = exp(s->knot[0].log_q) / left_slope(s);
	for (size_t k = 0; k + 1 < KNOTS; k++)
		s->knot[k + 1].mass = s->knot[k].mass + cell_mass(&s->knot[k]);
}

#endif

static int init(void *state, struct arena *a)
{
	TRY(load(state, a));
#ifndef STRIDE_TARGET_F32
	prepare(state);
#endif
	return OK;
}

static size_t dim(const void *state)
{
	(void)state;
	return DIM;
}

/* --- evaluation -------------------------------------------------------------------------- */

/*
 * e^theta leaves the range of float for theta > 88 and of double for theta > 709. Its exponent is
 * therefore clamped at NUM_EXPONENT, and its products at NUM_LARGE: so log rho and the gradient stay
 * finite for |x| up to 1e6. The density is unchanged where log rho is above -1e32.
 */
static inline num tau_of(num theta)
{
	return num_exp(num_clamp(theta, -NUM_EXPONENT, NUM_EXPONENT));
}

static inline num bounded(num x)
{
	return num_clamp(x, -NUM_LARGE, NUM_LARGE);
}

/* What eq. 1 and 2 have of a plate, for a block: eta, t = 1 + e^-|eta|, and c. */
struct block {
	num eta[TARGET_BLOCK], t[TARGET_BLOCK], c[TARGET_BLOCK];
};

static void evaluate_plate(const struct seeds *s, size_t plate, size_t n, size_t count,
	const num *x, struct block *p)
{
	const num r = (num)s->r[plate], trials = (num)s->n[plate];
	const num x1 = (num)s->design[plate][1], x12 = (num)s->design[plate][2],
		  x2 = (num)s->design[plate][3];
	const num *b = x + (COEFFICIENTS + plate) * n;

#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		num eta = x[i] + x1 * x[n + i] + x12 * x[2 * n + i] + x2 * x[3 * n + i] + b[i];
		num e = num_exp(-num_abs(eta)), t = 1 + e;
		p->eta[i] = eta;
		p->t[i] = t;
		p->c[i] = r - trials * ((eta < 0 ? e : 1) / t);
	}
}

static void add_value(const struct seeds *s, size_t plate, size_t count, const struct block *p,
	double *log_rho)
{
	const num r = (num)s->r[plate], trials = (num)s->n[plate];

#pragma omp simd
	for (size_t i = 0; i < count; i++)
		log_rho[i] += (double)((p->eta[i] < 0 ? r : r - trials) * p->eta[i] -
				       trials * num_log(p->t[i]));
}

/* grad[j] += c x_j for the coefficients, grad[b] = c - tau b. */
static void add_gradient(const struct seeds *s, size_t plate, size_t n, size_t count, const num *b,
	const num *tau, const num *c, num *grad)
{
	num *grad_b = grad + (COEFFICIENTS + plate) * n;

	for (size_t j = 0; j < COEFFICIENTS; j++) {
		const num xj = (num)s->design[plate][j];
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			grad[j * n + i] += xj * c[i];
	}
#pragma omp simd
	for (size_t i = 0; i < count; i++)
		grad_b[i] = bounded(c[i] - tau[i] * b[i]);
}

static void prior_value(const struct seeds *s, size_t n, size_t count, const num *x, const num *tau,
	const num *tau_square, double *log_rho)
{
	const num *theta = x + THETA * n;

	for (size_t i = 0; i < count; i++) {
		double square = 0;
		for (size_t j = 0; j < COEFFICIENTS; j++)
			square += (double)(x[j * n + i] * x[j * n + i]);
		log_rho[i] = s->constant - A_PRECISION * square / 2 +
			     (SHAPE + PLATES / 2.0) * (double)theta[i] - RATE * (double)tau[i] -
			     (double)tau_square[i] / 2;
	}
}

static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	const struct seeds *s = state;
	const num *theta = x + THETA * n;
	num tau[TARGET_BLOCK], tau_square[TARGET_BLOCK] = { 0 }; /* tau |b|^2 */
	struct block p;

	for (size_t k = COEFFICIENTS; k < THETA; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			tau_square[i] += x[k * n + i] * x[k * n + i];
	}
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		tau[i] = tau_of(theta[i]);
		tau_square[i] = num_clamp(tau[i] * tau_square[i], 0, NUM_LARGE);
	}
	if (log_rho != NULL)
		prior_value(s, n, count, x, tau, tau_square, log_rho);
	if (grad != NULL) {
		for (size_t j = 0; j < COEFFICIENTS; j++)
			for (size_t i = 0; i < count; i++)
				grad[j * n + i] = (num)-A_PRECISION * x[j * n + i];
		for (size_t i = 0; i < count; i++)
			grad[THETA * n + i] = (num)(SHAPE + PLATES / 2.0) - (num)RATE * tau[i] -
					      tau_square[i] / 2;
	}
	for (size_t plate = 0; plate < PLATES; plate++) {
		evaluate_plate(s, plate, n, count, x, &p);
		if (log_rho != NULL)
			add_value(s, plate, count, &p, log_rho);
		if (grad != NULL)
			add_gradient(s, plate, n, count, x + (COEFFICIENTS + plate) * n, tau, p.c,
				grad);
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

/* The derivative of eq. 2 along v: of c_i it is -w_i times that of eta_i. Each product with tau and
 * each partial sum of them is clamped: 3 NUM_LARGE is still a number. */
static void hvp_block(const void *state, size_t n, size_t count, const num *x, const num *v,
	num *hv)
{
	const struct seeds *s = state;
	num tau[TARGET_BLOCK], slope[TARGET_BLOCK]; /* d tau / dv */
	num *hv_theta = hv + THETA * n;
	struct block p, along;

#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		tau[i] = tau_of(x[THETA * n + i]);
		slope[i] = bounded(tau[i] * v[THETA * n + i]);
		hv_theta[i] = -(num)RATE * slope[i];
	}
	for (size_t j = 0; j < COEFFICIENTS; j++)
		for (size_t i = 0; i < count; i++)
			hv[j * n + i] = (num)-A_PRECISION * v[j * n + i];
	for (size_t plate = 0; plate < PLATES; plate++) {
		const num *b = x + (COEFFICIENTS + plate) * n, *vb = v + (COEFFICIENTS + plate) * n;
		const num trials = (num)s->n[plate];
		num *hv_b = hv + (COEFFICIENTS + plate) * n;
		evaluate_plate(s, plate, n, count, x, &p);
		evaluate_plate(s, plate, n, count, v, &along);
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			p.c[i] = -trials * (p.t[i] - 1) / (p.t[i] * p.t[i]) * along.eta[i];
		add_gradient(s, plate, n, count, vb, tau, p.c, hv);
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num turn = bounded(slope[i] * b[i]), stretch = bounded(tau[i] * vb[i]);
			hv_b[i] = bounded(hv_b[i] - turn);
			hv_theta[i] = bounded(hv_theta[i] - bounded((stretch + turn / 2) * b[i]));
		}
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

/* --- the proposal ------------------------------------------------------------------------ */

#ifndef STRIDE_TARGET_F32

/* Steps of the counter. */
enum { THETA_STEP, A_STEP, A_CHI_STEP, B_STEP, B_CHI_STEP };

/* theta from eq. 3 by inversion; its log density. */
static double propose_theta(const struct seeds *s, double u, double *theta)
{
	const struct knot *first = &s->knot[0], *last = &s->knot[KNOTS - 1];

	if (u < first->mass) {
		double below = log(u / first->mass); /* slope times the distance */
		*theta = knot_at(0) + below / left_slope(s);
		return first->log_q + below;
	}
	if (u >= last->mass) {
		double above = log((1 - u) / (1 - last->mass));
		*theta = knot_at(KNOTS - 1) - above / right_slope(s);
		return last->log_q + above;
	}
	const struct knot *k = first;
	while (u >= k[1].mass)
		k++;
	double rise = k[1].log_q - k[0].log_q, v = (u - k[0].mass) / (k[1].mass - k[0].mass);
	double part = fabs(rise) < 1e-8 ? v : log1p(v * expm1(rise)) / rise;
	*theta = knot_at((size_t)(k - first)) + SPACING * part;
	return k->log_q + rise * part;
}

/* sqrt(freedom / chi-squared): what makes a normal a t. */
static double student_scale(struct rng r, uint32_t step, uint64_t row, uint32_t column, int freedom)
{
	double product = 1;

	for (int j = 0; j < freedom / 2; j++)
		product *= rng_uniform(r, step, row, column + (uint32_t)j);
	return sqrt(freedom / (-2 * log(product)));
}

/* Log density of the standard t in d dimensions at squared distance `square`, less that at 0. */
static double log_student(int d, int freedom, double square)
{
	return -(freedom + d) / 2.0 * log1p(square / freedom);
}

/* a from eq. 4; its log density. */
static double propose_a(const struct seeds *s, struct rng r, uint64_t row, double theta, double *a)
{
	double place = fmin(fmax((theta - FIRST_KNOT) / SPACING, 0), KNOTS - 1.000001);
	const struct knot *k = &s->knot[(size_t)place];
	double part = place - floor(place), square = 0, z[COEFFICIENTS], log_det = 0;
	double scale = student_scale(r, A_CHI_STEP, row, 0, FREEDOM_A);

	for (size_t j = 0; j < COEFFICIENTS; j++) {
		z[j] = scale * rng_gauss(r, A_STEP, row, (uint32_t)j);
		square += z[j] * z[j];
		a[j] = (1 - part) * k[0].centre[j] + part * k[1].centre[j];
		for (size_t i = 0; i <= j; i++) {
			size_t at = j * COEFFICIENTS + i;
			double root = (1 - part) * k[0].root[at] + part * k[1].root[at];
			a[j] += root * z[i];
			log_det += i == j ? log(root) : 0;
		}
	}
	return s->log_t_a + log_student(COEFFICIENTS, FREEDOM_A, square) - log_det;
}

/* b_i from eq. 5; its log density. The maximum is the zero of a falling function, by Newton's
 * method with bisection where that leaves the bracket. */
static double propose_b(const struct seeds *s, struct rng r, uint64_t row, size_t i, double eta,
	double tau, double *b)
{
	double low = (s->r[i] - s->n[i]) / tau, high = s->r[i] / tau, at = 0, curvature = tau;

	for (int it = 0; it < 40; it++) {
		struct plate p = plate_at(s, i, eta + at);
		double slope = p.slope - tau * at;
		curvature = p.curvature + tau;
		*(slope > 0 ? &low : &high) = at;
		double next = at + slope / curvature;
		if (fabs(next - at) <= 1e-6 / sqrt(curvature))
			break;
		at = next > low && next < high ? next : (low + high) / 2;
	}
	double z = rng_gauss(r, B_STEP, row, (uint32_t)i) *
		   student_scale(r, B_CHI_STEP, row, (uint32_t)i * (FREEDOM_B / 2), FREEDOM_B);
	*b = at + z / sqrt(curvature);
	return s->log_t_b + log_student(1, FREEDOM_B, z * z) + log(curvature) / 2;
}

static double propose(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct seeds *s = state;
	double log_q = propose_theta(s, rng_uniform(r, THETA_STEP, row, 0), &x[THETA]);

	log_q += propose_a(s, r, row, x[THETA], x);
	for (size_t i = 0; i < PLATES; i++)
		log_q += propose_b(s, r, row, i, effect(s->design[i], x), exp(x[THETA]),
			&x[COEFFICIENTS + i]);
	return log_q;
}

#endif

/* --- what is known ----------------------------------------------------------------------- */

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -1.4, 0.3, -1.3, 1.5 };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Seeds",
	.paper = "Crowder 1978, Applied Statistics 27, 34-37, table 3 (data); Breslow and Clayton "
		 "1993, J. Am. Stat. Assoc. 88, 9-25 (random effects); Blessing et al. 2024, "
		 "arXiv 2406.07423 (priors)",
	.note = "Coordinates are a_0, a_1, a_12, a_2 (the interaction before the second effect), "
		"b_1 to b_21, and the logarithm of the precision of b. All priors, with their "
		"constants, and the binomial coefficients are in the density.",
	.data = DATA,
	.state_size = sizeof(struct seeds),
	.init = init,
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.window = window,
#ifndef STRIDE_TARGET_F32
	.propose = propose,
#endif
};
