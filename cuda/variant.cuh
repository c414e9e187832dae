/* The variants of the recurrent layers, and which of them runs: "steps" queues every step on its own, for any number of
 * units; "persistent" runs all steps in one kernel, for few of them. */
#ifndef CRS_CUDA_VARIANT_CUH
#define CRS_CUDA_VARIANT_CUH

#include "cuda.cuh"

/* Units that a persistent kernel holds at most. */
enum { PERSISTENT_UNITS = 64 };

/* The slots of ops.h as one variant of a layer has them. */
struct recurrent_slots {
    size_t (*reserve)(const crs_recurrent *a);
    crs_status (*forward)(crs_device *device, const crs_recurrent *a);
    crs_status (*backward)(crs_device *device, const crs_recurrent *a);
};

struct recurrent_variants {
    const recurrent_slots *steps;
    const recurrent_slots *persistent; /* NULL: the layer has no variants, and steps runs whatever is forced */
};

extern const recurrent_slots cuda_lstm_persistent, cuda_gru_persistent, cuda_rnn_persistent;

/* The slots of ops.h: those of the variant that the device was opened with, or where it may choose of the persistent
 * one if that holds the layer. A forced variant is never replaced: where it does not hold the layer, forward and
 * backward return CRS_ERR_UNSUPPORTED. */
size_t cuda_variant_reserve(const crs_device *device, const crs_recurrent *a, const recurrent_variants &variants);
crs_status cuda_variant_forward(crs_device *device, const crs_recurrent *a, const recurrent_variants &variants);
crs_status cuda_variant_backward(crs_device *device, const crs_recurrent *a, const recurrent_variants &variants);

#endif
