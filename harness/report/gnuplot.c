#include "report/figures.h"

#include "core/place.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The environment of gnuplot: ours, but without a date (from version 1.18 on cairo writes this one
 * into a PDF), in UTC and the C locale. The first entry of a name counts. */
static char **child_environment(struct arena *a)
{
	size_t n = 0;
	char **list;

	while (environ[n])
		n++;
	list = ARENA_NEW(a, n + 4, char *);
	list[0] = arena_strdup(a, "SOURCE_DATE_EPOCH=0");
	list[1] = arena_strdup(a, "LC_ALL=C.UTF-8");
	list[2] = arena_strdup(a, "TZ=UTC0");
	memcpy(list + 3, environ, n * sizeof(*list));
	return list;
}

/* One gnuplot for one figure; its words go to FOLDER/data/NAME.log. Returns errno's code. */
static int start(const struct figure *f, const char *scripts, const char *folder,
	const char *pictures, char **environment, pid_t *pid, struct arena *a)
{
	char *argv[] = { arena_strdup(a, "gnuplot"), arena_strdup(a, "-d"), arena_strdup(a, "-c"),
		arena_printf(a, "%s/%s", scripts, f->script),
		arena_printf(a, "%s/data/%s", folder, f->name),
		arena_printf(a, "%s/%s", pictures, f->name), NULL };
	const char *log = arena_printf(a, "%s/data/%s.log", folder, f->name);
	posix_spawn_file_actions_t actions;
	int code;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC,
		0666);
	posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	code = posix_spawnp(pid, "gnuplot", &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	if (code)
		unlink(log);
	return code;
}

/* Older versions of cairo write the time into a PDF: put the one above in its place, which is as
 * long, so that the offsets within the file stay right. */
static void remove_date(const char *pdf, struct arena *a)
{
	static const char key[] = "/CreationDate (D:", epoch[] = "19700101000000";
	const struct arena_mark mark = arena_mark(a);
	FILE *f = fopen(pdf, "r+");
	char *text;
	const char *at;
	long size;

	if (!f)
		return;
	size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : 0;
	size = size > 0 ? size : 0;
	rewind(f);
	text = arena_alloc(a, (size_t)size, 1);
	size = (long)fread(text, 1, (size_t)size, f);
	at = memmem(text, (size_t)size, key, strlen(key));
	if (at && fseek(f, at - text + (long)strlen(key), SEEK_SET) == 0)
		fputs(epoch, f);
	fclose(f);
	arena_release(a, mark);
}

/* What a shell, and a child that could not execute, exit with. */
enum { NOT_FOUND = 127 };

/* The first line with words in a log; gnuplot says nothing when all is well. */
static void read_words(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "r");

	line[0] = 0;
	while (f && fgets(line, size, f) && strspn(line, " ^\t\r\n") == strlen(line))
		line[0] = 0;
	if (f)
		fclose(f);
	line[strcspn(line, "\r\n")] = 0;
}

const char gnuplot_missing[] =
	"gnuplot cannot be started; on Debian and Ubuntu: apt install gnuplot-nox";

/* Wait for it. False: there is no gnuplot. */
static bool finish(struct figure *f, pid_t pid, const char *folder, const char *pictures,
	struct arena *a)
{
	const char *path = arena_printf(a, "%s/data/%s.log", folder, f->name);
	char line[256];
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	f->drawn = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	read_words(path, line, sizeof(line));
	if (!f->drawn || line[0]) {
		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND) {
			unlink(path);
			return false;
		}
		f->problem = arena_printf(a, "figure %s: gnuplot: %s; all it said is in %s",
			f->name, line[0] ? line : "failed", path);
		return true;
	}
	unlink(path);
	remove_date(arena_printf(a, "%s/%s.pdf", pictures, f->name), a);
	return true;
}

/* The folder of the scripts. */
static const char *find_scripts(const char *given, struct arena *a)
{
	const char *style = place_find("plots", "plots", "style.gp", a);

	if (given || !style)
		return given ? given : "plots";
	return arena_printf(a, "%.*s", (int)(strrchr(style, '/') - style), style);
}

int figures_draw(struct figures *f, const char *folder, const char *pictures, const char *scripts,
	struct arena *a)
{
	char **environment = child_environment(a);
	const size_t at_once = parallel_threads();
	pid_t *pid = ARENA_NEW(a, f->n, pid_t);
	size_t begun = 0;
	bool found = true;

	scripts = find_scripts(scripts, a);
	/* A queue: the oldest is waited for, so that no more than at_once run. */
	for (size_t done = 0; done < f->n; done++) {
		while (found && begun < f->n && begun < done + at_once && !parallel_stopping()) {
			found = start(&f->list[begun], scripts, folder, pictures, environment,
					&pid[begun], a) == 0;
			begun += found;
		}
		if (done == begun)
			break;
		found &= finish(&f->list[done], pid[done], folder, pictures, a);
	}
	f->no_gnuplot = !found;
	if (parallel_stopping())
		return fail(ERR_INTERRUPTED, "interrupted: the report was not finished; `stride "
					     "report` makes it from the records");
	return OK;
}
