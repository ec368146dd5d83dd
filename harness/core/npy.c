#include "core/npy.h"
#include "core/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The magic string and the two bytes of the version; NumPy itself writes headers of a few hundred bytes
 * at most for what is read here. */
enum { MAGIC = 6, START = 8, HEADER_MAX = 1 << 16, SHOWN = 60, DIMS_MAX = 8 };
static const unsigned char magic[MAGIC] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

/* What the header says. */
struct header {
	const char *descr; /* the type as it stands there */
	bool has_descr, has_order, has_shape;
	bool by_columns;
	size_t n_dims;
	uint64_t dims[DIMS_MAX];
};

bool npy_begins(FILE *f)
{
	int c = getc(f);

	if (c != EOF)
		ungetc(c, f);
	return c == magic[0];
}

/* Exactly n bytes. */
static int take(FILE *f, const char *path, void *out, size_t n, const char *what)
{
	if (fread(out, 1, n, f) == n)
		return OK;
	if (ferror(f))
		return fail(ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
	return fail(ERR_PARSE, "%s: ends within its %s; it is no whole .npy file", path, what);
}

/* --- the header ------------------------------------------------------------------------------ */

/* A Python literal being read: {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), } */
struct literal {
	const char *at, *path;
};

static int malformed(const struct literal *l, const char *expected)
{
	return fail(ERR_PARSE, "%s: its header has \"%.*s\" where %s should be", l->path, SHOWN / 2,
		l->at, expected);
}

static void skip_blanks(struct literal *l)
{
	while (isspace((unsigned char)*l->at))
		l->at++;
}

static bool take_char(struct literal *l, char c)
{
	skip_blanks(l);
	if (*l->at != c)
		return false;
	l->at++;
	return true;
}

static bool take_word(struct literal *l, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(l);
	if (strncmp(l->at, word, n) != 0 || isalnum((unsigned char)l->at[n]) || l->at[n] == '_')
		return false;
	l->at += n;
	return true;
}

/* A quoted text without escapes, in the arena. */
static int take_string(struct literal *l, const char **out, struct arena *a)
{
	skip_blanks(l);
	char quote = *l->at;
	const char *end = quote == '\'' || quote == '"' ? strchr(l->at + 1, quote) : NULL;

	if (end == NULL)
		return malformed(l, "a text in quotes");
	*out = arena_printf(a, "%.*s", (int)(end - l->at - 1), l->at + 1);
	l->at = end + 1;
	return OK;
}

/* The type: a text, or the list of a record's fields, which is kept for the message. */
static int take_descr(struct literal *l, struct header *h, struct arena *a)
{
	skip_blanks(l);
	if (*l->at != '[')
		return take_string(l, &h->descr, a);
	const char *end = strrchr(l->at, ']');
	if (end == NULL)
		return malformed(l, "a type");
	h->descr = arena_printf(a, "%.*s", (int)(end + 1 - l->at), l->at);
	l->at = end + 1;
	return OK;
}

static int take_order(struct literal *l, struct header *h)
{
	h->by_columns = take_word(l, "True");
	return h->by_columns || take_word(l, "False") ? OK : malformed(l, "True or False");
}

/* (3, 4), (3,) or (); Python 2 wrote 3L. */
static int take_shape(struct literal *l, struct header *h)
{
	if (!take_char(l, '('))
		return malformed(l, "a shape like (3, 4)");
	h->n_dims = 0;
	while (!take_char(l, ')')) {
		char *end;
		skip_blanks(l);
		if (!isdigit((unsigned char)*l->at) || h->n_dims == DIMS_MAX)
			return malformed(l, "a shape like (3, 4)");
		errno = 0;
		h->dims[h->n_dims++] = strtoull(l->at, &end, 10);
		if (errno == ERANGE)
			return malformed(l, "a smaller shape");
		l->at = end + (*end == 'L');
		if (!take_char(l, ',') && *l->at != ')')
			return malformed(l, "a comma or the end of the shape");
	}
	return OK;
}

static int take_entry(struct literal *l, struct header *h, struct arena *a)
{
	const char *key;

	TRY(take_string(l, &key, a));
	if (!take_char(l, ':'))
		return malformed(l, "a colon");
	if (strcmp(key, "descr") == 0 && !h->has_descr) {
		h->has_descr = true;
		return take_descr(l, h, a);
	}
	if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
		h->has_order = true;
		return take_order(l, h);
	}
	if (strcmp(key, "shape") == 0 && !h->has_shape) {
		h->has_shape = true;
		return take_shape(l, h);
	}
	return fail(ERR_PARSE,
		"%s: its header has a key \"%.40s\"; descr, fortran_order and shape are right, "
		"each once",
		l->path, key);
}

static int parse_header(const char *text, const char *path, struct header *h, struct arena *a)
{
	struct literal l = { .at = text, .path = path };

	*h = (struct header){ 0 };
	if (!take_char(&l, '{'))
		return malformed(&l, "a dictionary");
	while (!take_char(&l, '}')) {
		TRY(take_entry(&l, h, a));
		skip_blanks(&l);
		if (!take_char(&l, ',') && *l.at != '}')
			return malformed(&l, "a comma or the end of the dictionary");
	}
	skip_blanks(&l);
	if (*l.at != '\0')
		return malformed(&l, "the end of the header");
	if (!h->has_descr || !h->has_order || !h->has_shape)
		return fail(ERR_PARSE, "%s: its header lacks %s", path,
			!h->has_descr   ? "descr, the type"
			: !h->has_order ? "fortran_order"
					: "shape");
	return OK;
}

static int read_header(FILE *f, const char *path, struct header *h, struct arena *a)
{
	unsigned char start[START], length[4] = { 0 };

	TRY(take(f, path, start, START, "first bytes"));
	if (memcmp(start, magic, MAGIC) != 0)
		return fail(ERR_PARSE,
			"%s: does not begin as a .npy file does; numpy.save writes one", path);
	if (start[MAGIC] < 1 || start[MAGIC] > 3 || start[MAGIC + 1] != 0)
		return fail(ERR_PARSE, "%s: version %d.%d of the format; 1.0, 2.0 or 3.0 is needed",
			path, start[MAGIC], start[MAGIC + 1]);
	TRY(take(f, path, length, start[MAGIC] == 1 ? 2 : 4, "first bytes"));
	size_t n = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 |
		   (size_t)length[3] << 24;
	if (n > HEADER_MAX)
		return fail(ERR_PARSE, "%s: a header of %zu bytes; at most %d are right", path, n,
			HEADER_MAX);
	char *text = arena_zalloc(a, n + 1, 1);
	TRY(take(f, path, text, n, "header"));
	if (strlen(text) != n)
		return fail(ERR_PARSE, "%s: its header contains a zero byte; it should be text",
			path);
	return parse_header(text, path, h, a);
}

/* --- the data -------------------------------------------------------------------------------- */

/* A type that can be read. */
struct type {
	size_t size;
	bool swapped;
};

static int type_of(const struct header *h, const char *path, struct type *out)
{
	const uint16_t one = 1;
	const bool little = *(const unsigned char *)&one == 1;
	const char *d = h->descr;

	*out = (struct type){ .size = strcmp(d + (*d != '\0'), "f4") == 0   ? 4
				      : strcmp(d + (*d != '\0'), "f8") == 0 ? 8
									    : 0,
		.swapped = *d == (little ? '>' : '<') };
	if (out->size > 0 && (*d == '<' || *d == '>' || *d == '='))
		return OK;
	return fail(ERR_PARSE,
		"%s: its type is %.*s; float32 ('<f4') or float64 ('<f8') is needed: "
		"x.astype('float64')",
		path, SHOWN, d);
}

static int shape_of(const struct header *h, const char *path, struct npy *out)
{
	if (h->n_dims < 1 || h->n_dims > 2)
		return fail(ERR_PARSE,
			"%s: an array of %zu dimensions; 1 or 2 are needed: x.reshape(n, dim)",
			path, h->n_dims);
	uint64_t rows = h->dims[0], cols = h->n_dims == 2 ? h->dims[1] : 1;
	if (rows == 0 || cols == 0)
		return fail(ERR_PARSE,
			"%s: an array of %llu by %llu, without numbers; at least one row is needed",
			path, (unsigned long long)rows, (unsigned long long)cols);
	if (rows > SIZE_MAX / 16 / cols)
		return fail(ERR_PARSE, "%s: an array of %llu by %llu: too large", path,
			(unsigned long long)rows, (unsigned long long)cols);
	out->rows = (size_t)rows;
	out->cols = (size_t)cols;
	return OK;
}

static double number_at(const unsigned char *bytes, struct type t)
{
	unsigned char b[8];
	float narrow;
	double wide;

	for (size_t i = 0; i < t.size; i++)
		b[i] = bytes[t.swapped ? t.size - 1 - i : i];
	if (t.size == 4) {
		memcpy(&narrow, b, sizeof(narrow));
		return (double)narrow;
	}
	memcpy(&wide, b, sizeof(wide));
	return wide;
}

/* n numbers as they lie in the file, to be freed; memory grows with what is there. */
static int read_numbers(FILE *f, const char *path, size_t n, struct type t, double **out)
{
	enum { PIECE = 1 << 16 };
	unsigned char bytes[8 * 1024];
	const size_t piece = sizeof(bytes) / t.size;
	size_t room = 0, got = 0;
	double *x = NULL;
	int code = OK;

	while (code == OK && got < n) {
		size_t wanted = n - got < piece ? n - got : piece;
		size_t here = fread(bytes, 1, wanted * t.size, f);
		if (here < wanted * t.size) {
			code = ferror(f) ? fail(ERR_IO, "%s: cannot be read: %s", path,
						   strerror(errno))
					 : fail(ERR_PARSE,
						   "%s: ends after %zu of the %zu numbers that its "
						   "header promises",
						   path, got + here / t.size, n);
			break;
		}
		if (got + wanted > room) {
			room = room > 0 ? 2 * room : PIECE;
			x = realloc(x, room * sizeof(*x));
			invariant(x != NULL);
		}
		for (size_t i = 0; i < wanted; i++)
			x[got + i] = number_at(bytes + i * t.size, t);
		got += wanted;
	}
	if (code == OK && getc(f) != EOF)
		code = fail(ERR_PARSE,
			"%s: goes on after the %zu numbers that its header promises; one array is "
			"needed",
			path, n);
	if (code != OK)
		free(x);
	else
		*out = x;
	return code;
}

int npy_read_stream(struct npy *out, FILE *f, const char *path, struct arena *a)
{
	struct header h;
	struct type t;
	double *x;

	*out = (struct npy){ .path = strcmp(path, "-") == 0 ? "standard input"
							    : arena_strdup(a, path) };
	TRY(read_header(f, out->path, &h, a));
	TRY(type_of(&h, out->path, &t));
	TRY(shape_of(&h, out->path, out));
	const size_t rows = out->rows, cols = out->cols;
	TRY(read_numbers(f, out->path, rows * cols, t, &x));
	out->x = arena_alloc(a, rows * cols, sizeof(*out->x));
	for (size_t i = 0; i < rows; i++)
		for (size_t k = 0; k < cols; k++)
			out->x[i * cols + k] = x[h.by_columns ? k * rows + i : i * cols + k];
	free(x);
	return OK;
}
