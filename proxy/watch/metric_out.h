/*
 * Writes metrics in one of three formats: Prometheus' text 0.0.4, OpenMetrics 1.0, and JSON for /stats.json. A family
 * is begun, then its samples follow, all with the same labels in the same order.
 *
 * Pure but for the stream, which is the caller's. Source of the rules: the exposition formats of prometheus.io and
 * openmetrics.io.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct distribution;

enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS, METRIC_JSON };
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_out {
    FILE *out;
    enum metric_format format;
    const char *prefix; /* "respgate_"; "" for what all programs call alike */
    const char *name;
    enum metric_type type;
    bool begun, sampled;      /* some family, some sample of this one */
    void (*pause)(void *arg); /* called every few KiB; NULL: nobody wants to */
    void *arg;
    size_t len;
    char text[4096]; /* not given to `out` yet: streams take small pieces slowly, and there are thousands */
};

/* A list ends with a name of NULL. */
struct metric_label {
    const char *name, *value;
};

#define METRIC_LABEL(name, value)                                                                                      \
    {                                                                                                                  \
        (name), (value)                                                                                                \
    }
#define METRIC_LABELS(...) ((const struct metric_label[]){__VA_ARGS__, {0}})
#define METRIC_NO_LABELS ((const struct metric_label[]){{0}})

void metric_begin(struct metric_out *out);
/* `name` without prefix; that of a counter without _total, which is added. */
void metric_family(struct metric_out *out, const char *name, enum metric_type type, const char *help);
void metric_sample(struct metric_out *out, const struct metric_label *labels, double value);
/* A sample of a histogram, in seconds; in JSON with all cells, as pairs of lower bound in us and count. */
void metric_distribution(struct metric_out *out, const struct metric_label *labels,
                         const struct distribution *distribution);
void metric_end(struct metric_out *out); /* all is with the stream then */

/* A family of one sample without labels. */
void metric_single(struct metric_out *out, const char *name, enum metric_type type, const char *help, double value);
