// The CUDA driver API, as far as it is used here: declared by hand and looked up when first needed,
// so that the library builds without CUDA's headers and loads on machines without a GPU.
#pragma once

#include <cstddef>

namespace normonnx::cuda {

using Result = int;
using Device = int;
using Context = struct OpaqueContext*;
using Library = struct OpaqueLibrary*;
using KernelHandle = struct OpaqueKernel*;
using Stream = struct OpaqueStream*;

inline constexpr Result kSuccess = 0;
inline constexpr int kComputeCapabilityMajor = 75;
inline constexpr int kClusterDimension = 4;

struct alignas(8) LaunchAttribute {
  int id;
  char pad[8 - sizeof(int)];
  union {
    char space[64];
    struct {
      unsigned x, y, z;
    } cluster;
  } value;
};
static_assert(sizeof(LaunchAttribute) == 72);

struct LaunchConfig {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  Stream stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};
static_assert(sizeof(LaunchConfig) == 56);

struct Driver {
  Result (*init)(unsigned flags);
  Result (*error_string)(Result result, const char** text);
  Result (*current_device)(Device* device);
  Result (*device_attribute)(int* value, int attribute, Device device);
  Result (*load_library)(Library* library, const void* image, void* jit_options,
                         void** jit_values, unsigned jit_count, void* options, void** values,
                         unsigned count);
  Result (*get_kernel)(KernelHandle* kernel, Library library, const char* name);
  Result (*launch)(const LaunchConfig* config, KernelHandle kernel, void** arguments, void** extra);
};

// Null, and why, where there is no driver or one older than 525.
const Driver* LoadDriver(const char** why);

}  // namespace normonnx::cuda
