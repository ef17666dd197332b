#include "driver.h"

#include <dlfcn.h>

namespace normonnx::cuda {
namespace {

template <class Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

struct Loaded {
  Driver driver{};
  const char* why = nullptr;

  Loaded() {
    void* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      why = "there is no CUDA driver (libcuda.so.1)";
      return;
    }
    const bool complete = Find(library, "cuInit", &driver.init) &&
                          Find(library, "cuGetErrorString", &driver.error_string) &&
                          Find(library, "cuCtxGetDevice", &driver.current_device) &&
                          Find(library, "cuDeviceGetAttribute", &driver.device_attribute) &&
                          Find(library, "cuLibraryLoadData", &driver.load_library) &&
                          Find(library, "cuLibraryGetKernel", &driver.get_kernel) &&
                          Find(library, "cuLaunchKernelEx", &driver.launch);
    if (!complete) {
      why = "the CUDA driver is older than 525";
    } else if (driver.init(0) != kSuccess) {
      why = "the CUDA driver does not start";
    }
  }
};

}  // namespace

const Driver* LoadDriver(const char** why) {
  static const Loaded loaded;
  *why = loaded.why;
  return loaded.why == nullptr ? &loaded.driver : nullptr;
}

}  // namespace normonnx::cuda
