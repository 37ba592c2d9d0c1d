/* respgate config: which settings are in effect, and why. */
#include <stdio.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"

int cli_config(const struct cli_options *options)
{
    struct conf *conf;

    if (options->example) {
        conf_print_reference(stdout);
        return EXIT_FINE;
    }
    conf = cli_load(options);
    if (!conf)
        return EXIT_BAD_CONFIG;
    conf_print(conf, stdout, options->json ? CONF_JSON : CONF_TEXT, options->origins);
    conf_free(conf);
    return EXIT_FINE;
}
