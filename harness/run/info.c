#include "run/info.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/version.h"

#include <cblas.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CPU_NAME_MAX = 128, SGEMM_SIZE = 512 };

const char *info_cpu(void)
{
	static _Thread_local char name[CPU_NAME_MAX];
	char line[512];
	FILE *f = fopen("/proc/cpuinfo", "r");

	strcpy(name, "unknown");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(name, sizeof(name), "%.*s", CPU_NAME_MAX - 1, colon + 2);
		break;
	}
	if (f != NULL)
		fclose(f);
	return name;
}

const char *info_blas_core(void)
{
	return openblas_get_corename();
}

const char *info_libc(void)
{
	static _Thread_local char name[32];

	snprintf(name, sizeof(name), "glibc %.16s", gnu_get_libc_version());
	return name;
}

double info_peak_rss_mb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss / 1024;
}

double info_cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *info_better_core(void)
{
#if defined(__x86_64__)
	const char *core = openblas_get_corename();
	bool slow = strcasecmp(core, "Haswell") == 0 || strcasecmp(core, "Zen") == 0 ||
		    strcasecmp(core, "Excavator") == 0 || strcasecmp(core, "Prescott") == 0 ||
		    strcasecmp(core, "Sandybridge") == 0;

	__builtin_cpu_init();
	if (slow && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
		return "SKYLAKEX";
#endif
	return NULL;
}

/* Rate of a 512^3 product on one core, best of a few. */
static double sgemm_gflops(void)
{
	static float a[SGEMM_SIZE * SGEMM_SIZE], b[SGEMM_SIZE * SGEMM_SIZE],
		c[SGEMM_SIZE * SGEMM_SIZE];
	double best = 0;

	for (int i = 0; i < SGEMM_SIZE * SGEMM_SIZE; i++)
		a[i] = b[i] = (float)(i % 7);
	for (int repeat = 0; repeat < 20; repeat++) {
		double start = info_cpu_seconds();
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SGEMM_SIZE, SGEMM_SIZE,
			SGEMM_SIZE, 1, a, SGEMM_SIZE, b, SGEMM_SIZE, 0, c, SGEMM_SIZE);
		double rate =
			2e-9 * SGEMM_SIZE * SGEMM_SIZE * SGEMM_SIZE / (info_cpu_seconds() - start);
		best = rate > best ? rate : best;
	}
	return best;
}

/* First line that a program prints; "not found" and what to install otherwise. */
static void print_program(FILE *out, const char *command, const char *name, const char *advice)
{
	char line[128];
	FILE *p = popen(command, "r");
	bool found = p != NULL && fgets(line, sizeof(line), p) != NULL;

	if (p != NULL)
		found = pclose(p) == 0 && found;
	fprintf(out, "%-12s %s\n", name, found ? strtok(line, "\n") : advice);
}

void info_print(FILE *out)
{
	const char *forced = getenv("OPENBLAS_CORETYPE");

	fprintf(out, "%-12s %s%s\n", "commit", version.commit, version.dirty ? ", modified" : "");
	fprintf(out, "%-12s %s\n", "compiler", version.compiler);
	fprintf(out, "%-12s %s\n", "flags", version.flags);
	fprintf(out, "%-12s %s\n", "variant", version.variant);
	fprintf(out, "%-12s %s\n", "libc", info_libc());
	fprintf(out, "%-12s %s\n", "cpu", info_cpu());
	fprintf(out, "%-12s %zu\n", "threads", parallel_threads());
	fprintf(out, "%-12s %s\n", "blas", openblas_get_config());
	fprintf(out, "%-12s %s%s%s\n", "blas core", info_blas_core(),
		forced != NULL ? ", set by OPENBLAS_CORETYPE=" : "", forced != NULL ? forced : "");
	if (getenv("STRIDE_CORETYPE_SET") != NULL)
		fprintf(out,
			"%-12s stride started again with this core type: OpenBLAS had taken "
			"this AVX-512 CPU for an older one\n",
			"");
	fprintf(out, "%-12s %d (chunks of stride's own run in parallel)\n", "blas threads",
		openblas_get_num_threads());
	fprintf(out, "%-12s %.1f GFLOP/s on one core (%d x %d x %d)\n", "sgemm", sgemm_gflops(),
		SGEMM_SIZE, SGEMM_SIZE, SGEMM_SIZE);
	print_program(out, "gnuplot --version 2>/dev/null", "gnuplot",
		"not found: tables come without figures; install gnuplot-nox");
}
