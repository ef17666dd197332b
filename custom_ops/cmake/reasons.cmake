# Where the library cannot be built, the package is installed without it, with the reason in a file
# beside where the library would be: `normonnx doctor` reads it out.
function(without_library reason)
  if(NORMONNX_REQUIRED)
    message(FATAL_ERROR "normonnx: no library of custom operators: ${reason}")
  endif()
  message(WARNING "normonnx: no library of custom operators: ${reason}. "
                  "All else works without it.")
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/no_library.txt" "${reason}\n")
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/no_library.txt" DESTINATION "${NORMONNX_INSTALL_DIR}")
endfunction()
