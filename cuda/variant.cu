/* Which variant of a recurrent layer runs. */
#include "variant.cuh"

#include <stdio.h>

/* Steps of a row are counted in an int. */
static bool persistent_holds(const crs_recurrent *a) {
    return a->H <= PERSISTENT_UNITS && a->steps.T <= INT32_MAX;
}

static const recurrent_slots &slots_for(const crs_device *device, const crs_recurrent *a,
                                        const recurrent_variants &variants) {
    const bool persistent = device->variant != recurrent_variant::steps && variants.persistent && persistent_holds(a);
    return persistent ? *variants.persistent : *variants.steps;
}

static crs_status check_forced(const crs_device *device, const crs_recurrent *a, const recurrent_variants &variants) {
    if (device->variant != recurrent_variant::persistent || !variants.persistent || persistent_holds(a))
        return CRS_OK;
    snprintf(
        device->explanation, sizeof device->explanation,
        "lstm=persistent holds at most %d units and %d steps, this layer has %lld and %lld; use lstm=steps or auto",
        PERSISTENT_UNITS, INT32_MAX, (long long)a->H, (long long)a->steps.T);
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
