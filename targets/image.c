/*
 * A picture as a density in the plane. Its middle, 700 x 700 grey values p in [0, 1], is smoothed
 * by Gaussian filters G_s of standard deviation s; dark is dense, and a little is everywhere:
 *
 *     E = -log(1 - G_3 p + (G_10 p + G_20 p + G_50 p) / 100) - its minimum,                    (1)
 *
 * with row 0 at the bottom.
 *
 * At x, with X = 100 x + 350 (X_1 a column, X_2 a row), the cell I = X rounded towards zero, the
 * offset d = X - I, and J = I kept within 1 .. 698,
 *
 *     log rho(x) = -(E_J + d_1 e_1 + d_2 e_2) - m_1^2 - m_2^2,                                 (2)
 *     e_1 = (E[J_2][J_1 + 1] - E[J_2][J_1 - 1]) / 2,  e_2 likewise along the rows,
 *     m_i = max(-I_i, I_i - 699, 0): how many cells x is outside of the picture,
 *     gradient = -100 e.                                                                       (3)
 *
 * So rho is the exponential of a linear function within each cell, and jumps between them. With
 * w the width of a cell (1, but 2 for I = 0, which rounding reaches from both sides), c the middle
 * of d in it, s = (d - c) / (w / 2) in [-1, 1] and z = w e / 2,
 *
 *     mass of the cell = rho(middle) prod_i w_i F_0(z_i) / 100^2,                               (4)
 *     F_n(z) = 1/2 int_-1^1 s^n e^(-z s) ds,
 *
 * whose sum is Z, and given the cell the two offsets are independent truncated exponentials.
 */
#include "stride.h"
#include "core/picture.h"

enum {
	SIDE = 700,
	MARGIN = 8, /* cells outside that are tabulated: e^-81 is left beyond */
	CELLS = SIDE + 2 * MARGIN,
	PUBLISHED_ROWS = 720,
	PUBLISHED_COLS = 1280,
	PUBLISHED_LEFT = 240, /* first column: the middle would be at 290 */
};

enum sampler { SAMPLER_EXACT, SAMPLER_PUBLISHED };

struct image {
	const char *picture;
	int sampler;
	const float *energy; /* E [SIDE][SIDE]: column and row from the lower left */
	/* What is known of the density; the double instance alone has it. */
	double *mass;     /* [CELLS][CELLS] of the cells, row by row, times 100^2 */
	double *below[2]; /* [CELLS + 1] mass of the columns, of the rows, before each */
	double mean[2], sd[2];
	/* The published sampler's. */
	double *pixel;      /* [SIDE][SIDE] e^-E */
	double *below_line; /* [SIDE + 1] mass of the lines of pixels before each */
};

static const char *const samplers[] = { "exact", "published", NULL };

static const struct option options[] = {
	{ "picture", OPTION_TEXT, offsetof(struct image, picture), "", 0, 0, "",
		"PNG or PGM, at least 700x700 pixels, of which the middle 700x700 are used (of "
		"1280x720: columns 240 to 939, as published); empty: a picture given by a formula",
		NULL },
	{ "sampler", OPTION_CHOICE, offsetof(struct image, sampler), "exact", 0, 0, "",
		"exact: of this density; published: a pixel by its density, and a uniform offset, "
		"which is another law, about half a pixel (0.005) away",
		samplers },
	{ 0 },
};

static size_t dim(const void *state)
{
	(void)state;
	return 2;
}

/* --- from the picture to the energy ---------------------------------------------------------- */

/* All the picture by integers, rows from the top: two dark shapes on white, with edges where what
 * is brighter than 225 becomes white. */
static void by_formula(struct picture *p, struct arena *a)
{
	*p = (struct picture){ PUBLISHED_ROWS, PUBLISHED_COLS,
		arena_alloc(a, (size_t)PUBLISHED_ROWS * PUBLISHED_COLS, sizeof(double)) };
	for (int r = 0; r < PUBLISHED_ROWS; r++) {
		for (int c = 0; c < PUBLISHED_COLS; c++) {
			int disc = ((r - 260) * (r - 260) + (c - 480) * (c - 480)) / 300;
			int oval = (2 * (r - 470) * (r - 470) + (c - 720) * (c - 720)) / 400;
			int left = 255 - (disc < 255 ? disc : 255);
			int right = 255 - (oval < 255 ? oval : 255);
			p->grey[r * PUBLISHED_COLS + c] = 255 - (left > right ? left : right);
		}
	}
}

/* p [SIDE][SIDE] of eq. 1 from the whole picture, whose brightest pixel becomes 1. */
static int crop(const struct picture *p, const char *path, float *out)
{
	if (p->rows < SIDE || p->cols < SIDE)
		return fail(ERR_RANGE, "%s: %zux%zu pixels; at least %dx%d are needed", path,
			p->cols, p->rows, SIDE, SIDE);
	const bool as_published = p->rows == PUBLISHED_ROWS && p->cols == PUBLISHED_COLS;
	const size_t top = (p->rows - SIDE) / 2;
	const size_t left = as_published ? PUBLISHED_LEFT : (p->cols - SIDE) / 2;
	double largest = 0;

	for (size_t i = 0; i < p->rows * p->cols; i++) {
		if (p->grey[i] > 225)
			p->grey[i] = 255;
		largest = fmax(largest, p->grey[i]);
	}
	if (largest == 0)
		return fail(ERR_RANGE, "%s: every pixel is black; some light is needed", path);
	for (size_t r = 0; r < SIDE; r++)
		for (size_t c = 0; c < SIDE; c++)
			out[r * SIDE + c] =
				(float)(p->grey[(top + r) * p->cols + left + c] / largest);
	return OK;
}

/* A row or column outside of the picture, mirrored in its edge: d c b a | a b c d | d c b a. */
static size_t mirrored(long i)
{
	return (size_t)(i < 0 ? -1 - i : i >= SIDE ? 2 * SIDE - 1 - i : i);
}

/*
 * Filters the columns of in [SIDE][SIDE] and turns the result, so that a second call filters the
 * rows. Sums are in double and rounded to float after each of the two, as published. Some columns
 * at a time: their sums stay in registers, and what they read in the cache.
 */
static void smooth(const float *in, int sigma, float *out, struct arena *a)
{
	enum { STRIP = 28 };
	const struct arena_mark mark = arena_mark(a);
	const size_t radius = 4 * (size_t)sigma; /* floor(4 sigma + 1/2) */
	double *weight = arena_alloc(a, radius + 1, sizeof(*weight)), total = 0;
	double(*line)[STRIP] = arena_alloc(a, SIDE + 2 * radius, sizeof(*line));

	for (size_t k = 0; k <= radius; k++) {
		weight[k] = exp(-(double)(k * k) / (2.0 * sigma * sigma));
		total += k == 0 ? weight[k] : 2 * weight[k];
	}
	for (size_t k = 0; k <= radius; k++)
		weight[k] /= total;
	for (size_t first = 0; first < SIDE; first += STRIP) {
		for (size_t r = 0; r < SIDE + 2 * radius; r++) {
			const float *from = in + mirrored((long)r - (long)radius) * SIDE + first;
			for (size_t i = 0; i < STRIP; i++)
				line[r][i] = (double)from[i];
		}
		for (size_t r = 0; r < SIDE; r++) {
			double(*middle)[STRIP] = line + radius + r;
			double sum[STRIP];
#pragma omp simd
			for (size_t i = 0; i < STRIP; i++)
				sum[i] = weight[0] * middle[0][i];
			for (size_t k = 1; k <= radius; k++) {
				const double *above = middle[k], *below = *(middle - k);
#pragma omp simd
				for (size_t i = 0; i < STRIP; i++)
					sum[i] += weight[k] * (above[i] + below[i]);
			}
			for (size_t i = 0; i < STRIP; i++)
				out[(first + i) * SIDE + r] = (float)sum[i];
		}
	}
	arena_release(a, mark);
}

/* Eq. 1, in float as published. */
static void energies(const float *p, float *energy, struct arena *a)
{
	static const int sigma[4] = { 3, 10, 20, 50 };
	float *turned = arena_alloc(a, SIDE * SIDE, sizeof(*turned)), *g[4];
	float least = HUGE_VALF;

	for (size_t k = 0; k < 4; k++) {
		g[k] = arena_alloc(a, SIDE * SIDE, sizeof(*g[k]));
		smooth(p, sigma[k], turned, a);
		smooth(turned, sigma[k], g[k], a);
	}
	for (size_t i = 0; i < SIDE * SIDE; i++) {
		/* A product rounded by itself, never fused with the sum. */
		float glow = (float)((double)0.01f * (double)(g[1][i] + g[2][i] + g[3][i]));
		float e = (float)-log((double)(1 - g[0][i] + glow));
		energy[(SIDE - 1 - i / SIDE) * SIDE + i % SIDE] = e;
		least = e < least ? e : least;
	}
	for (size_t i = 0; i < SIDE * SIDE; i++)
		energy[i] -= least;
}

/* --- evaluation ------------------------------------------------------------------------------ */

/* Cells are found in double in both precisions: in float the offset would lose half of its digits,
 * and points next to an edge would be in another cell. */
struct axis {
	double offset;  /* d; NaN for NaN */
	double outside; /* m */
	size_t j;
};

static inline struct axis locate(double x)
{
	const double at = 100 * x + SIDE / 2, cell = trunc(at);
	const double low = -cell, high = cell - (SIDE - 1), m = low > high ? low : high;

	/* J is 1 for NaN. */
	return (struct axis){ at - cell, m > 0 ? m : 0,
		(size_t)(cell > 1 ? cell < SIDE - 2 ? cell : SIDE - 2 : 1) };
}

static inline double slope(const float *e, size_t stride)
{
	return ((double)e[stride] - (double)*(e - stride)) / 2;
}

/* |x| up to 1e6 gives m up to 1e8: the penalty is at most 2e16. */
static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	const struct image *s = state;

	for (size_t i = 0; i < n; i++) {
		const struct axis c = locate((double)x[i]), r = locate((double)x[n + i]);
		const float *e = s->energy + r.j * SIDE + c.j;
		const double e1 = slope(e, 1), e2 = slope(e, SIDE);
		if (log_rho != NULL) /* eq. 2 */
			log_rho[i] = -((double)*e + c.offset * e1 + r.offset * e2) -
				     c.outside * c.outside - r.outside * r.outside;
		if (grad != NULL) { /* eq. 3; the offsets for the NaN in them */
			grad[i] = (num)(-100 * e1 + 0 * c.offset);
			grad[n + i] = (num)(-100 * e2 + 0 * r.offset);
		}
	}
}

/* The gradient is constant in each cell. */
static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	(void)state;
	for (size_t j = 0; j < 2 * n; j++)
		hv[j] = 0 * (x[j] - x[j]) * v[j];
}

/* --- what is known: of the instance in double alone ------------------------------------------ */

#ifndef STRIDE_TARGET_F32

/* The cells with I = index - MARGIN along an axis. */
struct band {
	double low, width; /* of X */
	double middle;     /* c: of d */
	double penalty;    /* m^2 */
	size_t j;
};

static struct band band_of(size_t index)
{
	const long i = (long)index - MARGIN;
	const double m = i < 0 ? (double)-i : i >= SIDE ? (double)(i - (SIDE - 1)) : 0;
	const size_t j = (size_t)(i < 1 ? 1 : i > SIDE - 2 ? SIDE - 2 : i);

	if (i > 0)
		return (struct band){ (double)i, 1, 0.5, m * m, j };
	if (i < 0)
		return (struct band){ (double)i - 1, 1, -0.5, m * m, j };
	return (struct band){ -1, 2, 0, 0, j };
}

/* z of eq. 4 along an axis (0: columns) in cell (row, column). */
static double tilt(const struct image *s, size_t axis, struct band row, struct band column)
{
	const float *e = s->energy + row.j * SIDE + column.j;

	return axis == 0 ? column.width * slope(e, 1) / 2 : row.width * slope(e, SIDE) / 2;
}

/* F_0, F_1, F_2 by their power series in z^2: no two terms cancel. Energies are within
 * log(1.03 / 0.0009) of each other, as G_10 p is at least 0.09 G_3 p, so |z| is below 4. */
static void series(double z, double f[3])
{
	double even = 1, odd = z; /* z^2k / (2k)!, z^(2k + 1) / (2k + 1)! */

	f[0] = f[1] = f[2] = 0;
	for (int k = 0; even > 1e-20; k += 2) {
		f[0] += even / (k + 1);
		f[1] -= odd / (k + 3);
		f[2] += even / (k + 3);
		even = odd * z / (k + 2);
		odd = even * z / (k + 3);
	}
}

/* Part of the mass of a cell of tilt z that is below s, t = (s + 1) / 2. */
static double part_below(double z, double t)
{
	return z == 0 ? t : expm1(-2 * z * t) / expm1(-2 * z);
}

/* Its inverse. */
static double place_of_part(double z, double part)
{
	return z == 0 ? part : log1p(part * expm1(-2 * z)) / (-2 * z);
}

/* below[0] = 0, below[i + 1] = below[i] + amount[i]. */
static double *sums_below(const double *amount, size_t n, struct arena *a)
{
	double *below = ARENA_NEW(a, n + 1, double);

	for (size_t i = 0; i < n; i++)
		below[i + 1] = below[i] + amount[i];
	return below;
}

/* Masses of the cells (eq. 4), their sums, and the moments. */
static void tabulate(struct image *s, struct arena *a)
{
	double *of_column = ARENA_NEW(a, CELLS, double), *of_row = ARENA_NEW(a, CELLS, double);
	double first[2] = { 0 }, second[2] = { 0 }, total = 0; /* of X - 350 */

	s->mass = arena_alloc(a, CELLS * CELLS, sizeof(*s->mass));
	for (size_t r = 0; r < CELLS; r++) {
		const struct band row = band_of(r);
		for (size_t c = 0; c < CELLS; c++) {
			const struct band column = band_of(c);
			const struct band *along[2] = { &column, &row };
			const float *e = s->energy + row.j * SIDE + column.j;
			double f[2][3], mass;
			series(tilt(s, 0, row, column), f[0]);
			series(tilt(s, 1, row, column), f[1]);
			mass = column.width * f[0][0] * row.width * f[1][0] *
			       exp(-(double)*e - column.middle * slope(e, 1) -
				       row.middle * slope(e, SIDE) - column.penalty - row.penalty);
			for (size_t k = 0; k < 2; k++) {
				double half = along[k]->width / 2;
				double middle = along[k]->low + half - SIDE / 2;
				double mean = f[k][1] / f[k][0], square = f[k][2] / f[k][0];
				first[k] += mass * (middle + half * mean);
				second[k] += mass * (middle * (middle + 2 * half * mean) +
							    half * half * square);
			}
			s->mass[r * CELLS + c] = mass;
			of_row[r] += mass;
			of_column[c] += mass;
		}
		total += of_row[r];
	}
	s->below[0] = sums_below(of_column, CELLS, a);
	s->below[1] = sums_below(of_row, CELLS, a);
	for (size_t k = 0; k < 2; k++) {
		double mean = first[k] / total;
		s->mean[k] = mean / 100;
		s->sd[k] = sqrt(second[k] / total - mean * mean) / 100;
	}
}

static void tabulate_pixels(struct image *s, struct arena *a)
{
	double *of_line = ARENA_NEW(a, SIDE, double);

	s->pixel = arena_alloc(a, SIDE * SIDE, sizeof(*s->pixel));
	for (size_t i = 0; i < SIDE * SIDE; i++) {
		s->pixel[i] = exp(-(double)s->energy[i]);
		of_line[i / SIDE] += s->pixel[i];
	}
	s->below_line = sums_below(of_line, SIDE, a);
}

/* The last i < n with below[i] <= at, at in [0, below[n]). */
static size_t find(const double *below, size_t n, double at)
{
	size_t low = 0, high = n;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (below[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The same where only the amounts are at hand. */
static size_t find_amount(const double *amount, size_t n, double at)
{
	size_t i = 0;

	while (i + 1 < n && at >= amount[i])
		at -= amount[i++];
	return i;
}

/* u uniform in four coordinates: row, column in it, and the place in the cell. */
static void draw_exact(const struct image *s, const double *u, double *x)
{
	const double *below = s->below[1];
	size_t r = find(below, CELLS, u[0] * below[CELLS]);
	size_t c = find_amount(s->mass + r * CELLS, CELLS, u[1] * (below[r + 1] - below[r]));
	const struct band row = band_of(r), column = band_of(c);
	double along = column.low + column.width * place_of_part(tilt(s, 0, row, column), u[2]);
	double up = row.low + row.width * place_of_part(tilt(s, 1, row, column), u[3]);

	x[0] = (along - SIDE / 2) / 100;
	x[1] = (up - SIDE / 2) / 100;
}

static void draw_published(const struct image *s, const double *u, double *x)
{
	const double *below = s->below_line;
	size_t r = find(below, SIDE, u[0] * below[SIDE]);
	size_t c = find_amount(s->pixel + r * SIDE, SIDE, u[1] * (below[r + 1] - below[r]));

	x[0] = ((double)c + u[2] - 0.5 - SIDE / 2) / 100;
	x[1] = ((double)r + u[3] - 0.5 - SIDE / 2) / 100;
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct image *s = state;
	double u[4];

	for (uint32_t k = 0; k < 4; k++)
		u[k] = rng_uniform(r, 0, row, k);
	if (s->sampler == SAMPLER_PUBLISHED)
		draw_published(s, u, x);
	else
		draw_exact(s, u, x);
}

static void log_z(const void *state, struct log_z *out)
{
	const struct image *s = state;

	*out = (struct log_z){ LOG_Z_EXACT, log(s->below[0][CELLS]) - 2 * log(100), 0,
		"sum over all cells, inside and outside of the picture, of their masses in closed "
		"form" };
}

/* Those that the samples have: unknown where they follow another law. */
static void moments(const void *state, double *mean, double *sd)
{
	const struct image *s = state;

	for (size_t k = 0; k < 2; k++) {
		mean[k] = s->sampler == SAMPLER_EXACT ? s->mean[k] : (double)NAN;
		sd[k] = s->sampler == SAMPLER_EXACT ? s->sd[k] : (double)NAN;
	}
}

/* All cells of the columns (rows) before the one of x, and in that one the part below x of each. */
static double cdf(const void *state, size_t k, double x)
{
	const struct image *s = state;
	const double at = 100 * x + SIDE / 2, *below = s->below[k];

	if (s->sampler != SAMPLER_EXACT || isnan(x))
		return (double)NAN;
	if (at <= band_of(0).low)
		return 0;
	if (!(at < band_of(CELLS - 1).low + 1))
		return 1;
	const size_t index = (size_t)((long)at + MARGIN);
	const struct band here = band_of(index);
	const double t = (at - here.low) / here.width;
	double sum = below[index];
	for (size_t j = 0; j < CELLS; j++) {
		const struct band other = band_of(j);
		double mass = s->mass[k == 0 ? j * CELLS + index : index * CELLS + j];
		double z = k == 0 ? tilt(s, 0, other, here) : tilt(s, 1, here, other);
		sum += mass * part_below(z, t);
	}
	return sum / below[CELLS];
}

#endif

static int init(void *state, struct arena *a)
{
	struct image *s = state;
	float *energy = arena_alloc(a, SIDE * SIDE, sizeof(*energy));
	const struct arena_mark mark = arena_mark(a);
	float *p = arena_alloc(a, SIDE * SIDE, sizeof(*p));
	const char *path = *s->picture != '\0' ? data_path(s->picture, a) : "picture";
	struct picture picture;

	if (*s->picture != '\0')
		TRY(picture_read(&picture, path, a));
	else
		by_formula(&picture, a);
	TRY(crop(&picture, path, p));
	energies(p, energy, a);
	s->energy = energy;
	arena_release(a, mark);
#ifndef STRIDE_TARGET_F32
	tabulate(s, a);
	if (s->sampler == SAMPLER_PUBLISHED)
		tabulate_pixels(s, a);
#endif
	return OK;
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -3.5, 3.5, -3.5, 3.5 };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Image",
	.paper = "Jutras-Dube, Pynadath and Zhang 2025, arXiv 2502.07579 (density, another "
		 "picture); code of Richter and Berner 2024, arXiv 2307.01198",
	.note = "The papers' picture, labrador.jpg of sde_sampler, has no stated licence and is "
		"not here: the default is a picture given by a formula, so numbers of the papers "
		"are not those of this density. Option picture takes any other; of labrador.jpg "
		"converted to PNG, log Z is 2.205804. log rho jumps at the edges of cells of side "
		"0.01, and its gradient is constant in each: the Hessian is zero wherever it "
		"exists, Stein's identities do not hold, and outside of [-3.5, 3.5]^2 the "
		"gradient does not point back. The published sampler draws from a slightly "
		"different law (pixels centred where cells begin); sampler=published is that one, "
		"and moments and distribution functions are then not given.",
	.jumps = true,
	.state_size = sizeof(struct image),
	.options = options,
	.dim = dim,
	.init = init,
	.eval = eval,
	.hvp = hvp,
	.window = window,
#ifndef STRIDE_TARGET_F32
	.draw = draw,
	.log_z = log_z,
	.moments = moments,
	.cdf = cdf,
#endif
};
