#include "cli/cli.h"
#include "core/error.h"
#include "core/parallel.h"
#include "run/reference_make.h"
#include "run/signals.h"

struct references_request {
	struct reference_request made;
	size_t jobs;
};

static int references(void *request, const struct texts *words, int *status, struct arena *a)
{
	struct references_request *q = request;

	q->made.n = words->n;
	q->made.targets = words->items;
	if (q->jobs > 0)
		parallel_use(q->jobs);
	signals_install();
	int code = references_make(&q->made, a);
	if (code != ERR_DIVERGED && code != ERR_NUMERIC)
		return code;
	(void)cli_fail(); /* the records are there, and say so too */
	*status = EXIT_CELLS;
	return OK;
}

int cmd_references(int argc, char **argv)
{
	static const struct command c = { "references", "[TARGET...]",
		"Estimate log Z and moments of targets where they are not known, two ways, "
		"several\n"
		"runs each, into records; goes on from the runs that are on record. Commands read\n"
		"records from the folder $STRIDE_REFERENCES, without it from the program's own",
		0, 100 };
	struct references_request q = {
		.made = { .repeats = 10, .effort = 1, .folder = "targets/references" },
	};
	const struct flag flags[] = {
		{ "repeats", 0, FLAG_SIZE, &q.made.repeats, "N",
			"runs of each way, 10 by default" },
		{ "out", 'o', FLAG_TEXT, &q.made.folder, "DIR",
			"folder of the records, targets/references by default" },
		{ "jobs", 'j', FLAG_SIZE, &q.jobs, "N", "threads; all cores by default" },
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, references, &q);
}
