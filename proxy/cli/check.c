/*
 * respgate check: whether the configuration is right, and with --connect whether each backend is what it says: every
 * step from the name to the data set, with the time it took, and which one failed.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/text.h"
#include "proxy/cli/cli.h"
#include "proxy/flow/settings.h"
#include "proxy/health/backend.h"
#include "proxy/health/probe.h"
#include "proxy/health/resolve.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"

struct trial {
    struct check *check;
    struct backend *backend;
    struct probe *probe;
    struct probe_result result;
};

struct check {
    struct loop loop;
    struct resolver *resolver;
    struct trial trials[BACKENDS_MAX];
    unsigned n, running;
};

/* --- trying --- */

static void on_done(void *arg, const struct probe_result *result)
{
    struct trial *trial = arg;

    trial->result = *result;
    if (!--trial->check->running)
        trial->check->loop.stop = true;
}

static bool try_all(struct check *check, const struct settings *settings)
{
    check->n = check->running = settings->n_backends;
    check->resolver = resolver_new(check->loop.base);
    if (!check->resolver)
        return false;
    for (unsigned i = 0; i < check->n; i++) {
        struct trial *trial = &check->trials[i];
        *trial = (struct trial){.check = check, .backend = settings->backends[i]};
        trial->probe = probe_new(&check->loop, trial->backend, on_done, trial);
        if (!trial->probe)
            return false;
        resolver_add(check->resolver, trial->backend);
    }
    for (unsigned i = 0; i < check->n; i++)
        probe_start(check->trials[i].probe, (uint32_t)check->trials[i].backend->connect_timeout_ms);
    loop_run(&check->loop);
    return true;
}

static void end_trials(struct check *check)
{
    for (unsigned i = 0; i < check->n; i++) {
        probe_free(check->trials[i].probe);
        if (check->trials[i].backend)
            resolver_remove(check->resolver, check->trials[i].backend);
    }
    resolver_free(check->resolver);
    event_base_loop(check->loop.base, EVLOOP_NONBLOCK); /* what is cancelled is still told */
}

/* --- telling --- */

static bool is_not_meant(enum health_cause cause)
{
    switch (cause) {
    case CAUSE_TLS:
    case CAUSE_AUTH:
    case CAUSE_PROTOCOL:
    case CAUSE_ROLE:
    case CAUSE_DATASET:
    case CAUSE_CLUSTER:
        return true;
    default:
        return false;
    }
}

static int code_of(const struct check *check)
{
    int code = EXIT_FINE;

    for (unsigned i = 0; i < check->n; i++) {
        const struct probe_result *result = &check->trials[i].result;
        if (result->passed)
            continue;
        if (is_not_meant(result->cause))
            return EXIT_NOT_MEANT;
        code = EXIT_UNREACHABLE;
    }
    return code;
}

static double total_ms(const struct probe_result *result)
{
    int64_t us = 0;

    for (unsigned i = 0; i < PROBE_STEPS; i++)
        us += result->step_us[i] > 0 ? result->step_us[i] : 0;
    return (double)us / 1000;
}

static void print_steps(const struct probe_result *result)
{
    const char *before = " (";

    for (unsigned i = 0; i < PROBE_STEPS; i++) {
        if (result->step_us[i] < 0)
            continue;
        printf("%s%s %.1f", before, probe_step_name((enum probe_step)i), (double)result->step_us[i] / 1000);
        before = ", ";
    }
    if (before[0] == ',')
        putchar(')');
}

static void print_trial(const struct trial *trial)
{
    const struct probe_result *result = &trial->result;

    printf("%-12s %s  ", trial->backend->name, trial->backend->redacted);
    if (result->passed)
        printf("ok in %.1f ms", total_ms(result));
    else
        printf("FAILED at %s: %s", probe_step_name(result->step), result->text);
    print_steps(result);
    printf("%s%s\n", result->role[0] ? ", role " : "", result->role);
}

static void print_trial_json(const struct trial *trial, bool last)
{
    const struct probe_result *result = &trial->result;
    const char *before = "";

    fputs("    {\"name\": ", stdout);
    text_write_json(stdout, trial->backend->name);
    fputs(", \"url\": ", stdout);
    text_write_json(stdout, trial->backend->redacted);
    printf(", \"ok\": %s, \"step\": \"%s\", \"cause\": \"%s\", \"reason\": ", result->passed ? "true" : "false",
           result->passed ? "" : probe_step_name(result->step), health_cause_name(result->cause));
    text_write_json(stdout, result->text);
    fputs(", \"role\": ", stdout);
    text_write_json(stdout, result->role);
    fputs(", \"ms\": {", stdout);
    for (unsigned i = 0; i < PROBE_STEPS; i++) {
        if (result->step_us[i] < 0)
            continue;
        printf("%s\"%s\": %.3f", before, probe_step_name((enum probe_step)i), (double)result->step_us[i] / 1000);
        before = ", ";
    }
    printf("}}%s\n", last ? "" : ",");
}

static void print_check(const struct check *check, bool json)
{
    if (json)
        puts("{\"v\": 1, \"backends\": [");
    for (unsigned i = 0; i < check->n; i++) {
        if (json)
            print_trial_json(&check->trials[i], i + 1 == check->n);
        else
            print_trial(&check->trials[i]);
    }
    if (json)
        puts("]}");
}

static void print_settings(const struct settings *settings, bool json)
{
    if (json) {
        puts("{\"v\": 1, \"configuration\": \"ok\"}");
        return;
    }
    printf("configuration ok, digest %s\n", conf_digest(settings->conf));
    for (unsigned i = 0; i < settings->n_backends; i++) {
        struct backend *backend = settings->backends[i];
        printf("%-12s %s  priority %u, dataset %s\n", backend->name, backend->redacted, atomic_load(&backend->priority),
               backend->dataset);
    }
}

static int connect_all(const struct settings *settings, bool json)
{
    struct check check = {.n = 0};
    int code = EXIT_FAILED;

    if (!loop_init(&check.loop))
        return code;
    if (try_all(&check, settings)) {
        print_check(&check, json);
        code = code_of(&check);
    }
    end_trials(&check);
    loop_finish(&check.loop);
    return code;
}

int cli_check(const struct cli_options *options)
{
    struct conf *conf = cli_load(options);
    struct settings *settings;
    char error[512];
    int code = EXIT_FINE;

    if (!conf)
        return EXIT_BAD_CONFIG;
    settings = settings_new(conf, NULL, error, sizeof(error));
    if (!settings) {
        fprintf(stderr, "%s\n", error);
        conf_free(conf);
        return EXIT_BAD_CONFIG;
    }
    log_setup(LOG_ERROR, false); /* the result says it all */
    fputs(conf_warnings(conf), stderr);
    if (options->connect)
        code = connect_all(settings, options->json);
    else
        print_settings(settings, options->json);
    settings_unref(settings);
    return code;
}
