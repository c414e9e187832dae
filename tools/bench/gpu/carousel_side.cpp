// Carousel's side. Real numbers are the backend's, float or double: in double on the CPU it is the reference.
#include "carousel_side.hpp"

// ---- the backend ----

Backend::Backend(const std::string &spec, crs_precision precision, const std::string &lstm) {
    crs_device_options options = {};
    options.lstm = lstm.c_str();
    options.precision = precision;
    crs_error error;
    if (crs_backend_open(spec.c_str(), &options, &backend, &error) != CRS_OK)
        throw std::runtime_error(error.what);
}

Backend::~Backend() {
    crs_backend_close(backend);
}

void Backend::check(crs_status status, const char *what) const {
    if (status != CRS_OK)
        throw std::runtime_error(std::string("Carousel's ") + what + ": " + crs_backend_failure(backend, status));
}

// ---- device memory ----

// Blocks of real numbers, freed all at once.
class Reals {
  public:
    explicit Reals(const Backend &backend) : on(backend) {}
    ~Reals() {
        for (void *block : blocks)
            on.ops().free(on.device(), block);
    }
    void *bytes(size_t count) {
        void *block = nullptr;
        on.check(on.ops().alloc(on.device(), count > 0 ? count : 1, &block), "memory");
        blocks.push_back(block);
        return block;
    }
    void *reals(size_t count) {
        return bytes(count * on.ops().real_size);
    }
    void *reals(const std::vector<float> &values) {
        if (on.ops().real_size == sizeof(float))
            return filled(values.data(), values.size() * sizeof(float));
        const std::vector<double> wide(values.begin(), values.end());
        return filled(wide.data(), wide.size() * sizeof(double));
    }
    void *filled(const void *from, size_t count) {
        void *block = bytes(count);
        on.check(on.ops().upload(on.device(), block, from, count), "upload");
        return block;
    }
    void fill(void *block, int byte, size_t count) const {
        on.check(on.ops().fill(on.device(), block, byte, count * on.ops().real_size), "fill");
    }
    std::vector<float> floats(const void *block, size_t count) const {
        std::vector<float> values(count);
        if (on.ops().real_size == sizeof(float)) {
            on.check(on.ops().download(on.device(), values.data(), block, count * sizeof(float)), "download");
            return values;
        }
        std::vector<double> wide(count);
        on.check(on.ops().download(on.device(), wide.data(), block, count * sizeof(double)), "download");
        for (size_t i = 0; i < count; i++)
            values[i] = static_cast<float>(wide[i]);
        return values;
    }

  private:
    const Backend &on;
    std::vector<void *> blocks;
};

// ---- the stack ----

namespace {

// The slots of a cell.
struct Slots {
    decltype(crs_ops::lstm_reserve) reserve;
    decltype(crs_ops::lstm_forward) forward;
    decltype(crs_ops::lstm_backward) backward;
};

Slots slots_of(const crs_ops &ops, Cell cell) {
    switch (cell) {
    case Cell::lstm:
        return {ops.lstm_reserve, ops.lstm_forward, ops.lstm_backward};
    case Cell::gru:
        return {ops.gru_reserve, ops.gru_forward, ops.gru_backward};
    default:
        return {ops.rnn_reserve, ops.rnn_forward, ops.rnn_backward};
    }
}

class CarouselSide : public Side {
  public:
    CarouselSide(const Backend &backend, const Numbers &all);

    void forward() override {
        for (const crs_recurrent &a : calls)
            on.check(slots.forward(on.device(), &a), "forward");
    }
    void backward_data() override;
    void backward_weights() override {}
    Results results() override;

  private:
    size_t elements(int64_t features) const {
        return static_cast<size_t>(shape.T * shape.B * features);
    }
    crs_recurrent call_of(int64_t layer, int64_t direction, const void *x, void *y, const void *dy, void *dx);

    const Backend &on;
    const Numbers &numbers;
    const Shape shape;
    const Slots slots;
    Reals memory;
    crs_steps steps = {};
    void *state = nullptr;
    void *dx_reverse = nullptr; // [T,B,D*H] of the second direction, added to the first's
    std::vector<void *> ys;     // [layers], each [T,B,D*H]
    std::vector<void *> dxs;    // [layers], each [T,B,inputs]
    std::vector<crs_recurrent> calls;
};

CarouselSide::CarouselSide(const Backend &backend, const Numbers &all)
    : on(backend), numbers(all), shape(all.shape), slots(slots_of(backend.ops(), all.shape.cell)), memory(backend) {
    name = "Carousel";
    split = false;
    crs_step_state first = {};
    first.step = 1;
    state = memory.filled(&first, sizeof first);
    steps.T = shape.T;
    steps.B = shape.B;
    if (shape.ragged)
        steps.len =
            static_cast<int32_t *>(memory.filled(numbers.len.data(), numbers.len.size() * sizeof numbers.len[0]));
    dx_reverse = shape.directions > 1 ? memory.reals(elements(shape.width())) : nullptr;
    const void *dy = memory.reals(numbers.dy);
    for (int64_t layer = 0; layer < shape.layers; layer++) {
        ys.push_back(memory.reals(elements(shape.width())));
        dxs.push_back(memory.reals(elements(shape.inputs(layer))));
    }
    const void *x = memory.reals(numbers.x);
    for (int64_t layer = 0; layer < shape.layers; layer++) {
        const size_t at = static_cast<size_t>(layer);
        const void *from_above = layer + 1 < shape.layers ? dxs[at + 1] : dy;
        for (int64_t direction = 0; direction < shape.directions; direction++)
            calls.push_back(call_of(layer, direction, x, ys[at], from_above, direction > 0 ? dx_reverse : dxs[at]));
        x = ys[at];
    }
}

// Of [T,B,D*H], a direction has H of each row.
crs_recurrent CarouselSide::call_of(int64_t layer, int64_t direction, const void *x, void *y, const void *dy,
                                    void *dx) {
    const Weights &weights = numbers.weights[static_cast<size_t>(layer * shape.directions + direction)];
    const size_t offset = static_cast<size_t>(direction * shape.H) * on.ops().real_size;
    crs_recurrent a = {};
    a.steps = steps;
    a.I = shape.inputs(layer);
    a.H = shape.H;
    a.reverse = direction > 0;
    a.activation = CRS_TANH;
    a.reset_after = 1;
    a.training = 1;
    a.state = static_cast<const crs_step_state *>(state);
    a.ldy = shape.width();
    a.x = x;
    a.W = memory.reals(weights.W);
    a.R = memory.reals(weights.R);
    a.b = memory.reals(weights.b);
    a.y = static_cast<char *>(y) + offset;
    a.dy = static_cast<const char *>(dy) + offset;
    a.dx = dx;
    a.dW = memory.reals(weights.W.size());
    a.dR = memory.reals(weights.R.size());
    a.db = memory.reals(weights.b.size());
    if (shape.cell == Cell::gru) {
        a.b_hh = memory.reals(weights.b_hh);
        a.db_hh = memory.reals(weights.b_hh.size());
    }
    a.reserve = memory.bytes(slots.reserve(on.device(), &a));
    return a;
}

void CarouselSide::backward_data() {
    for (size_t i = calls.size(); i-- > 0;) {
        on.check(slots.backward(on.device(), &calls[i]), "backward");
        const int64_t layer = static_cast<int64_t>(i) / shape.directions;
        if (shape.directions == 1 || calls[i].reverse)
            continue;
        crs_add sum = {};
        sum.n = static_cast<int64_t>(elements(shape.inputs(layer)));
        sum.scale = 1;
        sum.x = dx_reverse;
        sum.y = dxs[static_cast<size_t>(layer)];
        on.check(on.ops().add(on.device(), &sum), "add");
    }
}

Results CarouselSide::results() {
    constexpr int NAN_BYTES = 0xFF;
    for (size_t layer = 0; layer < ys.size(); layer++) {
        memory.fill(ys[layer], NAN_BYTES, elements(shape.width()));
        memory.fill(dxs[layer], NAN_BYTES, elements(shape.inputs(static_cast<int64_t>(layer))));
    }
    for (size_t i = 0; i < calls.size(); i++) {
        const Weights &weights = numbers.weights[i];
        memory.fill(calls[i].dW, 0, weights.W.size());
        memory.fill(calls[i].dR, 0, weights.R.size());
        memory.fill(calls[i].db, 0, weights.b.size());
        if (calls[i].db_hh)
            memory.fill(calls[i].db_hh, 0, weights.b_hh.size());
    }
    forward();
    backward_data();
    Results results;
    results.y = memory.floats(ys.back(), elements(shape.width()));
    results.dx = memory.floats(dxs[0], elements(shape.inputs(0)));
    clear_dead_steps(numbers, shape.width(), results.y);
    clear_dead_steps(numbers, shape.inputs(0), results.dx);
    for (size_t i = 0; i < calls.size(); i++) {
        const Weights &weights = numbers.weights[i];
        Weights gradients;
        gradients.W = memory.floats(calls[i].dW, weights.W.size());
        gradients.R = memory.floats(calls[i].dR, weights.R.size());
        gradients.b = memory.floats(calls[i].db, weights.b.size());
        if (calls[i].db_hh)
            gradients.b_hh = memory.floats(calls[i].db_hh, weights.b_hh.size());
        results.gradients.push_back(std::move(gradients));
    }
    return results;
}

} // namespace

std::unique_ptr<Side> make_carousel_side(const Backend &backend, const Numbers &numbers) {
    return std::make_unique<CarouselSide>(backend, numbers);
}
