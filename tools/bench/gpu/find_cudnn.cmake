# Finds cuDNN, for the benchmark alone: in the CUDA Toolkit, the system's folders, CUDNN_ROOT, or the pip package of the
# Python in PATH or of BENCH_VENV. Sets CRS_CUDNN_INCLUDE and CRS_CUDNN_LIBRARY, or CRS_CUDNN_MISSING to what was not found.
set(CRS_CUDNN_MISSING "")
set(places "")
foreach(python IN ITEMS "$ENV{BENCH_VENV}/bin/python" python3)
  execute_process(COMMAND ${python} -c
    "import importlib.util as u; s = u.find_spec('nvidia.cudnn'); print(next(iter(s.submodule_search_locations), ''))"
    OUTPUT_VARIABLE place OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed AND place)
    list(APPEND places ${place})
  endif()
endforeach()
find_path(CRS_CUDNN_INCLUDE cudnn.h
  HINTS $ENV{CUDNN_ROOT} ${CUDAToolkit_INCLUDE_DIRS} PATHS ${places} PATH_SUFFIXES include DOC "cuDNN's headers")
# The package has the library under the name with its version alone.
find_library(CRS_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
  HINTS $ENV{CUDNN_ROOT} ${CUDAToolkit_LIBRARY_DIR} PATHS ${places} PATH_SUFFIXES lib lib64 DOC "cuDNN")
if(NOT CRS_CUDNN_INCLUDE)
  set(CRS_CUDNN_MISSING "cudnn.h was not found")
elseif(NOT CRS_CUDNN_LIBRARY)
  set(CRS_CUDNN_MISSING "libcudnn was not found, but ${CRS_CUDNN_INCLUDE}/cudnn.h was")
else()
  set(CRS_CUDNN_VERSION 0)
  if(EXISTS ${CRS_CUDNN_INCLUDE}/cudnn_version.h)
    file(STRINGS ${CRS_CUDNN_INCLUDE}/cudnn_version.h CRS_CUDNN_VERSION REGEX "^#define CUDNN_MAJOR +[0-9]+")
    string(REGEX REPLACE "[^0-9]" "" CRS_CUDNN_VERSION "${CRS_CUDNN_VERSION}")
  endif()
  if(CRS_CUDNN_VERSION LESS 9)
    set(CRS_CUDNN_MISSING "the cuDNN in ${CRS_CUDNN_INCLUDE} is older than 9")
  endif()
endif()
