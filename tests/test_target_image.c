/* The picture target: its energies, its cells against quadrature, its two samplers, and pictures
 * of users, good and bad. */
#include "targets.h"

#include "core/csv.h"

#include <gsl/gsl_cdf.h>
#include <png.h>

enum {
	SIDE = 700,
	OUTSIDE = 8, /* cells beyond the edge where rho is not negligible */
	UNITS = SIDE +
		2 * OUTSIDE, /* intervals [i, i + 1] of X that are looked at, first -OUTSIDE */
	ROWS = 720,
	COLS = 1280, /* of the published picture */
};

static double coordinate(double big)
{
	return (big - SIDE / 2) / 100;
}

/* log rho and gradient at X. */
static double at(const struct fixture *f, double column, double row, double *grad)
{
	const double x[2] = { coordinate(column), coordinate(row) };
	double log_rho;

	density_eval(f->d, 1, x, &log_rho, grad);
	return log_rho;
}

/* --- energies -------------------------------------------------------------------------------- */

/* E[row][column] as far as the density has it: 1 .. 698 from the middle of the cell, the edges from
 * the slope next to them. NaN for the corners, which no slope reaches. */
static double energy(const struct fixture *f, long row, long column)
{
	const bool row_edge = row < 1 || row > SIDE - 2;
	const bool column_edge = column < 1 || column > SIDE - 2;
	double g[2];

	if (row_edge && column_edge)
		return (double)NAN;
	if (row_edge || column_edge) {
		/* E of the edge is E two further in, less or plus twice the slope between. */
		long r = row < 1 ? 1 : row > SIDE - 2 ? SIDE - 2 : row;
		long c = column < 1 ? 1 : column > SIDE - 2 ? SIDE - 2 : column;
		at(f, (double)c + 0.5, (double)r + 0.5, g);
		double slope = -(row_edge ? g[1] : g[0]) / 100;
		double away = row == 0 || column == 0 ? -1 : 1;
		return energy(f, row_edge ? 2 * r - row : row,
			       column_edge ? 2 * c - column : column) +
		       2 * away * slope;
	}
	double log_rho = at(f, (double)column + 0.5, (double)row + 0.5, g);
	return -log_rho + (g[0] + g[1]) / 200;
}

/* Energies of the published code at 96 places. They are float32, which resolves 2.4e-7 at their
 * size; twice that, for the logarithm. */
static void test_energies(void **p)
{
	struct fixture f;
	struct csv t;
	double worst = 0;
	size_t n = 0;

	(void)p;
	fixture_open(&f, "image", NULL, 0);
	assert_int_equal(
		csv_read(&t, "tests/data/image_synthetic_energy_probe.csv", CSV_FINITE, f.a), OK);
	assert_int_equal(t.rows, 96);
	for (size_t i = 0; i < t.rows; i++) {
		double e = energy(&f, (long)t.x[3 * i], (long)t.x[3 * i + 1]);
		if (isnan(e))
			continue;
		n++;
		worst = fmax(worst, fabs(e - t.x[3 * i + 2]));
	}
	print_message("largest difference of %zu energies %.2g\n", n, worst);
	assert_true(n >= 92);
	assert_true(worst <= 5e-7);
	arena_free(f.a);
}

/* --- cells ----------------------------------------------------------------------------------- */

/* Rounding is towards zero: column 0 is two wide and inside; penalties begin at 700 and at -1. Far
 * outside, in float and at the limit of the range, the penalty is what it should be. */
static void test_cells(void **p)
{
	static const struct {
		double big, outside;
	} places[] = { { -0.75, 0 }, { 0.75, 0 }, { 699.25, 0 }, { 700.25, 1 }, { -1.25, 1 },
		{ -2.75, 4 }, { 702.5, 9 } };
	struct fixture f;
	double g[2], inside, e;

	(void)p;
	fixture_open(&f, "image", NULL, 0);
	for (size_t axis = 0; axis < 2; axis++) {
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			double big = places[i].big, d = big - trunc(big);
			double edge = big < 350 ? 1 : SIDE - 2;
			/* The energy and slope of the pixel next to the edge, from inside of it. */
			if (axis == 0)
				inside = at(&f, edge + 0.5, 300.5, g);
			else
				inside = at(&f, 300.5, edge + 0.5, g);
			e = inside + (d - 0.5) * g[axis] / 100;
			double got = axis == 0 ? at(&f, big, 300.5, g) : at(&f, 300.5, big, g);
			check_that(&f, fabs(got - (e - places[i].outside)) <= 1e-12 * (1 + fabs(e)),
				"at %g of axis %zu log rho is %.17g, not %.17g", big, axis, got,
				e - places[i].outside);
		}
	}
	const double far[2] = { 1e6, -1e6 };
	double log_rho;
	density_eval(f.d, 1, far, &log_rho, g);
	assert_near(log_rho, -pow(1e8 + 350 - 699, 2) - pow(1e8 - 350, 2), 1e3);
	arena_free(f.a);
}

/* int rho dX over the unit squares, Gauss-Legendre with four points along each axis: within a
 * square log rho is linear with slopes below 1, and the error below 1e-11 of the square. */
struct squares {
	double mass[UNITS][UNITS]; /* [row][column] */
	double total, below[2][UNITS + 1];
	double mean[2], sd[2];
};

enum { NODES = 4 };

/* One row of squares, each up to the fractions `to` of its width and of its height. */
static void integrate_row(const struct fixture *f, long r, const double to[2], double *mass,
	double *first, double *second)
{
	enum { POINTS = UNITS * NODES * NODES };
	static double x[2 * POINTS], log_rho[POINTS];
	gsl_integration_glfixed_table *rule = gsl_integration_glfixed_table_alloc(NODES);
	double node[NODES], weight[NODES];
	size_t n = 0;

	for (size_t j = 0; j < NODES; j++)
		gsl_integration_glfixed_point(0, 1, j, &node[j], &weight[j], rule);
	for (long c = 0; c < UNITS; c++) {
		for (size_t i = 0; i < NODES; i++) {
			for (size_t j = 0; j < NODES; j++, n++) {
				x[n] = coordinate((double)(c - OUTSIDE) + to[0] * node[j]);
				x[POINTS + n] = coordinate((double)(r - OUTSIDE) + to[1] * node[i]);
			}
		}
	}
	density_eval(f->d, POINTS, x, log_rho, NULL);
	memset(mass, 0, UNITS * sizeof(*mass));
	for (n = 0; n < POINTS; n++) {
		double w = to[0] * to[1] * weight[n / NODES % NODES] * weight[n % NODES] *
			   exp(log_rho[n]);
		mass[n / (NODES * NODES)] += w;
		for (size_t k = 0; k < 2 && first != NULL; k++) {
			first[k] += w * x[k * POINTS + n];
			second[k] += w * pow(x[k * POINTS + n], 2);
		}
	}
	gsl_integration_glfixed_table_free(rule);
}

static struct squares *integrate(const struct fixture *f)
{
	struct squares *s = ARENA_NEW(f->a, 1, struct squares);
	const double whole[2] = { 1, 1 };
	double first[2] = { 0 }, second[2] = { 0 }, along[2][UNITS] = { { 0 } };

	for (size_t r = 0; r < UNITS; r++) {
		integrate_row(f, (long)r, whole, s->mass[r], first, second);
		for (size_t c = 0; c < UNITS; c++) {
			along[0][c] += s->mass[r][c];
			along[1][r] += s->mass[r][c];
		}
	}
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < UNITS; i++)
			s->below[k][i + 1] = s->below[k][i] + along[k][i];
	s->total = s->below[0][UNITS];
	for (size_t k = 0; k < 2; k++) {
		s->mean[k] = first[k] / s->total;
		s->sd[k] = sqrt(second[k] / s->total - s->mean[k] * s->mean[k]);
	}
	return s;
}

/* log Z, moments and distribution functions, at edges of cells and within, against quadrature. */
static void check_known(const struct fixture *f, const struct squares *s)
{
	const void *state = density_state(f->d);
	double mean[2], sd[2], *row = ARENA_NEW(f->a, UNITS, double);
	struct log_z z;

	density_log_z(f->d, &z);
	assert_int_equal(z.kind, LOG_Z_EXACT);
	check_that(f, fabs(z.value - log(s->total * 1e-4)) <= 1e-11,
		"log Z is %.15g, by quadrature %.15g", z.value, log(s->total * 1e-4));
	f->t->moments(state, mean, sd);
	for (size_t k = 0; k < 2; k++) {
		check_that(f,
			fabs(mean[k] - s->mean[k]) <= 1e-11 && fabs(sd[k] - s->sd[k]) <= 1e-11,
			"moments of %zu: %.15g, %.15g, by quadrature %.15g, %.15g", k, mean[k],
			sd[k], s->mean[k], s->sd[k]);
		for (size_t i = 0; i <= UNITS; i += 1 + i % 3) {
			double x = coordinate((double)i - OUTSIDE);
			check_that(f,
				fabs(f->t->cdf(state, k, x) - s->below[k][i] / s->total) <= 1e-10,
				"distribution function of %zu at %g", k, x);
		}
		assert_near(f->t->cdf(state, k, -1e6), 0, 0);
		assert_near(f->t->cdf(state, k, 1e6), 1, 0);
	}
	/* Within the cell: 0.3 of square (row) r, which as an axis-1 integral is one row of
	 * squares. */
	for (size_t r = 4; r < UNITS; r += 117) {
		const double part[2] = { 1, 0.3 };
		double sum = s->below[1][r];
		integrate_row(f, (long)r, part, row, NULL, NULL);
		for (size_t c = 0; c < UNITS; c++)
			sum += row[c];
		double got = f->t->cdf(state, 1, coordinate((double)r - OUTSIDE + 0.3));
		check_that(f, fabs(got - sum / s->total) <= 1e-10,
			"within row %zu the distribution function is %.15g, not %.15g", r, got,
			sum / s->total);
	}
	for (size_t c = 4; c < UNITS; c += 351) {
		const double part[2] = { 0.3, 1 };
		double sum = s->below[0][c];
		for (size_t r = 0; r < UNITS; r++) {
			integrate_row(f, (long)r, part, row, NULL, NULL);
			sum += row[c];
		}
		double got = f->t->cdf(state, 0, coordinate((double)c - OUTSIDE + 0.3));
		check_that(f, fabs(got - sum / s->total) <= 1e-10,
			"within column %zu the distribution function is %.15g, not %.15g", c, got,
			sum / s->total);
	}
}

/* --- samples --------------------------------------------------------------------------------- */

/* Samples in blocks of squares against their masses (chi squared), how many are outside, and where
 * in their square they are: there E (d - 1/2) e is what quadrature says. */
static void check_samples(const struct fixture *f, const struct squares *s)
{
	enum { N = 200000, BLOCKS = 12, WIDE = 60 /* BLOCKS * WIDE >= UNITS */ };
	double expected[BLOCKS][BLOCKS] = { { 0 } }, found[BLOCKS][BLOCKS] = { { 0 } };
	double *x = block(f, N), *tilt = ARENA_NEW(f->a, N, double), g[2];
	double outside = 0, inside_mass = 0, chi = 0, freedom = -1, drift[2] = { 0 };

	for (size_t r = 0; r < UNITS; r++) {
		for (size_t c = 0; c < UNITS; c++) {
			double m = s->mass[r][c] / s->total;
			expected[r / WIDE][c / WIDE] += N * m;
			if (r >= OUTSIDE - 1 && r < SIDE + OUTSIDE && c >= OUTSIDE - 1 &&
				c < SIDE + OUTSIDE)
				inside_mass += m;
			/* Mean of t - 1/2 for the density e^(-e t) on [0, 1]. */
			at(f, (double)c - OUTSIDE + 0.5, (double)r - OUTSIDE + 0.5, g);
			for (size_t k = 0; k < 2; k++) {
				double e = -g[k] / 100;
				double mean = fabs(e) < 1e-4 ? -e / 12 : 1 / e - 1 / expm1(e) - 0.5;
				drift[k] += m * mean * e;
			}
		}
	}
	assert_int_equal(density_draw(f->d, stream, 0, N, x), OK);
	for (size_t i = 0; i < N; i++) {
		double c = 100 * x[2 * i] + SIDE / 2 + OUTSIDE;
		double r = 100 * x[2 * i + 1] + SIDE / 2 + OUTSIDE;
		assert_true(c >= 0 && c < UNITS && r >= 0 && r < UNITS);
		found[(size_t)r / WIDE][(size_t)c / WIDE]++;
		outside += !(r >= OUTSIDE - 1 && r < SIDE + OUTSIDE && c >= OUTSIDE - 1 &&
			     c < SIDE + OUTSIDE);
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		for (size_t j = 0; j < BLOCKS; j++) {
			if (expected[i][j] < 10)
				continue;
			chi += pow(found[i][j] - expected[i][j], 2) / expected[i][j];
			freedom++;
		}
	}
	/* One in a million. */
	check_that(f, freedom > 50 && gsl_cdf_chisq_Q(chi, freedom) > 1e-6,
		"chi squared is %g with %g degrees of freedom", chi, freedom);
	double p = 1 - inside_mass;
	check_that(f, fabs(outside - N * p) <= SIGMAS * sqrt(N * p) + 1,
		"%g samples are outside, not %g", outside, N * p);
	for (size_t k = 0; k < 2; k++) {
		double mean, se;
		for (size_t i = 0; i < N; i++) {
			double big = 100 * x[2 * i + k] + SIDE / 2;
			density_eval(f->d, 1, x + 2 * i, NULL, g);
			tilt[i] = (big - floor(big) - 0.5) * -g[k] / 100;
		}
		mean_of(tilt, N, 1, &mean, &se);
		check_that(f, fabs(mean - drift[k]) <= SIGMAS * se,
			"E (t - 1/2) e is %g +- %g along %zu, not %g", mean, se, k, drift[k]);
		print_message("E (t - 1/2) e %.3g +- %.2g, by quadrature %.3g\n", mean, se,
			drift[k]);
	}
}

static void test_known(void **p)
{
	struct fixture f;

	(void)p;
	fixture_open(&f, "image", NULL, 0);
	struct squares *s = integrate(&f);
	check_known(&f, s);
	check_samples(&f, s);
	arena_free(f.a);
}

/* The law of the published sampler along each axis: lines of pixels by their e^-E, uniform around
 * their middles. */
struct published {
	double below[2][SIDE + 1]; /* mass of the lines before each */
};

static double published_cdf(const void *context, size_t k, double x)
{
	const double *below = ((const struct published *)context)->below[k];
	double place = 100 * x + SIDE / 2 + 0.5;
	size_t i = place < 0 ? 0 : place >= SIDE ? SIDE - 1 : (size_t)place;

	return (below[i] + (place - (double)i) * (below[i + 1] - below[i])) / below[SIDE];
}

/* The draws by that law along the axes, and in blocks of pixels and places within a pixel by chi
 * squared. Moments and distribution functions, which are the density's, are not given for them; log
 * Z is. Levels: one in a million. */
static void test_published_sampler(void **p)
{
	enum { BINS = 20, BLOCKS = 14, WIDE = SIDE / BLOCKS };
	const struct setting setting = { "sampler", "published" };
	double expected[BLOCKS][BLOCKS] = { { 0 } }, found[BLOCKS][BLOCKS] = { { 0 } };
	double *columns, mean[2], sd[2], chi = 0, freedom = -1;
	struct log_z z, exact_z;
	struct fixture f, exact;

	(void)p;
	fixture_open(&exact, "image", NULL, 0);
	fixture_open(&f, "image", &setting, 1);
	struct published *law = ARENA_NEW(f.a, 1, struct published);
	for (long r = 0; r < SIDE; r++) {
		for (long c = 0; c < SIDE; c++) {
			double e = energy(&f, r, c), mass = isnan(e) ? 0 : exp(-e);
			law->below[0][c + 1] += mass;
			law->below[1][r + 1] += mass;
			expected[r / WIDE][c / WIDE] += mass;
		}
	}
	double *x = draws(&f, &columns);
	for (size_t k = 0; k < 2; k++) {
		double count[BINS] = { 0 }, offsets = 0;
		for (size_t i = 0; i < SIDE; i++)
			law->below[k][i + 1] += law->below[k][i];
		for (size_t i = 0; i < DRAWS; i++) {
			double place = 100 * columns[k * DRAWS + i] + SIDE / 2 + 0.5;
			assert_true(place > -1e-9 && place < SIDE + 1e-9);
			count[(size_t)(BINS * (place - floor(place)))]++;
		}
		for (size_t i = 0; i < BINS; i++)
			offsets += pow(count[i] - (double)DRAWS / BINS, 2) / ((double)DRAWS / BINS);
		assert_true(gsl_cdf_chisq_Q(offsets, BINS - 1) > 1e-6);
		assert_true(kolmogorov(columns + k * DRAWS, DRAWS, law, k, published_cdf) > 1e-6);
	}
	for (size_t i = 0; i < DRAWS; i++) {
		double c = 100 * x[2 * i] + SIDE / 2 + 0.5, r = 100 * x[2 * i + 1] + SIDE / 2 + 0.5;
		found[(size_t)fmin(r, SIDE - 1) / WIDE][(size_t)fmin(c, SIDE - 1) / WIDE]++;
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		for (size_t j = 0; j < BLOCKS; j++) {
			double n = DRAWS * expected[i][j] / law->below[0][SIDE];
			if (n < 10)
				continue;
			chi += pow(found[i][j] - n, 2) / n;
			freedom++;
		}
	}
	check_that(&f, freedom > 50 && gsl_cdf_chisq_Q(chi, freedom) > 1e-6,
		"chi squared is %g with %g degrees of freedom", chi, freedom);
	f.t->moments(density_state(f.d), mean, sd);
	for (size_t k = 0; k < 2; k++)
		assert_true(isnan(mean[k]) && isnan(sd[k]) &&
			    isnan(f.t->cdf(density_state(f.d), k, 0)));
	density_log_z(f.d, &z);
	density_log_z(exact.d, &exact_z);
	assert_true(z.value == exact_z.value);
	check_cdf_nan(&exact);
	check_hvp_range(&exact);
	arena_free(f.a);
	arena_free(exact.a);
}

/* --- pictures of users ----------------------------------------------------------------------- */

/* The published picture, and files of it. */
static unsigned char formula(long r, long c)
{
	long a = ((r - 260) * (r - 260) + (c - 480) * (c - 480)) / 300;
	long b = (2 * (r - 470) * (r - 470) + (c - 720) * (c - 720)) / 400;

	return (unsigned char)(a < 255 && a < b ? a : b < 255 ? b : 255);
}

static char file_name[64];

static FILE *new_file(void)
{
	strcpy(file_name, "/tmp/stride_picture_XXXXXX");
	FILE *file = fdopen(mkstemp(file_name), "wb");

	assert_non_null(file);
	return file;
}

static int open_picture(struct density **d, struct arena *a)
{
	const struct setting picture = { "picture", file_name };
	int status = density_new(d, "image", &picture, 1, a);

	unlink(file_name);
	return status;
}

/* The file just written is the default picture, to the last bit. */
static void same_density(const char *what)
{
	enum { N = 400 };
	static double x[2 * N], want[N];
	double got[N];
	struct fixture f = { arena_new(), target_find("image"), NULL, 2 };

	if (x[0] == 0) {
		struct fixture formula;
		fixture_open(&formula, "image", NULL, 0);
		for (size_t i = 0; i < 2 * N; i++)
			x[i] = 8 * rng_uniform(stream, 1, i, 0) - 4;
		density_eval(formula.d, N, x, want, NULL);
		arena_free(formula.a);
	}
	if (open_picture(&f.d, f.a) != OK)
		fail_msg("%s: %s", what, error_text());
	density_eval(f.d, N, x, got, NULL);
	for (size_t i = 0; i < N; i++)
		check_that(&f, want[i] == got[i], "%s: log rho is %.17g, not %.17g", what, got[i],
			want[i]);
	arena_free(f.a);
}

static void test_pgm(void **p)
{
	FILE *file;

	(void)p;
	file = new_file();
	fprintf(file, "P5\n# by a formula\n%d %d\n255\n", COLS, ROWS);
	for (long i = 0; i < ROWS * COLS; i++)
		putc(formula(i / COLS, i % COLS), file);
	fclose(file);
	same_density("P5");

	file = new_file();
	fprintf(file, "P5 %d %d 65535 ", COLS, ROWS);
	for (long i = 0; i < ROWS * COLS; i++) {
		/* 257 v of 65535 is v of 255. */
		putc(formula(i / COLS, i % COLS), file);
		putc(formula(i / COLS, i % COLS), file);
	}
	fclose(file);
	same_density("P5 of two bytes");

	file = new_file();
	fprintf(file, "P2# remark\r\n#\n %d#rows next\n%d\n1020# pixels\n", COLS, ROWS);
	for (long i = 0; i < ROWS * COLS; i++)
		fprintf(file, "%d%s", 4 * formula(i / COLS, i % COLS),
			i % 17 == 0     ? "\n"
			: i % 1000 == 0 ? " # a remark\n"
					: "  ");
	fclose(file);
	same_density("P2");

	/* The middle of a picture of another size, in a frame that is not seen. */
	file = new_file();
	fprintf(file, "P5 %d %d 255\n", SIDE + 201, SIDE + 50);
	for (long r = -25; r < SIDE + 25; r++)
		for (long c = -100; c < SIDE + 101; c++)
			putc(r < 0 || c < 0 || r >= SIDE || c >= SIDE ? 128
								      : formula(r + 10, c + 240),
				file);
	fclose(file);
	same_density("another size");
}

struct png_kind {
	const char *what;
	int type, depth, interlace, channels;
};

/* Colours differ and have the right mean; alpha is noise. */
static void png_pixel(const struct png_kind *kind, long r, long c, unsigned char *out)
{
	const int v = formula(r, c), spread = v < 40 || v > 215 ? 0 : (int)(r + c) % 40;
	const int value[4] = { kind->channels < 3 ? v : v + spread,
		kind->channels < 3 ? (int)(r * c) % 256 : v, v - spread, (int)(r * c) % 256 };

	for (int k = 0; k < kind->channels; k++) {
		*out++ = (unsigned char)value[k];
		if (kind->depth == 16) /* 257 v of 65535 is v of 255 */
			*out++ = (unsigned char)value[k];
	}
}

static void write_png(const struct png_kind *kind)
{
	FILE *file = new_file();
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);
	const size_t pitch = (size_t)(COLS * kind->channels * kind->depth / 8);
	unsigned char *pixel = malloc(ROWS * pitch), *row[ROWS];
	png_color palette[256];

	if (setjmp(png_jmpbuf(png)) != 0)
		fail_msg("%s: libpng cannot write it", kind->what);
	png_init_io(png, file);
	png_set_IHDR(png, info, COLS, ROWS, kind->depth, kind->type, kind->interlace,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	for (int i = 0; i < 256; i++) /* entry i is the grey 255 - i */
		palette[i].red = palette[i].green = palette[i].blue = (png_byte)(255 - i);
	if (kind->type == PNG_COLOR_TYPE_PALETTE)
		png_set_PLTE(png, info, palette, 256);
	png_set_gAMA(png, info, 0.7); /* to be ignored */
	png_set_compression_level(png, 1);
	for (long r = 0; r < ROWS; r++) {
		row[r] = pixel + (size_t)r * pitch;
		for (long c = 0; c < COLS; c++) {
			unsigned char *to = row[r] + c * kind->channels * kind->depth / 8;
			png_pixel(kind, r, c, to);
			if (kind->type == PNG_COLOR_TYPE_PALETTE)
				*to = (unsigned char)(255 - *to);
		}
	}
	png_set_rows(png, info, row);
	png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
	png_destroy_write_struct(&png, &info);
	free(pixel);
	fclose(file);
}

static void test_png(void **p)
{
	static const struct png_kind kinds[] = {
		{ "grey", PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_NONE, 1 },
		{ "grey of 16 bits", PNG_COLOR_TYPE_GRAY, 16, PNG_INTERLACE_NONE, 1 },
		{ "grey with alpha", PNG_COLOR_TYPE_GRAY_ALPHA, 8, PNG_INTERLACE_NONE, 2 },
		{ "colour", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE, 3 },
		{ "interlaced colour", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_ADAM7, 3 },
		{ "colour of 16 bits with alpha", PNG_COLOR_TYPE_RGB_ALPHA, 16, PNG_INTERLACE_NONE,
			4 },
		{ "palette", PNG_COLOR_TYPE_PALETTE, 8, PNG_INTERLACE_NONE, 1 },
	};

	(void)p;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		write_png(&kinds[i]);
		same_density(kinds[i].what);
	}
}

/* Stripes: slopes as steep as the filters leave them, so that cells are far from uniform. */
static void test_stripes(void **p)
{
	FILE *file = new_file();
	struct fixture f = { arena_new(), target_find("image"), NULL, 2 };

	(void)p;
	fprintf(file, "P5 %d %d 255\n", SIDE, SIDE);
	for (int i = 0; i < SIDE * SIDE; i++)
		putc((i % SIDE + 2 * (i / SIDE)) / 40 % 2 * 210 + 7, file);
	fclose(file);
	if (open_picture(&f.d, f.a) != OK)
		fail_msg("%s", error_text());
	struct squares *s = integrate(&f);
	check_known(&f, s);
	check_samples(&f, s);
	arena_free(f.a);
}

/* --- bad pictures ---------------------------------------------------------------------------- */

static void refused(const char *bytes, size_t n, int code, const char *what)
{
	struct arena *a = arena_new();
	struct density *d;
	FILE *file = new_file();

	fwrite(bytes, 1, n, file);
	fclose(file);
	int status = open_picture(&d, a);
	if (status != code || strstr(error_text(), file_name) == NULL ||
		strstr(error_text(), what) == NULL)
		fail_msg("\"%.40s\" gave %s: \"%s\"; \"%s\" was expected", bytes,
			error_name(status), error_text(), what);
	arena_free(a);
}

static void test_bad_files(void **p)
{
	static const struct {
		const char *text;
		int code;
		const char *what;
	} bad[] = {
		{ "", ERR_PARSE, "neither a PNG nor a PGM" },
		{ "GIF89a, as it were", ERR_PARSE, "neither a PNG nor a PGM" },
		{ "P6\n2 2\n255\nabcdefghijkl", ERR_PARSE, "neither a PNG nor a PGM" },
		{ "P2", ERR_PARSE, "neither a PNG nor a PGM" },
		{ "P2\n", ERR_PARSE, ":2: the file ends; the width is missing" },
		{ "P2\n2 2\n# no more", ERR_PARSE, ":3: the file ends; the maximum is missing" },
		{ "P2\n2 -2\n9\n1 2 3 4\n", ERR_PARSE, ":2: '-' in the height" },
		{ "P2\n2 2\n9\n1 2\n3 x\n", ERR_PARSE, ":5: 'x' in a pixel" },
		{ "P2\n2 2\n9\n1 2\n3 10\n", ERR_PARSE, ":5: a pixel is above 9" },
		{ "P2\n2 2\n9\n1 2\n3  \n", ERR_PARSE, ":6: the file ends; a pixel is missing" },
		{ "P2\n2 2\n9\n1 2\n3\n", ERR_PARSE, "last pixel: of 16 bytes there are 15" },
		{ "P2\n2 2\n0\n0 0 0 0\n", ERR_PARSE, ":3: the maximum is 0" },
		{ "P2\n2 2\n65536\n0 0 0 0\n", ERR_PARSE, "the maximum is above 65535" },
		{ "P5\n2 2\n255\nabc", ERR_PARSE, "ends before its last pixel" },
		{ "P5\n2 2\n65535\nabcdefg", ERR_PARSE, "ends before its last pixel" },
		{ "P5\n2 2\n256\nabcdefgh", ERR_PARSE, "a pixel is 24930, above" },
		{ "P5\n2 2\n64\nabcd", ERR_PARSE, "a pixel is 97, above" },
		{ "P5\n0 2\n255\n", ERR_PARSE, "0x2 pixels" },
		{ "P5\n16384 16384\n255\n", ERR_PARSE, "are 268435456 pixels; at most 67108864" },
		{ "P5\n8192 8192\n255\n", ERR_PARSE, "last pixel: of 67108881 bytes there are 17" },
		{ "P5\n8192 4096\n256\n", ERR_PARSE, "last pixel: of 67108881 bytes there are 17" },
		{ "P2 8192 8192 9\n", ERR_PARSE, "last pixel: of 134217742 bytes there are 15" },
		{ "P5\n99999999 99999999\n255\n", ERR_PARSE, "99999999x99999999 pixels" },
		{ "P5\n99999999999999999999999 1\n255\n", ERR_PARSE, "the width is above" },
		{ "P5\n2 2\n255\nabcd", ERR_RANGE, "2x2 pixels; at least 700x700 are needed" },
		{ "\x89PNG\r\n\x1a\n and then not", ERR_PARSE, "damaged PNG" },
	};
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i].text, strlen(bad[i].text), bad[i].code, bad[i].what);
	const struct setting none = { "picture", "/nonexistent/picture.png" };
	assert_int_equal(density_new(&d, "image", &none, 1, a), ERR_IO);
	assert_non_null(strstr(error_text(), "/nonexistent/picture.png"));
	const struct setting folder = { "picture", "/tmp/" };
	assert_int_equal(density_new(&d, "image", &folder, 1, a), ERR_IO);
	arena_free(a);
}

/* A good PNG cut short at many places, and with a byte changed. Black pictures, and narrow ones. */
static void test_damaged(void **p)
{
	static const struct png_kind colour = { "colour", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE,
		3 };
	static char text[SIDE * SIDE + 64];
	struct arena *a = arena_new();

	(void)p;
	write_png(&colour);
	FILE *file = fopen(file_name, "rb");
	fseek(file, 0, SEEK_END);
	size_t n = (size_t)ftell(file);
	char *bytes = arena_alloc(a, n, 1);
	rewind(file);
	assert_int_equal(fread(bytes, 1, n, file), n);
	fclose(file);
	unlink(file_name);
	const size_t cuts[] = { 8, 20, 33, 40, 60, n / 3, n - 12, n - 1 };
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		refused(bytes, cuts[i], ERR_PARSE, "damaged PNG");
	bytes[n / 2] ^= 0x10;
	refused(bytes, n, ERR_PARSE, "damaged PNG");

	snprintf(text, sizeof(text), "P5\n%d %d\n255\n", SIDE, SIDE);
	size_t head = strlen(text);
	refused(text, head + SIDE * SIDE, ERR_RANGE, "black");
	snprintf(text, sizeof(text), "P5\n%d %d\n255\n", SIDE - 1, SIDE);
	refused(text, head + SIDE * (SIDE - 1), ERR_RANGE,
		"699x700 pixels; at least 700x700 are needed");
	arena_free(a);
}

/* A PNG of a hundred bytes that claims so many pixels. */
static void write_claim(png_uint_32 side)
{
	FILE *file = new_file();
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);

	if (setjmp(png_jmpbuf(png)) != 0)
		fail_msg("libpng cannot write it");
	png_init_io(png, file);
	png_set_IHDR(png, info, side, side, 16, PNG_COLOR_TYPE_RGB_ALPHA, PNG_INTERLACE_NONE,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	png_write_chunk(png, (png_const_bytep) "IDAT", (png_const_bytep) "few", 3);
	png_destroy_write_struct(&png, &info);
	fclose(file);
}

static void test_claims(void **p)
{
	static const struct {
		png_uint_32 side;
		const char *what;
	} claims[] = { { 16384, "at most 67108864 can be read" },
		{ 16385, "1x1 to 16384x16384 can be read" },
		{ 8192, "bytes cannot hold 8192x8192 pixels" } };
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		write_claim(claims[i].side);
		assert_int_equal(open_picture(&d, a), ERR_PARSE);
		if (strstr(error_text(), claims[i].what) == NULL)
			fail_msg("\"%s\"; \"%s\" was expected", error_text(), claims[i].what);
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_energies),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_published_sampler),
		cmocka_unit_test(test_pgm),
		cmocka_unit_test(test_png),
		cmocka_unit_test(test_stripes),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_claims),
	};

	return run_target_tests("image", tests);
}
