// A chain of elementwise functions: each input read once, each output written once, whatever lies between stays in registers.
//   arrays   flat, C-contiguous; inputs that broadcast are walked with steps of 0 along some axes
//   shape    three axes, the last one runs fastest; FLAT where every input has all elements, then only `size` counts
//   launch   blocks of THREADS; each thread takes every (threads of the grid)-th element, so any grid does
// elementwise/cuda_text.py writes what stands before this file: types, FIELDS, LOAD, LINES and STORE. The default is
// o = a0 + a1, so that this file compiles alone.
#ifndef LINES
typedef float float32;
#define INPUTS 2
#define FLAT 0
#define FIELDS const float32* a0; const float32* a1; float32* o0;
#define LOAD const float32 t0 = arrays.a0[AT(0)]; const float32 t1 = arrays.a1[AT(1)];
#define LINES const float32 t2 = float32(t0 + t1);
#define STORE arrays.o0[e] = t2;
#endif

struct Arrays { FIELDS };
struct Shape { long long size, middle, last, steps[INPUTS][3]; };

template <class T> __device__ inline T where(bool condition, T a, T b) { return condition ? a : b; }

#if FLAT
#define AT(k) e
#else
#define AT(k) i * shape.steps[k][0] + j * shape.steps[k][1] + l * shape.steps[k][2]
#endif

extern "C" __global__ void elementwise(const Shape shape, const Arrays arrays) {
  const long long threads = (long long)gridDim.x * blockDim.x;
  for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < shape.size; e += threads) {
#if !FLAT
    const long long row = e / shape.last, l = e - row * shape.last, i = row / shape.middle, j = row - i * shape.middle;
#endif
    LOAD
    LINES
    STORE
  }
}
