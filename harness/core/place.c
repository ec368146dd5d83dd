#include "core/place.h"

#include <string.h>
#include <unistd.h>

/* Path of this program's folder. */
static const char *program_folder(struct arena *a)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return ".";
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	if (slash != NULL)
		*slash = '\0';
	return arena_strdup(a, path);
}

const char *place_find(const char *folder, const char *installed, const char *file, struct arena *a)
{
	const char *program = program_folder(a);
	const char *const places[] = {
		arena_printf(a, "%s/../../%s/%s", program, folder, file),
		arena_printf(a, "%s/../../../%s/%s", program, folder, file),
		arena_printf(a, "%s/../share/stride/%s/%s", program, installed, file),
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}
