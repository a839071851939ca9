// Rows that a sparse gradient names several times, added up in the order in which they came: the same bits on every run.
//   sorted [n]  the rows, rising; order [n]: at which place each of them was in values [n, width]
//   ids, out    one block per entry: where it is the first of its row, that row and the sum; else -1 and zeros, so that
//               nobody has to wait and see how many rows there are
//   value_t, sum_t   from rows/__init__.py; float16 and bfloat16 are added up in float
#include "common/grid.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
merge(const long long* sorted, const long long* order, const value_t* values, long long* ids, value_t* out, int count,
      long long width) {
  const long long k = blockIdx.x, id = sorted[k];
  const bool first = k == 0 || sorted[k - 1] != id;
  if (threadIdx.x == 0) ids[k] = first ? id : -1;
  for (long long i = threadIdx.x; i < width; i += THREADS) {
    sum_t sum = 0;
    for (long long j = k; first && j < count && sorted[j] == id; ++j) sum += widen(values[order[j] * width + i]);
    store(out[k * width + i], sum);
  }
}
