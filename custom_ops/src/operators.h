// The operators of the domain normonnx: the one table that registration and kernels follow.
#pragma once

#include <cstddef>

namespace normonnx {

enum class Slot { kX, kResidual, kScale, kBias, kXBias };

constexpr size_t kMaxInputs = 5;

struct Operator {
  const char* name;
  bool rms;
  Slot inputs[kMaxInputs];
  size_t input_count;
  size_t required_inputs;
  size_t output_count;  // Y, and Sum, which is optional
};

inline constexpr Operator kOperators[] = {
    {"FusedLayerNormalization", false, {Slot::kX, Slot::kScale, Slot::kBias}, 3, 2, 1},
    {"FusedAddLayerNormalization",
     false,
     {Slot::kX, Slot::kResidual, Slot::kScale, Slot::kBias, Slot::kXBias},
     5,
     4,
     2},
    {"FusedRMSNormalization", true, {Slot::kX, Slot::kScale}, 2, 2, 1},
    {"FusedAddRMSNormalization",
     true,
     {Slot::kX, Slot::kResidual, Slot::kScale, Slot::kXBias},
     4,
     3,
     2},
};

// Every operator has the name above, and one for each type of X: that with the type behind it, such
// as FusedLayerNormalization_float16. As functions operators are for one type each, so a model that
// needs one for several types has it under several names.
inline constexpr char kTypeSeparator = '_';

inline constexpr const char* kDomain = "normonnx";
inline constexpr int kDomainVersion = 1;
inline constexpr long long kDefaultAxis = -1;
inline constexpr float kDefaultEpsilon = 1e-5f;

constexpr const char* NameOf(Slot slot) {
  switch (slot) {
    case Slot::kX:
      return "X";
    case Slot::kResidual:
      return "Residual";
    case Slot::kScale:
      return "Scale";
    case Slot::kBias:
      return "Bias";
    case Slot::kXBias:
      return "XBias";
  }
  return "";
}

}  // namespace normonnx
