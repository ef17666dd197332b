#define NORMONNX_TABLE kRowsAvx512
#define NORMONNX_ISA "avx512"
#include "rows.inc"
