// Every CUDA kernel on the CPU, through the plan that the GPU gets, against double.
//
//   cuda_on_cpu           all of it
//   cuda_on_cpu quick     one call per kernel, of two types
//   cuda_on_cpu block     one call of a kernel that needs its barrier
//
// Exits with 1 and a line per difference.

#include "device_shim.h"

#include "../src/cuda/rows.cuh"

#include <algorithm>
#include <random>

namespace {

using KernelFunction = void (*)(NormCall);
#define TIERS(name)                                                                            \
  {name##_warp512,  name##_warp1k,     name##_block2k,   name##_block4k, name##_block8k,       \
   name##_block16k, name##_cluster16k, name##_streaming, name##_columns}
constexpr KernelFunction kKernels[kCudaTypePairs][kCudaTiers] = {
    TIERS(normonnx_f32), TIERS(normonnx_f16), TIERS(normonnx_f16_f32), TIERS(normonnx_bf16),
    TIERS(normonnx_bf16_f32)};

// What a type holds, and how far a result may be from double: half a unit in its last place, and
// what float arithmetic adds.
template <class T>
struct Traits;
template <>
struct Traits<float> {
  static constexpr double kRounding = 0;
};
template <>
struct Traits<Half> {
  static constexpr double kRounding = 0x1p-11;
};
template <>
struct Traits<BFloat> {
  static constexpr double kRounding = 0x1p-8;
};
constexpr double kArithmetic = 4e-6;

struct Case {
  int64_t outer, n, inner;
  int offset;        // elements that all tensors begin after a 16-byte address
  int other_offset;  // elements that y begins after one
  bool rms, residual, x_bias, bias, sum;
  double mean;
  float epsilon = 1e-5f;
};

int failures = 0;

// Elements behind an offset, with guards around that must stay as they are.
template <class T>
struct Tensor {
  static constexpr int64_t kGuard = 16;
  std::vector<T> room;
  T* data;
  int64_t size;

  Tensor(int64_t size, int offset) : room(static_cast<size_t>(size + 3 * kGuard)), size(size) {
    for (T& one : room) Assign(one, -77.0f);
    const auto at = reinterpret_cast<uintptr_t>(room.data() + kGuard);
    const auto past = static_cast<int64_t>((16 - at % 16) % 16 / sizeof(T));
    data = room.data() + kGuard + past + offset;
  }
  void Fill(std::mt19937& random, double mean, double deviation) {
    std::normal_distribution<float> draw(static_cast<float>(mean), static_cast<float>(deviation));
    for (int64_t i = 0; i < size; ++i) Assign(data[i], draw(random));
  }
  double At(int64_t i) const { return static_cast<double>(ToFloat(data[i])); }
  bool GuardsStand() const {
    for (const T* at = room.data(); at != room.data() + room.size(); ++at) {
      if ((at < data || at >= data + size) && ToFloat(*at) != -77.0f) return false;
    }
    return true;
  }
};

template <class T, class S>
void Check(int types, const Case& c) {
  std::mt19937 random(static_cast<unsigned>(c.n * 31 + c.inner));
  const int64_t size = c.outer * c.n * c.inner;
  Tensor<T> x(size, c.offset), residual(size, c.offset), x_bias(c.n, c.offset);
  Tensor<T> y(size, c.other_offset), sum(size, c.offset);
  Tensor<S> scale(c.n, 0), bias(c.n, 0);
  x.Fill(random, c.mean, 1);
  residual.Fill(random, 0, 1);
  x_bias.Fill(random, 0, 1);
  scale.Fill(random, 1, 0.5);
  bias.Fill(random, 0, 0.5);

  NormCall call{};
  call.x = x.data;
  call.residual = c.residual ? residual.data : nullptr;
  call.x_bias = c.x_bias ? x_bias.data : nullptr;
  call.scale = scale.data;
  call.bias = c.bias ? bias.data : nullptr;
  call.y = y.data;
  call.sum = c.sum ? sum.data : nullptr;
  call.outer = c.outer;
  call.n = c.n;
  call.inner = c.inner;
  call.epsilon = c.epsilon;
  call.rms = c.rms;
  const CudaLaunch plan = PlanCuda(call, sizeof(T), true);
  device::Launch(kKernels[types][plan.tier], call, plan.blocks, plan.threads_x, plan.threads_y,
                 plan.cluster);

  double worst = 0, worst_sum = 0;
  std::vector<double> s(static_cast<size_t>(c.n));
  for (int64_t row = 0; row < c.outer * c.inner; ++row) {
    const int64_t base = row / c.inner * c.n * c.inner + row % c.inner;
    double mean = 0, square = 0;
    for (int64_t i = 0; i < c.n; ++i) {
      // The kernels add in float.
      float v = static_cast<float>(x.At(base + i * c.inner));
      if (c.residual) v += static_cast<float>(residual.At(base + i * c.inner));
      if (c.x_bias) v += static_cast<float>(x_bias.At(i));
      s[static_cast<size_t>(i)] = v;
      mean += v;
    }
    mean = c.rms ? 0 : mean / static_cast<double>(c.n);
    for (double v : s) square += (v - mean) * (v - mean);
    const double rstd = 1 / std::sqrt(square / static_cast<double>(c.n) + c.epsilon);
    for (int64_t i = 0; i < c.n; ++i) {
      const double v = s[static_cast<size_t>(i)];
      const double want = (v - mean) * rstd * scale.At(i) + (c.bias ? bias.At(i) : 0);
      const double error = std::abs(y.At(base + i * c.inner) - want);
      worst = std::max(worst, error - Traits<T>::kRounding * std::abs(want));
      if (c.sum) {
        const double far = std::abs(sum.At(base + i * c.inner) - v);
        worst_sum = std::max(worst_sum, far - Traits<T>::kRounding * std::abs(v));
      }
    }
  }
  const bool held = worst < kArithmetic * std::max(1.0, std::sqrt(static_cast<double>(c.n)) / 64) &&
                    worst_sum <= 1e-9 && x.GuardsStand() && y.GuardsStand() && sum.GuardsStand();
  std::printf("%s %s_%s outer %ld n %ld inner %ld offset %d/%d%s%s%s%s%s mean %g: %.2g\n",
              held ? "ok  " : "FAIL", kCudaTypeNames[types], kCudaTierNames[plan.tier],
              static_cast<long>(c.outer), static_cast<long>(c.n), static_cast<long>(c.inner),
              c.offset, c.other_offset, c.rms ? " rms" : "", c.residual ? " residual" : "",
              c.x_bias ? " x_bias" : "", c.bias ? " bias" : "", c.sum ? " sum" : "", c.mean, worst);
  if (!held) ++failures;
}

// A row with NaN, and one with an infinity, give NaN; the rows around them give what they gave.
void CheckPoison(int64_t outer, int64_t n, int64_t inner, int other_offset) {
  std::mt19937 random(7);
  const int64_t size = outer * n * inner;
  Tensor<float> x(size, 0), clean(size, other_offset), dirty(size, other_offset), scale(n, 0);
  x.Fill(random, 0, 1);
  scale.Fill(random, 1, 0.5);
  NormCall call{};
  call.x = x.data;
  call.scale = scale.data;
  call.outer = outer;
  call.n = n;
  call.inner = inner;
  call.epsilon = 1e-5f;
  const auto run = [&call](float* y) {
    call.y = y;
    const CudaLaunch plan = PlanCuda(call, sizeof(float), true);
    device::Launch(kKernels[kFloat][plan.tier], call, plan.blocks, plan.threads_x, plan.threads_y,
                   plan.cluster);
    return plan.tier;
  };
  const CudaTier tier = run(clean.data);
  const auto at = [&](int64_t row, int64_t i) {
    return row / inner * n * inner + i * inner + row % inner;
  };
  x.data[at(1, n - 1)] = NAN;
  x.data[at(3, 0)] = INFINITY;
  run(dirty.data);
  bool held = true;
  for (int64_t row = 0; row < outer * inner; ++row) {
    for (int64_t i = 0; i < n; ++i) {
      const float one = dirty.data[at(row, i)];
      held &= row == 1 || row == 3 ? std::isnan(one) : one == clean.data[at(row, i)];
    }
  }
  std::printf("%s poison %s\n", held ? "ok  " : "FAIL", kCudaTierNames[tier]);
  if (!held) ++failures;
}

void CheckAll(int types, const Case& c) {
  switch (types) {
    case kFloat:
      return Check<float, float>(types, c);
    case kHalf:
      return Check<Half, Half>(types, c);
    case kHalfFloat:
      return Check<Half, float>(types, c);
    case kBFloat:
      return Check<BFloat, BFloat>(types, c);
    default:
      return Check<BFloat, float>(types, c);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const bool quick = count > 1 && strcmp(arguments[1], "quick") == 0;
  if (count > 1 && strcmp(arguments[1], "block") == 0) {
    CheckAll(kFloat, {1, 2000, 1, 0, 0, false, false, false, true, false, 100});
    return failures == 0 ? 0 : 1;
  }
  std::vector<Case> cases;
  // Each tier, long enough to fill it, with all that a call can have.
  for (int64_t n : {500, 1024, 2041, 4096, 8191, 16384, 20001, 140000}) {
    cases.push_back({n < 2000 ? 5 : 1, n, 1, 0, 0, false, true, true, true, true, 100});
  }
  cases.push_back({2, 37, 45, 0, 0, false, true, true, true, true, 100});
  if (!quick) {
    // No whole vector, none at all, one; begun in the middle; tensors that begin apart; RMSNorm;
    // bare calls; rows that are nearly constant.
    for (int64_t n : {1, 2, 7, 8, 9, 63}) {
      cases.push_back({3, n, 1, 0, 0, false, false, false, true, false, 0});
      cases.push_back({3, n, 1, 1, 1, true, true, false, false, true, 0});
    }
    for (int64_t n : {511, 512, 1000, 3001}) {
      cases.push_back({2, n, 1, 3, 3, false, true, true, true, true, 0});
      cases.push_back({2, n, 1, 0, 1, false, true, false, true, true, 0});
      cases.push_back({2, n, 1, 0, 0, true, false, false, false, false, 0});
    }
    cases.push_back({1, 33000, 1, 2, 2, true, true, false, false, true, 0});
    cases.push_back({1, 1, 33, 0, 0, false, false, false, true, false, 0});
    cases.push_back({2, 5, 7, 1, 1, true, false, false, false, false, 0});
  }
  for (int types = 0; types < kCudaTypePairs; ++types) {
    if (quick && types != kFloat && types != kHalfFloat) continue;
    for (const Case& c : cases) CheckAll(types, c);
  }
  if (!quick) {
    CheckPoison(5, 500, 1, 0);
    CheckPoison(5, 2000, 1, 0);
    CheckPoison(5, 60, 1, 1);
    CheckPoison(4, 17000, 1, 0);
    CheckPoison(1, 90, 5, 0);
    for (float epsilon : {0.0f, 1e6f}) {
      CheckAll(kFloat, {2, 700, 1, 0, 0, true, true, true, false, true, 0, epsilon});
      CheckAll(kFloat, {2, 700, 1, 0, 0, false, true, true, true, true, 0, epsilon});
    }
    for (double mean : {1e3, 1e5}) {
      CheckAll(kFloat, {2, 1024, 1, 0, 0, false, false, false, true, false, mean});
      CheckAll(kFloat, {1, 5000, 1, 0, 0, false, false, false, true, false, mean});
      CheckAll(kFloat, {1, 150000, 1, 0, 0, false, false, false, true, false, mean});
      CheckAll(kFloat, {1, 300, 33, 0, 0, false, false, false, true, false, mean});
    }
  }
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
