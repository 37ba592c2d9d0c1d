/* Requests by class and by command, how long they took, and what backends answered with an error. */
#include <stddef.h>
#include <string.h>

#include "protocol/command.h"
#include "proxy/flow/worker.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/scene.h"

static uint64_t command_total(const struct crew *crew, size_t index)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load_explicit(&crew->workers[i].commands[index], memory_order_relaxed);
    return sum;
}

static void write_classes(const struct scene *scene, struct metric_out *out)
{
    uint64_t totals[REQUEST_CLASSES] = {0};

    for (size_t i = 0; i < command_count(); i++)
        totals[scene->settings->classes[command_at(i)->index]] += command_total(scene->crew, command_at(i)->index);
    metric_family(out, "requests", METRIC_COUNTER, "Requests read whole, by what kind of command they are.");
    for (int kind = REQUEST_CLASS_NONE + 1; kind < REQUEST_CLASSES; kind++)
        metric_sample(out, METRIC_LABELS(METRIC_LABEL("class", request_class_name((enum request_class)kind))),
                      (double)totals[kind]);
}

/* The table is sorted by name, so the rows of a container stand together. Names in angle brackets are no commands. */
static void write_commands(const struct crew *crew, struct metric_out *out)
{
    uint64_t other = 0;

    metric_family(out, "commands", METRIC_COUNTER, "Requests read whole, by command; what is not known is other.");
    for (size_t i = 0; i < command_count();) {
        const char *name = command_at(i)->name;
        uint64_t sum = 0;
        for (; i < command_count() && !strcmp(command_at(i)->name, name); i++)
            sum += command_total(crew, command_at(i)->index);
        if (name[0] == '<')
            other += sum;
        else
            metric_sample(out, METRIC_LABELS(METRIC_LABEL("command", name)), (double)sum);
    }
    metric_sample(out, METRIC_LABELS(METRIC_LABEL("command", "other")), (double)other);
}

static void write_durations(const struct crew *crew, struct metric_out *out)
{
    metric_family(out, "request_duration_seconds", METRIC_HISTOGRAM,
                  "From a request given to a backend connection until its reply was whole, by kind of command.");
    for (int kind = REQUEST_CLASS_NONE + 1; kind < REQUEST_CLASSES; kind++) {
        struct distribution distribution = {0};
        for (unsigned i = 0; i < crew->count; i++)
            distribution_add(&distribution, &crew->workers[i].latency[kind]);
        metric_distribution(out, METRIC_LABELS(METRIC_LABEL("class", request_class_name((enum request_class)kind))),
                            &distribution);
    }
}

static double errors(const struct crew *crew, int origin, int kind, int code)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load_explicit(&crew->workers[i].errors[origin][kind][code], memory_order_relaxed);
    return (double)sum;
}

static void write_failures(const struct crew *crew, struct metric_out *out)
{
    metric_family(
        out, "request_failures", METRIC_COUNTER,
        "Requests answered with an error, or lost, by kind of command and the error's first word. NOSCRIPT is "
        "here also where the script was sent again.");
    for (int kind = REQUEST_CLASS_NONE + 1; kind < REQUEST_CLASSES; kind++)
        for (int code = 0; code < ERROR_CODES_N; code++)
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("class", request_class_name((enum request_class)kind)),
                                        METRIC_LABEL("code", error_code_name((enum error_code)code))),
                          errors(crew, ERROR_OF_BACKEND, kind, code) + errors(crew, ERROR_OF_RESPGATE, kind, code));
}

static void write_errors(const struct crew *crew, struct metric_out *out)
{
    static const char *const origins[ERROR_ORIGINS] = {"backend", "respgate"};

    metric_family(out, "error_replies", METRIC_COUNTER, "Errors by who said it, and by their first word.");
    for (int origin = 0; origin < ERROR_ORIGINS; origin++)
        for (int code = 0; code < ERROR_CODES_N; code++) {
            double sum = 0;
            for (int kind = 0; kind < REQUEST_CLASSES; kind++)
                sum += errors(crew, origin, kind, code);
            metric_sample(out,
                          METRIC_LABELS(METRIC_LABEL("origin", origins[origin]),
                                        METRIC_LABEL("code", error_code_name((enum error_code)code))),
                          sum);
        }
}

static void write_lag(const struct crew *crew, struct metric_out *out)
{
    struct distribution distribution = {0};

    for (unsigned i = 0; i < crew->count; i++)
        distribution_add(&distribution, &crew->workers[i].lag);
    metric_family(out, "loop_lag_seconds", METRIC_HISTOGRAM,
                  "How late the clock of a worker was, which ticks once a second.");
    metric_distribution(out, METRIC_NO_LABELS, &distribution);
}

void metrics_write_requests(const struct scene *scene, struct metric_out *out)
{
    write_classes(scene, out);
    write_commands(scene->crew, out);
    write_durations(scene->crew, out);
    write_failures(scene->crew, out);
    write_errors(scene->crew, out);
    write_lag(scene->crew, out);
}
