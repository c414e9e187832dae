/* The knobs: cuhost_test.h and its environment variables. */
#include "../execution/failure.hpp"
#include "devices.hpp"
#include "state.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>
#include <vector>

namespace cuhost {

State &state() {
    static State *the_state = new State; /* never destroyed: handles may be freed late */
    return *the_state;
}

State::State() {
    read_environment(settings);
    chaos = Random(settings.schedule.seed);
}

/* Told at once, and not when the first call is made. */
[[maybe_unused]] static const State &read_at_start = state();

[[noreturn]] static void refuse(const char *name, const char *value, const char *allowed) {
    fprintf(stderr, "cuhost: %s=%s is not known; %s\n", name, value, allowed);
    _exit(2);
}

/* Which of the words it is: 0, 1, ...; `fallback` if the variable is not set. */
static int word(const char *name, const std::vector<const char *> &words, int fallback) {
    const char *value = getenv(name);
    if (!value)
        return fallback;
    std::string allowed = "it is one of";
    for (size_t i = 0; i < words.size(); i++) {
        if (strcmp(value, words[i]) == 0)
            return static_cast<int>(i);
        allowed += std::string(" ") + words[i];
    }
    refuse(name, value, allowed.c_str());
}

static long long number(const char *name, long long least, long long most, long long fallback) {
    const char *value = getenv(name);
    if (!value)
        return fallback;
    char *end = nullptr;
    errno = 0;
    const long long parsed = strtoll(value, &end, 10);
    if (errno || end == value || *end || parsed < least || parsed > most)
        refuse(name, value, ("it is a number from " + std::to_string(least) + " to " + std::to_string(most)).c_str());
    return parsed;
}

static void refuse_unknown_names() {
    static const char *const known[] = {"CUHOST_SCHEDULE", "CUHOST_SEED",   "CUHOST_STREAMS", "CUHOST_DEVICES",
                                        "CUHOST_COMPUTE",  "CUHOST_DRIVER", "CUHOST_MEMORY",  "CUHOST_FAIL_AT"};
    for (char **variable = environ; *variable; variable++) {
        if (strncmp(*variable, "CUHOST_", 7) != 0)
            continue;
        const std::string text = *variable, name = text.substr(0, text.find('='));
        bool found = false;
        for (const char *one : known)
            found = found || name == one;
        if (!found)
            refuse(name.c_str(), text.substr(name.size() + 1).c_str(), "there is no such variable");
    }
}

void read_environment(Settings &settings) {
    refuse_unknown_names();
    Settings &s = settings;
    s.schedule.order = static_cast<cuhost_order>(
        word("CUHOST_SCHEDULE", {"forward", "reverse", "alternate", "random"}, s.schedule.order));
    s.schedule.seed = static_cast<unsigned>(number("CUHOST_SEED", 0, 0xFFFFFFFFll, s.schedule.seed));
    s.queueing = static_cast<cuhost_queueing>(word("CUHOST_STREAMS", {"eager", "lazy", "chaos"}, s.queueing));
    s.devices = static_cast<int>(number("CUHOST_DEVICES", 0, 64, s.devices));
    s.compute = static_cast<int>(number("CUHOST_COMPUTE", 0, 999, s.compute));
    if (!known_compute(s.compute))
        refuse("CUHOST_COMPUTE", getenv("CUHOST_COMPUTE"), ("it is one of" + known_computes()).c_str());
    s.driver = word("CUHOST_DRIVER", {"insufficient", "sufficient"}, s.driver);
    s.memory = static_cast<size_t>(number("CUHOST_MEMORY", 0, 1ll << 46, static_cast<long long>(s.memory)));
    s.fail_at = static_cast<long>(number("CUHOST_FAIL_AT", 0, 1ll << 40, s.fail_at));
}

} // namespace cuhost

using cuhost::Call;
using cuhost::state;

void cuhost_schedule(enum cuhost_order order, unsigned seed) {
    if (order < CUHOST_FORWARD || order > CUHOST_RANDOM)
        cuhost::die("cuhost_schedule: %d is no order", order);
    const Call call;
    state().settings.schedule = {order, seed};
    state().number = 0;
    state().chaos = cuhost::Random(seed);
}

void cuhost_streams(enum cuhost_queueing queueing) {
    if (queueing < CUHOST_EAGER || queueing > CUHOST_CHAOS)
        cuhost::die("cuhost_streams: %d is no queueing", queueing);
    const Call call;
    state().settings.queueing = queueing;
}

void cuhost_devices(int count, int compute) {
    if (count < 0 || count > 64 || !cuhost::known_compute(compute))
        cuhost::die("cuhost_devices: %d devices of compute capability %d", count, compute);
    const Call call;
    state().settings.devices = count;
    state().settings.compute = compute;
}

void cuhost_driver(int sufficient) {
    const Call call;
    state().settings.driver = sufficient != 0;
}

void cuhost_memory(size_t bytes) {
    const Call call;
    state().settings.memory = bytes;
}

long cuhost_fail_at(long n) {
    if (n < 0)
        cuhost::die("cuhost_fail_at: %ld", n);
    const Call call;
    const long calls = state().calls;
    state().calls = 0;
    state().settings.fail_at = n;
    return calls;
}
