// What is told, as lines of JSON: the device, then a case on each, then what was not done. report.py makes tables of
// it.
#include "bench.hpp"

#include <cstdio>

std::string json_text(const std::string &text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < ' ')
            quoted += ' ';
        else
            quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    return quoted + "\"";
}

void tell_device(const Bench &bench, const Options &options) {
    const Gpu gpu = ask_gpu();
    const Stage *stage = bench.stage_of(CRS_FLOAT32);
    printf("{\"device\": %s, \"multiprocessors\": %d, \"megahertz\": %.0f, \"cudnn\": %s, ",
           json_text(stage->backend.describe()).c_str(), gpu.multiprocessors, gpu.cycles_per_microsecond,
           stage->cudnn ? json_text(stage->cudnn->version()).c_str() : "null");
    printf("\"lstm\": %s, \"rounds\": %lld, \"milliseconds\": %g}\n", json_text(options.lstm).c_str(),
           static_cast<long long>(options.rounds), options.milliseconds);
    fflush(stdout);
}

// ---- a case ----

static void tell_texts(const char *name, const std::map<std::string, std::string> &texts) {
    const char *between = "";
    printf(", \"%s\": {", name);
    for (const auto &[key, text] : texts) {
        printf("%s%s: %s", between, json_text(key).c_str(), json_text(text).c_str());
        between = ", ";
    }
    printf("}");
}

static void tell_errors(const Outcome &outcome) {
    const char *between = "";
    printf(", \"errors\": {");
    for (const auto &[side, errors] : outcome.errors) {
        printf("%s%s: {\"y\": %.2e, \"dx\": %.2e, \"dW\": %.2e, \"dR\": %.2e, \"db\": %.2e}", between,
               json_text(side).c_str(), errors.y, errors.dx, errors.dW, errors.dR, errors.db);
        between = ", ";
    }
    printf("}");
}

static void tell_middle(const char *between, const char *name, const Middle &middle) {
    printf("%s\"%s\": [%.4f, %.4f, %.4f]", between, name, middle.median, middle.least, middle.most);
}

static void tell_middles(const char *name, const std::map<std::string, std::vector<double>> &values) {
    const char *between = "";
    printf(", \"%s\": {", name);
    for (const char *part : part_names) {
        const auto found = values.find(part);
        if (found == values.end() || found->second.empty())
            continue;
        tell_middle(between, part, middle_of(found->second));
        between = ", ";
    }
    printf("}");
}

// The other's time over Carousel's in each round, by part, where both are queued alike.
static std::map<std::string, std::vector<double>> ratios_of(const Outcome &outcome, const Measured &other) {
    std::map<std::string, std::vector<double>> ratios;
    for (const Measured &ours : outcome.measured) {
        if (ours.side != "Carousel" || ours.captured != other.captured || other.side == ours.side)
            continue;
        for (const char *part : {"forward", "backward", "whole"})
            for (size_t round = 0; round < ours.rounds.at(part).size(); round++)
                if (ours.rounds.at(part)[round] > 0)
                    ratios[part].push_back(other.rounds.at(part)[round] / ours.rounds.at(part)[round]);
    }
    return ratios;
}

static void tell_shares(const Floor &floor, const Measured &one) {
    if (!(floor.whole() > 0))
        return;
    const struct {
        const char *part;
        double floor;
    } shares[] = {{"forward", floor.forward}, {"backward", floor.backward()}, {"whole", floor.whole()}};
    const char *between = "";
    printf(", \"share\": {");
    for (const auto &share : shares) {
        const double median = middle_of(one.rounds.at(share.part)).median;
        if (median <= 0) // a difference of two chains that the clock cannot tell apart
            continue;
        printf("%s\"%s\": %.4f", between, share.part, share.floor / median);
        between = ", ";
    }
    printf("}");
}

static void tell_measured(const Outcome &outcome, const Measured &one) {
    const double steps = static_cast<double>(outcome.which.shape.T * outcome.which.shape.layers);
    printf("{\"side\": %s, \"mode\": \"%s\"", json_text(one.side).c_str(), one.captured ? "graph" : "plain");
    tell_middles("us", one.rounds);
    printf(", \"us_per_time_step\": %.5f", middle_of(one.rounds.at("whole")).median / steps);
    tell_shares(outcome.floor, one);
    tell_middles("ratio", ratios_of(outcome, one));
    printf("}");
}

void tell_outcome(const Outcome &outcome) {
    const Shape &shape = outcome.which.shape;
    printf("{\"case\": %s, ", json_text(title_of(outcome.which)).c_str());
    printf("\"live\": %.4f, ", static_cast<double>(outcome.live) / static_cast<double>(shape.T * shape.B));
    printf("\"floor_us\": {\"forward\": %.3f, \"backward_data\": %.3f, \"backward_weights\": %.3f}",
           outcome.floor.forward, outcome.floor.backward_data, outcome.floor.backward_weights);
    printf(", \"reference\": %s, \"tolerance\": %g", json_text(outcome.reference).c_str(),
           tolerance_of(outcome.which.precision));
    tell_errors(outcome);
    tell_texts("refused", outcome.refused);
    tell_texts("left_out", outcome.left_out);
    printf(", \"sides\": [");
    const char *between = "";
    for (const Measured &one : outcome.measured) {
        fputs(between, stdout);
        tell_measured(outcome, one);
        between = ", ";
    }
    puts("]}");
    fflush(stdout);
}

void tell_rest(const std::vector<Case> &cases, const std::string &why) {
    if (cases.empty())
        return;
    const char *between = "";
    printf("{\"not_done\": [");
    for (const Case &one : cases) {
        printf("%s%s", between, json_text(title_of(one)).c_str());
        between = ", ";
    }
    printf("], \"why\": %s}\n", json_text(why).c_str());
}
