// Sums of squares of gradients, in one launch and in a fixed order: the same bits on every run.
//   sumsq  one block per chunk; reads 4 bytes per float32 element, 8 lanes' worth of 16-byte loads in flight per thread;
//          a partial sum in double, so neither fp16 of 300 nor float32 of 1e30 overflows. The last block of a row adds
//          the row's, and the last row adds the rows of each norm group
// A table with hundreds of rows folds in parallel; the largest, of 5000 chunks, takes one block 20 loads per thread. What
// it costs the others is one atomic each, and none for a row of a single chunk.
#include "common/grid.cuh"

// groups [groups + 1] over rows with that tag; null when not wanted. filled: how many rows have chunks. scalars: or null
struct Norms { Fold fold; const double* scalars; double* groups; int rows, filled, group_count; };

// The gradients of a bucket, whose rows are those from the bucket's before it to `end`.
template <class T> struct Gradient { const T* grad; long long end; };

// This thread's share of a piece.
template <class T> __device__ inline double squares(const Gradient<T>& bucket, const Piece& piece) {
  constexpr int width = 16 / sizeof(T);
  const T* g = gradient_of(piece, bucket.grad);
  const long long size = piece.chunk.end - piece.chunk.begin, whole = on_16_bytes(g) ? size - size % width : 0;
  double sum = 0.0;
  #pragma unroll 4
  for (long long i = threadIdx.x * width; i < whole; i += THREADS * width) {
    T part[width];
    load_vector(part, g + i);
    #pragma unroll
    for (int k = 0; k < width; ++k) { const double x = widen(part[k]); sum += x * x; }
  }
  for (long long i = whole + threadIdx.x; i < size; i += THREADS) { const double x = widen(g[i]); sum += x * x; }
  return sum;
}

// BUCKETS, SQUARES   a Gradient per bucket, and the choice among them by row; 4 blocks per SM at least: left alone, ptxas
// aims for full occupancy and spills
extern "C" __global__ void __launch_bounds__(THREADS, 4)
sumsq(BUCKETS const __grid_constant__ Grid grid, const int* tags, const __grid_constant__ Norms norms) {
  const Piece piece = piece_of(grid, norms.fold.first);
  const long long row = piece.chunk.row;
  const int active = tags[row * TAG_COUNT + TAG_active];
  if (!piece.sparse && active == SPARSE) return;  // the row's own blocks come elsewhere
  double sum = 0.0;
  if (active != INACTIVE) sum = SQUARES;
  sum = block_sum(sum);
  if (threadIdx.x == 0) norms.fold.partials[piece.partial] = sum;

  if (!arrives_last(norms.fold.arrived + row, piece.end - piece.first)) return;
  sum = fold(norms.fold.partials, piece.first, piece.end, 1);
  const double unscale = norms.scalars ? norms.scalars[SCALAR_unscale] : 1.0;
  if (threadIdx.x == 0) norms.fold.sums[row] = sum * unscale * unscale;

  if (!norms.groups || !arrives_last(norms.fold.arrived + norms.rows, norms.filled)) return;
  const volatile double* sums = norms.fold.sums;  // as in fold
  for (int group = 0; group <= norms.group_count; ++group) {
    double all = 0.0;
    for (int r = threadIdx.x; r < norms.rows; r += THREADS) {
      if (tags[r * TAG_COUNT + TAG_group] == group) all += sums[r];
    }
    all = block_sum(all);
    if (threadIdx.x == 0) norms.groups[group] = all;
  }
}
