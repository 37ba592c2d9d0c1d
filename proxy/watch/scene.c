#include "proxy/watch/scene.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/flow/worker.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/loop.h"
#include "proxy/watch/failovers.h"
#include "proxy/watch/meter.h"

enum {
    STUCK_MS = 5000, /* a worker's clock ticks each second */
    STEP_MS = 1000,  /* somebody has set the wall clock */
};

int64_t scene_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Unless somebody has set it, the wall clock is the same distance away each time. */
static void note_clock(struct scene *scene)
{
    int64_t offset_ms = scene_wall_ms() - (int64_t)loop_now_ms(scene->loop);

    if (llabs(offset_ms - scene->wall_offset_ms) > STEP_MS)
        scene->wall_offset_ms = offset_ms;
}

bool scene_start(struct scene *scene)
{
    note_clock(scene);
    scene->started_ms = scene->reloaded_ms = scene_wall_ms();
    scene->failovers = failovers_new();
    return scene->failovers;
}

void scene_finish(struct scene *scene)
{
    snapshot_unref(scene->snapshot);
    failovers_free(scene->failovers);
    free(scene->dataset);
}

static void note_choice(struct scene *scene, const struct backend *chosen)
{
    if (!chosen) {
        scene->unselected++;
        return;
    }
    if (scene->dataset && !strcmp(scene->dataset, chosen->dataset))
        return;
    scene->dataset_changes += scene->dataset != NULL;
    free(scene->dataset);
    scene->dataset = strdup(chosen->dataset);
}

static bool is_down(const struct backend_view *view)
{
    return view->state == HEALTH_DOWN || view->state == HEALTH_WRONG;
}

uint64_t scene_down_ms(const struct scene *scene, const struct backend_view *view)
{
    return view->backend->tally->down_ms + (is_down(view) ? loop_now_ms(scene->loop) - scene->noted_ms : 0);
}

/* What was down until now was so since it was last noted. */
static void note_down(struct scene *scene)
{
    for (unsigned i = 0; scene->snapshot && i < scene->snapshot->n; i++) {
        const struct backend_view *view = &scene->snapshot->at[i];
        view->backend->tally->down_ms = scene_down_ms(scene, view);
    }
    scene->noted_ms = loop_now_ms(scene->loop);
}

void scene_note_route(struct scene *scene, struct snapshot *snapshot)
{
    note_clock(scene);
    if (snapshot->epoch != (scene->snapshot ? scene->snapshot->epoch : 0))
        note_choice(scene, snapshot->chosen);
    note_down(scene);
    failovers_note(scene->failovers, scene->snapshot, snapshot, loop_now_ms(scene->loop));
    snapshot_unref(scene->snapshot);
    scene->snapshot = snapshot_ref(snapshot);
}

int64_t scene_wall_of(const struct scene *scene, uint64_t then_ms)
{
    return (int64_t)then_ms + scene->wall_offset_ms;
}

const char *scene_unready(const struct scene *scene)
{
    if (scene->draining)
        return "draining";
    if (!scene->snapshot || !scene->snapshot->n)
        return "nothing was checked yet";
    return scene->snapshot->ready ? NULL : scene->snapshot->unready;
}

bool scene_has_started(const struct scene *scene)
{
    return scene->snapshot && scene->snapshot->n && !scene->snapshot->undecided;
}

int scene_stuck_worker(const struct scene *scene, uint64_t *stuck_ms)
{
    uint64_t now_ms = loop_now_ms(scene->loop);

    for (unsigned i = 0; i < scene->crew->count; i++) {
        const struct worker *worker = &scene->crew->workers[i];
        uint64_t beat_ms = atomic_load_explicit(&worker->beat_ms, memory_order_relaxed);
        bool ended = atomic_load_explicit(&worker->ended, memory_order_relaxed);
        *stuck_ms = now_ms > beat_ms ? now_ms - beat_ms : 0;
        if (!ended && *stuck_ms > STUCK_MS)
            return (int)i;
    }
    return -1;
}
