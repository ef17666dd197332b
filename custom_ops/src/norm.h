// What every kernel is handed: one normalisation of one tensor, on the CPU or on a GPU.
//
//   X is seen as outer × n × inner; the n elements of each (outer, inner) are one row.
//
//   s = X + Residual + XBias
//   y = (s − m) / √(v + epsilon) · Scale + Bias      m = E[s], v = E[(s − m)²]
//   y = s / √(E[s²] + epsilon) · Scale               with rms
#pragma once

#include <stdint.h>

struct NormCall {
  const void* x;
  const void* residual;  // null where there is none, as are x_bias, bias and sum
  const void* x_bias;
  const void* scale;
  const void* bias;
  void* y;
  void* sum;
  int64_t outer;
  int64_t n;
  int64_t inner;
  float epsilon;
  int rms;
};

// The types of the data and of the parameters, in the order of every table of kernels.
enum TypePair {
  kFloat,
  kHalf,
  kHalfFloat,
  kBFloat,
  kBFloatFloat,
  kDouble,
  kDoubleFloat,
};
constexpr int kTypePairs = 7;
constexpr int kCudaTypePairs = 5;  // double is the CPU's alone
