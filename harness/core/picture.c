#include "core/picture.h"
#include "core/error.h"

#include <ctype.h>
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int check_size(const char *path, size_t rows, size_t cols)
{
	if (rows < 1 || cols < 1 || rows > PICTURE_SIDE_MAX || cols > PICTURE_SIDE_MAX)
		return fail(ERR_PARSE, "%s: %zux%zu pixels; 1x1 to %dx%d can be read", path, cols,
			rows, PICTURE_SIDE_MAX, PICTURE_SIDE_MAX);
	if (rows * cols > PICTURE_PIXELS_MAX)
		return fail(ERR_PARSE, "%s: %zux%zu are %zu pixels; at most %d can be read", path,
			cols, rows, rows * cols, PICTURE_PIXELS_MAX);
	return OK;
}

static size_t file_size(FILE *f)
{
	struct stat s;

	return fstat(fileno(f), &s) == 0 && s.st_size > 0 ? (size_t)s.st_size : 0;
}

static void allocate(struct picture *p, size_t rows, size_t cols, struct arena *a)
{
	*p = (struct picture){ rows, cols, arena_alloc(a, rows * cols, sizeof(double)) };
}

/* --- PGM ------------------------------------------------------------------------------------- */

struct pgm {
	FILE *f;
	const char *path;
	size_t line, start; /* where it is, and where the last number began */
};

/* A character of the header or of numbers in decimal. A remark reads as the end of its line. */
static int next_char(struct pgm *g)
{
	int c = getc(g->f);

	if (c == '#')
		while (c != '\n' && c != EOF)
			c = getc(g->f);
	g->line += c == '\n';
	return c;
}

/* A number in decimal. The character behind it is read as well: in a P5 header it is the one blank
 * before the pixels. */
static int next_number(struct pgm *g, const char *what, unsigned long most, unsigned long *value)
{
	int c = next_char(g);

	while (isspace(c))
		c = next_char(g);
	g->start = g->line;
	if (c == EOF)
		return fail(ERR_PARSE, "%s:%zu: the file ends; %s is missing", g->path, g->line,
			what);
	*value = 0;
	do {
		if (!isdigit(c))
			return fail(ERR_PARSE, "%s:%zu: '%c' in %s; a whole number is needed",
				g->path, g->line, isprint(c) ? c : '?', what);
		*value = 10 * *value + (unsigned long)(c - '0');
		if (*value > most)
			return fail(ERR_PARSE, "%s:%zu: %s is above %lu", g->path, g->line, what,
				most);
		c = next_char(g);
	} while (c != EOF && !isspace(c));
	return OK;
}

/* A pixel of a P5 file: a byte, or two with the higher first. */
static int next_sample(struct pgm *g, unsigned long most, unsigned long *value)
{
	int high = most > 255 ? getc(g->f) : 0, low = getc(g->f);

	if (high == EOF || low == EOF)
		return fail(ERR_PARSE, "%s: the file ends before its last pixel", g->path);
	*value = 256 * (unsigned long)high + (unsigned long)low;
	if (*value > most)
		return fail(ERR_PARSE, "%s: a pixel is %lu, above the file's maximum %lu", g->path,
			*value, most);
	return OK;
}

/* Is there enough behind the header for these bytes of pixels? */
static int check_length(const struct pgm *g, size_t needed)
{
	const long at = ftell(g->f);
	const size_t size = file_size(g->f);

	if (at < 0)
		return fail(ERR_IO, "%s: cannot be read: %s", g->path, strerror(errno));
	if (size < (size_t)at + needed)
		return fail(ERR_PARSE,
			"%s: the file ends before its last pixel: of %zu bytes there are %zu",
			g->path, (size_t)at + needed, size);
	return OK;
}

/* After its first two characters. */
static int read_pgm(struct picture *p, struct pgm *g, bool text, struct arena *a)
{
	unsigned long cols, rows, most, value;

	TRY(next_number(g, "the width", 99999999, &cols));
	TRY(next_number(g, "the height", 99999999, &rows));
	TRY(next_number(g, "the maximum", 65535, &most));
	if (most == 0)
		return fail(ERR_PARSE, "%s:%zu: the maximum is 0; 1 to 65535 is needed", g->path,
			g->start);
	TRY(check_size(g->path, rows, cols));
	TRY(check_length(g, text ? 2 * rows * cols - 1 : rows * cols * (most > 255 ? 2 : 1)));
	allocate(p, rows, cols, a);
	for (size_t i = 0; i < rows * cols; i++) {
		TRY(text ? next_number(g, "a pixel", most, &value) : next_sample(g, most, &value));
		p->grey[i] = (double)value * 255 / (double)most;
	}
	return OK;
}

/* --- PNG ------------------------------------------------------------------------------------- */

/* libpng reports by a call that must not return. */
struct png_report {
	jmp_buf back;
	char text[128];
};

static void png_failed(png_structp png, png_const_charp text)
{
	struct png_report *report = png_get_error_ptr(png);

	snprintf(report->text, sizeof(report->text), "%s", text);
	longjmp(report->back, 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

enum { DEFLATE_MOST = 1032 }; /* bytes that one byte of deflate can stand for, at most */

/* Colour and grey channels as stored, without alpha: 1, 2 or 4 bits are expanded to 8, palettes to
 * colours. */
static int decode(struct picture *p, png_structp png, png_infop info, const char *path, size_t size,
	struct arena *a)
{
	png_read_info(png, info);
	const size_t rows = png_get_image_height(png, info);
	const size_t cols = png_get_image_width(png, info);

	TRY(check_size(path, rows, cols));
	if (rows * png_get_rowbytes(png, info) / DEFLATE_MOST > size)
		return fail(ERR_PARSE, "%s: damaged PNG: its %zu bytes cannot hold %zux%zu pixels",
			path, size, cols, rows);
	png_set_expand(png);
	png_set_strip_alpha(png);
	png_set_interlace_handling(png);
	png_read_update_info(png, info);
	const size_t channels = png_get_channels(png, info), pitch = png_get_rowbytes(png, info);
	const bool wide = png_get_bit_depth(png, info) == 16;
	png_byte *pixel = arena_alloc(a, rows, pitch);
	png_byte **row = arena_alloc(a, rows, sizeof(*row));

	for (size_t r = 0; r < rows; r++)
		row[r] = pixel + r * pitch;
	png_read_image(png, row);
	png_read_end(png, NULL);
	allocate(p, rows, cols, a);
	for (size_t r = 0; r < rows; r++) {
		for (size_t c = 0; c < cols; c++) {
			const png_byte *at = row[r] + c * channels * (wide ? 2 : 1);
			unsigned long sum = 0;
			for (size_t k = 0; k < channels; k++)
				sum += wide ? 256UL * at[2 * k] + at[2 * k + 1] : at[k];
			p->grey[r * cols + c] =
				(double)sum / (double)channels / (wide ? 65535.0 / 255 : 1);
		}
	}
	return OK;
}

static int read_png(struct picture *p, FILE *f, const char *path, struct arena *a)
{
	struct png_report report;
	png_structp png =
		png_create_read_struct(PNG_LIBPNG_VER_STRING, &report, png_failed, png_warned);
	png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
	int status;

	invariant(info != NULL); /* no memory, or another libpng than the one compiled for */
	if (setjmp(report.back) == 0) {
		png_init_io(png, f);
		status = decode(p, png, info, path, file_size(f), a);
	} else {
		status = fail(ERR_PARSE, "%s: damaged PNG: %s", path, report.text);
	}
	png_destroy_read_struct(&png, &info, NULL);
	return status;
}

/* --------------------------------------------------------------------------------------------- */

int picture_read(struct picture *out, const char *path, struct arena *a)
{
	FILE *f = fopen(path, "rb");
	png_byte start[8] = { 0 };
	int status;

	if (f == NULL)
		return fail(ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
	size_t got = fread(start, 1, sizeof(start), f);
	if (ferror(f)) {
		status = fail(ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
	} else if (got == sizeof(start) && png_sig_cmp(start, 0, sizeof(start)) == 0) {
		rewind(f);
		status = read_png(out, f, path, a);
	} else if (got > 2 && start[0] == 'P' && (start[1] == '2' || start[1] == '5') &&
		   (isspace(start[2]) || start[2] == '#')) {
		struct pgm g = { f, path, 1, 1 };
		status = fseek(f, 2, SEEK_SET) == 0
				 ? read_pgm(out, &g, start[1] == '2', a)
				 : fail(ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
	} else {
		status = fail(ERR_PARSE, "%s: neither a PNG nor a PGM (P2 or P5)", path);
	}
	fclose(f);
	return status;
}
