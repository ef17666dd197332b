// Shapes: which axes a node normalises, and whether its inputs fit together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace normonnx {

constexpr size_t kMaxRank = 16;

// Dimensions in place, of which `rank` are there: a run of a node allocates and clears nothing.
struct Shape {
  int64_t dims[kMaxRank];
  size_t rank = 0;

  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }
};

struct Geometry {
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
};

// Splits `x` at the axes that `scale` spans, from `axis` on: scale = x[axis : axis + rank(scale)].
// Returns "" or a sentence that says what does not fit.
std::string SplitAtAxes(const Shape& x, const Shape& scale, int64_t axis, Geometry* geometry);

std::string ToString(const Shape& shape);

}  // namespace normonnx
