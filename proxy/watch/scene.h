/*
 * What the stats port shows: main's own view of the process, of what stands now. Pages only read it.
 *
 * Owner: main, which keeps it up to date; to be read on main's thread. Counters of workers are read as they run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct backend_view;
struct build;
struct crew;
struct failovers;
struct history;
struct journal;
struct loop;
struct monitor;
struct orders;
struct settings;
struct snapshot;

struct scene {
    const struct build *build;
    struct loop *loop; /* main's */
    struct crew *crew;
    struct journal *journal;
    struct settings *settings; /* the latest; not a reference of its own */
    struct snapshot *snapshot; /* the latest, referenced; NULL: nothing was decided yet */
    bool draining;
    int64_t wall_offset_ms; /* what to add to main's clock for the wall clock */
    int64_t started_ms;     /* wall clock, as the next */
    int64_t reloaded_ms;
    uint64_t reloads, failed_reloads;
    uint64_t unselected; /* times nothing was usable any more */
    uint64_t dataset_changes;
    struct failovers *failovers;
    uint64_t noted_ms; /* when the snapshot was taken up */
    char *dataset;     /* the last in use; NULL: none yet */
    const struct monitor *monitor;
    struct history *history;
    const struct orders *orders;
};

int64_t scene_wall_ms(void);
/* False: no memory. */
bool scene_start(struct scene *scene);
void scene_finish(struct scene *scene);
/* Takes up what health says now. */
void scene_note_route(struct scene *scene, struct snapshot *snapshot);
/* For how long in all a backend could not be used. */
uint64_t scene_down_ms(const struct scene *scene, const struct backend_view *view);
/* The wall clock when main's clock stood at `then_ms`: the same each time it is asked. */
int64_t scene_wall_of(const struct scene *scene, uint64_t then_ms);

/* Why the process is not ready; NULL when it is. */
const char *scene_unready(const struct scene *scene);
/* Whether a first choice was made, or could not be made. */
bool scene_has_started(const struct scene *scene);
/* Index of a worker whose loop has not turned for long, and for how long; -1: all turn. */
int scene_stuck_worker(const struct scene *scene, uint64_t *stuck_ms);
