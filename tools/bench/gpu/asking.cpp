// Carousel's side of peers.py, which asks for a line at a time while the other sides wait:
//
//     case FILE TITLE          a case; its numbers, and what Carousel makes of them, go to the file (numbers.h)
//     measure MILLISECONDS     forward, and forward with backward, plainly queued and as graphs
//
// Every answer is a line of JSON.
#include "../numbers.h"
#include "bench.hpp"

#include <iostream>
#include <sstream>

namespace {

struct Asked {
    Case which;
    Numbers numbers;
    std::unique_ptr<Side> side;
    std::unique_ptr<Runner> plain, captured;
    std::string why_not_captured;
};

void write(FILE *file, const std::string &name, const std::vector<float> &values) {
    write_floats(file, name.c_str(), values.data(), values.size());
}

void write_weights(FILE *file, const char *prefix, const std::vector<Weights> &all) {
    for (size_t i = 0; i < all.size(); i++) {
        const std::string number = std::to_string(i);
        write(file, prefix + ("W" + number), all[i].W);
        write(file, prefix + ("R" + number), all[i].R);
        write(file, prefix + ("b" + number), all[i].b);
        if (!all[i].b_hh.empty())
            write(file, prefix + ("b_hh" + number), all[i].b_hh);
    }
}

void write_numbers(const std::string &path, const Numbers &numbers, const Results &results) {
    FILE *file = numbers_open(path.c_str());
    write_integers(file, "len", numbers.len.data(), numbers.len.size());
    write(file, "x", numbers.x);
    write(file, "dy", numbers.dy);
    write_weights(file, "", numbers.weights);
    write(file, "y", results.y);
    write(file, "dx", results.dx);
    write_weights(file, "d", results.gradients);
    numbers_close(file, path.c_str());
}

void answer_case(const Bench &bench, std::istringstream &words, std::unique_ptr<Asked> &asked) {
    std::string path, title;
    words >> path;
    std::getline(words, title);
    asked = std::make_unique<Asked>();
    asked->which = parse_case(title);
    const Stage *stage = bench.stage_of(asked->which.precision);
    if (!stage)
        throw std::runtime_error("the device has no TF32");
    asked->numbers = draw_numbers(asked->which.shape);
    asked->side = make_carousel_side(stage->backend, asked->numbers);
    write_numbers(path, asked->numbers, asked->side->results());
    asked->plain = std::make_unique<Runner>(*asked->side, stream_of(stage->backend), false);
    try {
        asked->captured = std::make_unique<Runner>(*asked->side, stream_of(stage->backend), true);
    } catch (const std::runtime_error &why) {
        asked->why_not_captured = why.what();
    }
    printf("{\"title\": %s, \"tolerance\": %g, \"not_captured\": %s}\n", json_text(title_of(asked->which)).c_str(),
           tolerance_of(asked->which.precision), json_text(asked->why_not_captured).c_str());
}

void answer_measure(Asked &asked, double milliseconds) {
    const char *between = "";
    printf("{");
    for (const auto &runner : {asked.plain.get(), asked.captured.get()}) {
        if (!runner)
            continue;
        printf("%s\"%s\": {\"forward\": %.4f, \"whole\": %.4f}", between, runner->captured ? "graph" : "plain",
               runner->measure_once(FORWARD, milliseconds), runner->measure_once(WHOLE, milliseconds));
        between = ", ";
    }
    puts("}");
}

} // namespace

void answer_requests(const Bench &bench) {
    std::unique_ptr<Asked> asked;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string what;
        double milliseconds = 0;
        words >> what;
        if (what == "case")
            answer_case(bench, words, asked);
        else if (what == "measure" && asked && words >> milliseconds)
            answer_measure(*asked, milliseconds);
        else
            throw std::runtime_error("'" + line + "' is no request");
        fflush(stdout);
    }
}
