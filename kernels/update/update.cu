// Fused parameter update: unscale, clip, regularise, an optimizer's formula, rounded copy and running average in one pass.
//   arrays    flat buffers by value: addresses in the kernel's own arguments compile to LDG/STG, from memory to LD/ST
//   chunks    one block each; the ranges of a parameter start at multiples of 64 elements, so nearly all access is 128 bits
//             wide, and a chunk's last elements, or one that lies askew, take the narrow loop
//   tables    see update/layout.py; rate, numbers, clip norms and the skip flag are read from device memory, so that a
//             captured graph replays with what they are then
//   moved     float32 AdamW: reads p, g, m, v and writes p, m, v: 28 bytes per element
// update/cuda_text.py writes what stands before this file; UNPACK ... are the formula. The default is plain SGD, so that
// this file compiles alone.
#ifndef ELEMENT
typedef float real;
typedef float param_t;
typedef float grad_t;
#define WIDTH 4
#define THREADS 256
#define MOST_SPARSE 1
#define GRADIENT arrays_.grad_
enum { CLIP_NORM = 2, CLIP_GROUP = 3, TAG_active = 3, TAG_clip = 0, TAG_group = 1, TAG_set = 2, TAG_COUNT = 4, COLUMN_hi = 5,
       COLUMN_lr_scale = 0, COLUMN_COUNT = 6, SCALAR_skip = 2, SCALAR_unscale = 0, NUMBER_COUNT = 1, NORM_COUNT = 0,
       DENSE = 1, SPARSE = 2, FOLLOWS = 0 };
#define FIELDS param_t* param_; const grad_t* grad_;
#define SETUP const real lr = real(number_[0] * column_[COLUMN_lr_scale]);
#define POINTERS param_t* param_ = arrays_.param_ + chunk_.begin; const grad_t* grad_ = arrays_.grad_ + chunk_.source;
#define ALIGNED on_16_bytes(param_) && on_16_bytes(grad_)
#define LOAD_VECTORS param_t param_vector[WIDTH]; load_vector(param_vector, param_ + i_); \
                     grad_t grad_vector[WIDTH]; load_vector(grad_vector, grad_ + i_);
#define UNPACK(AT) real p = widen(AT(param_)); const real g = widen(AT(grad_));
#define ELEMENT p = p - lr * g;
#define PACK(AT) store(AT(param_), p);
#define STORE_VECTORS store_vector(param_ + i_, param_vector);
#define FINISH
#define FOLLOW
#endif
#include "common/grid.cuh"

// The formula's functions. fmin and fmax differ from CUDA's own: NaN on either side gives NaN, as everywhere in gpuflow.
__device__ inline real where_(bool c, real a, real b) { return c ? a : b; }
__device__ inline real sign_(real x) { return real((x > 0) - (x < 0)); }
__device__ inline real fmin_(real a, real b) { return a < b || a != a ? a : b; }
__device__ inline real fmax_(real a, real b) { return a > b || a != a ? a : b; }
#define where where_
#define sign sign_
#define fmin fmin_
#define fmax fmax_

struct Arrays { FIELDS };
struct Tables {
  const int* tags;
  const double *columns, *numbers, *scalars, *row_sumsq, *group_sumsq, *layer_sumsq;
};

// Factor of a norm clip for a row: 1, or most / norm where the norm is larger. A NaN norm goes on to the gradient.
__device__ inline double shrink_(const Tables& tables, long long row, int clip, double most, int group) {
  if (clip != CLIP_NORM && clip != CLIP_GROUP) return 1.0;
  const double norm = sqrt(clip == CLIP_NORM ? tables.row_sumsq[row] : tables.group_sumsq[group]);
  return norm <= most ? 1.0 : most / norm;
}

__device__ inline bool finite_(double x) { return x - x == 0.0; }

#define AT_VECTOR(name) name##vector[k_]
#define AT_TAIL(name) name[i_]

// 2 blocks per SM at least: left alone, ptxas aims for full occupancy and spills; 512 threads with 64 bytes each in flight
// are more than the memory needs.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
update(const __grid_constant__ Arrays arrays_, const __grid_constant__ Tables tables_, const Chunk* chunks_, int chunk_count_,
       long long first_chunk_, const __grid_constant__ Sparse sparse_, int groups_, const __grid_constant__ Fold fold_) {
  const Piece piece_ = piece_of(chunks_, chunk_count_, first_chunk_, GRADIENT, sparse_, fold_.first);
  const Chunk chunk_ = piece_.chunk;
  const int* tag_ = tables_.tags + chunk_.row * TAG_COUNT;
  const bool wanted_ = piece_.sparse || tag_[TAG_active] == DENSE;
  if (!wanted_ && (!FOLLOWS || tag_[TAG_active] == SPARSE)) return;
  if (tables_.scalars[SCALAR_skip] != 0.0) {
    for (int k_ = 0; k_ <= groups_; ++k_) if (!finite_(tables_.group_sumsq[k_])) return;
  }
  if (!wanted_) {   // the running average of a row that stays where it is
    for (long long i_ = chunk_.begin + threadIdx.x; i_ < chunk_.end; i_ += THREADS) { FOLLOW }
    return;
  }
  const double* column_ = tables_.columns + chunk_.row * COLUMN_COUNT;
  const double* number_ = tables_.numbers + tag_[TAG_set] * NUMBER_COUNT;
  SETUP
  POINTERS
  const long long size_ = chunk_.end - chunk_.begin, whole_ = ALIGNED ? size_ - size_ % WIDTH : 0;
  for (long long i_ = threadIdx.x * WIDTH; i_ < whole_; i_ += THREADS * WIDTH) {
    LOAD_VECTORS
    #pragma unroll
    for (int k_ = 0; k_ < WIDTH; ++k_) {
      UNPACK(AT_VECTOR)
      ELEMENT
      PACK(AT_VECTOR)
    }
    STORE_VECTORS
  }
  for (long long i_ = whole_ + threadIdx.x; i_ < size_; i_ += THREADS) {
    UNPACK(AT_TAIL)
    ELEMENT
    PACK(AT_TAIL)
  }
  FINISH
}
