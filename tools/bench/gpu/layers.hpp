// What the files of bench_cudnn share: a case, its numbers, and the interface that both sides fill. It times stacks of
// recurrent layers alone; whole networks are networks.py's.
//
// Letters and layouts are those of carousel/ops.h; D directions. Inputs are as many as units, so that every layer of
// one direction is alike. The rows of ragged cases fall in length, as cuDNN's packed layout wants them.
#ifndef CAROUSEL_BENCH_LAYERS_HPP
#define CAROUSEL_BENCH_LAYERS_HPP

#include <carousel/carousel.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

enum class Cell { lstm, gru, rnn }; // the GRU resets after the product, the RNN has a tanh: all that cuDNN has too

struct Shape {
    Cell cell = Cell::lstm;
    int64_t layers = 1, directions = 1, H = 64, B = 128, T = 128;
    bool ragged = false;

    int64_t gates() const {
        return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1;
    }
    int64_t inputs(int64_t layer) const {
        return layer == 0 ? H : width();
    }
    int64_t width() const { // features behind a layer
        return directions * H;
    }
    size_t stacked() const { // layers of one direction each
        return static_cast<size_t>(layers * directions);
    }
    bool operator==(const Shape &other) const;
};

struct Case {
    Shape shape;
    crs_precision precision = CRS_FLOAT32;
};

const char *cell_name(Cell cell);
const char *precision_name(crs_precision precision);
std::string title_of(const Case &one); // "lstm H=64 B=128 T=128 layers=1 directions=1 full float32"

enum class Extent { quick, usual, full };
std::vector<Case> list_cases(Extent extent, const std::vector<std::string> &only); // those whose title has all words
Case parse_case(const std::string &words);                                         // a title; throws

// Weights of a layer's direction, or their gradients: W [G*H,I], R [G*H,H], b [G*H], b_hh [G*H] of the GRU alone.
struct Weights {
    std::vector<float> W, R, b, b_hh;
};

struct Numbers {
    Shape shape;
    std::vector<int32_t> len;     // [B]
    std::vector<float> x, dy;     // [T,B,H], [T,B,D*H]; zeros at dead steps
    std::vector<Weights> weights; // [layers*D]: layer, then direction
    int64_t live = 0;             // live steps of all rows
};

Numbers draw_numbers(const Shape &shape, uint64_t seed = 1);

// What a side computes. Dead steps are zeros, whatever it leaves there.
struct Results {
    std::vector<float> y, dx;       // [T,B,D*H], [T,B,H]
    std::vector<Weights> gradients; // [layers*D]
};

void clear_dead_steps(const Numbers &numbers, int64_t width, std::vector<float> &values); // [T,B,width]

// A stack of layers on one side. Calls are queued on the stream that the sides share; what fails throws.
class Side {
  public:
    virtual ~Side() = default;
    virtual void forward() = 0;
    virtual void backward_data() = 0;    // after forward; of a side that is not split, the weights' gradients too
    virtual void backward_weights() = 0; // after backward_data
    // Of one forward and backward, on outputs filled with NaN and gradients cleared. Waits.
    virtual Results results() = 0;

    std::string name;
    bool split = true; // backward_data and backward_weights are two calls
};

// ---- comparing (comparing.cpp) ----

// Relative L2 error of each kind of tensor, the worst of the layers.
struct Errors {
    double y = 0, dx = 0, dW = 0, dR = 0, db = 0;

    double worst() const;
};

// Throws Refused where a number is not finite, a size differs or an error is above the tolerance.
struct Refused : std::runtime_error {
    using runtime_error::runtime_error;
};
Errors compare_results(const Results &got, const Results &want, double tolerance);
// 1e-4, and 2e-2 for factors of ten bits of mantissa.
double tolerance_of(crs_precision precision);
// Of rounds, of which there is at least one.
struct Middle {
    double median = 0, least = 0, most = 0;
};
Middle middle_of(std::vector<double> values); // throws where one is not finite

// Makes a tensor (y, dx, dW, dR or db) of the results 5 % too large, to see that it is noticed.
void falsify(Results &results, const std::string &tensor);

#endif
