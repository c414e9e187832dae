/* The file that is compiled for OpenMP. */
#include "threads.hpp"

#include <cstddef>
#include <vector>

long sum_in_parallel(int n) {
    std::vector<long> numbers(static_cast<size_t>(n));
    long sum = 0;
#pragma omp parallel
    {
#pragma omp for
        for (int i = 0; i < n; i++)
            numbers[static_cast<size_t>(i)] = i;
#pragma omp for reduction(+ : sum)
        for (int i = 0; i < n; i++)
            sum += numbers[static_cast<size_t>(n - 1 - i)];
    }
    return sum;
}
