/* Rows of the option table: where people and machines see what respgate does. */
#include "conf/options_rows.h"

static const struct option stats_options[] = {
    {.key = "address",
     .type = OPTION_ADDRESS,
     .initial = "127.0.0.1:9380",
     .doc =
         "Where /metrics, the probes and the page are served; empty: nowhere. Not protected: keep it on loopback or in "
         "a network you trust."},
    {.key = "unix_socket",
     .type = OPTION_TEXT,
     .max = 107,
     .initial = "",
     .doc =
         "Path of a Unix socket (mode 0600) that serves the same, and takes orders whatever admin says; empty: none."},
    {.key = "admin",
     .type = OPTION_BOOL,
     .initial = "no",
     .doc = "Whether stats.address takes orders too: reload, drain, pin, unpin."},
    {.key = "page", .type = OPTION_BOOL, .initial = "yes", .doc = "Whether the page for people is served, at /."},
    {.key = "hosts",
     .type = OPTION_TEXT,
     .max = 1024,
     .initial = "",
     .example = "respgate respgate.monitoring.svc",
     .doc =
         "Names by which stats.address may be asked, separated by blanks, beside addresses and localhost, which always "
         "may: a web page whose name leads here must not be able to read what is served. The probes answer whoever "
         "asks."},
    {.key = "slowlog",
     .type = OPTION_DURATION,
     .max = HOUR,
     .initial = "100ms",
     .doc =
         "Requests that take longer are listed by RESPGATE SLOWLOG and /slowlog, blocking commands left out; 0: none."},
};

const struct section stats_section = {
    .name = "stats",
    .doc = "The stats port.",
    ROWS(stats_options),
};
