/*
 * respgate replay: reads a log of respgate, logfmt or JSON, and makes every decision in it again. Each is printed as it
 * comes out now; when one comes out another way than logged, the exit code says so.
 *
 * A decision is a line with msg=decision; its field `decision` holds what route_format() wrote. Lines of other programs
 * in the same stream are passed over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/cli.h"
#include "proxy/health/route.h"
#include "proxy/net/log_line.h"

struct replay {
    unsigned long line, decisions, identical;
};

/* The first one only: what follows a wrong decision is often wrong because of it. */
static void tell(const struct replay *replay, const char *logged, const char *what, const char *result)
{
    if (replay->decisions - replay->identical == 1)
        fprintf(stderr, "line %lu: logged:     %s\nline %lu: %s%s\n", replay->line, logged, replay->line, what, result);
}

static void decide_again(struct replay *replay, const char *logged)
{
    struct route_input input;
    struct route_choice choice;
    char again[ROUTE_TEXT_LEN], error[128];

    replay->decisions++;
    if (!route_parse(logged, &input, &choice, error, sizeof(error))) {
        tell(replay, logged, "not a decision: ", error);
        return;
    }
    route_format(again, sizeof(again), &input, route_choose(&input));
    puts(again);
    if (strcmp(again, logged) == 0)
        replay->identical++;
    else
        tell(replay, logged, "recomputed: ", again);
}

static void read_line(struct replay *replay, const char *line)
{
    char msg[16], logged[ROUTE_TEXT_LEN];
    enum log_find found;

    if (strncmp(line, "time=", strlen("time=")) != 0 && *line != '{')
        return;
    found = log_line_find(line, "msg", msg, sizeof(msg));
    if (found == LOG_FOUND && strcmp(msg, "decision") != 0)
        return;
    if (found == LOG_FOUND && log_line_find(line, "decision", logged, sizeof(logged)) == LOG_FOUND) {
        decide_again(replay, logged);
        return;
    }
    /* A damaged line may have been one; another program's JSON is none as long as it does not speak of any. */
    if (found == LOG_FOUND || strstr(line, "decision")) {
        replay->decisions++;
        tell(replay, line, "not a decision: ", "damaged line");
    }
}

static bool read_log(struct replay *replay, FILE *file)
{
    char *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, file) >= 0) {
        replay->line++;
        line[strcspn(line, "\n")] = '\0';
        read_line(replay, line);
    }
    free(line);
    return !ferror(file);
}

int cli_replay(const struct cli_options *options)
{
    bool is_stdin = !strcmp(options->argument, "-");
    FILE *file = is_stdin ? stdin : fopen(options->argument, "re");
    struct replay replay = {0};
    bool read_all = file && read_log(&replay, file);

    if (!read_all)
        fprintf(stderr, "respgate: %s: %s\n", options->argument, strerror(errno));
    if (file && !is_stdin)
        fclose(file);
    if (!read_all)
        return EXIT_FAILED;
    fflush(stdout);
    fprintf(stderr, "%lu decisions, %lu identical\n", replay.decisions, replay.identical);
    return replay.decisions == replay.identical ? EXIT_FINE : EXIT_FAILED;
}
