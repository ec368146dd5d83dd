#include "cli/args.h"
#include "cli/cli.h"
#include "core/error.h"
#include "core/parallel.h"
#include "run/reference_make.h"
#include "run/signals.h"

int cmd_references(int argc, char **argv)
{
	static const struct command c = { "references", "[TARGET...]",
		"Estimate log Z and moments of targets where they are not known, two ways, "
		"several\n"
		"runs each, into records; goes on from the runs that are on record",
		0, 100 };
	struct reference_request q = { .repeats = 10, .folder = "targets/references" };
	size_t jobs = 0;
	const struct flag flags[] = {
		{ "repeats", 0, FLAG_SIZE, &q.repeats, "N", "runs of each way, 10 by default" },
		{ "out", 'o', FLAG_TEXT, &q.folder, "DIR",
			"folder of the records, targets/references by default" },
		{ "jobs", 'j', FLAG_SIZE, &jobs, "N", "threads; all cores by default" },
		{ 0 },
	};
	struct arena *a = arena_new();
	struct texts words;
	bool help;
	int code = args_parse(&c, flags, argc, argv, &words, &help, a);

	if (code == OK && help) {
		args_help(&c, flags, stdout);
	} else if (code == OK) {
		q.n = words.n;
		q.targets = words.items;
		if (jobs > 0)
			parallel_use(jobs);
		signals_install();
		code = references_make(&q, a);
	}
	arena_free(a);
	return code == OK ? EXIT_DONE : cli_fail();
}
