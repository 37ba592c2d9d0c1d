/* One sample for each backend, in the order of the configuration. */
#include "proxy/health/snapshot.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

enum { STATES = HEALTH_WRONG + 1 };

static void write_states(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_state", METRIC_GAUGE, "1 for the state a backend is in, 0 for the others.");
    for (unsigned i = 0; i < snapshot->n; i++)
        for (int state = 0; state < STATES; state++)
            metric_sample(out,
                          METRIC_LABELS({"backend", snapshot->at[i].backend->name},
                                        {"state", health_state_name((enum health_state)state)}),
                          (int)snapshot->at[i].state == state);
}

static void write_choice(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_up", METRIC_GAUGE, "Whether a backend passed its last check.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS({"backend", snapshot->at[i].backend->name}),
                      snapshot->at[i].state == HEALTH_UP);
    metric_family(out, "backend_selected", METRIC_GAUGE, "Whether a backend is the one in use.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS({"backend", snapshot->at[i].backend->name}),
                      snapshot->at[i].backend == snapshot->chosen);
    metric_family(out, "backend_held", METRIC_GAUGE,
                  "Whether a backend is up, but must stay so for a while before it is returned to.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS({"backend", snapshot->at[i].backend->name}), snapshot->at[i].held);
}

static void write_times(const struct scene *scene, const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_state_changed_timestamp_seconds", METRIC_GAUGE,
                  "Since when a backend is in its state.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS({"backend", snapshot->at[i].backend->name}),
                      (double)scene_wall_of(scene, snapshot->at[i].since_ms) / 1000);
}

void metrics_write_backends(const struct scene *scene, struct metric_out *out)
{
    if (!scene->snapshot)
        return;
    write_states(scene->snapshot, out);
    write_choice(scene->snapshot, out);
    write_times(scene, scene->snapshot, out);
}
