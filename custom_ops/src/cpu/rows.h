// The CPU kernels: one translation unit per instruction set, chosen when the library is loaded.
#pragma once

#include "../norm.h"

// Normalises the units [begin, end) of a call. A unit is a row, or, where the normalised axis is
// not the last, a strip of kStrip neighbouring rows.
using RowsFunction = void (*)(const NormCall& call, int64_t begin, int64_t end, bool stream);

constexpr int64_t kStrip = 64;

struct RowsTable {
  const char* isa;
  RowsFunction rows[kTypePairs];
};

#if defined(__x86_64__)
extern const RowsTable kRowsAvx512;
extern const RowsTable kRowsAvx2;
#endif
extern const RowsTable kRowsBaseline;

// The best that this machine runs; NORMONNX_CPU_ISA=baseline|avx2|avx512 asks for less.
const RowsTable& BestRows();
