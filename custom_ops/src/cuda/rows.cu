// The kernels as a fatbin; the host part is an ordinary C++ file that embeds it.
#include "device.cuh"
#include "rows.cuh"
