#include "report/file.h"

#include "core/error.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int file_start(struct file *f, const char *path, struct arena *a)
{
	f->path = path;
	f->temporary = arena_printf(a, "%s.%ld.tmp", path, (long)getpid());
	f->stream = fopen(f->temporary, "w");
	return f->stream ? OK : fail(ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

int file_finish(struct file *f)
{
	bool good = !ferror(f->stream);

	good = fclose(f->stream) == 0 && good;
	good = good && rename(f->temporary, f->path) == 0;
	if (good)
		return OK;
	fail(ERR_IO, "%s: cannot be written: %s", f->path, strerror(errno));
	unlink(f->temporary);
	return ERR_IO;
}

void file_discard(struct file *f)
{
	fclose(f->stream);
	unlink(f->temporary);
}
