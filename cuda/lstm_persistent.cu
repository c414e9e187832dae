/* LSTM, variant "persistent": all steps of a sequence in one kernel, one block for each row of the batch. The recurrent
 * weights stay in registers for the whole sequence, the state goes from step to step through shared memory behind one
 * barrier, and a block runs its own live steps only. Products over all steps (inputs, weight gradients) are
 * recurrent.cu's, and precision TF32 is theirs alone: in here everything is single precision.
 *
 * Four threads serve a unit, one for each gate. H is padded to UNITS: a unit that is not there has no weights and no
 * inputs, which makes its state and its gradients zeros. */
#include "lstm_persistent.cuh"

/* ---- forward ---- */

/* Dead steps: every lane of a unit writes a quarter of them. h_masked is only there to be finite where the gradients of
 * the gates are zero. */
static __device__ __forceinline__ void fill_dead(const recurrence &r, const persistent_thread &thread, int64_t from,
                                                 int64_t n, float h) {
    for (int64_t t = from + thread.gate; thread.exists && t < from + n; t += 4) {
        ((float *)r.a.y)[thread.at(r, t) * r.a.ldy + thread.unit] = h;
        if (r.h_masked)
            r.h_masked[thread.at(r, t) * r.a.H + thread.unit] = 0;
    }
}

/* Thread (unit, gate) holds the weights from a quarter of the units, which it is the gate's turn to read from shared
 * memory, to all gates of its unit. */
template <int UNITS> struct forward_weights {
    float weights[4][UNITS / 4];

    __device__ __forceinline__ forward_weights(const recurrence &r, const persistent_thread &thread) {
        const int64_t H = r.a.H;
#pragma unroll
        for (int g = 0; g < 4; g++)
#pragma unroll
            for (int i = 0; i < UNITS / 4; i++) {
                const int from = i / 4 * 16 + thread.gate * 4 + i % 4;
                weights[g][i] =
                    thread.exists && from < H ? ((const float *)r.a.R)[(g * H + thread.unit) * H + from] : 0;
            }
    }
    /* R h for the thread's gate. h: UNITS floats in shared memory. */
    __device__ __forceinline__ float product(const float4 *h, int gate) const {
        float sums[4] = {};
#pragma unroll
        for (int i = 0; i < UNITS / 16; i++) {
            const float4 from = h[i * 4 + gate];
#pragma unroll
            for (int g = 0; g < 4; g++) {
                sums[g] += weights[g][i * 4] * from.x;
                sums[g] += weights[g][i * 4 + 1] * from.y;
                sums[g] += weights[g][i * 4 + 2] * from.z;
                sums[g] += weights[g][i * 4 + 3] * from.w;
            }
        }
        return sum_lanes(sums, gate, 1);
    }
};

/* At most 128 registers. */
template <int UNITS> static __global__ void __launch_bounds__(4 * UNITS) persistent_forward(recurrence r) {
    CUDA_SHARED_ARRAY(float4, h_shared,
                      UNITS / 2); /* UNITS floats, twice: h before a step is read, h after it written */
    const persistent_thread thread(r);
    const int unit = thread.unit, gate = thread.gate;
    const int64_t H = r.a.H, B = r.a.steps.B, n = thread.n;
    const bool training = r.a.training != 0;

    const forward_weights<UNITS> R(r, thread);
    const float bias = thread.exists ? ((const float *)r.a.b)[gate * H + unit] : 0;

    /* Inputs are fetched two steps before they are needed. */
    float *z = r.gates + thread.at(r, thread.first) * 4 * H + gate * H + unit;
    const int64_t z_stride = thread.direction * B * 4 * H;
    const float *z_ahead = z;
    float input = thread.exists && n > 0 ? *z_ahead : 0;
    z_ahead += z_stride;
    float next_input = thread.exists && n > 1 ? *z_ahead : 0;

    /* Of a unit's lanes the first keeps h in shared memory, the others write h, c and the masked h before the step. */
    float *out = (float *)r.a.y;
    int64_t width = r.a.ldy;
    bool writes = gate == 1;
    if ((gate == 2 && training) || (gate == 3 && r.h_masked)) {
        out = gate == 2 ? r.cells : r.h_masked;
        width = H;
        writes = true;
    }
    writes = writes && thread.exists;
    out += thread.at(r, thread.first) * width + unit;
    const int64_t out_stride = thread.direction * B * width;

    float *const h_write = reinterpret_cast<float *>(h_shared) + unit;
    float c = 0, h = 0, h_masked = 0;
    if (gate == 0)
        h_write[0] = 0;
    __syncthreads();
    for (int64_t k = 0; k < n; k++) {
        z_ahead += z_stride;
        const float far_input = thread.exists && k + 2 < n ? *z_ahead : 0;
        const float state = R.product(h_shared + (k & 1) * (UNITS / 4), gate);
        const float activated = activate(state + (input + bias), gate == 2);
        const float4 ifgo = gates_of_unit(activated);
        c = ifgo.y * c + ifgo.x * ifgo.z;
        h = ifgo.w * activate(c, true);
        if (writes)
            *out = gate == 1 ? h : gate == 2 ? c : h_masked;
        h_masked = h * thread.recurrent_factor;
        if (gate == 0)
            h_write[(~k & 1) * UNITS] = h_masked;
        if (training && thread.exists)
            *z = activated;
        z += z_stride;
        out += out_stride;
        input = next_input;
        next_input = far_input;
        __syncthreads();
    }
    fill_dead(r, thread, thread.before, thread.before_n, 0);
    fill_dead(r, thread, thread.behind, thread.behind_n, h);
    if (r.a.h_last && thread.exists && gate == 0)
        ((float *)r.a.h_last)[thread.row * r.a.ldy + unit] = h;
}

/* ---- backward ---- */

/* What a step needs from memory; fetched two steps before. */
struct persistent_inputs {
    float gate, c_before, dy;
};

/* The gradient that reaches the last live state from behind it: from the final state and from the dead steps, which
 * have copied it. */
static __device__ __forceinline__ float gradient_from_behind(const recurrence &r, const persistent_thread &thread) {
    const float *dy = (const float *)r.a.dy, *dh_last = (const float *)r.a.dh_last;
    float sum = 0;
    for (int64_t t = thread.behind + thread.gate; dy && thread.exists && t < thread.behind + thread.behind_n; t += 4)
        sum += dy[thread.at(r, t) * r.a.ldy + thread.unit];
    sum = sum_unit(sum);
    return dh_last && thread.exists ? sum + dh_last[thread.row * r.a.ldy + thread.unit] : sum;
}

static __device__ __forceinline__ void clear_dead_gates(const recurrence &r, const persistent_thread &thread,
                                                        int64_t from, int64_t n) {
    for (int64_t t = from; thread.exists && t < from + n; t++)
        r.gates[thread.at(r, t) * 4 * r.a.H + thread.gate * r.a.H + thread.unit] = 0;
}

/* For this product the threads are dealt out anew: sixteen serve four units, and each holds the weights to those from
 * all gates of every sixteenth unit. */
template <int UNITS> struct backward_weights {
    float weights[UNITS / 16][4][4];

    __device__ __forceinline__ explicit backward_weights(const recurrence &r) {
        const int64_t H = r.a.H;
        const int lane = (int)threadIdx.x % 16, to = (int)threadIdx.x / 16 * 4;
#pragma unroll
        for (int i = 0; i < UNITS / 16; i++)
#pragma unroll
            for (int g = 0; g < 4; g++)
#pragma unroll
                for (int q = 0; q < 4; q++) {
                    const int from = i * 16 + lane;
                    weights[i][g][q] = from < H && to + q < H ? ((const float *)r.a.R)[(g * H + from) * H + to + q] : 0;
                }
    }
    /* dz R for the thread's unit, in each of its lanes. dz: the gates' gradients of UNITS units in shared memory. */
    __device__ __forceinline__ float product(const float4 *dz) const {
        const int lane = (int)threadIdx.x % 16;
        float sums[4] = {};
#pragma unroll
        for (int i = 0; i < UNITS / 16; i++) {
            const float4 from = dz[i * 16 + lane];
#pragma unroll
            for (int q = 0; q < 4; q++) {
                sums[q] += weights[i][0][q] * from.x;
                sums[q] += weights[i][1][q] * from.y;
                sums[q] += weights[i][2][q] * from.z;
                sums[q] += weights[i][3][q] * from.w;
            }
        }
        return sum_unit(sum_lanes(sums, lane, 4));
    }
};

/* At most 128 registers. */
template <int UNITS> static __global__ void __launch_bounds__(4 * UNITS) persistent_backward(recurrence r) {
    CUDA_SHARED_ARRAY(float4, dz_shared, 2 * UNITS); /* the gates' gradients of each unit, twice: read, and written */
    const persistent_thread thread(r);
    const int unit = thread.unit, gate = thread.gate;
    const int64_t H = r.a.H, B = r.a.steps.B, n = thread.n;

    const backward_weights<UNITS> R(r);
    const int64_t last = thread.at(r, thread.first + (n - 1) * thread.direction);
    const int64_t z_stride = -thread.direction * B * 4 * H, c_stride = -thread.direction * B * H;
    const int64_t dy_stride = -thread.direction * B * r.a.ldy;
    float *z = r.gates + last * 4 * H + gate * H + unit;
    const float *z_ahead = z, *c_ahead = r.cells + last * H + unit;
    const float *dy_ahead = (const float *)(r.a.dy ? r.a.dy : r.a.y) + last * r.a.ldy + unit;
    const bool has_dy = r.a.dy && thread.exists;
    float c = thread.exists && n > 0 ? *c_ahead : 0;
    const auto fetch = [&](int64_t k) {
        persistent_inputs inputs;
        c_ahead += c_stride;
        inputs.gate = thread.exists && k >= 0 ? *z_ahead : 0;
        inputs.c_before = thread.exists && k > 0 ? *c_ahead : 0;
        inputs.dy = has_dy && k >= 0 ? *dy_ahead : 0;
        z_ahead += z_stride;
        dy_ahead += dy_stride;
        return inputs;
    };
    persistent_inputs now = fetch(n - 1), next = fetch(n - 2);
    now.dy += gradient_from_behind(r, thread);

    float *const dz_write = reinterpret_cast<float *>(dz_shared) + threadIdx.x;
    float dc = 0;
    dz_write[0] = 0;
    __syncthreads();
    for (int64_t k = n - 1, turn = 0; k >= 0; k--, turn ^= 1) {
        const persistent_inputs far = fetch(k - 2);
        const float share = R.product(dz_shared + turn * UNITS);
        const float dh = share * thread.recurrent_factor + now.dy;
        const float4 ifgo = gates_of_unit(now.gate);
        const float tanh_c = activate(c, true), d = dc + dh * ifgo.w * (1 - tanh_c * tanh_c);
        const float dgate = gate == 0   ? d * ifgo.z
                            : gate == 1 ? d * now.c_before
                            : gate == 2 ? d * ifgo.x
                                        : dh * tanh_c;
        const float dz = dgate * (gate == 2 ? 1 - now.gate * now.gate : now.gate * (1 - now.gate));
        dc = d * ifgo.y;
        dz_write[(turn ^ 1) * 4 * UNITS] = dz;
        if (thread.exists)
            *z = dz;
        z += z_stride;
        c = now.c_before;
        now = next;
        next = far;
        __syncthreads();
    }
    clear_dead_gates(r, thread, thread.before, thread.before_n);
    clear_dead_gates(r, thread, thread.behind, thread.behind_n);
}

/* ---- the slots ---- */

static constexpr recurrent_kind lstm_kind = {4, 0, true, false};

static crs_status launch_rows(crs_device *device, const recurrence &r, void (*units_16)(recurrence),
                              void (*units_32)(recurrence), void (*units_64)(recurrence)) {
    const int units = r.a.H <= 16 ? 16 : r.a.H <= 32 ? 32 : LSTM_PERSISTENT_UNITS;
    const auto kernel = units == 16 ? units_16 : units == 32 ? units_32 : units_64;
    return cuda_launch(device, kernel, dim3((unsigned)r.a.steps.B), dim3(4 * units), 0, r);
}

size_t cuda_lstm_persistent_reserve(const crs_recurrent *a) {
    recurrence r;
    return cuda_recurrent_lay_out(a, lstm_kind, false, &r);
}

crs_status cuda_lstm_persistent_forward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, lstm_kind, false, &r);
    CRS_TRY(cuda_recurrent_inputs(device, r));
    return launch_rows(device, r, persistent_forward<16>, persistent_forward<32>, persistent_forward<64>);
}

crs_status cuda_lstm_persistent_backward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, lstm_kind, false, &r);
    CRS_TRY(launch_rows(device, r, persistent_backward<16>, persistent_backward<32>, persistent_backward<64>));
    return cuda_recurrent_gradients(device, r);
}
