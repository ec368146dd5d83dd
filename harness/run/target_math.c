/* Apart from the header because cblas.h and the headers of GSL exclude each other. */
#include "stride.h"

#include <cblas.h>

static enum CBLAS_TRANSPOSE transposed(bool yes)
{
	return yes ? CblasTrans : CblasNoTrans;
}

void target_sgemm(bool transpose_b, size_t m, size_t n, size_t k, float alpha, const float *a,
	size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
	cblas_sgemm(CblasColMajor, CblasNoTrans, transposed(transpose_b), (int)m, (int)n, (int)k,
		alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void target_dgemm(bool transpose_b, size_t m, size_t n, size_t k, double alpha, const double *a,
	size_t lda, const double *b, size_t ldb, double beta, double *c, size_t ldc)
{
	cblas_dgemm(CblasColMajor, CblasNoTrans, transposed(transpose_b), (int)m, (int)n, (int)k,
		alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}
