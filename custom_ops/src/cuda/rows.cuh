// Rows on a GPU.
//
// A thread reads its 16-byte vectors of the row once and keeps them in registers:
//
//   d = s − p            the pivot p = s[0] takes off what all elements of the row share
//   (count, mean, m2)    of a thread's own d in two passes over registers, then merged as Chan,
//                        Golub and LeVeque do: by shuffles, then once over shared memory, then over
//                        the cluster. One barrier, and nothing cancels however large the mean is.
//   y = (d − mean)·r·γ + β
//
// Vectors lie at 16-byte addresses. What a row has before its first and after its last whole
// vector, fewer elements than a warp has lanes, goes one element to a thread. Where the tensors do
// not begin at the same place between two 16-byte addresses, the streaming kernel takes all one by one.
#pragma once

#include "../norm.h"
#include "plan.h"

struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};

NX_DEVICE float ToFloat(float value) { return value; }
NX_DEVICE float ToFloat(Half value) { return device::FromHalf(value.bits); }
NX_DEVICE float ToFloat(BFloat value) { return device::FromBFloat(value.bits); }
NX_DEVICE void Assign(float& to, float value) { to = value; }
NX_DEVICE void Assign(Half& to, float value) { to.bits = device::ToHalf(value); }
NX_DEVICE void Assign(BFloat& to, float value) { to.bits = device::ToBFloat(value); }

template <class T>
struct alignas(16) Pack {
  static constexpr int kCount = 16 / sizeof(T);
  T values[kCount];
};

template <class T>
NX_DEVICE Pack<T> Unpack(const device::Bits128& bits) {
  Pack<T> pack;
  __builtin_memcpy(&pack, &bits, 16);
  return pack;
}

struct Moments {
  float count;
  float mean;
  float m2;
};

NX_DEVICE Moments Merge(const Moments& a, const Moments& b) {
  const float count = a.count + b.count;
  const float share = count == 0.0f ? 0.0f : device::Divide(b.count, count);
  const float delta = b.mean - a.mean;
  return {count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * (a.count * share)};
}

NX_DEVICE Moments MergeWarp(Moments moments) {
  for (int mask = 16; mask > 0; mask /= 2) {
    const Moments other = {device::ShuffleXor(moments.count, mask),
                           device::ShuffleXor(moments.mean, mask),
                           device::ShuffleXor(moments.m2, mask)};
    moments = Merge(moments, other);
  }
  return moments;
}

struct BlockMoments {
  Moments warps[32];
  Moments total;
};

// All threads of the block get the moments of the block.
template <int kThreads>
NX_DEVICE Moments MergeBlock(Moments moments) {
  moments = MergeWarp(moments);
  if constexpr (kThreads > 32) {
    BlockMoments& shared = device::BlockShared<BlockMoments>();
    const int thread = device::ThreadX();
    if (thread % 32 == 0) shared.warps[thread / 32] = moments;
    device::BlockBarrier();
    const int warp = thread % 32;
    moments = warp < kThreads / 32 ? shared.warps[warp] : Moments{0.0f, 0.0f, 0.0f};
    moments = MergeWarp(moments);
  }
  return moments;
}

NX_DEVICE Moments MergeCluster(const Moments& moments) {
  BlockMoments& shared = device::BlockShared<BlockMoments>();
  if (device::ThreadX() == 0) shared.total = moments;
  device::ClusterBarrier();
  Moments all = {0.0f, 0.0f, 0.0f};
  for (int rank = 0; rank < device::ClusterSize(); ++rank) {
    all = Merge(all, {device::ClusterRead(shared.total.count, rank),
                      device::ClusterRead(shared.total.mean, rank),
                      device::ClusterRead(shared.total.m2, rank)});
  }
  // A block that left now would take with it what the others are still reading.
  device::ClusterBarrier();
  return all;
}

// One row: where its tensors are, and which of its elements are in whole vectors; counted in Index.
template <class T, class S, class Index>
struct Row {
  static constexpr int kCount = Pack<T>::kCount;

  const T* x;
  const T* residual;
  const T* x_bias;
  const S* scale;
  const S* bias;
  T* y;
  T* sum;
  Index head;     // elements before the first whole vector
  Index vectors;  // whole vectors
  Index edges;    // elements before the first and after the last of them
  Index past;     // how far the elements after lie behind the elements before
  bool wide_parameters;

  NX_DEVICE Row(const NormCall& call, int64_t index) {
    const int64_t offset = index * call.n;
    x = static_cast<const T*>(call.x) + offset;
    residual = call.residual == nullptr ? nullptr : static_cast<const T*>(call.residual) + offset;
    x_bias = static_cast<const T*>(call.x_bias);
    scale = static_cast<const S*>(call.scale);
    bias = static_cast<const S*>(call.bias);
    y = static_cast<T*>(call.y) + offset;
    sum = call.sum == nullptr ? nullptr : static_cast<T*>(call.sum) + offset;
    const Index n = static_cast<Index>(call.n);
    const Index before =
        static_cast<Index>((16 - reinterpret_cast<uintptr_t>(x) % 16) % 16 / sizeof(T));
    head = SamePhase(call) && before < n ? before : n;
    vectors = (n - head) / kCount;
    edges = n - vectors * kCount;
    past = vectors * kCount;
    wide_parameters = head == 0 && (reinterpret_cast<uintptr_t>(scale) |
                                    reinterpret_cast<uintptr_t>(bias) |
                                    reinterpret_cast<uintptr_t>(x_bias)) %
                                           16 ==
                                       0;
  }

  // Where whole vector `vector` begins, and where the element that is edge `edge` is.
  NX_DEVICE Index Vector(Index vector) const { return head + vector * kCount; }
  NX_DEVICE Index Edge(Index edge) const { return edge < head ? edge : edge + past; }

  // s of one element, and of one whole vector.
  NX_DEVICE float At(Index i) const {
    float v = ToFloat(x[i]);
    if (residual != nullptr) v += ToFloat(residual[i]);
    if (x_bias != nullptr) v += ToFloat(x_bias[i]);
    return v;
  }
  // Of vectors `first`, `first` + `step` and so on; zero for those that the row has not. All that
  // is read from memory is asked for before any of it is used.
  template <int kVectors>
  NX_DEVICE void Read(Index first, Index step, float (&v)[kVectors][kCount]) const {
    device::Bits128 bits[kVectors], more[kVectors];
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const Index vector = first + k * step;
      bits[k] = device::Load128Once(x + Vector(vector), vector < vectors);
    }
    if (residual != nullptr) {
#pragma unroll
      for (int k = 0; k < kVectors; ++k) {
        const Index vector = first + k * step;
        more[k] = device::Load128Once(residual + Vector(vector), vector < vectors);
      }
    }
    // Vector by vector, so that what was read makes room for what it becomes.
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const Pack<T> pack = Unpack<T>(bits[k]);
#pragma unroll
      for (int j = 0; j < kCount; ++j) v[k][j] = ToFloat(pack.values[j]);
      if (residual == nullptr) continue;
      const Pack<T> addend = Unpack<T>(more[k]);
#pragma unroll
      for (int j = 0; j < kCount; ++j) v[k][j] += ToFloat(addend.values[j]);
    }
    if (x_bias == nullptr) return;
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const Index vector = first + k * step;
      if (vector >= vectors) continue;
      float bias_of[kCount];
      if (wide_parameters) {
        Parameters<true>(x_bias, Vector(vector), bias_of);
      } else {
        Parameters<false>(x_bias, Vector(vector), bias_of);
      }
#pragma unroll
      for (int j = 0; j < kCount; ++j) v[k][j] += bias_of[j];
    }
  }

  NX_DEVICE void Write(T* to, Index begin, const float (&v)[kCount]) const {
    Pack<T> pack;
#pragma unroll
    for (int j = 0; j < kCount; ++j) Assign(pack.values[j], v[j]);
    device::Bits128 bits;
    __builtin_memcpy(&bits, &pack, 16);
    device::Store128(to + begin, bits);
  }

  // kCount parameters, 16 bytes at a time where they lie so.
  template <bool kWide, class P>
  NX_DEVICE void Parameters(const P* from, Index begin, float (&v)[kCount]) const {
    if constexpr (kWide) {
      constexpr int kPer = Pack<P>::kCount;
      static_assert(kPer <= kCount, "parameters are as wide as the data, or wider");
#pragma unroll
      for (int part = 0; part < kCount / kPer; ++part) {
        const Pack<P> pack = Unpack<P>(device::Load128(from + begin + part * kPer));
#pragma unroll
        for (int j = 0; j < kPer; ++j) v[part * kPer + j] = ToFloat(pack.values[j]);
      }
    } else {
#pragma unroll
      for (int j = 0; j < kCount; ++j) v[j] = ToFloat(from[begin + j]);
    }
  }

  // Where the parameters will be wanted, so that they are on their way during the reduction.
  NX_DEVICE void PrefetchParameters(Index begin) const {
    device::Prefetch(scale + begin);
    if (bias != nullptr) device::Prefetch(bias + begin);
  }

  // y = (d − mean)·rstd·γ + β, of one element and of one vector.
  NX_DEVICE void FinishOne(Index i, float d, float mean, float rstd) const {
    const float beta = bias == nullptr ? 0.0f : ToFloat(bias[i]);
    Assign(y[i], (d - mean) * rstd * ToFloat(scale[i]) + beta);
  }
  template <bool kWide>
  NX_DEVICE void Finish(Index begin, const float (&d)[kCount], float mean, float rstd) const {
    float gamma[kCount], out[kCount];
    Parameters<kWide>(scale, begin, gamma);
#pragma unroll
    for (int j = 0; j < kCount; ++j) out[j] = (d[j] - mean) * rstd * gamma[j];
    if (bias != nullptr) {
      float beta[kCount];
      Parameters<kWide>(bias, begin, beta);
#pragma unroll
      for (int j = 0; j < kCount; ++j) out[j] += beta[j];
    }
    Write(y, begin, out);
  }
  // Those of some vectors that the row has.
  template <bool kWide, int kVectors>
  NX_DEVICE void FinishAll(Index first, Index step, const float (&d)[kVectors][kCount], float mean,
                           float rstd) const {
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const Index vector = first + k * step;
      if (vector < vectors) Finish<kWide>(Vector(vector), d[k], mean, rstd);
    }
  }
};

// Pairwise, which takes the least time and errs least.
template <int kCount>
NX_DEVICE float SumOf(const float (&v)[kCount]) {
  static_assert(kCount == 4 || kCount == 8, "elements of a vector");
  float sum = (v[0] + v[1]) + (v[2] + v[3]);
  if constexpr (kCount == 8) sum += (v[4] + v[5]) + (v[6] + v[7]);
  return sum;
}
template <int kCount>
NX_DEVICE float SquaresAbout(const float (&v)[kCount], float mean) {
  float squares[kCount];
#pragma unroll
  for (int j = 0; j < kCount; ++j) squares[j] = (v[j] - mean) * (v[j] - mean);
  return SumOf(squares);
}

// Tiers that keep the row in registers: kThreads per row and block of a cluster, kVectors each.
template <class T, class S, int kThreads, int kVectors, bool kCluster>
NX_DEVICE void RegisterRows(const NormCall& call) {
  constexpr int kCount = Pack<T>::kCount;
  int64_t index = device::Block();
  int thread = device::ThreadX();
  int step = kThreads;
  if constexpr (kThreads == 32) {
    index = index * kRowsPerWarpBlock + thread / 32;
    thread %= 32;
    if (index >= call.outer) return;
  }
  if constexpr (kCluster) {
    index /= device::ClusterSize();
    thread += kThreads * device::ClusterRank();
    step *= device::ClusterSize();
  }
  const Row<T, S, int> row(call, index);
  const bool has_edge = thread < row.edges;
  float d[kVectors][kCount];
  float edge = has_edge ? row.At(row.Edge(thread)) : 0.0f;
  const float pivot = call.rms ? 0.0f : row.At(0);
  row.template Read<kVectors>(thread, step, d);
#pragma unroll
  for (int k = 0; k < kVectors; ++k) {
    const int vector = thread + k * step;
    if (vector >= row.vectors) continue;
    row.PrefetchParameters(row.Vector(vector));
    if (row.sum != nullptr) row.Write(row.sum, row.Vector(vector), d[k]);
  }
  if (has_edge && row.sum != nullptr) Assign(row.sum[row.Edge(thread)], edge);

  // The moments of what this thread has, in two passes; for RMSNorm the mean is taken for zero.
  int count = has_edge ? 1 : 0;
  edge -= pivot;
  float sum = has_edge ? edge : 0.0f;
#pragma unroll
  for (int k = 0; k < kVectors; ++k) {
    if (thread + k * step >= row.vectors) continue;
    count += kCount;
#pragma unroll
    for (int j = 0; j < kCount; ++j) d[k][j] -= pivot;
    sum += SumOf(d[k]);
  }
  const float mean =
      call.rms || count == 0 ? 0.0f : device::Divide(sum, static_cast<float>(count));
  float m2 = has_edge ? (edge - mean) * (edge - mean) : 0.0f;
#pragma unroll
  for (int k = 0; k < kVectors; ++k) {
    if (thread + k * step < row.vectors) m2 += SquaresAbout(d[k], mean);
  }
  Moments moments = MergeBlock<kThreads>({static_cast<float>(count), mean, m2});
  if constexpr (kCluster) moments = MergeCluster(moments);

  const float rstd =
      device::InverseRoot(device::Divide(moments.m2, static_cast<float>(call.n)) + call.epsilon);
  if (row.wide_parameters) {
    row.template FinishAll<true>(thread, step, d, moments.mean, rstd);
  } else {
    row.template FinishAll<false>(thread, step, d, moments.mean, rstd);
  }
  if (has_edge) row.FinishOne(row.Edge(thread), edge, moments.mean, rstd);
}

// A row of any length, read twice; the second time backwards, as its end was read last.
template <class T, class S>
NX_DEVICE void StreamingRows(const NormCall& call) {
  constexpr int kCount = Pack<T>::kCount;
  const Row<T, S, int64_t> row(call, device::Block());
  const float pivot = call.rms ? 0.0f : row.At(0);
  const int64_t thread = device::ThreadX();
  Moments moments = {0.0f, 0.0f, 0.0f};
  for (int64_t edge = thread; edge < row.edges; edge += kStreamingThreads) {
    const float d = row.At(row.Edge(edge)) - pivot;
    moments = Merge(moments, call.rms ? Moments{1.0f, 0.0f, d * d} : Moments{1.0f, d, 0.0f});
  }
  constexpr int64_t kRound = int64_t{kStreamingThreads} * kStreamingVectors;
  const int64_t rounds = (row.vectors + kRound - 1) / kRound;
  float d[kStreamingVectors][kCount];
  for (int64_t round = 0; round < rounds; ++round) {
    const int64_t first = round * kRound + thread;
    row.template Read<kStreamingVectors>(first, int64_t{kStreamingThreads}, d);
#pragma unroll
    for (int k = 0; k < kStreamingVectors; ++k) {
      if (first + k * kStreamingThreads >= row.vectors) continue;
#pragma unroll
      for (int j = 0; j < kCount; ++j) d[k][j] -= pivot;
      const float mean = call.rms ? 0.0f : SumOf(d[k]) * (1.0f / kCount);
      moments = Merge(moments, {static_cast<float>(kCount), mean, SquaresAbout(d[k], mean)});
    }
  }
  moments = MergeBlock<kStreamingThreads>(moments);
  const float rstd =
      device::InverseRoot(device::Divide(moments.m2, static_cast<float>(call.n)) + call.epsilon);
  for (int64_t round = rounds - 1; round >= 0; --round) {
    const int64_t first = round * kRound + thread;
    row.template Read<kStreamingVectors>(first, int64_t{kStreamingThreads}, d);
#pragma unroll
    for (int k = 0; k < kStreamingVectors; ++k) {
      const int64_t vector = first + k * kStreamingThreads;
      if (row.sum != nullptr && vector < row.vectors) row.Write(row.sum, row.Vector(vector), d[k]);
#pragma unroll
      for (int j = 0; j < kCount; ++j) d[k][j] -= pivot;
    }
    if (row.wide_parameters) {
      row.template FinishAll<true>(first, int64_t{kStreamingThreads}, d, moments.mean, rstd);
    } else {
      row.template FinishAll<false>(first, int64_t{kStreamingThreads}, d, moments.mean, rstd);
    }
  }
  for (int64_t edge = thread; edge < row.edges; edge += kStreamingThreads) {
    const int64_t i = row.Edge(edge);
    const float v = row.At(i);
    if (row.sum != nullptr) Assign(row.sum[i], v);
    row.FinishOne(i, v - pivot, moments.mean, rstd);
  }
}

struct ColumnMoments {
  Moments parts[kColumnDepth][kColumnLanes];
};

// Rows that lie across memory: neighbouring lanes take neighbouring rows, kColumnDepth threads
// share a row. Reads are as wide as the lanes are many.
template <class T, class S>
NX_DEVICE void ColumnRows(const NormCall& call) {
  const int64_t strips = (call.inner + kColumnLanes - 1) / kColumnLanes;
  const int64_t outer = device::Block() / strips;
  const int64_t column = device::Block() % strips * kColumnLanes + device::ThreadX();
  const bool inside = column < call.inner;
  const int64_t base = outer * call.n * call.inner + column;
  const T* const x = static_cast<const T*>(call.x);
  const T* const residual = static_cast<const T*>(call.residual);
  const T* const x_bias = static_cast<const T*>(call.x_bias);
  const auto at = [&](int64_t i) {
    const int64_t where = base + i * call.inner;
    float v = ToFloat(x[where]);
    if (residual != nullptr) v += ToFloat(residual[where]);
    if (x_bias != nullptr) v += ToFloat(x_bias[i]);
    return v;
  };
  const float pivot = call.rms || !inside ? 0.0f : at(0);
  Moments moments = {0.0f, 0.0f, 0.0f};
  // Some elements at a time, asked for together.
  constexpr int kTogether = 8;
  int64_t i = device::ThreadY();
  for (; inside && i + (kTogether - 1) * kColumnDepth < call.n; i += kTogether * kColumnDepth) {
    float d[kTogether];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) d[j] = at(i + j * kColumnDepth) - pivot;
    const float mean = call.rms ? 0.0f : SumOf(d) * (1.0f / kTogether);
    moments = Merge(moments, {static_cast<float>(kTogether), mean, SquaresAbout(d, mean)});
  }
  for (; inside && i < call.n; i += kColumnDepth) {
    const float d = at(i) - pivot;
    moments = Merge(moments, call.rms ? Moments{1.0f, 0.0f, d * d} : Moments{1.0f, d, 0.0f});
  }
  ColumnMoments& shared = device::BlockShared<ColumnMoments>();
  shared.parts[device::ThreadY()][device::ThreadX()] = moments;
  device::BlockBarrier();
  if (!inside) return;
  moments = {0.0f, 0.0f, 0.0f};
  for (int part = 0; part < kColumnDepth; ++part) {
    moments = Merge(moments, shared.parts[part][device::ThreadX()]);
  }
  const float rstd =
      device::InverseRoot(device::Divide(moments.m2, static_cast<float>(call.n)) + call.epsilon);
  const S* const scale = static_cast<const S*>(call.scale);
  const S* const bias = static_cast<const S*>(call.bias);
  for (i = device::ThreadY(); i < call.n; i += kColumnDepth) {
    const int64_t where = base + i * call.inner;
    const float v = at(i);
    if (call.sum != nullptr) Assign(static_cast<T*>(call.sum)[where], v);
    float out = ((v - pivot) - moments.mean) * rstd * ToFloat(scale[i]);
    if (bias != nullptr) out += ToFloat(bias[i]);
    Assign(static_cast<T*>(call.y)[where], out);
  }
}

// Every kernel of one pair of types; the names are what the host looks them up by. Float has half
// as many elements in a vector, and takes more vectors or more threads to the same row.
#define NORMONNX_TIER(name, tier, T, S)                                                   \
  NX_KERNEL(ThreadsOf(tier, sizeof(T))) name(NormCall call) {                             \
    RegisterRows<T, S, ThreadsPerRow(tier, sizeof(T)), VectorsOf(tier, sizeof(T)),        \
                 tier == kCluster16K>(call);                                              \
  }
#define NORMONNX_KERNELS(name, T, S)                                                      \
  NORMONNX_TIER(name##_warp512, kWarp512, T, S)                                           \
  NORMONNX_TIER(name##_warp1k, kWarp1K, T, S)                                             \
  NORMONNX_TIER(name##_block2k, kBlock2K, T, S)                                           \
  NORMONNX_TIER(name##_block4k, kBlock4K, T, S)                                           \
  NORMONNX_TIER(name##_block8k, kBlock8K, T, S)                                           \
  NORMONNX_TIER(name##_block16k, kBlock16K, T, S)                                         \
  NORMONNX_TIER(name##_cluster16k, kCluster16K, T, S)                                     \
  NX_KERNEL(kStreamingThreads) name##_streaming(NormCall call) { StreamingRows<T, S>(call); } \
  NX_KERNEL(kColumnLanes * kColumnDepth) name##_columns(NormCall call) { ColumnRows<T, S>(call); }

NORMONNX_KERNELS(normonnx_f32, float, float)
NORMONNX_KERNELS(normonnx_f16, Half, Half)
NORMONNX_KERNELS(normonnx_f16_f32, Half, float)
NORMONNX_KERNELS(normonnx_bf16, BFloat, BFloat)
NORMONNX_KERNELS(normonnx_bf16_f32, BFloat, float)
