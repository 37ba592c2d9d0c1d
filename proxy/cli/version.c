/* respgate version: ours, and the libraries' it runs with. */
#include <stdio.h>

#include "commit.h"
#include "proxy/cli/cli.h"
#include "proxy/watch/build.h"

const struct build cli_build = {
    .version = RESPGATE_VERSION, .commit = RESPGATE_COMMIT, .type = RESPGATE_BUILD, .compiler = RESPGATE_COMPILER};

int cli_version(const struct cli_options *options)
{
    char libraries[160];

    if (options->json) {
        build_write_json(&cli_build, stdout);
        putchar('\n');
        return EXIT_FINE;
    }
    printf("respgate %s (commit %s, %s; %s)\n", cli_build.version, cli_build.commit, cli_build.type,
           build_libraries(libraries, sizeof(libraries)));
    return EXIT_FINE;
}
