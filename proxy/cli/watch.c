/*
 * respgate stats and respgate top: what a running respgate shows on its stats port, once or again each second.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"
#include "proxy/cli/fetch.h"

static volatile sig_atomic_t stopped; /* by the signal handler */

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* Texts of backends are in there: nothing but line ends may move the cursor. */
static void print_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        putchar(c == '\n' || (c >= 0x20 && c != 0x7f) ? c : '?');
    }
}

static int show(const struct conf *conf, const char *path, const char *before)
{
    struct fetched fetched;

    fetch(conf, "GET", path, &fetched);
    fputs(before, stdout);
    if (fetched.body)
        print_plain(fetched.body, fetched.len);
    else
        fprintf(*before ? stdout : stderr, "%s\n", fetched.error);
    fflush(stdout);
    free(fetched.body);
    return fetched.code;
}

int cli_stats(const struct cli_options *options)
{
    struct conf *conf = cli_load(options);
    int code;

    if (!conf)
        return EXIT_BAD_CONFIG;
    code = show(conf, options->prometheus ? "/metrics" : options->json ? "/stats.json" : "/top", "");
    conf_free(conf);
    return code;
}

/* Until a signal comes, on the terminal's other screen, which leaves what was there as it was. */
static void show_on(const struct conf *conf)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct timespec second = {.tv_sec = 1};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    fputs("\033[?1049h\033[?25l", stdout);
    while (!stopped) {
        show(conf, "/top", "\033[H\033[2J");
        nanosleep(&second, NULL);
    }
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

int cli_top(const struct cli_options *options)
{
    struct conf *conf = cli_load(options);
    int code = EXIT_FINE;

    if (!conf)
        return EXIT_BAD_CONFIG;
    if (options->once || !isatty(STDOUT_FILENO))
        code = show(conf, "/top", "");
    else
        show_on(conf);
    conf_free(conf);
    return code;
}
