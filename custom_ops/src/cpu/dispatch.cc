#include <cstdlib>
#include <cstring>

#include "rows.h"

namespace {

const RowsTable& Choose() {
  const char* wanted = std::getenv("NORMONNX_CPU_ISA");
  const auto allowed = [wanted](const RowsTable& table) {
    return wanted == nullptr || *wanted == 0 || std::strcmp(wanted, table.isa) == 0;
  };
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (avx512 && allowed(kRowsAvx512)) return kRowsAvx512;
  if (avx2 && allowed(kRowsAvx2)) return kRowsAvx2;
#endif
  (void)allowed;
  return kRowsBaseline;
}

}  // namespace

const RowsTable& BestRows() {
  static const RowsTable& best = Choose();
  return best;
}
