// What C++ code of gsplat does around its kernels, for arrays of the CPU: allocation and checks are left to gsplat_csrc.py.
// `kernels.inc` is cut from the installed gsplat by compile_kernels.py.
#include "cuda_on_cpu.h"

#include "Common.h"
#include "Utils.cuh"

namespace gsplat {
int s[1 << 16]; // the shared memory of a block
}
#include "kernels.inc"

using namespace gsplat;
using emulation::launch;

namespace {
constexpr uint32_t CHANNELS = 4; // red, green, blue and depth
constexpr dim3 FLAT = {256};
dim3 flat_grid(uint64_t threads) { return {uint32_t((threads + FLAT.x - 1) / FLAT.x)}; }
} // namespace

extern "C" {

void project(
    uint32_t cameras, uint32_t count, const float *means, const float *quats, const float *scales,
    const float *opacities, const float *viewmats, const float *Ks, uint32_t width, uint32_t height, float eps2d,
    float near_plane, float far_plane, float radius_clip, int32_t *radii, float *means2d, float *depths, float *conics) {
    launch(flat_grid(uint64_t(cameras) * count), FLAT, [&] {
        projection_ewa_3dgs_fused_fwd_kernel<float>(
            1, cameras, count, means, nullptr, quats, scales, opacities, viewmats, Ks, width, height, eps2d, near_plane,
            far_plane, radius_clip, PINHOLE, radii, means2d, depths, conics, nullptr);
    });
}

void project_back(
    uint32_t cameras, uint32_t count, const float *means, const float *quats, const float *scales,
    const float *viewmats, const float *Ks, uint32_t width, uint32_t height, float eps2d, const int32_t *radii,
    const float *conics, const float *v_means2d, const float *v_depths, const float *v_conics, float *v_means,
    float *v_quats, float *v_scales) {
    launch(flat_grid(uint64_t(cameras) * count), FLAT, [&] {
        projection_ewa_3dgs_fused_bwd_kernel<float>(
            1, cameras, count, means, nullptr, quats, scales, viewmats, Ks, width, height, eps2d, PINHOLE, radii, conics,
            nullptr, v_means2d, v_depths, v_conics, nullptr, v_means, nullptr, v_quats, v_scales, nullptr);
    });
}

// Without `ends` it counts the tiles of each Gaussian; with their running sum it writes the sorted pairs.
void intersect(
    uint32_t images, uint32_t count, const float *means2d, const int32_t *radii, const float *depths,
    const int64_t *ends, uint32_t tile, uint32_t tiles_x, uint32_t tiles_y, uint32_t tile_bits, uint32_t image_bits,
    uint32_t pairs, int32_t *tile_counts, int64_t *keys, int32_t *values) {
    launch(flat_grid(uint64_t(images) * count), FLAT, [&] {
        intersect_tile_kernel<float>(
            false, images, count, 0, nullptr, nullptr, means2d, radii, depths, ends, tile, tiles_x, tiles_y, tile_bits,
            image_bits, tile_counts, keys, values);
    });
    if (ends == nullptr)
        return;
    std::vector<std::pair<int64_t, int32_t>> sorted(pairs);
    for (uint32_t i = 0; i < pairs; i++)
        sorted[i] = {keys[i], values[i]};
    std::stable_sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) { return a.first < b.first; });
    for (uint32_t i = 0; i < pairs; i++)
        std::tie(keys[i], values[i]) = sorted[i];
}

void offsets(
    uint32_t pairs, const int64_t *keys, uint32_t images, uint32_t tiles, uint32_t tile_bits, int32_t *starts) {
    launch(flat_grid(pairs), FLAT, [&] { intersect_offset_kernel(pairs, keys, images, tiles, tile_bits, starts); });
}

void rasterize(
    uint32_t images, uint32_t count, uint32_t pairs, const vec2 *means2d, const vec3 *conics, const float *colors,
    const float *opacities, uint32_t width, uint32_t height, uint32_t tile, uint32_t tiles_x, uint32_t tiles_y,
    const int32_t *starts, const int32_t *values, float *image, float *alphas, int32_t *last) {
    launch({images, tiles_y, tiles_x}, {tile, tile}, [&] {
        rasterize_to_pixels_3dgs_fwd_kernel<CHANNELS, float>(
            images, count, pairs, false, means2d, conics, colors, opacities, nullptr, nullptr, width, height, tile,
            tiles_x, tiles_y, starts, values, image, alphas, last);
    });
}

void rasterize_back(
    uint32_t images, uint32_t count, uint32_t pairs, const vec2 *means2d, const vec3 *conics, const float *colors,
    const float *opacities, uint32_t width, uint32_t height, uint32_t tile, uint32_t tiles_x, uint32_t tiles_y,
    const int32_t *starts, const int32_t *values, const float *alphas, const int32_t *last, const float *v_image,
    const float *v_alphas, vec2 *v_means2d, vec3 *v_conics, float *v_colors, float *v_opacities) {
    launch({images, tiles_y, tiles_x}, {tile, tile}, [&] {
        rasterize_to_pixels_3dgs_bwd_kernel<CHANNELS, float>(
            images, count, pairs, false, means2d, conics, colors, opacities, nullptr, nullptr, width, height, tile,
            tiles_x, tiles_y, starts, values, alphas, last, v_image, v_alphas, nullptr, v_means2d, v_conics, v_colors,
            v_opacities);
    });
}

} // extern "C"
