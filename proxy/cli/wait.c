/*
 * respgate wait and respgate health: whether a running respgate is live, ready, or on a certain backend. For scripts,
 * start-up hooks and health probes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/conf.h"
#include "proxy/cli/ask.h"
#include "proxy/cli/cli.h"
#include "proxy/net/loop.h"

enum { POLL_MS = 20, SAY_EVERY_MS = 1000, HEALTH_TIMEOUT_MS = 1000 };

static uint64_t now_ms(void)
{
    return (uint64_t)clock_now_us() / 1000;
}

static void pause_ms(unsigned ms)
{
    struct timespec pause = {.tv_nsec = (long)ms * 1000000};

    nanosleep(&pause, NULL);
}

/* "ready", "live" or "backend=NAME". */
static bool is_goal(const char *goal)
{
    return !strcmp(goal, "ready") || !strcmp(goal, "live") || (!strncmp(goal, "backend=", 8) && goal[8]);
}

static bool is_reached(const char *goal, const struct ask_answer *answer)
{
    if (!strcmp(goal, "live"))
        return answer->live;
    if (!strcmp(goal, "ready"))
        return answer->ready;
    return answer->ready && !strcmp(answer->backend, goal + 8);
}

static const char *why_not(const char *goal, const struct ask_answer *answer, char *text, size_t len)
{
    if (!answer->ready || strncmp(goal, "backend=", 8) != 0)
        return answer->reason;
    snprintf(text, len, "the backend in use is %s", answer->backend);
    return text;
}

/* The target out of the configuration. The configuration is returned, because the target's strings are its; NULL on a
 * mistake, which was printed. */
static struct conf *find_target(const struct cli_options *options, struct ask_target *target)
{
    struct conf *conf = cli_load(options);
    char error[128];

    if (conf && !ask_target_of(target, conf, error, sizeof(error))) {
        fprintf(stderr, "%s\n", error);
        conf_free(conf);
        conf = NULL;
    }
    return conf;
}

static int wait_for(const struct ask_target *target, const char *goal, uint64_t max_ms)
{
    uint64_t begin_ms = now_ms(), said_ms = begin_ms;
    struct ask_answer answer;
    char text[128];

    for (;;) {
        uint64_t left_ms = begin_ms + max_ms - now_ms();
        ask(target, left_ms < HEALTH_TIMEOUT_MS && left_ms ? (unsigned)left_ms : HEALTH_TIMEOUT_MS, &answer);
        if (is_reached(goal, &answer)) {
            printf("%s after %llu ms, backend %s\n", goal, (unsigned long long)(now_ms() - begin_ms),
                   answer.backend[0] ? answer.backend : "none");
            return EXIT_FINE;
        }
        if (now_ms() - begin_ms >= max_ms)
            break;
        if (now_ms() - said_ms >= SAY_EVERY_MS) {
            said_ms = now_ms();
            fprintf(stderr, "not yet %s: %s\n", goal, why_not(goal, &answer, text, sizeof(text)));
        }
        pause_ms(POLL_MS);
    }
    fprintf(stderr, "gave up after %llu ms, not %s: %s\n", (unsigned long long)max_ms, goal,
            why_not(goal, &answer, text, sizeof(text)));
    return EXIT_TIMED_OUT;
}

int cli_wait(const struct cli_options *options)
{
    const char *goal = options->goal ? options->goal : "ready";
    struct ask_target target;
    struct conf *conf;
    int code;

    if (!is_goal(goal)) {
        fprintf(stderr, "respgate: --for takes ready, live or backend=NAME\n");
        return EXIT_BAD_USAGE;
    }
    conf = find_target(options, &target);
    if (!conf)
        return EXIT_BAD_CONFIG;
    code = wait_for(&target, goal, options->max_ms);
    conf_free(conf);
    return code;
}

int cli_health(const struct cli_options *options)
{
    struct ask_target target;
    struct ask_answer answer;
    struct conf *conf = find_target(options, &target);
    bool good;

    if (!conf)
        return EXIT_BAD_CONFIG;
    ask(&target, HEALTH_TIMEOUT_MS, &answer);
    good = options->live ? answer.live : answer.ready;
    if (good)
        printf("%s, backend %s\n", options->live ? "live" : "ready", answer.backend);
    else
        fprintf(stderr, "not %s: %s\n", options->live ? "live" : "ready", answer.reason);
    conf_free(conf);
    return good ? EXIT_FINE : EXIT_FAILED;
}
