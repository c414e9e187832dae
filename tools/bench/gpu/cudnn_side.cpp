// cuDNN's side: cudnnRNNForward, cudnnRNNBackwardData_v8 and cudnnRNNBackwardWeights_v8 on a whole stack of layers, in
// every algorithm and layout. Gates come in the order of carousel/ops.h: i f g o, and r z n. Initial states are zeros,
// and no gradient of the last ones comes in.
#include "cudnn_side.hpp"

#include "cudnn_memory.hpp"

#include <algorithm>
#include <cstring>

namespace {

const struct {
    const char *name;
    cudnnRNNAlgo_t algorithm;
} algorithms[] = {{"standard", CUDNN_RNN_ALGO_STANDARD},
                  {"persist static", CUDNN_RNN_ALGO_PERSIST_STATIC},
                  {"persist static small h", CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H},
                  {"persist dynamic", CUDNN_RNN_ALGO_PERSIST_DYNAMIC}};

cudnnRNNAlgo_t algorithm_of(const CudnnWay &way) {
    for (const auto &one : algorithms)
        if (strcmp(one.name, way.algorithm) == 0)
            return one.algorithm;
    throw std::runtime_error(std::string("cuDNN has no algorithm '") + way.algorithm + "'");
}

cudnnRNNMode_t mode_of(Cell cell) {
    return cell == Cell::lstm ? CUDNN_LSTM : cell == Cell::gru ? CUDNN_GRU : CUDNN_RNN_TANH;
}

// ---- packed rows ----

// Rows fall in length: those that live at a step are the first ones.
std::vector<float> pack(const Numbers &numbers, int64_t width, const std::vector<float> &padded) {
    std::vector<float> packed;
    for (int64_t t = 0; t < numbers.shape.T; t++)
        for (int64_t row = 0; row < numbers.shape.B && t < numbers.len[static_cast<size_t>(row)]; row++) {
            const auto from = padded.begin() + (t * numbers.shape.B + row) * width;
            packed.insert(packed.end(), from, from + width);
        }
    return packed;
}

std::vector<float> unpack(const Numbers &numbers, int64_t width, const std::vector<float> &packed) {
    std::vector<float> padded(static_cast<size_t>(numbers.shape.T * numbers.shape.B * width));
    auto from = packed.begin();
    for (int64_t t = 0; t < numbers.shape.T; t++)
        for (int64_t row = 0; row < numbers.shape.B && t < numbers.len[static_cast<size_t>(row)]; row++, from += width)
            std::copy(from, from + width, padded.begin() + (t * numbers.shape.B + row) * width);
    return padded;
}

// ---- a stack of layers ----

class CudnnSide : public Side {
  public:
    CudnnSide(cudnnHandle_t with, cudaStream_t on, const CudnnWay &way, const Numbers &all, crs_precision precision,
              cudnnRNNBiasMode_t biases);

    void forward() override;
    void backward_data() override;
    void backward_weights() override;
    Results results() override;

  private:
    DeviceBytes inputs(int64_t width, const std::vector<float> &values) const {
        return DeviceBytes(stream, packed ? pack(numbers, width, values) : values);
    }
    std::vector<float> outputs(int64_t width, const DeviceBytes &from) const {
        std::vector<float> values = packed ? unpack(numbers, width, from.floats()) : from.floats();
        clear_dead_steps(numbers, width, values);
        return values;
    }
    void describe(const CudnnWay &way, crs_precision precision);
    void describe_data(const DataDescriptor &data, int64_t width);
    void describe_state();
    template <class Visit> void visit_weights(const DeviceBytes &space, Visit visit);
    void place_weights();

    cudnnHandle_t handle;
    cudaStream_t stream;
    const Numbers &numbers;
    const Shape shape;
    const bool packed;
    const cudnnRNNBiasMode_t bias_mode;
    RnnDescriptor rnn;
    DropoutDescriptor dropout;
    DataDescriptor x_data, y_data;
    TensorDescriptor state;
    DeviceBytes len, x, dy, y, dx;
    std::vector<DeviceBytes> late; // weights, their gradients, workspace, reserve: sizes that cuDNN tells
};

enum { WEIGHTS, GRADIENTS, WORKSPACE, RESERVE };

CudnnSide::CudnnSide(cudnnHandle_t with, cudaStream_t on, const CudnnWay &way, const Numbers &all,
                     crs_precision precision, cudnnRNNBiasMode_t biases)
    : handle(with), stream(on), numbers(all), shape(all.shape), packed(way.packed), bias_mode(biases), len(on, all.len),
      x(inputs(shape.H, all.x)), dy(inputs(shape.width(), all.dy)), y(on, dy.bytes()), dx(on, x.bytes()) {
    name = std::string("cuDNN ") + way.algorithm + (packed ? ", packed" : ", padded");
    describe(way, precision);
    describe_data(x_data, shape.H);
    describe_data(y_data, shape.width());
    describe_state();
    size_t weights = 0, workspace = 0, reserve = 0;
    CUDNN_CALL(cudnnGetRNNWeightSpaceSize, handle, rnn, &weights);
    CUDNN_CALL(cudnnGetRNNTempSpaceSizes, handle, rnn, CUDNN_FWD_MODE_TRAINING, x_data, &workspace, &reserve);
    for (const size_t size : {weights, weights, workspace, reserve})
        late.emplace_back(stream, size);
    place_weights();
}

void CudnnSide::describe(const CudnnWay &way, crs_precision precision) {
    CUDNN_CALL(cudnnSetDropoutDescriptor, dropout, handle, 0, nullptr, 0, 0);
    CUDNN_CALL(cudnnSetRNNDescriptor_v8, rnn, algorithm_of(way), mode_of(shape.cell), bias_mode,
               shape.directions > 1 ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, CUDNN_DATA_FLOAT,
               CUDNN_DATA_FLOAT, precision == CRS_TF32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH,
               static_cast<int32_t>(shape.H), static_cast<int32_t>(shape.H), static_cast<int32_t>(shape.H),
               static_cast<int32_t>(shape.layers), dropout,
               packed ? CUDNN_RNN_PADDED_IO_DISABLED : CUDNN_RNN_PADDED_IO_ENABLED);
    if (algorithm_of(way) == CUDNN_RNN_ALGO_PERSIST_DYNAMIC)
        CUDNN_CALL(cudnnBuildRNNDynamic, handle, rnn, static_cast<int>(shape.B));
}

void CudnnSide::describe_data(const DataDescriptor &data, int64_t width) {
    float padding = 0;
    CUDNN_CALL(cudnnSetRNNDataDescriptor, data, CUDNN_DATA_FLOAT,
               packed ? CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED : CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED,
               static_cast<int>(shape.T), static_cast<int>(shape.B), static_cast<int>(width), numbers.len.data(),
               &padding);
}

void CudnnSide::describe_state() {
    const int sizes[] = {static_cast<int>(shape.stacked()), static_cast<int>(shape.B), static_cast<int>(shape.H)};
    const int strides[] = {sizes[1] * sizes[2], sizes[2], 1};
    CUDNN_CALL(cudnnSetTensorNdDescriptor, state, CUDNN_DATA_FLOAT, 3, sizes, strides);
}

// ---- weights ----

// A part of the weight space: a gate's matrix or bias.
struct Part {
    size_t layer; // of one direction each
    int64_t gate;
    bool recurrent; // of R or b_hh; else of W or b
    float *matrix, *bias;
    size_t size; // of the matrix
};

// cuDNN says where each matrix lies, and as what; it must be what Carousel's is.
template <class Visit> void CudnnSide::visit_weights(const DeviceBytes &space, Visit visit) {
    const TensorDescriptor matrix_form, bias_form;
    for (size_t layer = 0; layer < shape.stacked(); layer++)
        for (int64_t part = 0; part < 2 * shape.gates(); part++) {
            const bool recurrent = part >= shape.gates();
            const int64_t columns = recurrent ? shape.H : shape.inputs(static_cast<int64_t>(layer) / shape.directions);
            void *matrix = nullptr, *bias = nullptr;
            CUDNN_CALL(cudnnGetRNNWeightParams, handle, rnn, static_cast<int32_t>(layer), space.bytes(), space.get(),
                       static_cast<int32_t>(part), matrix_form, &matrix, bias_form, &bias);
            cudnnDataType_t type;
            int count = 0, sizes[3] = {}, strides[3] = {};
            CUDNN_CALL(cudnnGetTensorNdDescriptor, matrix_form, 3, &type, &count, sizes, strides);
            if (!matrix || count != 3 || sizes[0] != 1 || sizes[1] != shape.H || sizes[2] != columns ||
                strides[1] != columns || strides[2] != 1)
                throw std::runtime_error("cuDNN's weights do not lie as expected");
            visit(Part{layer, part % shape.gates(), recurrent, static_cast<float *>(matrix), static_cast<float *>(bias),
                       static_cast<size_t>(shape.H * columns)});
        }
}

// Where a second bias is only there since cuDNN wants one, it is zeros.
void CudnnSide::place_weights() {
    const DeviceBytes &space = late[WEIGHTS];
    space.fill(0);
    visit_weights(space, [&](const Part &part) {
        const Weights &weights = numbers.weights[part.layer];
        const std::vector<float> &matrix = part.recurrent ? weights.R : weights.W;
        const std::vector<float> &bias = part.recurrent ? weights.b_hh : weights.b;
        const size_t gate = static_cast<size_t>(part.gate), H = static_cast<size_t>(shape.H);
        space.upload(part.matrix, matrix.data() + gate * part.size, part.size * sizeof(float));
        if (!bias.empty() && !part.bias)
            throw std::runtime_error("cuDNN has no place for a bias");
        if (!bias.empty())
            space.upload(part.bias, bias.data() + gate * H, H * sizeof(float));
    });
}

// ---- calls ----

void CudnnSide::forward() {
    const bool has_cell_state = shape.cell == Cell::lstm;
    CUDNN_CALL(cudnnRNNForward, handle, rnn, CUDNN_FWD_MODE_TRAINING, len.get<int32_t>(), x_data, x.get(), y_data,
               y.get(), state, nullptr, nullptr, has_cell_state ? static_cast<cudnnTensorDescriptor_t>(state) : nullptr,
               nullptr, nullptr, late[WEIGHTS].bytes(), late[WEIGHTS].get(), late[WORKSPACE].bytes(),
               late[WORKSPACE].get(), late[RESERVE].bytes(), late[RESERVE].get());
}

void CudnnSide::backward_data() {
    const bool has_cell_state = shape.cell == Cell::lstm;
    CUDNN_CALL(cudnnRNNBackwardData_v8, handle, rnn, len.get<int32_t>(), y_data, y.get(), dy.get(), x_data, dx.get(),
               state, nullptr, nullptr, nullptr, has_cell_state ? static_cast<cudnnTensorDescriptor_t>(state) : nullptr,
               nullptr, nullptr, nullptr, late[WEIGHTS].bytes(), late[WEIGHTS].get(), late[WORKSPACE].bytes(),
               late[WORKSPACE].get(), late[RESERVE].bytes(), late[RESERVE].get());
}

void CudnnSide::backward_weights() {
    CUDNN_CALL(cudnnRNNBackwardWeights_v8, handle, rnn, CUDNN_WGRAD_MODE_ADD, len.get<int32_t>(), x_data, x.get(),
               state, nullptr, y_data, y.get(), late[GRADIENTS].bytes(), late[GRADIENTS].get(), late[WORKSPACE].bytes(),
               late[WORKSPACE].get(), late[RESERVE].bytes(), late[RESERVE].get());
}

Results CudnnSide::results() {
    constexpr int NAN_BYTES = 0xFF;
    y.fill(NAN_BYTES);
    dx.fill(NAN_BYTES);
    late[GRADIENTS].fill(0);
    forward();
    backward_data();
    backward_weights();
    Results results;
    results.y = outputs(shape.width(), y);
    results.dx = outputs(shape.H, dx);
    results.gradients.resize(shape.stacked());
    const auto append = [&](std::vector<float> &to, const float *from, size_t count) {
        const std::vector<float> values = late[GRADIENTS].floats(from, count);
        to.insert(to.end(), values.begin(), values.end());
    };
    visit_weights(late[GRADIENTS], [&](const Part &part) {
        Weights &gradients = results.gradients[part.layer];
        append(part.recurrent ? gradients.R : gradients.W, part.matrix, part.size);
        if (!part.recurrent || shape.cell == Cell::gru)
            append(part.recurrent ? gradients.b_hh : gradients.b, part.bias, static_cast<size_t>(shape.H));
    });
    return results;
}

// ---- the library ----

class LinkedCudnn : public Cudnn {
  public:
    explicit LinkedCudnn(cudaStream_t on) : stream(on) {
        CUDNN_CALL(cudnnSetStream, handle, stream);
    }
    std::string version() const override {
        const size_t linked = cudnnGetVersion(); // 91002: 9.10.2
        return std::to_string(linked / 10000) + "." + std::to_string(linked / 100 % 100) + "." +
               std::to_string(linked % 100);
    }
    std::vector<CudnnWay> ways() const override {
        std::vector<CudnnWay> all;
        for (const auto &one : algorithms)
            for (const bool packed : {true, false})
                all.push_back({one.name, packed});
        return all;
    }
    std::unique_ptr<Side> make_side(const CudnnWay &way, const Numbers &numbers, crs_precision precision) override {
        if (numbers.shape.cell == Cell::gru)
            return tried(way, numbers, precision, CUDNN_RNN_DOUBLE_BIAS);
        try {
            return tried(way, numbers, precision, CUDNN_RNN_SINGLE_INP_BIAS);
        } catch (const std::runtime_error &) { // some algorithms might want both
            return tried(way, numbers, precision, CUDNN_RNN_DOUBLE_BIAS);
        }
    }

  private:
    std::unique_ptr<Side> tried(const CudnnWay &way, const Numbers &numbers, crs_precision precision,
                                cudnnRNNBiasMode_t biases) {
        std::unique_ptr<Side> side = std::make_unique<CudnnSide>(handle, stream, way, numbers, precision, biases);
        side->forward();
        side->backward_data();
        side->backward_weights();
        check_cuda(cudaStreamSynchronize(stream), "cuDNN's kernels");
        return side;
    }

    Handle handle;
    cudaStream_t stream;
};

} // namespace

std::unique_ptr<Cudnn> open_cudnn(CUstream_st *stream) {
    return std::make_unique<LinkedCudnn>(stream);
}
