#include "known_shape.h"

#include <atomic>
#include <string>
#include <vector>

namespace normonnx {
namespace {

std::string FreshName() {
  static std::atomic<unsigned long long> count{0};
  return "normonnx_unknown_" + std::to_string(++count);
}

}  // namespace

KnownShape::~KnownShape() {
  if (info_ != nullptr) api_.ReleaseTensorTypeAndShapeInfo(info_);
}

OrtStatusPtr KnownShape::Read(OrtShapeInferContext* context, size_t index) {
  OrtTensorTypeAndShapeInfo* told = nullptr;  // the context's own
  RETURN_IF_FAILED(api_.ShapeInferContext_GetInputTypeShape(context, index, &told));
  size_t rank = 0;
  RETURN_IF_FAILED(api_.GetDimensionsCount(told, &rank));
  if (rank == 0) return nullptr;
  std::vector<int64_t> sizes(rank);
  RETURN_IF_FAILED(api_.GetDimensions(told, sizes.data(), rank));
  std::vector<const char*> names(rank);
  RETURN_IF_FAILED(api_.GetSymbolicDimensions(told, names.data(), rank));
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  RETURN_IF_FAILED(api_.GetTensorElementType(told, &type));

  std::vector<std::string> fresh(rank);
  for (size_t i = 0; i < rank; ++i) {
    const bool is_named = names[i] != nullptr && names[i][0] != '\0';
    if (sizes[i] >= 0) {
      names[i] = "";
    } else if (!is_named) {
      fresh[i] = FreshName();
      names[i] = fresh[i].c_str();
    }
  }
  RETURN_IF_FAILED(api_.CreateTensorTypeAndShapeInfo(&info_));
  RETURN_IF_FAILED(api_.SetTensorElementType(info_, type));
  RETURN_IF_FAILED(api_.SetDimensions(info_, sizes.data(), rank));
  return api_.SetSymbolicDimensions(info_, names.data(), rank);
}

}  // namespace normonnx
