// Fused parameter update: unscale, clip, regularise, an optimizer's formula, rounded copy and running average in one pass,
// for the parameters of every dtype in one launch.
//   buckets   flat buffers by value: addresses in the kernel's own arguments compile to LDG/STG, from memory to LD/ST
//   grid      chunks, one block each; the ranges of a parameter start at multiples of 64 elements, so nearly all access is
//             128 bits wide, and a chunk's last elements, or one that lies askew, take the narrow loop
//   tables    see update/layout.py; rate, numbers, clip norms and the skip flag are read from device memory, so that a
//             captured graph replays with what they are then
//   moved     float32 AdamW: reads p, g, m, v and writes p, m, v: 28 bytes per element
// update/cuda_text.py writes what stands before this file, and puts a body.cuh for each bucket in place of the one
// below. The default is plain SGD, so that this file compiles alone.
#ifndef BUCKETS
#define THREADS 256
enum { CLIP_NORM = 2, CLIP_GROUP = 3, TAG_active = 3, TAG_clip = 0, TAG_group = 1, TAG_set = 2, TAG_COUNT = 4, COLUMN_hi = 5,
       COLUMN_lr_scale = 0, COLUMN_COUNT = 6, SCALAR_skip = 2, SCALAR_unscale = 0, NUMBER_COUNT = 1, NORM_COUNT = 0,
       DENSE = 1, SPARSE = 2 };
#define BUCKETS const __grid_constant__ body_0::Arrays bucket_0,
#define RUN body_0::run(bucket_0, tables, piece, fold);
#endif
#include "common/grid.cuh"

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

#define where where_
#define sign sign_
#define fmin fmin_
#define fmax fmax_
#define AT_VECTOR(name) name##vector[k_]
#define AT_TAIL(name) name[i_]
#include "update/body.cuh"

// 2 blocks per SM at least: left alone, ptxas aims for full occupancy and spills; 512 threads with 64 bytes each in flight
// are more than the memory needs. RUN chooses the bucket, the same one in all threads of a block.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
update(BUCKETS const __grid_constant__ Grid grid, const __grid_constant__ Tables tables, int groups,
       const __grid_constant__ Fold fold) {
  const Piece piece = piece_of(grid, fold.first);
  if (tables.scalars[SCALAR_skip] != 0.0) {
    for (int k = 0; k <= groups; ++k) if (!finite_(tables.group_sumsq[k])) return;
  }
  RUN
}
