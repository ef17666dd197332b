// Calls on the CPU, spread over ONNX Runtime's own threads.

#include <unistd.h>

#include <algorithm>

#include "../kernel.h"
#include "rows.h"

namespace normonnx {
namespace {

constexpr int64_t kTaskBytes = 32 * 1024;  // below this, waking a thread costs more than it gains

constexpr int64_t kElementBytes[kTypePairs] = {4, 2, 2, 2, 2, 8, 8};

// A result of more than this has left a core's own cache when it is read next, and goes past it:
// that saves reading what is to be overwritten. Smaller ones were faster written as usual.
int64_t StreamingBytes() {
  constexpr int64_t kLeast = int64_t{8} << 20;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  return std::max<int64_t>(kLeast, 4 * sysconf(_SC_LEVEL2_CACHE_SIZE));
#else
  return kLeast;
#endif
}

struct Tasks {
  const NormCall* call;
  RowsFunction rows;
  int64_t units;
  int64_t units_per_task;
  bool stream;

  static void Run(void* tasks, size_t index) {
    const Tasks& self = *static_cast<const Tasks*>(tasks);
    const int64_t begin = static_cast<int64_t>(index) * self.units_per_task;
    self.rows(*self.call, begin, std::min(begin + self.units_per_task, self.units), self.stream);
  }
};

class Cpu final : public Device {
 public:
  explicit Cpu(TypePair types)
      : rows_(BestRows().rows[types]), element_bytes_(kElementBytes[types]) {}

  OrtStatusPtr Run(const OrtApi& api, OrtKernelContext* context, const NormCall& call) override {
    const bool last = call.inner == 1;
    const int64_t strips = last ? 1 : (call.inner + kStrip - 1) / kStrip;
    const int64_t unit_bytes = call.n * element_bytes_ * (last ? 1 : std::min(kStrip, call.inner));
    Tasks tasks{&call, rows_, call.outer * strips, 1, Streams(call)};
    tasks.units_per_task = std::clamp<int64_t>(kTaskBytes / unit_bytes, 1, tasks.units);
    const int64_t count = (tasks.units + tasks.units_per_task - 1) / tasks.units_per_task;
    if (count == 1) {
      Tasks::Run(&tasks, 0);
      return nullptr;
    }
    return api.KernelContext_ParallelFor(context, Tasks::Run, static_cast<size_t>(count), 0,
                                         &tasks);
  }

 private:
  // Streaming stores need whole vectors at whole vectors' addresses.
  bool Streams(const NormCall& call) const {
    static const int64_t least = StreamingBytes();
    const int64_t bytes = call.outer * call.n * call.inner * element_bytes_;
    return bytes > least && reinterpret_cast<uintptr_t>(call.y) % 64 == 0 &&
           call.n * element_bytes_ % 64 == 0;
  }

  const RowsFunction rows_;
  const int64_t element_bytes_;
};

}  // namespace

std::unique_ptr<Device> MakeCpu(TypePair types) { return std::make_unique<Cpu>(types); }

}  // namespace normonnx
