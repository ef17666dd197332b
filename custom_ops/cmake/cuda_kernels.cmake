# The CUDA kernels: nvcc makes one fatbin of them, an ordinary C++ file embeds it and talks to the
# driver. No CUDA language, headers or libraries are needed beyond that one command.
string(TOLOWER "${NORMONNX_CUDA}" cuda)
if(cuda STREQUAL "")
  set(cuda auto)
endif()
if(NOT cuda MATCHES "^(auto|on|off)$")
  message(FATAL_ERROR "NORMONNX_CUDA=${NORMONNX_CUDA}: one of auto, on, off")
endif()

set(nvcc "")
if(NOT cuda STREQUAL off)
  # NORMONNX_NVCC is what the build backend says; PyPI's wheels have it beside Python's packages.
  find_program(NORMONNX_NVCC_PROGRAM nvcc
    HINTS "$ENV{NORMONNX_NVCC_DIR}" "$ENV{CUDA_HOME}/bin" PATHS /usr/local/cuda/bin)
  if(DEFINED ENV{CUDACXX})
    set(nvcc "$ENV{CUDACXX}")
  elseif(NORMONNX_NVCC_PROGRAM)
    set(nvcc "${NORMONNX_NVCC_PROGRAM}")
  endif()
  if(NOT nvcc AND cuda STREQUAL on)
    message(FATAL_ERROR "NORMONNX_CUDA=on, and there is no nvcc: install CUDA 12.8 or newer, or set "
                        "CUDACXX to its nvcc")
  elseif(NOT nvcc)
    message(WARNING "no nvcc: the library has the CPU's kernels only")
  endif()
endif()

if(NOT nvcc)
  target_sources(normonnx_ops PRIVATE src/cuda/absent.cc)
  return()
endif()

set(fatbin "${CMAKE_CURRENT_BINARY_DIR}/rows.fatbin")
set(gencode "")
foreach(arch IN LISTS NORMONNX_CUDA_ARCHITECTURES)
  list(APPEND gencode "-gencode=arch=compute_${arch},code=sm_${arch}")
  set(newest ${arch})
endforeach()
list(APPEND gencode "-gencode=arch=compute_${newest},code=compute_${newest}")
set(cuda_dir "${CMAKE_CURRENT_SOURCE_DIR}/src/cuda")
add_custom_command(
  OUTPUT "${fatbin}"
  COMMAND "${nvcc}" -std=c++17 -fatbin -O3 ${gencode} -t 2 --compress-mode=size
          "${cuda_dir}/rows.cu" -o "${fatbin}"
  DEPENDS "${cuda_dir}/rows.cu" "${cuda_dir}/rows.cuh" "${cuda_dir}/device.cuh"
          "${cuda_dir}/plan.h" src/norm.h
  COMMENT "CUDA kernels for ${NORMONNX_CUDA_ARCHITECTURES} and PTX"
  VERBATIM)
string(REPLACE ";" " " architectures "${NORMONNX_CUDA_ARCHITECTURES} ptx")
target_sources(normonnx_ops PRIVATE src/cuda/cuda_device.cc src/cuda/driver.cc)
set_source_files_properties(src/cuda/cuda_device.cc PROPERTIES
  OBJECT_DEPENDS "${fatbin}"
  COMPILE_DEFINITIONS
    "NORMONNX_FATBIN=\"${fatbin}\";NORMONNX_CUDA_ARCHITECTURES=\"${architectures}\"")
