#include "run/process.h"
#include "run/clock.h"
#include "core/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* What is shown of its output, and how long it may take to end itself when it is asked to. */
enum { TAIL = 400, POLL_MS = 20 };
static const double grace_seconds = 0.5;

/* A command at work. */
struct process {
	pid_t pid; /* and its process group */
	pid_t guard;
	int alive;  /* the guard's sign that stride lives: open */
	int output; /* of both its streams; -1 after their end */
	char tail[TAIL + 1];
	size_t n;
};

/* environ with these in place of its own of the same names. The kernels that stride chose for its own
 * BLAS are not for the BLAS of others. */
static char **environment_with(const char *const *more, struct arena *a)
{
	size_t n = 0, n_more = 0, kept = 0;

	while (environ[n] != NULL)
		n++;
	while (more[n_more] != NULL)
		n_more++;
	char **all = ARENA_NEW(a, n + n_more + 1, char *);
	bool own_core = false;
	for (size_t i = 0; i < n; i++)
		own_core = own_core || strncmp(environ[i], "STRIDE_CORETYPE_SET=", 20) == 0;
	for (size_t i = 0; i < n; i++) {
		bool replaced = own_core && strncmp(environ[i], "OPENBLAS_CORETYPE=", 18) == 0;
		for (size_t j = 0; j < n_more; j++)
			replaced = replaced ||
				   strncmp(environ[i], more[j], strcspn(more[j], "=") + 1) == 0;
		if (!replaced)
			all[kept++] = environ[i];
	}
	for (size_t j = 0; j < n_more; j++)
		all[kept++] = arena_strdup(a, more[j]);
	return all;
}

/* In the child, where only what is async-signal-safe may be called. */
_Noreturn static void become(const char *command, char *const *environment, int output)
{
	const int defaults[] = { SIGINT, SIGTERM, SIGPIPE, SIGXFSZ };
	char *const words[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	int input = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		signal(defaults[i], SIG_DFL);
	dup2(input, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execve("/bin/sh", words, environment);
	_exit(127);
}

/* In a second child: when stride ends however it ends, so does all that the command started. Held open
 * is nothing else, or the pipes of other commands would not end. */
_Noreturn static void stand_guard(pid_t group, int alive)
{
	char none;

	setpgid(0, 0);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	dup2(alive, STDIN_FILENO);
	close_range(STDIN_FILENO + 1, ~0U, 0);
	while (read(STDIN_FILENO, &none, 1) < 0 && errno == EINTR)
		continue;
	kill(-group, SIGKILL);
	_exit(0);
}

static int start_guard(struct process *p)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail(ERR_IO, "a command cannot be started: %s", strerror(errno));
	p->guard = fork();
	if (p->guard == 0)
		stand_guard(p->pid, ends[0]);
	close(ends[0]);
	p->alive = ends[1];
	return p->guard > 0 ? OK : fail(ERR_IO, "a command cannot be started: %s", strerror(errno));
}

static int start(struct process *p, const char *command, const char *const *environment,
	struct arena *a)
{
	char **all = environment_with(environment, a);
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail(ERR_IO, "a command cannot be started: %s", strerror(errno));
	p->pid = fork();
	if (p->pid == 0)
		become(command, all, ends[1]);
	close(ends[1]);
	if (p->pid < 0) {
		close(ends[0]);
		return fail(ERR_IO, "a command cannot be started: %s", strerror(errno));
	}
	setpgid(p->pid, p->pid); /* whoever comes first */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	p->output = ends[0];
	return OK;
}

static void add_output(struct process *p, const char *text, size_t n)
{
	if (n > TAIL) {
		text += n - TAIL;
		n = TAIL;
	}
	size_t drop = p->n + n > TAIL ? p->n + n - TAIL : 0;
	memmove(p->tail, p->tail + drop, p->n - drop);
	p->n -= drop;
	memcpy(p->tail + p->n, text, n);
	p->n += n;
}

/* Take what it has printed, waiting a little for more. */
static void listen_to(struct process *p, int milliseconds)
{
	struct pollfd f = { .fd = p->output, .events = POLLIN };
	char text[4096];
	ssize_t n;

	if (p->output < 0) { /* it prints no more, so that its end is near */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		return;
	}
	if (poll(&f, 1, milliseconds) <= 0)
		return;
	while ((n = read(p->output, text, sizeof(text))) > 0)
		add_output(p, text, (size_t)n);
	if (n == 0) {
		close(p->output);
		p->output = -1;
	}
}

/* Has it ended? It stays a zombie, so that its process group keeps its number. */
static bool ended(const struct process *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid == p->pid;
}

/* Its status, and the end of all that it left behind. */
static int reap(struct process *p)
{
	int status = 0;

	listen_to(p, 0);
	kill(-p->pid, SIGKILL);
	if (p->alive >= 0)
		close(p->alive);
	while (p->guard > 0 && waitpid(p->guard, NULL, 0) < 0 && errno == EINTR)
		continue;
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (p->output >= 0)
		close(p->output);
	return status;
}

static void stop(struct process *p)
{
	double start_of_grace = clock_seconds();

	kill(-p->pid, SIGTERM);
	while (!ended(p) && clock_seconds() - start_of_grace < grace_seconds)
		listen_to(p, POLL_MS);
	kill(-p->pid, SIGKILL);
	(void)reap(p);
}

/* Its last words on one line. */
static const char *last_words(struct process *p, struct arena *a)
{
	char *out = p->tail;
	bool blank = true;

	for (size_t i = 0; i < p->n; i++) {
		char c = p->tail[i];
		bool space = isspace((unsigned char)c) || c == '\0';
		if (!space || !blank)
			*out++ = space ? ' ' : c;
		blank = space;
	}
	while (out > p->tail && out[-1] == ' ')
		out--;
	*out = '\0';
	return arena_printf(a, "%s%s", p->tail[0] != '\0' ? ": " : ", and printed nothing",
		p->tail);
}

int process_run(const char *command, const char *const *environment, int (*go_on)(void *context),
	void *context, struct arena *a)
{
	struct process p = { .alive = -1 };
	struct error e;

	TRY(start(&p, command, environment, a));
	if (start_guard(&p) != OK) {
		error_get(&e);
		(void)reap(&p);
		return error_set(&e);
	}
	while (!ended(&p)) {
		if (go_on(context) != OK) {
			error_get(&e);
			stop(&p);
			return error_set(&e);
		}
		listen_to(&p, POLL_MS);
	}
	int status = reap(&p);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return OK;
	return fail(ERR_IO, "the command \"%.200s\" %s %d%s", command,
		WIFEXITED(status) ? "ended with exit status" : "was killed by signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), last_words(&p, a));
}
