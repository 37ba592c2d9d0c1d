#include "proxy/watch/metrics.h"

#include <sched.h>

#include "conf/conf.h"
#include "proxy/flow/settings.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/loop.h"
#include "proxy/watch/build.h"
#include "proxy/watch/scene.h"

enum { GIVE_WAY_US = 2000 };

static void write_build(const struct scene *scene, struct metric_out *out)
{
    metric_family(out, "build_info", METRIC_GAUGE, "Versions of this program and of its libraries; always 1.");
    metric_sample(out,
                  METRIC_LABELS(METRIC_LABEL("version", scene->build->version),
                                METRIC_LABEL("commit", scene->build->commit),
                                METRIC_LABEL("libevent", build_libevent()), METRIC_LABEL("hiredis", build_hiredis()),
                                METRIC_LABEL("openssl", build_openssl())),
                  1);
}

/* Whether the backend in use is another one than the first in the order. */
static bool is_on_fallback(const struct snapshot *snapshot)
{
    return snapshot && snapshot->chosen && snapshot->chosen != snapshot->at[0].backend;
}

static void write_state(const struct scene *scene, struct metric_out *out)
{
    metric_single(out, "ready", METRIC_GAUGE, "Whether /readyz says yes.", !scene_unready(scene));
    metric_single(out, "draining", METRIC_GAUGE, "Whether it is ending and takes no clients any more.",
                  scene->draining);
    metric_single(out, "on_fallback", METRIC_GAUGE, "Whether the backend in use is not the first in the order.",
                  is_on_fallback(scene->snapshot));
    metric_single(out, "epoch", METRIC_GAUGE, "How often the choice of the backend has changed.",
                  scene->snapshot ? (double)scene->snapshot->epoch : 0);
}

static void write_config(const struct scene *scene, struct metric_out *out)
{
    const struct conf *conf = scene->settings->conf;

    metric_family(out, "config_info", METRIC_GAUGE, "The configuration in force, by its digest; always 1.");
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("digest", conf_digest(conf))), 1);
    metric_single(out, "config_shadowed_settings", METRIC_GAUGE,
                  "Settings that more than one of file, environment and flags give.", (double)conf_overrides(conf));
    metric_single(out, "config_reloads", METRIC_COUNTER, "Times the configuration was read again and taken up.",
                  (double)scene->reloads);
    metric_single(out, "config_reload_failures", METRIC_COUNTER,
                  "Times the configuration was read again and refused: nothing changed.",
                  (double)scene->failed_reloads);
    metric_single(out, "config_last_reload_success_timestamp_seconds", METRIC_GAUGE,
                  "When the configuration in force was taken up.", (double)scene->reloaded_ms / 1000);
}

/*
 * A worker that wakes on this processor would have to wait until all is written, and the requests of its clients with
 * it. Not for long: where processors are short altogether, who gives way does not come back soon, and health's clock
 * stands still meanwhile.
 */
static void give_way(void *until_us)
{
    if (clock_now_us() < *(int64_t *)until_us)
        sched_yield();
}

void metrics_write(const struct scene *scene, FILE *stream, enum metric_format format)
{
    int64_t until_us = clock_now_us() + GIVE_WAY_US;
    struct metric_out out = {.out = stream, .format = format, .pause = give_way, .arg = &until_us};

    metric_begin(&out);
    write_build(scene, &out);
    write_state(scene, &out);
    write_config(scene, &out);
    metrics_write_clients(scene, &out);
    metrics_write_requests(scene, &out);
    metrics_write_limits(scene, &out);
    metrics_write_backends(scene, &out);
    metrics_write_connects(scene, &out);
    metrics_write_checks(scene, &out);
    metrics_write_process(&out, scene->started_ms);
    metric_end(&out);
}
