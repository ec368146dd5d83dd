#include "cli/args.h"
#include "cli/cli.h"
#include "run/info.h"
#include "stride.h"

static const struct flag no_flags[] = { { 0 } };

/* Arguments of a command without flags. true: go on; otherwise *code is what to return. */
static bool begin(const struct command *c, int argc, char **argv, struct texts *words, int *code,
	struct arena *a)
{
	bool help;

	*code = EXIT_DONE;
	if (args_parse(c, no_flags, argc, argv, words, &help, a) != OK) {
		*code = cli_fail();
		return false;
	}
	if (help)
		args_help(c, no_flags, stdout);
	return !help;
}

/* --- list ------------------------------------------------------------------------------------- */

static void print_line(const char *name, const char *title)
{
	printf("  %-14s %s\n", name, title);
}

static void list_methods(void)
{
	for (size_t i = 0; methods[i] != NULL; i++)
		print_line(methods[i]->name, methods[i]->title);
}

static void list_targets(void)
{
	for (size_t i = 0; targets[i] != NULL; i++)
		print_line(targets[i]->name, targets[i]->title);
}

static void list_metrics(void)
{
	for (size_t i = 0; metrics[i] != NULL; i++)
		print_line(metrics[i]->name, metrics[i]->title);
}

static const struct kind {
	const char *name;
	void (*list)(void);
} kinds[] = { { "methods", list_methods }, { "targets", list_targets },
	{ "metrics", list_metrics } };
enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

static int list(const struct texts *words)
{
	bool known = words->n == 0;

	for (size_t i = 0; i < N_KINDS; i++) {
		bool wanted = words->n == 0 || strcmp(words->items[0], kinds[i].name) == 0;
		known = known || wanted;
		if (words->n == 0)
			printf("%s%s\n", i > 0 ? "\n" : "", kinds[i].name);
		if (wanted)
			kinds[i].list();
	}
	if (known)
		return EXIT_DONE;
	(void)fail(ERR_NAME, "stride list %.80s: it takes methods, targets or metrics",
		words->items[0]);
	return cli_fail();
}

int cmd_list(int argc, char **argv)
{
	static const struct command c = { "list", "[methods|targets|metrics]",
		"List what there is, by id", 0, 1 };
	struct arena *a = arena_new();
	struct texts words;
	int code;

	if (begin(&c, argc, argv, &words, &code, a))
		code = list(&words);
	arena_free(a);
	return code;
}

/* --- show ------------------------------------------------------------------------------------- */

static void show_options(const struct option *table)
{
	printf("options\n");
	if (table == NULL || table->key == NULL)
		printf("  none\n");
	else
		option_print(table, stdout);
}

static void show_method(const struct method *m)
{
	static const char *const weights[] = { [WEIGHTS_NONE] = "samples only",
		[WEIGHTS_EXACT] = "log weights, exact",
		[WEIGHTS_DETFLOW] = "log weights of the published deterministic flow: no bound",
		[WEIGHTS_BIASED] = "log weights, exact in the limit of many steps" };

	printf("method %s: %s\npaper %s\nversion %d\n", m->name, m->title, m->paper, m->version);
	printf("passes\n");
	for (const struct pass *p = m->passes; p->name != NULL; p++)
		printf("  %s%s%s%s\n", p->name, p->name[0] != '\0' ? ": " : "", weights[p->weights],
			p->steps ? "; any number of steps" : "");
	show_options(m->options);
	for (const struct preset *p = m->presets; p != NULL && p->target != NULL; p++)
		printf("%s  %-14s %s\n", p == m->presets ? "presets\n" : "", p->target,
			p->settings);
}

static void show_log_z(const struct log_z *z)
{
	switch (z->kind) {
	case LOG_Z_UNKNOWN:
		printf("log Z unknown\n");
		break;
	case LOG_Z_INFINITE:
		printf("log Z infinite: %s\n", z->source);
		break;
	case LOG_Z_EXACT:
		printf("log Z %.15g, exact: %s\n", z->value, z->source);
		break;
	case LOG_Z_QUADRATURE:
		printf("log Z %.15g, by quadrature, error %.2g: %s\n", z->value, z->se, z->source);
		break;
	case LOG_Z_ESTIMATE:
		printf("log Z %.10g, estimated, standard error %.2g: %s\n", z->value, z->se,
			z->source);
		break;
	}
}

static int show_target(const struct target *t, struct arena *a)
{
	struct density *d;
	struct log_z z;

	TRY(density_new(&d, t->name, NULL, 0, a));
	const void *state = density_state(d);
	size_t modes = t->modes != NULL ? t->modes(state) : 0;
	density_log_z(d, &z);
	printf("target %s: %s\npaper %s\n", t->name, t->title, t->paper);
	printf("dimension %zu\n", density_dim(d));
	show_log_z(&z);
	printf("exact sampler %s\n", t->draw != NULL ? "yes" : "no");
	printf("Hessian-vector product %s\n", t->hvp != NULL ? "yes" : "no");
	if (modes > 0)
		printf("modes %zu\n", modes);
	else
		printf("modes not defined\n");
	show_options(t->options);
	return OK;
}

static void show_metric(const struct metric *m)
{
	static const struct {
		unsigned bit;
		const char *name;
	} needs[] = { { NEEDS_EXACT, "exact samples" }, { NEEDS_WEIGHTS, "log weights" },
		{ NEEDS_FORWARD, "target-to-prior log weights" }, { NEEDS_LOG_Z, "a known log Z" },
		{ NEEDS_MODES, "modes" }, { NEEDS_SAMPLES, "samples" },
		{ NEEDS_DETFLOW, "deterministic-flow weights" } };
	static const char *const better[] = { [BETTER_LOWER] = "lower is better",
		[BETTER_HIGHER] = "higher is better",
		[BETTER_ZERO] = "nearest to 0 is better",
		[BETTER_NONE] = "not ranked" };
	const char *separator = "needs ";

	printf("metric %s: %s\npaper %s\nversion %d\n", m->name, m->title, m->paper, m->version);
	printf("%s%s%s\n", better[m->better], m->unit[0] != '\0' ? ", in " : "", m->unit);
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (m->needs & needs[i].bit) {
			printf("%s%s", separator, needs[i].name);
			separator = ", ";
		}
	printf("\nnoise floor %s\n", m->floor ? "yes" : "no");
}

/* The nearest name of all plug-ins. */
static int unknown_name(const char *name, struct arena *a)
{
	const char **names;
	size_t n = 0, i = 0;

	for (i = 0; methods[i] != NULL; i++)
		n++;
	for (i = 0; targets[i] != NULL; i++)
		n++;
	for (i = 0; metrics[i] != NULL; i++)
		n++;
	names = ARENA_NEW(a, n + 1, const char *);
	n = 0;
	for (i = 0; methods[i] != NULL; i++)
		names[n++] = methods[i]->name;
	for (i = 0; targets[i] != NULL; i++)
		names[n++] = targets[i]->name;
	for (i = 0; metrics[i] != NULL; i++)
		names[n++] = metrics[i]->name;
	const char *nearest = option_nearest(name, names);
	return fail(ERR_NAME, "no method, target or metric \"%.80s\"; %s %s", name,
		nearest != NULL ? "did you mean" : "see",
		nearest != NULL ? nearest : "stride list");
}

static int show(const char *name, struct arena *a)
{
	bool found = false;

	for (size_t i = 0; methods[i] != NULL; i++)
		if (strcmp(methods[i]->name, name) == 0) {
			show_method(methods[i]);
			found = true;
		}
	for (size_t i = 0; targets[i] != NULL; i++)
		if (strcmp(targets[i]->name, name) == 0) {
			TRY(show_target(targets[i], a));
			found = true;
		}
	for (size_t i = 0; metrics[i] != NULL; i++)
		if (strcmp(metrics[i]->name, name) == 0) {
			show_metric(metrics[i]);
			found = true;
		}
	return found ? OK : unknown_name(name, a);
}

int cmd_show(int argc, char **argv)
{
	static const struct command c = { "show", "NAME",
		"Show a method, target or metric: options, presets, paper, log Z", 1, 1 };
	struct arena *a = arena_new();
	struct texts words;
	int code;

	if (begin(&c, argc, argv, &words, &code, a) && show(words.items[0], a) != OK)
		code = cli_fail();
	arena_free(a);
	return code;
}

/* --- info ------------------------------------------------------------------------------------- */

int cmd_info(int argc, char **argv)
{
	static const struct command c = { "info", "",
		"Show compiler, flags, commit, CPU, BLAS and optional parts", 0, 0 };
	struct arena *a = arena_new();
	struct texts words;
	int code;

	if (begin(&c, argc, argv, &words, &code, a))
		info_print(stdout);
	arena_free(a);
	return code;
}
