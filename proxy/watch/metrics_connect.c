/* What lies between us and each backend: names, connections, TLS, bytes. */
#include <stddef.h>

#include "proxy/flow/reports.h"
#include "proxy/health/snapshot.h"
#include "proxy/watch/meter.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

static void write_failures(const struct snapshot *snapshot, struct metric_out *out)
{
    static const char *const steps[] = {
#define X(name) #name,
        CONNECT_STEPS(X)
#undef X
    };

    metric_family(
        out, "backend_connect_failures", METRIC_COUNTER,
        "Connections to a backend that could not be made, by what they were at. Those of checks are not here.");
    for (unsigned i = 0; i < snapshot->n; i++)
        for (unsigned step = 0; step < CONNECT_STEPS_N; step++)
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name),
                                        METRIC_LABEL("step", steps[step])),
                          (double)backend_total(snapshot->at[i].backend, offsetof(struct backend_meter, failed[step])));
    metric_family(out, "dns_failures", METRIC_COUNTER, "Look-ups of a backend's name that failed.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      (double)snapshot->at[i].backend->tally->dns_failures);
}

/* Of lanes and of checks, which are counted alike: `offset` in the meter, and the same thing in the tally. */
static double with_checks(struct backend *backend, size_t offset, const _Atomic uint64_t *of_checks)
{
    return (double)(backend_total(backend, offset) + atomic_load_explicit(of_checks, memory_order_relaxed));
}

static void write_bytes(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_receive_bytes", METRIC_COUNTER, "Bytes read from a backend, within TLS.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      with_checks(snapshot->at[i].backend, offsetof(struct backend_meter, traffic.read),
                                  &snapshot->at[i].backend->tally->traffic.read));
    metric_family(out, "backend_transmit_bytes", METRIC_COUNTER, "Bytes written to a backend, within TLS.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      with_checks(snapshot->at[i].backend, offsetof(struct backend_meter, traffic.written),
                                  &snapshot->at[i].backend->tally->traffic.written));
}

static void write_handshake(struct backend *backend, const char *result, double value, struct metric_out *out)
{
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", backend->name), METRIC_LABEL("result", result)), value);
}

/* A plain backend has them too, all 0: a reload may turn it into another one under the same name. */
static void write_tls(const struct snapshot *snapshot, struct metric_out *out)
{
    metric_family(out, "backend_tls_handshakes", METRIC_COUNTER, "TLS handshakes with a backend.");
    for (unsigned i = 0; i < snapshot->n; i++) {
        struct backend *backend = snapshot->at[i].backend;
        write_handshake(
            backend, "done",
            with_checks(backend, offsetof(struct backend_meter, handshakes.done), &backend->tally->handshakes.done),
            out);
        write_handshake(
            backend, "failed",
            with_checks(backend, offsetof(struct backend_meter, handshakes.failed), &backend->tally->handshakes.failed),
            out);
    }
    metric_family(out, "backend_tls_resumptions", METRIC_COUNTER,
                  "Those of the handshakes done that went on with an earlier session.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      with_checks(snapshot->at[i].backend, offsetof(struct backend_meter, handshakes.resumed),
                                  &snapshot->at[i].backend->tally->handshakes.resumed));
    metric_family(out, "backend_tls_certificate_expiry_timestamp_seconds", METRIC_GAUGE,
                  "When the certificate that a backend showed last runs out; 0: it has shown none.");
    for (unsigned i = 0; i < snapshot->n; i++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("backend", snapshot->at[i].backend->name)),
                      (double)atomic_load(&snapshot->at[i].backend->certificate_end_s));
}

void metrics_write_connects(const struct scene *scene, struct metric_out *out)
{
    if (!scene->snapshot)
        return;
    write_failures(scene->snapshot, out);
    write_bytes(scene->snapshot, out);
    write_tls(scene->snapshot, out);
}
