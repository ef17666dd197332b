# onnxruntime_c_api.h, which no ONNX Runtime wheel has: NORMONNX_ORT_HEADER is its directory, or "".
#
# In this order: the directory the user names; an installed one (Debian's libonnxruntime-dev, a
# release of ONNX Runtime); the Debian package of a newer suite, fetched with apt into the build
# directory; the header of the ONNX Runtime repository. What is fetched has a known checksum.
set(NORMONNX_ORT_INCLUDE_DIR "$ENV{NORMONNX_ORT_INCLUDE_DIR}" CACHE PATH
  "directory of onnxruntime_c_api.h")
option(NORMONNX_FETCH_HEADER "fetch the header if it is not installed" ON)

set(header_sha256 7783e9664bdb0b1b36145b5c8587dd1bc9a399aa000edf2e3dd03003cafc6882)
set(package_sha256 14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08)
set(package_version 1.21.0+dfsg-1)
set(header_url "https://raw.githubusercontent.com/microsoft/onnxruntime/v1.21.0/include/onnxruntime/core/session/onnxruntime_c_api.h")

set(NORMONNX_ORT_HEADER "")
if(NORMONNX_ORT_INCLUDE_DIR)
  if(NOT EXISTS "${NORMONNX_ORT_INCLUDE_DIR}/onnxruntime_c_api.h")
    message(FATAL_ERROR "NORMONNX_ORT_INCLUDE_DIR=${NORMONNX_ORT_INCLUDE_DIR} "
                        "has no onnxruntime_c_api.h")
  endif()
  set(NORMONNX_ORT_HEADER "${NORMONNX_ORT_INCLUDE_DIR}")
else()
  find_path(installed_header onnxruntime_c_api.h
    PATH_SUFFIXES onnxruntime onnxruntime/core/session)
  if(installed_header)
    set(NORMONNX_ORT_HEADER "${installed_header}")
  elseif(NORMONNX_FETCH_HEADER)
    set(fetched "${CMAKE_CURRENT_BINARY_DIR}/ort_header")
    if(NOT EXISTS "${fetched}/onnxruntime_c_api.h")
      file(MAKE_DIRECTORY "${fetched}")
      execute_process(
        COMMAND sh "${CMAKE_CURRENT_LIST_DIR}/debian_header.sh" "${fetched}" "${package_version}"
                "${package_sha256}"
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET TIMEOUT 120)
      if(failed)
        file(DOWNLOAD "${header_url}" "${fetched}/download.h" STATUS status TIMEOUT 30)
        file(SHA256 "${fetched}/download.h" sum)
        if(sum STREQUAL header_sha256)
          file(RENAME "${fetched}/download.h" "${fetched}/onnxruntime_c_api.h")
        else()
          file(REMOVE "${fetched}/download.h")
        endif()
      endif()
    endif()
    if(EXISTS "${fetched}/onnxruntime_c_api.h")
      set(NORMONNX_ORT_HEADER "${fetched}")
    endif()
  endif()
endif()
if(NORMONNX_ORT_HEADER)
  message(STATUS "onnxruntime_c_api.h: ${NORMONNX_ORT_HEADER}")
endif()
