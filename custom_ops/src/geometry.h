// Shapes: which axes a node normalises, and whether its inputs fit together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace normonnx {

using Shape = std::vector<int64_t>;

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
