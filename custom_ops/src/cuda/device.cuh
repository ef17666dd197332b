// The machine under the kernels: memory, shuffles, barriers, conversions.
//
// The same names exist in tests/device_shim.h for the CPU, where the kernels run under
// ThreadSanitizer; nothing else in the kernels knows where it is.
#pragma once

#include <stdint.h>

#define NX_DEVICE __device__ __forceinline__
// Registers for 512 threads at least: smaller blocks run side by side, and one reads while another
// writes.
#define NX_KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads, 512 / (threads))

namespace device {

NX_DEVICE int ThreadX() { return static_cast<int>(threadIdx.x); }
NX_DEVICE int ThreadY() { return static_cast<int>(threadIdx.y); }
NX_DEVICE int64_t Block() { return blockIdx.x; }

NX_DEVICE float ShuffleXor(float value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
NX_DEVICE void BlockBarrier() { __syncthreads(); }

// One object of shared memory per block and use.
template <class Shared>
NX_DEVICE Shared& BlockShared() {
  __shared__ Shared shared;
  return shared;
}

#if __CUDA_ARCH__ >= 900
NX_DEVICE int ClusterRank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}
NX_DEVICE int ClusterSize() {
  unsigned size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return static_cast<int>(size);
}
NX_DEVICE void ClusterBarrier() {
  asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;"
               ::: "memory");
}
// What block `rank` of the cluster has in its own shared memory at `own`.
NX_DEVICE float ClusterRead(const float& own, int rank) {
  const auto local = static_cast<unsigned>(__cvta_generic_to_shared(&own));
  unsigned remote;
  float value;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(local), "r"(rank));
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(remote) : "memory");
  return value;
}
#else
// Never launched with clusters below 9.0.
NX_DEVICE int ClusterRank() { return 0; }
NX_DEVICE int ClusterSize() { return 1; }
NX_DEVICE void ClusterBarrier() {}
NX_DEVICE float ClusterRead(const float& own, int) { return own; }
#endif

struct Bits128 {
  uint32_t words[4];
};

// Read once, so not worth a place in the first-level cache; zero, and nothing read, where not
// wanted. Without a branch, so that many are on their way at once.
NX_DEVICE Bits128 Load128Once(const void* from, bool wanted) {
  Bits128 v = {{0, 0, 0, 0}};
  asm volatile(
      "{\n\t"
      ".reg .pred wanted;\n\t"
      "setp.ne.s32 wanted, %5, 0;\n\t"
      "@wanted ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n\t"
      "}"
      : "+r"(v.words[0]), "+r"(v.words[1]), "+r"(v.words[2]), "+r"(v.words[3])
      : "l"(from), "r"(static_cast<int>(wanted)));
  return v;
}
NX_DEVICE Bits128 Load128(const void* from) {
  const uint4 v = *static_cast<const uint4*>(from);
  return {{v.x, v.y, v.z, v.w}};
}
// In assembly, as the compiler takes it apart otherwise.
NX_DEVICE void Store128(void* to, const Bits128& v) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(v.words[0]),
               "r"(v.words[1]), "r"(v.words[2]), "r"(v.words[3])
               : "memory");
}
NX_DEVICE void Prefetch(const void* from) {
  asm volatile("prefetch.global.L1 [%0];" ::"l"(from));
}

NX_DEVICE float FromHalf(uint16_t bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
NX_DEVICE uint16_t ToHalf(float value) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
NX_DEVICE float FromBFloat(uint16_t bits) {
  return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}
NX_DEVICE uint16_t ToBFloat(float value) {
#if __CUDA_ARCH__ >= 800
  uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  const uint32_t bits = __float_as_uint(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#endif
}
// To within two units in the last place, without the branches of what is exact.
NX_DEVICE float InverseRoot(float value) { return rsqrtf(value); }
NX_DEVICE float Divide(float a, float b) { return __fdividef(a, b); }

}  // namespace device
