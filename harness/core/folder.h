#ifndef STRIDE_CORE_FOLDER_H
#define STRIDE_CORE_FOLDER_H

/** Make a folder, and those above it, unless it is there. ERR_IO. */
int folder_make(const char *path);

#endif
