#include "core/folder.h"
#include "core/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int folder_make(const char *path)
{
	char *part = strdup(path);
	struct stat s;
	int code = OK;

	invariant(part != NULL);
	for (char *slash = part; code == OK && slash != NULL;) {
		slash = *slash != '\0' ? strchr(slash + 1, '/') : NULL;
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(part, 0777) != 0 && errno != EEXIST)
			code = fail(ERR_IO, "%s: the folder cannot be made: %s", path,
				strerror(errno));
		if (slash != NULL)
			*slash = '/';
	}
	free(part);
	if (code == OK && (stat(path, &s) != 0 || !S_ISDIR(s.st_mode)))
		code = fail(ERR_IO, "%s: not a folder", path);
	return code;
}
