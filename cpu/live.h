/* Live steps of a row of the batch (ops.h, "Live steps"). */
#ifndef CRS_CPU_LIVE_H
#define CRS_CPU_LIVE_H

#include <carousel/ops.h>

/* The steps [first, end) in which a row, or any row of some, is live. */
typedef struct live_range {
    int64_t first, end;
} live_range;

static inline live_range row_live(const crs_steps *steps, int64_t row) {
    const int64_t first = steps->start ? steps->start[row] : 0;
    return (live_range){first, first + (steps->len ? steps->len[row] : steps->T)};
}

static inline int is_live(live_range live, int64_t t) {
    return live.first <= t && t < live.end;
}

#endif
