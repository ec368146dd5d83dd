#include "cli/cli.h"
#include "core/error.h"
#include "report/report.h"

static int report(void *request, const struct texts *words, int *status, struct arena *a)
{
	const struct report_options *o = request;

	(void)a;
	TRY(cli_report(words->items[0], o));
	*status = *o->undrawn ? EXIT_CELLS : EXIT_DONE;
	return OK;
}

int cmd_report(int argc, char **argv)
{
	static const struct command c = { "report", "DIR",
		"Make tables, figures and pages of a results directory anew, from its records "
		"alone",
		1, 1 };
	size_t undrawn = 0;
	struct report_options o = { .undrawn = &undrawn };
	const struct flag flags[] = {
		{ "top", 0, FLAG_TEXT, &o.top, "FILE", "write the report as this file too" },
		{ "papers", 0, FLAG_TEXT, &o.papers, "DIR",
			"put that results directory's records beside the published numbers" },
		{ "no-figures", 0, FLAG_BOOL, &o.no_figures, NULL, "tables and pages only" },
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, report, &o);
}

int cli_report(const char *dir, const struct report_options *o)
{
	TRY(report_write(dir, o));
	printf("tables, figures and the page report.html are in %s/report\n", dir);
	return OK;
}
