/* stride show: one plug-in, everything that is known of it. */
#include "cli/cli.h"
#include "core/text.h"
#include "report/log_z.h"
#include "report/table.h"
#include "run/reference.h"
#include "stride.h"

#include <stdlib.h>
#include <unistd.h>

/* state: the values that stand now, NULL: the defaults. */
static void show_options(const struct option *table, const void *state)
{
	printf("options\n");
	if (table == NULL || table->key == NULL)
		printf("  none\n");
	else
		option_print(table, state, stdout);
}

enum { NAME_WIDTH = 15, PAGE_WIDTH = 90, MANY = 10, FEW = 5 };

/* NAME, then the text in lines that fit the page. */
static void show_line(const char *name, const char *text, struct arena *a)
{
	const char *indent = arena_printf(a, "%*s", NAME_WIDTH, "");

	printf("%-*s%s\n", NAME_WIDTH, name, text_wrap(text, PAGE_WIDTH - NAME_WIDTH, indent, a));
}

static void show_title(const char *kind, const char *name, const char *title, const char *paper,
	int version, struct arena *a)
{
	printf("%s %s: %s\n", kind, name, title);
	show_line("paper", paper, a);
	printf("%-*s%d\n", NAME_WIDTH, "version", version);
}

/* The list with a space behind each comma, where lines may break. */
static const char *spaced(const char *list, struct arena *a)
{
	char *out = ARENA_NEW(a, 2 * strlen(list) + 1, char), *to = out;

	for (; *list != '\0'; list++) {
		*to++ = *list;
		if (*list == ',')
			*to++ = ' ';
	}
	*to = '\0';
	return out;
}

/* A row a preset: paper, where the method has several, target, settings. */
static void show_presets(const struct method *m, struct arena *a)
{
	enum { COLUMN = 15, INDENT = 2 };
	bool papers = false;

	for (const struct preset *p = m->presets; p != NULL && p->settings != NULL; p++)
		papers = papers || p->paper != NULL;
	const size_t left = INDENT + (papers ? 2 : 1) * COLUMN;
	const char *indent = arena_printf(a, "%*s", (int)left, "");
	for (const struct preset *p = m->presets; p != NULL && p->settings != NULL; p++) {
		const char *target = p->target != NULL ? p->target : "any target";
		printf("%s%*s", p == m->presets ? "presets\n" : "", INDENT, "");
		if (papers)
			printf("%-*s", COLUMN, p->paper != NULL ? p->paper : "any paper");
		printf("%-*s%s\n", COLUMN, target,
			text_wrap(spaced(p->settings, a), PAGE_WIDTH - left, indent, a));
	}
}

static void show_notes(const struct method *m, struct arena *a)
{
	enum { COLUMN = 24, INDENT = 2 };
	const char *indent = arena_printf(a, "%*s", INDENT + COLUMN, "");

	for (const struct note *n = m->notes; n != NULL && n->text != NULL; n++)
		printf("%s%*s%-*s%s\n", n == m->notes ? "notes\n" : "", INDENT, "", COLUMN,
			n->about, text_wrap(n->text, PAGE_WIDTH - INDENT - COLUMN, indent, a));
}

static void show_method(const struct method *m, struct arena *a)
{
	static const char *const weights[] = { [WEIGHTS_NONE] = "samples only",
		[WEIGHTS_EXACT] = "log weights, exact",
		[WEIGHTS_DETFLOW] = "log weights of the published deterministic flow: no bound",
		[WEIGHTS_BIASED] = "log weights, exact in a limit or under a condition" };

	show_title("method", m->name, m->title, m->paper, m->version, a);
	printf("passes\n");
	for (const struct pass *p = m->passes; p->name != NULL; p++)
		printf("  %s%s%s%s\n", p->name, p->name[0] != '\0' ? ": " : "", weights[p->weights],
			!p->steps                ? ""
			: m->check_steps != NULL ? "; numbers of steps that the options allow"
						 : "; any number of steps");
	show_options(m->options, NULL);
	show_presets(m, a);
	show_notes(m, a);
}

/* --- a target --------------------------------------------------------------------------------- */

static void show_log_z(const struct log_z *z, struct arena *a)
{
	const char *text = log_z_kind(z->kind);

	if (z->kind == LOG_Z_EXACT)
		text = arena_printf(a, "%.15g %s", z->value, text);
	else if (z->kind == LOG_Z_QUADRATURE)
		text = arena_printf(a, "%.15g %s, error %.2g", z->value, text, z->se);
	else if (z->kind == LOG_Z_ESTIMATE)
		text = log_z_short(z, a);
	show_line("log Z", text, a);
	if (z->source != NULL && z->source[0] != '\0')
		show_line("log Z source", z->source, a);
}

static const char *runs_text(const struct reference_way *w, struct arena *a)
{
	return arena_printf(a, "%zu run%s", w->runs, w->runs == 1 ? "" : "s");
}

/* What each way of estimation gave, and whether they agree. */
static void show_ways(const struct reference *r, struct arena *a)
{
	for (size_t i = 0; i < r->n_ways; i++) {
		const struct reference_way *w = &r->way[i];
		show_line(i == 0 ? "log Z ways" : "",
			arena_printf(a, "%s: %s, %s", w->name,
				number_text(w->log_z.value, w->log_z.se, false, a),
				runs_text(w, a)),
			a);
	}
	const double apart = reference_disagreement(r);
	if (apart > 0)
		show_line("", arena_printf(a, "%.1f joint standard errors apart", apart), a);
}

/* How many of n things are shown. */
static size_t shown(size_t n, bool all)
{
	return all || n <= MANY ? n : FEW;
}

/* What stands for those that are not. */
static const char *rest(size_t n, bool all, struct arena *a)
{
	return shown(n, all) == n ? "" : arena_printf(a, " (%zu more: --all)", n - shown(n, all));
}

static void show_modes(const struct density *d, bool all, struct arena *a)
{
	const struct target *t = density_target(d);
	const size_t n = t->modes != NULL ? t->modes(density_state(d)) : 0;

	if (n == 0) {
		show_line("modes", "not defined", a);
		return;
	}
	show_line("modes", arena_printf(a, "%zu", n), a);
	if (t->mode_weights == NULL)
		return;
	double *weight = arena_alloc(a, n, sizeof(*weight));
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	t->mode_weights(density_state(d), weight);
	for (size_t i = 0; i < shown(n, all); i++)
		fprintf(out, "%s%.6g", i > 0 ? " " : "", weight[i]);
	fputs(rest(n, all, a), out);
	fclose(out);
	show_line("mode weights", text, a);
	free(text);
}

/* Ten digits, or those that an estimate's error allows. se NULL: no estimate. */
static const char *moment_text(double x, const double *se, struct arena *a)
{
	if (isnan(x))
		return "unknown";
	return se == NULL ? arena_printf(a, "%.10g", x) : number_text(x, *se, false, a);
}

static void show_moment(const char *text, size_t width)
{
	const size_t used = text_width(text);

	printf(" %*s%s", used < width ? (int)(width - used) : 0, "", text);
}

/* r: the record that they are from, or NULL. */
static void show_moments(const struct density *d, const struct reference *r, bool all,
	struct arena *a)
{
	const size_t dim = density_dim(d), n = shown(dim, all);
	double *mean = arena_alloc(a, dim, sizeof(*mean)), *sd = arena_alloc(a, dim, sizeof(*sd));

	if (!density_moments(d, mean, sd)) {
		show_line("moments", "unknown", a);
		return;
	}
	const char *how = "of coordinate, mean, standard deviation";
	size_t width = 16;
	if (r != NULL) {
		how = "estimated, ways together: of coordinate, mean ± se, standard deviation ± se";
		width = 23;
	}
	show_line("moments", how, a);
	for (size_t k = 0; k < n; k++) {
		printf("%*s%-6s", NAME_WIDTH, "", arena_printf(a, "x%zu", k + 1));
		show_moment(moment_text(mean[k], r != NULL ? &r->mean_se[k] : NULL, a), width);
		show_moment(moment_text(sd[k], r != NULL ? &r->sd_se[k] : NULL, a), width);
		putchar('\n');
	}
	if (n < dim)
		printf("%*s%s\n", NAME_WIDTH, "", rest(dim, all, a) + 1);
}

static void show_window(const struct density *d, struct arena *a)
{
	struct window w;

	density_target(d)->window(density_state(d), &w);
	show_line("plot window",
		density_dim(d) == 1 ? arena_printf(a, "x1 %g to %g", w.x_min, w.x_max)
				    : arena_printf(a, "x1 %g to %g, x2 %g to %g", w.x_min, w.x_max,
					      w.y_min, w.y_max),
		a);
}

/* The comment lines at a file's head say where its numbers come from. */
static void show_head(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;

	while (f != NULL && getline(&line, &size, f) > 0 && line[0] == '#') {
		line[strcspn(line, "\r\n")] = '\0';
		printf("%*s%s\n", NAME_WIDTH, "", line + 1 + strspn(line + 1, " "));
	}
	free(line);
	if (f != NULL)
		fclose(f);
}

static void show_file(const char *name, const char *remark, struct arena *a)
{
	const char *path = name != NULL && name[0] != '\0' ? data_path(name, a) : "";

	if (path[0] == '\0' || access(path, R_OK) != 0)
		return;
	char *whole = realpath(path, NULL); /* without the dots of where it was found */
	printf("%-*s%s%s\n", NAME_WIDTH, "data file", whole != NULL ? whole : path, remark);
	free(whole);
	show_head(path);
}

/* The target's own table, and options that are names of files. */
static void show_data(const struct density *d, struct arena *a)
{
	const struct target *t = density_target(d);

	show_file(t->data, "", a);
	for (const struct option *o = t->options; o != NULL && o->key != NULL; o++)
		if (o->type == OPTION_TEXT)
			show_file(option_text(o, density_state(d), a),
				arena_printf(a, " (option %s)", o->key), a);
}

struct show_request {
	bool all;
	struct texts sets;
};

static int show_target(const struct target *t, const struct show_request *q, struct arena *a)
{
	const struct reference *r = NULL;
	struct density *d;
	struct log_z z;

	TRY(cli_density(&d, t->name, &q->sets, a));
	if (density_own_log_z(d).kind == LOG_Z_UNKNOWN)
		TRY(reference_find(&r, d, a));
	density_log_z(d, &z);
	printf("target %s: %s\n", t->name, t->title);
	show_line("paper", t->paper, a);
	if (t->note != NULL)
		show_line("note", t->note, a);
	show_line("dimension", arena_printf(a, "%zu", density_dim(d)), a);
	show_log_z(&z, a);
	if (r != NULL)
		show_ways(r, a);
	show_line("exact sampler", t->draw != NULL ? "yes" : "no", a);
	show_line("Hessian v", t->hvp != NULL ? "yes" : "no", a);
	show_line("proposal",
		t->propose != NULL ? "yes, for importance sampling" : "none of its own", a);
	show_line("cdf", t->cdf != NULL ? "yes, of each coordinate" : "no", a);
	show_modes(d, q->all, a);
	show_moments(d, t->moments == NULL ? r : NULL, q->all, a);
	show_window(d, a);
	show_data(d, a);
	show_options(t->options, density_state(d));
	return OK;
}

/* --- a metric --------------------------------------------------------------------------------- */

static void show_metric(const struct metric *m, struct arena *a)
{
	static const struct {
		unsigned bit;
		const char *name;
	} needs[] = { { NEEDS_EXACT, "exact samples" }, { NEEDS_WEIGHTS, "log weights" },
		{ NEEDS_FORWARD, "target-to-prior log weights" }, { NEEDS_LOG_Z, "a known log Z" },
		{ NEEDS_MODES, "modes" }, { NEEDS_SAMPLES, "samples" },
		{ NEEDS_DETFLOW, "deterministic-flow weights" },
		{ NEEDS_EVIDENCE, "log weights or the method's own log Z" },
		{ NEEDS_TARGET, "the target's log density and gradient" },
		{ NEEDS_MOMENTS, "exact samples or known moments" },
		{ NEEDS_FLOW, "exact weights of a deterministic flow" },
		{ NEEDS_MODE_WEIGHTS, "the masses of the modes" } };
	static const char *const better[] = { [BETTER_LOWER] = "lower is better",
		[BETTER_HIGHER] = "higher is better",
		[BETTER_ZERO] = "nearest to 0 is better",
		[BETTER_NONE] = "not ranked" };
	const char *separator = "needs ";

	show_title("metric", m->name, m->title, m->paper, m->version, a);
	printf("%s%s%s\n", better[m->better], m->unit[0] != '\0' ? ", in " : "", m->unit);
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (m->needs & needs[i].bit) {
			printf("%s%s", separator, needs[i].name);
			separator = ", ";
		}
	printf("\nnoise floor %s\n", m->floor ? "yes" : "no");
}

/* --- by name ---------------------------------------------------------------------------------- */

static int no_sets(const struct show_request *q, const char *kind, const char *name)
{
	if (q->sets.n == 0)
		return OK;
	return fail(ERR_UNSUP, "--set %.80s: %s is a %s; show sets options of targets alone",
		q->sets.items[0], name, kind);
}

/* The registries of the three kinds differ in type alone. */
#define GET(kind)                                                              \
	static bool get_##kind(size_t i, struct plugin *out)                   \
	{                                                                      \
		if (kind##s[i] == NULL)                                        \
			return false;                                          \
		*out = (struct plugin){ kind##s[i]->name, kind##s[i]->title }; \
		return true;                                                   \
	}
GET(method)
GET(target)
GET(metric)

static int method_show(size_t i, const struct show_request *q, struct arena *a)
{
	TRY(no_sets(q, "method", methods[i]->name));
	show_method(methods[i], a);
	return OK;
}

static int target_show(size_t i, const struct show_request *q, struct arena *a)
{
	return show_target(targets[i], q, a);
}

static int metric_show(size_t i, const struct show_request *q, struct arena *a)
{
	TRY(no_sets(q, "metric", metrics[i]->name));
	show_metric(metrics[i], a);
	return OK;
}

const struct kind kinds[] = { { "method", get_method, method_show },
	{ "target", get_target, target_show }, { "metric", get_metric, metric_show }, { 0 } };

/* The names of all plug-ins, NULL at the end. */
static const char **all_names(struct arena *a)
{
	struct plugin p;
	size_t n = 0;

	for (const struct kind *k = kinds; k->name != NULL; k++)
		for (size_t i = 0; k->get(i, &p); i++)
			n++;
	const char **names = ARENA_NEW(a, n + 1, const char *);
	n = 0;
	for (const struct kind *k = kinds; k->name != NULL; k++)
		for (size_t i = 0; k->get(i, &p); i++)
			names[n++] = p.name;
	return names;
}

static int show(void *request, const struct texts *words, int *status, struct arena *a)
{
	const char *name = words->items[0];
	struct plugin p;
	bool found = false;

	(void)status;
	for (const struct kind *k = kinds; k->name != NULL; k++)
		for (size_t i = 0; k->get(i, &p); i++)
			if (strcmp(p.name, name) == 0) {
				TRY(k->show(i, request, a));
				found = true;
			}
	return found ? OK
		     : option_unknown("no method, target or metric", name, all_names(a),
			       "stride list");
}

int cmd_show(int argc, char **argv)
{
	static const struct command c = { "show", "NAME",
		"Show a method, target or metric: paper, options, presets; of a target its log Z, "
		"modes,\nmoments, data; and what the published code does otherwise",
		1, 1 };
	struct show_request q = { 0 };
	const struct flag flags[] = {
		{ "all", 0, FLAG_BOOL, &q.all, NULL, "every mode and moment of a target" },
		TARGET_SET_FLAG(&q.sets),
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, show, &q);
}
