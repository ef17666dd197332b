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
  Kernel(const Operator& op, const OrtApi& api, int64_t axis, float epsilon,
         std::unique_ptr<Device> device)
      : op_(op), api_(api), axis_(axis), epsilon_(epsilon), device_(std::move(device)) {}

  OrtStatusPtr Compute(OrtKernelContext* context);

 private:
  OrtStatusPtr Bind(OrtKernelContext* context, NormCall* call);

  const Operator& op_;
  const OrtApi& api_;
  const int64_t axis_;
  const float epsilon_;
  const std::unique_ptr<Device> device_;
};

}  // namespace normonnx
