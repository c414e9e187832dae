// The gradient of every network in data/experiments, on every backend there is. Widths and layers are those of the
// files; texts are shorter and vocabularies smaller, since a gradient that is wrong is wrong on those too.
#include "command.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

namespace {

using Section = std::map<std::string, std::string>;

std::string trimmed(const std::string &text) {
    const size_t first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
    return first == std::string::npos ? "" : text.substr(first, last + 1 - first);
}

// The rows of a file, each with the defaults it does not override. What the command makes of a file is tested
// elsewhere; this reads no more than the bundled ones hold.
std::map<std::string, Section> rows_of(const std::filesystem::path &path) {
    std::map<std::string, Section> sections;
    std::string name, key;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        line = line.substr(0, std::min(line.find(" ;"), line[0] == ';' ? size_t{0} : line.size()));
        const size_t equals = line.find('=');
        if (trimmed(line).empty())
            continue;
        if (line[0] == '[')
            name = line.substr(1, line.find(']') - 1);
        else if (line[0] == ' ')
            sections[name][key] += " " + trimmed(line);
        else
            sections[name][key = trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    }
    for (auto &[row, keys] : sections)
        if (row != "defaults")
            keys.insert(sections["defaults"].begin(), sections["defaults"].end());
    sections.erase("defaults");
    return sections;
}

// The windows of the Amazon CNN, one behind another, need 89 tokens.
std::string length_for(const std::string &model) {
    return model.find("maxpool 5") != std::string::npos ? "92" : "14";
}

TEST(Experiments, TheGradientOfEveryRowIsRight) {
    size_t checked = 0;
    for (const auto &entry : std::filesystem::directory_iterator(CRS_DATA "/experiments")) {
        std::map<std::string, bool> seen;
        for (const auto &[name, row] : rows_of(entry.path())) {
            SCOPED_TRACE(entry.path().filename().string() + " [" + name + "]");
            if (row.count("average"))
                continue;
            ASSERT_EQ(row.count("model"), 1U);
            const std::string &model = row.at("model");
            std::vector<std::string> arguments = {"gradcheck",    model, "--length", length_for(model),
                                                  "--vocabulary", "40",  "--batch",  "3",
                                                  "--samples",    "4",   "--quiet"};
            for (const char *key : {"mask", "pad", "label-smoothing"})
                if (row.count(key))
                    arguments.insert(arguments.end(), {std::string("--") + key, row.at(key)});
            std::string all;
            for (const std::string &argument : arguments)
                all += argument + "\n";
            if (seen[all])
                continue;
            seen[all] = true;
            const Result result = carousel(arguments);
            EXPECT_EQ(result.status, 0) << model << "\n" << result.out << result.err;
            EXPECT_TRUE(has(result.out, "\npassed\n")) << result.out;
            checked++;
        }
    }
    EXPECT_GE(checked, 20U) << "networks of the bundled files";
}

} // namespace
