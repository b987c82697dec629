// The part of CUDA that gsplat's kernels speak, as plain C++: blocks run one after the other, each thread of a block is
// a fiber that runs up to its next barrier, and a warp has a single lane.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <math.h>
#include <memory>
#include <stdlib.h>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__
#define __forceinline__ inline

struct uint2 {
    uint32_t x, y;
};
struct dim3 {
    uint32_t x = 1, y = 1, z = 1;
    uint32_t count() const { return x * y * z; }
};

// ---- arithmetic as the device does it -------------------------------------------------------------------------------

// The fast exponential is a power of two.
inline float __expf(float x) { return exp2f(x * 1.44269504f); }
inline float __logf(float x) { return log2f(x) * 0.693147181f; }
inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
// Of a NaN and a number CUDA takes the number; of a signed and an unsigned integer both count as unsigned.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline int32_t min(int32_t a, int32_t b) { return a < b ? a : b; }
inline int32_t max(int32_t a, int32_t b) { return a > b ? a : b; }
inline uint32_t min(uint32_t a, uint32_t b) { return a < b ? a : b; }
inline uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }
inline uint32_t min(uint32_t a, int32_t b) { return min(a, uint32_t(b)); }
inline uint32_t max(int32_t a, uint32_t b) { return max(uint32_t(a), b); }

// A cast from float saturates on the device and is undefined in C++, so the casts of the kernels come here.
template <class Integer> Integer saturated(double x) {
    using limits = std::numeric_limits<Integer>;
    if (x != x)
        return 0;
    return x <= double(limits::min()) ? limits::min() : x >= double(limits::max()) ? limits::max() : Integer(x);
}

template <class T> void gpuAtomicAdd(T *target, T value) { *target += value; }

// ---- threads --------------------------------------------------------------------------------------------------------

namespace emulation {

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    dim3 index;
    bool done;
    bool predicate; // what it brought to the barrier at which it waits
};

inline constexpr size_t STACK_BYTES = 64 * 1024;
inline std::vector<Fiber> fibers;
inline Fiber *running = nullptr;
inline ucontext_t scheduler;
inline std::function<void()> kernel;
inline dim3 block_shape, block_index;
inline uint32_t block_number; // of the grid, in order
inline int true_predicates;   // at the last barrier

inline void run_fiber() {
    kernel();
    running->done = true;
}

inline int barrier(bool predicate) {
    running->predicate = predicate;
    swapcontext(&running->context, &scheduler);
    return true_predicates;
}

inline void run_block() {
    const uint32_t count = block_shape.count();
    for (uint32_t t = 0; t < count; t++) {
        Fiber &fiber = fibers[t];
        fiber.index = {t % block_shape.x, t / block_shape.x % block_shape.y, t / block_shape.x / block_shape.y};
        fiber.done = fiber.predicate = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, run_fiber, 0);
    }
    for (uint32_t alive = count; alive > 0;) {
        alive = 0;
        int predicates = 0;
        for (uint32_t t = 0; t < count; t++) {
            Fiber &fiber = fibers[t];
            if (fiber.done)
                continue;
            running = &fiber;
            swapcontext(&scheduler, &fiber.context);
            alive += !fiber.done;
            predicates += !fiber.done && fiber.predicate;
        }
        true_predicates = predicates;
    }
}

inline void launch(dim3 grid, dim3 block, std::function<void()> body) {
    kernel = std::move(body);
    block_shape = block;
    while (fibers.size() < block.count())
        fibers.push_back({{}, std::make_unique<char[]>(STACK_BYTES), {}, true, false});
    for (block_number = 0; block_number < grid.count(); block_number++) {
        block_index = {block_number % grid.x, block_number / grid.x % grid.y, block_number / grid.x / grid.y};
        run_block();
    }
}

} // namespace emulation

inline int __syncthreads_count(int predicate) { return emulation::barrier(predicate != 0); }

namespace cooperative_groups {

struct thread_block {
    dim3 group_index() const { return emulation::block_index; }
    dim3 thread_index() const { return emulation::running->index; }
    uint32_t size() const { return emulation::block_shape.count(); }
    uint32_t thread_rank() const {
        const dim3 i = thread_index(), shape = emulation::block_shape;
        return (i.z * shape.y + i.y) * shape.x + i.x;
    }
    void sync() const { emulation::barrier(false); }
};
struct grid_group {
    uint32_t thread_rank() const {
        return emulation::block_number * emulation::block_shape.count() + thread_block().thread_rank();
    }
};
inline thread_block this_thread_block() { return {}; }
inline grid_group this_grid() { return {}; }

// A warp of one lane: sums over it are the lane's own value, and each lane adds to memory by itself.
template <int N> struct thread_block_tile {
    bool any(bool predicate) const { return predicate; }
    uint32_t thread_rank() const { return 0; }
};
template <int N> thread_block_tile<N> tiled_partition(thread_block) { return {}; }
template <class Warp> Warp labeled_partition(Warp warp, uint32_t) { return warp; }
template <class T> struct plus {};
template <class T> struct greater {};
template <class Warp, class T, class Operation> T reduce(const Warp &, T value, Operation) { return value; }

} // namespace cooperative_groups
