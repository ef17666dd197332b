#define NORMONNX_TABLE kRowsBaseline
#define NORMONNX_ISA "baseline"
#include "rows.inc"
