#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"

static void width_counts_characters(void **state)
{
	(void)state;
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("log Z"), 5);
	assert_int_equal(text_width("log ρ ± …"), 9);
}

static void lines_are_broken_at_blanks(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *indent, *wrapped;
	} cases[] = {
		{ "", 10, "  ", "" },
		{ "short", 10, "  ", "short" },
		{ "exactly 10", 10, "", "exactly 10" },
		{ "exactly 100", 10, "", "exactly\n100" },
		{ "one two three four", 9, "> ", "one two\n> three\n> four" },
		{ "a wordthatistoolong for it", 8, "", "a\nwordthatistoolong\nfor it" },
		{ "ρρρ ρρρ ρρρ", 7, "", "ρρρ ρρρ\nρρρ" },
		{ "kept\nbreaks too", 20, " ", "kept\n breaks too" },
	};
	struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(text_wrap(cases[i].text, cases[i].width, cases[i].indent, a),
			cases[i].wrapped);
	arena_free(a);
}

static void long_texts_are_cut_after_a_word(void **state)
{
	struct arena *a = arena_new();

	(void)state;
	assert_string_equal(text_cut("as it is", 8, a), "as it is");
	assert_string_equal(text_cut("Blessing et al. 2024", 14, a), "Blessing et …");
	for (size_t width = 12; width < 40; width++)
		assert_in_range(text_width(text_cut("Noé, Olsson, Köhler and Wu 2019, Science 365",
					width, a)),
			1, width);
	arena_free(a);
}

static void what_is_no_character_is_marked(void **state)
{
	static const struct {
		const char *text, *repaired;
	} cases[] = {
		{ "", "" }, { "log ρ … \xf0\x9f\x98\x80", "log ρ … \xf0\x9f\x98\x80" },
		{ "caf\xe9 au lait", "caf? au lait" },
		{ "\xa9\xc3\xa9", "?é" },              /* begins within a character */
		{ "\xc3\xa9\xe2\x82", "é??" },         /* ends within one */
		{ "\xc0\x80 \xe0\x9f\xbf", "?? ???" }, /* longer than need be */
		{ "\xed\xa0\x80", "???" },             /* half a surrogate pair */
		{ "\xf4\x90\x80\x80\xff", "?????" },   /* beyond U+10FFFF */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];
		strcpy(text, cases[i].text);
		text_repair(text);
		assert_string_equal(text, cases[i].repaired);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(width_counts_characters),
		cmocka_unit_test(what_is_no_character_is_marked),
		cmocka_unit_test(lines_are_broken_at_blanks),
		cmocka_unit_test(long_texts_are_cut_after_a_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
