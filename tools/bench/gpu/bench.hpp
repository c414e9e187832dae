// What is measured of a case, and how it is told: bench_cudnn.cpp drives, measuring.cpp measures, telling.cpp tells.
#ifndef CAROUSEL_BENCH_GPU_BENCH_HPP
#define CAROUSEL_BENCH_GPU_BENCH_HPP

#include "carousel_side.hpp"
#include "cudnn_side.hpp"
#include "floor.hpp"
#include "timing.hpp"

#include <map>
#include <memory>
#include <optional>

struct Options {
    Extent extent = Extent::usual;
    std::vector<std::string> only; // words of a case's title, all of them
    std::vector<Case> cases;       // instead of a list
    std::string lstm = "auto";     // Carousel's variant
    std::string beside;            // another variant of Carousel's as a side, or ""
    std::string falsified;         // a side's tensor that is made wrong, "SIDE:TENSOR", or ""
    int64_t rounds = 7;
    double milliseconds = 2;
    double seconds = 220; // no case is begun after these
    bool list = false, ask = false;
};

// A side of a case in one way of being queued, measured.
struct Measured {
    std::string side;
    bool captured = false;
    std::map<std::string, std::vector<double>> rounds; // microseconds by part
};

struct Outcome {
    Case which;
    int64_t live = 0;
    Floor floor;                                 // zeros: not known
    std::string reference;                       // whose results the others were compared with
    std::map<std::string, Errors> errors;        // by side
    std::map<std::string, std::string> refused;  // why, by side
    std::map<std::string, std::string> left_out; // why, by side and way
    std::vector<Measured> measured;
};

// Carousel and cuDNN on one stream, for one precision.
struct Stage {
    Backend backend;
    std::unique_ptr<Backend> beside;
    std::unique_ptr<Cudnn> cudnn;

    Stage(const Options &options, crs_precision precision);
};

class Bench {
  public:
    explicit Bench(const Options &options);
    Outcome run(const Case &one);
    const Stage *stage_of(crs_precision precision) const; // NULL: the device has it not

  private:
    void compute_reference(const Case &one);
    void admit(const Case &one, Side &side, Outcome &outcome);

    const Options &options;
    std::map<crs_precision, std::unique_ptr<Stage>> stages;
    Backend in_double;
    std::optional<Numbers> numbers; // of the last shape
    std::optional<Results> wanted;  // of its reference, where there was time for one
};

Gpu ask_gpu();                                  // the current device
cudaStream_t stream_of(const Backend &backend); // of one on CUDA; else throws

// ---- telling (telling.cpp): lines of JSON on standard output ----

std::string json_text(const std::string &text); // quoted
void tell_device(const Bench &bench, const Options &options);
void tell_outcome(const Outcome &outcome);
void tell_rest(const std::vector<Case> &cases, const std::string &why);

// Answers requests on standard input, as Carousel's side of peers.py (asking.cpp).
void answer_requests(const Bench &bench);

#endif
