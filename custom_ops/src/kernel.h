// A kernel of one node: from ONNX Runtime's context to a NormCall, and on to a device.
#pragma once

#include <memory>

#include "norm.h"
#include "operators.h"
#include "ort.h"

namespace normonnx {

// Where calls are run.
class Device {
 public:
  virtual ~Device() = default;
  virtual OrtStatusPtr Run(const OrtApi& api, OrtKernelContext* context, const NormCall& call) = 0;
};

std::unique_ptr<Device> MakeCpu(TypePair types);
std::unique_ptr<Device> MakeCuda(TypePair types);

class Kernel {
 public:
  Kernel(const Operator& op, const OrtApi& api, std::unique_ptr<Device> device)
      : op_(op), api_(api), device_(std::move(device)) {}

  // Reads the attributes, and the shapes of the inputs that are constants.
  OrtStatusPtr Prepare(const OrtKernelInfo* info);
  OrtStatusPtr Compute(OrtKernelContext* context);

 private:
  OrtStatusPtr Bind(OrtKernelContext* context, NormCall* call);

  const Operator& op_;
  const OrtApi& api_;
  const std::unique_ptr<Device> device_;
  int64_t axis_ = kDefaultAxis;
  float epsilon_ = kDefaultEpsilon;
  bool known_[kMaxInputs] = {};
  Shape shapes_[kMaxInputs];
};

}  // namespace normonnx
