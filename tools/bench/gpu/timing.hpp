// Timing: chains of calls, queued plainly or as captured graphs, by the device's own events, in alternated rounds.
#ifndef CAROUSEL_BENCH_TIMING_HPP
#define CAROUSEL_BENCH_TIMING_HPP

#include "layers.hpp"

#include <cuda_runtime_api.h>

#include <map>

// What is told of a call: a backward alone cannot be called again and again, since it uses up what forward kept. So
// chains are timed that each have one call more, and a part is what a chain takes longer than the one before it.
enum Chain { FORWARD, AND_DATA, WHOLE, CHAINS };
extern const char *const part_names[5]; // forward, backward_data, backward_weights, backward, whole
enum { PARTS = 5 };

// Events and graphs of a side.
struct Handles {
    cudaGraphExec_t graphs[CHAINS] = {};
    cudaEvent_t begin = nullptr, end = nullptr;

    Handles() = default;
    Handles(const Handles &) = delete;
    Handles &operator=(const Handles &) = delete;
    ~Handles();
};

// One side, queued in one of two ways.
class Runner {
  public:
    // Warms up; captures where that is asked for. Throws where it cannot be.
    Runner(Side &side, cudaStream_t stream, bool captured);

    void calibrate(double milliseconds); // how many calls last so long
    void measure();                      // a round
    // Microseconds of each round by part; a side that is not split has no backward_data and backward_weights.
    const std::map<std::string, std::vector<double>> &rounds() const {
        return times;
    }
    double measure_once(Chain chain, double milliseconds); // microseconds a call, of so many that they last so long

    Side &side;
    const bool captured;

  private:
    void queue(Chain chain);
    void capture(Chain chain);
    double time(Chain chain, int64_t count); // microseconds a call
    int64_t count_for(Chain chain, double milliseconds);

    cudaStream_t stream;
    Handles handles;
    int64_t counts[CHAINS] = {1, 1, 1};
    std::map<std::string, std::vector<double>> times;
};

// Every runner once, another one first each time, for so many rounds.
void measure_rounds(const std::vector<Runner *> &runners, int64_t rounds, double milliseconds);

#endif
