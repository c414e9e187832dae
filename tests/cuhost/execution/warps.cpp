/* Collectives of a warp: __syncwarp, shuffles and votes of the lanes of a mask. */
#include "failure.hpp"
#include "scheduler.hpp"

#include <cstring>

namespace cuhost {

int lane() {
    return Scheduler::get().current().lane;
}

/* The meeting place of the mask's lanes, found or made. */
static Collective &collective_of(unsigned mask, Place place) {
    Scheduler &scheduler = Scheduler::get();
    const Fiber &fiber = scheduler.current();
    Warp &warp = scheduler.block().warps[static_cast<size_t>(fiber.warp)];
    if (!(mask >> fiber.lane & 1))
        die("%s:%d: lane %d is not in its own mask 0x%08x", place.file, place.line, fiber.lane, mask);
    if (mask & ~warp.born)
        die("%s:%d: mask 0x%08x names lanes that the block does not have", place.file, place.line, mask);
    if (mask & ~warp.alive)
        die("%s:%d: mask 0x%08x names lanes that have returned", place.file, place.line, mask);
    for (const auto &collective : warp.collectives)
        if (collective->mask == mask)
            return *collective;
    warp.collectives.push_back(std::make_unique<Collective>(mask));
    return *warp.collectives.back();
}

/* Waits for all lanes of the mask. Returns what each gave: valid until this lane comes to the next but one. */
static const uint64_t *meet(Collective &meeting, CollectiveKind kind, uint64_t given, Place place) {
    Scheduler &scheduler = Scheduler::get();
    const int me = scheduler.current().lane;
    if (meeting.arrived &&
        (meeting.kind != kind || meeting.place.line != place.line || strcmp(meeting.place.file, place.file) != 0))
        die("divergence in a warp: lane %d is at %s:%d, another one waits at %s:%d", me, place.file, place.line,
            meeting.place.file, meeting.place.line);
    meeting.kind = kind;
    meeting.place = place;
    meeting.arrived |= 1u << me;
    uint64_t *values = meeting.values[meeting.generation & 1].data();
    values[me] = given;
    if (meeting.arrived != meeting.mask) {
        scheduler.wait(meeting.waiting, "a collective of the warp", place);
    } else {
        meeting.generation++;
        meeting.arrived = 0;
        scheduler.open(meeting.waiting);
    }
    return values;
}

/* The only one that orders memory. */
void synchronize_warp(unsigned mask, Place place) {
    Collective *meeting;
    {
        const InLayer in_layer;
        meeting = &collective_of(mask, place);
    }
    char *token = meeting->tokens.of(meeting->generation);
    release(token);
    {
        const InLayer in_layer;
        meet(*meeting, CollectiveKind::synchronize, 0, place);
    }
    acquire(token);
}

uint64_t shuffle(unsigned mask, uint64_t given, int source, Place place) {
    const InLayer in_layer;
    if (source < 0 || source >= warp_size || !(mask >> source & 1))
        die("%s:%d: a shuffle reads lane %d, which is not in mask 0x%08x", place.file, place.line, source, mask);
    return meet(collective_of(mask, place), CollectiveKind::shuffle, given, place)[source];
}

unsigned ballot(unsigned mask, bool predicate, Place place) {
    const InLayer in_layer;
    const uint64_t *votes = meet(collective_of(mask, place), CollectiveKind::ballot, predicate, place);
    unsigned ballots = 0;
    for (int i = 0; i < warp_size; i++)
        if (mask >> i & 1)
            ballots |= static_cast<unsigned>(votes[i]) << i;
    return ballots;
}

} // namespace cuhost
