#include "kernel.h"

#include <exception>

namespace normonnx {

// An attribute that a node leaves out has the default; ONNX Runtime then answers with a failure.
OrtStatusPtr Kernel::Prepare(const OrtKernelInfo* info) {
  if (OrtStatusPtr absent = api_.KernelInfoGetAttribute_int64(info, "axis", &axis_)) {
    api_.ReleaseStatus(absent);
    axis_ = kDefaultAxis;
  }
  if (OrtStatusPtr absent = api_.KernelInfoGetAttribute_float(info, "epsilon", &epsilon_)) {
    api_.ReleaseStatus(absent);
    epsilon_ = kDefaultEpsilon;
  }
  size_t count = 0;
  RETURN_IF_FAILED(api_.KernelInfo_GetInputCount(info, &count));
  for (size_t i = 0; i < op_.input_count && i < count; ++i) {
    int is_constant = 0;
    const OrtValue* value = nullptr;
    RETURN_IF_FAILED(api_.KernelInfoGetConstantInput_tensor(info, i, &is_constant, &value));
    if (is_constant == 0 || value == nullptr) continue;
    RETURN_IF_FAILED(ShapeOf(api_, value, &shapes_[i]));
    known_[i] = true;
  }
  return nullptr;
}

// No exception may leave: the caller is C.
OrtStatusPtr Kernel::Compute(OrtKernelContext* context) try {
  NormCall call{};
  RETURN_IF_FAILED(Bind(context, &call));
  if (call.outer == 0 || call.n == 0 || call.inner == 0) return nullptr;
  return device_->Run(api_, context, call);
} catch (const std::exception& error) {
  return api_.CreateStatus(ORT_FAIL, error.what());
}

OrtStatusPtr Kernel::Bind(OrtKernelContext* context, NormCall* call) {
  size_t given = 0;
  RETURN_IF_FAILED(api_.KernelContext_GetInputCount(context, &given));
  struct Input {
    Slot slot;
    const void* data;
    const Shape* shape;
  };
  Input inputs[kMaxInputs];
  Shape found[kMaxInputs];
  size_t count = 0;
  for (size_t i = 0; i < op_.input_count && i < given; ++i) {
    const OrtValue* value = nullptr;
    RETURN_IF_FAILED(api_.KernelContext_GetInput(context, i, &value));
    if (value == nullptr) continue;
    Input& input = inputs[count++];
    input.slot = op_.inputs[i];
    input.shape = known_[i] ? &shapes_[i] : &found[i];
    if (!known_[i]) RETURN_IF_FAILED(ShapeOf(api_, value, &found[i]));
    void* data = nullptr;
    RETURN_IF_FAILED(api_.GetTensorMutableData(const_cast<OrtValue*>(value), &data));
    input.data = data;
  }
  const auto find = [&](Slot slot) -> const Input* {
    for (size_t i = 0; i < count; ++i) {
      if (inputs[i].slot == slot) return &inputs[i];
    }
    return nullptr;
  };
  const Input* const x = find(Slot::kX);
  const Input* const scale = find(Slot::kScale);
  if (x == nullptr || scale == nullptr) {
    return Invalid(api_, std::string(op_.name) + " needs X and Scale");
  }

  Geometry geometry;
  const std::string misfit = SplitAtAxes(*x->shape, *scale->shape, axis_, &geometry);
  if (!misfit.empty()) return Invalid(api_, std::string(op_.name) + ": " + misfit);
  for (size_t i = 0; i < count; ++i) {
    const Input& input = inputs[i];
    const Input& like = input.slot == Slot::kResidual || input.slot == Slot::kX ? *x : *scale;
    if (*input.shape != *like.shape) {
      return Invalid(api_, std::string(op_.name) + ": " + NameOf(input.slot) + " " +
                               ToString(*input.shape) + " does not have the shape of " +
                               NameOf(like.slot) + " " + ToString(*like.shape));
    }
  }

  const auto data = [&](Slot slot) {
    const Input* const input = find(slot);
    return input == nullptr ? nullptr : input->data;
  };
  call->x = x->data;
  call->residual = data(Slot::kResidual);
  call->x_bias = data(Slot::kXBias);
  call->scale = scale->data;
  call->bias = data(Slot::kBias);
  call->outer = geometry.outer;
  call->n = geometry.n;
  call->inner = geometry.inner;
  call->epsilon = epsilon_;
  call->rms = op_.rms ? 1 : 0;

  size_t wanted = 0;
  RETURN_IF_FAILED(api_.KernelContext_GetOutputCount(context, &wanted));
  void* outputs[2] = {nullptr, nullptr};
  for (size_t i = 0; i < op_.output_count && i < wanted; ++i) {
    OrtValue* value = nullptr;
    RETURN_IF_FAILED(api_.KernelContext_GetOutput(context, i, x->shape->dims, x->shape->rank,
                                                  &value));
    if (value != nullptr) {
      RETURN_IF_FAILED(api_.GetTensorMutableData(value, &outputs[i]));
    } else if (i == 0) {
      return Invalid(api_, std::string(op_.name) + " needs the output Y");
    }
  }
  call->y = outputs[0];
  call->sum = outputs[1];
  return nullptr;
}

}  // namespace normonnx
