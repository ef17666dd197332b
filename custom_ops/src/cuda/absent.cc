// A library that was built without nvcc: no kernels for CUDA, and nothing registered for it.

#include "../kernel.h"
#include "cuda_facts.h"

namespace normonnx {

bool HasCuda() { return false; }
const char* CudaArchitectures() { return ""; }
std::unique_ptr<Device> MakeCuda(TypePair) { return nullptr; }

}  // namespace normonnx
