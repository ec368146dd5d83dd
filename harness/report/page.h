#ifndef STRIDE_REPORT_PAGE_H
#define STRIDE_REPORT_PAGE_H

#include "report/figures.h"

/** The whole report as one page, Markdown or HTML. base: the path from the page to the folder of
 *  the report, "" when it lies there; figures and table files are linked below it. */
void page_write(const struct model *m, const struct figures *figures, enum format format,
	const char *base, FILE *out, struct arena *a);

#endif
