/* The slots of the LSTM, and which variant runs them.
 * Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers, Schmidhuber and Cummins, 2000. */
#include "lstm.cuh"

#include <stdio.h>

/* A forced variant is never replaced by another one. */
static lstm_variant variant_for(const crs_device *device, const crs_recurrent *a) {
    if (device->lstm != lstm_variant::automatic)
        return device->lstm;
    return a->H <= LSTM_PERSISTENT_UNITS ? lstm_variant::persistent : lstm_variant::steps;
}

static crs_status check_units(const crs_device *device, const crs_recurrent *a) {
    if (variant_for(device, a) != lstm_variant::persistent || a->H <= LSTM_PERSISTENT_UNITS)
        return CRS_OK;
    snprintf(device->explanation, sizeof device->explanation,
             "lstm=persistent holds at most %d units, this layer has %lld; use lstm=steps or auto",
             LSTM_PERSISTENT_UNITS, (long long)a->H);
    return CRS_ERR_UNSUPPORTED;
}

size_t cuda_lstm_reserve(const crs_device *device, const crs_recurrent *a) {
    return variant_for(device, a) == lstm_variant::persistent ? cuda_lstm_persistent_reserve(a)
                                                              : cuda_lstm_steps_reserve(a);
}

crs_status cuda_lstm_forward(crs_device *device, const crs_recurrent *a) {
    CRS_TRY(check_units(device, a));
    return variant_for(device, a) == lstm_variant::persistent ? cuda_lstm_persistent_forward(device, a)
                                                              : cuda_lstm_steps_forward(device, a);
}

crs_status cuda_lstm_backward(crs_device *device, const crs_recurrent *a) {
    CRS_TRY(check_units(device, a));
    return variant_for(device, a) == lstm_variant::persistent ? cuda_lstm_persistent_backward(device, a)
                                                              : cuda_lstm_steps_backward(device, a);
}
