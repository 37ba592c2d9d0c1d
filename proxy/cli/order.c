/* respgate reload, drain, pin and unpin: orders to a running one, over its stats port. */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"
#include "proxy/cli/fetch.h"

static int order(const struct cli_options *options, const char *path)
{
    struct conf *conf = cli_load(options);
    struct fetched fetched;

    if (!conf)
        return EXIT_BAD_CONFIG;
    fetch(conf, "POST", path, &fetched);
    if (!fetched.body)
        fprintf(stderr, "%s\n", fetched.error);
    free(fetched.body);
    conf_free(conf);
    return fetched.code;
}

int cli_reload(const struct cli_options *options)
{
    return order(options, "/reload");
}

int cli_drain(const struct cli_options *options)
{
    return order(options, "/drain");
}

int cli_pin(const struct cli_options *options)
{
    char path[128];

    snprintf(path, sizeof(path), "/pin?backend=%.64s", options->argument);
    return order(options, path);
}

int cli_unpin(const struct cli_options *options)
{
    return order(options, "/unpin");
}
