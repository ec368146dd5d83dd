#include "core/text.h"

#include <stdbool.h>
#include <string.h>

static bool starts_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += starts_character(*text);
	return n;
}

/* Bytes of the character at s; 0: none is there. Shortest forms alone, no surrogates, up to U+10FFFF
 * (RFC 3629, section 4). */
static size_t character_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80   ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;
	const unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	const unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

	if (n > 1 && (s[1] < low || s[1] > high))
		return 0;
	for (size_t i = 2; i < n; i++)
		if (starts_character((char)s[i]))
			return 0;
	return n;
}

void text_repair(char *text)
{
	for (size_t n; *text; text += n) {
		n = character_length((const unsigned char *)text);
		if (n == 0) {
			*text = '?';
			n = 1;
		}
	}
}

/* Bytes of the longest beginning that has at most width characters and ends before a blank or at the
 * end of the line; of the first word when that is longer. */
static size_t line_length(const char *text, size_t width)
{
	size_t best = 0, n = 0, i = 0;

	for (; text[i] && text[i] != '\n'; i++) {
		if (text[i] == ' ' && (n <= width || !best))
			best = i;
		n += starts_character(text[i]);
		if (n > width && best)
			return best;
	}
	return i;
}

char *text_wrap(const char *text, size_t width, const char *indent, struct arena *a)
{
	char *out = arena_strdup(a, "");

	while (*text) {
		const size_t n = line_length(text, width);

		out = arena_printf(a, "%s%s%s%.*s", out, *out ? "\n" : "", *out ? indent : "",
			(int)n, text);
		text += n;
		text += *text == '\n' ? 1 : strspn(text, " ");
	}
	return out;
}

const char *text_cut(const char *text, size_t width, struct arena *a)
{
	if (text_width(text) <= width)
		return text;
	return arena_printf(a, "%.*s …", (int)line_length(text, width - 2), text);
}
