#ifndef STRIDE_TESTS_GOLDEN_TENSORS_H
#define STRIDE_TESTS_GOLDEN_TENSORS_H

#include "golden.h"

#include "nn/net.h"

/** Files of the PyTorch code's fixtures: a sequence of `tensor NAME NDIM D0 D1 ...`, each followed by its
 *  numbers, row-major. Tensors that nothing is compared with are counted as unknown. */
enum { TENSOR_DIMS_MAX = 4 };

struct tensor {
	const char *name;
	size_t dims[TENSOR_DIMS_MAX], n_dims, size;
	double *x;
	bool used;
};

struct tensors {
	struct golden *g;
	const char *file;
	struct tensor *list;
	size_t n;
};

/** False after counting a failure. */
bool tensors_read(struct golden *g, const char *dir, const char *file, struct tensors *out);

/** The tensor of this name; NULL when there is none. Not noted as used. */
struct tensor *tensors_find(const struct tensors *f, const char *name);

/** The numbers of the tensor of this name, which must have `size`; NULL after counting a failure. */
const double *tensors_numbers(struct tensors *f, const char *name, size_t size);

/** The same as a number; NaN after counting a failure. */
double tensors_number(struct tensors *f, const char *name);

/** The network's parameters, or something of each of them, in the order of the file: the tensors whose
 *  names are `prefix` followed by base_model. or score_model. Layers are [out][in] there. NULL after
 *  counting a failure when they are not `expected` numbers. */
double *tensors_parameters(struct tensors *f, const char *prefix, size_t expected);

/** From [steps][rows][cols], as the code keeps paths, to the engine's [rows][steps][cols]. */
double *tensors_by_row(struct tensors *f, const char *name, size_t steps, size_t rows, size_t cols);

/** Count what is left, and name the first few. */
void tensors_count_unused(const struct tensors *f);

/** The density that the fixtures call `kind`, in `dim` dimensions, and what graphs see of it: the same,
 *  but for the grid mixture, whose variance is 0.3 here, where the target gmm9 has the published
 *  code's deviation in float, 6e-8 away. NULL after counting a failure. */
const struct field *tensors_field(struct golden *g, const char *kind, size_t dim,
	struct density **target);

/** Show each set of files DIR/SET_PART_KIND + suffix to `check`: name is SET_PART_KIND. */
void tensors_each_set(struct golden *g, const char *dir, const char *part, const char *suffix,
	void (*check)(struct golden *g, const char *dir, const char *name, const char *kind));

/** A network's layers in the order of the files; returns their number, LAYERS_MAX at most. */
enum { LAYERS_MAX = 32 };
size_t tensors_layers(const struct sde_net *net, struct slice *layers);

/** The rest of a file, golden_scds_methods.c: the process that is reversed; losses of the method of
 *  published width with these n parameters; the student of CDDS. */
void golden_scds_process(struct tensors *f, const char *name, const char *kind);
void golden_scds_full_size(struct tensors *f, const char *name, const char *kind, real *params,
	size_t n);
void golden_cdds_function(struct tensors *f, const char *dir, const char *name, const char *kind);

#endif
