// Cases: which there are, and their names.
#include "layers.hpp"

#include <algorithm>
#include <sstream>

bool Shape::operator==(const Shape &other) const {
    return cell == other.cell && layers == other.layers && directions == other.directions && H == other.H &&
           B == other.B && T == other.T && ragged == other.ragged;
}

const char *cell_name(Cell cell) {
    return cell == Cell::lstm ? "lstm" : cell == Cell::gru ? "gru" : "rnn";
}

const char *precision_name(crs_precision precision) {
    return precision == CRS_TF32 ? "tf32" : "float32";
}

std::string title_of(const Case &one) {
    const Shape &s = one.shape;
    std::ostringstream title;
    title << cell_name(s.cell) << " H=" << s.H << " B=" << s.B << " T=" << s.T << " layers=" << s.layers
          << " directions=" << s.directions << (s.ragged ? " ragged " : " full ") << precision_name(one.precision);
    return title.str();
}

static std::vector<std::string> words_of(const std::string &line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;)
        words.push_back(word);
    return words;
}

// ---- lists ----

static void add(std::vector<Case> &cases, const Shape &shape) {
    for (const crs_precision precision : {CRS_FLOAT32, CRS_TF32})
        cases.push_back({shape, precision});
}

static std::vector<Case> list_full() {
    std::vector<Case> cases;
    for (const Cell cell : {Cell::lstm, Cell::gru, Cell::rnn})
        for (const int64_t layers : {1, 2})
            for (const int64_t directions : {1, 2})
                for (const int64_t T : {32, 128, 512})
                    for (const int64_t B : {64, 128, 256})
                        for (const int64_t H : {32, 64, 96, 128, 160, 256})
                            for (const bool ragged : {false, true})
                                add(cases, {cell, layers, directions, H, B, T, ragged});
    return cases;
}

// One thing at a time is changed from the LSTM of 64 units on 128 rows of 128 steps.
static std::vector<Case> list_usual() {
    const Shape base;
    std::vector<Case> cases;
    for (const bool ragged : {false, true})
        for (const int64_t H : {32, 64, 128, 256})
            add(cases, {Cell::lstm, 1, 1, H, base.B, base.T, ragged});
    for (const int64_t H : {96, 160})
        add(cases, {Cell::lstm, 1, 1, H, base.B, base.T, false});
    for (const int64_t B : {64, 256})
        add(cases, {Cell::lstm, 1, 1, base.H, B, base.T, false});
    for (const int64_t T : {32, 512})
        add(cases, {Cell::lstm, 1, 1, base.H, base.B, T, false});
    for (const bool ragged : {false, true}) {
        add(cases, {Cell::lstm, 2, 1, 32, base.B, base.T, ragged});
        add(cases, {Cell::lstm, 1, 2, base.H, base.B, base.T, ragged});
        add(cases, {Cell::gru, 1, 1, base.H, base.B, base.T, ragged});
        add(cases, {Cell::rnn, 2, 1, 128, base.B, base.T, ragged});
    }
    return cases;
}

static std::vector<Case> list_quick() {
    std::vector<Case> cases;
    for (const int64_t H : {64, 128})
        cases.push_back({{Cell::lstm, 1, 1, H, 128, 128, false}, CRS_FLOAT32});
    cases.push_back({{Cell::lstm, 1, 1, 64, 128, 128, true}, CRS_FLOAT32});
    cases.push_back({{Cell::lstm, 1, 1, 64, 128, 128, false}, CRS_TF32});
    cases.push_back({{Cell::gru, 1, 1, 64, 128, 128, false}, CRS_FLOAT32});
    cases.push_back({{Cell::rnn, 1, 1, 64, 128, 128, false}, CRS_FLOAT32});
    return cases;
}

std::vector<Case> list_cases(Extent extent, const std::vector<std::string> &only) {
    std::vector<Case> cases = extent == Extent::full    ? list_full()
                              : extent == Extent::usual ? list_usual()
                                                        : list_quick();
    const auto unwanted = [&](const Case &one) {
        const std::vector<std::string> title = words_of(title_of(one));
        return !std::all_of(only.begin(), only.end(), [&](const std::string &word) {
            return std::find(title.begin(), title.end(), word) != title.end();
        });
    };
    cases.erase(std::remove_if(cases.begin(), cases.end(), unwanted), cases.end());
    return cases;
}

// ---- a title taken apart ----

static bool set_size(Shape &shape, const std::string &word) {
    const struct {
        const char *name;
        int64_t *size;
        int64_t most;
    } sizes[] = {{"H=", &shape.H, 4096},
                 {"B=", &shape.B, 65536},
                 {"T=", &shape.T, 65536},
                 {"layers=", &shape.layers, 16},
                 {"directions=", &shape.directions, 2}};
    for (const auto &one : sizes) {
        const std::string name = one.name;
        if (word.compare(0, name.size(), name) != 0)
            continue;
        const std::string digits = word.substr(name.size());
        if (digits.empty() || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos)
            return false;
        *one.size = std::stoll(digits);
        return *one.size >= 1 && *one.size <= one.most;
    }
    return false;
}

Case parse_case(const std::string &words) {
    Case one;
    for (const std::string &word : words_of(words)) {
        bool known = true;
        if (word == "lstm" || word == "gru" || word == "rnn")
            one.shape.cell = word == "lstm" ? Cell::lstm : word == "gru" ? Cell::gru : Cell::rnn;
        else if (word == "full" || word == "ragged")
            one.shape.ragged = word == "ragged";
        else if (word == "float32" || word == "tf32")
            one.precision = word == "tf32" ? CRS_TF32 : CRS_FLOAT32;
        else
            known = set_size(one.shape, word);
        if (!known)
            throw std::runtime_error("'" + word + "' is no part of a case: give words such as '" + title_of(Case()) +
                                     "'");
    }
    return one;
}
