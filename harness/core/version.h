#ifndef STRIDE_CORE_VERSION_H
#define STRIDE_CORE_VERSION_H

/** What was built; written by the build (config/version.sh). */
struct version {
	const char *commit;   /* "unknown" outside a git checkout */
	int dirty;            /* 1: tracked files differed from the commit */
	const char *code;     /* hash of the sources that can change a number */
	const char *training; /* hash of those among them that can change what a training learns */
	const char *compiler, *flags, *variant;
};
extern const struct version version;

#endif
