/* Graphs: recorded work that can be run again and again. */
#ifndef CUHOST_RUNTIME_GRAPHS_HPP
#define CUHOST_RUNTIME_GRAPHS_HPP

#include "queue.hpp"

struct CUgraph_st {
    std::vector<cuhost::WorkFunction> nodes;
};

struct CUgraphExec_st {
    std::shared_ptr<const std::vector<cuhost::WorkFunction>> nodes; /* queued launches outlive the handle */
};

#endif
