// Times stacks of recurrent layers: Carousel's beside cuDNN's, with the same weights, inputs and gradients, in one run.
//
//     bench_cudnn                                 the usual cases, in under four minutes; --list names them
//     bench_cudnn --full --seconds 7200           all of them
//     bench_cudnn --only gru --only H=128         those of them that have these words in their titles
//     bench_cudnn "lstm H=48 B=32 T=200 ragged"   a case of one's own
//
// Every side is compared first; one that differs is refused, and the exit status is 1. 2: it could not be run.
#include "bench.hpp"

#include <argp.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

// ---- the command line ----

enum Key { FULL = 256, QUICK, LIST, ASK, BESIDE, FALSIFY };

static const argp_option options_known[] = {
    {"full", FULL, nullptr, 0, "all cases", 0},
    {"quick", QUICK, nullptr, 0, "a few, and fewer rounds", 0},
    {"only", 'o', "WORD", 0, "only cases with this word in their title; may be given several times", 0},
    {"rounds", 'r', "N", 0, "of every side (default: 7, quick: 3)", 0},
    {"milliseconds", 'm', "N", 0, "calls of a measurement last so long at least (default: 2)", 0},
    {"seconds", 's', "N", 0, "begin no case after these (default: 220)", 0},
    {"lstm", 'l', "VARIANT", 0, "of Carousel's, to force (default: auto)", 0},
    {"beside", BESIDE, "VARIANT", 0, "another one as a side of its own", 0},
    {"list", LIST, nullptr, 0, "name the cases and stop", 0},
    {"ask", ASK, nullptr, 0, "answer requests on standard input; see asking.cpp", 0},
    {"falsify", FALSIFY, "SIDE:TENSOR", 0, "make a result wrong, to see it refused: Carousel:dR", 0},
    {nullptr, 0, nullptr, 0, nullptr, 0}};

static double parse_number(const char *text, double least, double most, argp_state *state) {
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end || !(number >= least && number <= most))
        argp_error(state, "'%s' does not fit; give a number from %g to %g", text, least, most);
    return number;
}

static error_t parse_option(int key, char *value, argp_state *state) {
    Options &options = *static_cast<Options *>(state->input);
    switch (key) {
    case FULL:
        options.extent = Extent::full;
        return 0;
    case QUICK:
        options.extent = Extent::quick;
        options.rounds = 3;
        return 0;
    case 'o':
        options.only.push_back(value);
        return 0;
    case 'r':
        options.rounds = static_cast<int64_t>(parse_number(value, 1, 1000, state));
        return 0;
    case 'm':
        options.milliseconds = parse_number(value, 0, 10000, state);
        return 0;
    case 's':
        options.seconds = parse_number(value, 0, 1e6, state);
        return 0;
    case 'l':
        options.lstm = value;
        return 0;
    case BESIDE:
        options.beside = value;
        return 0;
    case LIST:
        options.list = true;
        return 0;
    case ASK:
        options.ask = true;
        return 0;
    case FALSIFY:
        options.falsified = value;
        return 0;
    case ARGP_KEY_ARG:
        options.cases.push_back(parse_case(value));
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// ---- cases ----

static bool run_cases(Bench &bench, const Options &options, const std::vector<Case> &cases) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<Case> late, without_tf32;
    bool refused = false;
    for (const Case &one : cases) {
        const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
        if (!bench.stage_of(one.precision)) {
            without_tf32.push_back(one);
            continue;
        }
        if (passed.count() > options.seconds) {
            late.push_back(one);
            continue;
        }
        const Outcome outcome = bench.run(one);
        tell_outcome(outcome);
        refused = refused || !outcome.refused.empty();
    }
    tell_rest(late, "time was up");
    tell_rest(without_tf32, "the device has no TF32");
    return !refused;
}

static int run(const Options &options) {
    const std::vector<Case> cases = options.cases.empty() ? list_cases(options.extent, options.only) : options.cases;
    if (cases.empty())
        throw std::runtime_error("no case has all these words");
    for (size_t i = 0; options.list && i < cases.size(); i++)
        puts(title_of(cases[i]).c_str());
    if (options.list)
        return 0;
    Bench bench(options);
    tell_device(bench, options);
    if (options.ask) {
        answer_requests(bench);
        return 0;
    }
    return run_cases(bench, options, cases) ? 0 : 1;
}

int main(int argc, char *argv[]) {
    const argp parser = {
        options_known, parse_option,
        "[CASE...]",   "Times Carousel's recurrent layers beside cuDNN's. A line of JSON for each case.",
        nullptr,       nullptr,
        nullptr};
    Options options;
    try {
        argp_parse(&parser, argc, argv, 0, nullptr, &options);
        const int status = run(options);
        if (fflush(stdout) != 0)
            throw std::runtime_error("standard output cannot be written");
        return status;
    } catch (const std::exception &why) {
        fprintf(stderr, "bench_cudnn: %s\n", why.what());
        return 2;
    }
}
