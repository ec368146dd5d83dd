/* The target that a command names, with the options that it sets. */
#include "cli/cli.h"
#include "stride.h"

/* Split TARGET.OPTION=VALUE. What a user is most likely to have meant is in the message. */
static int parse_set(struct setting *out, const char *target, const char *set, struct arena *a)
{
	char *word = arena_strdup(a, set), *equals = strchr(word, '='), *dot = strchr(word, '.');

	if (equals == NULL || equals == word)
		return fail(ERR_PARSE,
			"--set %.80s: it takes TARGET.OPTION=VALUE, as in --set %s.OPTION=VALUE",
			set, target);
	if (dot == NULL || dot > equals)
		return fail(ERR_PARSE, "--set %.80s: it takes TARGET.OPTION=VALUE: --set %s.%.80s",
			set, target, set);
	*equals = '\0';
	*dot = '\0';
	*out = (struct setting){ dot + 1, equals + 1 };
	if (strcmp(word, target) != 0)
		return fail(ERR_PARSE, "--set %.80s: the target is %s: --set %s.%.80s", set, target,
			target, set + (dot + 1 - word));
	return OK;
}

int cli_settings(struct setting **out, const char *target, const struct texts *sets,
	struct arena *a)
{
	*out = ARENA_NEW(a, sets->n, struct setting);
	if (target_find(target) == NULL) /* before a complaint of its options */
		return ERR_NAME;
	for (size_t i = 0; i < sets->n; i++)
		TRY(parse_set(&(*out)[i], target, sets->items[i], a));
	return OK;
}

int cli_density(struct density **d, const char *target, const struct texts *sets, struct arena *a)
{
	struct setting *settings;

	TRY(cli_settings(&settings, target, sets, a));
	return density_new(d, target, settings, sets->n, a);
}
