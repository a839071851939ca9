// Sums of squares of gradients, in two launches and in a fixed order: the same bits on every run.
//   sumsq  one block per chunk; reads 4 bytes per float32 element, 8 lanes' worth of 16-byte loads in flight per thread;
//          partials[chunk] in double, so neither fp16 of 300 nor float32 of 1e30 overflows
//   fold   one block per row adds the row's partials; the block that arrives last adds the rows of each norm group.
//          No atomics on the sums: the counter only says who is last
// Both tolerate a grid of one block with nothing to do, which is what a grid of zero is launched as.
#include "common/grid.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
sumsq(const grad_t* grad, const Chunk* chunks, int chunk_count, int want, const int* tags, double* partials) {
  if (blockIdx.x >= chunk_count) return;
  const Chunk chunk = chunks[blockIdx.x];
  double sum = 0.0;
  if (tags[chunk.row * TAG_COUNT + TAG_active] == want) {
    const grad_t* g = grad + chunk.source;
    const long long size = chunk.end - chunk.begin, whole = on_16_bytes(g) ? size - size % WIDTH : 0;
    #pragma unroll 4
    for (long long i = threadIdx.x * WIDTH; i < whole; i += THREADS * WIDTH) {
      grad_t part[WIDTH];
      load_vector(part, g + i);
      #pragma unroll
      for (int k = 0; k < WIDTH; ++k) { const double x = widen(part[k]); sum += x * x; }
    }
    for (long long i = whole + threadIdx.x; i < size; i += THREADS) { const double x = widen(g[i]); sum += x * x; }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// partials    [chunks, width]; row r owns chunks first[r] .. first[r + 1]
// row_sumsq   [rows, width]: (sum of partials + extra[r]) * unscale^2; extra and scalars may be null (0 and 1)
// group_sumsq [groups + 1] over rows with that tag; null when not wanted.  arrived: one counter, zero before and after
extern "C" __global__ void __launch_bounds__(THREADS)
fold(const double* partials, const long long* first, int rows, int width, const double* extra, const double* scalars,
     const int* tags, double* row_sumsq, int groups, double* group_sumsq, unsigned* arrived) {
  const int row = blockIdx.x;
  const double unscale = scalars ? scalars[SCALAR_unscale] : 1.0;
  if (row < rows) {
    for (int which = 0; which < width; ++which) {
      double sum = 0.0;
      for (long long c = first[row] + threadIdx.x; c < first[row + 1]; c += THREADS) sum += partials[c * width + which];
      sum = block_sum(sum);
      if (threadIdx.x == 0) row_sumsq[(long long)row * width + which] = (sum + (extra ? extra[row] : 0.0)) * unscale * unscale;
    }
  }
  if (!group_sumsq) return;

  __shared__ bool last;
  if (threadIdx.x == 0) {
    __threadfence();  // the row's sum before the count
    last = atomicAdd(arrived, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  const volatile double* sums = row_sumsq;  // written by other blocks: past the cache that belongs to this one
  for (int group = 0; group <= groups; ++group) {
    double sum = 0.0;
    for (int r = threadIdx.x; r < rows; r += THREADS) {
      if (tags[r * TAG_COUNT + TAG_group] == group) sum += sums[r];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) group_sumsq[group] = sum;
  }
  if (threadIdx.x == 0) *arrived = 0u;
}
