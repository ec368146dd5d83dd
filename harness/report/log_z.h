#ifndef STRIDE_REPORT_LOG_Z_H
#define STRIDE_REPORT_LOG_Z_H

#include "stride.h"

/** "exact", "quadrature", "estimate", "unknown", "infinite (improper)". */
const char *log_z_kind(enum log_z_kind kind);

/** For a table: "0 exact", "-73.405 ± 0.002 estimate". */
const char *log_z_short(const struct log_z *z, struct arena *a);

/** A sentence with the source: "log Z = 0 (exact: normalised)." */
const char *log_z_text(const struct log_z *z, struct arena *a);

#endif
