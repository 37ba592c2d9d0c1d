#include "proxy/flow/limit_kept.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/flow/limiter.h"
#include "proxy/net/log.h"

enum { USUAL_LEN = 512, SPARE_MAX = 1024 };

static struct limit_kept *take_spare(struct limiter *limiter)
{
    struct limit_kept *kept = SLIST_FIRST(&limiter->spare);

    if (kept) {
        SLIST_REMOVE_HEAD(&limiter->spare, spare);
        limiter->n_spare--;
    }
    return kept;
}

struct limit_kept *limit_kept_new(struct limiter *limiter, const uint8_t *bytes, size_t len)
{
    size_t cap = len > USUAL_LEN ? len : USUAL_LEN;
    struct limit_kept *kept = len <= USUAL_LEN ? take_spare(limiter) : NULL;

    if (!kept)
        kept = malloc(sizeof(*kept) + cap);
    if (!kept)
        end_out_of_memory(cap);
    memset(kept, 0, sizeof(*kept));
    kept->cap = (uint32_t)cap;
    kept->len = (uint32_t)len;
    memcpy(kept->bytes, bytes, len);
    return kept;
}

void limit_kept_give(struct limiter *limiter, struct limit_kept *kept)
{
    if (kept->cap != USUAL_LEN || limiter->n_spare == SPARE_MAX) {
        free(kept);
        return;
    }
    SLIST_INSERT_HEAD(&limiter->spare, kept, spare);
    limiter->n_spare++;
}

void limit_kept_free_spare(struct limiter *limiter)
{
    struct limit_kept *kept;

    while ((kept = take_spare(limiter)))
        free(kept);
}
