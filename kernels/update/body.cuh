// What update.cu does to one piece of a bucket, in a namespace of its own: a launch over buckets of several dtypes has one
// such body for each. update/cuda_text.py writes what stands before it; the default is plain SGD in float32.
#ifndef ELEMENT
#define BODY body_0
#define TYPES typedef float real; typedef float param_t; typedef float grad_t; enum { WIDTH = 4, FOLLOWS = 0 };
#define FIELDS param_t* param_; const grad_t* grad_;
#define SETUP const real lr = real(number_[0] * column_[COLUMN_lr_scale]);
#define POINTERS param_t* param_ = arrays_.param_ + chunk_.begin; const grad_t* grad_ = gradient_of(piece_, arrays_.grad_);
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

namespace BODY {
TYPES

// The bucket's buffers; its rows are those from the bucket's before it to `end`.
struct Arrays { FIELDS long long end; };

// The formula's functions. fmin and fmax differ from CUDA's own: NaN on either side gives NaN, as everywhere in gpuflow.
__device__ inline real where_(bool c, real a, real b) { return c ? a : b; }
__device__ inline real sign_(real x) { return real((x > 0) - (x < 0)); }
__device__ inline real fmin_(real a, real b) { return a < b || a != a ? a : b; }
__device__ inline real fmax_(real a, real b) { return a > b || a != a ? a : b; }

__device__ __forceinline__ void run(const Arrays& arrays_, const Tables& tables_, const Piece& piece_, const Fold& fold_) {
  const Chunk& chunk_ = piece_.chunk;
  const int* tag_ = tables_.tags + chunk_.row * TAG_COUNT;
  if (!piece_.sparse && tag_[TAG_active] != DENSE) {
    if (!FOLLOWS || tag_[TAG_active] == SPARSE) return;
    // the running average of a row that stays where it is
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
}  // namespace BODY
#undef BODY
#undef TYPES
#undef FIELDS
#undef SETUP
#undef POINTERS
#undef ALIGNED
#undef LOAD_VECTORS
#undef UNPACK
#undef ELEMENT
#undef PACK
#undef STORE_VECTORS
#undef FINISH
#undef FOLLOW
