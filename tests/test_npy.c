/* NumPy's files, written here byte by byte as numpy.save writes them, and damaged. */
#include "core/error.h"
#include "core/npy.h"
#include "core/rng.h"
#include "core/table_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* cmocka's fail() gives way to stride's. */
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))

enum { FILE_MAX = 4096 };

struct fixture {
	struct arena *a;
	char path[64];
	unsigned char bytes[FILE_MAX];
	size_t n;
};

static int setup(void **p)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->a = arena_new();
	strcpy(f->path, "/tmp/stride_npy_XXXXXX");
	close(mkstemp(f->path));
	*p = f;
	return 0;
}

static int teardown(void **p)
{
	struct fixture *f = *p;

	unlink(f->path);
	arena_free(f->a);
	free(f);
	return 0;
}

static void add_bytes(struct fixture *f, const void *bytes, size_t n)
{
	assert_true(f->n + n <= FILE_MAX);
	memcpy(f->bytes + f->n, bytes, n);
	f->n += n;
}

/* Magic string, version, and the header padded with blanks to a multiple of 64 bytes. */
static void add_header(struct fixture *f, int version, const char *dictionary)
{
	const unsigned char start[8] = { 0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0 };
	size_t width = version == 1 ? 2 : 4, length = strlen(dictionary) + 1;

	length += (64 - (8 + width + length) % 64) % 64;
	f->n = 0;
	add_bytes(f, start, 8);
	for (size_t i = 0; i < width; i++)
		add_bytes(f, &(unsigned char){ (unsigned char)(length >> 8 * i) }, 1);
	add_bytes(f, dictionary, strlen(dictionary));
	for (size_t i = strlen(dictionary); i + 1 < length; i++)
		add_bytes(f, " ", 1);
	add_bytes(f, "\n", 1);
	assert_int_equal(f->n % 64, 0);
}

/* n numbers of `size` bytes in this byte order, whichever this machine's is. */
static void add_numbers(struct fixture *f, const double *x, size_t n, size_t size, bool big)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t bits = 0;
		uint32_t narrow;
		float y = (float)x[i];
		memcpy(&bits, &x[i], 8);
		memcpy(&narrow, &y, 4);
		if (size == 4)
			bits = narrow;
		for (size_t k = 0; k < size; k++)
			add_bytes(f,
				&(unsigned char){
					(unsigned char)(bits >> 8 * (big ? size - 1 - k : k)) },
				1);
	}
}

static void put(const struct fixture *f)
{
	FILE *file = fopen(f->path, "wb");

	assert_int_equal(fwrite(f->bytes, 1, f->n, file), f->n);
	fclose(file);
}

static int read_back(const struct fixture *f, struct table_file *t)
{
	put(f);
	return table_file_read(t, f->path, f->a);
}

static const double numbers[6] = { 1.5, -0.25, 3e38, 0x1p-149, -7, 1024.125 };

#define HEADER(descr, order, shape) \
	"{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }"

static void test_types_orders_and_versions(void **p)
{
	static const struct {
		const char *header;
		int version;
		size_t size, rows, cols;
		bool big, by_columns;
	} cases[] = {
		{ HEADER("<f8", "False", "(3, 2)"), 1, 8, 3, 2, false, false },
		{ HEADER("<f8", "False", "(3, 2)"), 2, 8, 3, 2, false, false },
		{ HEADER("<f4", "False", "(2, 3)"), 3, 4, 2, 3, false, false },
		{ HEADER("<f8", "True", "(3, 2)"), 1, 8, 3, 2, false, true },
		{ HEADER("<f4", "True", "(2, 3)"), 1, 4, 2, 3, false, true },
		{ HEADER(">f8", "False", "(2, 3)"), 1, 8, 2, 3, true, false },
		{ HEADER(">f4", "True", "(3, 2)"), 1, 4, 3, 2, true, true },
		{ HEADER("<f8", "False", "(6,)"), 1, 8, 6, 1, false, false },
		{ HEADER("<f8", "True", "(6,)"), 1, 8, 6, 1, false, true },
		{ HEADER("<f8", "False", "(3L, 2L)"), 1, 8, 3, 2, false, false },
		{ "{\"shape\":(1,6),\"fortran_order\":False,\"descr\":\"<f8\"}", 1, 8, 1, 6, false,
			false },
	};
	struct fixture *f = *p;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct table_file t;
		add_header(f, cases[c].version, cases[c].header);
		add_numbers(f, numbers, 6, cases[c].size, cases[c].big);
		if (read_back(f, &t) != OK)
			fail_msg("%s: %s", cases[c].header, error_text());
		assert_int_equal(t.rows, cases[c].rows);
		assert_int_equal(t.cols, cases[c].cols);
		assert_null(t.names);
		for (size_t i = 0; i < t.rows; i++)
			for (size_t k = 0; k < t.cols; k++) {
				double x = numbers[cases[c].by_columns ? k * t.rows + i
								       : i * t.cols + k];
				assert_true(t.x[i * t.cols + k] ==
					    (cases[c].size == 4 ? (double)(float)x : x));
			}
	}
}

static void test_refuses(void **p)
{
	static const struct {
		const char *header, *what;
	} bad[] = {
		{ HEADER("<i8", "False", "(6,)"), "its type is <i8; float32" },
		{ HEADER("<f2", "False", "(6,)"), "<f2" },
		{ HEADER("<c16", "False", "(3,)"), "<c16" },
		{ HEADER("|O", "False", "(6,)"), "|O" },
		{ HEADER("|b1", "False", "(48,)"), "astype('float64')" },
		{ HEADER("f8", "False", "(6,)"), "its type is f8" },
		{ HEADER("", "False", "(6,)"), "float64 ('<f8') is needed" },
		{ "{'descr': [('a', '<f8'), ('b', '<f8')], 'fortran_order': False, 'shape': (3,)}",
			"[('a', '<f8'), ('b', '<f8')]" },
		{ HEADER("<f8", "False", "()"), "0 dimensions; 1 or 2 are needed" },
		{ HEADER("<f8", "False", "(3, 2, 1)"), "3 dimensions" },
		{ HEADER("<f8", "False", "(0,)"), "without numbers" },
		{ HEADER("<f8", "False", "(3, 0)"), "3 by 0" },
		{ HEADER("<f8", "False", "(7,)"), "ends after 6 of the 7 numbers" },
		{ HEADER("<f8", "False", "(1000000000, 1000)"), "ends after 6 of" },
		{ HEADER("<f8", "False", "(18446744073709551615, 9)"), "too large" },
		{ HEADER("<f8", "False", "(99999999999999999999, 2)"), "a smaller shape" },
		{ HEADER("<f8", "False", "(5,)"), "goes on after the 5 numbers" },
		{ HEADER("<f8", "False", "(-6,)"), "a shape like (3, 4)" },
		{ HEADER("<f8", "False", "(6 6)"), "a comma" },
		{ HEADER("<f8", "False", "6"), "a shape like" },
		{ HEADER("<f8", "0", "(6,)"), "True or False" },
		{ HEADER("<f8", "Falsehood", "(6,)"), "True or False" },
		{ "{'descr': '<f8', 'shape': (6,)}", "lacks fortran_order" },
		{ "{'fortran_order': False, 'shape': (6,)}", "lacks descr" },
		{ "{'descr': '<f8', 'fortran_order': False}", "lacks shape" },
		{ "{'descr': '<f8', 'descr': '<f8'}", "key \"descr\"" },
		{ "{'order': 'C'}", "key \"order\"" },
		{ "{'descr': '<f8'", "a comma or the end of the dictionary" },
		{ "{'descr", "a text in quotes" },
		{ "[]", "a dictionary" },
		{ HEADER("<f8", "False", "(6,)") " x", "the end of the header" },
	};
	struct fixture *f = *p;
	struct table_file t;

	for (size_t c = 0; c < sizeof(bad) / sizeof(bad[0]); c++) {
		add_header(f, 1, bad[c].header);
		add_numbers(f, numbers, 6, 8, false);
		assert_int_equal(read_back(f, &t), ERR_PARSE);
		if (strstr(error_text(), bad[c].what) == NULL ||
			strstr(error_text(), f->path) != error_text())
			fail_msg("%s gave \"%s\"", bad[c].header, error_text());
	}
	add_header(f, 4, HEADER("<f8", "False", "(6,)"));
	assert_int_equal(read_back(f, &t), ERR_PARSE);
	assert_non_null(strstr(error_text(), "version 4.0"));
}

/* Cut anywhere, a file is refused. */
static void test_truncated(void **p)
{
	struct fixture *f = *p;
	struct table_file t;

	add_header(f, 1, HEADER("<f8", "False", "(3, 2)"));
	add_numbers(f, numbers, 6, 8, false);
	for (size_t whole = f->n; f->n-- > 1;) {
		assert_int_equal(read_back(f, &t), ERR_PARSE);
		assert_true(f->n < whole);
	}
}

/* Whatever the bytes, reading ends in a table or in an error that names the file. */
static void test_any_bytes(void **p)
{
	static const char pieces[] = "{}()[]',:\"<>fL 0123456789descrTruFalse_\n\xff";
	const struct rng r = { 1, RNG_TEST, 0 };
	struct fixture *f = *p;
	size_t read = 0;

	for (uint64_t i = 0; i < 4000; i++) {
		struct arena_mark mark = arena_mark(f->a);
		struct table_file t;
		add_header(f, 1 + (int)(i % 3), HEADER("<f8", "False", "(3, 2)"));
		add_numbers(f, numbers, 6, 8, false);
		/* Some bytes of the header, the length among them, become others. */
		uint64_t changes = rng_below(r, 0, i, 0, 4);
		for (uint32_t k = 0; k < changes; k++) {
			uint64_t c = rng_below(r, 2, i, k, sizeof(pieces) + 8);
			f->bytes[6 + rng_below(r, 1, i, k, 70)] = c < sizeof(pieces)
									  ? (unsigned char)pieces[c]
									  : (unsigned char)(c * 37);
		}
		if (read_back(f, &t) == OK) {
			assert_true(t.rows > 0 && t.cols > 0);
			read++;
		} else {
			assert_ptr_equal(strstr(error_text(), f->path), error_text());
		}
		arena_release(f->a, mark);
	}
	assert_in_range(read, 500, 3500); /* both happened */
}

/* Which of the two a file is, is in its bytes; one that is called .npy has to be it. */
static void test_either_kind(void **p)
{
	struct fixture *f = *p;
	struct table_file t;
	char named[80];

	f->n = 0;
	add_bytes(f, "a,b\n# c\n1,nan\n-inf,2\n", 21);
	assert_int_equal(read_back(f, &t), OK);
	assert_string_equal(t.names[1], "b");
	assert_true(isnan(t.x[1]));
	assert_string_equal(strrchr(table_file_place(&t, 1, f->a), ':'), ":4");
	assert_int_equal(table_file_finite(&t), ERR_PARSE);
	assert_non_null(strstr(error_text(), ":3: column 2 is nan, and 2 of 2 rows"));

	snprintf(named, sizeof(named), "%s.npy", f->path);
	assert_int_equal(rename(f->path, named), 0);
	assert_int_equal(table_file_read(&t, named, f->a), ERR_PARSE);
	assert_non_null(strstr(error_text(), "does not begin as a .npy file does"));
	unlink(named);
	assert_int_equal(table_file_read(&t, "/tmp/none.npz", f->a), ERR_PARSE);
	assert_int_equal(table_file_read(&t, "/tmp/no such file", f->a), ERR_IO);

	const double bad[] = { 1, 2, 3, -HUGE_VAL };
	add_header(f, 1, HEADER("<f8", "False", "(2, 2)"));
	add_numbers(f, bad, 4, 8, false);
	assert_int_equal(read_back(f, &t), OK);
	assert_int_equal(table_file_finite(&t), ERR_PARSE);
	assert_non_null(strstr(error_text(), ": row 2: column 2 is -inf, and 1 of 2 rows"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_types_orders_and_versions),
		TEST(test_refuses),
		TEST(test_truncated),
		TEST(test_any_bytes),
		TEST(test_either_kind),
	};

	return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
