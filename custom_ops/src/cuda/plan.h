// Which kernel normalises rows of which length, and how it is launched: by length and type alone,
// so that a row's result never depends on how many rows there are.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../norm.h"

#if defined(__CUDACC__)
#define NX_BOTH __host__ __device__
#else
#define NX_BOTH
#endif

enum CudaTier {
  kWarp512,     // a warp per row, the row in its registers
  kWarp1K,
  kBlock2K,     // a block per row, the row in its registers
  kBlock4K,
  kBlock8K,
  kBlock16K,
  kCluster16K,  // 2, 4 or 8 such blocks per row, from compute capability 9.0
  kStreaming,   // a block per row that reads it twice: any length, any alignment
  kColumns,     // the normalised axis is not the last: threads side by side take rows side by side
};
constexpr int kCudaTiers = 9;
constexpr const char* kCudaTierNames[kCudaTiers] = {"warp512",  "warp1k",    "block2k",
                                                    "block4k",  "block8k",   "block16k",
                                                    "cluster16k", "streaming", "columns"};
constexpr const char* kCudaTypeNames[kCudaTypePairs] = {"f32", "f16", "f16_f32", "bf16",
                                                        "bf16_f32"};
constexpr int kCudaElementBytes[kCudaTypePairs] = {4, 2, 2, 2, 2};

constexpr int kRowsPerWarpBlock = 4;
constexpr int kColumnLanes = 32;
constexpr int kColumnDepth = 8;
constexpr int kStreamingThreads = 512;
constexpr int kStreamingVectors = 4;  // of a thread, asked for together
constexpr int kLargestCluster = 8;
constexpr int64_t kMaxBlocks = 2147483647;

// Elements that the registers of one block's share of a row hold.
NX_BOTH constexpr int ElementsOf(int tier) { return 512 << (tier == kCluster16K ? 5 : tier); }

// Threads on one row, in one block: enough that none has more than 64 half or 32 float elements.
NX_BOTH constexpr int ThreadsPerRow(int tier, size_t element_bytes) {
  return tier <= kWarp1K    ? 32
         : tier <= kBlock4K ? 128
         : tier == kBlock8K ? (element_bytes == 4 ? 256 : 128)
                            : (element_bytes == 4 ? 512 : 256);
}
NX_BOTH constexpr int ThreadsOf(int tier, size_t element_bytes) {
  return ThreadsPerRow(tier, element_bytes) * (tier <= kWarp1K ? kRowsPerWarpBlock : 1);
}
NX_BOTH constexpr int VectorsOf(int tier, size_t element_bytes) {
  return ElementsOf(tier) / ThreadsPerRow(tier, element_bytes) /
         (16 / static_cast<int>(element_bytes));
}

// Whether all tensors of a call begin at the same place between two 16-byte addresses. Their rows
// are equally long, so what holds for the first holds for all.
NX_BOTH inline bool SamePhase(const NormCall& call) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(call.x);
  uintptr_t differences = at ^ reinterpret_cast<uintptr_t>(call.y);
  if (call.residual != nullptr) differences |= at ^ reinterpret_cast<uintptr_t>(call.residual);
  if (call.sum != nullptr) differences |= at ^ reinterpret_cast<uintptr_t>(call.sum);
  return differences % 16 == 0;
}

struct CudaLaunch {
  CudaTier tier;
  int64_t blocks;
  int threads_x;
  int threads_y;
  int cluster;
};

inline CudaLaunch PlanCuda(const NormCall& call, size_t element_bytes, bool clusters) {
  if (call.inner != 1) {
    const int64_t strips = (call.inner + kColumnLanes - 1) / kColumnLanes;
    return {kColumns, call.outer * strips, kColumnLanes, kColumnDepth, 1};
  }
  if (SamePhase(call)) {
    for (int tier = kWarp512; tier <= kBlock16K; ++tier) {
      if (call.n > ElementsOf(tier)) continue;
      const int rows = tier <= kWarp1K ? kRowsPerWarpBlock : 1;
      return {static_cast<CudaTier>(tier), (call.outer + rows - 1) / rows,
              ThreadsOf(tier, element_bytes), 1, 1};
    }
    for (int cluster = 2; clusters && cluster <= kLargestCluster; cluster *= 2) {
      if (call.n > int64_t{ElementsOf(kCluster16K)} * cluster) continue;
      return {kCluster16K, call.outer * cluster, ThreadsOf(kCluster16K, element_bytes), 1, cluster};
    }
  }
  return {kStreaming, call.outer, kStreamingThreads, 1, 1};
}
