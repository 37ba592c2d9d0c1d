/* respgate version: ours, and the libraries' it runs with. */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "proxy/cli/cli.h"

const char *cli_libraries(char *text, unsigned len)
{
    snprintf(text, len, "libevent %s, hiredis %d.%d.%d, %s", event_get_version(), HIREDIS_MAJOR, HIREDIS_MINOR,
             HIREDIS_PATCH, OpenSSL_version(OPENSSL_VERSION));
    return text;
}

int cli_version(const struct cli_options *options)
{
    char libraries[160];

    (void)options;
    printf("respgate %s (%s)\n", RESPGATE_VERSION, cli_libraries(libraries, sizeof(libraries)));
    return EXIT_FINE;
}
