#include "cli/cli.h"
#include "report/target.h"
#include "stride.h"

struct plot_request {
	struct target_plot plot;
	struct texts sets;
};

/* Points of one picture: an SVG of 2 MB. */
static const size_t POINTS_MAX = 20000;

static int plot_target(void *request, const struct texts *words, int *status, struct arena *a)
{
	static const char *const endings[] = { "svg", "pdf", "png" };
	struct plot_request *q = request;
	struct density *d;
	const char *stem;

	(void)status;
	if (q->plot.n > POINTS_MAX)
		return fail(ERR_RANGE, "-n %zu; it takes 1 to %zu", q->plot.n, POINTS_MAX);
	TRY(cli_density(&d, words->items[0], &q->sets, a));
	for (size_t i = 0; i < q->sets.n; i++)
		q->plot.settings = arena_printf(a, "%s%s%s", q->plot.settings, i > 0 ? ", " : "",
			strchr(q->sets.items[i], '.') + 1);
	TRY(target_draw(d, &q->plot, &stem, a));
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		printf("%s.%s\n", stem, endings[i]);
	return OK;
}

int cmd_plot_target(int argc, char **argv)
{
	static const struct command c = { "plot-target", "TARGET",
		"Draw a target as FOLDER/target-TARGET.svg, .pdf and .png: density contours with "
		"exact\nsamples; without an exact sampler contours of a slice, which the caption "
		"says",
		1, 1 };
	struct plot_request q = { .plot = { .settings = "", .folder = "results/targets" } };
	const struct flag flags[] = {
		{ "number", 'n', FLAG_SIZE, &q.plot.n, "N",
			"how many samples; 1000 by default, 10000 in one dimension" },
		{ "seed", 0, FLAG_SEED, &q.plot.seed, "S", "their seed, 0 by default" },
		TARGET_SET_FLAG(&q.sets),
		{ "out", 'o', FLAG_TEXT, &q.plot.folder, "FOLDER", "results/targets by default" },
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, plot_target, &q);
}
