#ifndef STRIDE_REPORT_PAGE_H
#define STRIDE_REPORT_PAGE_H

#include "report/figures.h"
#include "report/papers.h"

/** The numbers beside published ones; from: the results directory they are of, NULL: the page's. */
struct page_papers {
	struct comparison numbers;
	const char *from;
};

/** The whole report as one page, Markdown or HTML. base: the path from the page to the folder of
 *  the report, "" when it lies there; figures and table files are linked below it. */
void page_write(const struct model *m, const struct page_papers *papers,
	const struct figures *figures, enum format format, const char *base, FILE *out,
	struct arena *a);

#endif
