#ifndef STRIDE_CORE_TEXT_H
#define STRIDE_CORE_TEXT_H

#include "core/arena.h"

#include <stddef.h>

/** UTF-8 text as it stands on a screen or a page: in characters, not bytes. */
size_t text_width(const char *text);

/** Every byte that is of no UTF-8 character becomes '?', in place: what other programs print and the
 *  names of files may hold any. */
void text_repair(char *text);

/** Lines of at most width characters, broken at blanks where there are any; indent begins every line
 *  but the first. In the arena. */
char *text_wrap(const char *text, size_t width, const char *indent, struct arena *a);

/** The text when it has at most width characters, otherwise its first words and an ellipsis. */
const char *text_cut(const char *text, size_t width, struct arena *a);

#endif
