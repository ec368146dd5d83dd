#include "cli/args.h"
#include "core/error.h"
#include "core/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLAGS_MAX = 32 };

/* The flag of "--name" or "-l"; *value is what follows "=", or the letter, or NULL. */
static const struct flag *flag_find(const struct flag *flags, const char *word, const char **value)
{
	bool is_long = word[1] == '-';
	size_t n = is_long ? strcspn(word + 2, "=") : 1;

	for (const struct flag *f = flags; f->name != NULL; f++) {
		if (is_long ? strlen(f->name) != n || strncmp(f->name, word + 2, n) != 0
			    : f->letter != word[1])
			continue;
		const char *rest = word + (is_long ? 2 : 1) + n;
		*value = *rest == '\0' ? NULL : is_long ? rest + 1 : rest;
		return f;
	}
	return NULL;
}

static int unknown_flag(const struct command *c, const struct flag *flags, const char *word,
	struct arena *a)
{
	const char *names[FLAGS_MAX + 1];
	size_t n = 0;

	/* A single letter is near to nothing. */
	for (const struct flag *f = flags; word[1] == '-' && f->name != NULL && n < FLAGS_MAX; f++)
		names[n++] = arena_printf(a, "--%s", f->name);
	names[n] = NULL;
	return option_unknown("unknown option",
		arena_printf(a, "%.*s", (int)strcspn(word, "="), word), names,
		arena_printf(a, "stride %s --help", c->name));
}

static int bad_value(const struct flag *f, const char *value, const char *right)
{
	return fail(ERR_PARSE, "--%s %.80s: it takes %s", f->name, value, right);
}

static int set_flag(const struct flag *f, const char *value, struct arena *a)
{
	unsigned long long number = 0;
	char *end = NULL;

	if (f->type == FLAG_SIZE || f->type == FLAG_SEED) {
		errno = 0;
		number = strtoull(value, &end, 10);
		if (*value < '0' || *value > '9' || *end != '\0' || errno == ERANGE ||
			number > INT64_MAX)
			return bad_value(f, value, "a whole number below 2^63");
	}
	switch (f->type) {
	case FLAG_BOOL:
		*(bool *)f->value = true;
		return OK;
	case FLAG_TEXT:
		*(const char **)f->value = value;
		return OK;
	case FLAG_TEXTS: {
		struct texts *t = f->value;
		const char **items = ARENA_NEW(a, t->n + 1, const char *);
		if (t->n > 0)
			memcpy(items, t->items, t->n * sizeof(*items));
		items[t->n++] = value;
		t->items = items;
		return OK;
	}
	case FLAG_SIZE:
		if (number < 1)
			return bad_value(f, value, "a number from 1");
		*(size_t *)f->value = (size_t)number;
		return OK;
	case FLAG_SEED:
		*(uint64_t *)f->value = number;
		return OK;
	}
	error_abort(__FILE__, __LINE__, "a flag of unknown type");
}

int args_parse(const struct command *c, const struct flag *flags, int argc, char **argv,
	struct texts *words, bool *help, struct arena *a)
{
	bool flags_end = false;

	*words = (struct texts){ 0, ARENA_NEW(a, (size_t)argc + 1, const char *) };
	*help = false;
	for (int i = 0; i < argc; i++)
		*help = *help || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
	if (*help)
		return OK;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *value = NULL;
		if (flags_end || word[0] != '-' || word[1] == '\0') {
			words->items[words->n++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			flags_end = true;
			continue;
		}
		const struct flag *f = flag_find(flags, word, &value);
		if (f == NULL)
			return unknown_flag(c, flags, word, a);
		if (f->type == FLAG_BOOL && value != NULL)
			return fail(ERR_PARSE, "--%s takes no value", f->name);
		if (f->type != FLAG_BOOL && value == NULL && i + 1 < argc)
			value = argv[++i];
		if (f->type != FLAG_BOOL && value == NULL)
			return fail(ERR_PARSE, "--%s: its value is missing; it takes %s", f->name,
				f->argument);
		TRY(set_flag(f, value, a));
	}
	if (words->n < c->min_words)
		return fail(ERR_PARSE, "stride %s takes %s; see stride %s --help", c->name,
			c->arguments, c->name);
	if (words->n > c->max_words)
		return fail(ERR_PARSE, "\"%.80s\" is too much; stride %s takes %s",
			words->items[c->max_words], c->name,
			c->arguments[0] != '\0' ? c->arguments : "no more words");
	return OK;
}

void args_help(const struct command *c, const struct flag *flags, FILE *out)
{
	fprintf(out, "stride %s%s%s%s\n%s.\n", c->name, c->arguments[0] != '\0' ? " " : "",
		c->arguments, flags->name != NULL ? " [OPTION]..." : "", c->summary);
	if (flags->name != NULL)
		fputc('\n', out);
	for (const struct flag *f = flags; f->name != NULL; f++) {
		char left[64];
		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", f->letter != 0 ? '-' : ' ',
			f->letter != 0 ? f->letter : ' ', f->letter != 0 ? ", " : "  ", f->name,
			f->argument != NULL ? " " : "", f->argument != NULL ? f->argument : "");
		fprintf(out, "  %-30s  %s\n", left, f->help);
	}
}
