/* What the tests of the command share: running it, looking into what it says, and what a failure must look like. The
 * test's target defines CRS_COMMAND. */
#ifndef CRS_TEST_COMMAND_HPP
#define CRS_TEST_COMMAND_HPP

#include "process.hpp"

#include <gtest/gtest.h>
#include <jansson.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

/* Which needs a file larger than any bound on the size of files that a test would set. */
#if defined(__SANITIZE_THREAD__)
constexpr bool under_thread_sanitizer = true;
#elif defined(__has_feature)
constexpr bool under_thread_sanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool under_thread_sanitizer = false;
#endif

inline Result carousel(std::vector<std::string> arguments, const RunOptions &options = {}) {
    arguments.insert(arguments.begin(), CRS_COMMAND);
    return run(arguments, options);
}

inline bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

inline std::vector<std::string> lines(const std::string &text) {
    std::vector<std::string> found;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        found.push_back(line);
    return found;
}

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

inline Json parse(const std::string &text) {
    json_error_t error;
    json_t *value = json_loads(text.c_str(), 0, &error);
    EXPECT_NE(value, nullptr) << error.text << " in " << text.substr(0, 400);
    return Json(value, json_decref);
}

/* A failure is one line on standard error (run with --quiet) that holds all the parts. */
inline void expect_failure(const Result &result, int status, const std::vector<std::string> &parts) {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
    EXPECT_EQ(result.err.rfind("carousel: ", 0), 0U) << result.err;
    for (const std::string &part : parts)
        EXPECT_TRUE(has(result.err, part)) << "'" << part << "' is not in: " << result.err;
}

#endif
