/* cuhost_planted NAME: runs one planted bug. Exit status: 0 nothing was noticed, 2 wrong result, 3 a call failed, 4
 * something was not freed, 9 no such bug; else whatever the layer or a sanitizer ended it with. */
#include "planted.cuh"

#include "cuhost_test.h"

#include <cstdio>

static int run(const Planted &bug) {
    try {
        bug.run();
        check(cudaDeviceSynchronize());
    } catch (const WrongResult &wrong) {
        printf("WRONG RESULT: %s\n", wrong.what());
        return 2;
    } catch (const std::runtime_error &failure) {
        printf("CALL FAILED: %s\n", failure.what());
        return 3;
    }
    if (cuhost_alive()) {
        printf("NOT FREED: %ld\n", cuhost_alive());
        return 4;
    }
    puts("nothing noticed");
    return 0;
}

int main(int n_arguments, char **arguments) {
    const std::string name = n_arguments > 1 ? arguments[1] : "";
    for (const auto *bugs : {&planted_in_memory, &planted_in_order, &planted_in_grids, &planted_in_calls})
        for (const Planted &bug : *bugs)
            if (name == bug.name)
                return run(bug);
    fprintf(stderr, "cuhost_planted: no bug '%s'\n", name.c_str());
    return 9;
}
