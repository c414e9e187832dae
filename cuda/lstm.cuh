/* The variants of the LSTM, each with the slots of ops.h: which one runs is decided in lstm.cu. */
#ifndef CRS_CUDA_LSTM_CUH
#define CRS_CUDA_LSTM_CUH

#include "recurrent.cuh"

/* Every step is a product and a kernel: lstm_steps.cu. */
size_t cuda_lstm_steps_reserve(const crs_recurrent *a);
crs_status cuda_lstm_steps_forward(crs_device *device, const crs_recurrent *a);
crs_status cuda_lstm_steps_backward(crs_device *device, const crs_recurrent *a);

/* All steps in one kernel, for a->H of at most LSTM_PERSISTENT_UNITS: lstm_persistent.cu. */
enum { LSTM_PERSISTENT_UNITS = 64 };
size_t cuda_lstm_persistent_reserve(const crs_recurrent *a);
crs_status cuda_lstm_persistent_forward(crs_device *device, const crs_recurrent *a);
crs_status cuda_lstm_persistent_backward(crs_device *device, const crs_recurrent *a);

#endif
