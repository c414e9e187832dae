/* Which variant of a recurrent layer runs. */
#include "variant.cuh"

#include <stdio.h>

static const recurrent_slots &slots_for(const crs_device *device, const crs_recurrent *a,
                                        const recurrent_variants &variants) {
    const bool persistent =
        device->variant != recurrent_variant::steps && variants.persistent && a->H <= PERSISTENT_UNITS;
    return persistent ? *variants.persistent : *variants.steps;
}

static crs_status check_forced(const crs_device *device, const crs_recurrent *a, const recurrent_variants &variants) {
    if (device->variant != recurrent_variant::persistent)
        return CRS_OK;
    if (!variants.persistent)
        snprintf(device->explanation, sizeof device->explanation,
                 "lstm=persistent has no GRU that resets before the product; use lstm=steps or auto");
    else if (a->H > PERSISTENT_UNITS)
        snprintf(device->explanation, sizeof device->explanation,
                 "lstm=persistent holds at most %d units, this layer has %lld; use lstm=steps or auto",
                 PERSISTENT_UNITS, (long long)a->H);
    else
        return CRS_OK;
    return CRS_ERR_UNSUPPORTED;
}

size_t cuda_variant_reserve(const crs_device *device, const crs_recurrent *a, const recurrent_variants &variants) {
    return slots_for(device, a, variants).reserve(a);
}

crs_status cuda_variant_forward(crs_device *device, const crs_recurrent *a, const recurrent_variants &variants) {
    CRS_TRY(check_forced(device, a, variants));
    return slots_for(device, a, variants).forward(device, a);
}

crs_status cuda_variant_backward(crs_device *device, const crs_recurrent *a, const recurrent_variants &variants) {
    CRS_TRY(check_forced(device, a, variants));
    return slots_for(device, a, variants).backward(device, a);
}
