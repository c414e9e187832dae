# Finds the CUDA Toolkit and turns CUDA on. Where CRS_CUDA is AUTO and something is missing, says so in one line and sets
# CRS_CUDA to OFF for this build; where it is ON, stops.
if(CMAKE_VERSION VERSION_LESS 3.26 AND NOT TARGET CUDA::nvToolsExt)
  add_library(CUDA::nvToolsExt INTERFACE IMPORTED) # CUDA 13 has none, and this CMake's FindCUDAToolkit stops without
endif()
find_package(CUDAToolkit 12.0 QUIET)
set(missing "")
if(NOT CUDAToolkit_FOUND)
  set(missing "the CUDA Toolkit (12.0 or later) was not found")
elseif(NOT TARGET CUDA::cublas)
  set(missing "the CUDA Toolkit in ${CUDAToolkit_LIBRARY_ROOT} has no cuBLAS")
else()
  if(NOT DEFINED ENV{CUDACXX} AND NOT CMAKE_CUDA_COMPILER)
    set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE})
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(missing "nvcc does not work here (${CMAKE_BINARY_DIR}/CMakeFiles has its messages)")
  endif()
endif()

if(missing AND CRS_CUDA STREQUAL "ON")
  message(FATAL_ERROR "CRS_CUDA=ON, but ${missing}. Set CUDAToolkit_ROOT, or build for the CPU with -DCRS_CUDA=OFF.")
elseif(missing)
  message(STATUS "CUDA backend: left out, since ${missing}")
  set(CRS_CUDA OFF)
  return()
endif()

# Every usual architecture that this toolkit knows, and PTX for later ones. Set CMAKE_CUDA_ARCHITECTURES=native to build for
# the GPU at hand alone.
if(NOT CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real)
  if(CUDAToolkit_VERSION VERSION_LESS 12.8)
    list(APPEND CMAKE_CUDA_ARCHITECTURES 90)
  else()
    list(APPEND CMAKE_CUDA_ARCHITECTURES 90-real 100-real 120)
  endif()
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
enable_language(CUDA)
message(STATUS "CUDA backend: CUDA ${CUDAToolkit_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")

# Programs find cuBLAS and the runtime where they were linked from: a toolkit need not be in the loader's path.
list(APPEND CMAKE_BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR})
list(APPEND CMAKE_INSTALL_RPATH ${CUDAToolkit_LIBRARY_DIR})
