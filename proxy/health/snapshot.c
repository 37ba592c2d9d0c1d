#include "proxy/health/snapshot.h"

#include <stdlib.h>

struct snapshot *snapshot_new(unsigned n)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot) + n * sizeof(snapshot->at[0]));

    if (!snapshot)
        return NULL;
    atomic_init(&snapshot->refs, 1);
    snapshot->n = n;
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub(&snapshot->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < snapshot->n; i++)
        backend_unref(snapshot->at[i].backend);
    free(snapshot);
}

const struct backend_view *snapshot_find(const struct snapshot *snapshot, const struct backend *backend)
{
    for (unsigned i = 0; i < snapshot->n; i++)
        if (snapshot->at[i].backend == backend)
            return &snapshot->at[i];
    return NULL;
}

bool backend_view_is_alive(const struct backend_view *view)
{
    switch (view->cause) {
    case CAUSE_DNS:
    case CAUSE_REFUSED:
    case CAUSE_CONNECT:
    case CAUSE_TIMEOUT:
    case CAUSE_LOST:
    case CAUSE_TLS:
    case CAUSE_PROTOCOL:
        return view->state != HEALTH_DOWN && view->state != HEALTH_WRONG;
    default:
        return true;
    }
}
