#include "core/csv.h"
#include "core/error.h"
#include "core/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct arena *a;
	char path[64];
};

static int setup(void **p)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->a = arena_new();
	strcpy(f->path, "/tmp/stride_csv_XXXXXX");
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

static void put_bytes(const struct fixture *f, const char *bytes, size_t n)
{
	FILE *file = fopen(f->path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	fclose(file);
}

static void put(const struct fixture *f, const char *text)
{
	put_bytes(f, text, strlen(text));
}

static void test_reads(void **p)
{
	struct fixture *f = *p;
	struct csv t;

	put(f, "# source\r\n\n a , b\r\n# more\r\n 1,2e3\r\n-0.5 ,\t7\n");
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_int_equal(t.rows, 2);
	assert_int_equal(t.cols, 2);
	assert_string_equal(t.names[1], "b");
	assert_int_equal(csv_column(&t, "b"), 1);
	assert_int_equal(csv_column(&t, "c"), 2);
	assert_int_equal(t.line[0], 5);
	assert_int_equal(t.line[1], 6);
	const double expected[] = { 1, 2000, -0.5, 7 };
	assert_memory_equal(t.x, expected, sizeof(expected));
}

static void test_header_is_optional(void **p)
{
	struct fixture *f = *p;
	struct csv t;

	put(f, "1,2\n3,4");
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_null(t.names);
	assert_int_equal(t.rows, 2);
	put(f, "\"a 1\",'b',\"\n1,2,3\n"); /* a name may be in quotes, or be one */
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_string_equal(t.names[0], "\"a 1\"");
	assert_int_equal(t.rows, 1);
	put(f, "\xef\xbb\xbf"
	       "a,b\n1,2\n"); /* a byte order mark is no part of the first name */
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_string_equal(t.names[0], "a");
	put(f, "\xef\xbb\xbf"
	       "1.5,2\n3,4\n");
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_true(t.rows == 2 && t.x[0] == 1.5);
	put(f, "0,1\n1,0\n0.5,1\n"); /* a row like its neighbour */
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_int_equal(t.rows, 3);
	put(f, "0\n-1.5\n");
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_int_equal(t.rows, 2);
	put(f, "nan,-inf\n");
	assert_int_equal(csv_read(&t, f->path, CSV_ANY, f->a), OK);
	assert_true(isnan(t.x[0]) && t.x[1] == -HUGE_VAL);
}

/* Columns by name; what is lacking is said with the header's line, or that of the first numbers. */
static void test_columns(void **p)
{
	struct fixture *f = *p;
	const char *const names[] = { "b", "a", NULL }, *const more[] = { "a", "d", NULL };
	struct csv t;
	size_t column[2];

	put(f, "# remark\na,c,b\n1,2,3\n");
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_int_equal(t.header, 2);
	assert_int_equal(csv_columns(&t, names, column), OK);
	assert_int_equal(column[0], 2);
	assert_int_equal(column[1], 0);
	assert_int_equal(csv_columns(&t, more, column), ERR_PARSE);
	assert_non_null(strstr(error_text(), ":2: no column \"d\""));
	put(f, "\n1,2,3\n");
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_int_equal(t.header, 0);
	assert_int_equal(csv_columns(&t, names, column), ERR_PARSE);
	assert_non_null(strstr(error_text(), ":2: no column \"b\""));
}

static void test_text(void **p)
{
	struct fixture *f = *p;
	struct csv t;

	put(f, "name,value\nfunnel,\n");
	assert_int_equal(csv_read_text(&t, f->path, f->a), OK);
	assert_int_equal(t.rows, 1);
	assert_string_equal(t.cell[0], "funnel");
	assert_string_equal(t.cell[1], "");
}

static void test_refuses(void **p)
{
	struct fixture *f = *p;
	static const struct {
		const char *text, *place, *what;
	} bad[] = {
		{ "", ":1:", "no numbers" },
		{ "a,b\n", ":1:", "no numbers" },
		{ "# only this\n", ":1:", "no numbers" },
		{ "a,b\n1,2\n\n3\n", ":4:", "1 field; line 1 has 2" },
		{ "1,2\n1,2,3\n", ":2:", "3 fields" },
		{ "a,b\n1,\n", ":2:", "field 2 is missing" },
		{ "a,b\n1,2\n?,2\n", ":3:", "\"?\"" },
		{ "1,2\nx,y\n", ":2:", "\"x\"" },
		{ "1,b\n1,2\n", ":1:", "\"b\"" },
		{ "\"0.5\",\"1\",\"1\"\n0.2,3,0\n", ":1:", "field 1 is \"\"0.5\"\"; a number is" },
		{ "'0.5','x'\n0.2,3\n", ":1:", "field 1 is \"'0.5'\"; a number is" },
		{ "\" 1 \",b\n1,2\n", ":1:", "field 1 is \"\" 1 \"\"" },
		{ "0,1\n0.5,-2\n", ":1:", "0, 1, ... are names of columns or a row" },
		{ ",0,1\n0,0.5,-2\n", ":1:", "field 1 is missing; a number is needed (pandas" },
		{ "NA,b\n1,2\n", ":1:", "field 1 is \"NA\"; a number is needed" },
		{ "a,?\n1,2\n", ":1:", "field 1 is \"a\"; a number is needed" },
		{ "\"nan\",b\n1,2\n", ":1:", "field 1 is \"\"nan\"\"" },
		{ "\"\",b\n1,2\n", ":1:", "field 1 is \"\"\"\"" },
		{ ",b\n1,2\n", ":1:", "field 1 is missing" },
		{ "a,b\n1,2 3\n", ":2:", "\"2 3\"" },
		{ "a,b\n1,nan\n", ":2:", "a finite number" },
		{ "a,b\n1,2\n-inf,2\n", ":3:", "a finite number" },
		{ "a,b\n1,1e999\n", ":2:", "a finite number" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct csv t;
		put(f, bad[i].text);
		assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), ERR_PARSE);
		const char *message = error_text();
		if (strstr(message, bad[i].place) == NULL || strstr(message, bad[i].what) == NULL)
			fail_msg("\"%s\" gave \"%s\"", bad[i].text, message);
		assert_ptr_equal(strstr(message, f->path), message);
	}
}

static void test_refuses_files(void **p)
{
	struct fixture *f = *p;
	struct csv t;

	put_bytes(f, "1,2\0\n", 5);
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), ERR_PARSE);
	assert_non_null(strstr(error_text(), "zero byte"));
	unlink(f->path);
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), ERR_IO);
	assert_non_null(strstr(error_text(), f->path));
	assert_int_equal(csv_read(&t, "/tmp", CSV_FINITE, f->a), ERR_IO);
}

static void test_round_trip(void **p)
{
	struct fixture *f = *p;
	const double x[] = { 0.1, -1.0 / 3, 5e-324, 1.7976931348623157e308, 0, -12345.678 };
	const char **names = csv_names("x", 3, f->a);
	FILE *file = fopen(f->path, "w");
	struct csv t;

	assert_int_equal(csv_write(file, f->path, names, 2, 3, x), OK);
	fclose(file);
	assert_int_equal(csv_read(&t, f->path, CSV_FINITE, f->a), OK);
	assert_string_equal(t.names[2], "x3");
	assert_int_equal(t.rows, 2);
	assert_memory_equal(t.x, x, sizeof(x));
}

/* Whatever the text, reading ends in a table of finite numbers or in an error that names the file. */
static void test_any_text(void **p)
{
	static const char *const pieces[] = { "1", "-2.5e3", ",", ",", ",", "\n", "\n", "\r\n", "#",
		"x", " ", "\t", "nan", "inf", "-", "e", "0x1p3", "\"", ";", "\xff", "1e400", "." };
	const struct rng r = { 1, RNG_TEST, 0 };
	struct fixture *f = *p;
	size_t read = 0;

	for (uint64_t i = 0; i < 3000; i++) {
		struct arena_mark mark = arena_mark(f->a);
		char text[256] = "";
		struct csv t;
		uint64_t length = rng_below(r, 0, i, 0, 10);
		for (uint32_t k = 0; k < length; k++)
			strcat(text,
				pieces[rng_below(r, 1, i, k, sizeof(pieces) / sizeof(pieces[0]))]);
		put(f, text);
		if (csv_read(&t, f->path, CSV_FINITE, f->a) == OK) {
			assert_true(t.rows > 0 && t.cols > 0);
			for (size_t j = 0; j < t.rows * t.cols; j++)
				assert_true(isfinite(t.x[j]));
			read++;
		} else {
			assert_ptr_equal(strstr(error_text(), f->path), error_text());
		}
		arena_release(f->a, mark);
	}
	assert_in_range(read, 100, 2900); /* both happened */
}

static void test_full_disk(void **p)
{
	FILE *full = fopen("/dev/full", "w");
	const double x = 1;

	(void)p;
	if (full == NULL)
		skip();
	assert_int_equal(csv_write(full, "/dev/full", NULL, 1, 1, &x), ERR_IO);
	fclose(full);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reads),
		TEST(test_header_is_optional),
		TEST(test_columns),
		TEST(test_text),
		TEST(test_refuses),
		TEST(test_refuses_files),
		TEST(test_round_trip),
		TEST(test_any_text),
		TEST(test_full_disk),
	};

	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
