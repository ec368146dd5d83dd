#ifndef STRIDE_RUN_INFO_H
#define STRIDE_RUN_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** The name of the processor as the system gives it; "unknown" otherwise. */
const char *info_cpu(void);

/** The kernel that OpenBLAS has chosen, "SkylakeX"; and the C library, "glibc 2.36". */
const char *info_blas_core(void);
const char *info_libc(void);

/** Largest memory of this process so far, in MiB. */
double info_peak_rss_mb(void);

/** CPU time of all threads of this process so far, in seconds. */
double info_cpu_seconds(void);

/**
 * The core type that OpenBLAS should have been told, or NULL when its own choice is right: versions
 * before 0.3.22 take CPUs with AVX-512 that they do not know for a Haswell or a Zen, and run at
 * half speed or less.
 */
const char *info_better_core(void);

/** What the user sees of build, machine and optional parts: `stride info`. */
void info_print(FILE *out);

#endif
