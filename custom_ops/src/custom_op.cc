// The library's face: every operator, for every type, for every provider, handed to ONNX Runtime.

#include <cstdio>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "cpu/rows.h"
#include "cuda/cuda_facts.h"
#include "kernel.h"
#include "known_shape.h"

namespace normonnx {
namespace {

struct Types {
  const char* name;  // of the type of the data
  ONNXTensorElementDataType data;
  ONNXTensorElementDataType parameter;
};

constexpr Types kTypes[kTypePairs] = {
    {"float", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {"float16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
    {"float16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {"bfloat16", ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16},
    {"bfloat16", ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {"double", ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
    {"double", ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
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

// The API of one ONNX Runtime: a process may have several, each with operators of its own.
struct Runtime {
  const OrtApi& api;
  // Whether one may ask for an output that the node has not: before ONNX Runtime 1.31 that ends the
  // process, and there is no way to see which outputs there are.
  bool may_ask_for_outputs;
};

struct CustomOp final : OrtCustomOp {
  CustomOp(const Runtime& runtime, const Operator& op, std::string name, const Provider& provider,
           TypePair types);

  const Runtime& runtime;
  const Operator& op;
  const std::string name;
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

struct Version {
  int major = 0;
  int minor = 0;

  explicit Version(const char* text) { std::sscanf(text, "%d.%d", &major, &minor); }
  bool IsAtLeast(int wanted_major, int wanted_minor) const {
    return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
  }
};

// Every output has the shape of X, symbols included.
OrtStatusPtr ORT_API_CALL InferShape(const OrtCustomOp* self, OrtShapeInferContext* context) {
  const CustomOp& custom = Of(self);
  const OrtApi& api = custom.runtime.api;
  KnownShape shape(api);
  if (OrtStatusPtr unknown = shape.Read(context, 0)) {
    api.ReleaseStatus(unknown);
    return nullptr;
  }
  if (!shape.is_known()) return nullptr;
  RETURN_IF_FAILED(api.ShapeInferContext_SetOutputTypeShape(context, 0, shape.info()));
  if (custom.op.output_count > 1 && custom.runtime.may_ask_for_outputs) {
    // Fails where the node leaves Sum out, and there is then nothing to say about it.
    if (OrtStatusPtr absent = api.ShapeInferContext_SetOutputTypeShape(context, 1, shape.info())) {
      api.ReleaseStatus(absent);
    }
  }
  return nullptr;
}

CustomOp::CustomOp(const Runtime& runtime, const Operator& op, std::string name,
                   const Provider& provider, TypePair types)
    : OrtCustomOp{},
      runtime(runtime),
      op(op),
      name(std::move(name)),
      provider(provider),
      types(types) {
  version = kApiVersion;
  GetName = [](const OrtCustomOp* self) { return Of(self).name.c_str(); };
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
  InferOutputShapeFn = InferShape;
  GetStartVersion = [](const OrtCustomOp*) { return kDomainVersion; };
  GetEndVersion = [](const OrtCustomOp*) { return kDomainVersion; };
}

// The operators as one ONNX Runtime has them.
struct Registered {
  Runtime runtime;
  std::deque<CustomOp> ops;  // whose elements stay where they are
  OrtCustomOpDomain* domain = nullptr;
};

OrtStatusPtr Fill(Registered* registered) {
  const OrtApi& api = registered->runtime.api;
  OrtCustomOpDomain* domain = nullptr;
  RETURN_IF_FAILED(api.CreateCustomOpDomain(kDomain, &domain));
  for (const Operator& op : kOperators) {
    for (const Provider& provider : kProviders) {
      if (provider.make == MakeCuda && !HasCuda()) continue;
      for (int types = 0; types < provider.type_pairs; ++types) {
        const std::string typed = std::string(op.name) + kTypeSeparator + kTypes[types].name;
        for (const std::string& name : {std::string(op.name), typed}) {
          registered->ops.emplace_back(registered->runtime, op, name, provider,
                                       static_cast<TypePair>(types));
          RETURN_IF_FAILED(api.CustomOpDomain_Add(domain, &registered->ops.back()));
        }
      }
    }
  }
  registered->domain = domain;
  return nullptr;
}

// Sessions keep pointers to the operators, so these are never taken down.
OrtStatusPtr DomainFor(const OrtApi& api, Version version, OrtCustomOpDomain** domain) {
  static std::mutex mutex;
  static auto& known = *new std::map<const OrtApi*, Registered*>;
  const std::lock_guard<std::mutex> lock(mutex);
  Registered*& registered = known[&api];
  if (registered == nullptr) {
    auto made = std::make_unique<Registered>(Registered{{api, version.IsAtLeast(1, 31)}, {}});
    RETURN_IF_FAILED(Fill(made.get()));
    registered = made.release();
  }
  *domain = registered->domain;
  return nullptr;
}

// What an ONNX Runtime is told that lacks the API of the operators. Each has the API of its own
// minor version, so none has to be asked for one that it would complain about.
OrtStatusPtr LacksApi(const OrtApiBase& base, Version version) {
  const OrtApi* api = base.GetApi(static_cast<uint32_t>(version.minor));
  if (api == nullptr) api = base.GetApi(1);
  const std::string message = std::string("normonnx: the custom operators need ONNX Runtime 1.") +
                              std::to_string(kApiVersion) + " or newer, and this is " +
                              base.GetVersionString();
  return api->CreateStatus(ORT_NOT_IMPLEMENTED, message.c_str());
}

}  // namespace
}  // namespace normonnx

extern "C" {

#define NORMONNX_EXPORT __attribute__((visibility("default")))

NORMONNX_EXPORT OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                          const OrtApiBase* base) {
  const normonnx::Version version(base->GetVersionString());
  const bool has_api = version.IsAtLeast(1, normonnx::kApiVersion);
  const OrtApi* const api = has_api ? base->GetApi(normonnx::kApiVersion) : nullptr;
  if (api == nullptr) return normonnx::LacksApi(*base, version);
  OrtCustomOpDomain* domain = nullptr;
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
