#include "cli/cli.h"
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

	(void)status;
	q->made.n = words->n;
	q->made.targets = words->items;
	if (q->jobs > 0)
		parallel_use(q->jobs);
	signals_install();
	return references_make(&q->made, a);
}

int cmd_references(int argc, char **argv)
{
	static const struct command c = { "references", "[TARGET...]",
		"Estimate log Z and moments of targets where they are not known, two ways, "
		"several\n"
		"runs each, into records; goes on from the runs that are on record. Commands read "
		"records\n"
		"from the folder $STRIDE_REFERENCES, without it from the program's own",
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
