#include "core/option.h"
#include "core/error.h"
#include "core/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_NEAR = 64, RANGE_MAX = 256, LINE_WIDTH = 100, LINE_MIN = 40 };

static const char *const true_words[] = { "true", "yes", "on", "1", NULL };
static const char *const false_words[] = { "false", "no", "off", "0", NULL };

static const struct option *option_find(const struct option *table, const char *key)
{
	for (const struct option *o = table; o != NULL && o->key != NULL; o++)
		if (strcmp(o->key, key) == 0)
			return o;
	return NULL;
}

static int word_index(const char *word, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strcasecmp(word, words[i]) == 0)
			return i;
	return -1;
}

static void *field(const struct option *o, void *state)
{
	return (char *)state + o->offset;
}

static const void *field_const(const struct option *o, const void *state)
{
	return (const char *)state + o->offset;
}

/* What would be a right value: "a number from 0 to 1", "one of a, b". */
static void describe(const struct option *o, char text[RANGE_MAX])
{
	size_t used = 0;

	switch (o->type) {
	case OPTION_REAL:
		snprintf(text, RANGE_MAX, "a number from %g to %g", o->min, o->max);
		break;
	case OPTION_INT:
		snprintf(text, RANGE_MAX, "an integer from %.0f to %.0f", o->min, o->max);
		break;
	case OPTION_BOOL:
		snprintf(text, RANGE_MAX, "true or false");
		break;
	case OPTION_TEXT:
		snprintf(text, RANGE_MAX, "the name of a file");
		break;
	case OPTION_STRING:
		snprintf(text, RANGE_MAX, "a text");
		break;
	case OPTION_CHOICE:
		used = (size_t)snprintf(text, RANGE_MAX, "one of");
		for (int i = 0; o->choices[i] != NULL && used < RANGE_MAX; i++)
			used += (size_t)snprintf(text + used, RANGE_MAX - used, "%s %s",
				i > 0 ? "," : "", o->choices[i]);
		break;
	}
}

/* Is [text, end) the whole of a non-empty text? */
static bool whole(const char *text, const char *end)
{
	return end != text && *end == '\0';
}

static int set_field(const struct option *o, void *state, const char *value, struct arena *a)
{
	char *end = NULL;

	errno = 0;
	switch (o->type) {
	case OPTION_REAL: {
		double x = strtod(value, &end);
		if (!whole(value, end))
			return ERR_PARSE;
		if (!(x >= o->min && x <= o->max))
			return ERR_RANGE;
		*(double *)field(o, state) = x;
		return OK;
	}
	case OPTION_INT: {
		long x = strtol(value, &end, 10);
		if (!whole(value, end))
			return ERR_PARSE;
		if (errno == ERANGE || !((double)x >= o->min && (double)x <= o->max))
			return ERR_RANGE;
		*(long *)field(o, state) = x;
		return OK;
	}
	case OPTION_BOOL: {
		bool yes = word_index(value, true_words) >= 0;
		if (!yes && word_index(value, false_words) < 0)
			return ERR_PARSE;
		*(bool *)field(o, state) = yes;
		return OK;
	}
	case OPTION_CHOICE: {
		int i = word_index(value, o->choices);
		if (i < 0)
			return ERR_PARSE;
		*(int *)field(o, state) = i;
		return OK;
	}
	case OPTION_TEXT:
		/* Not standard input: the file is read for each instance of a density. */
		if (strcmp(value, "-") == 0 || (*value == '\0' && *o->value != '\0'))
			return ERR_PARSE;
		*(const char **)field(o, state) = arena_strdup(a, value);
		return OK;
	case OPTION_STRING:
		*(const char **)field(o, state) = arena_strdup(a, value);
		return OK;
	}
	error_abort(__FILE__, __LINE__, "an option of unknown type");
}

void option_defaults(const struct option *table, void *state, struct arena *a)
{
	for (const struct option *o = table; o != NULL && o->key != NULL; o++)
		if (set_field(o, state, o->value, a) != OK)
			error_abort(__FILE__, __LINE__,
				arena_printf(a, "the default \"%s\" of option %s is not valid",
					o->value, o->key));
}

/* ERR_NAME for a key that the table does not have. */
static int unknown_key(const struct option *table, const char *owner, const char *key)
{
	size_t n = 0;

	while (table != NULL && table[n].key != NULL)
		n++;
	if (n == 0)
		return fail(ERR_NAME, "%s has no option \"%s\"; it has none", owner, key);

	const char **keys = calloc(n + 1, sizeof(*keys));
	invariant(keys != NULL);
	for (size_t i = 0; i < n; i++)
		keys[i] = table[i].key;
	const char *near = option_nearest(key, keys);
	int code = near != NULL ? fail(ERR_NAME, "%s has no option \"%s\"; the nearest is \"%s\"",
					  owner, key, near)
				: fail(ERR_NAME, "%s has no option \"%s\"; its first is \"%s\"",
					  owner, key, keys[0]);
	free(keys);
	return code;
}

int option_set(const struct option *table, void *state, const char *owner, const char *key,
	const char *value, struct arena *a)
{
	const struct option *o = option_find(table, key);
	char right[RANGE_MAX];

	if (o == NULL)
		return unknown_key(table, owner, key);
	int code = set_field(o, state, value, a);
	if (code == OK)
		return OK;
	describe(o, right);
	return fail(code, "%s: option \"%s\" is \"%s\"; it takes %s", owner, key, value, right);
}

/* The shortest of 15, 16 or 17 digits that reads back as x. */
static const char *number_text(double x, struct arena *a)
{
	for (int digits = 15; digits < 17; digits++) {
		const char *s = arena_printf(a, "%.*g", digits, x);
		double back = strtod(s, NULL);
		if (memcmp(&back, &x, sizeof(x)) == 0)
			return s;
	}
	return arena_printf(a, "%.17g", x);
}

const char *option_text(const struct option *o, const void *state, struct arena *a)
{
	const void *p = field_const(o, state);

	switch (o->type) {
	case OPTION_REAL:
		return number_text(*(const double *)p, a);
	case OPTION_INT:
		return arena_printf(a, "%ld", *(const long *)p);
	case OPTION_BOOL:
		return *(const bool *)p ? "true" : "false";
	case OPTION_CHOICE:
		return o->choices[*(const int *)p];
	case OPTION_TEXT:
	case OPTION_STRING:
		return *(const char *const *)p;
	}
	error_abort(__FILE__, __LINE__, "an option of unknown type");
}

void option_print(const struct option *table, const void *state, FILE *out)
{
	char right[RANGE_MAX];
	int key_width = 0, value_width = 0;
	struct arena *a = arena_new();

	for (const struct option *o = table; o != NULL && o->key != NULL; o++) {
		int key = (int)strlen(o->key);
		int value = (int)strlen(state != NULL ? option_text(o, state, a) : o->value);
		key_width = key > key_width ? key : key_width;
		value_width = value > value_width ? value : value_width;
	}
	for (const struct option *o = table; o != NULL && o->key != NULL; o++) {
		const char *value = state != NULL ? option_text(o, state, a) : o->value;
		const char *other = strcmp(value, o->value) != 0
					    ? arena_printf(a, "; default %s", o->value)
					    : "";
		const int left = key_width + value_width + 6;
		describe(o, right);
		fprintf(out, "  %-*s  %-*s  %s\n", key_width, o->key, value_width, value,
			text_wrap(arena_printf(a, "%s%s%s%s (%s%s)", o->help,
					  o->unit[0] != '\0' ? " [" : "", o->unit,
					  o->unit[0] != '\0' ? "]" : "", right, other),
				left + LINE_MIN < LINE_WIDTH ? LINE_WIDTH - (size_t)left : LINE_MIN,
				arena_printf(a, "%*s", left, ""), a));
	}
	arena_free(a);
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance with transpositions of neighbours (optimal string alignment), case ignored. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t d[3][NAME_MAX_NEAR + 1];

	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			int p = tolower((unsigned char)a[i - 1]);
			int q = tolower((unsigned char)b[j - 1]);
			now[j] =
				min_size(last[j - 1] + (p != q), 1 + min_size(last[j], now[j - 1]));
			if (i > 1 && j > 1 && p == tolower((unsigned char)b[j - 2]) &&
				q == tolower((unsigned char)a[i - 2]))
				now[j] = min_size(now[j], before[j - 2] + 1);
		}
	}
	return d[n % 3][m];
}

const char *option_nearest(const char *name, const char *const *candidates)
{
	const char *best = NULL;
	size_t n = strlen(name), best_distance = 0;

	if (n == 0 || n > NAME_MAX_NEAR)
		return NULL;
	for (; *candidates != NULL; candidates++) {
		size_t m = strlen(*candidates);
		if (m > NAME_MAX_NEAR)
			continue;
		/* A name cut short ("gmm40") is near however much is missing. */
		bool start = m > n && strncasecmp(name, *candidates, n) == 0;
		size_t distance = start ? 1 : edit_distance(name, n, *candidates, m);
		bool near = distance <= 1 + n / 3;
		if (near && (best == NULL || distance < best_distance)) {
			best = *candidates;
			best_distance = distance;
		}
	}
	return best;
}

int option_unknown(const char *what, const char *name, const char *const *candidates,
	const char *see)
{
	const char *nearest = option_nearest(name, candidates);

	return nearest != NULL
		       ? fail(ERR_NAME, "%s \"%.80s\"; did you mean \"%s\"?", what, name, nearest)
		       : fail(ERR_NAME, "%s \"%.80s\"; see %s", what, name, see);
}
