/* One sample for each backend, in the order of the configuration. */
#include <stddef.h>

#include "proxy/flow/reports.h"
#include "proxy/health/snapshot.h"
#include "proxy/watch/meter.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

enum { STATES = HEALTH_WRONG + 1 };

static void write_states(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_state", METRIC_GAUGE, "1 for the state a backend is in, 0 for the others.");
    for (unsigned i = 0; i < snapshot->n; i++)
        for (int state = 0; state < STATES; state++)
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name),
                                        METRIC_LABEL("state", health_state_name((enum health_state)state))),
                          (int)snapshot->at[i].state == state);
}

static void write_choice(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_up", METRIC_GAUGE, "Whether a backend passed its last check.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      snapshot->at[i].state == HEALTH_UP);
    metric_family(out, "backend_selected", METRIC_GAUGE, "Whether a backend is the one in use.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      snapshot->at[i].backend == snapshot->chosen);
    metric_family(out, "backend_held", METRIC_GAUGE,
                  "Whether a backend is up, but must stay so for a while before it is returned to.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)), snapshot->at[i].held);
}

static void write_times(const struct scene *scene, const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_state_changed_timestamp_seconds", METRIC_GAUGE,
                  "Since when a backend is in its state.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      (double)scene_wall_of(scene, snapshot->at[i].since_ms) / 1000);
    metric_family(out, "backend_down_seconds", METRIC_COUNTER,
                  "For how long a backend was known not to be usable, in all.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      (double)scene_down_ms(scene, &snapshot->at[i]) / 1000);
}

static void write_meters(const struct snapshot *snapshot, struct metric_out *out)
{
    static const struct {
        const char *name, *help;
        enum metric_type type;
        size_t offset;
    } families[] = {
        {"backend_connections", "Connections to a backend, counted once a second.", METRIC_GAUGE,
         offsetof(struct backend_meter, lanes)},
        {"backend_inflight_requests",
         "Requests given to connections of a backend and not answered, counted once a second.", METRIC_GAUGE,
         offsetof(struct backend_meter, inflight)},
        {"backend_queued_requests", "Those of them that wait for a connection to be made, counted once a second.",
         METRIC_GAUGE, offsetof(struct backend_meter, queued)},
        {"backend_request_failures", "Requests that a backend was sent and did not answer in time, or at all.",
         METRIC_COUNTER, offsetof(struct backend_meter, unanswered)},
        {"backend_metered_commands", "Requests sent to a backend that charges for them, which it counts too.",
         METRIC_COUNTER, offsetof(struct backend_meter, billed)},
        {"backend_connects", "Connections made to a backend.", METRIC_COUNTER, offsetof(struct backend_meter, opened)},
        {"backend_connections_lost", "Connections that a backend or the network has ended.", METRIC_COUNTER,
         offsetof(struct backend_meter, lost)},
    };

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        metric_family(out, families[i].name, families[i].type, families[i].help);
        for (unsigned b = 0; b < snapshot->n; b++)
            metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[b].backend->name)),
                          (double)backend_total(snapshot->at[b].backend, families[i].offset));
    }
}

static void write_latency(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_request_duration_seconds", METRIC_HISTOGRAM,
                  "From a request given to a connection of a backend until its reply was whole.");
    for (unsigned b = 0; b < snapshot->n; b++) {
        struct distribution distribution = {0};
        backend_add_latency(&distribution, snapshot->at[b].backend);
        metric_distribution(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[b].backend->name)), &distribution);
    }
}

void metrics_write_backends(const struct scene *scene, struct metric_out *out)
{
    if (!scene->snapshot)
        return;
    write_states(scene->snapshot, out);
    write_choice(scene->snapshot, out);
    write_times(scene, scene->snapshot, out);
    write_meters(scene->snapshot, out);
    write_latency(scene->snapshot, out);
}
