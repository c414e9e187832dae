/* Looking up rows of a table, and the segmented sum that is its gradient. */
#include "operation.hpp"

namespace crs {
namespace {

struct Shape {
    int64_t T, B, V, E;
    bool one_id = false; /* every token is the last id: the longest segment there can be */
    std::string text() const {
        return format("T %lld B %lld V %lld E %lld one id %d", static_cast<long long>(T), static_cast<long long>(B),
                      static_cast<long long>(V), static_cast<long long>(E), one_id);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.T * 1009 + s.B * 101 + s.V * 11 + s.E));
    Numbers in = {
        {"table", random.reals(s.V * s.E)}, {"dtable", random.reals(s.V * s.E)}, {"dy", random.reals(s.T * s.B * s.E)}};
    for (int64_t k = 0; k < s.T * s.B; k++) /* half of them padding, the ends of the table among them */
        in["ids"].push_back(static_cast<double>(k == 0 || s.one_id ? s.V - 1 : k % 2 ? 0 : random.below(s.V)));
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_embedding a = {};
    a.T = s.T;
    a.B = s.B;
    a.V = s.V;
    a.E = s.E;
    a.ids = bench.labels("ids", in.at("ids"));
    a.table = bench.input("table", in.at("table"));
    a.y = bench.output("y", s.T * s.B * s.E);
    bench.call("forward", device.ops().embedding_forward, a);
    a.dy = bench.input("dy", in.at("dy"));
    a.dtable = bench.added("dtable", in.at("dtable"));
    bench.call("backward", device.ops().embedding_backward, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    std::vector<double> y, dtable(static_cast<size_t>(s.V * s.E));
    for (int64_t k = 0; k < s.T * s.B; k++)
        for (int64_t e = 0; e < s.E; e++) {
            const int64_t at = static_cast<int64_t>(in.at("ids")[k]) * s.E + e;
            y.push_back(in.at("table")[at]);
            dtable[at] += in.at("dy")[k * s.E + e];
        }
    return {{"y", y}, {"dtable", dtable}};
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    operation.shapes = {{5, 6, 7, 3},     {1, 1, 1, 1},   {1, 9, 4, 5},        {9, 1, 4, 1},   {3, 4, 1, 2},
                        {4, 3, 1000, 5},  {6, 7, 11, 31}, {6, 7, 11, 32},      {6, 7, 11, 33}, {6, 7, 11, 65},
                        {40, 33, 50, 16}, {2, 2, 3, 64},  {50, 40, 9, 7, true}};
    /* Around the sizes at which ids take a byte more: sorted ids must not lose it. */
    for (const int64_t V : {256, 257, 65536, 65537})
        operation.shapes.push_back({9, 11, V, 2});
    operation.shapes.push_back({200, 171, 30, 1}); /* long enough for sums of sums of sums */
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.T * s.B); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    return check_gradients(operation, under_test, {{4, 3, 5, 2}}, {{"y", "dy"}}, {{"dtable", "table"}});
}

} // namespace crs
