#define NORMONNX_TABLE kRowsAvx2
#define NORMONNX_ISA "avx2"
#include "rows.inc"
