// ONNX Runtime's C API, as far as it is used here; version 17 is what every runtime since 1.17 has.
#pragma once

#include <onnxruntime_c_api.h>

#include <string>
#include <utility>

#include "geometry.h"

namespace normonnx {

constexpr uint32_t kApiVersion = 17;

// A failed call of the API ends the function it is in, and its status goes to ONNX Runtime.
#define RETURN_IF_FAILED(call)                        \
  do {                                                \
    if (OrtStatusPtr failed = (call)) return failed; \
  } while (false)

inline OrtStatusPtr Invalid(const OrtApi& api, const std::string& message) {
  return api.CreateStatus(ORT_INVALID_ARGUMENT, message.c_str());
}

inline OrtStatusPtr ShapeOf(const OrtApi& api, const OrtValue* tensor, Shape* shape) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  RETURN_IF_FAILED(api.GetTensorTypeAndShape(tensor, &info));
  OrtStatusPtr status = api.GetDimensionsCount(info, &shape->rank);
  if (status == nullptr && shape->rank > kMaxRank) {
    status = Invalid(api, "normonnx: tensors of more than 16 dimensions are not supported");
  }
  if (status == nullptr) status = api.GetDimensions(info, shape->dims, shape->rank);
  api.ReleaseTensorTypeAndShapeInfo(info);
  return status;
}

}  // namespace normonnx
