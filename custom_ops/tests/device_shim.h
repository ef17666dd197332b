// The machine under the CUDA kernels, on the CPU: a thread per CUDA thread, real barriers, shuffles
// through memory. Under ThreadSanitizer a missing barrier is a reported race.
//
// One cluster of blocks runs at a time, all its threads at once; a block's shared memory is zeroed
// with a pattern that no result survives.
#pragma once

#include <stdint.h>
#include <string.h>

#include <barrier>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#define NX_DEVICE inline
#define NX_KERNEL(threads) static void

namespace device {

constexpr int kWarp = 32;
constexpr size_t kSharedBytes = 16384;

struct WarpState {
  explicit WarpState() : barrier(kWarp) {}
  std::barrier<> barrier;
  float values[kWarp];
};

struct ClusterState;

struct BlockState {
  explicit BlockState(int threads) : barrier(threads), warps(static_cast<size_t>(threads / kWarp)) {
    for (auto& warp : warps) warp = std::make_unique<WarpState>();
    memset(shared, 0xff, sizeof(shared));
  }
  std::barrier<> barrier;
  std::vector<std::unique_ptr<WarpState>> warps;
  alignas(64) char shared[kSharedBytes];
};

struct ClusterState {
  ClusterState(int blocks, int threads) : barrier(blocks * threads) {
    for (int i = 0; i < blocks; ++i) this->blocks.push_back(std::make_unique<BlockState>(threads));
  }
  std::barrier<> barrier;
  std::vector<std::unique_ptr<BlockState>> blocks;
};

struct Place {
  ClusterState* cluster;
  BlockState* state;
  int64_t block;
  int rank, thread, width;
};
inline thread_local Place place;

inline int ThreadX() { return place.thread % place.width; }
inline int ThreadY() { return place.thread / place.width; }
inline int64_t Block() { return place.block; }

inline float ShuffleXor(float value, int mask) {
  WarpState& warp = *place.state->warps[static_cast<size_t>(place.thread / kWarp)];
  const int lane = place.thread % kWarp;
  warp.values[lane] = value;
  warp.barrier.arrive_and_wait();
  const float other = warp.values[lane ^ mask];
  warp.barrier.arrive_and_wait();
  return other;
}
inline void BlockBarrier() {
#if !defined(NX_WITHOUT_BARRIER)  // to see that a missing one is noticed
  place.state->barrier.arrive_and_wait();
#endif
}

template <class Shared>
Shared& BlockShared() {
  static_assert(sizeof(Shared) <= kSharedBytes);
  return *reinterpret_cast<Shared*>(place.state->shared);
}

inline int ClusterRank() { return place.rank; }
inline int ClusterSize() { return static_cast<int>(place.cluster->blocks.size()); }
inline void ClusterBarrier() { place.cluster->barrier.arrive_and_wait(); }
inline float ClusterRead(const float& own, int rank) {
  const auto offset = reinterpret_cast<const char*>(&own) - place.state->shared;
  float value;
  memcpy(&value, place.cluster->blocks[static_cast<size_t>(rank)]->shared + offset, sizeof(value));
  return value;
}

struct Bits128 {
  uint32_t words[4];
};
inline void CheckAlignment(const void* at) {
  if (reinterpret_cast<uintptr_t>(at) % 16 == 0) return;
  std::fprintf(stderr, "a 16-byte access at %p\n", at);
  std::abort();
}
inline Bits128 Load128(const void* from) {
  CheckAlignment(from);
  Bits128 v;
  memcpy(&v, from, 16);
  return v;
}
inline Bits128 Load128Once(const void* from, bool wanted) {
  return wanted ? Load128(from) : Bits128{};
}
inline void Store128(void* to, const Bits128& v) {
  CheckAlignment(to);
  memcpy(to, &v, 16);
}
inline void Prefetch(const void*) {}

inline uint32_t Word(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}
inline float Float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
inline float FromHalf(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const float value = magnitude >= 0x0f800000 ? Float(magnitude | 0x7f800000)
                                              : Float(magnitude) * 0x1p112f;
  return (bits & 0x8000) != 0 ? -value : value;
}
inline uint16_t ToHalf(float value) {
  const uint32_t bits = Word(value), magnitude = bits & 0x7fffffff;
  uint32_t half;
  if (magnitude > 0x7f800000) {
    half = 0x7e00;
  } else if (magnitude >= 0x477ff000) {
    half = 0x7c00;
  } else if (magnitude < 0x38800000) {
    half = Word(Float(magnitude) + 0.5f) - 0x3f000000;
  } else {
    half = (magnitude + 0xfff + ((magnitude >> 13) & 1) - (112u << 23)) >> 13;
  }
  return static_cast<uint16_t>(half | ((bits >> 16) & 0x8000));
}
inline float FromBFloat(uint16_t bits) { return Float(static_cast<uint32_t>(bits) << 16); }
inline uint16_t ToBFloat(float value) {
  const uint32_t bits = Word(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float InverseRoot(float value) { return 1.0f / std::sqrt(value); }
inline float Divide(float a, float b) { return a / b; }

// Runs a kernel over all its blocks, cluster after cluster.
template <class Kernel, class Call>
void Launch(Kernel kernel, const Call& call, int64_t blocks, int width, int height, int cluster) {
  const int threads = width * height;
  for (int64_t first = 0; first < blocks; first += cluster) {
    ClusterState state(cluster, threads);
    std::vector<std::thread> running;
    for (int rank = 0; rank < cluster; ++rank) {
      for (int thread = 0; thread < threads; ++thread) {
        running.emplace_back([&, rank, thread] {
          place = {&state, state.blocks[static_cast<size_t>(rank)].get(), first + rank, rank, thread,
                   width};
          kernel(call);
        });
      }
    }
    for (std::thread& one : running) one.join();
  }
}

}  // namespace device
