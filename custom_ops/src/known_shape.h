// What ONNX Runtime knows of a shape while it infers shapes, in a form that can be handed on.
#pragma once

#include "ort.h"

namespace normonnx {

// Two things that ONNX Runtime tells here must not be handed on as they are: it tells an unknown
// rank as rank 0, and an unknown dimension as a size of -1 without a name. As an output's these
// would be a scalar and a dimension of -1, which end the loading of the model or the process.
class KnownShape {
 public:
  explicit KnownShape(const OrtApi& api) : api_(api) {}
  ~KnownShape();
  KnownShape(const KnownShape&) = delete;
  KnownShape& operator=(const KnownShape&) = delete;

  // Reads the shape of an input.
  OrtStatusPtr Read(OrtShapeInferContext* context, size_t index);

  // Whether the rank is known: no input that is normalised is a scalar.
  bool is_known() const { return info_ != nullptr; }
  // Sizes where they are known, names where the model has them, and a name that nothing else has
  // for each other dimension.
  const OrtTensorTypeAndShapeInfo* info() const { return info_; }

 private:
  const OrtApi& api_;
  OrtTensorTypeAndShapeInfo* info_ = nullptr;
};

}  // namespace normonnx
