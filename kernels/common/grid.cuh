// Shared by every kernel here: chunks, stored types and their conversions, 128-bit access, sums over a block.
//   Text before this file (written by update/cuda_text.py): THREADS; CLIP_*, TAG_*, COLUMN_*, SCALAR_* indices, all from
//   update/layout.py.
#pragma once

// Elements [begin, end) of one parameter, handled by one block. source: where the gradient of `begin` lies; it differs
// from begin for loose arrays and for embedding rows, whose gradients come packed. 64-bit, since arenas grow past 2^31
// elements.
struct Chunk { long long begin, end, row, source; };

struct bfloat16 { unsigned short bits; };
struct float16 { unsigned short bits; };

// The gradient of some rows of an embedding, packed from address `values` on: `width` numbers belong to its row ids[k], or
// to none where that is below 0. One block each, from block `first` on; where count is 0 there is one, with nothing to do.
struct Rows { const long long* ids; long long values, begin, width, row, first, count; };
// All chunks of a launch, then all sparse gradients. partials: where the sums of the sparse rows start.
struct Grid { const Chunk* chunks; const Rows* rows; long long partials; int chunk_count, rows_count; };

// What one block does: a chunk, its place among the partial sums, and those of its whole row. values: the address that a
// sparse gradient's source counts from.
struct Piece { Chunk chunk; long long partial, first, end, values; bool sparse; };

// first_of_row: see Fold.
__device__ inline Piece piece_of(const Grid& grid, const long long* first_of_row) {
  if (blockIdx.x < grid.chunk_count) {
    const Chunk chunk = grid.chunks[blockIdx.x];
    return {chunk, blockIdx.x, first_of_row[chunk.row], first_of_row[chunk.row + 1], 0, false};
  }
  const int block = blockIdx.x - grid.chunk_count;
  int low = 0;  // the last of the sparse gradients whose blocks begin here or before
  for (int high = grid.rows_count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (block >= grid.rows[middle].first) low = middle; else high = middle;
  }
  const Rows& rows = grid.rows[low];
  // an address that was read from memory could be anywhere; __ldg says that it is global
  const long long at = block - rows.first, id = at < rows.count ? __ldg(rows.ids + at) : -1;
  const long long begin = rows.begin + (id < 0 ? 0 : id * rows.width), first = grid.partials + rows.first;
  return {{begin, id < 0 ? begin : begin + rows.width, rows.row, at * rows.width}, grid.partials + block, first,
          first + (rows.count ? rows.count : 1), rows.values, true};
}

// Where the gradient of a piece starts. It is counted from `grad`, whichever memory that is in: a choice between two
// pointers would compile to generic loads.
template <class T> __device__ inline const T* gradient_of(const Piece& piece, const T* grad) {
  const long long apart = piece.sparse ? (piece.values - (long long)grad) / (long long)sizeof(T) : 0;
  return grad + apart + piece.chunk.source;
}

// Conversions by bits: no CUDA header to find on the user's machine, and the same text runs on the host for the tests.
__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(bfloat16 x) { return __uint_as_float(unsigned(x.bits) << 16); }
__device__ inline float widen(float16 x) {
  // the exponent moves from bias 15 to bias 127 by a product, which also makes subnormals right
  unsigned bits = __float_as_uint(__uint_as_float((x.bits & 0x7fffu) << 13) * 0x1p112f);
  if ((x.bits & 0x7c00u) == 0x7c00u) bits |= 0x7f800000u;
  return __uint_as_float(bits | (x.bits & 0x8000u) << 16);
}

// Stores x in the type of `to`, rounded to nearest, ties to even; NaN stays NaN.
__device__ inline void store(float& to, float x) { to = x; }
__device__ inline void store(double& to, double x) { to = x; }
__device__ inline void store(bfloat16& to, float x) {
  const unsigned bits = __float_as_uint(x);
  to.bits = (unsigned short)((x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
__device__ inline void store(float16& to, float x) {
  const unsigned bits = __float_as_uint(x), size = bits & 0x7fffffffu;
  unsigned half;
  if (size > 0x7f800000u) half = 0x7e00u;                                                     // NaN
  else if (size >= 0x47800000u) half = 0x7c00u;                                               // 2^16 and more
  else if (size < 0x38800000u) half = __float_as_uint(__uint_as_float(size) + 0.5f) - 0x3f000000u;  // subnormal below 2^-14
  else half = (size - (112u << 23) + 0xfffu + ((size >> 13) & 1u)) >> 13;
  to.bits = (unsigned short)(half | (bits >> 16 & 0x8000u));
}

// 128-bit access: `width` elements from or to an address that is a multiple of 16.
template <class T> struct alignas(16) Pack { T at[16 / sizeof(T)]; };

template <class T, int width> __device__ inline void load_vector(T (&to)[width], const T* from) {
  constexpr int each = 16 / sizeof(T);
  #pragma unroll
  for (int k = 0; k < width; k += each) {
    const Pack<T> pack = *reinterpret_cast<const Pack<T>*>(from + k);
    #pragma unroll
    for (int j = 0; j < each; ++j) to[k + j] = pack.at[j];
  }
}

template <class T, int width> __device__ inline void store_vector(T* to, const T (&from)[width]) {
  constexpr int each = 16 / sizeof(T);
  #pragma unroll
  for (int k = 0; k < width; k += each) {
    Pack<T> pack;
    #pragma unroll
    for (int j = 0; j < each; ++j) pack.at[j] = from[k + j];
    *reinterpret_cast<Pack<T>*>(to + k) = pack;
  }
}

__device__ inline bool on_16_bytes(const void* address) { return (unsigned long long)address % 16 == 0; }

// Sum of x over the block, in a fixed order; right in thread 0. Every thread of the block must call it.
__device__ inline double block_sum(double x) {
  __shared__ double of_warp[THREADS / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int step = 16; step > 0; step /= 2) x += __shfl_down_sync(0xffffffffu, x, step);
  __syncthreads();  // the call before this one may still be reading of_warp
  if (lane == 0) of_warp[warp] = x;
  __syncthreads();
  if (warp == 0) {
    x = lane < THREADS / 32 ? of_warp[lane] : 0.0;
    for (int step = 16; step > 0; step /= 2) x += __shfl_down_sync(0xffffffffu, x, step);
  }
  return x;
}

// Partial sums, and who adds them: the block that arrives last of a row, so no launch of its own is needed. The order of
// the sum hangs on the table alone, the counters say only who is last; each goes back to 0, so that a graph can replay.
//   first    row r owns partials first[r] .. first[r + 1]
//   arrived  [rows + 1], all zero before and after; the last is for rows that are done
struct Fold { double* partials; const long long* first; double* sums; unsigned* arrived; };

// True in the block that is the last of `expected` to come here; it sees what the others wrote before. Every thread of
// the block must call it.
__device__ inline bool arrives_last(unsigned* arrived, long long expected) {
  __shared__ bool last;
  __syncthreads();  // what this block wrote is written, and nobody reads `last` any more
  if (threadIdx.x == 0) {
    __threadfence();  // the sum before the count
    last = expected == 1 || atomicAdd(arrived, 1u) == expected - 1;
    if (last && expected > 1) *arrived = 0u;
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// Sum of every width-th partial in [first, end), in a fixed order; right in thread 0.
__device__ inline double fold(const double* partials, long long first, long long end, int width) {
  const volatile double* from = partials;  // written by other blocks: past the cache that belongs to this one
  double sum = 0.0;
  for (long long c = first + threadIdx.x; c < end; c += THREADS) sum += from[c * width];
  return block_sum(sum);
}
