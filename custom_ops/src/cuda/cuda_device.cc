// Calls on a GPU, on the stream of the session. A call queries nothing, allocates nothing and waits
// for nothing, so that it can be captured into a CUDA graph; what has to be known of the driver and
// the device is found out at the first call of a node.

#include <mutex>
#include <string>

#include "../kernel.h"
#include "cuda_facts.h"
#include "driver.h"
#include "plan.h"

// The compiled kernels of every architecture, made by nvcc, put in by the assembler.
asm(R"(
  .section .rodata
  .balign 64
normonnx_fatbin:
  .incbin ")" NORMONNX_FATBIN R"("
  .previous
)");
extern "C" const char normonnx_fatbin[];

namespace normonnx {
namespace {

OrtStatusPtr Failed(const OrtApi& api, const std::string& what) {
  return api.CreateStatus(ORT_EP_FAIL, ("normonnx: " + what).c_str());
}

// The fatbin, loaded once per process; kernels of it serve every context.
struct Loaded {
  const cuda::Driver* driver;
  cuda::Library library = nullptr;
  std::string why;

  Loaded() {
    const char* missing = nullptr;
    driver = cuda::LoadDriver(&missing);
    if (driver == nullptr) {
      why = missing;
      return;
    }
    const cuda::Result result = driver->load_library(&library, normonnx_fatbin, nullptr, nullptr, 0,
                                                     nullptr, nullptr, 0);
    if (result != cuda::kSuccess) why = "the kernels do not load: " + Text(result);
  }

  std::string Text(cuda::Result result) const {
    const char* text = nullptr;
    driver->error_string(result, &text);
    return text == nullptr ? "CUDA error " + std::to_string(result) : text;
  }
};

const Loaded& TheLibrary() {
  static const Loaded& loaded = *new Loaded;
  return loaded;
}

class Cuda final : public Device {
 public:
  explicit Cuda(TypePair types) : types_(types) {}

  OrtStatusPtr Run(const OrtApi& api, OrtKernelContext* context, const NormCall& call) override {
    RETURN_IF_FAILED(Prepare(api));
    void* stream = nullptr;
    RETURN_IF_FAILED(api.KernelContext_GetGPUComputeStream(context, &stream));

    const CudaLaunch plan =
        PlanCuda(call, static_cast<size_t>(kCudaElementBytes[types_]), clusters_);
    if (plan.blocks > kMaxBlocks) return Failed(api, "more rows than a GPU can be given at once");
    cuda::LaunchAttribute cluster{};
    cluster.id = cuda::kClusterDimension;
    cluster.value.cluster = {static_cast<unsigned>(plan.cluster), 1, 1};
    cuda::LaunchConfig config{};
    config.grid_x = static_cast<unsigned>(plan.blocks);
    config.grid_y = config.grid_z = config.block_z = 1;
    config.block_x = static_cast<unsigned>(plan.threads_x);
    config.block_y = static_cast<unsigned>(plan.threads_y);
    config.stream = static_cast<cuda::Stream>(stream);
    config.attributes = &cluster;
    config.attribute_count = plan.cluster > 1 ? 1 : 0;
    NormCall copy = call;
    void* arguments[] = {&copy};
    const cuda::Result result =
        TheLibrary().driver->launch(&config, kernels_[plan.tier], arguments, nullptr);
    if (result == cuda::kSuccess) return nullptr;
    return Failed(api, std::string(kCudaTierNames[plan.tier]) + " does not start: " +
                           TheLibrary().Text(result));
  }

 private:
  OrtStatusPtr Prepare(const OrtApi& api) {
    std::call_once(prepared_, [this] { why_ = Find(); });
    return why_.empty() ? nullptr : Failed(api, why_);
  }

  std::string Find() {
    const Loaded& loaded = TheLibrary();
    if (!loaded.why.empty()) return loaded.why;
    for (int tier = 0; tier < kCudaTiers; ++tier) {
      const std::string name =
          std::string("normonnx_") + kCudaTypeNames[types_] + "_" + kCudaTierNames[tier];
      const cuda::Result result =
          loaded.driver->get_kernel(&kernels_[tier], loaded.library, name.c_str());
      if (result != cuda::kSuccess) return "no kernel " + name + ": " + loaded.Text(result);
    }
    cuda::Device device = 0;
    int major = 0;
    cuda::Result result = loaded.driver->current_device(&device);
    if (result == cuda::kSuccess) {
      result = loaded.driver->device_attribute(&major, cuda::kComputeCapabilityMajor, device);
    }
    if (result != cuda::kSuccess) return "no device: " + loaded.Text(result);
    clusters_ = major >= 9;
    return "";
  }

  const TypePair types_;
  std::once_flag prepared_;
  std::string why_;
  bool clusters_ = false;
  cuda::KernelHandle kernels_[kCudaTiers] = {};
};

}  // namespace

bool HasCuda() { return true; }
const char* CudaArchitectures() { return NORMONNX_CUDA_ARCHITECTURES; }
std::unique_ptr<Device> MakeCuda(TypePair types) { return std::make_unique<Cuda>(types); }

}  // namespace normonnx
