#include "geometry.h"

#include <algorithm>

namespace normonnx {

bool Shape::operator==(const Shape& other) const {
  return rank == other.rank && std::equal(dims, dims + rank, other.dims);
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.rank; ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(shape.dims[i]);
  }
  return text + "]";
}

std::string SplitAtAxes(const Shape& x, const Shape& scale, int64_t axis, Geometry* geometry) {
  const auto rank = static_cast<int64_t>(x.rank);
  const auto span = static_cast<int64_t>(scale.rank);
  if (axis < -rank || axis >= rank) {
    return "axis " + std::to_string(axis) + " is not an axis of X " + ToString(x);
  }
  const int64_t first = axis < 0 ? axis + rank : axis;
  bool fits = span >= 1 && first + span <= rank;
  for (int64_t i = 0; fits && i < span; ++i) {
    fits = scale.dims[i] == x.dims[first + i];
  }
  if (!fits) {
    return "Scale " + ToString(scale) + " is not what X " + ToString(x) + " has from axis " +
           std::to_string(axis) + " on";
  }
  *geometry = Geometry{};
  for (int64_t i = 0; i < rank; ++i) {
    int64_t& part = i < first          ? geometry->outer
                    : i < first + span ? geometry->n
                                       : geometry->inner;
    part *= x.dims[i];
  }
  return "";
}

}  // namespace normonnx
