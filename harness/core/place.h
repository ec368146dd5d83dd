#ifndef STRIDE_CORE_PLACE_H
#define STRIDE_CORE_PLACE_H

#include "core/arena.h"

/** The readable file FOLDER/FILE of the program's own files, in the arena: in the source tree that
 *  the program was built in (build/VARIANT/stride, build/VARIANT/tests/...), or installed beside it
 *  as PREFIX/share/stride/INSTALLED/FILE. NULL when it is in neither. */
const char *place_find(const char *folder, const char *installed, const char *file,
	struct arena *a);

#endif
