// The library's face: every operator, for every type, for every provider, handed to ONNX Runtime.

#include <cstdio>
#include <exception>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include "cpu/rows.h"
#include "cuda/cuda_facts.h"
#include "kernel.h"

namespace normonnx {
namespace {

struct Types {
  ONNXTensorElementDataType data;
  ONNXTensorElementDataType parameter;
};

constexpr Types kTypes[kTypePairs] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
};

struct Provider {
  const char* name;  // null is the CPU
  int type_pairs;
  std::unique_ptr<Device> (*make)(TypePair);
};

// The same CUDA kernels under both names that the provider has.
constexpr Provider kProviders[] = {
    {nullptr, kTypePairs, MakeCpu},
    {"CUDAExecutionProvider", kCudaTypePairs, MakeCuda},
    {"CudaPluginExecutionProvider", kCudaTypePairs, MakeCuda},
};

struct CustomOp final : OrtCustomOp {
  CustomOp(const Operator& op, const Provider& provider, TypePair types);

  const Operator& op;
  const Provider& provider;
  const TypePair types;
};

const CustomOp& Of(const OrtCustomOp* op) { return *static_cast<const CustomOp*>(op); }

OrtStatusPtr ORT_API_CALL MakeKernel(const OrtCustomOp* self, const OrtApi* api,
                                     const OrtKernelInfo* info, void** kernel) {
  const CustomOp& custom = Of(self);
  try {
    auto made = std::make_unique<Kernel>(custom.op, *api, custom.provider.make(custom.types));
    RETURN_IF_FAILED(made->Prepare(info));
    *kernel = made.release();
    return nullptr;
  } catch (const std::exception& error) {
    return api->CreateStatus(ORT_FAIL, error.what());
  }
}

OrtStatusPtr ORT_API_CALL Compute(void* kernel, OrtKernelContext* context) {
  return static_cast<Kernel*>(kernel)->Compute(context);
}

// For InferOutputShapeFn, which is handed no API.
const OrtApi* g_api = nullptr;
// Whether one may ask for an output that the node has not: before ONNX Runtime 1.31 that ends the
// process, and there is no way to see which outputs there are.
bool g_may_ask_for_outputs = false;

bool IsAtLeast(const char* version, int major, int minor) {
  int found_major = 0, found_minor = 0;
  if (std::sscanf(version, "%d.%d", &found_major, &found_minor) != 2) return false;
  return found_major > major || (found_major == major && found_minor >= minor);
}

// Every output has the shape of X, symbols included.
OrtStatusPtr ORT_API_CALL InferShape(const OrtCustomOp* self, OrtShapeInferContext* context,
                                     const OrtApi* api) {
  OrtTensorTypeAndShapeInfo* x = nullptr;
  RETURN_IF_FAILED(api->ShapeInferContext_GetInputTypeShape(context, 0, &x));
  RETURN_IF_FAILED(api->ShapeInferContext_SetOutputTypeShape(context, 0, x));
  if (Of(self).op.output_count > 1 && g_may_ask_for_outputs) {
    // Fails where the node leaves Sum out, and there is then nothing to say about it.
    if (OrtStatusPtr absent = api->ShapeInferContext_SetOutputTypeShape(context, 1, x)) {
      api->ReleaseStatus(absent);
    }
  }
  return nullptr;
}

CustomOp::CustomOp(const Operator& op, const Provider& provider, TypePair types)
    : OrtCustomOp{}, op(op), provider(provider), types(types) {
  version = kApiVersion;
  GetName = [](const OrtCustomOp* self) { return Of(self).op.name; };
  GetExecutionProviderType = [](const OrtCustomOp* self) { return Of(self).provider.name; };
  GetInputTypeCount = [](const OrtCustomOp* self) { return Of(self).op.input_count; };
  GetInputType = [](const OrtCustomOp* self, size_t index) {
    const Slot slot = Of(self).op.inputs[index];
    const Types& pair = kTypes[Of(self).types];
    return slot == Slot::kScale || slot == Slot::kBias ? pair.parameter : pair.data;
  };
  GetInputCharacteristic = [](const OrtCustomOp* self, size_t index) {
    return index < Of(self).op.required_inputs ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  };
  GetInputMemoryType = [](const OrtCustomOp*, size_t) { return OrtMemTypeDefault; };
  GetOutputTypeCount = [](const OrtCustomOp* self) { return Of(self).op.output_count; };
  GetOutputType = [](const OrtCustomOp* self, size_t) { return kTypes[Of(self).types].data; };
  GetOutputCharacteristic = [](const OrtCustomOp*, size_t index) {
    return index == 0 ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  };
  GetVariadicInputMinArity = [](const OrtCustomOp*) { return 0; };
  GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 0; };
  GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 0; };
  GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 0; };
  CreateKernelV2 = MakeKernel;
  KernelComputeV2 = Compute;
  KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  InferOutputShapeFn = [](const OrtCustomOp* self, OrtShapeInferContext* context) {
    return InferShape(self, context, g_api);
  };
  GetStartVersion = [](const OrtCustomOp*) { return kDomainVersion; };
  GetEndVersion = [](const OrtCustomOp*) { return kDomainVersion; };
}

// Sessions keep pointers to the operators, so these are never taken down.
const std::vector<CustomOp>& AllOps() {
  static const auto& ops = *[] {
    auto* const all = new std::vector<CustomOp>;
    all->reserve(std::size(kOperators) * (kTypePairs + 2 * kCudaTypePairs));
    for (const Operator& op : kOperators) {
      for (const Provider& provider : kProviders) {
        if (provider.make == MakeCuda && !HasCuda()) continue;
        for (int types = 0; types < provider.type_pairs; ++types) {
          all->emplace_back(op, provider, static_cast<TypePair>(types));
        }
      }
    }
    return all;
  }();
  return ops;
}

OrtStatusPtr DomainFor(const OrtApi& api, const char* version, OrtCustomOpDomain** domain) {
  static std::mutex mutex;
  static auto& domains = *new std::map<const OrtApi*, OrtCustomOpDomain*>;
  const std::lock_guard<std::mutex> lock(mutex);
  g_api = &api;
  g_may_ask_for_outputs = IsAtLeast(version, 1, 31);
  OrtCustomOpDomain*& known = domains[&api];
  if (known == nullptr) {
    OrtCustomOpDomain* made = nullptr;
    RETURN_IF_FAILED(api.CreateCustomOpDomain(kDomain, &made));
    for (const CustomOp& op : AllOps()) RETURN_IF_FAILED(api.CustomOpDomain_Add(made, &op));
    known = made;
  }
  *domain = known;
  return nullptr;
}

}  // namespace
}  // namespace normonnx

extern "C" {

#define NORMONNX_EXPORT __attribute__((visibility("default")))

NORMONNX_EXPORT OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                          const OrtApiBase* base) {
  const OrtApi* const api = base->GetApi(normonnx::kApiVersion);
  if (api == nullptr) return nullptr;  // older than 1.17: there is no API to say so with
  OrtCustomOpDomain* domain = nullptr;
  const char* const version = base->GetVersionString();
  if (OrtStatus* failed = normonnx::DomainFor(*api, version, &domain)) return failed;
  return api->AddCustomOpDomain(options, domain);
}

// What Python asks about the library before it registers it.
NORMONNX_EXPORT const char* normonnx_version() { return NORMONNX_VERSION; }
NORMONNX_EXPORT int normonnx_ort_api_version() { return normonnx::kApiVersion; }
NORMONNX_EXPORT int normonnx_has_cuda() { return normonnx::HasCuda() ? 1 : 0; }
NORMONNX_EXPORT const char* normonnx_cuda_architectures() { return normonnx::CudaArchitectures(); }
NORMONNX_EXPORT const char* normonnx_cpu_isa() { return BestRows().isa; }
}
