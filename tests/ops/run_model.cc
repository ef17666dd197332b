// Runs a model in C++ with the library registered, as the documentation shows it, and prints every
// output: its name, and its elements.
//
//   run_model LIBRARY MODEL
//
// An input is 1, 0, 1, 0 …; a dimension that the model leaves open is 4.
#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

constexpr int64_t kOpen = 4;

template <typename T>
Ort::Value Pattern(const std::vector<int64_t>& shape) {
  Ort::AllocatorWithDefaultOptions allocator;
  Ort::Value value = Ort::Value::CreateTensor<T>(allocator, shape.data(), shape.size());
  T* const data = value.GetTensorMutableData<T>();
  const size_t count = value.GetTensorTypeAndShapeInfo().GetElementCount();
  for (size_t i = 0; i < count; ++i) data[i] = static_cast<T>(i % 2 == 0);
  return value;
}

}  // namespace

int main(int, char** arguments) {
  Ort::Env env;
  Ort::SessionOptions options;
  options.RegisterCustomOpsLibrary(arguments[1]);
  Ort::Session session(env, arguments[2], options);

  Ort::AllocatorWithDefaultOptions allocator;
  std::vector<std::string> names;
  std::vector<Ort::Value> inputs;
  for (size_t i = 0; i < session.GetInputCount(); ++i) {
    names.emplace_back(session.GetInputNameAllocated(i, allocator).get());
    const Ort::TypeInfo type = session.GetInputTypeInfo(i);
    const auto info = type.GetTensorTypeAndShapeInfo();
    std::vector<int64_t> shape = info.GetShape();
    for (int64_t& size : shape) size = size < 0 ? kOpen : size;
    const bool whole = info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    inputs.push_back(whole ? Pattern<int64_t>(shape) : Pattern<float>(shape));
  }
  const size_t input_count = names.size();
  for (size_t i = 0; i < session.GetOutputCount(); ++i) {
    names.emplace_back(session.GetOutputNameAllocated(i, allocator).get());
  }
  std::vector<const char*> pointers;
  for (const std::string& name : names) pointers.push_back(name.c_str());
  const std::vector<Ort::Value> outputs =
      session.Run(Ort::RunOptions{}, pointers.data(), inputs.data(), input_count,
                  pointers.data() + input_count, session.GetOutputCount());
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::printf("%s", pointers[input_count + i]);
    const float* const data = outputs[i].GetTensorData<float>();
    const size_t count = outputs[i].GetTensorTypeAndShapeInfo().GetElementCount();
    for (size_t element = 0; element < count; ++element) std::printf(" %.9g", data[element]);
    std::printf("\n");
  }
}
