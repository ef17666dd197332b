// What the library has for CUDA; the same whether or not this machine has a GPU.
#pragma once

namespace normonnx {

bool HasCuda();
const char* CudaArchitectures();

}  // namespace normonnx
