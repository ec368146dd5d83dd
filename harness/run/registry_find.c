#include "stride.h"

/* Every plug-in starts with its name: one search serves the three tables. */
static const char *name_of(const void *plugin)
{
	return *(const char *const *)plugin;
}

_Static_assert(offsetof(struct target, name) == 0, "the name comes first");
_Static_assert(offsetof(struct method, name) == 0, "the name comes first");
_Static_assert(offsetof(struct metric, name) == 0, "the name comes first");

enum { NAMES_MAX = 1024 };

static const void *find(const char *kind, const void *const *table, const char *name)
{
	const char *names[NAMES_MAX + 1];
	size_t n = 0;

	for (; table[n] != NULL; n++) {
		if (strcmp(name_of(table[n]), name) == 0)
			return table[n];
		invariant(n < NAMES_MAX);
		names[n] = name_of(table[n]);
	}
	names[n] = NULL;
	const char *nearest = option_nearest(name, names);
	if (nearest != NULL)
		(void)fail(ERR_NAME, "unknown %s \"%.80s\"; did you mean \"%s\"?", kind, name,
			nearest);
	else
		(void)fail(ERR_NAME, "unknown %s \"%.80s\"; `stride list %ss` shows all", kind,
			name, kind);
	return NULL;
}

const struct target *target_find(const char *name)
{
	return find("target", (const void *const *)targets, name);
}

const struct method *method_find(const char *name)
{
	return find("method", (const void *const *)methods, name);
}

const struct metric *metric_find(const char *name)
{
	return find("metric", (const void *const *)metrics, name);
}
