// Enough of CUDA to run this project's kernels on a CPU, built by g++: one fiber per CUDA thread, one block at a time.
//   Threads run until they meet __syncthreads or a shuffle, then others run: warps in ascending (order 0), descending (1) or
//   random (2) order, each as far as it goes. Shared memory starts as NaN in every block. So a missing barrier shows as NaN
//   or a wrong sum in at least one order, and a barrier or shuffle that not every thread reaches is an error by name.
//   Not seen here: races between blocks, memory ordering, timing. No dynamic shared memory, no textures, no inline PTX.
#pragma once
#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>
#include <ucontext.h>

#define __global__
#define __device__ static  // internal linkage, so that __shared__ in an inline function may name its section
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("cuda_shared")))

extern "C" __attribute__((weak)) char __start_cuda_shared[], __stop_cuda_shared[];

struct Dim3 { unsigned x, y, z; };
static Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace host {

enum Wait { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct Thread {
  ucontext_t context;
  jmp_buf at;
  bool started = false;
  Wait wait = READY;
  int line = 0, barriers = 0;
  unsigned mask = 0, shuffles = 0;
  double sent[2];  // two slots: a lane is at most one shuffle ahead of another
  std::vector<char> stack;
};

static std::vector<Thread> threads;
static Thread* self;
static jmp_buf scheduler;
static ucontext_t scheduler_context;
static std::string error;
static void (*body)(void*);
static void* body_arguments;

static void fail(const std::string& what) { if (error.empty()) error = what; }

#ifdef __SANITIZE_ADDRESS__  // longjmp between stacks confuses the sanitizer; swapcontext, slower, it knows
static void to_scheduler() { swapcontext(&self->context, &scheduler_context); }
static void to_thread(Thread& t) { swapcontext(&scheduler_context, &t.context); }
#else
static void to_scheduler() { if (!_setjmp(self->at)) _longjmp(scheduler, 1); }
static void to_thread(Thread& t) {
  if (_setjmp(scheduler)) return;
  if (t.started) _longjmp(t.at, 1);
  t.started = true;
  setcontext(&t.context);
}
#endif

static void entry() {
  body(body_arguments);
  self->wait = DONE;
  to_scheduler();
}

static void resume(unsigned k) {
  self = &threads[k];
  threadIdx = {k, 0, 0};
  self->wait = READY;
  to_thread(*self);
}

static void barrier(int line) {
  self->wait = AT_BARRIER, self->line = line, ++self->barriers;
  to_scheduler();
}

static double shuffle_down(unsigned mask, double x, int by, int line) {
  Thread& me = *self;
  const unsigned lane = threadIdx.x % 32, slot = me.shuffles % 2;
  me.sent[slot] = x, me.mask = mask, me.line = line, me.wait = AT_SHUFFLE, ++me.shuffles;
  to_scheduler();
  const unsigned from = lane + by < 32 ? lane + by : lane;
  return threads[threadIdx.x - lane + from].sent[slot];
}

// A lane may go on when every lane of its mask has met the same shuffle, or has gone past it already.
static bool shuffle_complete(unsigned k) {
  const Thread& me = threads[k];
  const unsigned first = k - k % 32;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(me.mask >> lane & 1)) continue;
    if (first + lane >= threads.size()) return false;
    const Thread& other = threads[first + lane];
    if (other.shuffles < me.shuffles) return false;
    if (other.shuffles == me.shuffles && other.wait == AT_SHUFFLE && other.line != me.line) return false;
  }
  return true;
}

static bool barrier_complete() {
  int line = 0;
  for (const Thread& t : threads) {
    if (t.wait == DONE) continue;
    if (t.wait != AT_BARRIER || (line && t.line != line)) return false;
    line = t.line;
  }
  return line != 0;
}

static void diagnose() {
  for (const Thread& t : threads) {
    if (t.wait == AT_SHUFFLE) return fail("warp primitive not reached by every lane of its mask, line " + std::to_string(t.line));
  }
  fail("__syncthreads not reached by every thread of the block");
}

static unsigned random_bits() { static unsigned state = 2463534242u; state ^= state << 13; state ^= state >> 17; return state ^= state << 5; }

// Runs the lanes of a warp until none can go on; says whether any did.
static bool run_warp(unsigned warp, bool backwards) {
  bool any = false, moved = true;
  const unsigned first = warp * 32, last = std::min<unsigned>(first + 32, threads.size());
  while (moved) {
    moved = false;
    for (unsigned k = first; k < last; ++k) {
      const unsigned which = backwards ? first + last - 1 - k : k;
      Thread& t = threads[which];
      if (t.wait == READY || (t.wait == AT_SHUFFLE && shuffle_complete(which))) resume(which), any = moved = true;
    }
  }
  return any;
}

__attribute__((no_sanitize("address"))) static void poison_shared() {
  if (!__start_cuda_shared) return;
  for (volatile char* c = __start_cuda_shared; c < __stop_cuda_shared; ++c) *c = char(0xff);
}

static void run_block(int order) {
  const unsigned warps = (threads.size() + 31) / 32;
  for (Thread& t : threads) {
    t.wait = READY, t.started = false, t.barriers = 0, t.shuffles = 0;
    getcontext(&t.context);
    t.context.uc_stack.ss_sp = t.stack.data(), t.context.uc_stack.ss_size = t.stack.size(), t.context.uc_link = nullptr;
    makecontext(&t.context, entry, 0);
  }
  poison_shared();
  std::vector<unsigned> turns(warps);
  for (;;) {
    for (unsigned w = 0; w < warps; ++w) turns[w] = order == 1 ? warps - 1 - w : w;
    if (order == 2) for (unsigned w = warps; w > 1; --w) std::swap(turns[w - 1], turns[random_bits() % w]);
    bool any = false;
    for (unsigned w : turns) any |= run_warp(w, order == 1);
    if (any) continue;
    bool all_done = true;
    for (const Thread& t : threads) all_done &= t.wait == DONE;
    if (all_done) break;
    if (!barrier_complete()) return diagnose();
    for (Thread& t : threads) if (t.wait == AT_BARRIER) t.wait = READY;
  }
  for (const Thread& t : threads) {
    if (t.barriers != threads[0].barriers) return fail("__syncthreads not reached by every thread of the block");
  }
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_const_t<A>*>(arguments[I])...);
}

template <class... A>
static const char* launch(void (*kernel)(A...), unsigned grid, unsigned block, void** arguments, int order) {
  struct Job { void (*kernel)(A...); void** arguments; } job{kernel, arguments};
  error.clear();
  body = [](void* j) { call(static_cast<Job*>(j)->kernel, static_cast<Job*>(j)->arguments, std::index_sequence_for<A...>{}); };
  body_arguments = &job;
  gridDim = {grid ? grid : 1, 1, 1}, blockDim = {block, 1, 1};  // CuPy launches a grid of 0 as one block
  if (threads.size() != block) {
    threads.clear(), threads.resize(block);
    for (Thread& t : threads) t.stack.resize(128 * 1024);
  }
  for (unsigned k = 0; k < gridDim.x && error.empty(); ++k) {
    blockIdx = {order == 1 ? gridDim.x - 1 - k : k, 0, 0};
    run_block(order);
  }
  return error.c_str();
}

}  // namespace host

#define __syncthreads() host::barrier(__LINE__)
#define __shfl_down_sync(mask, x, by) host::shuffle_down(mask, x, by, __LINE__)
static inline void __threadfence() {}
template <class T> static inline T __ldg(const T* at) { return *at; }
static inline unsigned atomicAdd(unsigned* at, unsigned x) { const unsigned before = *at; *at += x; return before; }
static inline float __uint_as_float(unsigned x) { float y; std::memcpy(&y, &x, 4); return y; }
static inline unsigned __float_as_uint(float x) { unsigned y; std::memcpy(&y, &x, 4); return y; }
using std::fabs;
using std::sqrt;

#define HOST_EXPORT(symbol, kernel) \
  extern "C" const char* symbol(unsigned grid, unsigned block, void** arguments, int order) { \
    return host::launch(kernel, grid, block, arguments, order); \
  }
