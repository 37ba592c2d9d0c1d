#include "proxy/net/unix_path.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void unix_path_clear(const struct sockaddr_un *address)
{
    struct stat known;
    int probe;

    if (stat(address->sun_path, &known) || !S_ISSOCK(known.st_mode))
        return;
    /* Not to wait for one that lives and does not accept. */
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return;
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(probe);
}
