#include "run/signals.h"
#include "core/parallel.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void on_stop(int signal_number)
{
	static const char text[] =
		"\nstride: stopping; finished cells are kept (once more: stop at once)\n";
	(void)signal_number;

	parallel_stop();
	/* A message that cannot be written is not worth an error. */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		return;
}

void signals_install(void)
{
	/* SA_RESETHAND: the second signal has its default effect. */
	struct sigaction stop = { .sa_handler = on_stop,
		.sa_flags = (int)SA_RESETHAND | SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}
