// A case measured: every side is compared first, and only those that compute the same are timed.
#include "bench.hpp"

#include "stream_of.h"

#include <cstring>

cudaStream_t stream_of(const Backend &backend) {
    if (strcmp(backend.ops().name, "cuda") != 0)
        throw std::runtime_error(std::string(backend.ops().name) + " has no stream");
    return stream_of(backend.device());
}

Stage::Stage(const Options &options, crs_precision precision)
    : backend("cuda", precision, options.lstm),
      beside(options.beside.empty() ? nullptr : new Backend("cuda", precision, options.beside)),
      cudnn(open_cudnn(stream_of(backend))) {}

Bench::Bench(const Options &given) : options(given), in_double("cpu-double", CRS_FLOAT32, "auto") {
    stages[CRS_FLOAT32] = std::make_unique<Stage>(options, CRS_FLOAT32);
    int major = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess && major >= 8)
        stages[CRS_TF32] = std::make_unique<Stage>(options, CRS_TF32);
}

const Stage *Bench::stage_of(crs_precision precision) const {
    const auto found = stages.find(precision);
    return found == stages.end() ? nullptr : found->second.get();
}

Gpu ask_gpu() {
    Gpu gpu;
    int device = 0, kilohertz = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&gpu.multiprocessors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
        throw std::runtime_error("the device does not tell how many multiprocessors it has");
    if (cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, device) == cudaSuccess)
        gpu.cycles_per_microsecond = static_cast<double>(kilohertz) * 1e-3;
    cudaGetLastError();
    return gpu;
}

// ---- comparing ----

// In double on the CPU, where that takes a second or so; the next case has the same shape, as a rule.
void Bench::compute_reference(const Case &one) {
    constexpr double MOST = 4e9; // multiply-adds of a forward
    const Shape &shape = one.shape;
    if (numbers && numbers->shape == shape)
        return;
    numbers = draw_numbers(shape);
    wanted.reset();
    double work = 0;
    for (int64_t layer = 0; layer < shape.layers; layer++)
        work += static_cast<double>(numbers->live * shape.directions * shape.gates() * shape.H) *
                static_cast<double>(shape.inputs(layer) + shape.H);
    if (work <= MOST)
        wanted = make_carousel_side(in_double, *numbers)->results();
}

// Where there is no reference, the first side is it for the others.
void Bench::admit(const Case &one, Side &side, Outcome &outcome) {
    Results got = side.results();
    const size_t colon = options.falsified.rfind(':');
    if (colon != std::string::npos && options.falsified.substr(0, colon) == side.name)
        falsify(got, options.falsified.substr(colon + 1));
    try {
        if (wanted)
            outcome.errors[side.name] = compare_results(got, *wanted, tolerance_of(one.precision));
        else
            compare_results(got, got, 0); // finite
    } catch (const Refused &why) {
        outcome.refused[side.name] = why.what();
        return;
    }
    if (!wanted) {
        outcome.reference = side.name;
        wanted = std::move(got);
    }
}

// ---- a case ----

namespace {

struct Entry {
    std::unique_ptr<Side> side;
    cudaStream_t stream;
};

// Every way of cuDNN that works for the case. "standard" on packed rows has to: else it is our call that is wrong.
std::vector<Entry> make_cudnn_sides(const Stage &stage, const Case &one, const Numbers &numbers, Outcome &outcome) {
    std::vector<Entry> entries;
    if (!stage.cudnn)
        return entries;
    for (const CudnnWay &way : stage.cudnn->ways()) {
        const std::string name = std::string("cuDNN ") + way.algorithm + (way.packed ? ", packed" : ", padded");
        try {
            entries.push_back({stage.cudnn->make_side(way, numbers, one.precision), stream_of(stage.backend)});
        } catch (const std::runtime_error &why) {
            const bool must_work = way.packed && std::string(way.algorithm) == "standard";
            (must_work ? outcome.refused : outcome.left_out)[name] = why.what();
        }
    }
    return entries;
}

// A rival's way that cannot be queued so is left out; Carousel's own has to work.
std::vector<std::unique_ptr<Runner>> make_runners(const std::vector<Entry> &entries, Outcome &outcome) {
    std::vector<std::unique_ptr<Runner>> runners;
    for (const Entry &entry : entries)
        for (const bool captured : {false, true}) {
            if (outcome.refused.count(entry.side->name))
                continue;
            try {
                runners.push_back(std::make_unique<Runner>(*entry.side, entry.stream, captured));
            } catch (const std::runtime_error &why) {
                auto &told = entry.side->name.rfind("Carousel", 0) == 0 ? outcome.refused : outcome.left_out;
                told[entry.side->name + (captured ? ", graph" : ", plain")] = why.what();
            }
        }
    return runners;
}

// A side that is to be made wrong has to be there: else nothing would be shown.
void check_falsified(const std::vector<Entry> &entries, const std::string &falsified) {
    const std::string name = falsified.substr(0, falsified.rfind(':'));
    for (const Entry &entry : entries)
        if (falsified.empty() || entry.side->name == name)
            return;
    throw std::runtime_error("there is no side '" + name + "' to make wrong");
}

} // namespace

Outcome Bench::run(const Case &one) {
    const Stage &stage = *stage_of(one.precision);
    Outcome outcome;
    compute_reference(one);
    outcome.which = one;
    outcome.live = numbers->live;
    outcome.reference = wanted ? "cpu-double" : "";
    if (one.precision == CRS_FLOAT32)
        outcome.floor = floor_of(one.shape, numbers->live, ask_gpu());
    std::vector<Entry> entries;
    entries.push_back({make_carousel_side(stage.backend, *numbers), stream_of(stage.backend)});
    if (stage.beside) {
        entries.push_back({make_carousel_side(*stage.beside, *numbers), stream_of(*stage.beside)});
        entries.back().side->name += " " + options.beside;
    }
    for (Entry &entry : make_cudnn_sides(stage, one, *numbers, outcome))
        entries.push_back(std::move(entry));
    check_falsified(entries, options.falsified);
    for (const Entry &entry : entries)
        admit(one, *entry.side, outcome);
    if (outcome.reference != "cpu-double")
        wanted.reset(); // a side's own results are no reference for another precision
    const std::vector<std::unique_ptr<Runner>> runners = make_runners(entries, outcome);
    std::vector<Runner *> turns;
    for (const auto &runner : runners)
        turns.push_back(runner.get());
    measure_rounds(turns, options.rounds, options.milliseconds);
    for (const Runner *runner : turns)
        outcome.measured.push_back({runner->side.name, runner->captured, runner->rounds()});
    return outcome;
}
